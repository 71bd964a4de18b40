"""Calls of a pool for threads that send many requests at once.

They take what they need from modules that come with the first pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic

from ..base.deferred import Deferred
from ..base.time_limit import DEFAULT
from ..batch.lease_source import LeaseSourceT
from ..errors import UsageError

if TYPE_CHECKING:
    from .. import commands
    from ..batch import dispatching
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
    commands = Deferred("lean_worker.commands")
    dispatching = Deferred("lean_worker.batch.dispatching")
    many = Deferred("lean_worker.blocking.many")


class ManyRequests(Generic[LeaseSourceT]):
    """A pool's calls with many requests at once."""

    _core: LeaseSourceT
    _takes_sinks = True

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
    ) -> many.Outcomes[RequestT, ValueT]:
        """Run a command for each of many requests, on all workers, and iterate over the outcomes.

        The value of an outcome is the response, or for a streaming command `Collected`. Requests are taken only as far
        as `in_flight` allows, so that their source may be lazy or endless, and a slow consumer slows all down. A
        failure is the outcome of its request and touches no other. Threads of the run give their workers back between
        two requests when other callers wait for one.

        A request that is known not to have entered a worker is sent again, a few times. One that may have entered is
        sent again only for `retries`. When a start is refused because too many workers have failed
        (`RestartLimitExceeded`), the run waits until the next is allowed if a request succeeded since it last did so.

        Args:
            command: What to run.
            requests: Any iterable of requests; or a plan: anything with `batches`, each with `capability` and
                `requests`. Those of a batch run on one worker, in order.
            capability: What the workers host; None with a plan, which says it itself.
            ordered: Whether outcomes come in the order of the requests, instead of as they are there. Default: in
                order, but those of a plan as they are there. A plan in order holds outcomes without limit until it is
                their turn.
            in_flight: Most requests that are taken, of a plan: started, and whose outcome was not handed out yet.
                Default: four for each worker.
            timeout: Seconds for each request, as of `Lease.call`, or a function from the request to that.
            retries: How often a request is sent again that was lost with a worker it may have entered; for requests
                that may run twice.
            cancel: Stops everything: requests in flight at their next row. Those that were taken and had not ended get
                a `Cancelled` outcome each, others are not taken any more; then the iteration ends with `Cancelled`.
            on_diagnostic: Called with index and `Diagnostic`, on the thread that runs the request.
            on_progress: Called with index and `Progress`, likewise.
            on_done: Called with `MapProgress` after each end of a request, on a thread of the run, never twice at once.
                What it raises is logged.

        Raises:
            UsageError: An argument is out of range, or a type of the command cannot be read from JSON.
        """
        options = batch_options.BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = batch_requests.runner_of(command, options)
        core = batch_requests.outcomes_of(self._core, run, requests, options, dispatching.start_thread)
        return many.Outcomes(core)

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
    ) -> many.Outcomes[RequestT, StreamSummary[SummaryT]]:
        """Run a streaming command for each of many requests and hand out rows live; outcomes carry the summaries.

        No row is held, however many there are. Rows of a request are tentative until its outcome is there and `ok`.

        Args:
            command: What to run.
            requests: As of `map`.
            on_row: Called with the request's index and each row, in order within a request, on the thread that runs
                it: rows of several requests come at once, from several threads. What it raises ends its request, at
                the worker's next row, and is the error of the outcome.
            sink: Called with index and request on the thread that runs it; says where the rows of that request are
                stored, as of `Lease.run`. They are committed if and only if its outcome is `ok`. Give either this or
                `on_row`. Not on a `RayPool`, where rows are stored by a job.
            retries: As of `map`; only with `sink`, which is asked for another sink then: to `on_row` rows would come
                twice.

        The other arguments, and the errors, are those of `map`.
        """
        if sink is not None and not self._takes_sinks and isinstance(command, commands.StreamingCommand):
            raise UsageError(
                f"running {command.name} on a cluster: rows are stored where they are made, by a job",
                hint="Use Job.run(pool, …), or on_row.",
                command=command.name,
            )
        options = batch_options.BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = batch_requests.streamer_of(command, on_row, sink, options)
        core = batch_requests.outcomes_of(self._core, run, requests, options, dispatching.start_thread)
        return many.Outcomes(core)
