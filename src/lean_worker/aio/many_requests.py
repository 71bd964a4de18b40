"""Calls of a pool for asyncio that send many requests at once.

They take what they need from modules that come with the first pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic

from ..base.deferred import Deferred
from ..base.time_limit import DEFAULT
from ..batch.lease_source import LeaseSourceT

if TYPE_CHECKING:
    from ..batch import options as batch_options
    from ..batch import requests as batch_requests
    from ..batch.options import OnItemDiagnostic, OnItemProgress, Seconds
    from ..batch.outcome import OnDone
    from ..batch.requests import RequestPlan
    from ..cancel import CancelToken
    from ..commands import Command, RequestT, RowT, StreamingCommand, SummaryT, ValueT
    from ..hosting.launch import Capability
    from ..results import StreamSummary
    from ..sinks.sink_set import SinkChoice
    from . import many
else:
    batch_options = Deferred("lean_worker.batch.options")
    batch_requests = Deferred("lean_worker.batch.requests")
    many = Deferred("lean_worker.aio.many")


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
    ) -> many.AsyncOutcomes[RequestT, ValueT]:
        """Run a command for each of many requests, on all workers, and iterate over the outcomes with `async for`.

        The arguments, and what they raise, are those of `Pool.map`. `requests` is a plain iterable, read on the loop.
        The callbacks are plain functions, called on the loop.
        """
        options = batch_options.BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = batch_requests.runner_of(command, options)
        core = batch_requests.outcomes_of(self._core, run, requests, options, many.start_task)
        return many.AsyncOutcomes(core)

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
    ) -> many.AsyncOutcomes[RequestT, StreamSummary[SummaryT]]:
        """Run a streaming command for each of many requests and hand out rows live; outcomes carry the summaries.

        The arguments are those of `Pool.stream_many`; `on_row` and `sink` too are plain functions, called on the loop.
        A commit holds the loop for as long as the disk takes.
        """
        options = batch_options.BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = batch_requests.streamer_of(command, on_row, sink, options)
        core = batch_requests.outcomes_of(self._core, run, requests, options, many.start_task)
        return many.AsyncOutcomes(core)
