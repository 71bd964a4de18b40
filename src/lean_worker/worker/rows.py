"""Rows of one request: typed, in order, each at the moment it arrives.

Owns what a caller may believe about rows: sequences without gaps, a summary that agrees with what was delivered, and
exactly one end. Hides frames and batches. Callers decide what to do with rows, and when they count as done: only after
the iterator ended by itself and `summary` is there.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol

from ..base.counts import counted
from ..base.forks import foreign
from ..base.memory_room import check_room_for_values
from ..base.system_errors import no_memory
from ..commands import RowT, StreamingCommand, SummaryT
from ..errors import Cancelled, LeanWorkerError, SummaryMismatch, UnexpectedMessage, UsageError
from ..results import StreamSummary
from ..steps.tasks import Task
from ..steps.waiting import Event, Pause, Steps, Until, run
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import Flag, Row, RowCursor
from ..wire.json_types import decode_text
from ..wire.responses import failure_of, unexpected
from ..wire.row_decoders import AnyRowDecoder, row_decoder
from .channel import EndOfFrames
from .exchange import Exchange
from .options import RequestOptions

_HINT_IF_OPEN = "Iterate to the end first; rows before that are tentative."
_HINT_IF_STOPPED = (
    "Run it again, and close the stream or release the lease (in on_row, too) only after the last row; "
    "the rows before that are tentative."
)


class Holder(Protocol):
    """The part of a lease that a stream uses."""

    def hold_until(self, moment: Event) -> None:
        """Begin nothing before `moment`."""
        ...


class Kept(Protocol):
    """The request of a lease.

    Attributes:
        has_stream: Whether the finalizer of a stream stops it; otherwise it is given up with whoever drives it.
    """

    has_stream: bool


class _Driver:
    """Whoever drives the steps of a stream at the moment: waits for its rows, or ends it.

    Attributes:
        thread: Where.
        over: When the end of the stream is done; None for one who waits for rows.
    """

    __slots__ = ("over", "thread")

    def __init__(self, *, is_end: bool) -> None:
        self.thread = _thread.get_ident()
        self.over = Event() if is_end else None

    def left(self) -> None:
        """Tell those who wait for the end of the stream."""
        if self.over is not None:
            self.over.set()


class Rows(RowCursor, Generic[RowT, SummaryT]):
    """The core of a row stream: the rows of one request, their checks and their end, as steps.

    Iterating over it returns the available rows and waits for none. `RowStream` and `AsyncRowStream` drive it.

    Attributes:
        rows_delivered: Rows handed out so far; tentative until `summary` is there.
    """

    def __init__(
        self,
        exchange: Exchange,
        command: StreamingCommand[Any, RowT, SummaryT],
        generation: int,
        options: RequestOptions,
        on_end: Callable[[int, BaseException | None], None],
        decoder: AnyRowDecoder | None = None,
    ) -> None:
        decoder = decoder or row_decoder(command.row, command.name)
        super().__init__(exchange.reader, exchange.interruption.flag, decoder.decode_text, decoder.decode, decoder.flat)
        self._exchange = exchange
        self._interruption = exchange.interruption
        self._command = command
        self._generation = generation
        self._options = options
        self._on_end = on_end
        self._summary: StreamSummary[SummaryT] | None = None
        self._is_open = True
        self._driver: dict[int, _Driver] = {}
        """One at most: `setdefault` is one atomic step.

        Taken in a `try` block and given back in its `finally`, without a call. Python looks for interrupts where
        something is called, where a function begins and where it jumps back. So none comes between the end of the block
        and the return of the place. With a context manager written in Python one does (2 of 1,000 interrupts).
        """
        self._thread = _thread.get_ident()
        self._was_closed_elsewhere = False
        self._may_just_end = False
        self._holder: Holder | None = None
        self._request: Kept | None = None
        self._found = 1

    def __str__(self) -> str:
        state = "open" if self._is_open else "stopped" if self._summary is None else "complete"
        return f"{self._command.name}: {state}, {counted(self.rows_delivered, 'rows')}"

    def belongs_to(self, holder: Holder, request: Kept) -> None:
        """Tell the stream its lease, which waits for the end of a stream that was dropped, and the lease's request."""
        self._holder = holder
        self._request = request

    def keep(self, has_stream: bool) -> None:
        """Tell whether an object that nobody drives has these rows, and stops them by its finalizer."""
        if self._request is not None:
            self._request.has_stream = has_stream

    # -- iteration: `next` itself is the cursor's, as long as rows are at hand --

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[RowT]: ...

        def __next__(self) -> RowT: ...

    def check_not_stopped(self) -> None:
        """Refuse to iterate over a stream that was stopped: it would look like a complete one.

        Raises:
            UsageError: It was closed or has failed before its end.
        """
        if self._summary is None and not self.is_open and not self._was_closed_elsewhere:
            raise self._stopped()

    def _stopped(self) -> UsageError:
        return UsageError(
            f"taking rows of {self._command.name}: the stream was closed, or failed, before its end",
            hint=_HINT_IF_STOPPED,
            command=self._command.name,
            rows_delivered=self.rows_delivered,
        )

    def receiving(self) -> Steps[bool]:
        """Wait until there are rows at hand; comes to False when the stream has ended. All rows before must be out.

        Raises:
            Cancelled: Another thread or task has closed the stream, or its lease was released.
            UsageError: It was stopped before its end, by a failure, the end of its `with` block or a close. Only the
                loop that closes it itself is told once that there are no more rows.
        """
        if not self._is_open:
            return self._has_ended()
        me = _Driver(is_end=False)
        try:
            other = self._driver.setdefault(0, me)
            if other is me:
                if self._is_open:
                    self._thread = me.thread
                    return (yield from self._receiving())
            elif other.over is not None:
                yield Until(other.over, None)
            else:
                raise UsageError(
                    f"running {self._command.name}: another thread waits for this stream",
                    hint="Let one thread take its rows.",
                    command=self._command.name,
                )
        finally:
            if 0 in self._driver and self._driver[0] is me:  # no call: see `_driver`
                del self._driver[0]
        return self._has_ended()

    def _has_ended(self) -> bool:
        self._check_owner()
        if self._was_closed_elsewhere:
            error = Cancelled(
                "the stream was closed before its end",
                hint="Take its rows before it is closed, or its lease is released.",
            )
            self._add_facts(error)
            try:
                raise error
            finally:
                del error  # no cycle of an error, its traceback, and this frame
        if self._summary is not None:
            return False
        if not self._may_just_end:
            raise self._stopped()
        self._may_just_end = False
        return False

    def _receiving(self) -> Steps[bool]:
        try:
            try:
                return (yield from self._taking_more())
            except MemoryError as error:
                raise no_memory(f"running {self._command.name}") from error
        except BaseException as error:
            yield from self._giving_up(error)
            raise

    def _taking_more(self) -> Steps[bool]:
        since: float | None = None
        while True:
            if self._decode():
                return True
            messages = self._exchange.reader.take(1)
            if not messages:
                if since is None and (seconds := self._exchange.seconds_to_linger(self._found)) is not None:
                    yield Pause(seconds)
                    since = time.monotonic()
                    if self._exchange.read_at_once():
                        continue  # once: whether a whole frame came in time is for `reading_more` to say
                since = yield from self._exchange.reading_more(since)
                continue
            since = None
            if (yield from self._taking(messages[0])):
                return False

    def _decode(self) -> bool:
        """Decode the rows at hand, and return True if there are any."""
        self._exchange.check()
        check_room_for_values(self._exchange.reader.pending_bytes)
        found = self.fill()
        if found:
            self._found = found
        return found > 0

    def look(self) -> bool:
        """Wait for rows while they flow, without steps, on the calling thread; return True if some came.

        Call it where `receiving` may be called. If it returns False, `receiving` says what there is instead of rows.
        An interrupt ends the request, as in `receiving`.
        """
        if self._exchange.reader.pending_bytes or not self._exchange.is_here:
            return False
        me = _Driver(is_end=False)
        try:
            if self._driver.setdefault(0, me) is not me or not self._is_open:
                return False
            self._thread = me.thread
            try:
                seconds = self._exchange.seconds_to_linger(self._found)
                if seconds is None:
                    return False
                if seconds:
                    time.sleep(seconds)
                try:
                    return self._exchange.read_at_once() and self._decode()
                except (LeanWorkerError, EndOfFrames, MemoryError):
                    return False  # `receiving` meets it again, unlike what a signal handler has raised
            except BaseException as error:
                run(self._giving_up(error))
                raise
        finally:
            if 0 in self._driver and self._driver[0] is me:  # no call: see `_driver`
                del self._driver[0]

    def _taking(self, item: Row | Message) -> Steps[bool]:
        """Whether `item` was the response that ends the request in success."""
        assert isinstance(item, Message)
        response = self._options.take(item)
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
            try:
                raise failure
            finally:
                del failure  # no cycle of an error, its traceback, and this frame
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
            # Not in a row: the last one has nothing to do with it.
            facts = {"command": self._command.name, "stream": None, "sequence": None}
            metadata = decode_text(self._command.summary, text, "summary", **facts)
        return StreamSummary(summary.total_rows, summary.per_stream_counts, summary.elapsed_micros, metadata)

    # -- ends --

    def _giving_up(self, error: BaseException) -> Steps[None]:
        if isinstance(error, LeanWorkerError):
            self._add_facts(error)
        if self.is_open:
            yield from self.stopping(error, broken=isinstance(error, LeanWorkerError) and error.by_protocol)

    def _add_facts(self, error: LeanWorkerError) -> None:
        stream, sequence = self.last() or (None, None)
        error.add_facts(
            command=self._command.name,
            stream=stream,
            sequence=sequence,
            rows_delivered=self.rows_delivered,
            generation=self._generation,
            entered_worker=True,
        )

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

    def closing(
        self, error: BaseException | None = None, *, by_other: bool = False, is_left: bool = False
    ) -> Steps[None]:
        """Stop the request if it has not ended.

        Args:
            error: The reason, if it is one of the caller's own.
            by_other: Whether somebody else may take the rows, on the same thread: another task, or whoever releases
                the lease before they are out. He is told at his next step.
            is_left: Whether the `with` block ends. A loop within it is over; what takes rows later, such as a generator
                expression that was made there, must not seem to have them all.
        """
        if not self._exchange.is_here:
            self._is_open = False
            return
        if not self.is_open:
            self._may_just_end = self._may_just_end and not is_left
            return
        me = _Driver(is_end=True)
        try:
            other = self._driver.setdefault(0, me)
            if other is me:
                if not self.is_open:
                    return
                is_close = error is None and not is_left
                self._may_just_end = is_close and self.rows_delivered > 0  # a loop may be in progress
                self._was_closed_elsewhere = by_other or (error is None and me.thread != self._thread)
                if error is None:
                    yield from self._giving_up(Cancelled("the stream was closed before its end"))
                else:
                    yield from self.stopping(error)
            elif other.over is not None and other.thread != me.thread:
                yield Until(other.over, None)  # another thread ends it
            else:
                # A signal handler, a callback of the request, or another thread: whoever waits for rows ends it.
                self._interruption.set(Cancelled("the stream was closed before its end"))
        finally:
            if 0 in self._driver and self._driver[0] is me:  # no call: see `_driver`
                del self._driver[0]
            try:
                me.left()
            except BaseException:
                me.left()  # interrupted before it had told anybody
                raise

    def close_soon(self) -> None:
        """Stop the request on the monitor's thread if it has not ended; for finalizers and interrupts."""
        if not self.is_open or not self._exchange.is_here:
            return
        driver = self._driver.get(0)
        if driver is not None and driver.over is None and self._driver.get(0) is driver:
            del self._driver[0]  # it was interrupted: nobody waits for rows any more
        task = Task(self._exchange.monitor, self.closing())
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
            is_open = self.is_open
            raise UsageError(
                f"reading the summary of {self._command.name}: the stream "
                + ("has not ended in success" if is_open else "ended without success, by a failure or before its end"),
                hint=_HINT_IF_OPEN if is_open else _HINT_IF_STOPPED,
                command=self._command.name,
                rows_delivered=self.rows_delivered,
            )
        return self._summary
