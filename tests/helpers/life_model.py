"""Rules for a worker's life, said without the table of states, and a recorder of real lives.

The model knows facts that a bystander could see: whether a process was started, whether somebody was granted the right
to kill it or to ask it to end, whether its exit status was collected, and which request is open. It never looks at the
table. `Recorder` keeps the histories of the lives of this process, and `check` holds them against both.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterator

from lean_worker.worker import states as state
from lean_worker.worker.states import TRANSITIONS, Life, State

SERVES = {State.IDLE, State.BUSY, State.STREAMING}
RUNS = SERVES | {State.STARTING, State.STOPPING, State.KILLING}


@dataclasses.dataclass
class Facts:
    """A worker as a bystander sees it."""

    started: bool = False
    ready: bool = False
    told_to_end: bool = False
    kill_granted: bool = False
    collecting: bool = False
    refused: bool = False
    ended: bool = False
    open_request: int | None = None
    is_stream: bool = False
    last_request: int = 0

    def take(self, before: State, after: State, request: int) -> None:
        """Apply one transition; an AssertionError says which rule it breaks."""
        assert not self.ended and not self.refused, "nothing follows on an end"
        assert before is not after, "a transition changes something"
        if after is State.STARTING:
            assert not self.started, "a worker is started once"
            self.started = True
        elif after is State.EXHAUSTED:
            assert not self.started, "what was started is not refused"
            self.refused = True
        elif after is State.IDLE:
            assert self.started and not self.kill_granted and not self.collecting, "what is ending never serves"
            assert not self.told_to_end, "a worker that was asked to end serves no more"
            assert self.ready == (self.open_request is not None), "ready once; later only by the end of a request"
            assert request == self.last_request
            self.ready, self.open_request, self.is_stream = True, None, False
        elif after is State.BUSY:
            assert self.ready and self.open_request is None, "one request at a time, of a worker that is ready"
            assert request == self.last_request + 1, "requests are counted without a gap"
            assert not (self.told_to_end or self.kill_granted or self.collecting)
            self.last_request = self.open_request = request
        elif after is State.STREAMING:
            assert self.open_request == request and not self.is_stream, "rows belong to the open request"
            self.is_stream = True
        elif after is State.STOPPING:
            assert self.ready and self.open_request is None and not self.kill_granted, (
                "only who is idle is asked to end"
            )
            self.told_to_end = True
        elif after is State.KILLING:
            assert self.started and not self.kill_granted and not self.collecting, "one of many may kill, and once"
            self.kill_granted, self.open_request = True, None
        elif after is State.REAPING:
            assert self.started and not self.collecting, "the exit status is collected once"
            self.collecting, self.open_request = True, None
        else:
            assert after in (State.ABSENT, State.CRASHED)
            assert self.collecting, "an end is told only when the process is gone"
            self.ended = True
        assert request == self.last_request

    @property
    def has_process(self) -> bool:
        """Whether a process may exist: its place in the pool is taken."""
        return self.started and not self.ended

    def check_state(self, now: State) -> None:
        """The state's name says the same as the facts."""
        assert (now in SERVES) == (self.ready and not (self.told_to_end or self.kill_granted or self.collecting))
        assert (now in RUNS or now is State.REAPING) == self.has_process
        assert (now in (State.BUSY, State.STREAMING)) == (self.open_request is not None)
        assert (now is State.STREAMING) == (self.open_request is not None and self.is_stream)


class Recorder:
    """The lives that begin in this process while it records."""

    def __init__(self) -> None:
        self._lives: list[Life] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorder]:
        state.record_lives(self._lives)
        try:
            yield self
        finally:
            state.record_lives(None)

    def check(self, *, all_ended: bool = True) -> collections.Counter[tuple[State, State]]:
        """Hold the recorded lives against the table and the model; how often each step was taken."""
        taken: collections.Counter[tuple[State, State]] = collections.Counter()
        for life in list(self._lives):
            history = life.history()
            facts, now = Facts(), State.ABSENT
            assert history[0] == (State.ABSENT, 0)
            for after, request in history[1:]:
                assert after in TRANSITIONS[now], f"the table has no step {now} to {after}: {history}"
                facts.take(now, after, request)
                facts.check_state(after)
                taken[now, after] += 1
                now = after
            is_over = facts.ended or facts.refused or not facts.started
            assert is_over or not all_ended, f"a life without an end: {history}"
        return taken
