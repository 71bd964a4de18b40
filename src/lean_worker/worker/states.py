"""The states of a worker, and the moves between them.

Owns the one table of states and transitions, and the race that it decides: of everything that wants to end a request
(its response, its deadline, its memory limit, the pool's end) exactly one wins, because only one of them finds the
state from which its transition is legal. Needs no lock. Knows no process and no protocol.

    absent ──► starting ──► idle ──► busy ──► streaming
       │           │        ▲ │       │           │
       ▼           │        └─┼───────┴───────────┤  the request ended, the worker did not
    exhausted      │          ▼                   │
                   │       stopping               │
                   ▼          ▼                   ▼
                 killing ──► reaping ──► absent (as planned) or crashed
"""

from __future__ import annotations

import enum

from ..errors import LeanWorkerError


class State(enum.Enum):
    """The state of a worker."""

    ABSENT = "absent"
    """There is no process: not yet, or not any more as planned."""
    STARTING = "starting"
    """The process runs; its handshake has not come."""
    IDLE = "idle"
    """It can be sent a request."""
    BUSY = "busy"
    """A request is being written, or its one response is awaited."""
    STREAMING = "streaming"
    """A request was written whose answer is rows."""
    STOPPING = "stopping"
    """It was asked to end."""
    KILLING = "killing"
    """Its process group was sent SIGKILL, by whichever thread came first."""
    REAPING = "reaping"
    """It has ended or is about to; its exit status is being collected."""
    CRASHED = "crashed"
    """It ended other than planned: by itself, or killed for a failure."""
    EXHAUSTED = "exhausted"
    """It was not started at all: too many of its kind have failed lately."""


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ABSENT: frozenset({State.STARTING, State.EXHAUSTED}),
    State.STARTING: frozenset({State.IDLE, State.KILLING, State.REAPING}),
    State.IDLE: frozenset({State.BUSY, State.STOPPING, State.KILLING, State.REAPING}),
    State.BUSY: frozenset({State.IDLE, State.STREAMING, State.KILLING, State.REAPING}),
    State.STREAMING: frozenset({State.IDLE, State.KILLING, State.REAPING}),
    State.STOPPING: frozenset({State.KILLING, State.REAPING}),
    State.KILLING: frozenset({State.REAPING}),
    State.REAPING: frozenset({State.ABSENT, State.CRASHED}),
    State.CRASHED: frozenset(),
    State.EXHAUSTED: frozenset(),
}

IN_FLIGHT = frozenset({State.BUSY, State.STREAMING})


class _Entry:
    """One state of a worker's history, and what followed it. A chain of them needs no lock: see `Life`."""

    __slots__ = ("is_last", "next", "request", "state", "why")

    def __init__(self, state: State, request: int, *, is_last: bool, why: LeanWorkerError | None = None) -> None:
        self.state = state
        self.request = request
        self.is_last = is_last
        self.why = why
        self.next: dict[int, _Entry] = {}


_recorded: list[Life] | None = None


def record_lives(into: list[Life] | None) -> None:
    """Append each life that begins from now on to `into`, and keep its history; None to stop.

    For tests, which hold real lives against the table.
    """
    global _recorded
    _recorded = into


class Life:
    """One worker's state. Any thread may ask for a transition; the table says whether it happens.

    A transition is one atomic step, `dict.setdefault` of a successor, and needs no lock. So a signal handler or a
    finalizer may ask for one while its own thread is in the middle of another.
    """

    def __init__(self) -> None:
        self._entry = _Entry(State.ABSENT, 0, is_last=False)
        self._first: _Entry | None = None
        if _recorded is not None:
            self._first = self._entry
            _recorded.append(self)

    def _now(self) -> _Entry:
        entry = self._entry
        while entry.next:
            entry = entry.next[0]
            self._entry = entry
        return entry

    @property
    def state(self) -> State:
        """The present state."""
        return self._now().state

    @property
    def request(self) -> int:
        """Number of the request in flight or, between requests, of the last one; from 1."""
        return self._now().request

    @property
    def is_ended(self) -> bool:
        """Whether nothing follows any more."""
        return self._now().is_last

    @property
    def why(self) -> LeanWorkerError | None:
        """The reason that came with the move to killing; seen as soon as that state is."""
        return self._now().why

    def history(self) -> list[tuple[State, int]]:
        """Return each state so far with its request's number, oldest first; [] if the life is not recorded."""
        found, entry = [], self._first
        while entry is not None:
            found.append((entry.state, entry.request))
            entry = entry.next.get(0)
        return found

    def move(self, to: State, why: LeanWorkerError | None = None) -> bool:
        """Go to `to`, for the reason `why`, if the table allows it from here; False if it does not."""
        while True:
            now = self._now()
            if not _is_legal(now, to):
                return False
            if self._follow(now, to, now.request, why):
                return True

    def move_idle(self, to: State) -> bool:
        """Go to `to` from idle; False if the worker is not idle."""
        while True:
            now = self._now()
            if now.state is not State.IDLE or not _is_legal(now, to):
                return False
            if self._follow(now, to, now.request):
                return True

    def begin_request(self) -> int | None:
        """From idle to busy; the new request's number, or None if the worker is not idle."""
        while True:
            now = self._now()
            if not _is_legal(now, State.BUSY):
                return None
            if self._follow(now, State.BUSY, now.request + 1):
                return now.request + 1

    def end_request(self, request: int) -> bool:
        """The request was answered: back to idle. False if something else ended it first."""
        return self._move_request(request, State.IDLE)

    def kill_request(self, request: int, why: LeanWorkerError | None = None) -> bool:
        """The request must not go on: to killing. False if it is over already; a later request is not touched."""
        return self._move_request(request, State.KILLING, why)

    def _move_request(self, request: int, to: State, why: LeanWorkerError | None = None) -> bool:
        while True:
            now = self._now()
            if now.request != request or now.state not in IN_FLIGHT or not _is_legal(now, to):
                return False
            if self._follow(now, to, request, why):
                return True

    @staticmethod
    def _follow(now: _Entry, to: State, request: int, why: LeanWorkerError | None = None) -> bool:
        # A worker that was there is absent for good; the next one has a life, and a generation, of its own.
        is_last = now.state is State.REAPING or to is State.EXHAUSTED
        after = _Entry(to, request, is_last=is_last, why=why or now.why)
        return now.next.setdefault(0, after) is after

    def end(self, *, planned: bool) -> bool:
        """From reaping to the end; False if it had ended before."""
        return self.move(State.ABSENT if planned else State.CRASHED)


def _is_legal(now: _Entry, to: State) -> bool:
    return not now.is_last and to in TRANSITIONS[now.state]
