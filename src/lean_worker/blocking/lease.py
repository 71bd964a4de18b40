"""Leases for threads: the right to one worker; commands in, typed answers out.

Drives the steps of `pool.lease.LeaseCore` on the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from ..base.callbacks import check_callable, result_of
from ..base.interrupts import Leaving
from ..base.misuse import Blocking, check_made
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT, check_command
from ..errors import UsageError
from ..hosting.host_session import OpeningReport
from ..policy import DEFAULT, Timeout
from ..pool.lease import LeaseCore
from ..results import Collected, StreamSummary
from ..steps.waiting import run
from ..wire import protocol
from ..worker.collecting import collected, collecting
from ..worker.options import OnDiagnostic, OnProgress, RequestKeywords, RequestOptions
from .stream import RowStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..sinks.sink_set import SinkChoice


class Lease(Leaving, Blocking):
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

    def __init__(self, core: LeaseCore) -> None:
        check_made(core, LeaseCore, "Lease", "Take it from a pool: `with pool.lease(capability) as lease:`.")
        self._core = core

    # -- commands --

    @overload
    def call(
        self, command: JsonCommand[RequestT, ResponseT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> ResponseT: ...

    @overload
    def call(
        self, command: JsonCommand[RequestT | None, ResponseT], request: None = None, **options: Unpack[RequestKeywords]
    ) -> ResponseT: ...

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
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        return run(self._core.calling(command, request, options))

    def metadata(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.MetadataEnvelope:
        """Return what the hosted code says of itself under the metadata command `name`."""
        return run(self._core.asking_metadata(name, request, RequestOptions(timeout, cancel)))

    def doctor(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.DoctorEnvelope:
        """The findings of the hosted code's doctor command `name`."""
        return run(self._core.asking_doctor(name, request, RequestOptions(timeout, cancel)))

    @overload
    def stream(
        self, command: StreamingCommand[RequestT, RowT, SummaryT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> RowStream[RowT, SummaryT]: ...

    @overload
    def stream(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[RequestKeywords],
    ) -> RowStream[RowT, SummaryT]: ...

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
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        return run(self._core.streaming_as(RowStream, command, request, options))

    @overload
    def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        *,
        on_row: Callable[[RowT], object],
        sink: None = None,
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        *,
        on_row: None = None,
        sink: SinkChoice[RowT],
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    def run(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        *,
        on_row: Callable[[RowT], object],
        sink: None = None,
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    def run(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        *,
        on_row: None = None,
        sink: SinkChoice[RowT],
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        on_row: Callable[[RowT], object] | None = None,
        sink: SinkChoice[RowT] | None = None,
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
        check_callable(f"running {command.name}", "row", on_row=on_row)
        if (on_row is None) == (sink is None):
            raise UsageError(
                f"running {command.name}: expected either on_row or sink",
                hint="Give on_row=, or sink=.",
                command=command.name,
            )
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        if sink is not None:
            return run(self._core.running_into(command, request, sink, options))
        assert on_row is not None
        return self._pass_on(command, request, on_row, options)

    def _pass_on(
        self,
        command: StreamingCommand[Any, RowT, SummaryT],
        request: Any,
        on_row: Callable[[RowT], object],
        options: RequestOptions,
    ) -> StreamSummary[SummaryT]:
        with run(self._core.streaming_as(RowStream, command, request, options)) as rows:
            for row in rows:
                if (result := on_row(row)) is not None:
                    result_of("on_row", result)
        return rows.summary

    @overload
    def collect(
        self, command: StreamingCommand[RequestT, RowT, SummaryT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> Collected[RowT, SummaryT]: ...

    @overload
    def collect(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[RequestKeywords],
    ) -> Collected[RowT, SummaryT]: ...

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
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        summary = self._pass_on(collecting(command), request, rows.append, options)
        return collected(command, rows, summary)

    # -- the lease itself --

    def cycle(self, *, cancel: CancelToken | None = None) -> None:
        """End the worker of this lease and give the lease a fresh one of the same kind, in the same place.

        For hosted code that has grown, or whose state is not to be trusted any more, or that was edited: the new
        worker runs the files as they are. Nobody else gets the place meanwhile. If the new worker cannot start, the
        lease is stale.

        Args:
            cancel: Ends the start of the new worker when it is cancelled.

        Raises:
            UsageError: The lease was released, or a request of it has not ended.
            StaleLease: The worker ended before; take a new lease.
            LeanWorkerError: As of `Pool.lease`, if the new worker cannot start.
        """
        run(self._core.cycling(cancel))

    @property
    def peer_version(self) -> str:
        """The version that the worker's handshake reports: of lean-worker in its process, or of a foreign program."""
        return self._core.peer_version

    @property
    def opened(self) -> OpeningReport:
        """The worker's words before its first command: a session's import statistics, the hosted code's metadata."""
        return self._core.opened

    @property
    def rows_delivered(self) -> int:
        """Rows of the stream that runs now, so far; 0 when none runs. Any thread may ask."""
        return self._core.rows_delivered

    @property
    def rows_delivered_in_all(self) -> int:
        """Rows of all its streams, those that have ended too. Any thread may ask."""
        return self._core.rows_delivered_in_all

    @property
    def is_stale(self) -> bool:
        """Whether the worker is gone or the lease was released."""
        return self._core.is_stale

    def release(self) -> None:
        """Give the worker back; an open stream is stopped first. Legal twice, and from any thread.

        In a signal handler, or in a callback of a request of this lease, the request in flight cannot end before this
        returns: it fails with `StaleLease` after that. In `on_row` or a sink it ends at once, and `run` then raises
        `UsageError`. In a forked child this does nothing.
        """
        self.__exit__(None, None, None)

    def __repr__(self) -> str:
        return repr(self._core)

    def __enter__(self) -> Lease:
        self._core.check_held("entering a lease")
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self._core.releasing())

    def _left(self) -> None:
        self._core.release_soon()
