"""Calls whose ground is taken away between a look and the act: by another thread, at exactly that moment.

`tests/helpers/races.py` finds such moments by chance; these are the ones that it, or somebody, has found.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import pytest

import lean_worker as lw
from lean_worker.pool.loan import Loan, Request
from lean_worker.steps.waiting import run
from lean_worker.wire import protocol
from lean_worker.worker.states import Life, State
from support import FUNCTIONS, send_signal, wait_until

ECHO = lw.JsonCommand("echo")
ENDLESS = lw.StreamingCommand("endless")
RESTARTS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


@pytest.fixture
def pool():
    with lw.Pool(1, restarts=RESTARTS) as pool:
        yield pool


def on_another_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def about_to_begin(lease):
    """The steps of a request that has looked whether its lease is usable, and goes on when they are driven."""
    loan = lease._core.loan
    return loan.beginning(Request(loan, "echo"), protocol.RunJsonCommand("echo", "1"), None, None)


def test_a_worker_that_was_given_back_serves_its_next_lease_only(pool):
    lease = pool.lease(FUNCTIONS)
    steps = about_to_begin(lease)
    on_another_thread(lease.release)
    with pool.lease(FUNCTIONS) as next_lease:
        with pytest.raises(lw.UsageError, match="was released"):
            run(steps)
        assert next_lease.call(ECHO, 1) == 1


def test_a_worker_is_not_kept_for_others_while_a_request_is_about_to_begin(pool):
    lease = pool.lease(FUNCTIONS)
    loan = lease._core.loan
    loan._place.request = Request(loan, "echo")  # it goes on in a moment
    worker = loan.worker
    on_another_thread(lease.release)
    assert worker.is_gone and pool.snapshot().idle == 0
    with pool.lease(FUNCTIONS) as next_lease:
        assert next_lease.call(ECHO, 1) == 1


def test_a_lease_whose_place_is_taken_starts_no_worker_beside_it(pool):
    with pool.lease(FUNCTIONS) as lease:
        loan = lease._core.loan
        send_signal(loan.worker.pid, 9)
        wait_until(lambda: loan.worker.reaped.is_set)
        with pool.lease(FUNCTIONS) as other:
            with pytest.raises(lw.errors.StaleLease):
                run(loan.cycling(None))
            assert other.call(ECHO, 1) == 1
            assert pool.snapshot().started - sum(pool.snapshot().ended.values()) == 1


@pytest.mark.parametrize("how", ["close", "release"])
def test_a_stream_that_another_thread_closes_does_not_look_complete(pool, how):
    with pool.lease(FUNCTIONS) as lease, lease.stream(ENDLESS) as rows:
        next(rows)
        on_another_thread(rows.close if how == "close" else lease.release)
        with pytest.raises(lw.Cancelled, match="closed before its end") as caught:
            list(rows)
        assert (caught.value.command, caught.value.rows_delivered) == ("endless", rows.rows_delivered)
        if how == "close":
            assert lease.call(ECHO, 1) == 1


def test_a_sink_whose_lease_another_thread_releases_is_told_why(pool, tmp_path):
    with pool.lease(FUNCTIONS) as lease:

        def on_progress(progress):
            if progress.current == 1000:
                on_another_thread(lease.release)

        with pytest.raises((lw.Cancelled, lw.errors.StaleLease)):
            lease.run(
                lw.StreamingCommand("wide"),
                {"count": 100_000, "size_bytes": 100},
                sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"),
                on_progress=on_progress,
            )
    assert list(tmp_path.iterdir()) == []


def test_the_reason_of_a_kill_is_known_as_soon_as_its_state_is():
    life = Life()
    first, second = (lw.errors.StaleLease(text) for text in ("first", "second"))
    assert life.move(State.STARTING) and life.move(State.IDLE) and life.why is None
    assert life.move(State.KILLING, first) and not life.move(State.KILLING, second)
    assert life.why is first
    assert life.move(State.REAPING) and life.why is first


# -- a worker that dies between its lease and the request --


class Dying:
    """Kills the worker of a pool when this thread is about to begin a request on it, with as many workers as asked."""

    def __init__(self, core, times):
        self._workers = core.workers
        self._times = times
        self.killed = set()

    def _on_event(self, frame, event, argument):
        if event != "call" or frame.f_code is not Loan.beginning.__code__ or len(self.killed) == self._times:
            return
        for pid in self._workers.pids():
            self.killed.add(pid)
            send_signal(pid, signal.SIGKILL)
        wait_until(lambda: not self._workers.pids())

    def __enter__(self):
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)


ONE_SHOTS = {
    "call": lambda pool: pool.call(FUNCTIONS, ECHO, 5),
    "collect": lambda pool: pool.collect(FUNCTIONS, lw.StreamingCommand("rows", row=dict), {"count": 2}),
}


def after_deaths(times, how):
    """A call of a pool whose workers die in this moment, so many times: its answer or error, and how many died."""
    with lw.Pool(restarts=RESTARTS) as pool, Dying(pool._core, times) as dying:
        try:
            return ONE_SHOTS[how](pool), len(dying.killed)
        except lw.LeanWorkerError as error:
            return error, len(dying.killed)


def async_after_deaths(times, how):
    """The same, of an asyncio pool."""

    async def main():
        async with lw.AsyncPool(restarts=RESTARTS) as pool:
            with Dying(pool._core, times) as dying:
                try:
                    return await ONE_SHOTS[how](pool), len(dying.killed)
                except lw.LeanWorkerError as error:
                    return error, len(dying.killed)

    return asyncio.run(main())


@pytest.mark.parametrize("how", ONE_SHOTS)
@pytest.mark.parametrize("calling", [after_deaths, async_after_deaths])
def test_a_one_shot_call_asks_another_worker_if_nothing_was_sent(calling, how):
    answer, deaths = calling(2, how)
    assert deaths == 2
    assert answer == 5 if how == "call" else len(answer.rows) == 2


@pytest.mark.parametrize("calling", [after_deaths, async_after_deaths])
def test_a_one_shot_call_whose_workers_die_each_time_ends(calling):
    error, deaths = calling(100, "call")
    assert isinstance(error, lw.errors.RequestLost) and error.entered_worker is False and "SIGKILL" in str(error)
    assert deaths == 3
