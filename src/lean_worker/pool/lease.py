"""The core of a lease: the right to one worker, as steps.

Owns how a typed command becomes a request and its answer a typed value, and what makes a lease stale. Hides which
worker it is. `blocking.lease.Lease` and `aio.lease.AsyncLease` drive it; they decide deadlines, cancellation, and where
rows go.
"""

from __future__ import annotations

import _thread
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.arguments import check_kind, check_sent_text
from ..base.forks import Owner
from ..base.interrupts import Droppable
from ..cancel import CancelToken
from ..commands import JsonCommand, ResponseT, RowT, StreamingCommand, SummaryT, check_command
from ..errors import LeanWorkerError, UsageError
from ..events import DataRow
from ..hosting.host_session import OpeningReport
from ..policy import DefaultTimeout, Timeouts, check_timeout
from ..results import StreamSummary
from ..steps.tasks import on_monitor
from ..steps.waiting import Event, Steps, Until
from ..wire import protocol
from ..wire.json_types import decode_text, text_decoder
from ..wire.requests import encode_request
from ..wire.row_decoders import AnyRowDecoder, TextDecoder, row_decoder
from ..worker.options import RequestOptions
from ..worker.response import awaiting_response
from ..worker.rows import Rows
from ..worker.worker import doing
from .loan import Hold, Loan, Request, released
from .turns import Turns

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

_T = TypeVar("_T")
_R = TypeVar("_R", bound=protocol.Response)


class LeaseCore(Droppable):
    """One worker, lent; the steps of `Lease` and of `AsyncLease`, and the state that both show.

    A core that is dropped gives its worker back, with a `ResourceWarning`.
    """

    def __init__(self, loan: Loan, timeouts: Timeouts) -> None:
        self.loan = loan
        self._timeouts = timeouts
        self._owner = Owner()
        self._turns = Turns()
        self._released = False
        self._rows: weakref.ref[Rows[Any, Any]] | None = None
        self._rows_of_ended = 0
        self._held_until: Event | None = None

    # -- requests --

    def calling(
        self,
        command: JsonCommand[Any, ResponseT],
        request: Any,
        options: RequestOptions,
    ) -> Steps[ResponseT]:
        """See `Lease.call`."""
        check_command(command, JsonCommand)
        decoder = command.response
        text_decoder(decoder)
        wire = protocol.RunJsonCommand(command.name, encode_request(command.request, request, command.name))

        def decode(response: protocol.JsonResult) -> ResponseT:
            value: ResponseT = decode_text(decoder, response.response_json.encode(), "response", command=command.name)
            return value

        return (yield from self._asking(wire, command.name, options, protocol.JsonResult, decode))

    def asking_metadata(self, name: str, request: object, options: RequestOptions) -> Steps[protocol.MetadataEnvelope]:
        """See `Lease.metadata`."""
        check_sent_text("asking for metadata", "name", name)
        name = str.__str__(name)
        wire = protocol.CapabilityMetadata(name, encode_request(None, request, name))

        def decode(response: protocol.MetadataResult) -> protocol.MetadataEnvelope:
            value: protocol.MetadataEnvelope = decode_text(
                protocol.MetadataEnvelope, bytes(response.metadata), "metadata", command=name
            )
            return value

        return (yield from self._asking(wire, name, options, protocol.MetadataResult, decode))

    def asking_doctor(self, name: str, request: object, options: RequestOptions) -> Steps[protocol.DoctorEnvelope]:
        """See `Lease.doctor`."""
        check_sent_text("asking a doctor command", "name", name)
        name = str.__str__(name)
        wire = protocol.CapabilityDoctor(name, encode_request(None, request, name))

        def decode(response: protocol.DoctorResult) -> protocol.DoctorEnvelope:
            value: protocol.DoctorEnvelope = decode_text(
                protocol.DoctorEnvelope, bytes(response.report), "doctor report", command=name
            )
            return value

        return (yield from self._asking(wire, name, options, protocol.DoctorResult, decode))

    def streaming(
        self, command: StreamingCommand[Any, RowT, SummaryT], request: Any, options: RequestOptions
    ) -> Steps[Rows[RowT, SummaryT]]:
        """See `Lease.stream`."""
        return self.streaming_as(_bare, command, request, options)

    def streaming_texts(
        self, command: StreamingCommand[Any, DataRow, SummaryT], request: Any, options: RequestOptions
    ) -> Steps[Rows[DataRow, SummaryT]]:
        """As `streaming`, but the payload of each row is its text."""
        return (yield from self._streaming(_bare, command, request, TextDecoder(command.name), options))

    def streaming_as(
        self,
        kind: Callable[[Rows[RowT, SummaryT]], _T],
        command: StreamingCommand[Any, RowT, SummaryT],
        request: Any,
        options: RequestOptions,
    ) -> Steps[_T]:
        """See `Lease.stream`; `kind` makes the iterator, before anything can come between the rows and it."""
        check_command(command, StreamingCommand)
        row_decoder(command.row, command.name)
        return (yield from self._streaming(kind, command, request, None, options))

    def _streaming(
        self,
        kind: Callable[[Rows[Any, SummaryT]], _T],
        command: StreamingCommand[Any, Any, SummaryT],
        request: Any,
        decoder: AnyRowDecoder | None,
        options: RequestOptions,
    ) -> Steps[_T]:
        text_decoder(command.summary)
        wire = protocol.RunDataStream(command.name, encode_request(command.request, request, command.name))
        hold = yield from self._beginning(wire, command.name, options)
        begun = hold.request
        assert begun.exchange is not None
        try:
            rows: Rows[Any, SummaryT] = Rows(
                begun.exchange,
                command,
                begun.worker.generation,
                options,
                lambda rows_delivered, error: self._end(hold.request, rows_delivered, error),
                decoder,
            )
            stream = kind(rows)
        except BaseException as error:
            yield from begun.exchange.abandoning(error, ())
            self._end(begun, 0, error)
            raise
        # Weakly: a stream that its caller has dropped, as after a plain `for … break`, ends by its finalizer.
        self._rows = weakref.ref(rows)
        begun.delivers(rows)
        rows.belongs_to(self, begun)
        rows.keep(isinstance(stream, Droppable))
        return stream

    def running_into(
        self,
        command: StreamingCommand[Any, RowT, SummaryT],
        request: Any,
        sink: SinkChoice[RowT],
        options: RequestOptions,
    ) -> Steps[StreamSummary[SummaryT]]:
        """See `Lease.run` with a sink."""
        check_command(command, StreamingCommand)
        from ..sinks.sink_set import SinkSet

        sinks = SinkSet(sink, command)
        decoder = sinks.decoder()
        sinks.open()
        try:
            rows = yield from self._streaming(_bare, command, request, decoder, options)
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
        """See `Lease.release`."""
        self._released = True
        if not self._owner.is_here:
            return
        request = self._turns.last
        try:
            if request is not None and not request.is_over:
                rows = None if self._rows is None else self._rows()
                if rows is not None:
                    yield from rows.closing(by_other=True)
                elif request.thread == _thread.get_ident() and not request.is_lost:
                    # A signal handler, or a callback of the request itself: it cannot end before this returns.
                    self.loan.give_back()
                    return
        finally:
            yield from self.loan.ending()

    # -- one request at a time --

    def _asking(
        self,
        wire: protocol.Request,
        name: str,
        options: RequestOptions,
        kind: type[_R],
        decode: Callable[[_R], _T],
    ) -> Steps[_T]:
        hold = yield from self._beginning(wire, name, options)
        request = hold.request
        assert request.exchange is not None
        try:
            value = yield from awaiting_response(
                request.exchange, name, request.worker.generation, options, kind, decode
            )
        except BaseException as error:
            self._end(request, 0, error)
            raise
        self._end(request, 0, None)
        return value

    def _beginning(self, wire: protocol.Request, name: str, options: RequestOptions) -> Steps[Hold]:
        timeout, cancel = options.timeout, options.cancel
        seconds = self._timeouts.request if isinstance(timeout, DefaultTimeout) else timeout
        check_timeout("timeout", seconds)
        check_kind(f"running {name}", "cancel", cancel, CancelToken)
        self._owner.check(f"running {name}", "lease")
        hold = Hold(Request(self.loan, name))
        request = hold.request
        yield from self._taking_turn(request)
        try:
            self._check_usable(name)
            yield from self.loan.beginning(request, wire, seconds, cancel)
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
            yield from on_monitor(self.loan.monitor, _losing(other))
            other = self._turns.take(request)
        if other is None:
            return
        request.is_over = True
        if self.loan.worker.is_gone and not self._released:
            self.loan.check_usable(request.command)  # whoever drives the other one is about to find out
        raise UsageError(
            f"{doing(request.command)}: another request of this lease has not ended",
            hint="Leave the with block of its stream first, or take a second lease, which needs a second worker. "
            "If that block is in an asynchronous generator, a loop that leaves that does not end it: use aclosing.",
            command=request.command,
        )

    def check_held(self, doing: str) -> None:
        """Refuse a lease that was released.

        Raises:
            UsageError: It was.
        """
        if self._released:
            raise UsageError(
                f"{doing}: this lease was released", hint="Take a new lease, and use it inside of its with block."
            )

    def _check_usable(self, name: str) -> None:
        if self._released:
            raise released(name)
        self.loan.check_usable(name)

    def _end(self, request: Request, rows_delivered: int, error: BaseException | None) -> None:
        self._rows = None
        self._rows_of_ended += rows_delivered
        self.loan.end_request(request, rows_delivered, error)

    def hold_until(self, moment: Event) -> None:
        """Begin nothing before `moment`: until then a stream that was dropped is being stopped."""
        self._held_until = moment

    def cycling(self, cancel: CancelToken | None) -> Steps[None]:
        """See `Lease.cycle`."""
        check_kind("cycling a lease", "cancel", cancel, CancelToken)
        self._owner.check("cycling a lease", "lease")
        hold = Hold(Request(self.loan, None))
        yield from self._taking_turn(hold.request)
        try:
            self.check_held("cycling a lease")
            self.loan.check_usable(None)
            yield from self.loan.cycling(cancel)
        finally:
            hold.request.is_over = True

    # -- the lease itself --

    def __repr__(self) -> str:
        loan = self.loan
        request = self._turns.last
        if self._released:
            state = "released"
        elif loan.worker.is_gone:
            state = "stale"
        else:
            state = doing(request.command) if request is not None and not request.is_over else "free"
        return f"<Lease on {loan.description}, worker {loan.worker.generation}: {state}>"

    @property
    def peer_version(self) -> str:
        """See `Lease.peer_version`."""
        return self.loan.worker.peer_version

    @property
    def opened(self) -> OpeningReport:
        """See `Lease.opened`."""
        return self.loan.worker.opened

    @property
    def rows_delivered(self) -> int:
        """See `Lease.rows_delivered`."""
        rows = None if self._rows is None else self._rows()
        return 0 if rows is None else rows.rows_delivered

    @property
    def rows_delivered_in_all(self) -> int:
        """See `Lease.rows_delivered_in_all`."""
        return self._rows_of_ended + self.rows_delivered

    @property
    def is_stale(self) -> bool:
        """See `Lease.is_stale`."""
        return self._released or self.loan.worker.is_gone

    def release_soon(self) -> None:
        """Give the worker back on the monitor's thread, and wait for nothing; for finalizers and interrupts."""
        self._released = True
        self.loan.give_back()

    def _dropped(self) -> None:
        loan = getattr(self, "loan", None)
        if loan is None or loan.is_given_back or not loan.is_here:
            return
        was_released = self._released
        self.release_soon()
        if not was_released:
            text = f"a lease was dropped without release: on {loan.description}"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)


def _bare(rows: Rows[RowT, SummaryT]) -> Rows[RowT, SummaryT]:
    return rows


def _losing(request: Request) -> Steps[None]:
    request.lose()
    return
    yield
