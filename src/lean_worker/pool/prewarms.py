"""Calls of `prewarm` that have not ended: how many workers each still needs, and which of them may start one now.

A call holds no place while it waits for another one: each worker it has started is idle at once. So it never keeps
others waiting who hold a worker and take another, nor do two calls wait for each other.
"""

from __future__ import annotations

from ..steps.waiting import Event
from .workers import Workers

_MOST_STARTS = 2
"""Starts for each worker of a call: those who lease meanwhile may end again what was started, as often as they come."""


class Prewarm:
    """A call; touched on the monitor's thread only.

    Attributes:
        key: Of the workers there are to be.
        count: How many.
        starting: Places in which it is starting one.
        starts: How many it has begun to start.
        spent: How many of them ended at once; they are not made up for.
    """

    __slots__ = ("count", "key", "spent", "starting", "starts")

    def __init__(self, key: str, count: int) -> None:
        self.key = key
        self.count = count
        self.starting = 0
        self.starts = 0
        self.spent = 0


class Prewarms:
    """The calls of one pool, in the order in which they came; on the monitor's thread only.

    One at a time starts workers, as two of different capabilities would end each other's, and both come to too few. But
    while it has to wait for a lent worker, a later one goes first that needs none of those: whoever calls it may hold
    the worker that is waited for.
    """

    def __init__(self, workers: Workers, max_workers: int) -> None:
        self._workers = workers
        self._max_workers = max_workers
        self._calls: list[Prewarm] = []
        self._at_work: Prewarm | None = None
        self._waiting: list[Event] = []

    def enter(self, call: Prewarm) -> None:
        """A call has come."""
        self._calls.append(call)

    def leave(self, call: Prewarm) -> None:
        """It has ended."""
        self._calls.remove(call)
        if self._at_work is call:
            self._at_work = None

    def begin_start(self, call: Prewarm) -> None:
        """It has taken a place to start a worker in."""
        self._at_work = call
        call.starting += 1
        call.starts += 1

    def missing(self, call: Prewarm) -> int:
        """The number of workers that are still to be started; those that are lent are warm, too."""
        missing = call.count - self._workers.count_warm(call.key) - call.starting - call.spent
        return max(0, min(missing, _MOST_STARTS * call.count - call.starts))

    def wants_place(self, call: Prewarm) -> bool:
        """Whether it is its turn to start a worker, and there is a place for it."""
        if not self.missing(call) or not self._room(call):
            return False
        at_work = self._at_work
        if at_work is not None and at_work is not call and not self._is_stuck(at_work):
            return False
        first = self._calls[0]
        return call in (first, at_work) or (self._is_stuck(first) and self.missing(call) <= self._room(call))

    def _is_stuck(self, call: Prewarm) -> bool:
        """Whether it waits for a lent worker. One that misses nothing is about to leave, and has to find it so."""
        return not call.starting and not self._room(call) and self.missing(call) > 0

    def _room(self, call: Prewarm) -> int:
        return self._workers.count_places_for_new(call.key, self._max_workers)

    def look_again_by(self, called: Event) -> None:
        """Set this event when one of the calls may have come further."""
        self._waiting.append(called)

    def look_again(self) -> None:
        """Something about places or workers has changed."""
        waiting, self._waiting = self._waiting, []
        for called in waiting:
            called.set()

    def clear(self) -> None:
        """Forget all."""
        self._calls.clear()
        self._waiting.clear()
        self._at_work = None
