"""A thread that holds all workers of a pool and waits for one is told so, if no other thread could return one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import HOSTS

PROGRAM = """
import threading, sys, time
import lean_worker as lw

FUNCTIONS = lw.PythonCapability("functions:COMMANDS", path=[sys.argv[1]])
ECHO, ROWS = lw.JsonCommand("echo"), lw.StreamingCommand("rows")
WAITS = {
    "lease": lambda pool: pool.lease(FUNCTIONS),
    "call": lambda pool: pool.call(FUNCTIONS, ECHO, 1),
    "map": lambda pool: list(pool.map(ECHO, [1, 2], capability=FUNCTIONS)),
    "stream_many": lambda pool: list(pool.stream_many(ROWS, [{"count": 1}], capability=FUNCTIONS, on_row=print)),
    "job": lambda pool: lw.Job(sys.argv[2], ROWS, FUNCTIONS).run(pool, [{"count": 1}]),
}
wait = WAITS[sys.argv[3]]
with lw.Pool() as pool:
    lease = pool.lease(FUNCTIONS)
    try:
        wait(pool)
    except lw.UsageError as error:
        assert "waits for itself" in str(error) and "max_workers=2" in error.hint, error
    else:
        raise AssertionError("it had nobody to wait for")
    assert lease.call(ECHO, 1) == 1
    started = time.monotonic()
    other = threading.Thread(target=lambda: (time.sleep(1.5), lease.release()))
    other.start()
    wait(pool)  # whoever else is there may return one
    assert time.monotonic() - started > 1.4
    other.join()
    del lease
    dropped = pool.lease(FUNCTIONS)
    del dropped
    wait(pool)  # one that is being given back comes soon
"""


@pytest.mark.parametrize("how", ["lease", "call", "map", "stream_many", "job"])
def test_who_waits_for_itself_is_told(how, tmp_path):
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", PROGRAM, HOSTS, tmp_path / "ledger", how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
