"""Many requests over all workers of a pool, each with one outcome.

Owns how requests become items for the pool's workers, and how one of them is run. Hides dispatchers and leases. Callers
decide the order, how many are in flight, what may be sent twice, and when to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from ..base.arguments import attribute_of, check_flag, check_kind, check_method, check_several, shown
from ..base.callbacks import check_callable, result_of
from ..cancel import CancelToken
from ..commands import Command, JsonCommand, RowT, StreamingCommand, SummaryT, check_command
from ..errors import LeanWorkerError, NodeLost, UsageError
from ..hosting.launch import Capability
from ..policy import DefaultTimeout, check_timeout
from ..pool.lease import LeaseCore
from ..results import Collected, StreamSummary
from ..steps.handlers import calls_handlers
from ..steps.waiting import Steps
from ..wire.json_types import text_decoder
from ..wire.row_decoders import row_decoder
from ..worker.collecting import collected, collecting
from ..worker.options import RequestOptions
from ..worker.rows import Rows
from .items import Dispatcher, Item, ItemGroup, Run
from .lease_source import LeaseSource
from .options import BatchOptions
from .outcomes import OutcomesCore
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

RequestT_co = TypeVar("RequestT_co", covariant=True)

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


def outcomes_of(
    pool: LeaseSource,
    run: Run,
    requests: Iterable[Any] | RequestPlan[Any],
    options: BatchOptions,
    start: Callable[[Scheduler, Dispatcher], None],
) -> OutcomesCore[Any, Any]:
    """Run many requests; see `Pool.map`.

    Args:
        pool: The core of the pool.
        run: Runs one request; see `runner_of` and `streamer_of`.
        requests: The requests, or a plan.
        options: The other arguments of `Pool.map`.
        start: Starts what serves requests: a thread, or a task.
    """
    pool.check_open(_DOING)
    in_flight = _IN_FLIGHT_PER_WORKER * pool.max_workers if options.in_flight is None else options.in_flight
    capability, ordered = options.capability, options.ordered
    _check_int("in_flight", in_flight, 1)
    _check_int("retries", options.retries, 0)
    if ordered is not None:
        check_flag(_DOING, ordered=ordered)
    check_kind(_DOING, "cancel", options.cancel, CancelToken)
    check_callable(_DOING, "progress", on_done=options.on_done)
    if capability is not None:
        check_method(_DOING, "capability", capability, "launch")
    batches: Any = None if isinstance(requests, type) else attribute_of(requests, "batches")
    if batches is None:
        check_several(_DOING, "requests", requests, "requests")
    else:
        check_several(_DOING, "the batches of the plan", batches, "batches")
    if (batches is None) == (capability is None):
        raise UsageError(
            "running many requests: expected a capability for requests, and none for a plan, "
            f"got {type(requests).__name__} and capability={shown(capability)}",
            hint="Give capability= with requests; a plan has its own.",
        )
    if batches is not None:
        groups, total = _groups_of_plan(batches), _total_of_plan(batches)
    else:
        assert capability is not None
        source = cast("Iterable[Any]", requests)
        groups, total = _groups_of(source, capability), len(source) if isinstance(source, Sized) else None
    return OutcomesCore(
        pool,
        groups,
        total,
        run,
        is_plan=batches is not None,
        ordered=batches is None if ordered is None else ordered,
        in_flight=in_flight,
        options=options,
        start=start,
    )


# -- requests as groups --


def _groups_of(requests: Iterable[Any], capability: Capability) -> Iterator[ItemGroup]:
    source = iter(requests)
    return (ItemGroup(capability, [Item(index, request)]) for index, request in enumerate(source))


def _groups_of_plan(batches: Iterable[RequestBatch[Any]]) -> Iterator[ItemGroup]:
    index = 0
    for batch in batches:
        _check_batch(batch)
        items = [Item(number, request) for number, request in enumerate(batch.requests, index)]
        index += len(items)
        if items:
            yield ItemGroup(batch.capability, items)


def _check_batch(batch: RequestBatch[Any]) -> None:
    """Refuse what is no batch.

    Raises:
        UsageError: It has no capability, or no requests.
    """
    check_method(_DOING, "the capability of a batch", getattr(batch, "capability", None), "launch")
    check_several(_DOING, "the requests of a batch", getattr(batch, "requests", None), "requests")


def _total_of_plan(batches: Iterable[RequestBatch[Any]]) -> int | None:
    if not isinstance(batches, Sized):
        return None
    total = 0
    for batch in batches:
        _check_batch(batch)
        if not isinstance(batch.requests, Sized):
            return None
        total += len(batch.requests)
    return total


# -- one request --


def _streaming(
    lease: LeaseCore,
    command: StreamingCommand[Any, RowT, SummaryT],
    item: Item,
    options: RequestOptions,
    take: Callable[[Rows[RowT, SummaryT]], object],
) -> Steps[StreamSummary[SummaryT]]:
    """Run one request; `take` takes the rows at hand, again and again."""
    rows = yield from lease.streaming(command, item.request, options)
    item.rows = lambda: rows.rows_delivered
    try:
        while (yield from rows.receiving()):
            take(rows)
    except BaseException as error:
        yield from rows.closing(error)
        raise
    return rows.summary


def _options_for(item: Item, options: BatchOptions, token: CancelToken) -> RequestOptions:
    timeout = options.timeout
    seconds = result_of("timeout", timeout(item.request)) if callable(timeout) else timeout
    return RequestOptions(seconds, token, _for_item(item, options.on_diagnostic), _for_item(item, options.on_progress))


class _StoredRows:
    """Count the rows that a request on a lease has handed to its sink: as the stream says, then as it ended."""

    def __init__(self, lease: LeaseCore) -> None:
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


def runner_of(command: Command[Any, Any], options: BatchOptions) -> Run:
    """Run one request of `map`."""
    _check_types(command)
    _check_options(options)

    def call(lease: LeaseCore, item: Item, token: CancelToken) -> Steps[Any]:
        assert isinstance(command, JsonCommand)
        return (yield from lease.calling(command, item.request, _options_for(item, options, token)))

    def collect(lease: LeaseCore, item: Item, token: CancelToken) -> Steps[Collected[Any, Any]]:
        assert isinstance(command, StreamingCommand)
        values: list[Any] = []
        each = _options_for(item, options, token)
        summary = yield from _streaming(lease, collecting(command), item, each, values.extend)
        return collected(command, values, summary)

    return call if isinstance(command, JsonCommand) else collect


def streamer_of(
    command: StreamingCommand[Any, Any, Any],
    on_row: Callable[[int, Any], object] | None,
    sink: Callable[[int, Any], SinkChoice[Any]] | None,
    options: BatchOptions,
) -> Run:
    """Run one request of `stream_many`."""
    check_command(command, StreamingCommand)
    check_callable(_DOING, "index", "row", on_row=on_row)
    check_callable(_DOING, "index", "request", sink=sink)
    if (on_row is None) == (sink is None):
        raise UsageError(
            f"running {command.name} many times: expected either on_row or sink",
            hint="Give on_row=, or sink=.",
            command=command.name,
        )
    if on_row is not None and type(options.retries) is int and options.retries:
        raise UsageError(
            f"running {command.name} many times: with on_row and retries rows would come twice",
            hint="Use a sink, which stores the rows of the run that succeeded.",
            command=command.name,
        )
    _check_types(command)
    _check_options(options)
    if on_row is not None:
        return _passing_on(command, on_row, options)
    assert sink is not None
    return _storing(command, sink, options)


def _passing_on(
    command: StreamingCommand[Any, Any, Any], on_row: Callable[[int, Any], object], options: BatchOptions
) -> Run:
    def stream(lease: LeaseCore, item: Item, token: CancelToken) -> Steps[StreamSummary[Any]]:
        index = item.index

        @calls_handlers
        def take(rows: Rows[Any, Any]) -> None:
            for row in rows:
                if (result := on_row(index, row)) is not None:
                    result_of("on_row", result)

        try:
            return (yield from _streaming(lease, command, item, _options_for(item, options, token), take))
        except NodeLost as error:
            error.add_facts(rows_seen=item.rows())
            raise

    return stream


def _storing(
    command: StreamingCommand[Any, Any, Any], sink: Callable[[int, Any], SinkChoice[Any]], options: BatchOptions
) -> Run:
    @calls_handlers
    def store(lease: LeaseCore, item: Item, token: CancelToken) -> Steps[StreamSummary[Any]]:
        item.rows = rows = _StoredRows(lease)
        each = _options_for(item, options, token)
        chosen = result_of("sink", sink(item.index, item.request))
        if chosen is None:
            raise UsageError(
                f"calling sink for request {item.index} of {command.name}: expected a sink, got None",
                hint="Return one from sink=, as in `lambda index, request: JsonLinesSink(f'{index}.jsonl')`.",
                command=command.name,
            )
        try:
            summary = yield from lease.running_into(command, item.request, chosen, each)
        except LeanWorkerError as error:
            rows.end(error.rows_delivered)
            raise
        rows.end(summary.total_rows)
        return summary

    return store


def _check_options(options: BatchOptions) -> None:
    check_callable(_DOING, "index", "diagnostic", on_diagnostic=options.on_diagnostic)
    check_callable(_DOING, "index", "progress", on_progress=options.on_progress)
    if callable(options.timeout):
        check_callable(_DOING, "request", timeout=options.timeout)
    elif not isinstance(options.timeout, DefaultTimeout):
        check_timeout("timeout", options.timeout)


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
