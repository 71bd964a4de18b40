"""What a worker can be doing, and what may follow on what.

Owns the one table of states and transitions, and the race that it decides: of everything that wants to end a request
(its response, its deadline, its memory limit, the pool's end) exactly one wins, because only one of them finds the
state from which its transition is legal. Hides the lock. Knows no process and no protocol.

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
import threading
from collections.abc import Callable


class State(enum.Enum):
    """What a worker is doing."""

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
ENDING = frozenset({State.STOPPING, State.KILLING, State.REAPING})


OnTransition = Callable[["Life", State, State, int], object]
_on_transition: OnTransition | None = None


def watch_transitions(callback: OnTransition | None) -> None:
    """Call `callback` with each life, the state before and after, and the request's number; None to stop.

    For tests, which hold real lives against the table. The callback runs wherever a transition happens: it only notes.
    """
    global _on_transition
    _on_transition = callback


class Life:
    """One worker's state. Any thread may ask for a transition; the table says whether it happens.

    Attributes:
        state: What it is doing now.
        request: Number of the request in flight or, between requests, of the last one; from 1.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.state = State.ABSENT
        self.request = 0
        self.is_ended = False

    def move(self, to: State) -> bool:
        """Go to `to` if the table allows it from here; False if it does not."""
        with self._lock:
            return self._move(to)

    def begin_request(self) -> int | None:
        """From idle to busy; the new request's number, or None if the worker is not idle."""
        with self._lock:
            if not self._move(State.BUSY, self.request + 1):
                return None
            return self.request

    def end_request(self, request: int) -> bool:
        """The request was answered: back to idle. False if something else ended it first."""
        with self._lock:
            return request == self.request and self.state in IN_FLIGHT and self._move(State.IDLE)

    def kill_request(self, request: int) -> bool:
        """The request must not go on: to killing. False if it is over already; a later request is not touched."""
        with self._lock:
            return request == self.request and self.state in IN_FLIGHT and self._move(State.KILLING)

    def end(self, *, planned: bool) -> bool:
        """From reaping to the end; False if it had ended before."""
        return self.move(State.ABSENT if planned else State.CRASHED)

    def _move(self, to: State, request: int | None = None) -> bool:
        if self.is_ended or to not in TRANSITIONS[self.state]:
            return False
        # A worker that was there is absent for good; the next one has a life, and a generation, of its own.
        self.is_ended = self.state is State.REAPING or to is State.EXHAUSTED
        before, self.state = self.state, to
        if request is not None:
            self.request = request
        if _on_transition is not None:
            _on_transition(self, before, to, self.request)
        return True
