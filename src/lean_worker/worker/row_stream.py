"""Rows of one request as an iterator: typed, in order, each at the moment it is there.

Owns what a caller may believe about rows: sequences without gaps, a summary that agrees with what was delivered, and
exactly one end. Hides frames and batches. Callers decide what to do with rows, and when they count as done: only after
the iterator ended by itself and `summary` is there.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from ..base.arguments import check_callable
from ..base.forks import foreign
from ..base.interrupts import Leaving
from ..commands import RowT, StreamingCommand, SummaryT
from ..errors import Cancelled, LeanWorkerError, ProtocolError, SummaryMismatch, UnexpectedMessage, UsageError
from ..events import Diagnostic, Progress
from ..steps.tasks import Task
from ..steps.waiting import Event, Pause, Steps, run
from ..wire import protocol
from ..wire.decode import AnyRowDecoder, decode_text, row_decoder
from ..wire.envelope import Message
from ..wire.frames import Flag, Row, RowCursor
from ..wire.responses import failure_of, unexpected
from ..wire.row_types import RowTypes
from .channel import LINGER
from .exchange import Exchange

_MOST_ITEMS = 4096
OnDiagnostic = Callable[[Diagnostic], object]
OnProgress = Callable[[Progress], object]
_T = TypeVar("_T")
_R = TypeVar("_R", bound=protocol.Response)


@dataclasses.dataclass(frozen=True)
class StreamSummary(Generic[SummaryT]):
    """The terminal success of a stream; it exists only when every row was delivered.

    Attributes:
        total_rows: Rows of all streams; equals the number of rows delivered.
        per_stream_counts: Rows of each stream, by its name.
        elapsed_us: How long the command ran in the worker, by the worker's clock, in microseconds.
        metadata: The command's own summary, typed as declared; None if it gave none.
    """

    total_rows: int
    per_stream_counts: dict[str, int]
    elapsed_us: int
    metadata: SummaryT | None

    def _repr_html_(self) -> str:
        from ..notebook import table

        return table(f"{self.total_rows:,} rows", self.shown_facts())

    def shown_facts(self) -> list[tuple[str, object]]:
        """Return the names and values that a notebook shows."""
        from ..notebook import short_text

        return [
            ("streams", self.per_stream_counts if len(self.per_stream_counts) > 1 else None),
            ("seconds", round(self.elapsed_us / 1e6, 3)),
            ("metadata", None if self.metadata is None else short_text(self.metadata)),
        ]


@dataclasses.dataclass(frozen=True)
class Collected(Generic[RowT, SummaryT]):
    """All rows of a request that ended in success, and its summary.

    Attributes:
        rows: In the order in which they came.
        by_stream: The rows of each declared stream, if the command declares several (`row={…}`); otherwise None.
    """

    rows: list[RowT]
    summary: StreamSummary[SummaryT]
    by_stream: dict[str, list[RowT]] | None = None

    def __repr__(self) -> str:
        from ..notebook import few, short

        return f"Collected({len(self.rows):,} rows: {few(self.rows)}, {short(self.summary, 400)})"

    def _repr_html_(self) -> str:
        from ..notebook import table

        return table(f"{len(self.rows):,} rows", self.summary.shown_facts(), rows=self.rows)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("pandas")

    def to_polars(self) -> Any:
        """The rows as a polars DataFrame; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("polars")

    def to_arrow(self) -> Any:
        """The rows as a pyarrow Table; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("arrow")

    def _tables(self, kind: Literal["pandas", "polars", "arrow"]) -> Any:
        from ..tables import to_table

        if self.by_stream is None:
            return to_table(self.rows, kind)
        return {stream: to_table(rows, kind) for stream, rows in self.by_stream.items()}


def collecting(command: StreamingCommand[Any, Any, SummaryT]) -> StreamingCommand[Any, Any, SummaryT]:
    """The command as which `collected` wants it run: with several row types, rows come with their stream."""
    if not isinstance(command.row, RowTypes):
        return command
    return dataclasses.replace(command, row=command.row.tagged())


def collected(
    command: StreamingCommand[Any, RowT, SummaryT], rows: list[Any], summary: StreamSummary[SummaryT]
) -> Collected[RowT, SummaryT]:
    """All rows of `collecting(command)`."""
    if not isinstance(command.row, RowTypes):
        return Collected(rows, summary)
    by_stream: dict[str, list[RowT]] = {stream: [] for stream in command.row}
    for stream, row in rows:
        by_stream[stream].append(row)
    return Collected([row for _, row in rows], summary, by_stream)


class EventSinks:
    """The receivers of diagnostics and progress while a request runs; what has no sink is dropped.

    Attributes:
        on_diagnostic: Called with each `Diagnostic`, if given.
        on_progress: Called with each `Progress`, if given.
    """

    def __init__(self, on_diagnostic: OnDiagnostic | None, on_progress: OnProgress | None) -> None:
        check_callable("running a command", on_diagnostic=on_diagnostic, on_progress=on_progress)
        self.on_diagnostic = on_diagnostic
        self.on_progress = on_progress

    def take(self, message: Message) -> protocol.Response | None:
        """Hand an event to its sink, or return the response that ends the request.

        Raises:
            UnexpectedMessage: The message has no place within a request.
            Exception: Whatever a sink raises.
        """
        body = protocol.decode(message)
        if isinstance(body, protocol.Response):
            return body
        if isinstance(body, protocol.DiagnosticBody):
            if self.on_diagnostic is not None:
                self.on_diagnostic(Diagnostic(body.code, body.message))
        elif isinstance(body, protocol.ProgressBody):
            if self.on_progress is not None:
                self.on_progress(Progress(body.phase, body.current, body.total))
        else:
            raise UnexpectedMessage(f"within a request: a {message.type!r} message has no place here", side="remote")
        return None


class Holder(Protocol):
    """The part of a lease that a stream uses."""

    def hold_until(self, moment: Event) -> None:
        """Begin nothing before `moment`."""
        ...


class Rows(RowCursor, Generic[RowT, SummaryT]):
    """The rows of one request, their checks and their end, as steps, for whoever drives them.

    Iterating over it gives the rows that are at hand, and waits for none.

    Attributes:
        rows_delivered: Rows handed out so far; tentative until `summary` is there.
    """

    def __init__(
        self,
        exchange: Exchange,
        command: StreamingCommand[Any, RowT, SummaryT],
        generation: int,
        sinks: EventSinks,
        on_end: Callable[[int, BaseException | None], None],
        decoder: AnyRowDecoder | None = None,
    ) -> None:
        decoder = decoder or row_decoder(command.row, command.name)
        super().__init__(exchange.reader, exchange.interruption.flag, decoder.decode_text, decoder.decode, decoder.flat)
        self._exchange = exchange
        self._interruption = exchange.interruption
        self._command = command
        self._generation = generation
        self._sinks = sinks
        self._on_end = on_end
        self._summary: StreamSummary[SummaryT] | None = None
        self._is_open = True
        self._is_driven = False
        self._holder: Holder | None = None

    def belongs_to(self, holder: Holder) -> None:
        """Tell the stream its lease, which waits for the end of a stream that was dropped."""
        self._holder = holder

    # -- iteration: `next` itself is the cursor's, as long as rows are at hand --

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[RowT]: ...

        def __next__(self) -> RowT: ...

    def receiving(self) -> Steps[bool]:
        """Wait until there are rows at hand; comes to False when the stream has ended. All rows before must be out."""
        if not self._is_open:
            self._check_owner()
            return False
        if self._is_driven:
            raise UsageError(
                f"running {self._command.name}: another thread waits for this stream",
                hint="Let one thread take its rows.",
                command=self._command.name,
            )
        try:
            self._is_driven = True
            since: float | None = None
            while True:
                self._exchange.check()
                if self.fill():
                    self._is_driven = False
                    return True
                messages = self._exchange.reader.take(1)
                if not messages:
                    if since is None and self._exchange.is_flowing():
                        yield LINGER
                        since = time.monotonic()
                        if self._exchange.read_at_once():
                            continue  # once: whether a whole frame came in time is for `reading_more` to say
                    since = yield from self._exchange.reading_more(since)
                    continue
                since = None
                if (yield from self._taking(messages[0])):
                    self._is_driven = False
                    return False
        except BaseException as error:
            self._is_driven = False
            yield from self._giving_up(error)
            raise

    def _taking(self, item: Row | Message) -> Steps[bool]:
        """Whether `item` was the response that ends the request in success."""
        assert isinstance(item, Message)
        response = self._sinks.take(item)
        if response is None:
            return False
        if self._exchange.has_more():
            raise UnexpectedMessage(f"running {self._command.name}: frames came after the response", side="remote")
        failure = failure_of(response, self._command.name)
        summary = None
        if failure is None:
            if not isinstance(response, protocol.StreamComplete):
                raise unexpected(response, self._command.name)
            self._check_counts(response.summary)
            summary = response.summary
        yield from self._exchange.finishing()
        if summary is None:
            assert failure is not None
            raise failure
        self._summary = self._read_summary(summary)
        self._is_open = False
        self._on_end(self.rows_delivered, None)
        return True

    def _check_counts(self, summary: protocol.WireSummary) -> None:
        delivered = self.counts()
        counted = {stream: count for stream, count in summary.per_stream_counts.items() if count}
        if summary.total_rows == self.rows_delivered and counted == delivered:
            return
        raise SummaryMismatch(
            f"running {self._command.name}: the summary counts {summary.total_rows} rows "
            f"({counted}), delivered were {self.rows_delivered} ({delivered})",
            side="remote",
            expected=self.rows_delivered,
            received=summary.total_rows,
        )

    def _read_summary(self, summary: protocol.WireSummary) -> StreamSummary[SummaryT]:
        text = bytes(summary.metadata)
        metadata: SummaryT | None = None
        if text != b"null":
            metadata = decode_text(self._command.summary, text, "summary", command=self._command.name)
        return StreamSummary(summary.total_rows, summary.per_stream_counts, summary.elapsed_micros, metadata)

    # -- ends --

    def _giving_up(self, error: BaseException) -> Steps[None]:
        if isinstance(error, LeanWorkerError):
            stream, sequence = self.last() or (None, None)
            error.add_facts(
                command=self._command.name,
                stream=stream,
                sequence=sequence,
                rows_delivered=self.rows_delivered,
                generation=self._generation,
                entered_worker=True,
            )
        if self.is_open:
            yield from self.stopping(error, broken=isinstance(error, ProtocolError))

    def _check_owner(self) -> None:
        if not self._exchange.is_here:
            raise foreign(f"running {self._command.name}", "stream")

    def stopping(self, error: BaseException, *, broken: bool = False) -> Steps[None]:
        """End the request for `error`, which is the worker's own fault if it has `broken` the protocol."""
        try:
            self._is_open = False
            self.drop()
            if broken and not self._exchange.is_over:
                yield from self._exchange.failing(error)
            else:
                yield from self._exchange.abandoning(error, ())
        finally:
            self._on_end(self.rows_delivered, error)

    def closing(self, error: BaseException | None = None) -> Steps[None]:
        """Stop the request if it has not ended; `error` is why, if it is one of the caller's own."""
        if not self._exchange.is_here:
            self._is_open = False
            return
        if self.is_open and self._is_driven:
            # A signal handler, a callback of the request, or another thread: whoever waits for rows ends it.
            self._interruption.set(Cancelled("the stream was closed before its end"))
            return
        if error is None:
            yield from self._giving_up(Cancelled("the stream was closed before its end"))
        elif self.is_open:
            yield from self.stopping(error)

    def close_soon(self) -> None:
        """Stop the request on the monitor's thread if it has not ended; for finalizers and interrupts."""
        if not self.is_open or not self._exchange.is_here:
            return
        self._is_driven = False
        task = Task(self.closing())
        if self._holder is not None:
            self._holder.hold_until(task.done)
        task.post()

    def resting(self) -> Steps[None]:
        """Let others go first; interrupted in that, the request is stopped."""
        try:
            yield Pause()
        except BaseException as error:
            yield from self.closing(error)
            raise

    # -- facts --

    @property
    def halted(self) -> Flag:
        """Set, from any thread, when no further row may be handed on."""
        return self._interruption.flag

    @property
    def received_bytes(self) -> int:
        """Bytes of frames read for the request so far."""
        return self._exchange.received_bytes

    @property
    def state(self) -> str:
        """State in a word: "open", "complete", or "stopped" if it ended without success."""
        return "open" if self._is_open else "stopped" if self._summary is None else "complete"

    @property
    def is_open(self) -> bool:
        """Whether the request has not ended, nor is being ended.

        An interrupt can come in the middle of its end; then it is still open.
        """
        return self._is_open or not self._exchange.is_over

    @property
    def summary(self) -> StreamSummary[SummaryT]:
        """The summary of a stream that ended in success.

        Raises:
            UsageError: The stream has not ended in success: its rows are not to be relied on.
        """
        if self._summary is None:
            raise UsageError(
                f"reading the summary of {self._command.name}: the stream has not ended in success",
                hint="Iterate to the end first; rows before that are tentative.",
                command=self._command.name,
                rows_delivered=self.rows_delivered,
            )
        return self._summary


class RowStream(Leaving, Rows[RowT, SummaryT], Iterator[RowT]):
    """The rows of one request, live. Made by `Lease.stream`; one thread uses it, any may `close` it.

    Leaving the `with` block, or `close`, before the end stops the request in the worker; the lease can then be used
    again. Rows that were delivered before a failure are tentative: the failure says how many there were.

    Attributes:
        rows_delivered: Rows handed out so far; tentative until `summary` is there.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._command.name}: {self.state}, {self.rows_delivered} rows>"

    def _advance(self) -> RowT:
        if not run(self.receiving()):
            raise StopIteration
        row: RowT = next(self)
        return row

    def close(self) -> None:
        """Stop the request if it has not ended; legal at any time and twice.

        While a thread waits for rows, as when a signal handler interrupts it, this only asks that thread to stop: the
        iteration raises `Cancelled`. In a forked child this does nothing.
        """
        self.__exit__(None, None, None)

    def __enter__(self) -> RowStream[RowT, SummaryT]:
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self.closing(error))

    def _left(self) -> None:
        self.close_soon()

    def _dropped(self) -> None:
        if hasattr(self, "_is_open"):
            self.close_soon()


def awaiting_response(
    exchange: Exchange,
    command: str,
    generation: int,
    sinks: EventSinks,
    kind: type[_R],
    decode: Callable[[_R], _T],
) -> Steps[_T]:
    """The end of a request that has no rows.

    Args:
        exchange: The request.
        command: Its name, for errors.
        generation: The worker's, for errors.
        sinks: Where its events go.
        kind: The response that means success.
        decode: Turns that into the caller's value.

    Raises:
        LeanWorkerError: As the response, the worker's end, or the interruption says.
        Exception: Whatever a sink raises; the worker is stopped or replaced.
    """
    undelivered: collections.deque[Row | Message] = collections.deque()
    since: float | None = None
    try:
        while True:
            exchange.check()
            undelivered.extend(exchange.reader.take(_MOST_ITEMS))
            since = None if undelivered else (yield from exchange.reading_more(since))
            while undelivered:
                item = undelivered.popleft()
                if isinstance(item, Row):
                    raise UnexpectedMessage(f"running {command}: a row came for a command without rows", side="remote")
                response = sinks.take(item)
                if response is None:
                    continue
                if undelivered:
                    raise UnexpectedMessage(f"running {command}: frames came after the response", side="remote")
                failure = failure_of(response, command)
                if failure is None and not isinstance(response, kind):
                    raise unexpected(response, command)
                yield from exchange.finishing()
                if failure is not None:
                    raise failure
                assert isinstance(response, kind)
                return decode(response)
    except BaseException as error:
        if isinstance(error, LeanWorkerError):
            error.add_facts(command=command, generation=generation, entered_worker=True)
        if isinstance(error, ProtocolError) and not exchange.is_over:
            yield from exchange.failing(error)
        else:
            yield from exchange.abandoning(error, undelivered)
        raise
