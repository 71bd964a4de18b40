"""Starts of threads that do not hang, and that an interrupt does not leave in the middle.

`threading.Thread.start` waits until the new thread runs. A thread that finds no memory for its first steps ends before
that, and the wait would never end. So every start looks first whether there is room for a thread.

An interrupt (Ctrl-C) within `Thread.start` leaves a thread that `threading` lists for ever though it never ran, or one
that waits for ever for a lock which the interrupt left held. Interrupts are raised on the main thread alone, so that
another one calls it.
"""

from __future__ import annotations

import _thread
import resource
import threading
from collections.abc import Callable

from . import memory_room

_STACK_BYTES = 8 << 20
_FIRST_STEPS_BYTES = 2 << 20


def check_room(doing: str = "starting a thread") -> None:
    """Refuse to start a thread that would not come to run.

    Raises:
        RuntimeError: There is no room for its stack and its first steps.
    """
    stack_bytes = resource.getrlimit(resource.RLIMIT_STACK)[0]  # `threading.stack_size()` would set it too
    if not 0 < stack_bytes < 1 << 40:
        stack_bytes = _STACK_BYTES  # without a limit
    try:
        memory_room.check_room(stack_bytes + _FIRST_STEPS_BYTES)
    except MemoryError as error:
        raise RuntimeError(f"{doing}: no room for its stack: {error}") from error


def start(function: Callable[[], object], name: str) -> threading.Thread:
    """Run `function` on a daemon thread of that name.

    What an interrupt of this call leaves is a thread that runs, or soon will, or none.

    Raises:
        RuntimeError: The system gives no thread, or no memory for one; or the interpreter ends.
    """
    check_room()
    thread = threading.Thread(target=function, name=name, daemon=True)
    try:
        if threading.get_ident() == threading.main_thread().ident:
            _start_elsewhere(thread)
        else:
            thread.start()
    except MemoryError as error:
        raise RuntimeError(f"starting a thread: {error!r}") from error
    return thread


def _start_elsewhere(thread: threading.Thread) -> None:
    failures: list[BaseException] = []
    has_begun = threading.Lock()

    def begin() -> None:
        try:
            check_room()  # this thread has taken some
            thread.start()
        except BaseException as error:  # the caller's, whatever it is
            failures.append(error)
        finally:
            has_begun.release()

    has_begun.acquire()
    start_bare(begin)
    has_begun.acquire()
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()  # no cycle of an error, its traceback, and this frame


def start_bare(function: Callable[[], object]) -> None:
    """Run `function` on a thread that `threading` does not know, and wait for nothing.

    One call into C after the look: an interrupt comes before it or after it.

    Raises:
        RuntimeError: As of `start`.
    """
    check_room()
    try:
        _thread.start_new_thread(function, ())
    except MemoryError as error:
        raise RuntimeError(f"starting a thread: {error!r}") from error
