"""A parent that is given no more memory; see `tests/helpers/no_memory.py`, which runs longer by itself."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

import lean_worker as lw
from lean_worker.base import memory_room, threads
from lean_worker.base.system_errors import no_memory
from lean_worker.steps.waiting import run
from support import FUNCTIONS, HELPERS, SANITIZED

pytestmark = pytest.mark.supervision


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux" or SANITIZED, reason="needs a limit of the address space that holds")
@pytest.mark.parametrize("is_pure", [pytest.param(False, marks=pytest.mark.compiled), True])
def test_calls_without_memory(is_pure):
    env = {**os.environ, **({"LEAN_WORKER_NO_EXTENSIONS": "1"} if is_pure else {})}
    seed = str(random.randrange(1 << 32))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", HELPERS / "no_memory.py", "1.5", "--stop", "--seed", seed],
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_error_says_whether_the_request_ran():
    before, during = no_memory("running rows"), no_memory("running rows", entered_worker=True)
    assert (before.resource, before.retry, before.concerns_all) == ("memory", "safe", True)
    assert (during.resource, during.retry, during.concerns_all) == ("memory", "if idempotent", False)


def test_steps_that_find_no_memory_end_in_a_typed_error():
    def steps():
        yield from ()
        raise MemoryError

    with pytest.raises(lw.errors.ResourceExhausted, match="no more memory") as caught:
        run(steps())
    assert isinstance(caught.value.__cause__, MemoryError)


def test_a_row_that_finds_no_memory_ends_its_stream_and_no_more(monkeypatch):
    def refuse(size_bytes):
        raise MemoryError

    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        with lease.stream(lw.StreamingCommand("endless")) as rows:
            next(rows)
            with monkeypatch.context() as patch:
                patch.setattr("lean_worker.worker.rows.check_room_for_values", refuse)
                with pytest.raises(lw.errors.ResourceExhausted) as caught:
                    for _ in rows:
                        pass
        assert (caught.value.command, caught.value.entered_worker) == ("endless", True)
        assert caught.value.rows_delivered == rows.rows_delivered > 0
        assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_no_thread_is_started_without_room_for_it(monkeypatch):
    def refuse(size_bytes):
        raise MemoryError

    with pytest.raises(MemoryError, match="no room"):
        memory_room.check_room(1 << 62)
    monkeypatch.setattr(memory_room, "check_room", refuse)
    for start in (threads.check_room, lambda: threads.start(print, "never"), lambda: threads.start_bare(print)):
        with pytest.raises(RuntimeError, match="no room"):
            start()
