"""Leases for asyncio: the right to one worker, awaited.

Drives the steps of `pool.lease.Lease` on the loop. Handles tasks that share a lease while one of them releases it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.arguments import check_callable, check_kind
from ..cancel import CancelToken
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from ..errors import Cancelled, UsageError
from ..policy import check_timeout
from ..pool.lease import DEFAULT, DefaultTimeout, Lease, Timeout, check_command
from ..steps.waiting import Event, Steps, Until, firmly
from ..wire import protocol
from ..worker.row_stream import (
    Collected,
    EventSinks,
    OnDiagnostic,
    OnProgress,
    Rows,
    StreamSummary,
    collected,
    collecting,
)
from .loop import drive, drive_end
from .stream import AsyncRowStream

if TYPE_CHECKING:
    from ..sinks.sink_set import SinkChoice

_T = TypeVar("_T")


class AsyncLease:
    """One worker, lent by `AsyncPool.lease` until `release` or the end of the `async with` block.

    What can happen to a request is listed at `Lease`; here a request can also end by the cancellation of its task, at
    any point where it waits, which includes `asyncio.timeout`. The worker is then asked to stop at its next row, within
    `Timeouts.cancel_grace`, and stays warm; `CancelledError` is raised after that. A task that is cancelled again
    meanwhile does not wait: the worker is killed.

    One request at a time; a second one, from any task, is refused with `UsageError`. A lease that is dropped is
    released, with a `ResourceWarning`.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._running: set[Event] = set()

    # -- commands --

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
        sinks = _plain_sinks(command.name, on_diagnostic, on_progress)
        return await self.drive(self._lease.calling(command, request, timeout, cancel, sinks))

    async def metadata(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.MetadataEnvelope:
        """Return the metadata that the hosted code reports under the command `name`."""
        return await self.drive(self._lease.asking_metadata(name, request, timeout, cancel))

    async def doctor(
        self, name: str, request: object = None, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> protocol.DoctorEnvelope:
        """The findings of the hosted code's doctor command `name`."""
        return await self.drive(self._lease.asking_doctor(name, request, timeout, cancel))

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
        sinks = _plain_sinks(command.name, on_diagnostic, on_progress)
        if not isinstance(timeout, DefaultTimeout):
            check_timeout("timeout", timeout)
        check_kind(f"running {command.name}", "cancel", cancel, CancelToken)

        def begin() -> Steps[Rows[RowT, SummaryT]]:
            kind: type[Rows[RowT, SummaryT]] = Rows
            return self._lease.streaming(kind, command, request, timeout, cancel, sinks)

        return AsyncRowStream(self, begin, command.name)

    async def run(
        self,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        on_row: Callable[[RowT], Awaitable[object] | object] | None = None,
        sink: SinkChoice | None = None,
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
        check_callable(f"running {command.name}", on_row=on_row)
        if (on_row is None) == (sink is None):
            raise UsageError(
                f"running {command.name}: expected either on_row or sink",
                hint="Give on_row=, or sink=.",
                command=command.name,
            )
        if sink is not None:
            events = _plain_sinks(command.name, on_diagnostic, on_progress)
            return await self.drive(self._lease.running_into(command, request, sink, timeout, cancel, events))
        assert on_row is not None
        async with self.stream(
            command, request, timeout=timeout, cancel=cancel, on_diagnostic=on_diagnostic, on_progress=on_progress
        ) as rows:
            async for row in rows:
                taken = on_row(row)
                if taken is not None and inspect.isawaitable(taken):
                    await taken
        return rows.summary

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
        summary = await self.run(
            collecting(command),
            request,
            on_row=rows.append,
            timeout=timeout,
            cancel=cancel,
            on_diagnostic=on_diagnostic,
            on_progress=on_progress,
        )
        return collected(command, rows, summary)

    # -- the lease itself --

    def __repr__(self) -> str:
        return repr(self._lease).replace("<Lease", "<AsyncLease", 1)

    async def cycle(self, *, cancel: CancelToken | None = None) -> None:
        """End the worker of this lease and give the lease a fresh one; see `Lease.cycle`, also for the errors."""
        await self.drive(self._lease.cycling(cancel))

    @property
    def peer_version(self) -> str:
        """The version that the worker's handshake reports; see `Lease.peer_version`."""
        return self._lease.peer_version

    @property
    def is_stale(self) -> bool:
        """Whether the worker has ended or the lease was released."""
        return self._lease.is_stale

    async def release(self) -> None:
        """Give the worker back; an open stream is stopped first, and so is a request of another task. Legal twice."""
        await drive_end(self._releasing())

    def _releasing(self) -> Steps[None]:
        try:
            while self._running:
                self._lease.interrupt(Cancelled("the lease was released by another task"))
                yield from firmly(Until(next(iter(self._running)), None))
        finally:
            yield from self._lease.releasing()

    async def __aenter__(self) -> AsyncLease:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    # -- for its streams --

    async def drive(self, steps: Steps[_T], *, is_end: bool = False) -> _T:
        """See `stream.Driver`."""
        running = Event()
        self._running.add(running)
        try:
            return await (drive_end if is_end else drive)(steps)
        finally:
            self._running.remove(running)
            running.set()


def check_plain(what: str, name: str, callback: object) -> None:
    """Refuse a coroutine function where nobody would await what it returns.

    Raises:
        UsageError: It is one.
    """
    if inspect.iscoroutinefunction(callback):
        raise UsageError(
            f"running {what}: expected {name} as a plain function, got a coroutine function",
            hint="Start a task in the callback, or put its arguments into an asyncio.Queue.",
        )


def _plain_sinks(command: str, on_diagnostic: OnDiagnostic | None, on_progress: OnProgress | None) -> EventSinks:
    check_plain(command, "on_diagnostic", on_diagnostic)
    check_plain(command, "on_progress", on_progress)
    return EventSinks(on_diagnostic, on_progress)
