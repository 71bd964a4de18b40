"""Rows that come in quick succession: the reader lets some come, and neither loses nor hides any."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import lean_worker as lw
from lean_worker.worker.pace import FLOW_SECONDS, LEAST_SECONDS, MOST_SECONDS, Pace
from support import FUNCTIONS

PACED = lw.StreamingCommand("paced")
ECHO = lw.JsonCommand("echo")


@pytest.fixture(params=["ring", "pipe"])
def pool(request, monkeypatch):
    if request.param == "pipe":
        monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")
    with lw.Pool(max_workers=2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("size_bytes", "seconds", "rows", "linger_seconds"),
    [
        (0, 0.0, 1, None),  # nothing was read yet
        (100, 10e-3, 1, None),  # a single row
        (100, FLOW_SECONDS, 1, None),
        (100, 200e-6, 1, MOST_SECONDS),
        (600, 480e-6, 6, MOST_SECONDS),
        (600, 1600e-6, 6, None),  # six rows that came slowly
        (400, 180e-6, 6, 240e-6),  # eight rows come in that time
        (4_000, 40e-6, 40, LEAST_SECONDS),
        (20_000, 150e-6, 5, 240e-6),
        (100_000, 250e-6, 3, 327.68e-6),  # 128 KiB come in that time
        (100_000, 25e-6, 25, 65.536e-6),  # a quarter of the room is filled in that time
        (1 << 17, 10e-3, 1, 0.0),  # there may be more already
        (1 << 18, 100e-6, 60, 0.0),
    ],
)
def test_pace(size_bytes, seconds, rows, linger_seconds):
    pace = Pace()
    assert pace.linger_seconds(rows, 1 << 20) is None
    pace.read(size_bytes, seconds)
    assert pace.linger_seconds(rows, 1 << 20) == pytest.approx(linger_seconds)
    pace.stop()
    assert pace.linger_seconds(rows, 1 << 20) is None


def test_pace_of_the_smallest_pipe():
    pace = Pace()
    pace.read(4_000, 40e-6)
    assert pace.linger_seconds(1, 1 << 16) == pytest.approx(163.84e-6)
    pace.read(1 << 15, 40e-6)
    assert pace.linger_seconds(8, 1 << 16) == 0.0


@pytest.mark.parametrize("every_us", [0, 20, 80, 300])
def test_all_rows_come_at_any_pace(pool, every_us):
    def read(lease):
        with lease.stream(PACED, {"count": 300, "every_us": every_us}) as rows:
            assert [row.payload["i"] for row in rows] == list(range(300))
        assert rows.summary.total_rows == 300

    with pool.lease(FUNCTIONS) as one, pool.lease(FUNCTIONS) as two, ThreadPoolExecutor(2) as threads:
        list(threads.map(read, (one, two)))


def test_a_row_that_is_waited_for_needs_no_later_row(pool, tmp_path):
    """The reader finds the last row of a burst although no other follows it."""
    gate = tmp_path / "gate"
    with pool.lease(FUNCTIONS) as lease:
        for _ in range(5):
            assert len(lease.collect(PACED, {"count": 30, "every_us": 60}).rows) == 30
            with lease.stream(lw.StreamingCommand("row_then_gate"), {"gate": str(gate)}) as rows:
                assert next(rows).payload == {"i": 0}
                gate.touch()
                assert [row.payload["i"] for row in rows] == [1]
            gate.unlink()


def test_a_signal_handler_closes_a_stream_that_flows(pool):
    """In whichever line it strikes, the iteration ends (by `Cancelled` if it waits) and the lease is usable."""
    with pool.lease(FUNCTIONS) as lease:
        before = signal.getsignal(signal.SIGALRM)
        try:
            for number in range(30):
                rows = lease.stream(PACED, {"count": 100_000, "every_us": 60})
                signal.signal(signal.SIGALRM, lambda *_, rows=rows: rows.close())
                signal.setitimer(signal.ITIMER_REAL, 0.002 + number * 37e-6)
                # UsageError: it was closed before the loop began.
                with contextlib.suppress(lw.Cancelled, lw.UsageError):
                    for expected, row in enumerate(rows):
                        assert row.payload["i"] == expected
                assert rows.rows_delivered < 100_000
                assert lease.call(ECHO, number) == number
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class Closes:
    """A handler of signals: an object, its method, or others made of these."""

    rows = None

    def __call__(self, number, frame):
        self.rows.close()

    def method(self, number, frame):
        self.rows.close()


CLOSES = Closes()
HANDLERS = {
    "function": lambda *_: CLOSES.rows.close(),
    "object": CLOSES,
    "method": CLOSES.method,
    "partial": functools.partial(Closes.method, CLOSES),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_a_signal_between_two_rows_does_not_look_like_their_end(pool, handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pool.lease(FUNCTIONS) as lease:
            CLOSES.rows = lease.stream(PACED, {"count": 100_000, "every_us": 60})
            with pytest.raises(lw.Cancelled, match="closed before its end"):
                for _ in CLOSES.rows:
                    signal.raise_signal(signal.SIGUSR1)
            assert CLOSES.rows.rows_delivered == 1 and lease.call(ECHO, 1) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_thread_closes_a_stream_that_flows(pool):
    with pool.lease(FUNCTIONS) as lease:
        for number in range(30):
            rows = lease.stream(PACED, {"count": 100_000, "every_us": 60})
            timer = threading.Timer(0.002 + number * 37e-6, rows.close)
            timer.start()
            with pytest.raises(lw.Cancelled):
                for expected, row in enumerate(rows):
                    assert row.payload["i"] == expected
            timer.join()
            assert lease.call(ECHO, number) == number


def test_an_interrupt_ends_a_stream_that_flows(pool):
    """Raised while the reader lets rows come, it ends the request as it does in any other wait."""
    with pool.lease(FUNCTIONS) as lease:
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            for number in range(60):
                with (
                    pytest.raises(KeyboardInterrupt),
                    lease.stream(PACED, {"count": 100_000, "every_us": 60}) as rows,
                ):
                    signal.setitimer(signal.ITIMER_REAL, 0.002 + number * 37e-6)
                    for expected, row in enumerate(rows):
                        assert row.payload["i"] == expected
                assert lease.call(ECHO, number) == number
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("fork", [os.fork, ctypes.PyDLL(None).fork], ids=["Python", "C"])
def test_a_forked_child_takes_no_row_of_a_stream_that_flows(pool, fork):
    with pool.lease(FUNCTIONS) as lease, lease.stream(PACED, {"count": 400, "every_us": 60}) as rows:
        seen = [next(rows).payload["i"] for _ in range(100)]
        seen.extend(row.payload["i"] for row in rows._core.take_rows())
        time.sleep(0.01)  # Rows that are not the child's come. The child of a fork in C must not give up Python's lock.
        child = fork()
        if child == 0:
            code = 1
            try:
                next(rows)
            except lw.UsageError:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        seen.extend(row.payload["i"] for row in rows)
        assert seen == list(range(400))
