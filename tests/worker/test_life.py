"""A worker's life, by every interleaving of those who act on it, and by what real workers did.

The programs below are the moves that the parts of a supervisor make, each on a thread of its own: its caller, a deadline,
somebody who kills, the end of the process, somebody who closes. `explore` runs them on the real `Life` in every order in
which their moves can come, and holds every result against a model that does not know the table.
"""

from __future__ import annotations

import collections
import signal
import sys

import pytest

import chaos
import lean_worker as lw
from fakes import fake
from lean_worker.testing import Exit, Gate, Handshake, Hang, Receive, Row
from lean_worker.worker.states import TRANSITIONS, Life, State
from life_model import Facts, Recorder
from many_requests import NO_LIMITS
from support import FUNCTIONS, send_signal, wait_until

ECHO = lw.JsonCommand("echo")

# -- programs: (the move, where to go on if it succeeds, where if it does not); None is the end --


def caller(requests, stream):
    """Start, be ready, make requests, be refused when another was first; then end what is left."""
    steps = [("start", 1, None), ("ready", 2, -1)]
    for number in range(1, requests + 1):
        at = len(steps)
        steps.append((("begin", number), at + 1, -1))
        if stream:
            steps.append(("stream", at + 2, -1))
        at = len(steps)
        steps.append((("answer", number), at + 1, -1))
    return [*steps, ("stop", -1, -1), *ENDING]


ENDING = [("kill", None, None)]
REAPER = [("reap", 1, None), ("end", None, None)]
"""Only one of the caller and a closer reaps; in the exploration it may come at any time after the start."""


def deadline(number):
    return [(("limit", number), None, None)]


KILLER = [("kill", None, None)]
CLOSER = [("stop", 1, 1), ("kill", None, None)]
REFUSAL = [("refuse", None, None)]
DROP = [("kill", None, None)]


def act(life, move):
    name, number = move if isinstance(move, tuple) else (move, None)
    if name == "start":
        return life.move(State.STARTING)
    if name == "refuse":
        return life.move(State.EXHAUSTED)
    if name == "ready":
        # As the supervisor does: it moves to idle from starting alone, and nothing else goes there by `move`.
        return life.state is State.STARTING and life.move(State.IDLE)
    if name == "begin":
        return life.begin_request() is not None
    if name == "stream":
        return life.move(State.STREAMING)
    if name == "answer":
        return life.end_request(number)
    if name == "limit":
        return life.kill_request(number)
    if name == "stop":
        return life.move(State.STOPPING)
    if name == "kill":
        return life.move(State.KILLING)
    if name == "reap":
        return life.move(State.REAPING)
    assert name == "end"
    return life.end(planned=True)


class World:
    """One order of moves so far: the real life, the model's facts, where each program is, and who won each request."""

    def __init__(self, programs):
        self.life = Life()
        self.facts = Facts()
        self.at = [0] * len(programs)
        self.won = collections.Counter()

    def step(self, programs, which):
        program = programs[which]
        move, then, otherwise = program[self.at[which]]
        before, request = self.life.state, self.life.request
        done = act(self.life, move)
        after = self.life.state
        assert done == (after is not before or self.life.request != request), (move, before, after)
        if done:
            opened = self.facts.open_request
            self.facts.take(before, after, self.life.request)
            if opened is not None and self.facts.open_request is None:
                self.won[opened] += 1
        self.facts.check_state(after)
        assert all(count == 1 for count in self.won.values()), "a request ends once"
        assert self.life.is_ended == (self.facts.ended or self.facts.refused)
        goes_to = then if done else otherwise
        self.at[which] = None if goes_to is None else goes_to % len(program)

    def key(self):
        return (self.life.state, self.life.request, self.life.is_ended, *self.at, *self.won, repr(self.facts))


def explore(programs):
    """Every order of the programs' moves, breadth first; orders that lead to the same are followed once."""
    queue = collections.deque([()])
    seen, ends, taken = set(), collections.Counter(), set()
    while queue:
        path = queue.popleft()
        world = World(programs)
        for which in path:
            before = world.life.state
            world.step(programs, which)
            if world.life.state is not before:
                taken.add((before, world.life.state))
        key = world.key()
        if key in seen:
            continue
        seen.add(key)
        open_ = [which for which, at in enumerate(world.at) if at is not None]
        if not open_:
            ends[world.life.state] += 1
            # Nobody acts any more. What was started has been killed or has ended, and every request has had its end.
            assert world.facts.kill_granted or world.facts.collecting or not world.facts.started
            assert world.facts.open_request is None
            assert sum(world.won.values()) == world.life.request
        queue.extend((*path, which) for which in open_)
    return len(seen), ends, taken


RACES = {
    "a request and all that may end it": [caller(1, False), deadline(1), KILLER, REAPER],
    "a stream and all that may end it": [caller(1, True), deadline(1), KILLER, REAPER],
    "two requests and late limits": [caller(2, True), deadline(1), deadline(2), REAPER],
    "two requests and a close": [caller(2, False), deadline(1), CLOSER, REAPER],
    "a close and a drop": [caller(1, True), CLOSER, DROP, REAPER],
    "a start that is refused": [caller(1, False), REFUSAL, KILLER, REAPER],
    "two who reap": [caller(1, True), deadline(1), REAPER, REAPER],
}


@pytest.mark.parametrize("race", RACES)
def test_every_order_of_what_acts_on_a_life(race):
    states, ends, _ = explore(RACES[race])
    assert states > 50 and ends


def test_all_steps_of_the_table_are_explored():
    taken = set().union(*(explore(programs)[2] for programs in RACES.values()))
    # The exploration ends lives as planned; a crash differs in its name only.
    crash = (State.REAPING, State.CRASHED)
    assert taken | {crash} == {(before, after) for before, nexts in TRANSITIONS.items() for after in nexts}


def test_from_everywhere_there_is_a_way_to_an_end_and_no_way_back():
    def reach(start):
        found, new = set(), [start]
        while new:
            for after in TRANSITIONS[new.pop()]:
                if after not in found:
                    found.add(after)
                    if after is not State.ABSENT:  # a worker that was there is absent for good
                        new.append(after)
        return found

    final = {State.CRASHED, State.EXHAUSTED, State.ABSENT}
    for start in State:
        assert start in final or reach(start) & final
    for ending in (State.STOPPING, State.KILLING, State.REAPING):
        assert not reach(ending) & {State.STARTING, State.IDLE, State.BUSY, State.STREAMING}


def test_the_model_finds_a_broken_table(monkeypatch):
    """A table in which a killed worker can serve again is found out."""
    monkeypatch.setitem(TRANSITIONS, State.KILLING, frozenset({State.REAPING, State.IDLE}))
    monkeypatch.setitem(TRANSITIONS, State.STOPPING, frozenset({State.KILLING, State.REAPING, State.BUSY}))
    with pytest.raises(AssertionError):
        for programs in RACES.values():
            explore(programs)


# -- what real workers do --


def real_lives():
    """Workers that take every step of the table."""
    with lw.Pool(1, restarts=NO_LIMITS) as pool:
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(ECHO, 1) == 1
            lease.run(lw.StreamingCommand("rows"), {"count": 2}, on_row=lambda row: None)
        for deed, error in (("SIGKILL", lw.ChildExited), ("hang", lw.RequestTimeout)):
            with pytest.raises(error), pool.lease(FUNCTIONS) as lease:
                request = {"rows": 1, "then": deed}
                timeout = 0.3 if deed == "hang" else 60
                lease.run(lw.StreamingCommand("perform"), request, on_row=lambda row: None, timeout=timeout)
        with pytest.raises(lw.RequestTimeout), pool.lease(FUNCTIONS) as lease:
            lease.call(lw.JsonCommand("hang"), timeout=0.3)
        with pytest.raises(lw.ChildExited), pool.lease(fake({"ends": [Exit(3)]})) as lease:
            lease.call(lw.JsonCommand("ends"))
        with pool.lease(FUNCTIONS) as lease:
            worker = lease._core.loan.worker
            send_signal(worker.pid, signal.SIGKILL)
            wait_until(lambda: worker._process.has_ended)
        with pool.lease(FUNCTIONS):
            pass  # asked to end by the pool's close, and heeds it
    with lw.Pool(1, restarts=NO_LIMITS, timeouts=lw.Timeouts(shutdown=0.3)) as pool:
        deaf = fake({"rows": [Row({})]}, startup=[Handshake(), Receive()])
        with pool.lease(deaf) as lease:
            send_signal(lease._core.loan.worker.pid, signal.SIGSTOP)
    with lw.Pool(1, restarts=NO_LIMITS) as pool:
        held = pool.lease(FUNCTIONS)
        pool.close(drain=0)  # idle, and killed
        held.release()
    with lw.Pool(1, restarts=lw.RestartPolicy(max_restarts=1, backoff=0), timeouts=lw.Timeouts(startup=0.5)) as pool:
        dies = lw.ProcessCapability([sys.executable, "-c", "pass"])
        silent = fake({}, startup=[Gate("never"), Hang()])
        with pytest.raises(lw.ChildExited):
            pool.lease(dies)
        with pytest.raises(lw.RequestTimeout):
            pool.lease(silent)
        with pytest.raises(lw.LeanWorkerError):
            pool.lease(dies)
        with pytest.raises(lw.errors.RestartLimitExceeded):
            pool.lease(dies)


@pytest.mark.supervision
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_real_lives_take_every_step_and_only_those():
    with Recorder().recording() as recorder:
        real_lives()
    taken = recorder.check()
    missing = {(before, after) for before, nexts in TRANSITIONS.items() for after in nexts} - set(taken)
    assert not missing, sorted((before.value, after.value) for before, after in missing)


@pytest.mark.supervision
def test_the_lives_of_a_chaotic_run():
    with Recorder().recording() as recorder:
        figures = chaos.run(3)
    taken = recorder.check()
    assert taken[State.ABSENT, State.STARTING] == figures["workers"] or figures["workers"] > 0
    assert sum(taken.values()) > 20  # on a busy machine, too
