"""Pools for asyncio.

Drives the steps of `pool.pool.PoolCore` on the loop: the core makes every decision, from the queue to the reaping, and
no thread waits for a request. Also closes a pool that nobody closed.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..base.arguments import shown
from ..base.deferred import Deferred
from ..base.interrupts import Droppable
from ..base.misuse import Asynchronous
from ..base.time_limit import DEFAULT, Timeout
from ..blocking.pool import Pool
from ..errors import RequestLost, UsageError
from ..pool.cores import core_of
from .many_requests import AsyncManyRequests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .. import commands
    from ..cancel import CancelToken
    from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
    from ..hosting.launch import Capability
    from ..policy import Limits, MemoryPolicy, RestartPolicy, Timeouts
    from ..pool import one_shots
    from ..pool import pool as cores
    from ..pool.close_report import CloseReport
    from ..pool.lease import LeaseCore
    from ..pool.observer import PoolEvent, PoolSnapshot
    from ..results import Collected
    from ..steps.waiting import Steps
    from ..worker.options import OnDiagnostic, OnProgress, PoolKeywords, RequestKeywords
    from . import driver
    from . import lease as leases
    from .lease import AsyncLease
else:  # The class needs none of it, and every pool does.
    commands = Deferred("lean_worker.commands")
    cores = Deferred("lean_worker.pool.pool")
    driver = Deferred("lean_worker.aio.driver")
    leases = Deferred("lean_worker.aio.lease")
    one_shots = Deferred("lean_worker.pool.one_shots")

_T = TypeVar("_T")


class AsyncPool(Droppable, Asynchronous, AsyncManyRequests["cores.PoolCore"]):
    """At most `max_workers` workers (1 by default), started when needed and kept warm; the asyncio twin of `Pool`.

    Use it in an `async with` block, or await `close`. It works in a loop that runs already, as in a notebook, and is
    bound to none: tasks of loops in several threads may share a pool, though one for each loop is simpler. Deadlines
    hold even while a task blocks its loop. A pool that is dropped open, as by a loop that ended, is closed with a
    `ResourceWarning`. A pool does not survive a fork.

    The arguments, and what they raise, are those of `Pool`. `on_event` and `on_stderr` are plain functions and are
    called on a thread of the pool's own; use `loop.call_soon_threadsafe` to get from there to the loop.
    """

    def __init__(
        self,
        max_workers: int = 1,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        memory: MemoryPolicy | None = None,
        restarts: RestartPolicy | None = None,
        on_event: Callable[[PoolEvent], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
    ) -> None:
        self._core = cores.PoolCore(max_workers, timeouts, limits, memory, restarts, on_event, on_stderr)
        self._is_owner = True

    @classmethod
    def sharing(cls, pool: Pool) -> AsyncPool:
        """The asyncio side of a pool that threads use too. All callers wait in one queue; closing is left to `pool`."""
        if not isinstance(pool, Pool):
            raise UsageError(
                f"sharing a pool: expected a Pool, got {shown(pool)}", hint="Make one with lw.Pool(), and keep it open."
            )
        shared = cls.__new__(cls)
        shared._core = core_of(pool)
        shared._is_owner = False
        return shared

    def lease(
        self, capability: Capability, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> PendingLease:
        """Lend a worker that hosts `capability`: `async with pool.lease(…) as lease`, or `lease = await pool.lease(…)`.

        Callers are served in the order in which they began to wait. A task that is cancelled while it waits, or while
        its worker starts, leaves nothing behind. The arguments, and what awaiting raises, are those of `Pool.lease`.
        """
        cores.check_lease(capability, timeout, cancel)
        return PendingLease(lambda: self._core.granting(capability, timeout, cancel))

    @overload
    async def call(
        self,
        capability: Capability,
        command: JsonCommand[RequestT, ResponseT],
        request: RequestT,
        **options: Unpack[PoolKeywords],
    ) -> ResponseT: ...

    @overload
    async def call(
        self,
        capability: Capability,
        command: JsonCommand[RequestT | None, ResponseT],
        request: None = None,
        **options: Unpack[PoolKeywords],
    ) -> ResponseT: ...

    async def call(
        self,
        capability: Capability,
        command: JsonCommand[RequestT, ResponseT],
        request: RequestT | None = None,
        *,
        lease_timeout: Timeout = DEFAULT,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> ResponseT:
        """Lend a worker, run a command that answers one value on it, and give the worker back; see `Pool.call`.

        The callbacks are plain functions and are called on the loop.
        """
        one_shots.check_one_shot(
            capability, command, commands.JsonCommand, lease_timeout, timeout, cancel, on_diagnostic, on_progress
        )
        text = commands.encoded(command, request)
        options: RequestKeywords = {
            "timeout": timeout,
            "cancel": cancel,
            "on_diagnostic": on_diagnostic,
            "on_progress": on_progress,
        }
        return await self._once(capability, lease_timeout, cancel, lambda lease: lease.call(command, text, **options))

    @overload
    async def collect(
        self,
        capability: Capability,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        **options: Unpack[PoolKeywords],
    ) -> Collected[RowT, SummaryT]: ...

    @overload
    async def collect(
        self,
        capability: Capability,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[PoolKeywords],
    ) -> Collected[RowT, SummaryT]: ...

    async def collect(
        self,
        capability: Capability,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT | None = None,
        *,
        lease_timeout: Timeout = DEFAULT,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_diagnostic: OnDiagnostic | None = None,
        on_progress: OnProgress | None = None,
    ) -> Collected[RowT, SummaryT]:
        """Lend a worker, run a streaming command on it, and return all its rows; see `Pool.collect`."""
        one_shots.check_one_shot(
            capability, command, commands.StreamingCommand, lease_timeout, timeout, cancel, on_diagnostic, on_progress
        )
        text = commands.encoded(command, request)
        options: RequestKeywords = {
            "timeout": timeout,
            "cancel": cancel,
            "on_diagnostic": on_diagnostic,
            "on_progress": on_progress,
        }
        return await self._once(
            capability, lease_timeout, cancel, lambda lease: lease.collect(command, text, **options)
        )

    async def _once(
        self,
        capability: Capability,
        lease_timeout: Timeout,
        cancel: CancelToken | None,
        ask: Callable[[AsyncLease], Awaitable[_T]],
    ) -> _T:
        attempts = one_shots.Attempts()
        while True:
            async with self.lease(capability, timeout=lease_timeout, cancel=cancel) as lease:
                try:
                    return await ask(lease)
                except RequestLost as lost:
                    if not attempts.may_go_on(lost):
                        raise

    async def prewarm(self, capability: Capability, count: int = 1, *, timeout: Timeout = DEFAULT) -> None:
        """Have `count` warm workers of `capability`; they are started side by side. See `Pool.prewarm`."""
        await driver.drive(self._core.prewarming(capability, count, timeout))

    def __repr__(self) -> str:
        return f"<AsyncPool on {self._core!r}>"

    @property
    def max_workers(self) -> int:
        """The largest number of workers."""
        return self._core.max_workers

    @property
    def is_closed(self) -> bool:
        """Whether the pool was closed."""
        return self._core.is_closed

    def snapshot(self) -> PoolSnapshot:
        """The pool's figures now; counters never go back."""
        return self._core.snapshot()

    async def close(self, *, drain: Timeout = DEFAULT) -> CloseReport | None:
        """Refuse new leases, wait for lent ones, and end all workers; legal twice.

        A task that is cancelled meanwhile waits no more: workers that are still lent are killed. A task whose own
        request is in flight waits for nothing. Does nothing to a pool that is only shared.

        Args:
            drain: As of `Pool.close`.

        Returns:
            As `Pool.close`; None for a pool that is only shared.
        """
        return await driver.drive(self._core.closing(drain, is_awaited=True)) if self._is_owner else None

    async def __aenter__(self) -> AsyncPool:
        self._core.check_open("entering a pool")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool; a block that is left by an exception is not waited for."""
        await self.close(drain=DEFAULT if kind is None else 0)

    def _dropped(self) -> None:
        core = vars(self).get("_core")
        if core is None or not self._is_owner or core.is_closed or not core.owner.is_here:
            return
        core.close_soon()
        text = f"a pool was dropped without close: of at most {core.max_workers} workers"
        warnings.warn(text, ResourceWarning, source=self, stacklevel=2)


class PendingLease(Asynchronous):
    """A lease that is not granted yet: await it, or enter it with `async with`; once."""

    def __init__(self, steps: Callable[[], Steps[LeaseCore]]) -> None:
        self._steps: Callable[[], Steps[LeaseCore]] | None = steps
        self._lease: AsyncLease | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Only what a lease has: `hasattr` and `copy` ask for other names.
            if not name.startswith("_") and hasattr(leases.AsyncLease, name):
                raise UsageError(
                    f"using {name} of a lease: expected an AsyncLease, got one that was not awaited",
                    hint="Write `async with pool.lease(…) as lease:`, or `lease = await pool.lease(…)`.",
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def _grant(self) -> AsyncLease:
        steps, self._steps = self._steps, None
        if steps is None:
            raise UsageError(
                "taking a lease: it was awaited, or entered, before",
                hint="Call pool.lease(…) for each; hand the lease itself on, as in `lease = await pool.lease(…)`.",
            )
        return leases.AsyncLease(await driver.drive(steps()))

    def __await__(self) -> Generator[Any, None, AsyncLease]:
        return self._grant().__await__()

    async def __aenter__(self) -> AsyncLease:
        self._lease = await self._grant()
        return self._lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lease is not None
        await self._lease.release()
