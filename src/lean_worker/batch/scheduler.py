"""The choice of the next item among many: which dispatcher runs it, and what is sent again.

Every item ends exactly once. Callers bring the items, say how one is run and what drives a dispatcher (a thread or a
task), and decide how far this may get ahead of them.

Items come in groups. The items of a group run in order on one worker, as long as that worker lives. A group belongs to
the dispatcher that reserved it. A dispatcher takes a place in the pool first, and an item only then. So no item ever
waits for one dispatcher while another could run it.
"""

from __future__ import annotations

import collections
import contextlib
import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from ..base.forks import Owner, at_exit
from ..base.system_errors import no_memory, no_thread
from ..cancel import CancelToken
from ..errors import LeanWorkerError
from ..hosting.launch import Capability
from ..pool.lease import LeaseCore
from ..steps.handlers import holds_no_lock, waiting_for
from ..steps.waiting import Changes, Event, Steps, Until
from .items import Dispatcher, Item, ItemGroup, Run, is_same, no_rows
from .lease_source import LeaseSource

SENDS = 4
"""The most times that an item that never entered a worker is sent."""
_EXIT_SECONDS = 10.0
"""The seconds that the end of the interpreter waits for a handler, which may itself wait for the thread that ends."""


class Scheduler:
    """Up to `size` dispatchers that serve groups; they start with the first groups and end with the last, or by `stop`.

    Args:
        pool: Where leases come from.
        run: Runs one item; whatever it raises is the item's error.
        on_end: Called once for each item, by the dispatcher that ran it and with `changed` held: value, error, seconds.
        tell: Called after each `on_end` without `changed` held.
        may_start: Asked with `changed` held: whether one more item may be started now.
        size: Most dispatchers, 1 or more.
        retries: How often an item is sent again that was lost inside a worker.
        start: Starts a dispatcher: drives `dispatching.Dispatching.serving`.

    Attributes:
        changed: The lock of all that is here, notified at every change.
        size: Most dispatchers.
        groups: Those with items that have not been started.
        started: Items that were started and not put back.
        is_sealed: No further group will come.
        is_stopping: Nothing more is started.
        refusal: What the pool said when it would not lend anything any more.
        fault: A failure of a dispatcher; items may have been lost.
        idle: Dispatchers that wait for an item.
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
        start: Callable[[Scheduler, Dispatcher], None],
    ) -> None:
        self.pool = pool
        self.changed = Changes()
        self.groups: collections.deque[ItemGroup] = collections.deque()
        self.started = 0
        self.is_sealed = False
        self.is_stopping = False
        self.refusal: LeanWorkerError | None = None
        self.fault: BaseException | None = None
        self._run = run
        self._on_end = on_end
        self.tell = tell
        self._may_start = may_start
        self.size = size
        self._retries = retries
        self._queue_seconds = pool.timeouts.queue
        self._token = CancelToken()
        self._start = start
        self._dispatchers: list[Dispatcher] = []
        self.idle = 0
        self._running: set[Item] = set()
        self._rows_before = 0
        self._succeeded = False
        self._paused_until = 0.0
        self._owner = Owner()
        _schedulers.add(self)

    # -- for the caller --

    @property
    def is_foreign(self) -> bool:
        """Whether this is a forked child, in which the dispatchers do not run."""
        return not self._owner.is_here

    @property
    def is_alive(self) -> bool:
        """Whether any of its dispatchers has not ended."""
        return any(not dispatcher.ended.is_set for dispatcher in self._dispatchers)

    def add(self, group: ItemGroup) -> None:
        """Add a group, and start a dispatcher if none is free for it.

        Raises:
            ResourceExhausted: The system starts no thread, and no other dispatcher is there.
        """
        with self.changed:
            self.groups.append(group)
            if len(self._dispatchers) < self.size and self.unreserved() > self.idle:
                self._start_one()
            self.changed.notify_all()

    def _start_one(self) -> None:
        dispatcher = Dispatcher(len(self._dispatchers))
        try:
            self._dispatchers.append(dispatcher)
            self._start(self, dispatcher)
        except BaseException as error:
            # An interrupt may come before or after the thread has begun: only one of the two may claim the dispatcher.
            if dispatcher.claim():
                dispatcher.ended.set()
                if dispatcher in self._dispatchers:
                    self._dispatchers.remove(dispatcher)
            if not isinstance(error, RuntimeError):
                raise
            if not self._dispatchers:
                raise no_thread("running many requests", error) from error

    def unreserved(self) -> int:
        """Count the groups that no dispatcher has reserved; with `changed` held."""
        return sum(group.owner is None for group in self.groups)

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
        """No further group will come: dispatchers end when they find none."""
        with self.changed:
            self.is_sealed = True
            self.changed.notify_all()
        self.call_off_waits()

    def take_back(self) -> list[Item]:
        """All items that were not started; they are the caller's again. With `changed` held."""
        items = [item for group in self.groups for item in group.items]
        for group in self.groups:
            group.items.clear()
        self.groups.clear()
        return items

    def joining(self) -> Steps[None]:
        """Wait for the end of all dispatchers; call `stop` before, or run out of work.

        Waits for nobody where that could deadlock: in a handler of this scheduler or of one that waits for it, and in
        a signal handler or finalizer that interrupted the package.
        """
        if self.is_foreign or not holds_no_lock():
            return
        with waiting_for(self, can_give_up=True) as given_up:
            with self.changed:
                dispatchers = list(self._dispatchers)
            for dispatcher in dispatchers:
                if dispatcher.leave is not None:
                    dispatcher.leave()
                over = Event()
                dispatcher.ended.add_callback(over.set)
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
            threads = [dispatcher.thread for dispatcher in self._dispatchers if dispatcher.thread is not None]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if end is None else max(0.0, end - time.monotonic()))

    # -- for its dispatchers; with `changed` held --

    def is_over(self) -> bool:
        """Whether a dispatcher without an item will never have one."""
        return self.is_stopping or self.fault is not None or (self.is_sealed and not self.groups)

    def pick(self, dispatcher: Dispatcher) -> ItemGroup | None:
        """Reserve a group for `dispatcher`: the one it has, one that its worker can serve, or any that is free."""
        if self.is_over() or not self._may_start():
            return None
        group = dispatcher.group
        if group is not None and group.owner is dispatcher and group.items:
            return group
        free = None
        for group in self.groups:
            if is_same(group.capability, dispatcher.capability):
                # One that was reserved by a dispatcher which has no worker yet is better served by this one.
                if group.owner is None or (dispatcher.lease is not None and group.owner.lease is None):
                    free = group
                    break
            elif free is None and group.owner is None:
                free = group
        if free is not None:
            free.owner = dispatcher
            dispatcher.group = free
            self.changed.notify_all()
        return free

    def prefer_oldest(self, dispatcher: Dispatcher) -> None:
        """Swap groups with the dispatcher of the oldest one that still waits for a worker like that of `dispatcher`.

        Dispatchers ask for workers on threads of their own, in any order; requests begin in the order they came in.
        """
        mine = dispatcher.group
        if mine is None or mine.owner is not dispatcher:
            return
        for group in self.groups:
            if group is mine:
                return
            other = group.owner
            if other is not None and other.lease is None and is_same(group.capability, mine.capability):
                group.owner, mine.owner = dispatcher, other
                dispatcher.group, other.group = group, mine
                return

    def claim(self, group: ItemGroup) -> Item:
        """Start the next item of a group."""
        item = group.items.popleft()
        if not group.items:
            self.groups.remove(group)
        self.started += 1
        self._running.add(item)
        return item

    def put_back(self, group: ItemGroup, item: Item) -> None:
        """The item was not run after all: it is the group's next one again."""
        self._leave(item)
        self.started -= 1
        if not group.items:
            self.groups.appendleft(group)
        group.items.appendleft(item)
        self.changed.notify_all()

    def is_wanted_by_others(self) -> bool:
        """Whether callers other than this scheduler wait for a place of the pool."""
        return self.pool.is_wanted_by_others(self._waits())

    def _waits(self) -> list[CancelToken]:
        return [dispatcher.wait for dispatcher in self._dispatchers if dispatcher.wait is not None]

    def others_hold(self, dispatcher: Dispatcher, capability: Capability, *, or_wait: bool) -> bool:
        """Whether another dispatcher has a worker for `capability`, or is about to have one."""
        return any(
            other is not dispatcher
            and (other.lease is not None or (or_wait and other.wait is not None))
            and is_same(other.capability, capability)
            for other in self._dispatchers
        )

    def pause_after(self, error: BaseException) -> float | None:
        """Seconds to wait before a lease is asked for again, if that is worth it: the run has got somewhere since."""
        now = time.monotonic()
        pause = error.retry_after if isinstance(error, LeanWorkerError) else math.inf
        if pause == math.inf:
            return None
        if now < self._paused_until:
            return self._paused_until - now
        if not self._succeeded or (self._queue_seconds is not None and pause > self._queue_seconds):
            return None
        self._succeeded = False
        self._paused_until = now + pause
        return pause

    def note_closed(self, error: BaseException) -> None:
        """The pool would not lend a worker; if it is closed, it never will."""
        if isinstance(error, LeanWorkerError) and error.pool_is_closed:
            self.refusal = error

    def end(self, item: Item, value: Any, error: BaseException | None, seconds: float) -> None:
        """The item has its outcome."""
        self._leave(item)
        self._succeeded = self._succeeded or error is None
        self._on_end(item, value, error, seconds)
        self.changed.notify_all()

    def _leave(self, item: Item) -> None:
        self._running.discard(item)
        self._rows_before += item.rows()
        item.rows = no_rows

    # -- for its dispatchers; without `changed` --

    def running(self, lease: LeaseCore, group: ItemGroup, item: Item) -> Steps[None]:
        """Run one item to its end, or put it back if it may be sent again."""
        started = time.monotonic()
        value: Any = None
        failure: BaseException | None = None
        try:
            value = yield from self._run(lease, item, self._token)
        except MemoryError:
            failure = no_memory("running a request", entered_worker=True)
        except BaseException as error:  # whatever it is: it belongs to this item
            failure = error
        with self.changed:
            if failure is not None and not self.is_stopping and self.may_send_again(item, failure):
                self.put_back(group, item)
                return
            self.end(item, value, failure, time.monotonic() - started)
        self.tell()

    def call_off_waits(self) -> None:
        """Nobody goes on waiting for a worker when there is nothing left to run on it."""
        with self.changed:
            waits = self._waits() if self.is_over() else []
        for token in waits:
            token.cancel()

    def may_send_again(self, item: Item, error: BaseException) -> bool:
        if not isinstance(error, LeanWorkerError):
            return False
        # A node that dies takes requests with it that did nothing wrong; what `on_row` has seen is not shown again.
        if never_entered(error) or (error.by_node and not error.facts.get("rows_seen")):
            item.sends += 1
            return item.sends < SENDS
        if error.retry != "no":
            item.retries += 1
            return item.retries <= self._retries
        return False


def is_refusal(error: BaseException) -> bool:
    """Whether the pool refused a worker, and would refuse it again if asked at once."""
    return isinstance(error, LeanWorkerError) and error.concerns_all and error.retry == "safe"


def never_entered(error: LeanWorkerError) -> bool:
    """Whether a request is known not to have entered a worker, and another worker may take it."""
    # A worker that did not come up in time once more would take as long again.
    return error.retry == "safe" and not error.is_late


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
