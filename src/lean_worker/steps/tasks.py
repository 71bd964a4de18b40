"""Driver that runs steps on the monitor's thread, for bookkeeping.

The main thread can be interrupted between any two instructions. So the monitor drives all steps that count and own
workers, on one thread and in one order, without locks. The calling thread only waits for the end, and can leave:
`on_monitor`. The steps are then interrupted where they wait, and clean up by themselves.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .monitor import Monitor
from .waiting import Event, Offload, Pause, Ready, Steps, Until, Wait

_T = TypeVar("_T")
_INTERRUPTED_SECONDS = 15.0
"""Seconds that an interrupted caller waits for the steps to clean up; then they continue without the caller."""


class Abandoned(BaseException):
    """Raised in steps whose caller was interrupted and wants no result any more."""


class Task(Generic[_T]):
    """Steps that the monitor drives.

    Args:
        monitor: Who drives them.
        steps: What to do.
        undo: Given a result that the caller cannot take any more, returns steps that undo it.

    Attributes:
        done: When the steps have ended.
        settled: When an abandoned task has ended and is undone.
    """

    def __init__(self, monitor: Monitor, steps: Steps[_T], undo: Callable[[_T], Steps[None]] | None = None) -> None:
        self.done = Event()
        self.settled = Event()
        self._monitor = monitor
        self._steps = steps
        self._undo = undo
        self._turn = 0
        self._stop_waiting: Callable[[], None] | None = None
        self._value: list[_T] = []
        self._error: BaseException | None = None
        self._is_abandoned = False

    def start(self) -> None:
        """Begin to drive the steps; they may end before this returns.

        Raises:
            ResourceExhausted: The system gives no thread.
        """
        self._monitor.start()
        self.post()

    def post(self) -> None:
        """Begin to drive the steps; for finalizers and signal handlers, which start no thread."""
        self._monitor.post(lambda: self._go_on(0))

    def abandon(self) -> None:
        """Interrupt the steps, and undo what they came to; does nothing once the result was taken."""
        self._monitor.post(self._abandon)

    def result(self) -> _T:
        """Take what the steps came to, once; raises what they raised."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._value.pop()

    # -- on the monitor's thread --

    def _abandon(self) -> None:
        self._is_abandoned = True
        if self.done.is_set:
            self._drop_result()
        else:
            self._go_on(self._turn, error=Abandoned())

    def _drop_result(self) -> None:
        value, self._value = self._value, []
        if not value or self._undo is None:
            self.settled.set()
            return
        undoing = Task(self._monitor, self._undo(value[0]))
        undoing.done.add_callback(self.settled.set)
        undoing.post()

    def _go_on(self, turn: int, value: Any = None, error: BaseException | None = None) -> None:
        if turn != self._turn or self.done.is_set:
            return  # woken twice
        self._end_wait()
        try:
            while True:
                self._turn += 1
                wait = self._steps.send(value) if error is None else self._steps.throw(error)
                error = None
                try:
                    is_over, value = self._wait(wait, self._turn)
                except BaseException as failed:
                    # The steps would stay where they are for ever; told of it, they clean up.
                    self._end_wait()
                    error = failed
                    continue
                if not is_over:
                    return
        except StopIteration as end:
            self._value.append(end.value)
        except BaseException as raised:  # handed to the caller, whatever it is
            self._error = raised
        self._turn += 1
        self.done.set()
        if self._is_abandoned:
            self._error = None
            self._drop_result()

    def _end_wait(self) -> None:
        stop, self._stop_waiting = self._stop_waiting, None
        if stop is not None:
            stop()

    def _wait(self, wait: Wait, turn: int) -> tuple[bool, Any]:
        """Whether a wait is over at once and its result; else see that it wakes the steps."""
        if isinstance(wait, Ready):
            ready = wait.look()
            if ready or (wait.timeout is not None and wait.timeout <= 0):
                return True, ready
            self._await_ready(wait, turn)
        elif isinstance(wait, Until):
            if wait.event.is_set or (wait.timeout is not None and wait.timeout <= 0):
                return True, wait.event.is_set
            self._await(wait.event, wait.timeout, turn)
        elif isinstance(wait, Offload):
            self._monitor.run_in_thread(wait.call.run)
            self._await(wait.call.done, None, turn)
        else:
            assert isinstance(wait, Pause)
            self._monitor.call_at(time.monotonic() + wait.seconds, lambda: self._go_on(turn))
        return False, None

    def _await(self, event: Event, timeout: float | None, turn: int) -> None:
        def told() -> None:
            self._monitor.post(wake)

        def wake() -> None:
            self._go_on(turn, event.is_set)

        timer = None if timeout is None else self._monitor.call_at(time.monotonic() + timeout, wake)

        def stop() -> None:
            event.remove_callback(told)
            if timer is not None:
                timer.cancel()

        self._stop_waiting = stop
        event.add_callback(told)

    def _await_ready(self, wait: Ready, turn: int) -> None:
        def wake() -> None:
            self._go_on(turn, wait.look())

        timer = None if wait.timeout is None else self._monitor.call_at(time.monotonic() + wait.timeout, wake)
        watched: list[int] = []

        def stop() -> None:
            for descriptor in watched:
                self._monitor.unwatch(descriptor)
            if timer is not None:
                timer.cancel()

        self._stop_waiting = stop
        for descriptor, mask in wait.events.items():
            events = selectors.EVENT_WRITE if mask & select.POLLOUT else selectors.EVENT_READ
            self._monitor.watch(descriptor, wake, events)
            watched.append(descriptor)


def on_monitor(
    monitor: Monitor, steps: Steps[_T], undo: Callable[[_T], Steps[None]] | None = None, *, is_shielded: bool = False
) -> Steps[_T]:
    """Let the monitor drive `steps`; return their result or raise their exception.

    Args:
        monitor: Who drives them.
        steps: The steps.
        undo: Called with a result that the interrupted caller cannot take; returns steps that undo it. The monitor
            drives them, and the caller waits for their end.
        is_shielded: Whether the steps continue if the caller is interrupted; otherwise they are interrupted too.
    """
    if monitor.is_here:
        return (yield from steps)
    task = Task(monitor, steps, undo)
    try:
        task.start()
        yield Until(task.done, None)
    except BaseException:
        if is_shielded:
            task.post()  # the interrupt may have come before; posted twice, it begins once
        else:
            task.abandon()
        # Not for ever, and not again: a caller that is interrupted twice leaves at once.
        yield Until(task.done if is_shielded else task.settled, _INTERRUPTED_SECONDS)
        raise
    return task.result()
