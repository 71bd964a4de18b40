"""Many requests over all workers of a pool, for asyncio.

Tasks replace threads. `batch.scheduler` and `batch.outcomes` decide what runs, what is sent again, and which outcome
each request has; this module drives their steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic

from ..base.misuse import AsynchronousIterator
from ..batch.dispatching import Dispatching
from ..batch.items import Dispatcher
from ..batch.outcome import Outcome, ResultT
from ..batch.outcomes import OutcomesCore
from ..batch.scheduler import Scheduler
from ..commands import RequestT
from .driver import drive, drive_end

_tasks: set[asyncio.Task[None]] = set()
"""A loop holds its tasks weakly."""


class AsyncOutcomes(AsynchronousIterator, AsyncIterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, for `async for`; made by `AsyncPool.map` and `AsyncPool.stream_many`.

    What holds of `Outcomes` holds here, with tasks instead of threads. Nothing runs before the first step. The
    cancellation of the task that iterates, where it waits for an outcome, stops everything; so does the end of the
    `async with` block, and `close`. If somebody else cancels the tasks of the run, the iteration ends with `Cancelled`.
    """

    def __init__(self, core: OutcomesCore[RequestT, ResultT]) -> None:
        self._core = core

    def __aiter__(self) -> AsyncOutcomes[RequestT, ResultT]:
        """Itself; see `Outcomes.__iter__`."""
        self._core.check_not_stopped()
        return self

    async def __anext__(self) -> Outcome[RequestT, ResultT]:
        outcome = await drive(self._core.advancing())
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    def __repr__(self) -> str:
        return repr(self._core).replace("<Outcomes", "<AsyncOutcomes", 1)

    async def close(self) -> None:
        """Stop what is in flight and wait until all tasks have ended; legal at any time and twice."""
        await drive_end(self._core.closing())

    async def __aenter__(self) -> AsyncOutcomes[RequestT, ResultT]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await drive_end(self._core.closing(is_left=True))

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


def start_task(scheduler: Scheduler, dispatcher: Dispatcher) -> None:
    """Start the task that serves a dispatcher, on the running loop."""
    loop = asyncio.get_running_loop()
    work = drive(Dispatching(scheduler, dispatcher).serving(), scheduler.stop)
    task = loop.create_task(work, name=dispatcher.name)

    def leave() -> None:
        # Nothing runs on a loop that is closed. What is left to do is done here, as for every task that is thrown away.
        if loop.is_closed() and not dispatcher.ended.is_set:
            _tasks.discard(task)
            with contextlib.suppress(RuntimeError):  # it is being thrown away already
                work.close()

    dispatcher.leave = leave
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
