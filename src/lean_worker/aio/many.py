"""Many requests over all workers of a pool, for asyncio.

Tasks replace threads. `batch.scheduler` and `batch.outcomes` decide what runs, what is sent again, and which outcome
each request has; this module drives their steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, overload

from ..batch.outcomes import OnDone, Outcome, Outcomes, ResultT
from ..batch.requests import OnItemDiagnostic, OnItemProgress, RequestPlan, Seconds, runner_of, streamer_of
from ..batch.scheduler import Runner
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from ..hosting.launch import Capability
from ..pool.lease import DEFAULT
from ..worker.row_stream import Collected, StreamSummary
from .lease import check_plain
from .loop import drive, drive_end

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

_tasks: set[asyncio.Task[None]] = set()
"""A loop holds its tasks weakly."""


class AsyncOutcomes(AsyncIterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, for `async for`; made by `AsyncPool.map` and `AsyncPool.stream_many`.

    What holds of `Outcomes` holds here, with tasks instead of threads. Nothing runs before the first step. The
    cancellation of the task that iterates, where it waits for an outcome, stops everything; so does the end of the
    `async with` block, and `close`.

    Attributes:
        total: How many requests there are; None if their source does not tell.
    """

    def __init__(self, outcomes: Outcomes[RequestT, ResultT]) -> None:
        self._outcomes = outcomes
        self.total = outcomes.total

    def __aiter__(self) -> AsyncOutcomes[RequestT, ResultT]:
        return self

    async def __anext__(self) -> Outcome[RequestT, ResultT]:
        outcome = await drive(self._outcomes.advancing())
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    async def close(self) -> None:
        """Stop what is in flight and wait until all tasks have ended; legal at any time and twice."""
        await drive_end(self._outcomes.closing())

    async def __aenter__(self) -> AsyncOutcomes[RequestT, ResultT]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def done(self) -> int:
        """Number of requests that have ended."""
        return self._outcomes.done

    @property
    def failed(self) -> int:
        """Number of requests that have failed."""
        return self._outcomes.failed

    @property
    def rows(self) -> int:
        """Rows that all requests have handed out so far, live; tentative as long as their request has no outcome."""
        return self._outcomes.rows


class AsyncManyRequests:
    """Mixin of an asyncio pool that sends many requests at once."""

    _pool: Pool

    @overload
    def map(
        self,
        command: JsonCommand[RequestT, ResponseT],
        requests: Iterable[RequestT] | RequestPlan[RequestT],
        *,
        capability: Capability | None = ...,
        ordered: bool | None = ...,
        in_flight: int | None = ...,
        timeout: Seconds[RequestT] = ...,
        retries: int = ...,
        cancel: CancelToken | None = ...,
        on_diagnostic: OnItemDiagnostic | None = ...,
        on_progress: OnItemProgress | None = ...,
        on_done: OnDone | None = ...,
    ) -> AsyncOutcomes[RequestT, ResponseT]: ...

    @overload
    def map(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        requests: Iterable[RequestT] | RequestPlan[RequestT],
        *,
        capability: Capability | None = ...,
        ordered: bool | None = ...,
        in_flight: int | None = ...,
        timeout: Seconds[RequestT] = ...,
        retries: int = ...,
        cancel: CancelToken | None = ...,
        on_diagnostic: OnItemDiagnostic | None = ...,
        on_progress: OnItemProgress | None = ...,
        on_done: OnDone | None = ...,
    ) -> AsyncOutcomes[RequestT, Collected[RowT, SummaryT]]: ...

    def map(
        self,
        command: JsonCommand[Any, Any] | StreamingCommand[Any, Any, Any],
        requests: Iterable[Any] | RequestPlan[Any],
        *,
        capability: Capability | None = None,
        ordered: bool | None = None,
        in_flight: int | None = None,
        timeout: Seconds[Any] = DEFAULT,
        retries: int = 0,
        cancel: CancelToken | None = None,
        on_diagnostic: OnItemDiagnostic | None = None,
        on_progress: OnItemProgress | None = None,
        on_done: OnDone | None = None,
    ) -> AsyncOutcomes[Any, Any]:
        """Run a command for each of many requests, on all workers, and iterate over the outcomes with `async for`.

        The arguments, and what they raise, are those of `Pool.map`. `requests` is a plain iterable, read on the loop.
        The callbacks are plain functions, called on the loop.
        """
        _check_all_plain(on_diagnostic=on_diagnostic, on_progress=on_progress, on_done=on_done)
        run = runner_of(command, timeout, on_diagnostic, on_progress)
        return AsyncOutcomes(
            self._pool.outcomes(run, requests, capability, ordered, in_flight, retries, cancel, on_done, _start_task)
        )

    def stream_many(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        requests: Iterable[RequestT] | RequestPlan[RequestT],
        *,
        on_row: Callable[[int, RowT], object] | None = None,
        sink: Callable[[int, RequestT], SinkChoice] | None = None,
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
        plain = {"on_row": on_row, "sink": sink}
        _check_all_plain(**plain, on_diagnostic=on_diagnostic, on_progress=on_progress, on_done=on_done)
        run = streamer_of(command, on_row, sink, retries, timeout, on_diagnostic, on_progress)
        return AsyncOutcomes(
            self._pool.outcomes(run, requests, capability, ordered, in_flight, retries, cancel, on_done, _start_task)
        )


def _check_all_plain(**callbacks: object) -> None:
    for name, callback in callbacks.items():
        check_plain("many requests", name, callback)


def _start_task(runner: Runner) -> None:
    loop = asyncio.get_running_loop()
    work = drive(runner.serving(), runner.stop_crew)
    task = loop.create_task(work, name=runner.name)

    def leave() -> None:
        # Nothing runs on a loop that is closed. What is left to do is done here, as for every task that is thrown away.
        if loop.is_closed() and not runner.ended.is_set:
            _tasks.discard(task)
            with contextlib.suppress(RuntimeError):  # it is being thrown away already
                work.close()

    runner.leave = leave
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
