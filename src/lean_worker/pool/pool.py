"""The core of a pool: admission, a fair queue, reuse of warm workers, planned replacement, and an orderly end.

Owns how many workers there are, who gets one next, when one is replaced, and that none is left behind. Hides workers
altogether: callers see leases. `blocking.pool.Pool` and `aio.pool.AsyncPool` drive it; they decide what is hosted and
for how long they are ready to wait.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import functools
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.arguments import check_kind, check_method, shown
from ..base.asyncio_tasks import current_task
from ..base.callbacks import check_callable
from ..base.deferred import load_all
from ..base.forks import after_fork_in_child, at_exit, foreign
from ..base.interrupts import Droppable
from ..base.log import log
from ..base.system_errors import of_system
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..commands import Command, check_command
from ..errors import Cancelled, LeanWorkerError, PoolFull, QueueTimeout, UsageError
from ..hosting.launch import Capability, Launch, launch_of
from ..policy import DEFAULT, DefaultTimeout, Limits, MemoryPolicy, RestartPolicy, Timeout, Timeouts, check_timeout
from ..steps import monitor
from ..steps.handlers import may_wait_for_leases
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Event, Steps, Until, offload, run
from ..worker import memory
from ..worker.options import OnDiagnostic, OnProgress, RequestOptions
from ..worker.worker import Worker
from .close_report import NOTHING_ENDED, CloseReport, Closing
from .lease import LeaseCore
from .loan import Loan
from .observer import HolderSnapshot, PoolEvent, PoolSnapshot
from .prewarms import Prewarm, Prewarms
from .worker_holders import snapshot_of
from .workers import Place, Workers

if TYPE_CHECKING:
    from .snapshot_server import SnapshotServer

_TakenT = TypeVar("_TakenT")
_CALLBACKS_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0
"""Time for a place before it is looked at who holds all of them: one that is being given back comes sooner."""
_LONG_SECONDS = 10.0
"""A shorter time for a place ends soon by itself, with a `QueueTimeout`."""
_ABANDONED_SECONDS = 15.0
"""As of `tasks`: seconds that an interrupted caller waits for leases it does not want any more."""


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
        self._queue: collections.deque[_Ticket] = collections.deque()  # on the monitor's thread only
        self._prewarms = Prewarms(self.workers, max_workers)
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
            loan = yield from self._lending(launch, seconds, cancel, thread, for_caller, is_blocking)
        except Cancelled:
            raise
        except LeanWorkerError as error:
            self.workers.observer.refuse("lease_refused", error, capability=launch.description)
            raise
        self.workers.observer.tell("lease_granted", capability=launch.description, generation=loan.worker.generation)
        return LeaseCore(loan, self.timeouts)

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
            prewarming = self._prewarming(launch, count, seconds, started, _thread.get_ident(), is_blocking)
            yield from on_monitor(self.monitor, prewarming)
        except OSError as error:
            raise of_system("prewarming a pool", error) from error

    def _prewarming(
        self, launch: Launch, count: int, seconds: float | None, started: float, thread: int, is_blocking: bool
    ) -> Steps[None]:
        call = Prewarm(launch.key(), count)
        self._prewarms.enter(call)
        adds: list[Task[None]] = []
        try:
            while missing := self._prewarms.missing(call):
                adding = [self._adding(call, launch, seconds, started, thread, is_blocking) for _ in range(missing)]
                adds = [Task(self.monitor, each) for each in adding]
                for add in adds:
                    add.post()
                for add in adds:
                    yield Until(add.done, None)
                failures: list[BaseException] = []
                for add in adds:
                    try:
                        add.result()
                    except LeanWorkerError as error:
                        self.workers.observer.refuse("lease_refused", error, capability=launch.description)
                        failures.append(error)
                    except Exception as error:
                        failures.append(error)
                if failures:
                    try:
                        raise failures[0]
                    finally:
                        failures.clear()  # no cycle of an error, its traceback, and this frame
            self.workers.put_last(call.key)
        except BaseException:
            for add in adds:
                add.abandon()
            for add in adds:
                yield Until(add.settled, _ABANDONED_SECONDS)
            raise
        finally:
            self._prewarms.leave(call)
            self.call_next()

    def _adding(
        self,
        call: Prewarm,
        launch: Launch,
        seconds: float | None,
        started: float,
        thread: int,
        is_blocking: bool,
    ) -> Steps[None]:
        """Start one worker for a call of `prewarm`, unless it has enough meanwhile."""
        gone: list[tuple[Worker, str]] = []
        ticket = _Ticket(None, needs_others=False, prewarm=call)

        def take() -> Place | None:
            if not self._prewarms.missing(call):
                return None
            place = self.workers.take_place_for_new(call.key, thread, self.max_workers, gone)
            self._prewarms.begin_start(call)
            return place

        place = yield from self._waiting_for_turn(ticket, take, seconds, started, thread, is_blocking)
        if place is None:
            return
        try:
            yield from self.workers.discarding(gone)
            end = None if seconds is None else started + seconds
            worker = place.worker = yield from self.workers.starting(launch, end, None)
        except BaseException:
            call.starting -= 1
            self.workers.free(place)
            raise
        call.starting -= 1
        yield from self.workers.giving_back(worker, place)
        call.spent += not worker.is_usable and not self.is_closed

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
    ) -> Steps[Loan]:
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
        return Loan(self.workers, self, place, worker)

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

        Workers that have to go first are put into `gone`. Nobody is served before those who came earlier, whether they
        wait on threads or on loops; only who needs others meanwhile lets those pass as long as no place would be left
        for them. So those who hold a worker and take another never wait for each other.
        """
        ticket = _Ticket(cancel, needs_others)

        def take() -> Place:
            return self.workers.take_place(key, thread, needs_others, self.max_workers, gone)

        return (yield from self._waiting_for_turn(ticket, take, seconds, time.monotonic(), thread, is_blocking))

    def _waiting_for_turn(
        self,
        ticket: _Ticket,
        take: Callable[[], _TakenT],
        seconds: float | None,
        started: float,
        thread: int,
        is_blocking: bool,
    ) -> Steps[_TakenT]:
        """Wait for the turn of a new ticket, and `take` what it is for. The seconds count from `started`."""
        cancel, prewarm = ticket.cancel, ticket.prewarm
        may_be_alone = is_blocking and (seconds is None or seconds > _LONG_SECONDS)
        doing = "taking a lease" if prewarm is None else "prewarming a pool"
        self.workers.check_open(cancel, doing=doing)
        self._queue.append(ticket)

        def look_again() -> None:
            # From any thread, and from signal handlers.
            self.monitor.post(lambda: ticket.called.set())

        add_cancel_callback(cancel, look_again)
        try:
            while True:
                self.workers.check_open(cancel, doing=doing)
                if self._next() is ticket or (prewarm is not None and not self._prewarms.missing(prewarm)):
                    return take()
                left = None if seconds is None else started + seconds - time.monotonic()
                if left is not None and left <= 0:
                    raise self._refusal(seconds, time.monotonic() - started, ticket)
                if may_be_alone and time.monotonic() - started >= _PATIENCE_SECONDS:
                    may_be_alone = False
                    self._check_not_alone(doing, thread, ticket.needs_others)
                patience = _PATIENCE_SECONDS if may_be_alone else None
                ticket.called = Event()
                if prewarm is not None:
                    self._prewarms.look_again_by(ticket.called)
                yield Until(ticket.called, min((time for time in (left, patience) if time is not None), default=None))
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
        """A place may have come free, a worker be ready, or the head of the queue has changed."""
        self._prewarms.look_again()
        ticket = self._next()
        if ticket is not None:
            ticket.called.set()

    def _next(self) -> _Ticket | None:
        """The ticket whose place is next: the first of those for which there is one."""
        may_need_others = self.workers.has_place(True, self.max_workers)
        if not may_need_others and not self.workers.has_place(False, self.max_workers):
            return None  # as most of the time when many wait, who are not looked through
        for ticket in self._queue:
            if ticket.needs_others and not may_need_others:
                continue
            if ticket.prewarm is None or self._prewarms.wants_place(ticket.prewarm):
                return ticket
        return None

    def is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Whether a caller waits for a place who did not come with one of the tokens `own`, or the pool is closing.

        From any thread.
        """
        while True:
            try:
                return self.workers.is_closed or any(ticket.cancel not in own for ticket in tuple(self._queue))
            except RuntimeError:
                continue  # it has changed meanwhile

    def refuse_self_wait(self, doing: str) -> None:
        """Refuse to wait long for a worker on this thread if it holds all, and no other thread could return one.

        Raises:
            UsageError: That is so.
        """
        if self.timeouts.queue is not None and self.timeouts.queue <= _LONG_SECONDS:
            return
        thread = _thread.get_ident()
        self.monitor.call(lambda: self._check_not_alone(doing, thread))

    def _check_not_alone(self, doing: str, thread: int, needs_others: bool = False) -> None:
        if not self.workers.are_all_held_by(thread, needs_others, self.max_workers):
            return
        if all(each.ident == thread or each.name.startswith("lean-worker-") for each in threading.enumerate()):
            held = f"all workers of the pool ({self.max_workers})"
            if needs_others:
                held = f"all but one of the workers of the pool ({self.max_workers}), needs that one beside them"
            raise UsageError(
                f"{doing}: this thread has {held}, and waits for itself",
                hint=f"Use the lease at hand, or release it first, or make the pool larger: "
                f"Pool(max_workers={self.max_workers + 1}).",
            )

    def _refusal(self, seconds: float | None, waited: float, ticket: _Ticket) -> PoolFull | QueueTimeout:
        needs_others = ticket.needs_others
        if ticket.prewarm is not None:
            missing = f"{self._prewarms.missing(ticket.prewarm)} of {ticket.prewarm.count} workers"
            why = "the others are lent, or prewarmed by another call"
            if seconds == 0:
                return PoolFull(
                    f"prewarming a pool: no place for {missing}: {why}",
                    hint="Wait with timeout=, or make the pool larger.",
                    max_workers=self.max_workers,
                )
            return QueueTimeout(
                f"prewarming a pool: no place for {missing} within {seconds:g} seconds: {why}",
                hint="Release leases earlier, wait longer, or make the pool larger.",
                max_workers=self.max_workers,
                waited=round(waited, 3),
                queued=len(self._queue),
            )
        if seconds == 0:
            return PoolFull(
                f"taking a lease: all {self.max_workers} workers are lent{', or kept for others' * needs_others}",
                hint="Wait with timeout=, or make the pool larger.",
                max_workers=self.max_workers,
            )
        return QueueTimeout(
            f"taking a lease: none of {self.max_workers} workers came free within {seconds:g} seconds",
            hint="Release leases earlier, wait longer, or make the pool larger: "
            + (
                "each call of `verify` at the same time keeps a worker for its judge, and needs one more."
                if needs_others
                else "who holds one lease and takes another needs two workers, as in Pool(max_workers=2)."
            ),
            max_workers=self.max_workers,
            waited=round(waited, 3),
            queued=len(self._queue),
        )

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
        for ticket in list(self._queue):
            ticket.called.set()
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
    _check_capability(capability)
    if not isinstance(timeout, DefaultTimeout):
        check_timeout("timeout", timeout)
    check_kind("taking a lease", "cancel", cancel, CancelToken)


def check_one_shot(
    capability: object,
    command: object,
    kind: type[Command[Any, Any]],
    lease_timeout: Timeout,
    timeout: Timeout,
    cancel: CancelToken | None,
    on_diagnostic: OnDiagnostic | None,
    on_progress: OnProgress | None,
) -> None:
    """Refuse what is no argument of `Pool.call`, before a worker is started for it.

    Raises:
        UsageError: One of them is none.
    """
    _check_capability(capability)
    check_command(command, kind)
    for name, seconds in {"lease_timeout": lease_timeout, "timeout": timeout}.items():
        if not isinstance(seconds, DefaultTimeout):
            check_timeout(name, seconds)
    assert isinstance(command, kind)
    check_kind(f"running {command.name}", "cancel", cancel, CancelToken)
    RequestOptions(timeout, cancel, on_diagnostic, on_progress)


def _check_capability(capability: object) -> None:
    if isinstance(capability, Command):
        raise UsageError(
            f"taking a lease: expected capability as what a worker hosts, got the command {capability.name}",
            hint="A pool's calls take the capability first: pool.call(capability, command, request).",
        )
    check_method("taking a lease", "capability", capability, "launch")


class _Ticket:
    """A caller's place in the queue.

    Attributes:
        cancel: What it came with.
        needs_others: Whether it takes others, while it has its place.
        prewarm: The call of `prewarm` it is of; None for one who takes a lease.
        called: When it is worth looking whether it is this caller's turn.
    """

    __slots__ = ("called", "cancel", "needs_others", "prewarm")

    def __init__(self, cancel: CancelToken | None, needs_others: bool, prewarm: Prewarm | None = None) -> None:
        self.cancel = cancel
        self.needs_others = needs_others
        self.prewarm = prewarm
        self.called = Event()


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
