"""The table of a worker's states: every path ends, and of several that want to end a request one wins."""

from __future__ import annotations

import threading

import pytest

from lean_worker.worker.states import IN_FLIGHT, TRANSITIONS, Life, State


def alive(streaming=False):
    life = Life()
    assert life.move(State.STARTING) and life.move(State.IDLE)
    request = life.begin_request()
    assert request == 1
    if streaming:
        assert life.move(State.STREAMING)
    return life, request


PATHS = {
    State.ABSENT: (),
    State.STARTING: (State.STARTING,),
    State.IDLE: (State.STARTING, State.IDLE),
    State.BUSY: (State.STARTING, State.IDLE, State.BUSY),
    State.STREAMING: (State.STARTING, State.IDLE, State.BUSY, State.STREAMING),
    State.STOPPING: (State.STARTING, State.IDLE, State.STOPPING),
    State.KILLING: (State.STARTING, State.KILLING),
    State.REAPING: (State.STARTING, State.REAPING),
    State.CRASHED: (State.STARTING, State.REAPING, State.CRASHED),
    State.EXHAUSTED: (State.EXHAUSTED,),
}


def at(state):
    life = Life()
    assert all(life.move(step) for step in PATHS[state])
    assert life.state is state
    return life


def test_every_state_has_a_row_and_is_reached():
    assert set(TRANSITIONS) == set(State)
    reached = {State.ABSENT}.union(*TRANSITIONS.values())
    assert reached == set(State)


def test_what_is_ending_never_serves_again():
    for state in (State.STOPPING, State.KILLING, State.REAPING):
        assert not TRANSITIONS[state] & (IN_FLIGHT | {State.IDLE})


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("to", State)
def test_only_what_the_table_allows_happens(start, to):
    life = at(start)
    assert life.move(to) == (to in TRANSITIONS[start])
    assert life.state is (to if to in TRANSITIONS[start] else start)


def test_an_ended_worker_stays_ended():
    life, _ = alive()
    for state in (State.KILLING, State.REAPING):
        assert life.move(state)
    assert life.end(planned=True)
    assert not life.end(planned=False)
    assert not any(life.move(state) for state in State)


def test_a_late_limit_does_not_touch_the_next_request():
    life, first = alive()
    assert life.end_request(first)
    assert not life.kill_request(first)
    second = life.begin_request()
    assert not life.kill_request(first) and not life.end_request(first)
    assert life.state is State.BUSY
    assert life.kill_request(second) and not life.end_request(second)


@pytest.mark.parametrize("streaming", [False, True])
def test_of_a_response_and_many_limits_exactly_one_wins(streaming):
    for _ in range(200):
        life, request = alive(streaming)
        barrier = threading.Barrier(4)
        won = []

        def want(end, barrier=barrier, won=won, request=request):
            barrier.wait()
            if end(request):
                won.append(end)

        ends = [life.end_request, life.kill_request, life.kill_request, life.kill_request]
        threads = [threading.Thread(target=want, args=(end,)) for end in ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
