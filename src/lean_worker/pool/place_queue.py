"""Callers who wait for a place of a pool, each in its turn.

Owns who is served next, how long a caller is ready to wait, and that nobody waits for itself. Hides the queue from the
pool, which says what a caller does when its turn has come.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Container
from typing import TypeVar

from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..errors import PoolFull, QueueTimeout, UsageError
from ..steps.monitor import Monitor
from ..steps.waiting import Event, Steps, Until
from .prewarms import Prewarm, Prewarms
from .workers import Workers

_TakenT = TypeVar("_TakenT")
_PATIENCE_SECONDS = 1.0
"""Time for a place before it is looked at who holds all of them: one that is being given back comes sooner."""
LONG_SECONDS = 10.0
"""A shorter time for a place ends soon by itself, with a `QueueTimeout`."""


class Ticket:
    """A caller's place in the queue.

    Attributes:
        cancel: What it came with.
        needs_others: Whether it takes others, while it has its place.
        prewarm: The call of `prewarm` it is of; None for one who takes a lease.
        called: When it is worth looking whether it is this caller's turn.
    """

    __slots__ = ("called", "cancel", "needs_others", "prewarm")

    def __init__(self, cancel: CancelToken | None, needs_others: bool, prewarm: Prewarm | None = None) -> None:
        self.cancel = cancel
        self.needs_others = needs_others
        self.prewarm = prewarm
        self.called = Event()


class PlaceQueue:
    """The queue of one pool; on the monitor's thread only, if nothing else is said.

    Nobody is served before those who came earlier, whether they wait on threads or on loops; only who needs others
    meanwhile lets those pass as long as no place would be left for them. So those who hold a worker and take another
    never wait for each other.

    Args:
        monitor: Who drives all steps.
        workers: Who is in the places.
        prewarms: The calls of `prewarm`, which also wait here.
        max_workers: The number of places.

    Attributes:
        max_workers: The number of places.
    """

    def __init__(self, monitor: Monitor, workers: Workers, prewarms: Prewarms, max_workers: int) -> None:
        self._monitor = monitor
        self._workers = workers
        self._prewarms = prewarms
        self.max_workers = max_workers
        self._tickets: collections.deque[Ticket] = collections.deque()

    def __len__(self) -> int:
        return len(self._tickets)

    def waiting_for_turn(
        self,
        ticket: Ticket,
        take: Callable[[], _TakenT],
        seconds: float | None,
        started: float,
        thread: int,
        is_blocking: bool,
    ) -> Steps[_TakenT]:
        """Wait for the turn of a new ticket, and `take` what it is for. The seconds count from `started`."""
        cancel, prewarm = ticket.cancel, ticket.prewarm
        may_be_alone = is_blocking and (seconds is None or seconds > LONG_SECONDS)
        doing = "taking a lease" if prewarm is None else "prewarming a pool"
        self._workers.check_open(cancel, doing=doing)
        self._tickets.append(ticket)

        def look_again() -> None:
            # From any thread, and from signal handlers.
            self._monitor.post(lambda: ticket.called.set())

        add_cancel_callback(cancel, look_again)
        try:
            while True:
                self._workers.check_open(cancel, doing=doing)
                if self._next() is ticket or (prewarm is not None and not self._prewarms.missing(prewarm)):
                    return take()
                left = None if seconds is None else started + seconds - time.monotonic()
                if left is not None and left <= 0:
                    raise self._refusal(seconds, time.monotonic() - started, ticket)
                if may_be_alone and time.monotonic() - started >= _PATIENCE_SECONDS:
                    may_be_alone = False
                    self.check_not_alone(doing, thread, ticket.needs_others)
                patience = _PATIENCE_SECONDS if may_be_alone else None
                ticket.called = Event()
                if prewarm is not None:
                    self._prewarms.look_again_by(ticket.called)
                yield Until(ticket.called, min((time for time in (left, patience) if time is not None), default=None))
        finally:
            remove_cancel_callback(cancel, look_again)
            self._tickets.remove(ticket)
            self.call_next()

    def call_next(self) -> None:
        """A place may have come free, a worker be ready, or the head of the queue has changed."""
        self._prewarms.look_again()
        ticket = self._next()
        if ticket is not None:
            ticket.called.set()

    def _next(self) -> Ticket | None:
        """The ticket whose place is next: the first of those for which there is one."""
        may_need_others = self._workers.has_place(True, self.max_workers)
        if not may_need_others and not self._workers.has_place(False, self.max_workers):
            return None  # as most of the time when many wait, who are not looked through
        for ticket in self._tickets:
            if ticket.needs_others and not may_need_others:
                continue
            if ticket.prewarm is None or self._prewarms.wants_place(ticket.prewarm):
                return ticket
        return None

    def is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Whether a caller waits who did not come with one of the tokens `own`. From any thread."""
        while True:
            try:
                return any(ticket.cancel not in own for ticket in tuple(self._tickets))
            except RuntimeError:
                continue  # it has changed meanwhile

    def call_all(self) -> None:
        """Something has changed for everybody, as when the pool closes."""
        for ticket in list(self._tickets):
            ticket.called.set()

    def clear(self) -> None:
        """Forget all."""
        self._tickets.clear()

    def check_not_alone(self, doing: str, thread: int, needs_others: bool = False) -> None:
        """Refuse to wait on a thread that holds all places itself, if no other thread could give one back.

        Raises:
            UsageError: That is so.
        """
        if not self._workers.are_all_held_by(thread, needs_others, self.max_workers):
            return
        if all(each.ident == thread or each.name.startswith("lean-worker-") for each in threading.enumerate()):
            held = f"all workers of the pool ({self.max_workers})"
            if needs_others:
                held = f"all but one of the workers of the pool ({self.max_workers}), needs that one beside them"
            raise UsageError(
                f"{doing}: this thread has {held}, and waits for itself",
                hint=f"Use the lease at hand, or release it first, or make the pool larger: "
                f"Pool(max_workers={self.max_workers + 1}).",
            )

    def _refusal(self, seconds: float | None, waited: float, ticket: Ticket) -> PoolFull | QueueTimeout:
        needs_others = ticket.needs_others
        if ticket.prewarm is not None:
            missing = f"{self._prewarms.missing(ticket.prewarm)} of {ticket.prewarm.count} workers"
            why = "the others are lent, or prewarmed by another call"
            if seconds == 0:
                return PoolFull(
                    f"prewarming a pool: no place for {missing}: {why}",
                    hint="Wait with timeout=, or make the pool larger.",
                    max_workers=self.max_workers,
                )
            return QueueTimeout(
                f"prewarming a pool: no place for {missing} within {seconds:g} seconds: {why}",
                hint="Release leases earlier, wait longer, or make the pool larger.",
                max_workers=self.max_workers,
                waited=round(waited, 3),
                queued=len(self._tickets),
            )
        if seconds == 0:
            return PoolFull(
                f"taking a lease: all {self.max_workers} workers are lent{', or kept for others' * needs_others}",
                hint="Wait with timeout=, or make the pool larger.",
                max_workers=self.max_workers,
            )
        return QueueTimeout(
            f"taking a lease: none of {self.max_workers} workers came free within {seconds:g} seconds",
            hint="Release leases earlier, wait longer, or make the pool larger: "
            + (
                "each call of `verify` at the same time keeps a worker for its judge, and needs one more."
                if needs_others
                else "who holds one lease and takes another needs two workers, as in Pool(max_workers=2)."
            ),
            max_workers=self.max_workers,
            waited=round(waited, 3),
            queued=len(self._tickets),
        )
