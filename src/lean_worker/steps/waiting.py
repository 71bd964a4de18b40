"""Waits: the events that steps can wait for, and the driver that waits by blocking a thread.

*Steps* are a generator that makes decisions. When it needs an event, it yields a `Wait` and is sent the result. An
interrupt (Ctrl-C, the cancellation of a task) is raised at that `yield`. The steps' own `except` and `finally` clean
up, and can wait again. So every rule has one implementation and two short drivers: `run` here, which blocks the calling
thread, and `aio.driver.drive`, which leaves an asyncio loop free. Functions that return steps are named by a gerund
(`receiving`, `closing`) and do nothing until they are driven.
"""

from __future__ import annotations

import collections
import contextlib
import operator
import select
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..base.system_errors import no_memory

_T = TypeVar("_T")


LONGEST_WAIT_SECONDS = 86_400.0
"""Longest wait that is asked of the system at once; poll, epoll and locks refuse some of the larger ones."""


class Event:
    """Something that happens once. Any thread may say that it has, wait for it, or be told; finalizers too.

    It takes no lock: a signal handler or a finalizer may use it in the middle of another use on the same thread. A
    callback is called at least once, and may be called twice.

    Attributes:
        is_set: Whether it has happened.
    """

    __slots__ = ("_callbacks", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._callbacks: collections.deque[Callable[[], object]] = collections.deque()

    def set(self) -> None:
        """It happens now; later calls do nothing."""
        try:
            self.is_set = True
            self._call(self._callbacks)
        except BaseException:
            # An interrupt came before or between callbacks. Nobody else would call the rest.
            self.is_set = True
            self._call(self._callbacks)
            raise

    def _call(self, callbacks: collections.deque[Callable[[], object]]) -> None:
        while callbacks:
            try:
                callback = callbacks[0]
            except IndexError:
                return
            # Taken out after its call: interrupted before, it is still there for the next round.
            callback()
            self.remove_callback(callback)

    def add_callback(self, callback: Callable[[], object]) -> None:
        """Call `callback` on the thread of `set`; at once if it is set."""
        self._callbacks.append(callback)
        if self.is_set:
            self.set()

    def remove_callback(self, callback: Callable[[], object]) -> None:
        """Do not call `callback`; does nothing if it was called."""
        with contextlib.suppress(ValueError):
            self._callbacks.remove(callback)

    def wait(self, timeout: float | None) -> bool:
        """Block until it happens; False if it does not within `timeout` seconds."""
        if self.is_set:
            return True
        end = None if timeout is None else time.monotonic() + timeout
        told = _Told()
        self.add_callback(told)
        try:
            while not self.is_set:
                left = LONGEST_WAIT_SECONDS if end is None else min(end - time.monotonic(), LONGEST_WAIT_SECONDS)
                if left <= 0 and end is not None:
                    break
                told.wait(left)
        finally:
            self.remove_callback(told)
        return self.is_set


class _Told:
    """A callback that ends one wait; may be called often."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        with contextlib.suppress(RuntimeError):  # called before
            self._lock.release()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=seconds)


class Call(Generic[_T]):
    """A function that runs once, on the first thread that takes it, and its result.

    Attributes:
        done: When it has.
    """

    def __init__(self, function: Callable[[], _T]) -> None:
        self._functions = [function]
        self._error: BaseException | None = None
        self._value: _T
        self.done = Event()

    def result(self) -> _T:
        """Return the function's result, or raise its exception, once the call is done."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._value

    def call_off(self) -> bool:
        """See that it does not run any more; False if it has been taken, and is done or will be."""
        try:
            self._functions.pop()
        except IndexError:
            return False
        return True

    def run(self) -> None:
        """Run it; later calls do nothing."""
        try:
            function = self._functions.pop()
        except IndexError:
            return
        try:
            self._value = function()
        except BaseException as error:  # handed to the caller, whatever it is
            self._error = error
        finally:
            self.done.set()


class Changes:
    """A lock, and news of each change that is made under it: to steps what a condition is to threads."""

    __slots__ = ("_lock", "_next")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._next = Event()

    if TYPE_CHECKING:

        def __enter__(self) -> bool: ...

        def __exit__(self, *_: object) -> None: ...

    else:
        # The lock's own methods, which are written in C. In a method of ours an interrupt could come between the taking
        # of the lock and the block, and the lock would stay taken for ever.
        __enter__ = property(operator.attrgetter("_lock.__enter__"))
        __exit__ = property(operator.attrgetter("_lock.__exit__"))

    @property
    def next(self) -> Event:
        """Return a wait for the next change after this. Take it with the lock held, wait for it without."""
        if self._next.is_set:
            self._next = Event()
        return self._next

    def notify_all(self) -> None:
        """Something changed; with the lock held."""
        # Replaced by whoever asks next: an interrupt between two steps here would leave the old one for ever to come.
        self._next.set()

    def waiting_for(self, predicate: Callable[[], object], timeout: float) -> Steps[None]:
        """Wait at most `timeout` seconds until `predicate()`, called with the lock held after each change, is true."""
        end = time.monotonic() + timeout
        while True:
            with self:
                left = end - time.monotonic()
                if predicate() or left <= 0:
                    return
                news = self.next
            yield Until(news, left)


class Wait:
    """Something to wait for."""

    __slots__ = ()

    def block(self) -> Any:
        """Wait on the calling thread, and return what came of it."""
        raise NotImplementedError


class Ready(Wait):
    """Wait for a descriptor: `events` gives the mask of each. Results in the ready ones, [] after `timeout`.

    A `timeout` of 0 polls without waiting; None means no limit.
    """

    __slots__ = ("events", "timeout")

    def __init__(self, events: Mapping[int, int], timeout: float | None) -> None:
        self.events = events
        self.timeout = timeout

    def block(self) -> list[int]:
        """See `Wait.block`."""
        return self._poll(self.timeout)

    def look(self) -> list[int]:
        """Return the descriptors that are ready now."""
        return self._poll(0)

    def _poll(self, timeout: float | None) -> list[int]:
        poller = select.poll()
        for descriptor, mask in self.events.items():
            poller.register(descriptor, mask)
        if timeout is not None and timeout <= LONGEST_WAIT_SECONDS:
            # Rounded up: a wait that ends a little early would only turn round once more.
            return [descriptor for descriptor, _ in poller.poll(0 if timeout <= 0 else int(timeout * 1000) + 1)]
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            ready = poller.poll(int(LONGEST_WAIT_SECONDS * 1000))
            if ready or (end is not None and time.monotonic() >= end):
                return [descriptor for descriptor, _ in ready]


class Until(Wait):
    """Wait for a `Event`, at most `timeout` seconds (None: no limit). Results in True if it has happened."""

    __slots__ = ("event", "timeout")

    def __init__(self, event: Event, timeout: float | None) -> None:
        self.event = event
        self.timeout = timeout

    def block(self) -> bool:
        """See `Wait.block`."""
        return self.event.wait(self.timeout)


class Pause(Wait):
    """Lets others go first: a thread sleeps for `seconds`, which are few or none; a loop serves its other tasks."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def block(self) -> None:
        """See `Wait.block`."""
        if self.seconds:
            time.sleep(self.seconds)


class Offload(Wait):
    """Wait for a `Call` of a function that may block; it runs on another thread so that nobody else has to wait."""

    __slots__ = ("call",)

    def __init__(self, call: Call[Any]) -> None:
        self.call = call

    def block(self) -> None:
        """See `Wait.block`."""
        self.call.run()


Steps = Generator[Wait, Any, _T]


def run(steps: Steps[_T], error: BaseException | None = None) -> _T:
    """Drive `steps` on the calling thread.

    Args:
        steps: What to do.
        error: Raised where the steps wait now, if they were driven elsewhere before.

    Raises:
        ResourceExhausted: The steps came to a MemoryError.
        BaseException: What the steps raise.
    """
    result: Any = None
    try:
        while True:
            try:
                while True:
                    wait = steps.send(result) if error is None else steps.throw(error)
                    error = None
                    result = wait.block()
            except StopIteration as end:
                value: _T = end.value
                return value
            except BaseException as interruption:
                if steps.gi_frame is None:  # type: ignore[attr-defined]
                    if isinstance(interruption, MemoryError):
                        raise no_memory("calling lean-worker") from interruption
                    raise  # by the steps themselves
                error = interruption
                result = None
    finally:
        error = None  # no cycle of an error, its traceback, and this frame


def firmly(wait: Wait) -> Steps[Any]:
    """Perform `wait`, which is bounded and raises nothing itself, to its end; raise what interrupted it after that.

    For what must not be left half done, such as the reaping of a process.
    """
    interruption: BaseException | None = None
    try:
        while True:
            try:
                result = yield wait
                break
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption
        return result
    finally:
        interruption = None


def offload(function: Callable[[], _T]) -> Steps[_T]:
    """Run `function`, which may block for a while that is bounded; its result, or what it raises."""
    call = Call(function)
    yield from firmly(Offload(call))
    return call.result()
