"""Many requests over all workers of a pool, for threads.

Drives the steps of `batch.outcomes.OutcomesCore` on the calling thread; threads serve the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from ..base.misuse import Blocking, check_made
from ..batch.dispatching import start_thread
from ..batch.items import LeaseSourceT
from ..batch.options import BatchOptions, OnItemDiagnostic, OnItemProgress, Seconds
from ..batch.outcome import OnDone, Outcome, ResultT
from ..batch.outcomes import OutcomesCore
from ..batch.requests import RequestPlan, outcomes_of, runner_of, streamer_of
from ..cancel import CancelToken
from ..commands import Command, RequestT, RowT, StreamingCommand, SummaryT, ValueT
from ..errors import UsageError
from ..hosting.launch import Capability
from ..policy import DEFAULT
from ..results import StreamSummary
from ..steps.waiting import run

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice


class Outcomes(Blocking, Iterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, as an iterator; made by `Pool.map` and `Pool.stream_many`.

    Nothing runs before the first `next`. Requests are taken from their source on the thread that iterates. One thread
    at a time iterates; a second one, or the source itself, is refused with `UsageError`. Every request that was taken
    has exactly one outcome. If the source raises, what it raised comes after the outcomes of all that was taken before;
    if the pool is closed meanwhile, a `UsageError` does.

    Leave it by exhausting it, by the end of its `with` block, or with `close`: what is in flight is stopped at its next
    row, workers stay warm, and all threads have ended. A handler of the run (`on_row`, a sink, `on_done` and the like)
    may close it too, but must not iterate over it: that is refused with `UsageError`. One that is dropped before its
    end is stopped too, with a `ResourceWarning`. In a forked child it is of no use: iterating raises `UsageError`,
    closing does nothing.
    """

    def __init__(self, core: OutcomesCore[RequestT, ResultT]) -> None:
        check_made(core, OutcomesCore, "Outcomes", "Take it from a pool: pool.map(command, requests, capability=…).")
        self._core = core

    def __next__(self) -> Outcome[RequestT, ResultT]:
        outcome = run(self._core.advancing())
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
        self.close()

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
    ) -> Outcomes[RequestT, ValueT]:
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
            cancel: Stops everything: requests in flight at their next row. Those that were taken get a `Cancelled`
                outcome each, others are not taken any more.
            on_diagnostic: Called with index and `Diagnostic`, on the thread that runs the request.
            on_progress: Called with index and `Progress`, likewise.
            on_done: Called with `MapProgress` after each end of a request, on a thread of the run, never twice at once.
                What it raises is logged.

        Raises:
            UsageError: An argument is out of range, or a type of the command cannot be read from JSON.
        """
        options = BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = runner_of(command, options)
        return Outcomes(outcomes_of(self._core, run, requests, options, start_thread))

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
    ) -> Outcomes[RequestT, StreamSummary[SummaryT]]:
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
        if sink is not None and not self._takes_sinks and isinstance(command, StreamingCommand):
            raise UsageError(
                f"running {command.name} on a cluster: rows are stored where they are made, by a job",
                hint="Use Job.run(pool, …), or on_row.",
                command=command.name,
            )
        options = BatchOptions(
            capability, ordered, in_flight, timeout, retries, cancel, on_diagnostic, on_progress, on_done
        )
        run = streamer_of(command, on_row, sink, options)
        return Outcomes(outcomes_of(self._core, run, requests, options, start_thread))
