"""The monitor: one thread that watches all workers of this process.

It runs a selector loop that reads the workers' stderr, reaps them, keeps deadlines even while a caller's sink runs, and
drives the steps of pools (`tasks`). Callbacks run on this thread and must be short. A callback that raises ends only
itself. If the thread ends, another one replaces it.

Nothing here takes a lock, and the thread waits for nobody. `post`, `call_at` and `Timer.cancel` are safe in signal
handlers and finalizers, at any moment and on any thread.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import errno
import heapq
import itertools
import os
import selectors
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..base import high_descriptors, threads
from ..base.forks import after_fork_in_child
from ..base.log import log
from ..base.system_errors import no_thread
from .waiting import LONGEST_WAIT_SECONDS, Call

_T = TypeVar("_T")

_FEW_TIMERS = 64
_NOTHING: tuple[int, Any] = (0, None)
_FAILED_SECONDS = 0.01
"""Pause after a failure of the loop itself, so that one that lasts does not take a whole processor."""


class Timer:
    """A callback that waits for its time; `cancel` is safe from any thread and at any moment."""

    __slots__ = ("_callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back; does nothing once the callback began."""
        self._callback = None

    @property
    def is_cancelled(self) -> bool:
        """Whether it will not call back."""
        return self._callback is None

    def fire(self) -> None:
        """Call back now, at most once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Monitor:
    """The loop; all methods but `watch` and `unwatch` may be called from any thread."""

    def __init__(self) -> None:
        self._calls: collections.deque[Callable[[], object]] = collections.deque()
        self._fresh: collections.deque[Timer] = collections.deque()
        self._runners: dict[int, object] = {}
        self._thread_id: int | None = None
        self._wake_fds: tuple[int, int] | None = None
        self._sleeps_until = 0.0
        # The rest belongs to the thread.
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_numbers = itertools.count()
        self._sweep_at = _FEW_TIMERS
        self._selector: selectors.BaseSelector | None = None
        self._is_blind = False
        self._watched: dict[int, tuple[int, Callable[[], object]]] = {}

    # -- from any thread --

    @property
    def is_here(self) -> bool:
        """Whether this is the monitor's thread."""
        return self._thread_id == _thread.get_ident()

    def start(self) -> None:
        """See that the thread runs.

        Raises:
            ResourceExhausted: The system gives no thread.
        """
        if self._runners:
            return
        try:
            # One call into C: an interrupt comes before it or after it. Two threads may be started; one of them stays.
            threads.start_bare(self._start_thread)
        except RuntimeError as error:
            raise no_thread("watching workers", error) from error

    def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` on the monitor's thread and return what it returns or raise what it raises."""
        if self.is_here:
            return function()
        call = self.submit(function)
        call.done.wait(None)
        return call.result()

    def submit(self, function: Callable[[], _T]) -> Call[_T]:
        """Run `function` on the monitor's thread soon; the caller waits for `Call.done`, or does not."""
        self.start()
        call = Call(function)
        self.post(call.run)
        return call

    def post(self, function: Callable[[], object]) -> None:
        """Run `function` on the monitor's thread soon; safe in signal handlers and finalizers."""
        self._calls.append(function)
        self._wake()

    def run_in_thread(self, function: Callable[[], object]) -> None:
        """Run `function`, which may wait, soon on a thread of its own; safe in signal handlers and finalizers."""
        self.post(lambda: self._start_in_thread(function))

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """Call back at `due` on the clock of `time.monotonic`."""
        timer = Timer(due, callback)
        self._fresh.append(timer)
        # Looked at after the append, as the thread looks for fresh timers after it has said how long it sleeps.
        if due < self._sleeps_until or len(self._fresh) >= _FEW_TIMERS:
            self._wake()
        return timer

    def _wake(self) -> None:
        fds = self._wake_fds
        if fds is not None:
            with contextlib.suppress(BlockingIOError):  # it has not looked at the last ones yet
                os.write(fds[1], b"\0")

    def _start_in_thread(self, function: Callable[[], object]) -> None:
        try:
            threads.start(function, "lean-worker-aside")
        except RuntimeError:
            # The system gives no thread. Late is better than never.
            function()

    # -- on the thread --

    def watch(self, descriptor: int, callback: Callable[[], object], events: int = selectors.EVENT_READ) -> None:
        """Call back whenever `descriptor` is ready; call this from the monitor's thread.

        Raises:
            OSError, ValueError: It cannot be watched.
        """
        if self._selector is None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        before = self._watched.get(descriptor)
        if before is not None:
            # Closed by its owner while it was watched, and its number given away. That watcher looks for itself.
            self.unwatch(descriptor)
            self.post(before[1])
        self._selector.register(descriptor, events, callback)
        self._watched[descriptor] = (events, callback)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; call this from the monitor's thread, before closing the descriptor."""
        self._watched.pop(descriptor, None)
        if self._selector is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)

    def _start_thread(self) -> None:
        # Off the main thread: there an interrupt could leave `Thread.start` in the middle.
        with contextlib.suppress(
            RuntimeError
        ):  # the interpreter ends, or there is no thread: the next `start` asks again
            threads.start(self._run, "lean-worker-monitor")

    def _run(self) -> None:
        me = object()
        if self._runners.setdefault(0, me) is not me:
            return
        try:
            while True:
                try:
                    self._thread_id = _thread.get_ident()
                    while True:
                        self._turn()
                except BaseException as error:
                    self._report("the loop failed and goes on", error)
                    time.sleep(_FAILED_SECONDS)
                    self._close_selector()
        finally:
            # An exception in the middle of the handler above: the next thread does it all again.
            self._thread_id = None
            self._runners.pop(0, None)
            if not sys.is_finalizing():
                with contextlib.suppress(RuntimeError):  # the next `start` asks again
                    threads.start_bare(self._start_thread)

    def _open(self) -> None:
        if self._wake_fds is None:
            self._wake_fds = high_descriptors.nonblocking_pipe()
        selector = selectors.DefaultSelector()
        selector.register(self._wake_fds[0], selectors.EVENT_READ, self._clear_wake)
        self._selector = selector
        for descriptor, (events, callback) in list(self._watched.items()):
            try:
                selector.register(descriptor, events, callback)
            except (OSError, ValueError):
                del self._watched[descriptor]  # somebody has closed it: whoever waits has to see that
                self._calls.append(callback)

    def _close_selector(self) -> None:
        selector, self._selector = self._selector, None
        if selector is not None:
            selector.close()

    def _clear_wake(self) -> None:
        if self._wake_fds is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_fds[0], 4096)

    def _turn(self) -> None:
        self._sleeps_until = float("inf")
        self._take_fresh()
        self._sleeps_until = self._timers[0][0] if self._timers else float("inf")
        seconds = LONGEST_WAIT_SECONDS
        if self._timers:
            seconds = min(max(0.0, self._timers[0][0] - time.monotonic()), LONGEST_WAIT_SECONDS)
        ready = self._look(0.0 if self._calls or self._fresh else seconds)
        self._sleeps_until = 0.0
        for key, _ in ready:
            # What an earlier callback of this round has closed may be another file by now.
            if key.data == self._clear_wake or self._watched.get(key.fd, _NOTHING)[1] is key.data:
                self._guard(key.data)
        key = ready = None  # type: ignore[assignment]  # a worker that is gone must not live until the next event
        for _ in range(len(self._calls)):
            self._guard(self._calls.popleft())
        for timer in self._due_timers():
            self._guard(timer.fire)

    def _look(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        if self._selector is not None:
            return self._selector.select(seconds)
        try:
            self._open()
            self._is_blind = False
        except OSError as error:
            # No descriptor is left. Calls and timers still have their turn: who asks for a worker is told of it.
            if not self._is_blind:
                self._report("nothing can be watched for now", error)
            self._is_blind = True
            time.sleep(min(seconds, _FAILED_SECONDS))
        return []  # without a wait: nothing has woken this thread before it was open

    def _take_fresh(self) -> None:
        for _ in range(len(self._fresh)):
            timer = self._fresh.popleft()
            if not timer.is_cancelled:
                heapq.heappush(self._timers, (timer.due, next(self._timer_numbers), timer))
        if len(self._timers) >= self._sweep_at:
            # Requests that ended long before their deadline leave cancelled timers behind. Done at twice the size.
            self._timers = [entry for entry in self._timers if not entry[2].is_cancelled]
            heapq.heapify(self._timers)
            self._sweep_at = max(_FEW_TIMERS, 2 * len(self._timers))
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)

    def _due_timers(self) -> list[Timer]:
        now = time.monotonic()
        due: list[Timer] = []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        return due

    def _guard(self, function: Callable[[], Any]) -> None:
        try:
            function()
        except BaseException as error:
            # One worker's trouble must not take the watch from the others.
            self._report("a callback failed", error)

    def _report(self, what: str, error: BaseException) -> None:
        def tell() -> None:
            log.error("lean-worker monitor: %s", what, exc_info=error)

        # Not here: a log handler may block, or wait for a lock whose holder waits for this thread.
        with contextlib.suppress(RuntimeError):
            threads.start(tell, "lean-worker-log")

    def leave_to_parent(self) -> None:
        """In a forked child: close the descriptors, and leave what they stand for alone."""
        selector, self._selector = self._selector, None
        fds, self._wake_fds = self._wake_fds, None
        with contextlib.suppress(OSError):
            if selector is not None:
                selector.close()
            for fd in fds or ():
                os.close(fd)
        self._calls.clear()
        self._fresh.clear()


_monitors: dict[int, Monitor] = {}


def shared() -> Monitor:
    """The process's monitor; made by the first call, and anew in a forked child. `start` starts its thread."""
    pid = os.getpid()
    found = _monitors.get(pid)
    if found is None:
        found = _monitors.setdefault(pid, Monitor())
    return found


def _leave_to_parent() -> None:
    for pid in list(_monitors):
        if pid != os.getpid():
            _monitors.pop(pid).leave_to_parent()


after_fork_in_child(_leave_to_parent)
