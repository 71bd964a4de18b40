"""Hosted code that abuses what it shares with its parent: the parent never blocks, and serves its other workers."""

from __future__ import annotations

import contextlib
import faulthandler
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import lean_worker as lw
from lean_worker.wire import frames
from support import HOSTS, wait_until

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(frames.IMPLEMENTATION != "c" or sys.platform != "linux", reason="there is only the pipe"),
]
VANDALS = lw.PythonCapability("vandals:COMMANDS", path=[HOSTS])
ECHO = lw.JsonCommand("echo")
QUICK = lw.Timeouts(request=15, inactivity=1.0, cancel_grace=0.5, shutdown=0.5, write=2)
SLOWEST_SECONDS = 5.0
HANG_SECONDS = 100.0


@pytest.fixture(autouse=True)
def stacks_of_a_hang():
    """A parent that blocks with the interpreter's lock held can only be ended from a thread that does not need it."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def pool():
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(max_workers=2, timeouts=QUICK, restarts=restarts) as pool:
        yield pool


@contextlib.contextmanager
def neighbour(pool):
    """A second worker that has to answer all the time, within a bound."""
    slowest = [0.0]
    answers = [0]
    ended = threading.Event()

    def ask():
        with pool.lease(lw.PythonCapability("vandals:COMMANDS", path=[HOSTS], env={"NEIGHBOUR": "1"})) as lease:
            ready.set()
            while not ended.wait(0.01):
                began = time.monotonic()
                assert lease.call(ECHO, answers[0]) == answers[0]
                slowest[0] = max(slowest[0], time.monotonic() - began)
                answers[0] += 1

    ready = threading.Event()
    thread = threading.Thread(target=ask)
    thread.start()
    assert ready.wait(30)
    try:
        yield answers
    finally:
        ended.set()
        thread.join(30)
    assert not thread.is_alive()
    assert answers[0] > 0
    assert slowest[0] < SLOWEST_SECONDS


def attack(pool, command, request=None):
    """The rows before the end, and the error; both sides of it have to be in order."""
    rows = []
    error = None
    try:
        with pool.lease(VANDALS) as lease:
            lease.run(lw.StreamingCommand(command), request, on_row=rows.append)
    except lw.LeanWorkerError as caught:
        error = caught
        assert error.facts.get("rows_delivered", 0) == len(rows)
    assert [row.sequence for row in rows] == list(range(len(rows)))
    return rows, error


def test_no_flag_makes_the_parent_block(pool):
    with neighbour(pool):
        rows, error = attack(pool, "block_parent")
    assert (len(rows), error) == (200, None)


def test_no_flag_makes_the_parent_block_in_the_sandbox():
    sandboxed = lw.PythonCapability("vandals:COMMANDS", path=[HOSTS], sandbox=lw.Sandbox(network=True))
    with lw.Pool(timeouts=QUICK) as pool, pool.lease(sandboxed) as lease:
        assert len(lease.collect(lw.StreamingCommand("block_parent")).rows) == 200


def test_random_abuse_of_all_that_is_shared(pool):
    with neighbour(pool) as answers:
        for seed in range(12):
            before = answers[0]
            began = time.monotonic()
            attack(pool, "vandalise", seed)
            assert time.monotonic() - began < 3 * SLOWEST_SECONDS, seed
            wait_until(lambda before=before: answers[0] > before)


@pytest.mark.parametrize("command", ["flood_wakes", "flood_partial"])
def test_waking_is_no_frame(pool, command):
    with neighbour(pool):
        began = time.monotonic()
        rows, error = attack(pool, command)
    assert isinstance(error, lw.RequestTimeout | lw.ProtocolError)
    if command == "flood_wakes":
        assert error.kind == "inactivity"
    assert len(rows) == 1
    assert time.monotonic() - began < 1 + SLOWEST_SECONDS


@pytest.mark.parametrize("piece_bytes", [1, 65_536])
def test_a_flood_of_stderr_leaves_time_for_others(pool, piece_bytes):
    with neighbour(pool):
        rows, error = attack(pool, "flood_stderr", piece_bytes)
    assert isinstance(error, lw.RequestTimeout)
    assert len(rows) == 1


def test_closed_wake_up_pipes_end_the_worker(pool):
    began = time.monotonic()
    rows, error = attack(pool, "close_wake")
    assert isinstance(error, lw.errors.MalformedFrame) and "did not end" in error.text
    assert len(rows) == 1
    assert time.monotonic() - began < 2 + SLOWEST_SECONDS


def test_a_worker_that_closes_everything_ends(pool):
    rows, error = attack(pool, "close_everything")
    assert isinstance(error, lw.LeanWorkerError)
    assert len(rows) == 1


def test_a_worker_holds_no_end_of_its_parent(pool):
    with pool.lease(VANDALS) as lease:
        # Requests and the wake-ups for room to read, frames and the wake-ups for the parent to write.
        assert lease.call(lw.JsonCommand("inherited")) == [2, 2, 0]


def test_a_dead_worker_sends_its_parent_no_signal():
    script = f"""
    import os, signal, sys
    import lean_worker as lw
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    vandals = lw.PythonCapability("vandals:COMMANDS", path=[{str(HOSTS)!r}])
    with lw.Pool() as pool:
        with pool.lease(vandals) as lease:
            for command in ("exits", "echo"):
                try:
                    lease.call(lw.JsonCommand(command), 3)
                except lw.ChildExited as error:
                    print(error.exit_code)
                except lw.errors.StaleLease:
                    print("stale")
        reader, writer = os.pipe()
        os.close(reader)
        from lean_worker.base.pipe_writes import write_without_signal
        try:
            write_without_signal(writer, b"!")
        except BrokenPipeError:
            print("broken", signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[:-1] == ["3", "stale", "broken set()"]
