"""Runners that serve many requests: each holds a lease while there is work for it, and every item ends exactly once.

Owns which runner runs which item next, when a lease is given back, and what may be sent again. Hides leases. A runner
is steps, and whoever makes the scheduler says what drives them: a thread each, or a task. Callers bring the items, say
how one is run, and decide how far this may get ahead of them.

Items come in lanes. The items of a lane run in order on one worker, as far as that one lives; a lane belongs to the
runner that reserved it, and a runner takes the place in the pool first and an item only then. So no item ever waits for
one runner while another could run it.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Container, Iterable
from typing import Any, Protocol

from ..base.forks import Owner, at_exit
from ..cancel import CancelToken
from ..errors import (
    AdmissionError,
    LeanWorkerError,
    NodeLost,
    QueueTimeout,
    RequestTimeout,
    RestartLimitExceeded,
    UsageError,
    no_thread,
)
from ..hosting.launch import Capability
from ..pool.lease import DEFAULT, Lease, Timeout
from ..steps.handlers import holds_no_lock, waiting_for, work_for
from ..steps.waiting import Changes, Event, Steps, Until, run

_log = logging.getLogger("lean_worker")

SENDS = 4
"""The most times that an item that never entered a worker is sent."""
_SLICE_SECONDS = 0.5
"""The least seconds that a lease is kept, if there is work for it, when others wait for the place."""
_PAUSE_SECONDS = 1.0
"""The seconds for which a thread that gets no lease leaves the work to those that have one, before it asks again."""
_EXIT_SECONDS = 10.0
"""The seconds that the end of the interpreter waits for a handler, which may itself wait for the thread that ends."""


Run = Callable[["Lease", "Item", CancelToken], Steps[Any]]
"""Runs one item on a lease and comes to its value; the token stops it."""


class LeaseSource(Protocol):
    """The part of a pool that a scheduler uses."""

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[Lease]:
        """See `Pool.lease`."""
        ...

    def _is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool: ...


class Item:
    """One request, from when it was taken until its end.

    Attributes:
        index: Its number among all.
        request: What is asked.
        rows: How many rows its run has handed out so far, for whoever looks on.
    """

    __slots__ = ("index", "request", "retries", "rows", "sends")

    def __init__(self, index: int, request: Any) -> None:
        self.index = index
        self.request = request
        self.sends = 0
        self.retries = 0
        self.rows: Callable[[], int] = _no_rows


def _no_rows() -> int:
    return 0


class Lane:
    """Items that run in order on one worker."""

    def __init__(self, capability: Capability, items: Iterable[Item]) -> None:
        self.capability = capability
        self.items = collections.deque(items)
        self.owner: Runner | None = None


class Scheduler:
    """Up to `size` runners that serve lanes; they start with the first lanes and end with the last, or with `stop`.

    Args:
        pool: Where leases come from.
        run: Runs one item; whatever it raises is the item's error.
        on_end: Called once for each item, by the runner that ran it and with `changed` held: value, error, seconds.
        tell: Called after each `on_end` without `changed` held.
        may_start: Asked with `changed` held: whether one more item may be started now.
        size: Most runners, 1 or more.
        retries: How often an item is sent again that was lost inside a worker.
        queue_seconds: Longest pause that is sat out when too many workers have failed; None for no limit.
        start: Starts a runner: drives its `serving`.

    Attributes:
        changed: The lock of all that is here, notified at every change.
        size: Most runners.
        lanes: Those with items that have not been started.
        started: Items that were started and not put back.
        is_sealed: No further lane will come.
        is_stopping: Nothing more is started.
        refusal: What the pool said when it would not lend anything any more.
        fault: A failure of a runner; items may have been lost.
    """

    def __init__(
        self,
        pool: LeaseSource,
        run: Run,
        on_end: Callable[[Item, Any, BaseException | None, float], None],
        tell: Callable[[], None],
        may_start: Callable[[], bool],
        size: int,
        retries: int,
        queue_seconds: float | None,
        start: Callable[[Runner], None],
    ) -> None:
        self.pool = pool
        self.changed = Changes()
        self.lanes: collections.deque[Lane] = collections.deque()
        self.started = 0
        self.is_sealed = False
        self.is_stopping = False
        self.refusal: UsageError | None = None
        self.fault: BaseException | None = None
        self._run = run
        self._on_end = on_end
        self.tell = tell
        self._may_start = may_start
        self.size = size
        self._retries = retries
        self._queue_seconds = queue_seconds
        self._token = CancelToken()
        self._start = start
        self._runners: list[Runner] = []
        self._idle = 0
        self._running: set[Item] = set()
        self._rows_before = 0
        self._succeeded = False
        self._paused_until = 0.0
        self._owner = Owner()
        _schedulers.add(self)

    # -- for the caller --

    @property
    def is_foreign(self) -> bool:
        """Whether this is a forked child, in which the runners do not run."""
        return not self._owner.is_here

    @property
    def is_alive(self) -> bool:
        """Whether any of its runners has not ended."""
        return any(not runner.ended.is_set for runner in self._runners)

    def add(self, lane: Lane) -> None:
        """Add a lane, and start a runner if none is free for it.

        Raises:
            ResourceExhausted: The system starts no thread, and no other runner is there.
        """
        with self.changed:
            self.lanes.append(lane)
            if len(self._runners) < self.size and self.unreserved() > self._idle:
                self._start_one()
            self.changed.notify_all()

    def _start_one(self) -> None:
        runner = Runner(self, len(self._runners))
        self._runners.append(runner)
        try:
            self._start(runner)
        except BaseException as error:
            # An interrupt may come before or after the thread has begun: only one of the two may claim the runner.
            if runner.claim():
                self._runners.remove(runner)
                runner.ended.set()
            if not isinstance(error, RuntimeError):
                raise
            if not self._runners:
                raise no_thread("running many requests", error) from error

    def unreserved(self) -> int:
        """Count the lanes that no runner has reserved; with `changed` held."""
        return sum(lane.owner is None for lane in self.lanes)

    def rows(self) -> int:
        """Rows that all items have handed out so far; with `changed` held."""
        return self._rows_before + sum(item.rows() for item in self._running)

    def stop(self) -> None:
        """Start nothing more and stop what runs at its next row; from any thread, returns at once, legal twice."""
        if self.is_foreign:
            return
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()
        self._token.cancel()
        self.call_off_waits()

    def seal(self) -> None:
        """No further lane will come: runners end when they find none."""
        with self.changed:
            self.is_sealed = True
            self.changed.notify_all()
        self.call_off_waits()

    def take_back(self) -> list[Item]:
        """All items that were not started; they are the caller's again. With `changed` held."""
        items = [item for lane in self.lanes for item in lane.items]
        for lane in self.lanes:
            lane.items.clear()
        self.lanes.clear()
        return items

    def joining(self) -> Steps[None]:
        """Wait for the end of all runners; call `stop` before, or run out of work.

        Waits for nobody where that could deadlock: in a handler of this scheduler or of one that waits for it, and in
        a signal handler or finalizer that interrupted the package.
        """
        if self.is_foreign or not holds_no_lock():
            return
        with waiting_for(self, can_give_up=True) as given_up:
            with self.changed:
                runners = list(self._runners)
            for runner in runners:
                if runner.leave is not None:
                    runner.leave()
                over = Event()
                runner.ended.add_callback(over.set)
                given_up.add_callback(over.set)
                yield Until(over, None)
                if given_up.is_set:
                    return
            self._join_threads(None)

    def end_with_interpreter(self, end: float) -> None:
        """Wait for the end of all threads, at most until `end` on the clock of `time.monotonic`."""
        self._join_threads(end)

    def _join_threads(self, end: float | None) -> None:
        with self.changed:
            threads = [runner.thread for runner in self._runners if runner.thread is not None]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if end is None else max(0.0, end - time.monotonic()))

    # -- for its runners; with `changed` held --

    def is_over(self) -> bool:
        """Whether a runner without an item will never have one."""
        return self.is_stopping or self.fault is not None or (self.is_sealed and not self.lanes)

    def pick(self, runner: Runner) -> Lane | None:
        """Reserve a lane for `runner`: the one it has, one that its worker can serve, or any that is free."""
        if self.is_over() or not self._may_start():
            return None
        lane = runner.lane
        if lane is not None and lane.owner is runner and lane.items:
            return lane
        free = None
        for lane in self.lanes:
            if _is_same(lane.capability, runner.capability):
                # One that was reserved by a runner which has no worker yet is better served by this one.
                if lane.owner is None or (runner.lease is not None and lane.owner.lease is None):
                    free = lane
                    break
            elif free is None and lane.owner is None:
                free = lane
        if free is not None:
            free.owner = runner
            runner.lane = free
            self.changed.notify_all()
        return free

    def prefer_oldest(self, runner: Runner) -> None:
        """Swap lanes with the runner of the oldest one that still waits for a worker like the one `runner` has now.

        Runners ask for workers on threads of their own, in any order; requests begin in the order they came in.
        """
        mine = runner.lane
        if mine is None or mine.owner is not runner:
            return
        for lane in self.lanes:
            if lane is mine:
                return
            other = lane.owner
            if other is not None and other.lease is None and _is_same(lane.capability, mine.capability):
                lane.owner, mine.owner = runner, other
                runner.lane, other.lane = lane, mine
                return

    def claim(self, lane: Lane) -> Item:
        """Start the next item of a lane."""
        item = lane.items.popleft()
        if not lane.items:
            self.lanes.remove(lane)
        self.started += 1
        self._running.add(item)
        return item

    def put_back(self, lane: Lane, item: Item) -> None:
        """The item was not run after all: it is the lane's next one again."""
        self._leave(item)
        self.started -= 1
        if not lane.items:
            self.lanes.appendleft(lane)
        lane.items.appendleft(item)
        self.changed.notify_all()

    def others_hold(self, runner: Runner, capability: Capability, *, or_wait: bool) -> bool:
        """Whether another runner has a worker for `capability`, or is about to have one."""
        return any(
            other is not runner
            and (other.lease is not None or (or_wait and other.wait is not None))
            and _is_same(other.capability, capability)
            for other in self._runners
        )

    def pause_after(self, error: BaseException) -> float | None:
        """Seconds to wait before a lease is asked for again, if that is worth it: the run has got somewhere since."""
        now = time.monotonic()
        if not isinstance(error, RestartLimitExceeded):
            return None
        if now < self._paused_until:
            return self._paused_until - now
        pause = error.retry_after
        if not self._succeeded or (self._queue_seconds is not None and pause > self._queue_seconds):
            return None
        self._succeeded = False
        self._paused_until = now + pause
        return pause

    def end(self, item: Item, value: Any, error: BaseException | None, seconds: float) -> None:
        """The item has its outcome."""
        self._leave(item)
        self._succeeded = self._succeeded or error is None
        self._on_end(item, value, error, seconds)
        self.changed.notify_all()

    def _leave(self, item: Item) -> None:
        self._running.discard(item)
        self._rows_before += item.rows()
        item.rows = _no_rows

    # -- for its runners; without `changed` --

    def running(self, lease: Lease, lane: Lane, item: Item) -> Steps[None]:
        """Run one item to its end, or put it back if it may be sent again."""
        started = time.monotonic()
        value: Any = None
        failure: BaseException | None = None
        try:
            value = yield from self._run(lease, item, self._token)
        except BaseException as error:  # whatever it is: it belongs to this item
            failure = error
        with self.changed:
            if failure is not None and not self.is_stopping and self.may_send_again(item, failure):
                self.put_back(lane, item)
                return
            self.end(item, value, failure, time.monotonic() - started)
        self.tell()

    def call_off_waits(self) -> None:
        """Nobody goes on waiting for a worker when there is nothing left to run on it."""
        with self.changed:
            waits = [runner.wait for runner in self._runners if runner.wait is not None] if self.is_over() else []
        for token in waits:
            token.cancel()

    def may_send_again(self, item: Item, error: BaseException) -> bool:
        # A node that dies takes requests with it that did nothing wrong; what `on_row` has seen is not shown again.
        if never_entered(error) or (isinstance(error, NodeLost) and not error.rows_seen):
            item.sends += 1
            return item.sends < SENDS
        if isinstance(error, LeanWorkerError) and error.retry != "no":
            item.retries += 1
            return item.retries <= self._retries
        return False


def never_entered(error: BaseException) -> bool:
    """Whether a request is known not to have entered a worker, and another worker may take it."""
    # A worker that did not come up in time once more would take as long again.
    return isinstance(error, LeanWorkerError) and error.retry == "safe" and not isinstance(error, RequestTimeout)


class Runner:
    """A server of lanes, one item at a time, and the lease it holds.

    Attributes:
        scheduler: Whose runner it is.
        name: For the thread or the task that drives it.
        thread: The thread that drives it, if one of its own does.
        ended: When it serves no more.
        leave: Called before somebody waits for its end: ends it here if whoever drives it never will.
        lease: What it holds; None without a worker.
        capability: What that worker, or the one it waits for, hosts.
        wait: Ends its waiting for a lease; None when it does not wait for one.
        lane: The lane it reserved last; still its own if the lane says so too.
    """

    def __init__(self, scheduler: Scheduler, number: int) -> None:
        self.scheduler = scheduler
        self._leased_at = 0.0
        self.lease: Lease | None = None
        self.capability: Capability | None = None
        self.wait: CancelToken | None = None
        self.lane: Lane | None = None
        self.name = f"lean-worker-map-{number}"
        self.thread: threading.Thread | None = None
        self.ended = Event()
        self.leave: Callable[[], None] | None = None
        self._unclaimed = [None]

    def claim(self) -> bool:
        """Return True to the first who asks: to whoever drives the runner, or to whoever failed to start that."""
        with contextlib.suppress(IndexError):
            self._unclaimed.pop()
            return True
        return False

    def stop_crew(self) -> None:
        """Stop all runners, because this one will be interrupted."""
        self.scheduler.stop()

    def serving(self) -> Steps[None]:
        """All that it does. Whoever interrupts its waits calls `stop_crew` before."""
        scheduler = self.scheduler
        try:
            while (begun := (yield from self._taking_item())) is not None:
                scheduler.call_off_waits()
                yield from scheduler.running(*begun)
        except BaseException as error:  # a fault of this module must not leave the caller waiting
            if not scheduler.is_stopping:
                _log.exception("what serves many requests failed")
                with scheduler.changed:
                    scheduler.fault = error
                    scheduler.changed.notify_all()
        finally:
            try:
                yield from self._releasing()
            finally:
                self.ended.set()

    def _taking_item(self) -> Steps[tuple[Lease, Lane, Item] | None]:
        """Wait for an item, and for a worker to run it on; None when there will be none."""
        scheduler = self.scheduler
        while True:
            with scheduler.changed:
                lane = scheduler.pick(self)
                if lane is not None and self._fits(lane):
                    assert self.lease is not None
                    return self.lease, lane, scheduler.claim(lane)
                if lane is None and scheduler.is_over():
                    return None
                is_idle = lane is None and self.lease is None
                scheduler._idle += is_idle
                news = scheduler.changed.next
            if is_idle:
                try:
                    yield Until(news, None)
                finally:
                    with scheduler.changed:
                        scheduler._idle -= 1
                continue
            yield from self._releasing()
            if lane is not None:
                yield from self._taking_lease(lane)

    def _fits(self, lane: Lane) -> bool:
        """Whether the lease at hand may run the lane's next item, in fairness to others too."""
        if self.lease is None or self.lease.is_stale or not _is_same(self.capability, lane.capability):
            return False
        if time.monotonic() - self._leased_at < _SLICE_SECONDS:
            return True
        own = [runner.wait for runner in self.scheduler._runners if runner.wait is not None]
        return not self.scheduler.pool._is_wanted_by_others(own)

    def _taking_lease(self, lane: Lane) -> Steps[None]:
        """Get a worker for a lane; if that fails, leave the lane to others or give its next item the error."""
        scheduler = self.scheduler
        wait = CancelToken()
        with scheduler.changed:
            if scheduler.is_over():
                return
            self.wait, self.capability = wait, lane.capability
        lease = None
        try:
            lease = yield from scheduler.pool.granting(lane.capability, cancel=wait)
        except Exception as error:
            if not wait.is_cancelled:
                yield from self._handling_refusal(lane, error)
        finally:
            with scheduler.changed:
                self.wait = None
                self.lease = lease
                self._leased_at = time.monotonic()
                if lease is not None:
                    scheduler.prefer_oldest(self)

    def _handling_refusal(self, lane: Lane, error: Exception) -> Steps[None]:
        pause = self._refused(lane, error)
        if pause is None:
            self.scheduler.tell()
        else:
            yield from self.scheduler.changed.waiting_for(*pause)

    def _refused(self, lane: Lane, error: Exception) -> tuple[Callable[[], bool], float] | None:
        """Tell what to wait for, and how long, before a lease is asked for again; None if for nothing."""
        scheduler = self.scheduler
        with scheduler.changed:
            self.wait = None
            if scheduler.is_over() or lane.owner is not self or not lane.items:
                return None
            # Who waits in the queue, as this thread did, is no hope to those who waited in vain.
            or_wait = not isinstance(error, QueueTimeout)
            if scheduler.others_hold(self, lane.capability, or_wait=or_wait):
                lane.owner = None
                scheduler.changed.notify_all()
                return (
                    lambda: scheduler.is_over() or not scheduler.others_hold(self, lane.capability, or_wait=or_wait),
                    _PAUSE_SECONDS,
                )
            pause = scheduler.pause_after(error)
            if pause is not None:
                lane.owner = None
                return scheduler.is_over, pause
            if isinstance(error, UsageError) and error.facts.get("pool") == "closed":
                scheduler.refusal = error
            item = scheduler.claim(lane)
            is_refused = isinstance(error, (AdmissionError, RestartLimitExceeded))
            if not is_refused and scheduler.may_send_again(item, error):
                scheduler.put_back(lane, item)
                return None
            scheduler.end(item, None, error, 0.0)
            return None

    def _releasing(self) -> Steps[None]:
        with self.scheduler.changed:
            lease, self.lease = self.lease, None
            self.scheduler.changed.notify_all()
        if lease is not None:
            yield from lease.releasing()


def start_thread(runner: Runner) -> None:
    """Drive a runner on a thread of its own."""

    def drive() -> None:
        if runner.claim():
            work_for(runner.scheduler)
            run(runner.serving())

    runner.thread = threading.Thread(target=drive, name=runner.name, daemon=True)
    runner.thread.start()


def _is_same(one: Capability | None, other: Capability | None) -> bool:
    return one is other or one == other


_schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()


def _stop_all() -> None:
    # Threads of ours that outlive the interpreter's own would run into its last steps.
    for scheduler in list(_schedulers):
        scheduler.stop()
    end = time.monotonic() + _EXIT_SECONDS
    for scheduler in list(_schedulers):
        with contextlib.suppress(RuntimeError):
            scheduler.end_with_interpreter(end)


at_exit(_stop_all)
