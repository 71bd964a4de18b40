"""Checks whether the caller's own code, running inside this package, can wait without a deadlock.

A row handler, a callback, a signal handler or a finalizer can close the object that called it. One rule prevents
deadlocks: nothing waits for a thread that may be waiting for it. `holds_no_lock` says whether the caller's code
interrupted this package at a place where it may hold a lock. `waiting_for` says whether the wait would complete a
circle of threads that wait for each other.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

from ..base.bare_signal import signal
from ..base.forks import after_fork_in_child
from ..errors import UsageError
from .waiting import Event

_F = TypeVar("_F", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0]
_OUTERMOST = tuple(f"{_PACKAGE}.{name}" for name in ("cli", "__main__", "pytest_plugin", "testing", "notebook"))
"""Modules that use the package as any caller does."""
_call_handlers: set[CodeType] = set()


def calls_handlers(function: _F) -> _F:
    """Mark a function from which a caller's code is called, and in which its thread holds no lock."""
    _call_handlers.add(function.__code__)
    return function


def holds_no_lock() -> bool:
    """Return False if the calling thread may hold a lock of this package.

    That is so if the caller's code, such as a signal handler or a finalizer, interrupted the package anywhere but in a
    function that calls handlers.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):  # the call that asks
        frame = frame.f_back
    while frame is not None and not _is_ours(frame):
        frame = frame.f_back
    return frame is None or frame.f_code in _call_handlers


def may_wait_for_leases() -> bool:
    """Return False where the calling thread may itself hold up the end of a lease: within a request, or a lock held."""
    return getattr(_thread, "party", None) is None and holds_no_lock()


def in_signal_handler() -> bool:
    """Return True within a Python function that is the handler of a signal now, and so may have interrupted any code.

    Also where the program itself has called it: the two look the same.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    frame: FrameType | None = sys._getframe(1) if codes else None
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame is not None


def _code_of(handler: object) -> CodeType | None:
    handler = handler.func if isinstance(handler, functools.partial) else handler
    function = getattr(handler, "__func__", handler)  # of a method
    if not hasattr(function, "__code__") and callable(function):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] == _PACKAGE and not name.startswith(_OUTERMOST)


# -- circles --


class _Edge:
    """A thread that works for `waiting` waits until `awaited` gets on, or is at an end."""

    __slots__ = ("awaited", "given_up", "waiting")

    def __init__(self, waiting: object, awaited: object, given_up: Event | None) -> None:
        self.waiting = waiting
        self.awaited = awaited
        self.given_up = given_up


_lock = threading.RLock()
_edges: list[_Edge] = []
_thread = threading.local()


def work_for(party: object) -> None:
    """Note that the calling thread works for `party` from now on: other threads may wait for that."""
    _thread.party = party


def refuse_in_handlers_of(party: object) -> None:
    """Raise UsageError on a thread that works for `party`, or on one that `party` waits for."""
    waiting = getattr(_thread, "party", None)
    if waiting is None:
        return
    with _lock:
        if _reaches(party, waiting, [edge for edge in _edges if edge.given_up is None]):
            raise UsageError(
                "iterating over outcomes: called from a handler that these outcomes wait for",
                hint="Iterate outside of handlers; a handler may close outcomes.",
            )


@contextlib.contextmanager
def waiting_for(party: object, *, can_give_up: bool) -> Iterator[Event]:
    """Announce that the calling thread waits for `party` within the block.

    Yields the moment at which the wait has to be given up because it would be part of a circle. That event never comes
    if `can_give_up` is False: others in the circle give up.

    Raises:
        UsageError: `can_give_up` is False, and nobody else in the circle can give up.
    """
    given_up = Event()
    waiting = getattr(_thread, "party", None)
    if waiting is None:  # nobody waits for this thread
        yield given_up
        return
    edge = _Edge(waiting, party, given_up if can_give_up else None)
    with _lock:
        if can_give_up:
            if _reaches(party, waiting, _edges):
                given_up.set()
        else:
            refuse_in_handlers_of(party)
            for other in _edges:
                event = other.given_up
                if event is None:
                    continue
                if _reaches(party, other.waiting, _edges) and _reaches(other.awaited, waiting, _edges):
                    event.set()
        _edges.append(edge)
    try:
        yield given_up
    finally:
        with _lock:
            _edges.remove(edge)


def _reaches(start: object, goal: object, edges: list[_Edge]) -> bool:
    """Return True if `start` is `goal`, or waits for it over any number of others."""
    found, new = [start], [start]
    while new:
        party = new.pop()
        if party is goal:
            return True
        for edge in edges:
            if edge.waiting is party and not any(edge.awaited is other for other in found):
                found.append(edge.awaited)
                new.append(edge.awaited)
    return False


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    _edges.clear()
    work_for(None)


after_fork_in_child(_forget_after_fork)
