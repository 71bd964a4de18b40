"""Figures that a pool tells of itself: hits and misses, times of stages, versions of peers, fresh workers, and its end."""

from __future__ import annotations

import asyncio
import sys

import pytest

import lean_worker as lw
from lean_worker.pool.snapshot_server import read_snapshot, serve_snapshot
from lean_worker.testing import Answer, Hang, Rows
from support import FUNCTIONS

ABOUT = lw.JsonCommand("about_me")
ROWS = lw.StreamingCommand("rows")


def pid_of(lease):
    return lease.call(ABOUT)["pid"]


def counted(pool):
    snapshot = pool.snapshot()
    return snapshot.key_hits, snapshot.key_misses, snapshot.cold_opens


def test_hits_misses_and_cold_opens(fake_worker):
    other = fake_worker({"ask": [Answer(1)]})
    with lw.Pool() as pool:
        with pool.lease(FUNCTIONS):
            assert counted(pool) == (0, 1, 1)
            with pytest.raises(lw.errors.PoolFull):
                pool.lease(FUNCTIONS, timeout=0)
        with pool.lease(FUNCTIONS):
            assert counted(pool) == (1, 1, 1)
        with pool.lease(other):  # evicts the warm one
            assert counted(pool) == (1, 2, 2)
        with pytest.raises(lw.ChildExited):
            pool.lease(lw.ProcessCapability([sys.executable, "-c", "pass"]))
        assert counted(pool) == (1, 3, 2)


def test_prewarming_is_no_miss_and_makes_hits():
    with lw.Pool(2) as pool:
        pool.prewarm(FUNCTIONS, 2)
        assert counted(pool) == (0, 0, 0) and pool.snapshot().started == 2
        with pool.lease(FUNCTIONS), pool.lease(FUNCTIONS):
            assert counted(pool) == (2, 0, 0)


def test_a_planned_replacement_before_a_request_is_a_cold_open():
    with lw.Pool(memory=lw.MemoryPolicy(max_requests=1)) as pool, pool.lease(FUNCTIONS) as lease:
        pid_of(lease), pid_of(lease)
        assert counted(pool) == (0, 1, 2)


def test_times_of_stages():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        timings = pool.snapshot().timings
        assert timings["spawn"].count == timings["import"].count == 1 and timings["first_command"].count == 0
        assert timings["spawn"].seconds > 0 and 0 < timings["import"].seconds == timings["import"].longest_seconds
        with pytest.raises(lw.CommandFailed):
            lease.call(lw.JsonCommand("no such command"))
        pid_of(lease)
        lease.collect(ROWS, {"count": 3})
        timings = pool.snapshot().timings
        # Failures are no time of a command, and the first request was one.
        assert timings["first_command"].count == 0 and timings["warm_command"].count == 2
        assert timings["warm_command"].longest_seconds <= timings["warm_command"].seconds
        lease.cycle()
        pid_of(lease)
        timings = pool.snapshot().timings
        assert (timings["first_command"].count, timings["import"].count) == (1, 2)
        assert timings["first_command"].seconds > 0


def test_the_version_of_the_peer(fake_worker, tmp_path):
    fake = fake_worker({"ask": [Answer(1)]})
    events = []
    with lw.Pool(2, on_event=events.append) as pool:
        with pool.lease(FUNCTIONS) as lease, pool.lease(fake) as foreign:
            assert lease.peer_version == lw.__version__ and foreign.peer_version
            versions = pool.snapshot().peer_versions
            assert sum(versions.values()) == 2 and versions[lease.peer_version] >= 1
        with serve_snapshot(pool, tmp_path / "socket"):
            live = read_snapshot(tmp_path / "socket")
            assert live is not None and live.snapshot.timings == pool.snapshot().timings
    assert pool.snapshot().peer_versions == {}
    started = [event.facts for event in events if event.kind == "worker_started"]
    assert started[0]["peer_version"] == lw.__version__ and started[0]["import_seconds"] >= 0


def test_a_lease_gets_a_fresh_worker():
    with lw.Pool() as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
            lease.cycle()
            second = pid_of(lease)
            assert second != first and pid_of(lease) == second
            snapshot = pool.snapshot()
            assert (snapshot.started, snapshot.leased, snapshot.failures, snapshot.ended["closed"]) == (2, 1, 0, 1)
            with lease.stream(ROWS, {"count": 100_000}) as rows:
                next(rows)
                with pytest.raises(lw.UsageError, match="^cycling a lease: .* has not ended") as refused:
                    lease.cycle()
                assert refused.value.command is None
            assert pid_of(lease)
        with pytest.raises(lw.UsageError, match="released"):
            lease.cycle()
        with pool.lease(FUNCTIONS) as lease:
            with pytest.raises(lw.ChildExited):
                lease.run(lw.StreamingCommand("die"), {"how": "exit", "code": 3}, on_row=lambda row: None)
            with pytest.raises(lw.errors.StaleLease, match="^cycling a lease: .* exit code 3") as stale:
                lease.cycle()
            assert stale.value.command is None


def test_a_fresh_worker_in_asyncio():
    async def cycle():
        async with lw.aio.AsyncPool() as pool:
            async with pool.lease(FUNCTIONS) as lease:
                first = (await lease.call(ABOUT))["pid"]
                await lease.cycle()
                assert lease.peer_version == lw.__version__
                assert (await lease.call(ABOUT))["pid"] != first
            return await pool.close()

    assert dict(asyncio.run(cycle()).ended) == {"closed": 1}


def test_a_cancelled_cycle_leaves_the_place_to_others():
    token = lw.CancelToken()
    token.cancel()
    with lw.Pool() as pool:
        with pool.lease(FUNCTIONS) as lease:
            with pytest.raises(lw.Cancelled):
                lease.cycle(cancel=token)
            with pytest.raises(lw.errors.StaleLease):
                lease.call(ABOUT)
        with pool.lease(FUNCTIONS) as lease:
            assert pid_of(lease)


def test_the_report_of_a_closed_pool(fake_worker):
    events = []
    pool = lw.Pool(2, on_event=events.append)
    with pool.lease(FUNCTIONS), pool.lease(FUNCTIONS):
        pass
    report = pool.close()
    assert (dict(report.ended), report.killed, report.is_complete) == ({"closed": 2}, 0, True) and report.seconds > 0
    assert pool.close() == report
    assert events[-1].kind == "pool_closed" and events[-1].facts["ended"] == {"closed": 2}

    pool = lw.Pool()
    lease = pool.lease(fake_worker({"rows": [Rows(1), Hang()]}))
    with pytest.raises(lw.errors.StaleLease), lease.stream(ROWS) as rows:
        next(rows)
        report = pool.close(drain=0)
        next(rows)
    lease.release()
    assert report.killed == 1 and report.is_complete


def test_a_close_within_a_request_says_that_it_goes_on():
    pool = lw.Pool()
    reports = []
    with pool.lease(FUNCTIONS) as lease:
        lease.run(ROWS, {"count": 1}, on_row=lambda row: reports.append(pool.close()))
    assert [report.is_complete for report in reports] == [False]
    assert dict(pool.close().ended) == {"closed": 1}
