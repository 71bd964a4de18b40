"""Workers on loan: admission, a fair queue, reuse of warm workers, planned replacement, eviction, and an orderly end.

Owns how many workers there are, who gets one next, when one is replaced, and that none is left behind. Hides workers
altogether: callers see leases. Callers decide what is hosted and for how long they are ready to wait.
"""

from __future__ import annotations

import _thread
import collections
import concurrent.futures
import contextlib
import logging
import os
import time
import weakref
from collections.abc import Callable, Container
from types import TracebackType
from typing import TYPE_CHECKING

from ..base.arguments import check_callable, check_kind, check_method, shown
from ..base.forks import Home, after_fork_in_child, at_exit, foreign
from ..batch.requests import ManyRequests
from ..cancel import CancelToken
from ..errors import (
    Cancelled,
    LeanWorkerError,
    MemoryBudgetExceeded,
    PoolFull,
    QueueTimeout,
    RestartLimitExceeded,
    StaleLease,
    UsageError,
    of_system,
)
from ..hosting.capability import Capability, Launch
from ..policy import Limits, MemoryPolicy, RestartPolicy, Timeouts, check_timeout
from ..pool.lease import DEFAULT, Lease, Timeout, _Default
from ..pool.loan import Loan, Place, Request
from ..pool.observer import FAILURES, Observer, PoolEvent, PoolSnapshot
from ..pool.restarts import Kinds, Poison
from ..steps import monitor
from ..steps.handlers import may_wait_for_leases
from ..steps.leaving import Leaving
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Moment, Steps, Until, aside, run
from ..worker import memory
from ..worker.supervisor import Supervisor

if TYPE_CHECKING:
    from ..pool.snapshot_server import SnapshotServer

_log = logging.getLogger("lean_worker")
_CALLBACKS_SECONDS = 1.0
_MAIL_KEPT = 256


class Pool(Leaving, ManyRequests):
    """At most `max_workers` workers, started when needed and kept warm. Threads may share a pool.

    A pool does not survive a fork: in the forked child it is refused with `UsageError`, and the parent's workers are
    not touched. Use it in a `with` block, or call `close`.

    Args:
        max_workers: How many workers there may be at once, 1 or more.
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
        self._limits = limits or Limits()
        self._memory = memory or MemoryPolicy()
        restarts = restarts or RestartPolicy()
        self.home = Home()
        # All that follows is touched on the monitor's thread only, but for the mail, and for looks at single values.
        self.kinds = Kinds(restarts)
        self.poison = Poison(restarts)
        self.observer = Observer(on_event, on_stderr)
        self._mail: collections.deque[Request] = collections.deque()
        self._queue: collections.deque[_Ticket] = collections.deque()
        self._idle: list[tuple[str, Supervisor]] = []  # least recently used first
        self._places: set[Place] = set()
        self._workers: dict[Supervisor, str] = {}
        self._is_closed = False
        self._has_killed = False
        self._closing = Moment()
        self._all_returned = Moment()
        self._live: SnapshotServer | None = None
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

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[Lease]:
        """`lease` as steps."""
        seconds = self._timeouts.queue if isinstance(timeout, _Default) else timeout
        check_timeout("timeout", seconds)
        check_method("taking a lease", "capability", capability, "launch")
        check_kind("taking a lease", "cancel", cancel, CancelToken)
        self._check_owner("taking a lease")
        try:
            launch = yield from aside(capability.launch)  # reads files, asks toolchains
            granting = self._granting(launch, seconds, cancel, _thread.get_ident())
            return (yield from on_monitor(granting, Lease._left))
        except OSError as error:
            raise of_system("taking a lease", error) from error

    def _granting(self, launch: Launch, seconds: float | None, cancel: CancelToken | None, thread: int) -> Steps[Lease]:
        try:
            loan = yield from self._lending(launch, seconds, cancel, thread)
        except Cancelled:
            raise
        except LeanWorkerError as error:
            self.observer.refuse("lease_refused", error, capability=launch.description)
            raise
        self.observer.tell("lease_granted", capability=launch.description, generation=loan.worker.generation)
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
        self.check_prewarm(count)
        with concurrent.futures.ThreadPoolExecutor(count, "lean-worker-prewarm") as executor:
            futures = [executor.submit(self.lease, capability, timeout=timeout) for _ in range(count)]
        # All are held at once, so that they are different ones.
        for future in futures:
            if future.exception() is None:
                future.result().release()
        for future in futures:
            future.result()

    def check_prewarm(self, count: int) -> None:
        """See `prewarm`."""
        if type(count) is not int or not 1 <= count <= self._max_workers:
            raise UsageError(f"prewarming a pool: expected a count from 1 to {self._max_workers}, got {shown(count)}")

    # -- places --

    # Steps from here on are driven on the monitor's thread, if nothing else is said.

    def mail(self, request: Request) -> None:
        """From any thread: something about `request` is to be counted, at the latest when somebody asks."""
        self._mail.append(request)
        if self.observer.is_heard or not request.worker.is_idle or len(self._mail) >= _MAIL_KEPT:
            monitor.shared().post(self.read_mail)

    def read_mail(self) -> None:
        """Count what requests have come to since the last time."""
        for _ in range(len(self._mail)):
            request = self._mail.popleft()
            request.loan.account(request)

    def _lending(
        self, launch: Launch, seconds: float | None, cancel: CancelToken | None = None, thread: int = 0
    ) -> Steps[Loan]:
        key = launch.key()
        end = None if seconds is None else time.monotonic() + seconds
        gone: list[tuple[Supervisor, str]] = []
        place = yield from self._taking_place(key, seconds, gone, cancel, thread)
        worker = place.worker
        try:
            yield from self.discarding(gone)
            if worker is None:
                worker = yield from self.starting(key, launch, end, cancel)
                place.worker = worker
                if self._is_closed:
                    self._check_open()
        except BaseException:
            if worker is not None:
                yield from self.giving_back(key, launch, worker, place)
            else:
                self.free(place)
            raise
        return Loan(self, key, launch, place, worker)

    def _taking_place(
        self,
        key: str,
        seconds: float | None,
        gone: list[tuple[Supervisor, str]],
        cancel: CancelToken | None,
        thread: int,
    ) -> Steps[Place]:
        """Wait for a place; comes to one with the warm worker in it, or with none, and then one is to be started.

        Workers that have to go first are put into `gone`. Nobody is served before those who came earlier, whether they
        wait on threads or on loops.
        """
        ticket = _Ticket(cancel)
        started = time.monotonic()
        self._check_open(cancel)
        self._queue.append(ticket)

        def look_again() -> None:
            # From any thread, and from signal handlers.
            monitor.shared().post(lambda: ticket.called.come())

        if cancel is not None:
            cancel._subscribe(look_again)
        try:
            while True:
                self._check_open(cancel)
                if self._queue[0] is ticket and len(self._places) < self._max_workers:
                    place = Place(thread)
                    place.worker = self._pop_idle(key, gone)
                    if place.worker is None and len(self._places) + len(self._idle) >= self._max_workers:
                        gone.append((self._idle.pop(0)[1], "evicted"))
                    self._places.add(place)
                    return place
                left = None if seconds is None else started + seconds - time.monotonic()
                if left is not None and left <= 0:
                    raise self._refusal(seconds, time.monotonic() - started)
                ticket.called = Moment()
                yield Until(ticket.called, left)
        finally:
            if cancel is not None:
                cancel._unsubscribe(look_again)
            self._queue.remove(ticket)
            self._call_next()

    def _call_next(self) -> None:
        """A place may have come free, or the head of the queue has changed."""
        if self._queue and len(self._places) < self._max_workers:
            self._queue[0].called.come()

    def _is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Whether a caller waits for a place who did not come with one of the tokens `own`, or the pool is closing.

        From any thread.
        """
        while True:
            try:
                return self._is_closed or any(ticket.cancel not in own for ticket in tuple(self._queue))
            except RuntimeError:
                continue  # it has changed meanwhile

    def _pop_idle(self, key: str, gone: list[tuple[Supervisor, str]]) -> Supervisor | None:
        """The most recently used warm worker of `key`; those that died or grew old while idle are sorted out."""
        for index in range(len(self._idle) - 1, -1, -1):
            worker_key, worker = self._idle[index]
            if worker_key != key:
                continue
            del self._idle[index]
            if not worker.is_usable or worker.has_spoken_unasked:
                gone.append((worker, "closed"))
            elif self._is_too_old(worker):
                gone.append((worker, "policy"))
            else:
                return worker
        return None

    def starting(self, key: str, launch: Launch, end: float | None, cancel: CancelToken | None) -> Steps[Supervisor]:
        """A new worker in a place that is taken already; waits for the pause after failures until `end`."""
        self._check_open()
        self.read_mail()
        kind = self.kinds.of(key)
        yield from self._making_room_in_memory(launch)

        def admit() -> Steps[None]:
            yield from self._sitting_out(kind.admit(launch.description), end, launch, cancel)

        generation = kind.next_generation
        kind.next_generation += 1
        worker = Supervisor(launch, self._timeouts, self._limits, self._memory, generation, self.observer.stderr_sink())
        started = time.monotonic()
        self._workers[worker] = key
        try:
            yield from worker.starting(admit, cancel)
        except BaseException as error:
            del self._workers[worker]
            # A caller who wants the worker no more says nothing about its kind.
            is_failure = isinstance(error, Exception) and not isinstance(
                error, (RestartLimitExceeded, QueueTimeout, Cancelled)
            )
            failed = is_failure and not self._is_closed
            if failed:
                why = str(getattr(error, "text", None) or repr(error))
                kind.fail(why)
                self.observer.worker_ended("start_failed", generation=generation, why=why)
            elif isinstance(error, RestartLimitExceeded):
                self.observer.tell("restart_refused", capability=launch.description, retry_after=error.retry_after)
            raise
        self.observer.worker_started(
            capability=launch.description, generation=generation, seconds=round(time.monotonic() - started, 4)
        )
        if self._has_killed:  # its process did not exist yet when `close` killed what was lent
            yield from self.discarding([(worker, "closed")])
            self._check_open()
        pool = weakref.ref(self)

        def reaped() -> None:
            alive = pool()
            if alive is not None:
                alive._worker_ended(worker)

        def gone() -> None:
            alive = pool()
            if alive is not None:
                alive._account(worker)

        worker.gone.tell(gone)
        worker.reaped.tell(reaped)
        return worker

    def _worker_ended(self, worker: Supervisor) -> None:
        """Its process is gone: it takes up no place, whoever still holds its lease."""
        if not self.home.is_here:
            return
        self._idle = [entry for entry in self._idle if entry[1] is not worker]
        for place in list(self._places):
            if place.worker is worker:
                self.free(place)
        self._call_next()

    def _sitting_out(self, pause: float, end: float | None, launch: Launch, cancel: CancelToken | None) -> Steps[None]:
        if pause == 0:
            return
        left = pause if end is None else end - time.monotonic()
        if pause > left:
            raise QueueTimeout(
                f"starting a worker for {launch.description}: after several failures in a row the next start comes in "
                f"{pause:g} seconds, the caller waits {max(left, 0):.3g} seconds",
                hint="Wait longer, or shorten the pause with RestartPolicy(backoff=…).",
                backoff=pause,
                waited=0.0,
            )
        over = Moment()
        self._closing.tell(over.come)
        if cancel is not None:
            cancel._subscribe(over.come)
        try:
            yield Until(over, pause)
        finally:
            self._closing.forget(over.come)
            if cancel is not None:
                cancel._unsubscribe(over.come)
        self._check_open(cancel)

    def _making_room_in_memory(self, launch: Launch) -> Steps[None]:
        budget_kib = self._memory.pool_budget_kib
        if budget_kib is None:
            return
        while True:
            pids = self._pids()
            used_kib = yield from aside(lambda: memory.total_private_kib(pids))  # noqa: B023  # awaited here
            if used_kib is None or used_kib < budget_kib:
                return
            victim = self._idle.pop(0)[1] if self._idle else None
            workers = len(self._workers)
            if victim is None:
                raise MemoryBudgetExceeded(
                    f"starting a worker for {launch.description}: {workers} workers hold {used_kib} KiB of private "
                    f"memory, and no further one is started from {budget_kib} KiB on",
                    hint="Wait for leases to be released, or raise MemoryPolicy(pool_budget_kib=…).",
                    used_kib=used_kib,
                    limit_kib=budget_kib,
                    workers=workers,
                )
            yield from self.discarding([(victim, "evicted")])

    def _is_too_old(self, worker: Supervisor) -> bool:
        max_idle = self._memory.max_idle
        return max_idle is not None and time.monotonic() - worker.idle_since >= max_idle

    def may_use_up(self, worker: Supervisor) -> bool:
        """From any thread: whether it is worth asking `using_up`."""
        policy = self._memory
        return policy.cycle_above_kib is not None or (
            policy.max_requests is not None and worker.requests >= policy.max_requests
        )

    def using_up(self, worker: Supervisor) -> Steps[bool]:
        """Whether the policy wants another worker before the next request."""
        policy = self._memory
        if policy.max_requests is not None and worker.requests >= policy.max_requests:
            return True
        limit_kib = policy.cycle_above_kib
        if limit_kib is None:
            return False
        return (yield from aside(lambda: memory.exceeds(worker.pid, limit_kib))) is not None

    def giving_back(self, key: str, launch: Launch, worker: Supervisor, place: Place) -> Steps[None]:
        """Take a worker back: keep it warm, or end it. Its place is free afterwards."""
        used_up = False
        try:
            used_up = worker.is_usable and (yield from self.using_up(worker))
        finally:
            yield from self._putting_back(key, launch, worker, place, used_up)

    def _putting_back(self, key: str, launch: Launch, worker: Supervisor, place: Place, used_up: bool) -> Steps[None]:
        if worker.is_usable and not used_up and not self._is_closed and place in self._places:
            self._idle.append((key, worker))
            self.free(place)
            self._watch_idle()
            return
        # The place comes free when the process is gone: there are never more processes than places.
        try:
            yield from self.discarding([(worker, "policy" if used_up else "closed")])
        finally:
            self.free(place)
        if used_up and not self._is_closed:
            Task(self._replacing(launch)).post()

    def _replacing(self, launch: Launch) -> Steps[None]:
        """Start the successor of a used-up worker before somebody waits for it, if there is a place for it."""
        try:
            loan = yield from self._lending(launch, 0.0)
        except LeanWorkerError:
            return  # whoever needs one starts it
        yield from loan.ending()

    def _watch_idle(self) -> None:
        max_idle = self._memory.max_idle
        if max_idle is None:
            return
        pool = weakref.ref(self)

        def look() -> None:
            alive = pool()
            if alive is not None and alive.home.is_here:
                Task(alive._retiring_idle()).post()

        monitor.shared().call_at(time.monotonic() + max_idle, look)

    def _retiring_idle(self) -> Steps[None]:
        old = [entry for entry in self._idle if self._is_too_old(entry[1])]
        self._idle = [entry for entry in self._idle if entry not in old]
        yield from self.discarding([(worker, "policy") for _, worker in old])

    def free(self, place: Place) -> None:
        """The place is free; does nothing if it was before."""
        self._places.discard(place)
        if self._is_closed and not self._places:
            self._all_returned.come()
        self._call_next()

    def discarding(self, gone: list[tuple[Supervisor, str]]) -> Steps[None]:
        """End workers, all of them, whatever interrupts it."""
        for index, (worker, why) in enumerate(gone):
            try:
                yield from worker.closing(why)
            except BaseException:
                self._account(worker)
                yield from self.discarding(gone[index + 1 :])
                raise
            self._account(worker)

    def _account(self, worker: Supervisor) -> None:
        """Count the end of a worker, once."""
        ended_as = worker.ended_as
        if ended_as is None:
            return
        key = self._workers.pop(worker, None)
        if key is None:
            return
        if ended_as in FAILURES:
            self.kinds.of(key).fail(worker.why_gone)
        self.observer.worker_ended(ended_as, generation=worker.generation, why=worker.why_gone)

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

    def _check_open(self, cancel: CancelToken | None = None) -> None:
        if cancel is not None and cancel.is_cancelled:
            raise Cancelled("taking a lease: cancelled by the caller", entered_worker=False)
        if self._is_closed:
            raise UsageError("taking a lease: the pool is closed", pool="closed")

    def _check_owner(self, doing: str) -> None:
        if not self.home.is_here:
            raise foreign(doing, "pool")

    # -- the pool itself --

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def snapshot(self) -> PoolSnapshot:
        """The pool's figures now; counters never go back. From any thread.

        Raises:
            UsageError: The pool was made before a fork, in the parent process.
        """
        self._check_owner("taking a snapshot")
        pids = self._pids()
        memory_kib = memory.total_private_kib(pids)
        return monitor.shared().call(lambda: self._snapshot(memory_kib))

    def _snapshot(self, memory_kib: int | None) -> PoolSnapshot:
        self.read_mail()
        observer = self.observer
        return PoolSnapshot(
            max_workers=self._max_workers,
            leased=len(self._places),
            idle=len(self._idle),
            queued=len(self._queue),
            started=observer.started,
            ended=dict(observer.ended),
            requests=observer.requests,
            outcomes=dict(observer.outcomes),
            refused=dict(observer.refused),
            **observer.flow(),
            memory_kib=memory_kib,
            events_dropped=observer.events_dropped,
        )

    def _show_itself(self) -> None:
        from ..pool.snapshot_server import serve_snapshot

        try:
            self._live = serve_snapshot(self)
        except (LeanWorkerError, OSError) as error:
            _log.warning("LEAN_WORKER_TOP is set, but the pool cannot be shown: %s", error)

    def _pids(self) -> list[int]:
        """From any thread."""
        while True:
            try:
                workers = tuple(self._workers)
                break
            except RuntimeError:
                continue  # it has changed meanwhile
        return [worker.pid for worker in workers if not worker.is_gone]

    def close(self, *, drain: Timeout = DEFAULT) -> None:
        """Refuse new leases, wait for lent ones, and end all workers; legal twice, and from any thread.

        A handler of a request, and a signal handler or a finalizer that interrupted this package, cannot wait for a
        lease that its own thread holds: the closing begins, goes on aside, and this returns at once. `drain=0` ends all
        workers before it returns in any case. In a forked child this does nothing.

        Args:
            drain: Seconds to wait until lent leases are released; 0 not to wait, None for no limit. Workers that are
                still lent then are killed, and their requests fail with `StaleLease`. Default: `Timeouts.drain`.
        """
        run(self.closing(drain))

    def close_soon(self) -> None:
        """Begin to end all workers, lent ones too, and wait for nothing; for finalizers and interrupts."""
        if self.home.is_here:
            Task(self._closing_all(0.0)).post()

    def closing(self, drain: Timeout) -> Steps[None]:
        """`close` as steps, on any thread. Interrupted, it waits no more: lent workers are killed."""
        seconds = self._timeouts.drain if isinstance(drain, _Default) else drain
        check_timeout("drain", seconds)
        if not self.home.is_here:
            return
        if seconds != 0 and (self._is_used_by(_thread.get_ident()) or not may_wait_for_leases()):
            Task(self._closing_all(seconds)).post()
            return
        yield from on_monitor(self._closing_all(seconds))

    def _is_used_by(self, thread: int) -> bool:
        """Whether a thread has a request in flight, and would wait for itself."""
        while True:
            try:
                requests = [place.request for place in tuple(self._places)]
                break
            except RuntimeError:
                continue  # it has changed meanwhile
        return any(
            request is not None and request.thread == thread and not request.is_over and not request.is_lost
            for request in requests
        )

    def _closing_all(self, seconds: float | None) -> Steps[None]:
        was_closed, self._is_closed = self._is_closed, True
        idle, self._idle = self._idle, []
        for ticket in list(self._queue):
            ticket.called.come()
        if not self._places:
            self._all_returned.come()
        self._closing.come()
        end = None if seconds is None else time.monotonic() + seconds
        try:
            yield from self.discarding([(worker, "closed") for _, worker in idle])
            yield Until(self._all_returned, None if end is None else max(0.0, end - time.monotonic()))
        finally:
            yield from self._killing_lent()
            self.read_mail()
            live = self._live
            if live is not None:
                yield from aside(live.close)
            if not was_closed:
                self.observer.tell("pool_closed")
            yield from aside(lambda: self.observer.close(_CALLBACKS_SECONDS))

    def _killing_lent(self) -> Steps[None]:
        self._has_killed = True
        lent = list(self._workers)
        reason = "the pool was closed before the lease was released"
        killed = [worker for worker in lent if worker.kill(StaleLease(reason, entered_worker=True))]
        for worker in killed:
            yield from worker.being_gone()

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
        self.observer.leave_to_parent()
        self._idle.clear()
        self._workers.clear()
        self._places.clear()
        self._queue.clear()
        self._mail.clear()


class _Ticket:
    """A caller's place in the queue.

    Attributes:
        cancel: What it came with.
        called: When it is worth looking whether it is this caller's turn.
    """

    __slots__ = ("called", "cancel")

    def __init__(self, cancel: CancelToken | None) -> None:
        self.cancel = cancel
        self.called = Moment()


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
