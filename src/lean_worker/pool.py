"""Workers on loan: admission, a fair queue, reuse of warm workers, eviction, and an orderly end.

Owns how many workers there are, who gets one next, and that none is left behind. Hides workers altogether: callers
see leases. Callers decide what is hosted and for how long they are ready to wait.
"""

from __future__ import annotations

import atexit
import collections
import dataclasses
import threading
import time
import weakref
from types import TracebackType

import psutil

from .capability import Capability, Launch
from .errors import PoolFull, QueueTimeout, StaleLease, UsageError
from .lease import DEFAULT, Count, Lease, Timeout, _Default
from .policy import Limits, Timeouts, check_timeout
from .supervisor import Supervisor


@dataclasses.dataclass(frozen=True)
class PoolSnapshot:
    """A pool at one moment.

    Attributes:
        max_workers: How many workers there may be.
        leased: Workers that are lent, those being started included.
        idle: Warm workers that wait for a lease.
        queued: Callers that wait for a worker.
        started: Workers started since the pool was made.
        lost: Workers that ended other than by the pool's own decision.
        evicted: Idle workers that were ended to make room for another capability.
        requests: Requests that entered a worker.
        rows_delivered: Rows handed to callers, tentative ones included.
        memory_kib: Private memory (USS) of all workers now, or None where the system does not tell.
    """

    max_workers: int
    leased: int
    idle: int
    queued: int
    started: int
    lost: int
    evicted: int
    requests: int
    rows_delivered: int
    memory_kib: int | None


class Pool:
    """At most `max_workers` workers, started when needed and kept warm. Threads may share a pool.

    A pool does not survive a fork: make a new one in the forked child. Use it in a `with` block, or call `close`.

    Args:
        max_workers: How many workers there may be at once, 1 or more.
        timeouts: Time limits of every worker and of the queue.
        limits: Size limits of every worker.

    Raises:
        UsageError: A limit is out of range.
    """

    def __init__(self, max_workers: int = 1, *, timeouts: Timeouts | None = None, limits: Limits | None = None) -> None:
        if type(max_workers) is not int or not 1 <= max_workers <= 4096:
            raise UsageError(f"making a pool: expected max_workers from 1 to 4096, got {max_workers!r}")
        self._max_workers = max_workers
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or Limits()
        self._changed = threading.Condition()
        self._queue: collections.deque[object] = collections.deque()
        self._idle: list[tuple[str, Supervisor]] = []  # least recently used first
        self._leased = 0
        self._workers: set[Supervisor] = set()
        self._generations: dict[str, int] = {}
        self._started = 0
        self._lost = 0
        self._evicted = 0
        self._count = Count()
        self._is_closed = False
        _pools.add(self)

    def lease(self, capability: Capability, *, timeout: Timeout = DEFAULT) -> Lease:
        """Lend a worker that hosts `capability`: a warm one if there is one, else a new one.

        Callers are served in the order in which they came. If all places are taken by idle workers of other
        capabilities, the least recently used of them is ended.

        Args:
            capability: What the worker has to host; two that amount to the same program share warm workers.
            timeout: Seconds to wait for a place; 0 not to wait, None for no limit. Default: `Timeouts.queue`.

        Raises:
            UsageError: The pool is closed.
            PoolFull: All workers are lent and `timeout` is 0.
            QueueTimeout: No worker came free in time.
            CapabilityError: What should be hosted cannot be; says why.
            ChildExited, RequestTimeout, ProtocolError: The new worker did not start as it should.
        """
        seconds = self._timeouts.queue if isinstance(timeout, _Default) else timeout
        check_timeout("timeout", seconds)
        launch = capability.launch()
        key = launch.key()
        worker = self._take_place(key, seconds)
        if worker is None:
            worker = self._start(key, launch)

        def release(worker: Supervisor = worker) -> None:
            self._give_back(key, worker)

        return Lease(worker, self._timeouts, release, self._count)

    # -- places --

    def _take_place(self, key: str, seconds: float | None) -> Supervisor | None:
        """Wait for a place; returns the warm worker in it, or None for one that is to be started."""
        ticket = object()
        started = time.monotonic()
        evicted: Supervisor | None = None
        with self._changed:
            self._check_open()
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or not self._has_place():
                    left = None if seconds is None else started + seconds - time.monotonic()
                    if left is not None and left <= 0:
                        raise self._refusal(seconds, time.monotonic() - started)
                    self._changed.wait(left)
                    self._check_open()
                warm = self._pop_idle(key)
                if warm is None and self._leased + len(self._idle) >= self._max_workers:
                    _, evicted = self._idle.pop(0)
                    self._evicted += 1
                self._leased += 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        if evicted is not None:
            self._discard(evicted)
        return warm

    def _has_place(self) -> bool:
        return self._leased < self._max_workers

    def _pop_idle(self, key: str) -> Supervisor | None:
        """The most recently used warm worker of `key`; those that died while idle are sorted out."""
        for index in range(len(self._idle) - 1, -1, -1):
            worker_key, worker = self._idle[index]
            if worker_key == key:
                del self._idle[index]
                if worker.is_usable:
                    return worker
                self._lost += 1
                self._discard(worker)
        return None

    def _start(self, key: str, launch: Launch) -> Supervisor:
        with self._changed:
            generation = self._generations.get(key, 0)
            self._generations[key] = generation + 1
            self._started += 1
        try:
            worker = Supervisor(launch, self._timeouts, self._limits, generation)
        except BaseException:
            with self._changed:
                self._lost += 1
                self._free_place()
            raise
        with self._changed:
            self._workers.add(worker)
        return worker

    def _give_back(self, key: str, worker: Supervisor) -> None:
        with self._changed:
            keep = worker.is_usable and not self._is_closed
            if keep:
                self._idle.append((key, worker))
            elif not self._is_closed:
                self._lost += 1
            self._free_place()
        if not keep:
            self._discard(worker)

    def _free_place(self) -> None:
        self._leased -= 1
        self._changed.notify_all()

    def _discard(self, worker: Supervisor) -> None:
        worker.close()
        with self._changed:
            self._workers.discard(worker)

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

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("taking a lease: the pool is closed")

    # -- the pool itself --

    def snapshot(self) -> PoolSnapshot:
        """The pool's figures now; counters never go back."""
        with self._changed:
            pids = [worker.pid for worker in self._workers if not worker.is_gone]
            return PoolSnapshot(
                self._max_workers,
                self._leased,
                len(self._idle),
                len(self._queue),
                self._started,
                self._lost,
                self._evicted,
                self._count.requests,
                self._count.rows_delivered,
                _private_memory_kib(pids),
            )

    def close(self) -> None:
        """End all workers and refuse new leases; legal twice.

        Idle workers are asked to end. A worker that is still lent ends when its lease is released; its requests go on
        until then.
        """
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for _, worker in idle:
            self._discard(worker)

    def _abort(self) -> None:
        self.close()
        with self._changed:
            workers = list(self._workers)
        for worker in workers:
            worker.kill(StaleLease("the interpreter is exiting"))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _private_memory_kib(pids: list[int]) -> int | None:
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
        except psutil.Error:
            return None
    return total // 1024


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # Workers end with us anyway. Ending them while the monitor still runs spares the interpreter's last steps, which
    # drop open streams and leases, from waiting for a thread that does not run any more.
    for pool in list(_pools):
        pool._abort()
