"""Many requests over all workers of a pool, for threads.

Drives the steps of `batch.outcomes.OutcomesCore` on the calling thread; threads serve the requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Generic

from ..base.misuse import BlockingIterator, check_made
from ..batch.outcome import Outcome, ResultT
from ..batch.outcomes import OutcomesCore
from ..commands import RequestT
from ..steps.waiting import run


class Outcomes(BlockingIterator, Iterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, as an iterator; made by `Pool.map` and `Pool.stream_many`.

    Nothing runs before the first `next`. Requests are taken from their source on the thread that iterates. One thread
    at a time iterates; a second one, or the source itself, is refused with `UsageError`. Every request that was taken
    has exactly one outcome. If the source raises, what it raised comes after the outcomes of all that was taken before;
    if the pool is closed meanwhile, a `UsageError` does; if the end of the interpreter stops the run, `Cancelled`.

    Leave it by exhausting it, by the end of its `with` block, or with `close`: what is in flight is stopped at its next
    row, workers stay warm, and all threads have ended. A handler of the run (`on_row`, a sink, `on_done` and the like)
    may close it too, but must not iterate over it: that is refused with `UsageError`. A loop in progress just ends when
    the run is closed, wherever that is; whoever takes outcomes later, or after a failure, gets a `UsageError`. One that
    is dropped before its end is stopped too, with a `ResourceWarning`. In a forked child it is of no use: iterating
    raises `UsageError`, closing does nothing.
    """

    def __init__(self, core: OutcomesCore[RequestT, ResultT]) -> None:
        check_made(core, OutcomesCore, "Outcomes", "Take it from a pool: pool.map(command, requests, capability=…).")
        self._core = core

    def __iter__(self) -> Outcomes[RequestT, ResultT]:
        """Itself.

        Raises:
            UsageError: It was closed, or has failed, before its end.
        """
        self._core.check_not_stopped()
        return self

    def __next__(self) -> Outcome[RequestT, ResultT]:
        outcome = run(self._core.advancing(self._core.refuse_self_wait))
        if outcome is None:
            raise StopIteration
        return outcome

    def __repr__(self) -> str:
        return repr(self._core)

    def close(self) -> None:
        """Stop what is in flight and wait until all threads have ended; legal at any time, from any thread, and twice.

        Takes as long as a worker needs to come to its next row, at most `Timeouts.cancel_grace`, and as a handler needs
        to return. The call stops the run but does not wait where a wait could deadlock: in a handler of this run, in a
        handler of another run that this one waits for, and in a signal handler or a finalizer that interrupted this
        package. The threads then end by themselves, and whoever iterates or closes elsewhere waits for them. Do not
        hold a lock that a handler takes.
        """
        run(self._core.closing())

    def __enter__(self) -> Outcomes[RequestT, ResultT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self._core.closing(is_left=True))

    @property
    def total(self) -> int | None:
        """The number of requests; None if their source does not tell."""
        return self._core.total

    @property
    def is_ready(self) -> bool:
        """Whether the next outcome is there already, so that nobody has to wait for it."""
        return self._core.is_ready

    @property
    def done(self) -> int:
        """The number of requests that have ended."""
        return self._core.done

    @property
    def failed(self) -> int:
        """The number of requests that have failed."""
        return self._core.failed

    @property
    def rows(self) -> int:
        """Rows that all requests have handed out so far, live; tentative as long as their request has no outcome."""
        return self._core.rows
