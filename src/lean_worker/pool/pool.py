"""The core of a pool: admission, reuse of warm workers, planned replacement, and an orderly end.

Owns how many workers there are, when one is replaced, and that none is left behind. Hides workers
altogether: callers see leases. `blocking.pool.Pool` and `aio.pool.AsyncPool` drive it; they decide what is hosted and
for how long they are ready to wait.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import os
import time
import warnings
import weakref
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from ..base.arguments import check_kind, check_method, shown
from ..base.asyncio_tasks import current_task
from ..base.callbacks import check_callable
from ..base.deferred import load_all
from ..base.forks import after_fork_in_child, at_exit, foreign
from ..base.interrupts import Droppable
from ..base.log import log
from ..base.system_errors import is_of_system, of_system
from ..cancel import CancelToken
from ..commands import Command
from ..errors import Cancelled, LeanWorkerError, UsageError
from ..hosting.launch import Capability, Launch, launch_of
from ..policy import DEFAULT, DefaultTimeout, Limits, MemoryPolicy, RestartPolicy, Timeout, Timeouts, check_timeout
from ..steps import monitor
from ..steps.handlers import may_wait_for_leases
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Steps, Until, offload, run
from ..worker import memory
from ..worker.worker import Worker
from .close_report import NOTHING_ENDED, CloseReport, Closing
from .lease import LeaseCore
from .loan import Loan
from .observer import HolderSnapshot, PoolEvent, PoolSnapshot
from .place_queue import LONG_SECONDS, PlaceQueue, Ticket
from .places import Place
from .prewarming import Prewarming
from .prewarms import Prewarms
from .worker_holders import snapshot_of
from .workers import Workers

if TYPE_CHECKING:
    from .snapshot_server import SnapshotServer

_CALLBACKS_SECONDS = 1.0


class PoolCore(Droppable):
    """The steps of `Pool` and of `AsyncPool`, and the state that both show. The arguments are those of `Pool`.

    A core that is dropped open ends its workers, with a `ResourceWarning` if there are any. Leases, outcomes and pools
    that share it hold it.

    Attributes:
        max_workers: The largest number of workers.
        timeouts: Time limits of every worker and of the queue.
        workers: The workers and their places.
        owner: The process that made the pool.
        monitor: Who does the bookkeeping; passed on to everything that belongs to the pool.
    """

    def __init__(
        self,
        max_workers: int,
        timeouts: Timeouts | None,
        limits: Limits | None,
        memory: MemoryPolicy | None,
        restarts: RestartPolicy | None,
        on_event: Callable[[PoolEvent], object] | None,
        on_stderr: Callable[[str], object] | None,
    ) -> None:
        if type(max_workers) is not int or not 1 <= max_workers <= 4096:
            raise UsageError(
                f"making a pool: expected max_workers from 1 to 4096, got {shown(max_workers)}",
                hint="Give an int, as in lw.Pool(max_workers=2).",
            )
        check_kind("making a pool", "timeouts", timeouts, Timeouts)
        check_kind("making a pool", "limits", limits, Limits)
        check_kind("making a pool", "memory", memory, MemoryPolicy)
        check_kind("making a pool", "restarts", restarts, RestartPolicy)
        check_callable("making a pool", "event", on_event=on_event)
        check_callable("making a pool", "line", on_stderr=on_stderr)
        load_all()
        self.max_workers = max_workers
        self.timeouts = timeouts or Timeouts()
        self.monitor = monitor.shared()
        self.workers = Workers(
            self.monitor,
            self,
            self.timeouts,
            limits or Limits(),
            memory or MemoryPolicy(),
            restarts or RestartPolicy(),
            on_event,
            on_stderr,
        )
        self.owner = self.workers.owner
        self._prewarms = Prewarms(self.workers, max_workers)
        self._queue = PlaceQueue(self.monitor, self.workers, self._prewarms, max_workers)
        self._server: SnapshotServer | None = None
        self._closing: Closing | None = None
        _pools.add(self)
        if os.environ.get("LEAN_WORKER_TOP") == "1":
            self._show_itself()

    def granting(
        self,
        capability: Capability,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        *,
        for_caller: bool = True,
        is_blocking: bool = False,
    ) -> Steps[LeaseCore]:
        """See `Pool.lease`.

        Args:
            capability: What the worker hosts.
            timeout: Of the wait for a place.
            cancel: Ends the wait.
            for_caller: Whether it counts as a hit or a miss.
            is_blocking: Whether nothing else runs on this thread meanwhile.
        """
        seconds = self.timeouts.queue if isinstance(timeout, DefaultTimeout) else timeout
        check_lease(capability, timeout, cancel)
        self._check_owner("taking a lease")
        try:
            # Reads files, asks toolchains.
            launch = yield from offload(functools.partial(launch_of, "taking a lease", capability))
            granting = self._granting(launch, seconds, cancel, _thread.get_ident(), for_caller, is_blocking)
            return (yield from on_monitor(self.monitor, granting, LeaseCore.releasing))
        except OSError as error:
            if not is_of_system(error):
                raise
            raise of_system("taking a lease", error) from error

    def _granting(
        self,
        launch: Launch,
        seconds: float | None,
        cancel: CancelToken | None,
        thread: int,
        for_caller: bool,
        is_blocking: bool,
    ) -> Steps[LeaseCore]:
        try:
            place, worker = yield from self._lending(launch, seconds, cancel, thread, for_caller, is_blocking)
        except Cancelled:
            raise
        except LeanWorkerError as error:
            self.workers.observer.refuse("lease_refused", error, capability=launch.description)
            raise
        self.workers.observer.tell("lease_granted", capability=launch.description, generation=worker.generation)
        return LeaseCore(Loan(self.workers, self, place, worker), self.timeouts)

    def prewarming(
        self, capability: Capability, count: int, timeout: Timeout, *, is_blocking: bool = False
    ) -> Steps[None]:
        """See `Pool.prewarm`; `is_blocking` as of `granting`."""
        if type(count) is not int or not 1 <= count <= self.max_workers:
            raise UsageError(
                f"prewarming a pool: expected a count from 1 to {self.max_workers}, got {shown(count)}",
                hint="Give an int, not above the pool's max_workers.",
            )
        self.check_open("prewarming a pool")
        seconds = self.timeouts.queue if isinstance(timeout, DefaultTimeout) else timeout
        check_lease(capability, timeout, None)
        started = time.monotonic()
        try:
            launch = yield from offload(functools.partial(launch_of, "taking a lease", capability))
            prewarming = Prewarming(
                self.monitor,
                self.workers,
                self._queue,
                self._prewarms,
                launch=launch,
                count=count,
                seconds=seconds,
                started=started,
                thread=_thread.get_ident(),
                is_blocking=is_blocking,
            )
            yield from on_monitor(self.monitor, prewarming.serving())
        except OSError as error:
            if not is_of_system(error):
                raise
            raise of_system("prewarming a pool", error) from error

    # -- places --

    # Steps from here on are driven on the monitor's thread, if nothing else is said.

    def _lending(
        self,
        launch: Launch,
        seconds: float | None,
        cancel: CancelToken | None = None,
        thread: int = 0,
        for_caller: bool = False,
        is_blocking: bool = False,
    ) -> Steps[tuple[Place, Worker]]:
        key = launch.key()
        end = None if seconds is None else time.monotonic() + seconds
        gone: list[tuple[Worker, str]] = []
        place = yield from self._taking_place(key, launch.needs_others, seconds, gone, cancel, thread, is_blocking)
        worker = place.worker
        observer = self.workers.observer
        if for_caller:
            observer.key_hits += worker is not None
            observer.key_misses += worker is None
        try:
            yield from self.workers.discarding(gone)
            if worker is None:
                worker = yield from self.workers.starting(launch, end, cancel)
                place.worker = worker
                self.call_next()
                observer.cold_opens += for_caller
                if self.workers.is_closed:
                    self.workers.check_open()
        except BaseException:
            if worker is not None:
                yield from self.workers.giving_back(worker, place)
            else:
                self.workers.free(place)
            raise
        return place, worker

    def _taking_place(
        self,
        key: str,
        needs_others: bool,
        seconds: float | None,
        gone: list[tuple[Worker, str]],
        cancel: CancelToken | None,
        thread: int,
        is_blocking: bool,
    ) -> Steps[Place]:
        """Wait for a place; comes to one with the warm worker in it, or with none, and then one is to be started.

        Workers that have to go first are put into `gone`.
        """
        ticket = Ticket(cancel, needs_others)

        def take() -> Place:
            return self.workers.take_place(key, thread, needs_others, self.max_workers, gone)

        started = time.monotonic()
        return (yield from self._queue.waiting_for_turn(ticket, take, seconds, started, thread, is_blocking))

    def replacing(self, launch: Launch) -> Steps[None]:
        """Start the successor of a used-up worker before somebody waits for it, if there is a place for it."""
        try:
            place, worker = yield from self._lending(launch, 0.0)
        except LeanWorkerError:
            return  # whoever needs one starts it
        # Not by a loan, which would tell the end of a lease that nobody was granted.
        yield from self.workers.giving_back(worker, place)

    def call_next(self) -> None:
        """A place may have come free, or a worker be ready."""
        self._queue.call_next()

    def is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Whether a caller waits for a place who did not come with one of the tokens `own`, or the pool is closing.

        From any thread.
        """
        return self.workers.is_closed or self._queue.is_wanted_by_others(own)

    def refuse_self_wait(self, doing: str) -> None:
        """Refuse to wait long for a worker on this thread if it holds all, and no other thread could return one.

        Raises:
            UsageError: That is so.
        """
        if self.timeouts.queue is not None and self.timeouts.queue <= LONG_SECONDS:
            return
        thread = _thread.get_ident()
        self.monitor.call(lambda: self._queue.check_not_alone(doing, thread))

    def _check_owner(self, doing: str) -> None:
        if not self.workers.owner.is_here:
            raise foreign(doing, "pool")

    def check_open(self, doing: str) -> None:
        """Refuse a pool that is closed, or was made before a fork.

        Raises:
            UsageError: It is one of these.
        """
        self._check_owner(doing)
        self.workers.check_open(doing=doing)

    # -- the pool itself --

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else f"{len(self.workers.places)} leased, {len(self.workers.idle)} idle"
        return f"<Pool of at most {self.max_workers} workers: {state}>"

    @property
    def is_closed(self) -> bool:
        """See `Pool.is_closed`."""
        return self.workers.is_closed

    def snapshot(self) -> PoolSnapshot:
        """See `Pool.snapshot`."""
        self._check_owner("taking a snapshot")
        pids = self.workers.pids()
        memory_kib = memory.total_private_kib(pids)
        holders = snapshot_of(self.monitor.call(self.workers.holders.ready), self.workers)
        return self.monitor.call(lambda: self._snapshot(memory_kib, holders))

    def _snapshot(self, memory_kib: int | None, holders: Sequence[HolderSnapshot]) -> PoolSnapshot:
        self.workers.read_mail()
        observer = self.workers.observer
        return PoolSnapshot(
            max_workers=self.max_workers,
            leased=len(self.workers.places),
            idle=len(self.workers.idle),
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
            peer_versions=self.workers.peer_versions(),
            holders=holders,
            forked=observer.forked,
        )

    def _show_itself(self) -> None:
        from ..pool.snapshot_server import serve_snapshot

        try:
            self._server = serve_snapshot(self)
        except (LeanWorkerError, OSError) as error:
            log.warning("LEAN_WORKER_TOP is set, but the pool cannot be shown: %s", error)

    def _dropped(self) -> None:
        workers: Workers | None = vars(self).get("workers")
        if workers is None or workers.is_closed or not workers.owner.is_here or not len(workers):
            return
        self.close_soon()
        text = f"a pool was dropped without close: of at most {self.max_workers} workers"
        warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    def close_soon(self) -> None:
        """Begin to end all workers, lent ones too, and wait for nothing; for finalizers and interrupts."""
        if self.workers.owner.is_here:
            Task(self.monitor, self._closing_all(0.0)).post()

    def closing(self, drain: Timeout, *, is_awaited: bool = False) -> Steps[CloseReport]:
        """See `Pool.close`; on any thread. Interrupted, it waits no more: lent workers are killed.

        Args:
            drain: As of `Pool.close`.
            is_awaited: Whether the thread runs other tasks of asyncio while this one waits.
        """
        seconds = self.timeouts.drain if isinstance(drain, DefaultTimeout) else drain
        check_timeout("drain", seconds)
        if not self.workers.owner.is_here:
            return NOTHING_ENDED
        if seconds != 0 and (
            self.workers.is_used_by(_thread.get_ident(), current_task() if is_awaited else None)
            or not may_wait_for_leases()
        ):
            Task(self.monitor, self._closing_all(seconds)).post()
            return NOTHING_ENDED
        return (yield from on_monitor(self.monitor, self._closing_all(seconds)))

    def _closing_all(self, seconds: float | None) -> Steps[CloseReport]:
        was_closed = self.workers.is_closed
        closing = self._closing = self._closing or Closing(self.workers)
        self.workers.closing.set()
        idle, self.workers.idle = self.workers.idle, []
        self._queue.call_all()
        if not self.workers.places:
            self.workers.all_returned.set()
        end = None if seconds is None else time.monotonic() + seconds
        try:
            yield from self.workers.discarding([(worker, "closed") for worker in idle])
            yield Until(self.workers.all_returned, None if end is None else max(0.0, end - time.monotonic()))
        finally:
            yield from self.workers.killing_lent()
            self.workers.read_mail()
            server = self._server
            if server is not None:
                yield from offload(server.close)
            yield from closing.settling()
            report = closing.report()
            if not was_closed:
                self.workers.observer.tell(
                    "pool_closed", ended=dict(report.ended), killed=report.killed, seconds=report.seconds
                )
            yield from offload(lambda: self.workers.observer.close(_CALLBACKS_SECONDS))
        return report

    def leave_to_parent(self) -> None:
        """In a forked child: forget all, and touch nothing."""
        self.workers.leave_to_parent()
        self._queue.clear()
        self._prewarms.clear()


def check_lease(capability: object, timeout: Timeout, cancel: object) -> None:
    """Refuse what is no argument of `Pool.lease`.

    Raises:
        UsageError: One of them is none.
    """
    check_capability(capability)
    if not isinstance(timeout, DefaultTimeout):
        check_timeout("timeout", timeout)
    check_kind("taking a lease", "cancel", cancel, CancelToken)


def check_capability(capability: object) -> None:
    """Refuse what no worker can host.

    Raises:
        UsageError: It is a command, or has no `launch`.
    """
    if isinstance(capability, Command):
        raise UsageError(
            f"taking a lease: expected capability as what a worker hosts, got the command {capability.name}",
            hint="A pool's calls take the capability first: pool.call(capability, command, request).",
        )
    check_method("taking a lease", "capability", capability, "launch")


_pools: weakref.WeakSet[PoolCore] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for pool in list(_pools):
        pool.leave_to_parent()


def _close_all() -> None:
    # Workers end with us anyway. Ending them while the monitor still runs spares the interpreter's last steps, which
    # drop open streams and leases, from waiting for a thread that does not run any more.
    for pool in list(_pools):
        with contextlib.suppress(LeanWorkerError):
            run(pool.closing(0.0))


after_fork_in_child(_leave_all_to_parent)
at_exit(_close_all)
