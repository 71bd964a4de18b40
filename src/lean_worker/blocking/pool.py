"""Workers on loan: admission, a fair queue, reuse of warm workers, planned replacement, eviction, and an orderly end.

Owns how many workers there are, who gets one next, when one is replaced, and that none is left behind. Hides workers
altogether: callers see leases. Callers decide what is hosted and for how long they are ready to wait.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import logging
import os
import time
import weakref
from collections.abc import Callable, Container, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ..base.arguments import check_callable, check_kind, check_method, shown
from ..base.forks import after_fork_in_child, at_exit, foreign
from ..base.interrupts import Leaving
from ..batch.requests import ManyRequests
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..commands import JsonCommand, RequestT, ResponseT, RowT, StreamingCommand, SummaryT
from ..errors import (
    Cancelled,
    LeanWorkerError,
    PoolFull,
    QueueTimeout,
    UsageError,
    of_system,
)
from ..hosting.launch import Capability, Launch
from ..policy import Limits, MemoryPolicy, RestartPolicy, Timeouts, check_timeout
from ..pool.close_report import NOTHING_ENDED, CloseReport, Closing
from ..pool.holders import snapshot_of
from ..pool.lease import DEFAULT, DefaultTimeout, Lease, Timeout, check_command
from ..pool.loan import Loan
from ..pool.observer import HolderSnapshot, PoolEvent, PoolSnapshot
from ..pool.workers import Place, Workers
from ..steps import monitor
from ..steps.handlers import may_wait_for_leases
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Event, Steps, Until, offload, run
from ..worker import memory
from ..worker.row_stream import Collected, OnDiagnostic, OnProgress
from ..worker.worker import Worker

if TYPE_CHECKING:
    from ..pool.snapshot_server import SnapshotServer

_log = logging.getLogger("lean_worker")
_CALLBACKS_SECONDS = 1.0
_ABANDONED_SECONDS = 15.0
"""As of `tasks`: seconds that an interrupted caller waits for leases it does not want any more."""


class Pool(Leaving, ManyRequests):
    """At most `max_workers` workers (1 by default), started when needed and kept warm. Threads may share a pool.

    A pool does not survive a fork: in the forked child it is refused with `UsageError`, and the parent's workers are
    not touched. Use it in a `with` block, or call `close`.

    Args:
        max_workers: How many workers there may be at once, 1 to 4096. Each takes the memory that Lean and the imports
            take, which is why the default is one.
        timeouts: Time limits of every worker and of the queue.
        limits: Size limits of every worker.
        memory: When workers are replaced or refused for the memory they hold; nothing by default.
        restarts: How often workers may fail.
        on_event: Called with each `PoolEvent`.
        on_stderr: Called with each line that any worker writes to its stderr.

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
        if type(max_workers) is not int or not 1 <= max_workers <= 4096:
            raise UsageError(f"making a pool: expected max_workers from 1 to 4096, got {shown(max_workers)}")
        check_kind("making a pool", "timeouts", timeouts, Timeouts)
        check_kind("making a pool", "limits", limits, Limits)
        check_kind("making a pool", "memory", memory, MemoryPolicy)
        check_kind("making a pool", "restarts", restarts, RestartPolicy)
        check_callable("making a pool", on_event=on_event, on_stderr=on_stderr)
        self._max_workers = max_workers
        self._timeouts = timeouts or Timeouts()
        self._workers = Workers(
            self,
            self._timeouts,
            limits or Limits(),
            memory or MemoryPolicy(),
            restarts or RestartPolicy(),
            on_event,
            on_stderr,
        )
        self.owner = self._workers.owner
        self._queue: collections.deque[_Ticket] = collections.deque()  # on the monitor's thread only
        self._live: SnapshotServer | None = None
        self._closing: Closing | None = None
        _pools.add(self)
        if os.environ.get("LEAN_WORKER_TOP") == "1":
            self._show_itself()

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
            UsageError: The pool is closed.
            Cancelled: The token was cancelled.
            PoolFull: All workers are lent and `timeout` is 0.
            QueueTimeout: No worker came free in time, or the pause before the next start is longer than that.
            MemoryBudgetExceeded: The workers hold `MemoryPolicy.pool_budget_kib` or more.
            RestartLimitExceeded: Workers of this kind have failed too often lately.
            ResourceExhausted: The system has no descriptor, process, memory or disk left for the worker.
            CapabilityError: What should be hosted cannot be; says why.
            ChildExited, RequestTimeout, ProtocolError: The new worker did not start as it should.
        """
        return run(self.granting(capability, timeout, cancel))

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

        The other arguments, and the errors, are those of `lease` and of `Lease.call`; `cancel` ends the wait too.
        """
        check_command(command, JsonCommand)
        with self.lease(capability, timeout=lease_timeout, cancel=cancel) as lease:
            return lease.call(
                command,
                request,
                timeout=timeout,
                cancel=cancel,
                on_diagnostic=on_diagnostic,
                on_progress=on_progress,
            )

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

        All rows are held in memory. The arguments are those of `call`, and the errors those of `lease` and of
        `Lease.collect`.
        """
        check_command(command, StreamingCommand)
        with self.lease(capability, timeout=lease_timeout, cancel=cancel) as lease:
            return lease.collect(
                command,
                request,
                timeout=timeout,
                cancel=cancel,
                on_diagnostic=on_diagnostic,
                on_progress=on_progress,
            )

    def granting(
        self,
        capability: Capability,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        *,
        for_caller: bool = True,
    ) -> Steps[Lease]:
        """`lease` as steps; `for_caller` is whether it counts as a hit or a miss."""
        seconds = self._timeouts.queue if isinstance(timeout, DefaultTimeout) else timeout
        check_timeout("timeout", seconds)
        check_method("taking a lease", "capability", capability, "launch")
        check_kind("taking a lease", "cancel", cancel, CancelToken)
        self._check_owner("taking a lease")
        try:
            launch = yield from offload(capability.launch)  # reads files, asks toolchains
            granting = self._granting(launch, seconds, cancel, _thread.get_ident(), for_caller)
            return (yield from on_monitor(granting, Lease.releasing))
        except OSError as error:
            raise of_system("taking a lease", error) from error

    def _granting(
        self, launch: Launch, seconds: float | None, cancel: CancelToken | None, thread: int, for_caller: bool
    ) -> Steps[Lease]:
        try:
            loan = yield from self._lending(launch, seconds, cancel, thread, for_caller)
        except Cancelled:
            raise
        except LeanWorkerError as error:
            self._workers.observer.refuse("lease_refused", error, capability=launch.description)
            raise
        self._workers.observer.tell("lease_granted", capability=launch.description, generation=loan.worker.generation)
        return Lease(loan, self._timeouts)

    def prewarm(self, capability: Capability, count: int = 1, *, timeout: Timeout = DEFAULT) -> None:
        """Have `count` warm workers of `capability`, and return when they are ready; they are started side by side.

        Args:
            capability: What they host.
            count: How many, 1 to `max_workers`.
            timeout: As of `lease`.

        Raises:
            UsageError: `count` is out of range.
            LeanWorkerError: As of `lease`; the workers that came up stay.
        """
        run(self.prewarming(capability, count, timeout))

    def prewarming(self, capability: Capability, count: int, timeout: Timeout) -> Steps[None]:
        """`prewarm` as steps."""
        if type(count) is not int or not 1 <= count <= self._max_workers:
            raise UsageError(f"prewarming a pool: expected a count from 1 to {self._max_workers}, got {shown(count)}")
        grants = [Task(self.granting(capability, timeout, for_caller=False), Lease.releasing) for _ in range(count)]
        try:
            for grant in grants:
                grant.start()
            for grant in grants:
                yield Until(grant.done, None)
        except BaseException:
            for grant in grants:
                grant.abandon()
            for grant in grants:
                yield Until(grant.settled, _ABANDONED_SECONDS)
            raise
        # All are held at once, so that they are different ones.
        leases: list[Lease] = []
        failures: list[BaseException] = []
        for grant in grants:
            try:
                leases.append(grant.result())
            except Exception as error:
                failures.append(error)
        for lease in leases:
            yield from lease.releasing()
        if failures:
            raise failures[0]

    # -- places --

    # Steps from here on are driven on the monitor's thread, if nothing else is said.

    def _lending(
        self,
        launch: Launch,
        seconds: float | None,
        cancel: CancelToken | None = None,
        thread: int = 0,
        for_caller: bool = False,
    ) -> Steps[Loan]:
        key = launch.key()
        end = None if seconds is None else time.monotonic() + seconds
        gone: list[tuple[Worker, str]] = []
        place = yield from self._taking_place(key, seconds, gone, cancel, thread)
        worker = place.worker
        observer = self._workers.observer
        if for_caller:
            observer.key_hits += worker is not None
            observer.key_misses += worker is None
        try:
            yield from self._workers.discarding(gone)
            if worker is None:
                worker = yield from self._workers.starting(key, launch, end, cancel)
                place.worker = worker
                observer.cold_opens += for_caller
                if self._workers.is_closed:
                    self._workers.check_open()
        except BaseException:
            if worker is not None:
                yield from self._workers.giving_back(key, launch, worker, place)
            else:
                self._workers.free(place)
            raise
        return Loan(self._workers, self, key, launch, place, worker)

    def _taking_place(
        self,
        key: str,
        seconds: float | None,
        gone: list[tuple[Worker, str]],
        cancel: CancelToken | None,
        thread: int,
    ) -> Steps[Place]:
        """Wait for a place; comes to one with the warm worker in it, or with none, and then one is to be started.

        Workers that have to go first are put into `gone`. Nobody is served before those who came earlier, whether they
        wait on threads or on loops.
        """
        ticket = _Ticket(cancel)
        started = time.monotonic()
        self._workers.check_open(cancel)
        self._queue.append(ticket)

        def look_again() -> None:
            # From any thread, and from signal handlers.
            monitor.shared().post(lambda: ticket.called.set())

        add_cancel_callback(cancel, look_again)
        try:
            while True:
                self._workers.check_open(cancel)
                if self._queue[0] is ticket and len(self._workers.places) < self._max_workers:
                    return self._workers.take_place(key, thread, self._max_workers, gone)
                left = None if seconds is None else started + seconds - time.monotonic()
                if left is not None and left <= 0:
                    raise self._refusal(seconds, time.monotonic() - started)
                ticket.called = Event()
                yield Until(ticket.called, left)
        finally:
            remove_cancel_callback(cancel, look_again)
            self._queue.remove(ticket)
            self.call_next()

    def replacing(self, launch: Launch) -> Steps[None]:
        """Start the successor of a used-up worker before somebody waits for it, if there is a place for it."""
        try:
            loan = yield from self._lending(launch, 0.0)
        except LeanWorkerError:
            return  # whoever needs one starts it
        yield from loan.ending()

    def call_next(self) -> None:
        """A place may have come free, or the head of the queue has changed."""
        if self._queue and len(self._workers.places) < self._max_workers:
            self._queue[0].called.set()

    def _is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Whether a caller waits for a place who did not come with one of the tokens `own`, or the pool is closing.

        From any thread.
        """
        while True:
            try:
                return self._workers.is_closed or any(ticket.cancel not in own for ticket in tuple(self._queue))
            except RuntimeError:
                continue  # it has changed meanwhile

    def _refusal(self, seconds: float | None, waited: float) -> PoolFull | QueueTimeout:
        if seconds == 0:
            return PoolFull(
                f"taking a lease: all {self._max_workers} workers are lent",
                hint="Wait with timeout=, or make the pool larger.",
                max_workers=self._max_workers,
            )
        return QueueTimeout(
            f"taking a lease: none of {self._max_workers} workers came free within {seconds:g} seconds",
            hint="Release leases earlier, wait longer, or make the pool larger.",
            max_workers=self._max_workers,
            waited=round(waited, 3),
            queued=len(self._queue),
        )

    def _check_owner(self, doing: str) -> None:
        if not self._workers.owner.is_here:
            raise foreign(doing, "pool")

    # -- the pool itself --

    @property
    def max_workers(self) -> int:
        """The largest number of workers."""
        return self._max_workers

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else f"{len(self._workers.places)} leased, {len(self._workers.idle)} idle"
        return f"<{type(self).__name__} of at most {self._max_workers} workers: {state}>"

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._workers.is_closed

    def snapshot(self) -> PoolSnapshot:
        """The pool's figures now; counters never go back. From any thread.

        Raises:
            UsageError: The pool was made before a fork, in the parent process.
        """
        self._check_owner("taking a snapshot")
        pids = self._workers.pids()
        memory_kib = memory.total_private_kib(pids)
        holders = snapshot_of(monitor.shared().call(self._workers.holders.ready), self._workers)
        return monitor.shared().call(lambda: self._snapshot(memory_kib, holders))

    def _snapshot(self, memory_kib: int | None, holders: Sequence[HolderSnapshot]) -> PoolSnapshot:
        self._workers.read_mail()
        observer = self._workers.observer
        return PoolSnapshot(
            max_workers=self._max_workers,
            leased=len(self._workers.places),
            idle=len(self._workers.idle),
            queued=len(self._queue),
            started=observer.started,
            ended=dict(observer.ended),
            requests=observer.requests,
            outcomes=dict(observer.outcomes),
            refused=dict(observer.refused),
            **observer.flow(),
            memory_kib=memory_kib,
            events_dropped=observer.events_dropped,
            key_hits=observer.key_hits,
            key_misses=observer.key_misses,
            cold_opens=observer.cold_opens,
            timings=dict(observer.timings),
            peer_versions=self._workers.peer_versions(),
            holders=holders,
            forked=observer.forked,
        )

    def _show_itself(self) -> None:
        from ..pool.snapshot_server import serve_snapshot

        try:
            self._live = serve_snapshot(self)
        except (LeanWorkerError, OSError) as error:
            _log.warning("LEAN_WORKER_TOP is set, but the pool cannot be shown: %s", error)

    def close(self, *, drain: Timeout = DEFAULT) -> CloseReport:
        """Refuse new leases, wait for lent ones, and end all workers; legal twice, and from any thread.

        A handler of a request, and a signal handler or a finalizer that interrupted this package, cannot wait for a
        lease that its own thread holds: the closing begins, goes on aside, and this returns at once. `drain=0` ends all
        workers before it returns in any case. In a forked child this does nothing.

        Args:
            drain: Seconds to wait until lent leases are released; 0 not to wait, None for no limit. Workers that are
                still lent then are killed, and their requests fail with `StaleLease`. Default: `Timeouts.drain`.

        Returns:
            How many workers ended and were killed, and how long that took; the first report if it was closed before.
        """
        return run(self.closing(drain))

    def close_soon(self) -> None:
        """Begin to end all workers, lent ones too, and wait for nothing; for finalizers and interrupts."""
        if self._workers.owner.is_here:
            Task(self._closing_all(0.0)).post()

    def closing(self, drain: Timeout) -> Steps[CloseReport]:
        """`close` as steps, on any thread. Interrupted, it waits no more: lent workers are killed."""
        seconds = self._timeouts.drain if isinstance(drain, DefaultTimeout) else drain
        check_timeout("drain", seconds)
        if not self._workers.owner.is_here:
            return NOTHING_ENDED
        if seconds != 0 and (self._workers.is_used_by(_thread.get_ident()) or not may_wait_for_leases()):
            Task(self._closing_all(seconds)).post()
            return NOTHING_ENDED
        return (yield from on_monitor(self._closing_all(seconds)))

    def _closing_all(self, seconds: float | None) -> Steps[CloseReport]:
        was_closed = self._workers.is_closed
        closing = self._closing = self._closing or Closing(self._workers)
        self._workers.closing.set()
        idle, self._workers.idle = self._workers.idle, []
        for ticket in list(self._queue):
            ticket.called.set()
        if not self._workers.places:
            self._workers.all_returned.set()
        end = None if seconds is None else time.monotonic() + seconds
        try:
            yield from self._workers.discarding([(worker, "closed") for _, worker in idle])
            yield Until(self._workers.all_returned, None if end is None else max(0.0, end - time.monotonic()))
        finally:
            yield from self._workers.killing_lent()
            self._workers.read_mail()
            live = self._live
            if live is not None:
                yield from offload(live.close)
            yield from closing.settling()
            report = closing.report()
            if not was_closed:
                self._workers.observer.tell(
                    "pool_closed", ended=dict(report.ended), killed=report.killed, seconds=report.seconds
                )
            yield from offload(lambda: self._workers.observer.close(_CALLBACKS_SECONDS))
        return report

    def __enter__(self) -> Pool:
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool; a block that is left by an exception is not waited for."""
        self.close(drain=DEFAULT if kind is None else 0)

    def _left(self) -> None:
        self.close_soon()

    def _leave_to_parent(self) -> None:
        self._workers.leave_to_parent()
        self._queue.clear()


class _Ticket:
    """A caller's place in the queue.

    Attributes:
        cancel: What it came with.
        called: When it is worth looking whether it is this caller's turn.
    """

    __slots__ = ("called", "cancel")

    def __init__(self, cancel: CancelToken | None) -> None:
        self.cancel = cancel
        self.called = Event()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for pool in list(_pools):
        pool._leave_to_parent()


def _close_all() -> None:
    # Workers end with us anyway. Ending them while the monitor still runs spares the interpreter's last steps, which
    # drop open streams and leases, from waiting for a thread that does not run any more.
    for pool in list(_pools):
        with contextlib.suppress(LeanWorkerError):
            pool.close(drain=0)


after_fork_in_child(_leave_all_to_parent)
at_exit(_close_all)
