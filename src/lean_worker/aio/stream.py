"""Rows of one request as an asynchronous iterator.

Drives the steps of `worker.rows.Rows`, which makes every check. Lets the loop's other tasks run during a fast
stream, and stops a stream that is dropped.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ..base.interrupts import Droppable
from ..base.misuse import AsynchronousIterator
from ..commands import RowT, SummaryT
from ..errors import UsageError
from ..results import StreamSummary
from ..steps.waiting import Steps
from ..worker.rows import Rows

_T = TypeVar("_T")
_SECONDS_A_TURN = 0.001
_NONE_AT_HAND: Any = object()


def _running_task() -> weakref.ref[asyncio.Task[Any]] | None:
    # Here, so that no frame that is part of a traceback holds the task: it holds its error.
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the loop was closed, and the coroutine is thrown away
        return None
    return None if task is None else weakref.ref(task)


def _is_another(reference: weakref.ref[asyncio.Task[Any]] | None) -> bool:
    """Whether it is a task that lives, and not the running one."""
    task = None if reference is None else reference()
    return task is not None and not task.done() and reference != _running_task()


class Drive(Protocol):
    """Protocol of the function by which a lease drives the steps of its streams."""

    async def __call__(self, steps: Steps[_T], *, is_end: bool = False) -> _T:
        """Drive steps of a request; `is_end` if they end it, which a cancelled scope does not interrupt."""
        ...


class AsyncRowStream(Droppable, AsynchronousIterator, AsyncIterator[RowT], Generic[RowT, SummaryT]):
    """The rows of one request, live, for `async for`. Made by `AsyncLease.stream`; one task uses it.

    `async with`, or the first step of the iteration, sends the request. Leaving the `async with` block or calling
    `close` before the end stops the request, and so does the cancellation of the task. The lease can then be used
    again. If a task does not take rows, they stay in the worker's pipe, and the worker waits. Available rows are
    returned without waiting, but the loop's other tasks run every millisecond.
    """

    def __init__(self, drive: Drive, begin: Callable[[], Steps[Rows[RowT, SummaryT]]], command: str) -> None:
        self._drive_steps = drive
        self._begin: Callable[[], Steps[Rows[RowT, SummaryT]]] | None = begin
        self._command = command
        self._core: Rows[RowT, SummaryT] | None = None
        self._turn_at = 0.0
        self._is_driven = False
        self._taken_by: weakref.ref[asyncio.Task[Any]] | None = None

    # -- iteration --

    def __repr__(self) -> str:
        rows = self._core
        return f"<AsyncRowStream of {self._command}: not begun>" if rows is None else f"<AsyncRowStream of {rows}>"

    def __aiter__(self) -> AsyncRowStream[RowT, SummaryT]:
        """Itself.

        Raises:
            UsageError: It was closed, or has failed, before its end. A loop that has taken a row just ends, once, when
                it closes the stream itself.
        """
        if self._core is not None:
            self._core.check_not_stopped()
        elif self._begin is None:
            raise self._never_began()
        return self

    def _never_began(self) -> UsageError:
        return UsageError(
            f"taking rows of {self._command}: the stream was closed, or refused, before it began",
            hint="Make a new one for each request.",
            command=self._command,
        )

    async def __anext__(self) -> RowT:
        rows = self._core
        if rows is None:
            rows = await self._beginning()
        elif time.monotonic() >= self._turn_at:
            await self._drive(rows.resting())
            self._turn_at = time.monotonic() + _SECONDS_A_TURN
        row: RowT = next(rows, _NONE_AT_HAND)
        while row is _NONE_AT_HAND:
            if not await self._drive(rows.receiving()):
                raise StopAsyncIteration
            self._turn_at = time.monotonic() + _SECONDS_A_TURN
            row = next(rows, _NONE_AT_HAND)
        return row

    async def _beginning(self) -> Rows[RowT, SummaryT]:
        begin, self._begin = self._begin, None
        if begin is None:
            raise self._of_another_task() if self._is_driven else self._never_began()
        self._core = rows = await self._drive(begin())
        rows.keep(True)
        self._turn_at = time.monotonic() + _SECONDS_A_TURN
        return rows

    async def _drive(self, steps: Steps[_T], *, is_end: bool = False) -> _T:
        if self._is_driven:
            raise self._of_another_task()
        self._is_driven = True
        if not is_end:
            self._taken_by = _running_task()
        rows = self._core
        if rows is not None:
            rows.keep(False)
        try:
            return await self._drive_steps(steps, is_end=is_end)
        finally:
            self._is_driven = False
            if rows is not None:
                rows.keep(True)

    def _of_another_task(self) -> UsageError:
        return UsageError(
            f"running {self._command}: another task waits for this stream",
            hint="Let one task take its rows; cancel that task, or release the lease, to end it.",
            command=self._command,
        )

    # -- ends --

    async def close(self) -> None:
        """Stop the request if it has not ended; legal twice.

        If another task iterates, its next step raises `Cancelled`.

        Raises:
            UsageError: Another task waits for a row now: cancel that task, or release the lease.
        """
        await self._close(None)

    async def _close(self, error: BaseException | None, *, is_left: bool = False) -> None:
        self._begin = None
        if self._core is not None:
            by_other = error is None and not is_left and _is_another(self._taken_by)
            await self._drive(self._core.closing(error, by_other=by_other, is_left=is_left), is_end=True)

    async def __aenter__(self) -> AsyncRowStream[RowT, SummaryT]:
        if self._begin is None:
            raise UsageError(
                f"running {self._command}: its stream was used before", hint="Make a new one for each request."
            )
        await self._beginning()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close(error, is_left=True)

    def _dropped(self) -> None:
        rows = vars(self).get("_core")
        # One that is driven now, by a task that is thrown away with it, is ended by that task's own end.
        if rows is None or not rows.is_open or self._is_driven:
            return
        # As after a plain `async for … break`: a finalizer cannot wait on the loop, and must not block it.
        rows.close_soon()

    # -- facts --

    @property
    def rows_delivered(self) -> int:
        """Rows delivered so far; tentative until `summary` is available."""
        return 0 if self._core is None else self._core.rows_delivered

    def last(self) -> tuple[str, int] | None:
        """Stream and sequence of the row that was handed out last, or None."""
        return None if self._core is None else self._core.last()

    @property
    def summary(self) -> StreamSummary[SummaryT]:
        """The summary of a stream that ended in success.

        Raises:
            UsageError: The stream has not ended in success: its rows are not to be relied on.
        """
        if self._core is None:
            raise UsageError(
                f"reading the summary of {self._command}: the stream has not begun",
                hint="Iterate to the end first.",
                command=self._command,
                rows_delivered=0,
            )
        return self._core.summary
