"""Many requests over all workers of a pool, for asyncio.

Tasks replace threads. `batch.scheduler` and `batch.outcomes` decide what runs, what is sent again, and which outcome
each request has; this module drives their steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from ..base.misuse import AsynchronousIterator
from ..batch.dispatching import Dispatching
from ..batch.items import Dispatcher, LeaseSourceT
from ..batch.options import BatchOptions, OnItemDiagnostic, OnItemProgress, Seconds
from ..batch.outcome import OnDone, Outcome, ResultT
from ..batch.outcomes import OutcomesCore
from ..batch.requests import RequestPlan, outcomes_of, runner_of, streamer_of
from ..batch.scheduler import Scheduler
from ..cancel import CancelToken
from ..commands import Command, RequestT, RowT, StreamingCommand, SummaryT, ValueT
from ..hosting.launch import Capability
from ..policy import DEFAULT
from ..results import StreamSummary
from .driver import drive, drive_end

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

_tasks: set[asyncio.Task[None]] = set()
"""A loop holds its tasks weakly."""


class AsyncOutcomes(AsynchronousIterator, AsyncIterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, for `async for`; made by `AsyncPool.map` and `AsyncPool.stream_many`.

    What holds of `Outcomes` holds here, with tasks instead of threads. Nothing runs before the first step. The
    cancellation of the task that iterates, where it waits for an outcome, stops everything; so does the end of the
    `async with` block, and `close`.
    """

    def __init__(self, core: OutcomesCore[RequestT, ResultT]) -> None:
        self._core = core

    def __aiter__(self) -> AsyncOutcomes[RequestT, ResultT]:
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
        await self.close()

    @property
    def total(self) -> int | None:
        """The number of requests; None if their source does not tell."""
        return self._core.total

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


class AsyncManyRequests(Generic[LeaseSourceT]):
    """Mixin of an asyncio pool that sends many requests at once."""

    _core: LeaseSourceT

    def map(
        self,
        command: Command[RequestT, ValueT],
        requests: Iterable[RequestT] | RequestPlan[RequestT],
        *,
        capability: Capability | None = None,
        ordered: bool | None = None,
        in_flight: int | None = None,
        timeout: Seconds[RequestT] = DEFAULT,
        retries: int = 0,
        cancel: CancelToken | None = None,
        on_diagnostic: OnItemDiagnostic | None = None,
        on_progress: OnItemProgress | None = None,
        on_done: OnDone | None = None,
    ) -> AsyncOutcomes[RequestT, ValueT]:
        """Run a command for each of many requests, on all workers, and iterate over the outcomes with `async for`.

        The arguments, and what they raise, are those of `Pool.map`. `requests` is a plain iterable, read on the loop.
        The callbacks are plain functions, called on the loop.
        """
        options = BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = runner_of(command, options)
        return AsyncOutcomes(outcomes_of(self._core, run, requests, options, _start_task))

    def stream_many(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        requests: Iterable[RequestT] | RequestPlan[RequestT],
        *,
        on_row: Callable[[int, RowT], object] | None = None,
        sink: Callable[[int, RequestT], SinkChoice[RowT]] | None = None,
        capability: Capability | None = None,
        ordered: bool | None = None,
        in_flight: int | None = None,
        timeout: Seconds[RequestT] = DEFAULT,
        retries: int = 0,
        cancel: CancelToken | None = None,
        on_diagnostic: OnItemDiagnostic | None = None,
        on_progress: OnItemProgress | None = None,
        on_done: OnDone | None = None,
    ) -> AsyncOutcomes[RequestT, StreamSummary[SummaryT]]:
        """Run a streaming command for each of many requests and hand out rows live; outcomes carry the summaries.

        The arguments are those of `Pool.stream_many`; `on_row` and `sink` too are plain functions, called on the loop.
        A commit holds the loop for as long as the disk takes.
        """
        options = BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = streamer_of(command, on_row, sink, options)
        return AsyncOutcomes(outcomes_of(self._core, run, requests, options, _start_task))


def _start_task(scheduler: Scheduler, dispatcher: Dispatcher) -> None:
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
