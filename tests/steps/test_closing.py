"""Closing and cancelling from inside: from handlers, callbacks, signal handlers and finalizers nothing waits for itself."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time

import pytest

import lean_worker as lw
from lean_worker.sinks import CallableSink
from lean_worker.steps import handlers
from many_requests import ECHO, NO_LIMITS, PERFORM, ROWS, map_threads, no_worker_failed
from support import FUNCTIONS, wait_until

pytestmark = [pytest.mark.supervision, pytest.mark.timeout(60)]

ENDLESS = [{"then": "endless"}] * 4


@pytest.fixture
def two():
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        yield pool


def is_clear(pool):
    """Whether a run has left nothing: no thread, no lent worker."""
    wait_until(lambda: not map_threads() and pool.snapshot().leased == 0)
    return no_worker_failed(pool)


# -- circles of outcomes --


@pytest.mark.parametrize("count", [2, 4])
def test_row_handlers_close_at_once(two, count):
    def close_at_once():
        def on_row(index, row):
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(5)
            outcomes.close()

        both = threading.Barrier(2)
        outcomes = two.stream_many(PERFORM, ENDLESS, capability=FUNCTIONS, on_row=on_row)
        assert list(outcomes) == []
        assert not map_threads() and no_worker_failed(two)

    for _ in range(count):
        close_at_once()


def test_runs_that_close_each_other(two):
    met = threading.Barrier(2)
    runs = []

    def closing(other):
        def on_row(index, row):
            with contextlib.suppress(threading.BrokenBarrierError):
                met.wait(5)
            runs[other].close()

        return on_row

    for other in (1, 0):
        runs.append(two.stream_many(PERFORM, ENDLESS, capability=FUNCTIONS, on_row=closing(other), in_flight=1))
    threads = [threading.Thread(target=list, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not map_threads() and is_clear(two)


def test_the_run_of_a_handler_closes_the_run_of_that_handler(two):
    """The inner handler would wait for the outer one, which waits for an outcome of the inner run."""
    seen = []

    def on_inner_row(index, row):
        outer.close()

    def on_row(index, row):
        with two.stream_many(ROWS, [{"count": 2}], capability=FUNCTIONS, on_row=on_inner_row) as inner:
            seen.extend(outcome.ok for outcome in inner)

    outer = two.stream_many(PERFORM, ENDLESS, capability=FUNCTIONS, on_row=on_row, in_flight=1)
    assert list(outer) == []
    assert seen == [True] and is_clear(two)


def test_a_close_that_waits_gives_up_when_it_becomes_part_of_a_circle(two):
    """Here the inner handler waits first, and the outer handler completes the circle."""
    closes = threading.Event()
    seen = []

    def on_inner_row(index, row):
        closes.set()
        outer.close()

    inner = two.stream_many(ROWS, [{"count": 2}], capability=FUNCTIONS, on_row=on_inner_row)
    ahead = threading.Event()

    def on_row(index, row):
        # Another thread begins to iterate; its outcome is asked for here, in the outer handler.
        ahead.set()
        closes.wait(10)
        wait_until(lambda: len(handlers._edges) == 1)
        seen.extend(outcome.ok for outcome in inner)

    outer = two.stream_many(PERFORM, ENDLESS, capability=FUNCTIONS, on_row=on_row, in_flight=1)
    consumer = threading.Thread(target=list, args=(outer,))
    consumer.start()
    assert ahead.wait(20)
    # The first step of the inner run starts its thread and is interrupted there: nobody iterates when the circle closes.
    inner._core._take_one()
    inner._core._take_one()
    consumer.join()
    inner.close()
    assert seen == [True] and is_clear(two)


def test_iterating_in_a_handler_of_the_same_run_is_refused(two):
    def on_row(index, row):
        next(outcomes)

    outcomes = two.stream_many(ROWS, [{"count": 1}] * 3, capability=FUNCTIONS, on_row=on_row)
    seen = list(outcomes)
    assert len(seen) == 3 and all(isinstance(outcome.error, lw.UsageError) for outcome in seen)
    # Also when nobody else iterates at that moment.
    entered, left = threading.Event(), threading.Event()

    def on_later_row(index, row):
        if index == 1:
            entered.set()
            left.wait(20)
            next(outcomes)

    outcomes = two.stream_many(ROWS, [{"count": 1}] * 2, capability=FUNCTIONS, on_row=on_later_row, in_flight=2)
    assert next(outcomes).ok
    assert entered.wait(20)
    left.set()
    wait_until(lambda: outcomes.done == 2)
    assert isinstance(next(outcomes).error, lw.UsageError) and list(outcomes) == []


def test_two_threads_iterate(two):
    entered, left = threading.Event(), threading.Event()

    def on_row(index, row):
        entered.set()
        left.wait(20)

    outcomes = two.stream_many(ROWS, [{"count": 1}], capability=FUNCTIONS, on_row=on_row)
    seen = []
    consumer = threading.Thread(target=lambda: seen.extend(outcomes))
    consumer.start()
    assert entered.wait(20)
    with pytest.raises(lw.UsageError, match=r"another call of next\(\) has not returned"):
        next(outcomes)
    left.set()
    consumer.join()
    assert [outcome.ok for outcome in seen] == [True] and is_clear(two)


def test_a_source_that_iterates_over_its_own_outcomes_is_refused(two):
    def source():
        yield 1
        next(outcomes)

    outcomes = two.map(ECHO, source(), capability=FUNCTIONS)
    assert next(outcomes).value == 1
    with pytest.raises(lw.UsageError, match="another call"):
        next(outcomes)
    assert is_clear(two)


def test_a_handler_runs_and_leaves_a_run_of_its_own(two):
    """No circle: leaving the block of the inner run waits for its threads."""
    left = []

    def on_row(index, row):
        outer = set(map_threads())
        with two.stream_many(
            PERFORM, ENDLESS, capability=FUNCTIONS, on_row=lambda *_: rows.set(), in_flight=1
        ) as inner:
            consumer = threading.Thread(target=list, args=(inner,))
            consumer.start()
            assert rows.wait(20)
        left.extend(set(map_threads()) - outer)
        consumer.join()

    rows = threading.Event()
    outcomes = two.stream_many(ROWS, [{"count": 1}], capability=FUNCTIONS, on_row=on_row, in_flight=1)
    assert [outcome.ok for outcome in outcomes] == [True]
    assert left == [] and is_clear(two)


# -- every place from which a caller's code is called --


class Finalized:
    """Calls a function when the collector finds it."""

    def __init__(self, function):
        self.function, self.me = function, self

    def __del__(self):
        self.function()


def act_in(place, pool, act):
    """Run until `act` was called from `place`, and come back when everything stands still."""
    acted = threading.Event()

    def once(*_):
        if not acted.is_set():
            act(outcomes)
            acted.set()

    def collected(*_):
        if not acted.is_set():
            Finalized(once)
            gc.collect()

    def signalled(*_):
        if not acted.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)

    def quiet(*_):
        return None

    def source():
        yield request
        yield request
        if place == "source":
            once()
        yield request

    request = {"then": "endless"}
    options = {"on_row": quiet}
    if place in ("on_row", "finalizer", "signal"):
        options["on_row"] = {"on_row": once, "finalizer": collected, "signal": signalled}[place]
    elif place == "sink":
        options = {"sink": lambda index, request: (once(), CallableSink(quiet))[1]}
    elif place == "sink_row":
        options = {"sink": lambda index, request: CallableSink(once)}
    elif place == "on_done":
        request, options["on_done"] = {"rows": 1}, once
    elif place == "timeout":
        options["timeout"] = lambda request: (once(), 60)[1]
    before = signal.signal(signal.SIGUSR1, once)
    try:
        outcomes = pool.stream_many(PERFORM, source(), capability=FUNCTIONS, **options)
        with contextlib.suppress(lw.UsageError, lw.Cancelled):
            list(outcomes)
        assert acted.is_set()
        outcomes.close()
    finally:
        signal.signal(signal.SIGUSR1, before)


PLACES = ["on_row", "sink", "sink_row", "on_done", "timeout", "source", "finalizer", "signal"]


@pytest.mark.parametrize("place", PLACES)
def test_closing_outcomes_from_inside(two, place):
    act_in(place, two, lambda outcomes: outcomes.close())
    assert not map_threads() and is_clear(two)
    assert [outcome.value for outcome in two.map(ECHO, range(3), capability=FUNCTIONS)] == [0, 1, 2]


@pytest.mark.parametrize("place", PLACES)
def test_closing_the_pool_from_inside(place):
    # From a handler the close goes on by itself: what runs is endless, and is killed after the drain.
    with lw.Pool(2, restarts=NO_LIMITS, timeouts=lw.Timeouts(drain=0.5, cancel_grace=5)) as pool:
        act_in(place, pool, lambda outcomes: pool.close())
        assert not map_threads()
        wait_until(lambda: pool.snapshot().leased == 0)


@pytest.mark.parametrize("place", ["on_event", "on_stderr"])
def test_closing_from_callbacks_of_the_pool(place):
    ready = threading.Event()
    closed = threading.Event()

    def act(event):
        if ready.wait(20) and not closed.is_set():
            outcomes.close()
            pool.close(drain=0)
            closed.set()

    with lw.Pool(2, restarts=NO_LIMITS, **{place: act}) as pool:
        noise = lw.StreamingCommand("flood_stderr")
        requests = [{"kib": 1}, *([{"kib": 1}] * 3)]
        outcomes = pool.stream_many(noise, requests, capability=FUNCTIONS, on_row=lambda *_: ready.set())
        with contextlib.suppress(lw.UsageError):
            list(outcomes)
        assert closed.wait(20) and not map_threads()


def test_cancelling_in_a_signal_handler_at_random_moments(two, rand):
    """The handler cancels, closes and drops whatever the main thread is doing."""
    outcomes = None
    fired = 0

    def handler(*_):
        nonlocal fired
        fired += 1
        if outcomes is not None:
            outcomes.close()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            outcomes = two.map(ECHO, range(20), capability=FUNCTIONS)
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + rand.random() * 0.02)
            seen = []
            with contextlib.suppress(lw.UsageError):  # it was closed before the loop began
                for outcome in outcomes:
                    seen.append(outcome)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert [outcome.index for outcome in seen] == list(range(len(seen)))
            outcomes.close()
            assert not map_threads()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert fired > 20 and is_clear(two)


def test_many_threads_close(two):
    def consume(outcomes):
        with contextlib.suppress(lw.UsageError):  # they were closed before this thread came to them
            list(outcomes)

    def close():
        outcomes = two.stream_many(PERFORM, ENDLESS, capability=FUNCTIONS, on_row=lambda *_: outcomes.close())
        threads = [threading.Thread(target=outcomes.close) for _ in range(6)]
        consumer = threading.Thread(target=consume, args=(outcomes,))
        for thread in [*threads[:3], consumer, *threads[3:]]:
            thread.start()
        for thread in [*threads, consumer]:
            thread.join()
        outcomes.close()
        assert not map_threads()

    for _ in range(10):
        close()
    assert is_clear(two)
