"""The workers of one pool: started, kept warm, replaced, ended, and each end counted once.

Owns the places of a pool and who is in them, the idle workers, and the memory of what keeps failing. Hides processes
from the pool, which decides who gets a place next. Whatever counts or owns workers happens on the monitor's thread.
"""

from __future__ import annotations

import collections
import math
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

from ..base.forks import Owner
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..errors import (
    Cancelled,
    CapabilityError,
    LeanWorkerError,
    MemoryBudgetExceeded,
    QueueTimeout,
    StaleLease,
    UsageError,
)
from ..hosting.launch import Launch
from ..policy import Limits, MemoryPolicy, RestartPolicy, Timeouts
from ..steps.monitor import Monitor
from ..steps.tasks import Task
from ..steps.waiting import Event, Steps, Until, offload
from ..worker import memory, supervisor
from ..worker.worker import Worker
from .failures import Histories, Poison
from .observer import FAILURES, Observer, PoolEvent
from .places import InFlight, Place
from .worker_holders import Holders

_MAIL_KEPT = 256
_MOST_STARTS = 5


class Admission(Protocol):
    """The gate that lets callers in; told when there may be room."""

    def call_next(self) -> None:
        """A place may have come free, or a worker be ready."""
        ...

    def replacing(self, launch: Launch) -> Steps[None]:
        """Start the successor of a used-up worker, if there is a place for it that nobody waits for."""
        ...


class Workers:
    """The workers of one pool, and its places.

    All is touched on the monitor's thread only, but for the mail, looks at single values, and what says otherwise.

    Args:
        monitor: Who does the bookkeeping.
        admission: Told when there may be room; not kept alive.
        timeouts: Of each worker.
        limits: Of each worker.
        memory_policy: Of each worker, and of all together.
        restarts: How often they may fail.
        on_event: As of `Pool`.
        on_stderr: As of `Pool`.

    Attributes:
        places: Those that are taken.
        idle: Warm workers that nobody has, least recently used first.
        closing: When the pool begins to close.
        all_returned: When it has begun to close and no place is taken.
    """

    def __init__(
        self,
        monitor: Monitor,
        admission: Admission,
        timeouts: Timeouts,
        limits: Limits,
        memory_policy: MemoryPolicy,
        restarts: RestartPolicy,
        on_event: Callable[[PoolEvent], object] | None,
        on_stderr: Callable[[str], object] | None,
    ) -> None:
        self.monitor = monitor
        self._admission = weakref.ref(admission)
        self._timeouts = timeouts
        self._limits = limits
        self._memory = memory_policy
        self.owner = Owner()
        self.histories = Histories(restarts)
        self.poison = Poison(restarts)
        self.observer = Observer(on_event, on_stderr)
        workers = weakref.ref(self)
        observer = self.observer
        self.holders = Holders(
            monitor,
            lambda key: (alive := workers()) is not None and alive._is_lent(key),
            lambda launch, why: observer.tell("holder_lost", capability=launch.description, why=why),
        )
        self.places: set[Place] = set()
        self.idle: list[Worker] = []
        self.closing = Event()
        self.all_returned = Event()
        self._mail: collections.deque[InFlight] = collections.deque()
        self._known: dict[Worker, None] = {}  # in the order of their starts
        self._has_killed = False

    def __iter__(self) -> Iterator[Worker]:
        """All that were started, or are about to be, and whose end is not counted yet; from any thread."""
        while True:
            try:
                return iter(tuple(self._known))
            except RuntimeError:
                continue  # it has changed meanwhile

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_closed(self) -> bool:
        """Whether the pool has begun to close."""
        return self.closing.is_set

    def check_open(self, cancel: CancelToken | None = None, *, doing: str = "taking a lease") -> None:
        """Refuse to go on for a caller who has cancelled, or in a closed pool.

        Raises:
            Cancelled: The token was cancelled.
            UsageError: The pool is closed.
        """
        if cancel is not None and cancel.is_cancelled:
            raise Cancelled(f"{doing}: cancelled by the caller", entered_worker=False)
        if self.is_closed:
            raise UsageError(
                f"{doing}: the pool is closed",
                hint="Make a new pool, and use it inside of its with block.",
                pool_is_closed=True,
            )

    # -- requests --

    def mail(self, request: InFlight) -> None:
        """From any thread: something about `request` is to be counted, at the latest when somebody asks."""
        self._mail.append(request)
        if self.observer.is_heard or not request.worker.is_idle or len(self._mail) >= _MAIL_KEPT:
            self.monitor.post(self.read_mail)

    def read_mail(self) -> None:
        """Count what requests have come to since the last time."""
        for _ in range(len(self._mail)):
            request = self._mail.popleft()
            request.account()

    # -- start --

    def has_place(self, needs_others: bool, most: int) -> bool:
        """Whether one of `most` places is free, and another one is not held by those who need others too."""
        if len(self.places) >= most:
            return False
        return not needs_others or sum(place.needs_others for place in self.places) < most - 1

    def take_place(self, key: str, thread: int, needs_others: bool, most: int, gone: list[tuple[Worker, str]]) -> Place:
        """Take a place, with a warm worker of `key` in it if there is one.

        Workers that have to go first are put into `gone`, among them the least recently used one if there would be
        more than `most` with a new one.
        """
        place = Place(thread, needs_others)
        place.worker = self._pop_idle(key, gone)
        if place.worker is None and len(self.places) + len(self.idle) >= most:
            gone.append((self.idle.pop(0), "evicted"))
        self.places.add(place)
        if place.worker is not None:
            self.holders.worker_lent(key)
        return place

    def count_warm(self, key: str) -> int:
        """The number of workers of `key` that are ready: idle ones, and lent ones that will stay, also at work."""
        idle = sum(worker.key == key and self._why_gone(worker) is None for worker in self.idle)
        lent = [place.worker for place in self.places if place.worker is not None and place.worker.key == key]
        return idle + sum(not worker.is_gone and not self._has_served_enough(worker) for worker in lent)

    def count_places_for_new(self, key: str, most: int) -> int:
        """The number of places in which workers of `key` can be started without ending a warm one of them."""
        return most - len(self.places) - sum(not self._may_go_for_new(worker, key) for worker in self.idle)

    def put_last(self, key: str) -> None:
        """Count the idle workers of `key` as used most recently, so that others have to go before them."""
        self.idle.sort(key=lambda worker: worker.key == key)

    def take_place_for_new(self, key: str, thread: int, most: int, gone: list[tuple[Worker, str]]) -> Place:
        """Take a place in which a worker of `key` is to be started; as `take_place`, but ends no warm one of them."""
        if len(self.places) + len(self.idle) >= most:
            # First who has to go anyway.
            idle = [worker for worker in self.idle if self._may_go_for_new(worker, key)]
            worker = next((each for each in idle if self._why_gone(each) is not None), idle[0])
            self.idle = [each for each in self.idle if each is not worker]
            gone.append((worker, self._why_gone(worker) or "evicted"))
        place = Place(thread, needs_others=False)
        self.places.add(place)
        return place

    def _may_go_for_new(self, worker: Worker, key: str) -> bool:
        return worker.key != key or self._why_gone(worker) is not None

    def are_all_held_by(self, thread: int, needs_others: bool, most: int) -> bool:
        """Whether all places that a request could get are those of a thread, which is giving none of them back."""
        places = [place for place in self.places if place.needs_others or not needs_others]
        held = [place for place in places if place.thread == thread and not place.is_leaving]
        return len(held) == len(places) >= most - needs_others

    def _is_lent(self, key: str) -> bool:
        return any(place.worker is not None and place.worker.key == key for place in self.places)

    def _pop_idle(self, key: str, gone: list[tuple[Worker, str]]) -> Worker | None:
        """The most recently used warm worker of `key`; those that died or grew old while idle are sorted out."""
        for index in range(len(self.idle) - 1, -1, -1):
            worker = self.idle[index]
            if worker.key != key:
                continue
            del self.idle[index]
            why = self._why_gone(worker)
            if why is None:
                return worker
            gone.append((worker, why))
        return None

    def _why_gone(self, worker: Worker) -> str | None:
        """The reason for which an idle worker has to be ended; None for one that can be lent."""
        if not worker.is_usable or worker.has_spoken_unasked:
            return "closed"
        return "policy" if self._is_too_old(worker) else None

    def starting(self, launch: Launch, end: float | None, cancel: CancelToken | None) -> Steps[Worker]:
        """A new worker in a place that is taken already; waits for the pause after failures until `end`.

        It is one of the files as they are: its own launch may be a later one. A worker reads them itself, after they
        were looked at, and would have another content than its key says if they changed meanwhile.

        Raises:
            CapabilityError: A file is missing by now, or they change again and again.
            LeanWorkerError: It does not start.
        """
        for _ in range(_MOST_STARTS):
            before = yield from offload(launch.look)
            if not before.is_of(launch) and launch.renew is not None:
                launch = yield from offload(launch.renew)
                before = yield from offload(launch.look)
            worker = yield from self._starting(launch, end, cancel)
            try:
                # Not one that was not lent yet when `close` killed what was lent.
                now = yield from offload(launch.look)
                if now.is_still(before) and before.is_of(launch) and not self._has_killed:
                    return worker
            except BaseException:
                yield from self.discarding([(worker, "closed")])
                raise
            yield from self.discarding([(worker, "closed")])
            self.check_open()
        raise CapabilityError(
            f"starting a worker for {launch.description}: its files changed during each of {_MOST_STARTS} starts",
            hint="Wait until nothing writes them any more.",
        )

    def _starting(self, launch: Launch, end: float | None, cancel: CancelToken | None) -> Steps[Worker]:
        self.check_open()
        self.read_mail()
        yield from self._making_room_in_memory(launch)

        def admit() -> Steps[None]:
            yield from self._sitting_out(kind.admit(launch.description), end, launch, cancel)

        kind = self.histories.of(launch.key())
        generation = kind.next_generation
        kind.next_generation += 1
        worker = Worker(
            launch,
            self._timeouts,
            self._limits,
            self._memory,
            generation,
            self.monitor,
            self.observer.stderr_sink(),
        )
        started = time.monotonic()
        self._known[worker] = None
        try:
            yield from supervisor.starting(worker, admit, cancel, self.holders.of(worker.key))
        except BaseException as error:
            del self._known[worker]
            # A caller who wants the worker no more says nothing about its kind, nor does a pool that tried nothing.
            says_nothing = isinstance(error, LeanWorkerError) and (error.by_caller or error.by_pool)
            if isinstance(error, Exception) and not says_nothing and not self.is_closed:
                why = str(getattr(error, "text", None) or repr(error))
                kind.fail(why)
                self.observer.worker_ended("start_failed", generation=generation, why=why)
            elif isinstance(error, LeanWorkerError) and error.pool_is_closed:
                self.check_open()  # as who waits for a place is told
            elif isinstance(error, LeanWorkerError) and error.retry_after < math.inf:
                self.observer.tell("restart_refused", capability=launch.description, retry_after=error.retry_after)
            raise
        self.holders.worker_started(worker.key, launch, time.monotonic() - started)
        self.observer.forked += worker.process.is_fork
        self.observer.took("spawn", worker.spawn_seconds)
        self.observer.took("import", worker.import_seconds)
        self.observer.worker_started(
            capability=launch.description,
            generation=generation,
            seconds=round(time.monotonic() - started, 4),
            spawn_seconds=round(worker.spawn_seconds, 4),
            import_seconds=round(worker.import_seconds, 4),
            peer_version=worker.peer_version,
        )
        workers = weakref.ref(self)

        def reaped() -> None:
            alive = workers()
            if alive is not None:
                alive._worker_ended(worker)

        def gone() -> None:
            alive = workers()
            if alive is not None:
                alive._account(worker)

        worker.gone.add_callback(gone)
        worker.reaped.add_callback(reaped)
        return worker

    def _worker_ended(self, worker: Worker) -> None:
        """Its process is gone: it takes up no place, whoever still holds its lease."""
        if not self.owner.is_here:
            return
        self.idle = [each for each in self.idle if each is not worker]
        for place in list(self.places):
            if place.worker is worker:
                self.free(place)
        self.tell_room()

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
        over = Event()
        self.closing.add_callback(over.set)
        add_cancel_callback(cancel, over.set)
        try:
            yield Until(over, pause)
        finally:
            self.closing.remove_callback(over.set)
            remove_cancel_callback(cancel, over.set)
        self.check_open(cancel)

    def _making_room_in_memory(self, launch: Launch) -> Steps[None]:
        budget_kib = self._memory.pool_budget_kib
        if budget_kib is None:
            return
        while True:
            pids = self.pids() + self.holders.pids()
            used_kib = yield from offload(lambda: memory.total_private_kib(pids))  # noqa: B023  # awaited here
            if used_kib is None or used_kib < budget_kib:
                return
            if (holder := self.holders.give_up_oldest()) is not None:
                yield from holder.closing()
                continue
            victim = self.idle.pop(0) if self.idle else None
            workers = len(self._known)
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

    def _is_too_old(self, worker: Worker) -> bool:
        max_idle = self._memory.max_idle
        return max_idle is not None and time.monotonic() - worker.idle_since >= max_idle

    def may_use_up(self, worker: Worker) -> bool:
        """From any thread: whether it is worth asking `using_up`."""
        may_be_too_large = worker.requests > 0 and self._memory.cycle_above_kib is not None
        return may_be_too_large or self._has_served_enough(worker)

    def _has_served_enough(self, worker: Worker) -> bool:
        most = 1 if worker.launch.serves_once else self._memory.max_requests
        return most is not None and worker.requests >= most

    def using_up(self, worker: Worker) -> Steps[bool]:
        """Whether the policy wants another worker before the next request."""
        if self._has_served_enough(worker):
            return True
        limit_kib = self._memory.cycle_above_kib
        # Another one would be as large as one that has served nothing yet, and would be replaced without end.
        if limit_kib is None or not worker.requests:
            return False
        with_programs = not worker.launch.bounds_programs
        exceeds = yield from offload(lambda: memory.exceeds(worker.pid, limit_kib, with_programs=with_programs))
        return exceeds is not None

    def giving_back(self, worker: Worker, place: Place) -> Steps[None]:
        """Take a worker back: keep it warm, or end it. Its place is free afterwards."""
        used_up = False
        try:
            used_up = worker.is_usable and (yield from self.using_up(worker))
        finally:
            yield from self._putting_back(worker, place, used_up)

    def _putting_back(self, worker: Worker, place: Place, used_up: bool) -> Steps[None]:
        if worker.is_usable and not used_up and not self.is_closed and place in self.places:
            self.idle.append(worker)
            self.free(place)
            self._watch_idle()
            return
        # The place comes free when the process is gone: there are never more processes than places.
        try:
            yield from self.discarding([(worker, "policy" if used_up else "closed")])
        finally:
            self.free(place)
        if used_up and not self.is_closed:
            self._start_successor(worker.launch)

    def _start_successor(self, launch: Launch) -> None:
        admission = self._admission()
        if admission is not None:
            Task(self.monitor, admission.replacing(launch)).post()

    def tell_room(self) -> None:
        """A place may have come free, or a worker be ready."""
        admission = self._admission()
        if admission is not None:
            admission.call_next()

    def _watch_idle(self) -> None:
        max_idle = self._memory.max_idle
        if max_idle is None:
            return
        workers = weakref.ref(self)

        def look() -> None:
            alive = workers()
            if alive is not None and alive.owner.is_here:
                Task(alive.monitor, alive._retiring_idle()).post()

        self.monitor.call_at(time.monotonic() + max_idle, look)

    def _retiring_idle(self) -> Steps[None]:
        old = [each for each in self.idle if self._is_too_old(each)]
        self.idle = [each for each in self.idle if each not in old]
        yield from self.discarding([(worker, "policy") for worker in old])

    def free(self, place: Place) -> None:
        """The place is free; does nothing if it was before."""
        self.places.discard(place)
        if self.is_closed and not self.places:
            self.all_returned.set()
        self.tell_room()

    def discarding(self, gone: list[tuple[Worker, str]]) -> Steps[None]:
        """End workers, all of them, whatever interrupts it."""
        for index, (worker, why) in enumerate(gone):
            try:
                yield from supervisor.closing(worker, why)
            except BaseException:
                self._account(worker)
                yield from self.discarding(gone[index + 1 :])
                raise
            self._account(worker)

    def _account(self, worker: Worker) -> None:
        """Count the end of a worker, once."""
        ended_as = worker.ended_as
        if ended_as is None:
            return
        if worker not in self._known:
            return
        del self._known[worker]
        if ended_as in FAILURES:
            self.read_mail()  # what succeeded before
            self.histories.of(worker.key).fail(worker.why_gone)
        self.observer.worker_ended(ended_as, generation=worker.generation, why=worker.why_gone)

    def peer_versions(self) -> dict[str, int]:
        """The number of living workers that are ready, by what their handshake said."""
        return dict(collections.Counter(worker.peer_version for worker in self._known if worker.peer_version))

    def pids(self) -> list[int]:
        """The processes that are there now; from any thread."""
        return [worker.pid for worker in self if not worker.is_gone]

    def is_used_by(self, thread: int, task: int | None) -> bool:
        """Whether a thread has a request in flight, and would wait for itself.

        Args:
            thread: The thread.
            task: The task of asyncio that waits, if others run meanwhile; then only its own requests count.
        """
        while True:
            try:
                requests = [place.request for place in tuple(self.places)]
                break
            except RuntimeError:
                continue  # it has changed meanwhile
        return any(
            request is not None
            and request.thread == thread
            and (task is None or request.task in (None, task))
            and not request.is_over
            and not request.is_lost
            for request in requests
        )

    def killing_lent(self) -> Steps[None]:
        """Kill all workers, also those that are started now, and wait until they are gone."""
        self._has_killed = True
        lent = list(self._known)
        killed = [worker for worker in lent if worker.kill(_closed_early())]
        for worker in killed:
            yield from worker.being_gone()
        yield from self.holders.closing()

    def leave_to_parent(self) -> None:
        """In a forked child: forget all, and touch nothing."""
        self.observer.leave_to_parent()
        self.holders.leave_to_parent()
        self.idle.clear()
        self._known.clear()
        self.places.clear()
        self._mail.clear()


def _closed_early() -> StaleLease:
    reason = "the pool was closed before the lease was released"
    hint = "Close a pool after its leases are released."
    return StaleLease(reason, hint=hint, reason=reason, entered_worker=True, pool_is_closed=True)
