"""The one thread that watches all workers of this process.

Owns a selector loop on a thread of its own: it starts children (so that the parent-death signal, which Linux ties to
the starting thread, is tied to one that lives as long as the process), drains their stderr, reaps them, and keeps
time for deadlines that must hold even while a caller's sink runs. Hides the loop; users of it hand over callbacks,
which run on this thread, must be short and must not raise.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .waits import Call

_log = logging.getLogger("lean_worker")
_T = TypeVar("_T")

_FEW_TIMERS = 64


class Timer:
    """A callback that waits for its time; `cancel` is safe from any thread and at any moment."""

    __slots__ = ("_callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back; does nothing once the callback began."""
        self._callback = None

    def _fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Monitor:
    """The loop; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        # Appended to without a lock: a finalizer may post while its own thread is in the middle of posting.
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_numbers = itertools.count()
        self._sweep_at = _FEW_TIMERS
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="lean-worker-monitor", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` on the monitor's thread and return what it returns or raise what it raises."""
        if threading.current_thread() is self._thread:
            return function()
        call = self.submit(function)
        call.done.wait(None)
        return call.result()

    def submit(self, function: Callable[[], _T]) -> Call[_T]:
        """Run `function` on the monitor's thread soon; the caller waits for `Call.done`, or does not."""
        call = Call(function)
        self.post(call.run)
        return call

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` on the monitor's thread soon."""
        self._calls.append(function)
        self._wake()

    def run_aside(self, function: Callable[[], None]) -> None:
        """Run `function`, which may wait, soon on a thread of its own; safe in a finalizer."""
        self.post(lambda: threading.Thread(target=function, name="lean-worker-aside", daemon=True).start())

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back whenever `descriptor` is readable; call this from the monitor's thread."""
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; call this from the monitor's thread, before closing the descriptor."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """Call back at `due` on the clock of `time.monotonic`."""
        timer = Timer(due, callback)
        with self._lock:
            if len(self._timers) >= self._sweep_at:
                self._sweep_timers()
            is_next = not self._timers or due < self._timers[0][0]
            heapq.heappush(self._timers, (due, next(self._timer_numbers), timer))
        if is_next:
            self._wake()
        return timer

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        while True:
            ready = self._selector.select(self._seconds_to_next_timer())
            self._turn(ready)
            del ready  # what it names, such as a worker that is gone, must not live until the next event

    def _turn(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in ready:
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._guard(key.data)
        while self._calls:
            self._guard(self._calls.popleft())
        for timer in self._due_timers():
            self._guard(timer._fire)

    def _seconds_to_next_timer(self) -> float | None:
        with self._lock:
            # Requests that ended long before their deadline leave cancelled timers behind.
            while self._timers and self._timers[0][2]._callback is None:
                heapq.heappop(self._timers)
            if not self._timers:
                return None
            return max(0.0, self._timers[0][0] - time.monotonic())

    def _sweep_timers(self) -> None:
        """Drop cancelled timers: a request leaves its own behind, due in minutes. Done at twice the size."""
        self._timers = [entry for entry in self._timers if entry[2]._callback is not None]
        heapq.heapify(self._timers)
        self._sweep_at = max(_FEW_TIMERS, 2 * len(self._timers))

    def _due_timers(self) -> list[Timer]:
        now = time.monotonic()
        due: list[Timer] = []
        with self._lock:
            while self._timers and self._timers[0][0] <= now:
                due.append(heapq.heappop(self._timers)[2])
        return due

    def _guard(self, function: Callable[[], Any]) -> None:
        try:
            function()
        except Exception:
            # One worker's trouble must not take the watch from the others.
            _log.exception("lean-worker monitor: a callback failed")


_shared: Monitor | None = None
_shared_lock = threading.Lock()


def shared() -> Monitor:
    """The process's monitor; started by the first call, and anew in a forked child."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Monitor()
        return _shared


def _forget_after_fork() -> None:
    # The thread does not live on in a forked child, and the lock may have been held by another thread.
    global _shared, _shared_lock
    _shared = None
    _shared_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
