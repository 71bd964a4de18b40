"""The right to one worker: commands in, typed answers out.

Owns how a typed command becomes a request and its answer a typed value, and what makes a lease stale. Hides which
worker it is. Callers decide deadlines, cancellation, and where rows go.
"""

from __future__ import annotations

import _thread
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.arguments import check_callable, check_kind, check_text
from ..base.forks import Owner
from ..base.interrupts import Leaving
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from ..errors import LeanWorkerError, StaleLease, UsageError
from ..hosting.host_session import OpeningReport
from ..policy import Timeouts, check_timeout
from ..steps.tasks import on_monitor
from ..steps.waiting import Event, Steps, Until, run
from ..wire import protocol
from ..wire.decode import AnyRowDecoder, decode_text, encode_request, row_decoder
from ..wire.json_types import text_decoder
from ..worker.row_stream import (
    Collected,
    EventSinks,
    OnDiagnostic,
    OnProgress,
    Rows,
    RowStream,
    StreamSummary,
    awaiting_response,
    collected,
    collecting,
)
from .loan import Hold, Loan, Request

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

_T = TypeVar("_T")
_R = TypeVar("_R", bound=protocol.Response)
_RowsT = TypeVar("_RowsT", bound=Rows[Any, Any])


class DefaultTimeout:
    """Stands for "the pool's own time limit" where None already means "no limit"."""

    def __repr__(self) -> str:
        return "the pool's limit"


DEFAULT = DefaultTimeout()
Timeout = float | None | DefaultTimeout


def check_command(command: object, kind: type) -> None:
    """Refuse what is no command of that kind.

    Raises:
        UsageError: It is none.
    """
    check_kind("running a command", "command", command, kind)
    if command is None:
        raise UsageError(
            f"running a command: expected command as {kind.__name__}, got None",
            hint=f"Declare it: lw.{kind.__name__}(name).",
        )


class _Turn:
    __slots__ = ("next", "request")

    def __init__(self, request: Request | None) -> None:
        self.request = request
        self.next: dict[int, _Turn] = {}


class _Turns:
    """One request at a time, without a lock: each takes its turn after the last one in one atomic step."""

    __slots__ = ("_turn",)

    def __init__(self) -> None:
        self._turn = _Turn(None)

    @property
    def last(self) -> Request | None:
        turn = self._turn
        while turn.next:
            turn = turn.next[0]
        self._turn = turn
        return turn.request

    def take(self, request: Request) -> Request | None:
        """Take a turn; returns the request that has it instead, or None."""
        while True:
            last = self.last
            turn = self._turn
            if turn.request is not last:
                continue
            if last is not None and not last.is_over:
                return last
            mine = _Turn(request)
            if turn.next.setdefault(0, mine) is mine:
                self._turn = mine
                return None


class Lease(Leaving):
    """One worker, lent by `Pool.lease` until `release` or the end of the `with` block.

    One request at a time; a second one, from any thread, is refused with `UsageError`. After its worker ended every
    call raises `StaleLease` with the reason; take a new lease then. Only a planned replacement between two requests
    (see `MemoryPolicy`) goes unnoticed. A lease that is dropped is released, with a `ResourceWarning`. A lease does not
    survive a fork.

    Every request can end in these ways besides success:
        UsageError: The lease was released or is in use, or the request has no JSON form. Nothing was sent.
        StaleLease: The worker ended before. Nothing was sent.
        Cancelled: The token was cancelled. The worker stays if it stopped in time.
        RequestTimeout: The time limit passed, also while a sink ran. The worker was killed.
        ChildExited: The worker died; says how.
        MemoryLimitExceeded: The worker grew over `MemoryPolicy.kill_above_kib`, and was killed.
        PoisonRequest: The same request ended several workers before. Nothing was sent.
        CommandFailed: The hosted code said no; the worker stays.
        DecodeError: A request, row, response or summary is not of the declared type; the worker stays.
        ProtocolError: The worker broke the protocol, and was killed; or a frame was too large.
        Exception: Whatever a sink raised, unchanged; the worker is stopped at its next row and stays.
    """

    def __init__(self, loan: Loan, timeouts: Timeouts) -> None:
        self._loan = loan
        self._timeouts = timeouts
        self._owner = Owner()
        self._turns = _Turns()
        self._released = False
        self._stream: weakref.ref[Rows[Any, Any]] | None = None
        self._held_until: Event | None = None

    # -- commands --

    def call(
        self,
        command: JsonCommand[RequestT, ResponseT],
        request: RequestT | None = None,
        *,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> ResponseT:
        """Run a command that answers one value, and return that.

        Args:
            command: What to run.
            request: Its request, of the declared type.
            timeout: Seconds until the worker is killed; None for no limit. Default: `Timeouts.request`.
            cancel: Stops the request when it is cancelled.
            on_diagnostic: Called with each `Diagnostic`, on this thread.
            on_progress: Called with each `Progress`, on this thread.
        """
        return run(self.calling(command, request, timeout, cancel, EventSinks(on_diagnostic, on_progress)))

    def metadata(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.MetadataEnvelope:
        """Return what the hosted code says of itself under the metadata command `name`."""
        return run(self.asking_metadata(name, request, timeout, cancel))

    def doctor(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.DoctorEnvelope:
        """The findings of the hosted code's doctor command `name`."""
        return run(self.asking_doctor(name, request, timeout, cancel))

    def stream(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> RowStream[RowT, SummaryT]:
        """Run a streaming command and return its rows as a live iterator; use it in a `with` block.

        The failure of a row, or of the stream, is raised by the iteration. The arguments are those of `call`.
        """
        sinks = EventSinks(on_diagnostic, on_progress)
        return run(self.streaming(RowStream, command, request, timeout, cancel, sinks))

    def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        on_row: Callable[[RowT], object] | None = None,
        sink: SinkChoice | None = None,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> StreamSummary[SummaryT]:
        """Run a streaming command, hand its rows on as they come, and return the summary.

        Args:
            on_row: Called with each row when it is there. Rows are tentative until this returns.
            sink: Where all rows are stored, if and only if this returns: one `Sink` or function for all rows, or a
                mapping from each stream's name to one (None: its rows are dropped), which are committed together.
                Give either this or `on_row`. The time limit covers the request, not the commit after it.

        The other arguments are those of `call`, and so are the errors; and with a sink:
            SinkError: Rows could not be stored; nothing of them is visible. The worker is stopped and stays.
            UsageError: A row came on a stream that the mapping does not name, or the sinks do not go together.
            MissingExtra: A sink needs an extra that is not installed. Nothing was sent.
        """
        check_command(command, StreamingCommand)
        check_callable(f"running {command.name}", on_row=on_row)
        if (on_row is None) == (sink is None):
            raise UsageError(
                f"running {command.name}: expected either on_row or sink",
                hint="Give on_row=, or sink=.",
                command=command.name,
            )
        events = EventSinks(on_diagnostic, on_progress)
        if sink is not None:
            return run(self.running_into(command, request, sink, timeout, cancel, events))
        assert on_row is not None
        with run(self.streaming(RowStream, command, request, timeout, cancel, events)) as rows:
            for row in rows:
                on_row(row)
        return rows.summary

    def collect(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> Collected[RowT, SummaryT]:
        """Run a streaming command and return all its rows, only if it ended in success.

        All rows are held in memory; for many use `run` or `stream`. The arguments are those of `call`.
        """
        check_command(command, StreamingCommand)
        rows: list[Any] = []
        summary = self.run(
            collecting(command),
            request,
            on_row=rows.append,
            timeout=timeout,
            cancel=cancel,
            on_diagnostic=on_diagnostic,
            on_progress=on_progress,
        )
        return collected(command, rows, summary)

    # -- the same as steps, for whoever drives them --

    def calling(
        self,
        command: JsonCommand[RequestT, ResponseT],
        request: RequestT | None,
        timeout: Timeout,
        cancel: CancelToken | None,
        sinks: EventSinks,
    ) -> Steps[ResponseT]:
        """See `call`."""
        check_command(command, JsonCommand)
        decoder = command.response
        text_decoder(decoder)
        wire = protocol.RunJsonCommand(command.name, encode_request(command.request, request, command.name))

        def decode(response: protocol.JsonResult) -> ResponseT:
            value: ResponseT = decode_text(decoder, response.response_json.encode(), "response", command=command.name)
            return value

        return (yield from self._asking(wire, command.name, timeout, cancel, sinks, protocol.JsonResult, decode))

    def asking_metadata(
        self, name: str, request: object, timeout: Timeout, cancel: CancelToken | None
    ) -> Steps[protocol.MetadataEnvelope]:
        """See `metadata`."""
        check_text("asking for metadata", "name", name)
        wire = protocol.CapabilityMetadata(name, encode_request(None, request, name))

        def decode(response: protocol.MetadataResult) -> protocol.MetadataEnvelope:
            value: protocol.MetadataEnvelope = decode_text(
                protocol.MetadataEnvelope, bytes(response.metadata), "metadata", command=name
            )
            return value

        sinks = EventSinks(None, None)
        return (yield from self._asking(wire, name, timeout, cancel, sinks, protocol.MetadataResult, decode))

    def asking_doctor(
        self, name: str, request: object, timeout: Timeout, cancel: CancelToken | None
    ) -> Steps[protocol.DoctorEnvelope]:
        """See `doctor`."""
        check_text("asking a doctor command", "name", name)
        wire = protocol.CapabilityDoctor(name, encode_request(None, request, name))

        def decode(response: protocol.DoctorResult) -> protocol.DoctorEnvelope:
            value: protocol.DoctorEnvelope = decode_text(
                protocol.DoctorEnvelope, bytes(response.report), "doctor report", command=name
            )
            return value

        sinks = EventSinks(None, None)
        return (yield from self._asking(wire, name, timeout, cancel, sinks, protocol.DoctorResult, decode))

    def streaming(
        self,
        kind: Callable[..., _RowsT],
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None,
        timeout: Timeout,
        cancel: CancelToken | None,
        sinks: EventSinks,
    ) -> Steps[_RowsT]:
        """See `stream`; `kind` makes the iterator."""
        check_command(command, StreamingCommand)
        row_decoder(command.row, command.name)
        return (yield from self._streaming(kind, command, request, None, timeout, cancel, sinks))

    def _streaming(
        self,
        kind: Callable[..., _RowsT],
        command: StreamingCommand[RequestT, Any, SummaryT],
        request: RequestT | None,
        decoder: AnyRowDecoder | None,
        timeout: Timeout,
        cancel: CancelToken | None,
        sinks: EventSinks,
    ) -> Steps[_RowsT]:
        text_decoder(command.summary)
        wire = protocol.RunDataStream(command.name, encode_request(command.request, request, command.name))
        hold = yield from self._beginning(wire, command.name, timeout, cancel)
        begun = hold.request
        assert begun.exchange is not None
        try:
            stream = kind(
                begun.exchange,
                command,
                begun.worker.generation,
                sinks,
                lambda rows_delivered, error: self._end(hold.request, rows_delivered, error),
                decoder,
            )
        except BaseException as error:
            yield from begun.exchange.abandoning(error, ())
            self._end(begun, 0, error)
            raise
        # Weakly: a stream that its caller has dropped, as after a plain `for … break`, ends by its finalizer.
        self._stream = weakref.ref(stream)
        begun.delivers(stream)
        stream.belongs_to(self)
        return stream

    def running_into(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None,
        sink: SinkChoice,
        timeout: Timeout,
        cancel: CancelToken | None,
        events: EventSinks,
    ) -> Steps[StreamSummary[SummaryT]]:
        """See `run` with a sink."""
        check_command(command, StreamingCommand)
        from ..sinks.sink_set import SinkSet

        sinks = SinkSet(sink, command)
        decoder = sinks.decoder()
        sinks.open()
        try:
            kind: type[Rows[Any, SummaryT]] = Rows
            rows = yield from self._streaming(kind, command, request, decoder, timeout, cancel, events)
            try:
                yield from sinks.taking(rows)
            except BaseException as error:
                yield from rows.closing(error)
                raise
            sinks.commit(rows.summary)
        finally:
            sinks.close()
        return rows.summary

    def interrupt(self, error: LeanWorkerError) -> None:
        """End the waits of the request in flight, if there is one, with `error`; whoever drives it does the rest."""
        request = self._turns.last
        if request is not None and not request.is_over and request.exchange is not None:
            request.exchange.interruption.set(error)

    def releasing(self) -> Steps[None]:
        """See `release`."""
        self._released = True
        if not self._owner.is_here:
            return
        request = self._turns.last
        try:
            if request is not None and not request.is_over:
                stream = None if self._stream is None else self._stream()
                if stream is not None:
                    yield from stream.closing()
                elif request.thread == _thread.get_ident() and not request.is_lost:
                    # A signal handler, or a callback of the request itself: it cannot end before this returns.
                    self._loan.give_back()
                    return
        finally:
            yield from self._loan.ending()

    # -- one request at a time --

    def _asking(
        self,
        wire: protocol.Request,
        name: str,
        timeout: Timeout,
        cancel: CancelToken | None,
        sinks: EventSinks,
        kind: type[_R],
        decode: Callable[[_R], _T],
    ) -> Steps[_T]:
        hold = yield from self._beginning(wire, name, timeout, cancel)
        request = hold.request
        assert request.exchange is not None
        try:
            value = yield from awaiting_response(request.exchange, name, request.worker.generation, sinks, kind, decode)
        except BaseException as error:
            self._end(request, 0, error)
            raise
        self._end(request, 0, None)
        return value

    def _beginning(
        self, wire: protocol.Request, name: str, timeout: Timeout, cancel: CancelToken | None
    ) -> Steps[Hold]:
        seconds = self._timeouts.request if isinstance(timeout, DefaultTimeout) else timeout
        check_timeout("timeout", seconds)
        check_kind(f"running {name}", "cancel", cancel, CancelToken)
        self._owner.check(f"running {name}", "lease")
        hold = Hold(Request(self._loan, name))
        request = hold.request
        yield from self._taking_turn(request)
        try:
            self._check_usable(name)
            yield from self._loan.beginning(request, wire, seconds, cancel)
            return hold
        except LeanWorkerError:
            request.is_over = True  # nothing was sent, or the worker has ended
            raise

    def _taking_turn(self, request: Request) -> Steps[None]:
        held_until, self._held_until = self._held_until, None
        if held_until is not None:
            yield Until(held_until, None)  # a stream that was dropped is being stopped
        other = self._turns.take(request)
        if other is not None and other.is_lost:
            yield from on_monitor(_losing(other))
            other = self._turns.take(request)
        if other is None:
            return
        request.is_over = True
        raise UsageError(
            f"running {request.command}: another request of this lease has not ended",
            hint="Leave the with block of its stream first, or take a second lease.",
            command=request.command,
        )

    def _check_usable(self, name: str) -> None:
        if self._released:
            raise UsageError(
                f"running {name}: this lease was released",
                hint="Take a new lease, and use it inside of its with block.",
                command=name,
            )
        worker = self._loan.worker
        if not worker.is_usable:
            raise StaleLease(
                f"running {name}: the worker of this lease (generation {worker.generation}) is gone: {worker.why_gone}",
                hint="Take a new lease from the pool.",
                command=name,
                reason=worker.why_gone,
                generation=worker.generation,
                entered_worker=False,
                rows_delivered=0,
            )

    def _end(self, request: Request, rows_delivered: int, error: BaseException | None) -> None:
        self._stream = None
        self._loan.end_request(request, rows_delivered, error)

    def hold_until(self, moment: Event) -> None:
        """Begin nothing before `moment`: until then a stream that was dropped is being stopped."""
        self._held_until = moment

    # -- the lease itself --

    def cycle(self, *, cancel: CancelToken | None = None) -> None:
        """End the worker of this lease and give the lease a fresh one of the same kind, in the same place.

        For hosted code that has grown, or whose state is not to be trusted any more. Nobody else gets the place
        meanwhile. If the new worker cannot start, the lease is stale.

        Args:
            cancel: Ends the start of the new worker when it is cancelled.

        Raises:
            UsageError: The lease was released, or a request of it has not ended.
            StaleLease: The worker ended before; take a new lease.
            LeanWorkerError: As of `Pool.lease`, if the new worker cannot start.
        """
        run(self.cycling(cancel))

    def cycling(self, cancel: CancelToken | None) -> Steps[None]:
        """See `cycle`."""
        doing = "a change of workers"
        check_kind("cycling a lease", "cancel", cancel, CancelToken)
        self._owner.check("cycling a lease", "lease")
        hold = Hold(Request(self._loan, doing))
        yield from self._taking_turn(hold.request)
        try:
            self._check_usable(doing)
            yield from self._loan.cycling(cancel)
        finally:
            hold.request.is_over = True

    @property
    def peer_version(self) -> str:
        """The version that the worker's handshake reports: of lean-worker in its process, or of a foreign program."""
        return self._loan.worker.peer_version

    def __repr__(self) -> str:
        loan = self._loan
        request = self._turns.last
        if self._released:
            state = "released"
        elif loan.worker.is_gone:
            state = "stale"
        else:
            state = f"running {request.command}" if request is not None and not request.is_over else "free"
        return f"<Lease on {loan.description}, worker {loan.worker.generation}: {state}>"

    @property
    def opened(self) -> OpeningReport:
        """The worker's words before its first command: a session's import statistics, the hosted code's metadata."""
        return self._loan.worker.opened

    @property
    def rows_delivered(self) -> int:
        """Rows of the stream that runs now, so far; 0 when none runs. Any thread may ask."""
        held = self._stream
        stream = None if held is None else held()
        return 0 if stream is None else stream.rows_delivered

    @property
    def is_stale(self) -> bool:
        """Whether the worker is gone or the lease was released."""
        return self._released or self._loan.worker.is_gone

    def release(self) -> None:
        """Give the worker back; an open stream is stopped first. Legal twice, and from any thread.

        In a signal handler, or in a callback of a request of this lease, the request in flight cannot end before this
        returns: it fails with `StaleLease` after that. In a forked child this does nothing.
        """
        self.__exit__(None, None, None)

    def __enter__(self) -> Lease:
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self.releasing())

    def _left(self) -> None:
        self._released = True
        self._loan.give_back()

    def _dropped(self) -> None:
        loan = getattr(self, "_loan", None)
        if loan is None or loan.is_given_back or not loan.is_here:
            return
        was_released, self._released = self._released, True
        loan.give_back()
        if not was_released:
            warnings.warn(f"a lease was dropped without release: {self!r}", ResourceWarning, source=self, stacklevel=2)


def _losing(request: Request) -> Steps[None]:
    request.lose()
    return
    yield
