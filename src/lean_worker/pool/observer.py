"""The reports of a pool about itself: a snapshot, events, log lines.

Owns counters that never go back, and the way from an event to the caller's callbacks: a thread of its own, behind a
bounded queue, so that a slow callback delays neither rows nor deadlines. Hides that thread. Callers decide what to do
with what they are told; no process id and no worker's identity is among it.
"""

from __future__ import annotations

import codecs
import collections
import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..base import threads
from ..base.callbacks import result_of
from ..base.log import log
from ..steps.handlers import calls_handlers

_WARNING, _DEBUG = 30, 10  # as of logging

_QUEUED = 16_384
_LINE_CHARACTERS = 65_536

FAILURES = ("crashed", "timeout", "cancelled", "memory", "protocol", "start_failed")
PLANNED = ("policy", "evicted", "closed")
REASONS = FAILURES + PLANNED
"""The reasons for a worker's end. `cancelled` covers every stop by the caller that the worker did not heed in time."""

_WARNINGS = frozenset({"worker_failed", "restart_refused", "request_poisoned"})


@dataclasses.dataclass(frozen=True)
class PoolEvent:
    """Something that happened in a pool.

    Attributes:
        kind: "worker_started", "worker_ended" (planned), "worker_failed", "lease_granted", "lease_refused",
            "lease_released", "request_ended", "restart_refused", "request_poisoned", "holder_lost", "pool_closed".
        at: When, in seconds since the epoch.
        facts: What belongs to it, such as `reason`, `generation`, `command`, `outcome`, `rows_delivered`.
    """

    kind: str
    at: float
    facts: Mapping[str, Any]


STAGES = ("spawn", "import", "first_command", "warm_command")


@dataclasses.dataclass(frozen=True)
class Timing:
    """Duration of a stage, over all times that it succeeded.

    Attributes:
        count: How often.
        seconds: All together.
        longest_seconds: The longest.
    """

    count: int = 0
    seconds: float = 0.0
    longest_seconds: float = 0.0

    def plus(self, seconds: float) -> Timing:
        """The timing with one more."""
        return Timing(self.count + 1, self.seconds + seconds, max(self.longest_seconds, seconds))


@dataclasses.dataclass(frozen=True)
class HolderSnapshot:
    """A holder: a process that has made imports, and forks others that need not make them again.

    Attributes:
        kind: "workers" if it forks workers of a script, "files" if it forks a process for each checked file.
        imports: The modules that the script, or the files, name; the first 20.
        served: How many it has forked.
        memory_kib: Its private memory (USS), or None where the system does not tell.
    """

    kind: str
    imports: Sequence[str]
    served: int
    memory_kib: int | None


@dataclasses.dataclass(frozen=True)
class PoolSnapshot:
    """A pool at one moment. Counters count since the pool was made and never go back.

    Attributes:
        max_workers: How many workers there may be.
        leased: Workers that are lent, those being started included.
        idle: Warm workers that wait for a lease.
        queued: Callers that wait for a worker.
        started: Workers that came up.
        ended: Workers that ended, by reason: "crashed", "timeout", "cancelled" (stopped by the caller and not heeding
            it), "memory", "protocol", "start_failed"; planned: "policy", "evicted", "closed" (also by `cycle`).
        requests: Requests that entered a worker.
        outcomes: Requests that ended, by outcome: "ok", or the name of the error's class. One whose stream was dropped
            with its lease ends soon, and its worker's place may be free before.
        refused: Leases and requests that were refused, by the name of the error's class.
        rows_delivered: Rows handed to callers, tentative ones included.
        received_bytes: Bytes of all frames read from workers.
        backpressure_us: Time in which workers could not go on because their caller did not read, in microseconds.
            Taken as the caller's time away when the pipe is found at least half full afterwards; an upper bound.
        memory_kib: Private memory (USS) of all workers now, or None where the system does not tell.
        events_dropped: Events and lines of stderr for which the callbacks were too slow.
        key_hits: Leases that got a warm worker of their key (the same program, environment and files).
        key_misses: Leases for which there was none.
        cold_opens: Workers that started while a lease or a request waited for them. `prewarm` and planned successors
            are not counted, in none of these three.
        timings: Time of each stage: "spawn" (until the process was there), "import" (from then until it was ready: its
            program and imports), "first_command" of a worker and "warm_command" (all later ones) that succeeded.
        peer_versions: Living workers by the version that their handshake reports.
        holders: The holders that are ready now.
        forked: Workers that were forked from a holder.
    """

    max_workers: int
    leased: int
    idle: int
    queued: int
    started: int
    ended: Mapping[str, int]
    requests: int
    outcomes: Mapping[str, int]
    refused: Mapping[str, int]
    rows_delivered: int
    received_bytes: int
    backpressure_us: int
    memory_kib: int | None
    events_dropped: int
    key_hits: int = 0
    key_misses: int = 0
    cold_opens: int = 0
    timings: Mapping[str, Timing] = dataclasses.field(default_factory=dict)
    peer_versions: Mapping[str, int] = dataclasses.field(default_factory=dict)
    holders: Sequence[HolderSnapshot] = ()
    forked: int = 0

    @property
    def failures(self) -> int:
        """Workers that ended other than planned."""
        return sum(self.ended[reason] for reason in FAILURES)

    def _repr_html_(self) -> str:
        from ..notebook import table

        facts = [
            ("workers", f"{self.leased} lent, {self.idle} warm, at most {self.max_workers}"),
            ("waiting callers", self.queued),
            ("requests", self.requests),
            ("outcomes", self.outcomes),
            ("refused", self.refused),
            ("rows delivered", self.rows_delivered),
            ("received MiB", round(self.received_bytes / 2**20, 1)),
            ("back-pressure seconds", round(self.backpressure_us / 1e6, 3)),
            ("memory MiB", None if self.memory_kib is None else self.memory_kib >> 10),
            ("workers started", f"{self.started}, {self.forked} of them forked from {len(self.holders)} holders"),
            ("key hits, misses, cold opens", f"{self.key_hits}, {self.key_misses}, {self.cold_opens}"),
            ("mean seconds", {stage: round(t.seconds / t.count, 3) for stage, t in self.timings.items() if t.count}),
            ("workers ended", {reason: count for reason, count in self.ended.items() if count}),
        ]
        return table("Pool", facts)


class Flow(Protocol):
    """The amounts that a request under way has moved so far; none of it goes back."""

    @property
    def rows_delivered(self) -> int:
        """Rows handed to its caller."""
        ...

    @property
    def received_bytes(self) -> int:
        """Bytes of its frames that were read."""
        ...

    @property
    def backpressure_us(self) -> int:
        """Time in which its worker waited for its caller to read, in microseconds."""
        ...


class Observer:
    """Counts, logs, and tells the callbacks. Used on the monitor's thread only, and takes no lock there.

    Args:
        on_event: Called with each `PoolEvent`, on the observer's thread.
        on_stderr: Called with each line that a worker writes to its stderr, on the observer's thread.
    """

    def __init__(
        self, on_event: Callable[[PoolEvent], object] | None, on_stderr: Callable[[str], object] | None
    ) -> None:
        self._on_event = on_event
        self._on_stderr = on_stderr
        self.started = 0
        self.ended: collections.Counter[str] = collections.Counter(dict.fromkeys(REASONS, 0))
        self.requests = 0
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.refused: collections.Counter[str] = collections.Counter()
        self._rows_delivered = 0
        self._received_bytes = 0
        self._backpressure_us = 0
        self._flows: set[Flow] = set()
        self.key_hits = 0
        self.key_misses = 0
        self.cold_opens = 0
        self.forked = 0
        self.timings: dict[str, Timing] = {stage: Timing() for stage in STAGES}
        self.events_dropped = 0
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._runners: dict[int, threading.Thread] = {}

    def flow(self) -> dict[str, int]:
        """Return what has flowed so far, by the snapshot's names; requests that are under way are counted in."""
        return {
            "rows_delivered": self._rows_delivered + sum(flow.rows_delivered for flow in self._flows),
            "received_bytes": self._received_bytes + sum(flow.received_bytes for flow in self._flows),
            "backpressure_us": self._backpressure_us + sum(flow.backpressure_us for flow in self._flows),
        }

    # -- what happened --

    def took(self, stage: str, seconds: float) -> None:
        """One of `STAGES` has succeeded."""
        self.timings[stage] = self.timings[stage].plus(seconds)

    def worker_started(self, **facts: object) -> None:
        """A worker came up."""
        self.started += 1
        self.tell("worker_started", **facts)

    def worker_ended(self, reason: str, **facts: object) -> None:
        """A worker ended, or did not come up."""
        self.ended[reason] += 1
        self.tell("worker_ended" if reason in PLANNED else "worker_failed", reason=reason, **facts)

    def request_begun(self, flow: Flow) -> None:
        """A request entered a worker."""
        self.requests += 1
        self._flows.add(flow)

    def request_ended(self, outcome: str, flow: Flow, *, rows_delivered: int, **facts: object) -> None:
        """A request that had begun ended; told exactly once for each."""
        self.outcomes[outcome] += 1
        self._flows.remove(flow)
        self._rows_delivered += rows_delivered
        self._received_bytes += flow.received_bytes
        self._backpressure_us += flow.backpressure_us
        self.tell("request_ended", outcome=outcome, rows_delivered=rows_delivered, **facts)

    def refuse(self, kind: str, error: BaseException, **facts: object) -> None:
        """A lease or a request was refused."""
        name = type(error).__name__
        self.refused[name] += 1
        self.tell(kind, error=name, **facts)

    def tell(self, kind: str, **facts: object) -> None:
        """An event, to the log and to the callback."""
        level = _WARNING if kind in _WARNINGS else _DEBUG
        if level >= log.getEffectiveLevel():
            # Not here: a log handler may block, or hold a lock that the monitor would wait for.
            self._enqueue(lambda: _log_event(level, kind, facts))
        callback = self._on_event
        if callback is not None:
            event = PoolEvent(kind, time.time(), facts)
            self._enqueue(lambda: result_of("on_event", callback(event)))

    @property
    def is_heard(self) -> bool:
        """Whether somebody wants to be told of events when they happen."""
        return self._on_event is not None

    def stderr_sink(self) -> Callable[[bytes], None] | None:
        """Return where one worker's stderr goes besides its tail, nothing at its end; None if nobody asked for it."""
        callback = self._on_stderr
        if callback is None:
            return None
        lines = _Lines()

        def take(chunk: bytes) -> None:
            for line in lines.feed(chunk) if chunk else lines.end():
                self._enqueue(lambda line=line: result_of("on_stderr", callback(line)))  # type: ignore[misc]

        return take

    # -- to the callbacks --

    def _enqueue(self, call: Callable[[], object]) -> None:
        if self._is_closed:
            return
        if self._queue.qsize() >= _QUEUED:
            self.events_dropped += 1
            return
        self._queue.put(call)
        if self._thread is None:
            with contextlib.suppress(RuntimeError):  # the system gives none now; the next event asks again
                self._thread = threads.start(self._run, "lean-worker-events")

    @calls_handlers
    def _run(self) -> None:
        # Two threads at once, or an interrupt before the assignment above, start two of these; one of them stays.
        me = threading.current_thread()
        if self._runners.setdefault(0, me) is not me:
            return
        while True:
            call = self._queue.get()
            if call is None:
                return
            try:
                call()
            except Exception:
                log.exception("lean-worker: a callback of the pool raised")

    def close(self, timeout: float) -> None:
        """Tell what is queued, then end the thread; from any thread, waits no longer than `timeout` seconds."""
        self._is_closed = True
        self._queue.put(None)
        thread = self._runners.get(0, self._thread)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def leave_to_parent(self) -> None:
        """In a forked child: tell nobody anything."""
        self._is_closed = True
        self._flows.clear()


def _log_event(level: int, kind: str, facts: Mapping[str, Any]) -> None:
    if log.isEnabledFor(level):
        log.log(level, "%s %s", kind, " ".join(f"{name}={value!r}" for name, value in facts.items()))


class _Lines:
    """Lines of a text that comes in pieces; an endless line is cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> list[str]:
        """Take a piece, and return the lines that have ended with it."""
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        if len(self._rest) > _LINE_CHARACTERS:
            lines.append(self._rest)
            self._rest = ""
        return lines

    def end(self) -> list[str]:
        """Return the last line if it has no end of its own."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [rest] if rest else []
