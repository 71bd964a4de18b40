"""Rows of one request as an iterator for threads.

Drives the steps of `worker.rows.Rows`, which makes every check. Available rows are handed out without any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from ..base.interrupts import Leaving
from ..base.misuse import BlockingIterator, check_made
from ..commands import RowT, SummaryT
from ..results import StreamSummary
from ..steps.handlers import in_signal_handler
from ..steps.waiting import run
from ..wire.frames import RowIterator
from ..worker.rows import Rows


class RowStream(Leaving, BlockingIterator, RowIterator, Iterator[RowT], Generic[RowT, SummaryT]):
    """The rows of one request, live. Made by `Lease.stream`; one thread uses it, any may `close` it.

    Leaving the `with` block, or `close`, before the end stops the request in the worker; the lease can then be used
    again. Rows that are taken after the block, as by a generator expression, raise `UsageError`. Rows that were
    delivered before a failure are tentative: the failure says how many there were.

    A row is delivered as soon as it is emitted. Of rows less than 0.25 ms apart, each may wait for half a millisecond,
    so that several can be read at a time.
    """

    def __init__(self, rows: Rows[RowT, SummaryT]) -> None:
        check_made(rows, Rows, "RowStream", "Take it from a lease: `with lease.stream(command) as rows:`.")
        super().__init__(rows)
        self._core = rows
        self._is_closing = False

    def __iter__(self) -> Iterator[RowT]:
        """Itself.

        Raises:
            UsageError: It was closed, or has failed, before its end. A loop that has taken a row just ends, once, when
                it closes the stream itself.
        """
        self._core.check_not_stopped()
        return self

    if TYPE_CHECKING:

        def __next__(self) -> RowT: ...

    def __repr__(self) -> str:
        return f"<RowStream of {self._core}>"

    def _advance(self) -> RowT:
        if not (self._core.look() or run(self._core.receiving())):
            raise StopIteration
        row: RowT = next(self)  # not of the core: it has no row if it was halted meanwhile, and this asks again
        return row

    @property
    def rows_delivered(self) -> int:
        """Rows delivered so far; tentative until `summary` is available."""
        return self._core.rows_delivered

    def last(self) -> tuple[str, int] | None:
        """Stream and sequence of the row that was handed out last, or None."""
        return self._core.last()

    @property
    def summary(self) -> StreamSummary[SummaryT]:
        """The summary of a stream that ended in success.

        Raises:
            UsageError: The stream has not ended in success: its rows are not to be relied on.
        """
        return self._core.summary

    def close(self) -> None:
        """Stop the request if it has not ended; legal at any time and twice.

        While a thread waits for rows, as when a signal handler interrupts it, this only asks that thread to stop: the
        iteration raises `Cancelled`. It also does so when another thread or a signal handler closes the stream between
        two rows, or its lease is released. In a forked child this does nothing.
        """
        self._is_closing = True
        try:
            self.__exit__(None, None, None)
        finally:
            self._is_closing = False

    def __enter__(self) -> RowStream[RowT, SummaryT]:
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_aside = self._is_closing and in_signal_handler()
        run(self._core.closing(error, by_other=is_aside, is_left=not self._is_closing))

    def _left(self) -> None:
        self._core.close_soon()

    def _dropped(self) -> None:
        core = vars(self).get("_core")  # an interrupt may have come before it was set
        if core is not None:
            core.close_soon()
