"""Leases for asyncio: the right to one worker, awaited.

Drives the steps of `pool.lease.LeaseCore` on the loop. Handles tasks that share a lease while one of them releases it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..base.arguments import check_kind
from ..base.callbacks import check_callable, result_of
from ..base.misuse import Asynchronous, check_made
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT, check_command, check_request
from ..errors import Cancelled, UsageError
from ..hosting.host_session import OpeningReport
from ..policy import DEFAULT, DefaultTimeout, Timeout, check_timeout
from ..pool.lease import LeaseCore
from ..results import Collected, StreamSummary
from ..steps.waiting import Event, Steps, Until, firmly
from ..wire import protocol
from ..worker.collecting import collected, collecting
from ..worker.options import OnDiagnostic, OnProgress, RequestKeywords, RequestOptions
from ..worker.rows import Rows
from .driver import drive, drive_end
from .stream import AsyncRowStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..sinks.sink_set import SinkChoice

_T = TypeVar("_T")


class AsyncLease(Asynchronous):
    """One worker, lent by `AsyncPool.lease` until `release` or the end of the `async with` block.

    What can happen to a request is listed at `Lease`; here a request can also end by the cancellation of its task, at
    any point where it waits, which includes `asyncio.timeout`. The worker is then asked to stop at its next row, within
    `Timeouts.cancel_grace`, and stays warm; `CancelledError` is raised after that. A task that is cancelled again
    meanwhile does not wait: the worker is killed.

    One request at a time; a second one, from any task, is refused with `UsageError`. A lease that is dropped is
    released, with a `ResourceWarning`.
    """

    def __init__(self, core: LeaseCore) -> None:
        check_made(core, LeaseCore, "AsyncLease", "Take it from a pool: `async with pool.lease(capability) as lease:`.")
        self._core = core
        self._running: set[Event] = set()

    # -- commands --

    @overload
    async def call(
        self, command: JsonCommand[RequestT, ResponseT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> ResponseT: ...

    @overload
    async def call(
        self, command: JsonCommand[RequestT | None, ResponseT], request: None = None, **options: Unpack[RequestKeywords]
    ) -> ResponseT: ...

    async def call(
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
            cancel: Stops the request when it is cancelled, from any thread.
            on_diagnostic: Called with each `Diagnostic`, on the loop; a plain function.
            on_progress: Called with each `Progress`, on the loop; a plain function.
        """
        check_command(command, JsonCommand)
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        return await self._drive(self._core.calling(command, request, options))

    async def metadata(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.MetadataEnvelope:
        """Return the metadata that the hosted code reports under the command `name`."""
        return await self._drive(self._core.asking_metadata(name, request, RequestOptions(timeout, cancel)))

    async def doctor(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.DoctorEnvelope:
        """The findings of the hosted code's doctor command `name`."""
        return await self._drive(self._core.asking_doctor(name, request, RequestOptions(timeout, cancel)))

    @overload
    def stream(
        self, command: StreamingCommand[RequestT, RowT, SummaryT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> AsyncRowStream[RowT, SummaryT]: ...

    @overload
    def stream(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[RequestKeywords],
    ) -> AsyncRowStream[RowT, SummaryT]: ...

    def stream(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncRowStream[RowT, SummaryT]:
        """Run a streaming command and give its rows to `async for`; use it in an `async with` block.

        Nothing is sent before that. The arguments are those of `call`.
        """
        check_command(command, StreamingCommand)
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        if not isinstance(timeout, DefaultTimeout):
            check_timeout("timeout", timeout)
        check_request(command, request)
        check_kind(f"running {command.name}", "cancel", cancel, CancelToken)
        return self._stream(command, request, options)

    def _stream(
        self, command: StreamingCommand[Any, RowT, SummaryT], request: Any, options: RequestOptions
    ) -> AsyncRowStream[RowT, SummaryT]:
        def begin() -> Steps[Rows[RowT, SummaryT]]:
            return self._core.streaming(command, request, options)

        return AsyncRowStream(self._drive, begin, command.name)

    @overload
    async def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        *,
        on_row: Callable[[RowT], Awaitable[object] | object],
        sink: None = None,
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    async def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        *,
        on_row: None = None,
        sink: SinkChoice[RowT],
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    async def run(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        *,
        on_row: Callable[[RowT], Awaitable[object] | object],
        sink: None = None,
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    @overload
    async def run(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        *,
        on_row: None = None,
        sink: SinkChoice[RowT],
        **options: Unpack[RequestKeywords],
    ) -> StreamSummary[SummaryT]: ...

    async def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        on_row: Callable[[RowT], Awaitable[object] | object] | None = None,
        sink: SinkChoice[RowT] | None = None,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> StreamSummary[SummaryT]:
        """Run a streaming command, pass each row on as it arrives, and return the summary.

        Args:
            on_row: Called with each row as it arrives. An awaitable result is awaited before the next row is taken.
                Rows are tentative until `run` returns.
            sink: As of `Lease.run`. It writes on the loop's thread, and the commit takes as long as the disk does.

        The other arguments are those of `call`.
        """
        check_command(command, StreamingCommand)
        check_callable(f"running {command.name}", "row", is_awaited=True, on_row=on_row)
        if (on_row is None) == (sink is None):
            raise UsageError(
                f"running {command.name}: expected either on_row or sink",
                hint="Give on_row=, or sink=.",
                command=command.name,
            )
        options = RequestOptions(timeout, cancel, on_diagnostic, on_progress)
        if sink is not None:
            return await self._drive(self._core.running_into(command, request, sink, options))
        assert on_row is not None
        return await self._pass_on(command, request, on_row, options)

    async def _pass_on(
        self,
        command: StreamingCommand[Any, RowT, SummaryT],
        request: Any,
        on_row: Callable[[RowT], Awaitable[object] | object],
        options: RequestOptions,
    ) -> StreamSummary[SummaryT]:
        async with self._stream(command, request, options) as rows:
            async for row in rows:
                result = on_row(row)
                if result is not None:
                    if inspect.isawaitable(result):
                        result = await result
                    result_of("on_row", result)
        return rows.summary

    @overload
    async def collect(
        self, command: StreamingCommand[RequestT, RowT, SummaryT], request: RequestT, **options: Unpack[RequestKeywords]
    ) -> Collected[RowT, SummaryT]: ...

    @overload
    async def collect(
        self,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[RequestKeywords],
    ) -> Collected[RowT, SummaryT]: ...

    async def collect(
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
        summary = await self._pass_on(collecting(command), request, rows.append, options)
        return collected(command, rows, summary)

    # -- the lease itself --

    def __repr__(self) -> str:
        return repr(self._core).replace("<Lease", "<AsyncLease", 1)

    async def cycle(self, *, cancel: CancelToken | None = None) -> None:
        """End the worker of this lease and give the lease a fresh one; see `Lease.cycle`, also for the errors."""
        await self._drive(self._core.cycling(cancel))

    @property
    def peer_version(self) -> str:
        """The version that the worker's handshake reports; see `Lease.peer_version`."""
        return self._core.peer_version

    @property
    def opened(self) -> OpeningReport:
        """The worker's words before its first command; see `Lease.opened`."""
        return self._core.opened

    @property
    def rows_delivered(self) -> int:
        """Rows of the stream that runs now, so far; 0 when none runs."""
        return self._core.rows_delivered

    @property
    def rows_delivered_in_all(self) -> int:
        """Rows of all its streams, those that have ended too."""
        return self._core.rows_delivered_in_all

    @property
    def is_stale(self) -> bool:
        """Whether the worker has ended or the lease was released."""
        return self._core.is_stale

    async def release(self) -> None:
        """Give the worker back; an open stream is stopped first, and so is a request of another task. Legal twice."""
        await drive_end(self._releasing())

    def _releasing(self) -> Steps[None]:
        try:
            while self._running:
                self._core.interrupt(Cancelled("the lease was released by another task"))
                yield from firmly(Until(next(iter(self._running)), None))
        finally:
            yield from self._core.releasing()

    async def __aenter__(self) -> AsyncLease:
        self._core.check_held("entering a lease")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    # -- for its streams --

    async def _drive(self, steps: Steps[_T], *, is_end: bool = False) -> _T:
        running = Event()
        self._running.add(running)
        try:
            return await (drive_end if is_end else drive)(steps)
        finally:
            self._running.remove(running)
            running.set()
