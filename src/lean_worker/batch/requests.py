"""Many requests over all workers of a pool, each with one outcome.

Owns how requests become items for the pool's workers, and how one of them is run. Hides runners and leases. Callers
decide the order, how many are in flight, what may be sent twice, and when to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from ..base.arguments import check_callable, check_kind, check_method, shown
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from ..errors import LeanWorkerError, NodeLost, UsageError
from ..events import Diagnostic, Progress
from ..hosting.launch import Capability
from ..policy import Timeouts, check_timeout
from ..pool.lease import DEFAULT, DefaultTimeout, Lease, Timeout
from ..steps.handlers import calls_handlers
from ..steps.waiting import Steps
from ..wire.decode import row_decoder
from ..wire.json_types import text_decoder
from ..worker.row_stream import Collected, EventSinks, Rows, StreamSummary, collected, collecting
from .outcomes import OnDone, Outcomes
from .scheduler import Item, Lane, Run, Runner, start_thread

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

RequestT_co = TypeVar("RequestT_co", covariant=True)

Seconds = Timeout | Callable[[RequestT], float | None]
TimedRun = Callable[["Lease", Item, CancelToken, Timeout], Steps[Any]]
OnItemDiagnostic = Callable[[int, Diagnostic], object]
OnItemProgress = Callable[[int, Progress], object]

_IN_FLIGHT_PER_WORKER = 4
_DOING = "running many requests"


class RequestBatch(Protocol[RequestT_co]):
    """Requests that want the same worker, one after the other."""

    @property
    def capability(self) -> Capability:
        """The capability that the worker has to host."""
        ...

    @property
    def requests(self) -> Iterable[RequestT_co]:
        """The requests to it, in order; finite."""
        ...


class RequestPlan(Protocol[RequestT_co]):
    """Batches: each runs on one worker, in order; several at once on several workers."""

    @property
    def batches(self) -> Iterable[RequestBatch[RequestT_co]]:
        """The batches; read one by one, as workers come free."""
        ...


class ManyRequests:
    """A pool's calls with many requests at once."""

    _max_workers: int
    _timeouts: Timeouts
    _takes_sinks = True

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[Lease]:
        """See `Pool.lease`."""
        raise NotImplementedError

    def _is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        raise NotImplementedError

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
    ) -> Outcomes[RequestT, ResponseT]: ...

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
    ) -> Outcomes[RequestT, Collected[RowT, SummaryT]]: ...

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
    ) -> Outcomes[Any, Any]:
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
        run = runner_of(command, timeout, on_diagnostic, on_progress)
        return self.outcomes(run, requests, capability, ordered, in_flight, retries, cancel, on_done, start_thread)

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
        run = streamer_of(command, on_row, sink, retries, timeout, on_diagnostic, on_progress)
        return self.outcomes(run, requests, capability, ordered, in_flight, retries, cancel, on_done, start_thread)

    def outcomes(
        self,
        run: Run,
        requests: Iterable[Any] | RequestPlan[Any],
        capability: Capability | None,
        ordered: bool | None,
        in_flight: int | None,
        retries: int,
        cancel: CancelToken | None,
        on_done: OnDone | None,
        start: Callable[[Runner], None],
    ) -> Outcomes[Any, Any]:
        """See `map`; `run` runs a request, `start` what serves requests."""
        in_flight = _IN_FLIGHT_PER_WORKER * self._max_workers if in_flight is None else in_flight
        _check_int("in_flight", in_flight, 1)
        _check_int("retries", retries, 0)
        check_kind(_DOING, "ordered", ordered, bool)
        check_kind(_DOING, "cancel", cancel, CancelToken)
        check_callable(_DOING, on_done=on_done)
        if capability is not None:
            check_method(_DOING, "capability", capability, "launch")
        batches = None if isinstance(requests, type) else getattr(requests, "batches", None)
        if isinstance(requests, (str, bytes, Mapping)):
            raise UsageError(
                f"running many requests: expected several requests, got one: {shown(requests)}",
                hint="Put it into a list.",
            )
        if batches is None and not isinstance(requests, Iterable):
            raise UsageError(
                f"running many requests: expected an iterable or a plan, got {shown(requests)}",
                hint="Give a list of requests, even of one.",
            )
        if (batches is None) == (capability is None):
            raise UsageError(
                "running many requests: expected a capability for requests, and none for a plan, "
                f"got {type(requests).__name__} and capability={shown(capability)}",
                hint="Give capability= with requests; a plan has its own.",
            )
        if batches is not None:
            lanes, total = _lanes_of_plan(batches), _total_of_plan(batches)
        else:
            assert capability is not None
            source = cast("Iterable[Any]", requests)
            lanes, total = _lanes_of(source, capability), len(source) if isinstance(source, Sized) else None
        return Outcomes(
            self,
            lanes,
            total,
            run,
            is_plan=batches is not None,
            ordered=batches is None if ordered is None else ordered,
            size=self._max_workers,
            in_flight=in_flight,
            retries=retries,
            queue_seconds=self._timeouts.queue,
            cancel=cancel,
            on_done=on_done,
            start=start,
        )


# -- requests as lanes --


def _lanes_of(requests: Iterable[Any], capability: Capability) -> Iterator[Lane]:
    source = iter(requests)
    return (Lane(capability, [Item(index, request)]) for index, request in enumerate(source))


def _lanes_of_plan(batches: Iterable[RequestBatch[Any]]) -> Iterator[Lane]:
    index = 0
    for batch in batches:
        items = [Item(number, request) for number, request in enumerate(batch.requests, index)]
        index += len(items)
        if items:
            yield Lane(batch.capability, items)


def _total_of_plan(batches: Iterable[RequestBatch[Any]]) -> int | None:
    if not isinstance(batches, Sized):
        return None
    total = 0
    for batch in batches:
        if not isinstance(batch.requests, Sized):
            return None
        total += len(batch.requests)
    return total


# -- one request --


def _streaming(
    lease: Lease,
    command: StreamingCommand[Any, RowT, SummaryT],
    item: Item,
    seconds: Timeout,
    token: CancelToken,
    sinks: EventSinks,
    take: Callable[[Rows[RowT, SummaryT]], object],
) -> Steps[StreamSummary[SummaryT]]:
    """Run one request; `take` takes the rows at hand, again and again."""
    kind: type[Rows[RowT, SummaryT]] = Rows
    rows = yield from lease.streaming(kind, command, item.request, seconds, token, sinks)
    item.rows = lambda: rows.rows_delivered
    try:
        while (yield from rows.receiving()):
            take(rows)
    except BaseException as error:
        yield from rows.closing(error)
        raise
    return rows.summary


def _sinks_for(item: Item, on_diagnostic: OnItemDiagnostic | None, on_progress: OnItemProgress | None) -> EventSinks:
    return EventSinks(_for_item(item, on_diagnostic), _for_item(item, on_progress))


class _StoredRows:
    """Count the rows that a request on a lease has handed to its sink: as the stream says, then as it ended."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._count = 0

    def __call__(self) -> int:
        self._count = max(self._count, self._lease.rows_delivered)  # which is 0 again after the end
        return self._count

    def end(self, count: object) -> None:
        """The request has ended after `count` rows, if that is known."""
        if isinstance(count, int):
            self._count = count


def _for_item(item: Item, callback: Callable[[int, Any], object] | None) -> Callable[[Any], object] | None:
    index = item.index
    if callback is None:
        return None

    @calls_handlers
    def call(event: Any) -> object:
        return callback(index, event)

    return call


def runner_of(
    command: JsonCommand[Any, Any] | StreamingCommand[Any, Any, Any],
    timeout: Seconds[Any],
    on_diagnostic: OnItemDiagnostic | None,
    on_progress: OnItemProgress | None,
) -> Run:
    """Run one request of `map`."""
    _check_types(command)
    check_callable(_DOING, on_diagnostic=on_diagnostic, on_progress=on_progress)

    def call(lease: Lease, item: Item, token: CancelToken, seconds: Timeout) -> Steps[Any]:
        assert isinstance(command, JsonCommand)
        return lease.calling(command, item.request, seconds, token, _sinks_for(item, on_diagnostic, on_progress))

    def collect(lease: Lease, item: Item, token: CancelToken, seconds: Timeout) -> Steps[Collected[Any, Any]]:
        assert isinstance(command, StreamingCommand)
        values: list[Any] = []
        sinks = _sinks_for(item, on_diagnostic, on_progress)
        summary = yield from _streaming(lease, collecting(command), item, seconds, token, sinks, values.extend)
        return collected(command, values, summary)

    return _with_timeout(call if isinstance(command, JsonCommand) else collect, timeout)


def streamer_of(
    command: StreamingCommand[Any, Any, Any],
    on_row: Callable[[int, Any], object] | None,
    sink: Callable[[int, Any], SinkChoice] | None,
    retries: int,
    timeout: Seconds[Any],
    on_diagnostic: OnItemDiagnostic | None,
    on_progress: OnItemProgress | None,
) -> Run:
    """Run one request of `stream_many`."""
    check_kind(_DOING, "command", command, StreamingCommand)
    if command is None:
        raise UsageError(
            f"{_DOING}: expected a StreamingCommand, got None", hint="Declare it: lw.StreamingCommand(name)."
        )
    check_callable(_DOING, on_row=on_row, sink=sink, on_diagnostic=on_diagnostic, on_progress=on_progress)
    if (on_row is None) == (sink is None):
        raise UsageError(
            f"running {command.name} many times: expected either on_row or sink",
            hint="Give on_row=, or sink=.",
            command=command.name,
        )
    if on_row is not None and retries:
        raise UsageError(
            f"running {command.name} many times: with on_row and retries rows would come twice",
            hint="Use a sink, which stores the rows of the run that succeeded.",
            command=command.name,
        )
    _check_types(command)
    if on_row is not None:
        return _with_timeout(_hander_out(command, on_row, on_diagnostic, on_progress), timeout)
    assert sink is not None
    return _with_timeout(_storer(command, sink, on_diagnostic, on_progress), timeout)


def _hander_out(
    command: StreamingCommand[Any, Any, Any],
    on_row: Callable[[int, Any], object],
    on_diagnostic: OnItemDiagnostic | None,
    on_progress: OnItemProgress | None,
) -> TimedRun:
    def stream(lease: Lease, item: Item, token: CancelToken, seconds: Timeout) -> Steps[StreamSummary[Any]]:
        index = item.index

        @calls_handlers
        def take(rows: Rows[Any, Any]) -> None:
            for row in rows:
                on_row(index, row)

        sinks = _sinks_for(item, on_diagnostic, on_progress)
        try:
            return (yield from _streaming(lease, command, item, seconds, token, sinks, take))
        except NodeLost as error:
            error.add_facts(rows_seen=item.rows())
            raise

    return stream


def _storer(
    command: StreamingCommand[Any, Any, Any],
    sink: Callable[[int, Any], SinkChoice],
    on_diagnostic: OnItemDiagnostic | None,
    on_progress: OnItemProgress | None,
) -> TimedRun:
    @calls_handlers
    def store(lease: Lease, item: Item, token: CancelToken, seconds: Timeout) -> Steps[StreamSummary[Any]]:
        item.rows = rows = _StoredRows(lease)
        events = _sinks_for(item, on_diagnostic, on_progress)
        chosen = sink(item.index, item.request)
        try:
            summary = yield from lease.running_into(command, item.request, chosen, seconds, token, events)
        except LeanWorkerError as error:
            rows.end(error.rows_delivered)
            raise
        rows.end(summary.total_rows)
        return summary

    return store


def _with_timeout(run: TimedRun, timeout: Seconds[Any]) -> Run:
    if callable(timeout):
        seconds_of = timeout
        return lambda lease, item, token: run(lease, item, token, seconds_of(item.request))
    seconds = timeout
    if not isinstance(seconds, DefaultTimeout):
        check_timeout("timeout", seconds)
    return lambda lease, item, token: run(lease, item, token, seconds)


def _check_types(command: object) -> None:
    if isinstance(command, JsonCommand):
        text_decoder(command.response)
    elif isinstance(command, StreamingCommand):
        row_decoder(command.row, command.name)
        text_decoder(command.summary)
    else:
        raise UsageError(
            f"running many requests: expected a JsonCommand or StreamingCommand, got {shown(command)}",
            hint="Declare it: lw.JsonCommand(name) or lw.StreamingCommand(name).",
        )


def _check_int(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise UsageError(
            f"running many requests: expected {name} as an integer of {least} or more, got {shown(value)}",
            hint=f"Give an int, as in {name}={max(least, 1)}.",
        )
