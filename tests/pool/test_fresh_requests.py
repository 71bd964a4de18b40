"""A worker for each request: what hosted code leaves in memory no other request finds, however the one before ended."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

import lean_worker as lw
from support import CAN_HOLD, INTEROP, send_signal, wait_until

pytestmark = pytest.mark.lean

COUNT = lw.JsonCommand("count", response=int)
FOREVER = lw.StreamingCommand("forever")
CALM = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
SCRIPT = """prelude
import LeanWorker
open LeanWorker

def count (seen : IO.Ref Nat) : Command where
  name := "count"
  run _ := do
    let n ← seen.get
    seen.set (Nat.succ n)
    return Nat.repr n

partial def rows (n : Nat) : IO Unit := do
  row "rows" "0"
  rows n

def forever (seen : IO.Ref Nat) : Command where
  name := "forever"
  run _ := do
    seen.set 100
    rows 0
    return ""

def panics (seen : IO.Ref Nat) : Command where
  name := "panics"
  run _ := do
    seen.set 100
    row "rows" "0"
    row "rows" (panic "on purpose")
    return ""

def main : IO Unit := do
  let seen ← IO.mkRef 0
  serve (List.cons (count seen) (List.cons (forever seen) (List.cons (panics seen) List.nil)))
"""


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    """A script that keeps a number from request to request."""
    script = tmp_path_factory.mktemp("script") / "s.lean"
    script.write_text(SCRIPT)
    return lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",))


@pytest.fixture(scope="module")
def fresh(keeping):
    return dataclasses.replace(keeping, fresh_each_request=True)


@pytest.fixture(scope="module")
def shared_pool():
    with lw.Pool(2, restarts=CALM) as pool:
        yield pool


@pytest.fixture
def pool(shared_pool, fresh):
    """Named so that the check for leftovers knows of warm workers; forks them if anything can."""
    with shared_pool.lease(fresh):
        if CAN_HOLD:
            wait_until(lambda: shared_pool.snapshot().holders, 60)
    yield shared_pool


def test_a_script_that_keeps_state_finds_none_of_other_requests(pool, keeping, fresh):
    with pool.lease(keeping) as lease:
        assert [lease.call(COUNT) for _ in range(3)] == [0, 1, 2]
    before = pool.snapshot()
    with pool.lease(fresh) as lease:
        assert [lease.call(COUNT) for _ in range(3)] == [0, 0, 0]
    with pool.lease(fresh) as lease:
        assert lease.call(COUNT) == 0
    after = pool.snapshot()
    assert after.ended["policy"] - before.ended["policy"] >= 3
    if CAN_HOLD:
        assert after.forked - before.forked >= 2


def test_asyncio(pool, fresh):
    async def main():
        async with lw.AsyncPool(2, restarts=CALM) as pool, pool.lease(fresh) as lease:
            return [await lease.call(COUNT) for _ in range(3)]

    assert asyncio.run(main()) == [0, 0, 0]


def test_many_requests_at_once(pool, fresh):
    found = [outcome.value for outcome in pool.map(COUNT, [None] * 6, capability=fresh)]
    assert found == [0] * 6


@pytest.mark.parametrize("way", ["panic", "kill", "deadline", "cancel", "left early"])
def test_whatever_a_request_comes_to_the_next_finds_nothing_of_it(pool, fresh, way):
    token = lw.CancelToken()
    with pool.lease(fresh) as lease:
        pid = lease._core.loan.worker.pid

        def on_row(row):
            if way == "kill":
                send_signal(pid, 9)
            elif way == "cancel":
                token.cancel()

        if way == "left early":
            with lease.stream(FOREVER) as stream:
                next(stream)
        else:
            kinds = {
                "panic": lw.ChildExited,
                "kill": lw.ChildExited,
                "deadline": lw.RequestTimeout,
                "cancel": lw.Cancelled,
            }
            command = lw.StreamingCommand("panics") if way == "panic" else FOREVER
            with pytest.raises(kinds[way]):
                lease.run(command, on_row=on_row, timeout=0.5 if way == "deadline" else 60, cancel=token)
        if not lease.is_stale:
            assert lease.call(COUNT) == 0
    with pool.lease(fresh) as lease:
        assert lease.call(COUNT) == 0


def test_memory_limit(pool, fresh):
    memory = lw.MemoryPolicy(kill_above_kib=1024, sample_interval=0.01)
    with lw.Pool(1, memory=memory, restarts=CALM) as own:
        with own.lease(fresh) as lease, pytest.raises(lw.errors.MemoryLimitExceeded):
            lease.run(FOREVER, on_row=lambda row: None, timeout=60)


def test_a_worker_that_has_served_others_is_not_taken(pool, keeping, fresh):
    assert keeping.launch().key() != fresh.launch().key()
    with pytest.raises(lw.UsageError):
        dataclasses.replace(INTEROP, fresh_each_request="yes")
