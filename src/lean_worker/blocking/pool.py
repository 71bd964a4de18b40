"""Pools for threads: workers on loan.

Drives the steps of `pool.pool.PoolCore` on the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, overload

from ..base.deferred import Deferred
from ..base.interrupts import Leaving
from ..base.misuse import Blocking
from ..base.time_limit import DEFAULT, Timeout
from ..errors import RequestLost
from ..steps.waiting import run
from .many_requests import ManyRequests

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
    from ..pool.observer import PoolEvent, PoolSnapshot
    from ..results import Collected
    from ..worker.options import OnDiagnostic, OnProgress, PoolKeywords, RequestKeywords
    from . import lease as leases
    from .lease import Lease
else:  # The class needs none of it, and every pool does.
    commands = Deferred("lean_worker.commands")
    cores = Deferred("lean_worker.pool.pool")
    leases = Deferred("lean_worker.blocking.lease")
    one_shots = Deferred("lean_worker.pool.one_shots")

_T = TypeVar("_T")


class Pool(Leaving, Blocking, ManyRequests["cores.PoolCore"]):
    """At most `max_workers` workers (1 by default), started when needed and kept warm. Threads may share a pool.

    A pool does not survive a fork: in the forked child it is refused with `UsageError`, and the parent's workers are
    not touched. Use it in a `with` block, or call `close`. One that is dropped open, and that no lease
    or outcomes use any more, ends its workers with a `ResourceWarning`.

    Args:
        max_workers: How many workers there may be at once, 1 to 4096. Each takes the memory that Lean and the imports
            take, which is why the default is one.
        timeouts: Time limits of every worker and of the queue.
        limits: Size limits of every worker.
        memory: When workers are replaced or refused for the memory they hold; nothing by default.
        restarts: How often workers may fail.
        on_event: Called with each `PoolEvent`.
        on_stderr: Called with each line that any worker writes to its stderr, also with a last one that has no newline.

    The callbacks run on a thread of the pool's own. What they raise is logged; what they are too slow for is dropped
    and counted.

    Raises:
        UsageError: A limit is out of range.
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

    def lease(self, capability: Capability, *, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None) -> Lease:
        """Lend a worker that hosts `capability`: a warm one if there is one, else a new one.

        Callers are served in the order in which they came. If all places are taken by idle workers of other
        capabilities, the least recently used of them is ended.

        Args:
            capability: What the worker has to host; two that amount to the same program share warm workers.
            timeout: Seconds to wait for a place, and for the pause before a start that follows failures; 0 not to
                wait, None for no limit. Default: `Timeouts.queue`.
            cancel: Ends the wait when it is cancelled, also that for a new worker to come up. It has no part in the
                requests of the lease.

        Raises:
            UsageError: The pool is closed; or this thread holds all of its workers, no other could return one, and the
                wait would be longer than ten seconds.
            Cancelled: The token was cancelled.
            PoolFull: All workers are lent and `timeout` is 0.
            QueueTimeout: No worker came free in time, or the pause before the next start is longer than that.
            MemoryBudgetExceeded: The workers hold `MemoryPolicy.pool_budget_kib` or more.
            RestartLimitExceeded: Workers of this kind have failed too often lately.
            ResourceExhausted: The system has no descriptor, process, memory or disk left for the worker.
            CapabilityError: What should be hosted cannot be; says why.
            ChildExited, RequestTimeout, ProtocolError: The new worker did not start as it should.
        """
        return leases.Lease(run(self._core.granting(capability, timeout, cancel, is_blocking=True)))

    @overload
    def call(
        self,
        capability: Capability,
        command: JsonCommand[RequestT, ResponseT],
        request: RequestT,
        **options: Unpack[PoolKeywords],
    ) -> ResponseT: ...

    @overload
    def call(
        self,
        capability: Capability,
        command: JsonCommand[RequestT | None, ResponseT],
        request: None = None,
        **options: Unpack[PoolKeywords],
    ) -> ResponseT: ...

    def call(
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
        """Lend a worker, run a command that answers one value on it, and give the worker back.

        Args:
            capability: What the worker has to host.
            command: What to run.
            request: Its request, of the declared type.
            lease_timeout: Seconds to wait for a worker, as `timeout` of `lease`.

        The other arguments, and the errors, are those of `lease` and of `Lease.call`; `cancel` ends the wait too. If
        the worker has died before it took the request in, another one is asked, at most twice.
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
        return self._once(capability, lease_timeout, cancel, lambda lease: lease.call(command, text, **options))

    @overload
    def collect(
        self,
        capability: Capability,
        command: StreamingCommand[RequestT, RowT, SummaryT],
        request: RequestT,
        **options: Unpack[PoolKeywords],
    ) -> Collected[RowT, SummaryT]: ...

    @overload
    def collect(
        self,
        capability: Capability,
        command: StreamingCommand[RequestT | None, RowT, SummaryT],
        request: None = None,
        **options: Unpack[PoolKeywords],
    ) -> Collected[RowT, SummaryT]: ...

    def collect(
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
        """Lend a worker, run a streaming command on it, and return all its rows; only if it ended in success.

        All rows are held in memory. The arguments, and what is done about a worker that has died before, are those of
        `call`; the errors are those of `lease` and of `Lease.collect`.
        """
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
        return self._once(capability, lease_timeout, cancel, lambda lease: lease.collect(command, text, **options))

    def _once(
        self,
        capability: Capability,
        lease_timeout: Timeout,
        cancel: CancelToken | None,
        ask: Callable[[Lease], _T],
    ) -> _T:
        attempts = one_shots.Attempts()
        while True:
            with self.lease(capability, timeout=lease_timeout, cancel=cancel) as lease:
                try:
                    return ask(lease)
                except RequestLost as lost:
                    if not attempts.may_go_on(lost):
                        raise

    def prewarm(self, capability: Capability, count: int = 1, *, timeout: Timeout = DEFAULT) -> None:
        """Have `count` warm workers of `capability`, and return when they are ready; they are started side by side.

        Workers that are lent count too. Those that are missing are started in places that are free, or of idle workers
        of other capabilities; no place is held while another one is waited for. Several calls go one after another,
        except that none waits for one that waits for a lent worker it does not need itself.

        Args:
            capability: What they host.
            count: How many, 1 to `max_workers`.
            timeout: As of `lease`.

        Raises:
            UsageError: `count` is out of range.
            LeanWorkerError: As of `lease`; the workers that came up stay.
        """
        run(self._core.prewarming(capability, count, timeout, is_blocking=True))

    # -- the pool itself --

    @property
    def max_workers(self) -> int:
        """The largest number of workers."""
        return self._core.max_workers

    def __repr__(self) -> str:
        return repr(self._core)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._core.is_closed

    def snapshot(self) -> PoolSnapshot:
        """The pool's figures now; counters never go back. From any thread.

        Raises:
            UsageError: The pool was made before a fork, in the parent process.
        """
        return self._core.snapshot()

    def close(self, *, drain: Timeout = DEFAULT) -> CloseReport:
        """Refuse new leases, wait for lent ones, and end all workers; legal twice, and from any thread.

        A handler of a request, a thread whose own stream is open, and a signal handler or a finalizer that interrupted
        this package cannot wait for a lease that their thread holds: the closing begins, goes on aside, and this
        returns at once. `drain=0` ends all workers before it returns in any case. In a forked child this does nothing.

        Args:
            drain: Seconds to wait until lent leases are released; 0 not to wait, None for no limit. Workers that are
                still lent then are killed, and their requests fail with `StaleLease`. Default: `Timeouts.drain`.

        Returns:
            How many workers ended and were killed, and how long that took; the first report if it was closed before.
        """
        return run(self._core.closing(drain))

    def __enter__(self) -> Pool:
        self._core.check_open("entering a pool")
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool; a block that is left by an exception is not waited for."""
        self.close(drain=DEFAULT if kind is None else 0)

    def _left(self) -> None:
        self._core.close_soon()
