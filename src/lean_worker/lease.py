"""The right to one worker: commands in, typed answers out.

Owns how a typed command becomes a request and its answer a typed value, and what makes a lease stale. Hides which
worker it is. Callers decide deadlines, cancellation, and where rows go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from . import protocol
from .cancel import CancelToken
from .commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from .decode import decode_text, encode_request, text_decoder
from .errors import StaleLease, UsageError
from .policy import Timeouts, check_timeout
from .stream import Collected, EventSinks, OnDiagnostic, OnProgress, RowStream, StreamSummary, await_response
from .supervisor import Exchange, Supervisor
from .terminal import unexpected


class _Default:
    """Stands for "the pool's own time limit" where None already means "no limit"."""

    def __repr__(self) -> str:
        return "the pool's limit"


DEFAULT = _Default()
Timeout = float | None | _Default


class Lease:
    """One worker, lent by `Pool.lease` until `release` or the end of the `with` block.

    One request at a time; a second one, from any thread, is refused with `UsageError`. After its worker ended every
    call raises `StaleLease` with the reason; take a new lease then. A lease does not survive a fork.

    Every request can end in these ways besides success:
        UsageError: The lease was released or is in use, or the request has no JSON form. Nothing was sent.
        StaleLease: The worker ended before. Nothing was sent.
        Cancelled: The token was cancelled. The worker stays if it stopped in time.
        RequestTimeout: The time limit passed, also while a sink ran. The worker was killed.
        ChildExited: The worker died; says how.
        CommandFailed: The hosted code said no; the worker stays.
        DecodeError: A request, row, response or summary is not of the declared type; the worker stays.
        ProtocolError: The worker broke the protocol, and was killed; or a frame was too large.
        Exception: Whatever a sink raised, unchanged; the worker is stopped at its next row and stays.
    """

    def __init__(self, worker: Supervisor, timeouts: Timeouts, on_release: Callable[[], None], count: Count) -> None:
        self._worker = worker
        self._timeouts = timeouts
        self._on_release = on_release
        self._count = count
        self._in_use = threading.Lock()
        self._release_lock = threading.Lock()
        self._released = False
        self._stream: RowStream[Any, Any] | None = None

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
        decoder = command.response
        text_decoder(decoder)
        wire = protocol.RunJsonCommand(command.name, encode_request(command.request, request, command.name))

        def answer(response: protocol.Response) -> Any:
            if not isinstance(response, protocol.JsonResult):
                raise unexpected(response, command.name)
            return decode_text(decoder, response.response_json.encode(), "response", command=command.name)

        sinks = EventSinks(on_diagnostic, on_progress)
        value: ResponseT = self._ask(wire, command.name, timeout, cancel, sinks, answer)
        return value

    def metadata(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.MetadataEnvelope:
        """What the hosted code says of itself under the metadata command `name`."""
        wire = protocol.CapabilityMetadata(name, encode_request(None, request, name))

        def answer(response: protocol.Response) -> Any:
            if not isinstance(response, protocol.MetadataResult):
                raise unexpected(response, name)
            return decode_text(protocol.MetadataEnvelope, bytes(response.metadata), "metadata", command=name)

        envelope: protocol.MetadataEnvelope = self._ask(wire, name, timeout, cancel, EventSinks(None, None), answer)
        return envelope

    def doctor(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.DoctorEnvelope:
        """The findings of the hosted code's doctor command `name`."""
        wire = protocol.CapabilityDoctor(name, encode_request(None, request, name))

        def answer(response: protocol.Response) -> Any:
            if not isinstance(response, protocol.DoctorResult):
                raise unexpected(response, name)
            return decode_text(protocol.DoctorEnvelope, bytes(response.report), "doctor report", command=name)

        envelope: protocol.DoctorEnvelope = self._ask(wire, name, timeout, cancel, EventSinks(None, None), answer)
        return envelope

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
        text_decoder(command.row)
        text_decoder(command.summary)
        wire = protocol.RunDataStream(command.name, encode_request(command.request, request, command.name))
        exchange = self._begin(wire, command.name, timeout, cancel)
        self._stream = RowStream(
            exchange, command, self._worker.generation, EventSinks(on_diagnostic, on_progress), self._end_stream
        )
        return self._stream

    def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        on_row: Callable[[RowT], object],
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> StreamSummary[SummaryT]:
        """Run a streaming command, hand each row to `on_row` when it is there, and return the summary.

        Rows are tentative until this returns. The other arguments are those of `call`.
        """
        with self.stream(
            command, request, timeout=timeout, cancel=cancel, on_diagnostic=on_diagnostic, on_progress=on_progress
        ) as rows:
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
        rows: list[RowT] = []
        summary = self.run(
            command,
            request,
            on_row=rows.append,
            timeout=timeout,
            cancel=cancel,
            on_diagnostic=on_diagnostic,
            on_progress=on_progress,
        )
        return Collected(rows, summary)

    # -- one request at a time --

    def _ask(
        self,
        wire: protocol.Request,
        name: str,
        timeout: Timeout,
        cancel: CancelToken | None,
        sinks: EventSinks,
        answer: Callable[[protocol.Response], Any],
    ) -> Any:
        exchange = self._begin(wire, name, timeout, cancel)
        try:
            return await_response(exchange, name, self._worker.generation, sinks, answer)
        finally:
            self._in_use.release()

    def _begin(self, wire: protocol.Request, name: str, timeout: Timeout, cancel: CancelToken | None) -> Exchange:
        seconds = self._timeouts.request if isinstance(timeout, _Default) else timeout
        check_timeout("timeout", seconds)
        if not self._in_use.acquire(blocking=False):
            raise UsageError(
                f"running {name}: another request of this lease has not ended",
                hint="Leave the with block of its stream first, or take a second lease.",
                command=name,
            )
        try:
            self._check_usable(name)
            exchange = self._worker.begin(wire, name, seconds, cancel)
        except BaseException:
            self._in_use.release()
            raise
        self._count.add(requests=1)
        return exchange

    def _check_usable(self, name: str) -> None:
        if self._released:
            raise UsageError(f"running {name}: this lease was released", command=name)
        if not self._worker.is_usable:
            reason = self._worker.end_reason or "its process ended while it was idle"
            raise StaleLease(
                f"running {name}: the worker of this lease (generation {self._worker.generation}) is gone: {reason}",
                hint="Take a new lease from the pool.",
                command=name,
                reason=reason,
                generation=self._worker.generation,
                entered_worker=False,
            )

    def _end_stream(self, rows_delivered: int) -> None:
        self._count.add(rows_delivered=rows_delivered)
        self._stream = None
        self._in_use.release()

    # -- the lease itself --

    @property
    def is_stale(self) -> bool:
        """Whether the worker is gone or the lease was released."""
        return self._released or self._worker.is_gone

    def release(self) -> None:
        """Give the worker back; an open stream is stopped first. Legal twice."""
        with self._release_lock:
            if self._released:
                return
            self._released = True
        try:
            if self._stream is not None:
                self._stream.close()
        finally:
            self._on_release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Count:
    """What the requests of one pool add up to; never goes back. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.rows_delivered = 0

    def add(self, *, requests: int = 0, rows_delivered: int = 0) -> None:
        """Count what has happened."""
        with self._lock:
            self.requests += requests
            self.rows_delivered += rows_delivered
