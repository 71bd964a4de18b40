"""The conformance list of lean-rs's worker, by its own names, against real child processes."""

from __future__ import annotations

import gc
import time

import pytest

import lean_worker as lw
from fakes import liar, scripted
from support import FUNCTIONS, HOSTS, is_running, wait_until

pytestmark = pytest.mark.supervision

ECHO = lw.JsonCommand("echo")
ABOUT = lw.JsonCommand("about_me")
ROWS = lw.StreamingCommand("rows")
DIE = lw.StreamingCommand("die")
HANG = lw.StreamingCommand("row_then_hang")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
QUICK = lw.Timeouts(startup=20, request=0.08, shutdown=0.08, cancel_grace=0.08)
AGAIN = lw.RestartPolicy(backoff=0, poison_after=None)


def pid_of(lease):
    return lease.call(ABOUT, timeout=20)["pid"]


def failing(pool, command, request, kind, **options):
    """Run what has to fail; the error, the rows seen, and the pool's outcomes: exactly one for the request."""
    seen = []
    with pool.lease(FUNCTIONS) as lease:
        pid = pid_of(lease)
        with pytest.raises(kind) as caught:
            lease.run(command, request, on_row=seen.append, **options)
    assert not is_running(pid)
    assert pool.snapshot().outcomes == {"ok": 1, kind.__name__: 1}
    assert pool.snapshot().requests == 2
    return caught.value, seen


def test_conformance_terminal_success_has_one_terminal_outcome(Pool):
    with Pool() as pool, pool.lease(FUNCTIONS) as lease:
        assert lease.collect(ROWS, {"count": 2}).summary.total_rows == 2
        assert lease._core.loan.worker.generation == 0
        snapshot = pool.snapshot()
        assert (snapshot.requests, snapshot.outcomes, snapshot.started) == (1, {"ok": 1}, 1)


def test_conformance_stream_rows_are_tentative_until_terminal_success(Pool):
    with Pool() as pool, pool.lease(FUNCTIONS) as lease:
        with lease.stream(lw.StreamingCommand("two_streams")) as rows:
            seen = []
            for row in rows:
                seen.append((row.stream, row.sequence))
                with pytest.raises(lw.UsageError):
                    _ = rows.summary
        assert seen == [("left", 0), ("right", 0), ("left", 1)]
        assert rows.summary.total_rows == 3


def test_conformance_stream_child_exit_after_rows_discards_tentative_rows(Pool):
    with Pool() as pool:
        error, seen = failing(pool, DIE, {"rows": 1, "how": "exit"}, lw.ChildExited)
    assert (error.exit_code, error.rows_delivered, len(seen)) == (0, 1, 1)


def test_conformance_stream_child_crash_after_rows_discards_tentative_rows(Pool):
    with Pool() as pool:
        error, seen = failing(pool, DIE, {"rows": 1, "how": "SIGABRT"}, lw.ChildExited)
        with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.ChildExited):
            lease.collect(DIE, {"rows": 1, "how": "SIGABRT"})  # no rows come out at all
    assert (error.signal, error.rows_delivered, len(seen)) == ("SIGABRT", 1, 1)


def test_conformance_stream_timeout_after_rows_discards_tentative_rows(Pool):
    with Pool() as pool:
        error, seen = failing(pool, HANG, None, lw.RequestTimeout, timeout=0.6)
        assert pool.snapshot().ended["timeout"] == 1
    assert error.rows_delivered == len(seen) == 1


def test_conformance_stream_cancellation_after_rows_discards_tentative_rows(Pool):
    token = lw.CancelToken()
    seen = []
    with Pool() as pool, pool.lease(FUNCTIONS) as lease:
        pid = pid_of(lease)

        def on_row(row):
            seen.append(row)
            token.cancel()

        with pytest.raises(lw.Cancelled) as caught:
            lease.run(lw.StreamingCommand("endless"), on_row=on_row, cancel=token)
        assert caught.value.rows_delivered == len(seen) == 1
        assert pid_of(lease) == pid  # where the original kills, the worker stays warm


def test_conformance_stream_backpressure_is_bounded_and_observable(Pool):
    seen = []
    with Pool() as pool, pool.lease(FUNCTIONS) as lease:

        def slow(row):
            seen.append(row.sequence)
            if row.sequence % 500 == 0:
                time.sleep(0.05)

        lease.run(lw.StreamingCommand("rows"), {"count": 50_000}, on_row=slow)
        assert seen == list(range(50_000))
        assert pool.snapshot().backpressure_us > 0


def test_conformance_explicit_shutdown_gracefully_reaps_child(Pool):
    pool = Pool()
    with pool.lease(FUNCTIONS) as lease:
        worker = lease._core.loan.worker
    pool.close()
    report = worker._process.report()
    assert (report.exit_code, report.signal) == (0, None)
    assert pool.snapshot().ended["closed"] == 1


def test_conformance_dropped_idle_worker_reaps_child(Pool):
    pool = Pool()
    with pool.lease(FUNCTIONS) as lease:
        pid = pid_of(lease)
    del lease
    pool.close()
    del pool
    gc.collect()
    assert not is_running(pid)


def test_conformance_dropped_worker_escalates_kill_and_reaps_child(Pool):
    pool = Pool(timeouts=lw.Timeouts(shutdown=0.08))
    hanging = scripted("after_terminal", "hang")
    with pool.lease(hanging) as lease:
        lease.run(ROWS, on_row=lambda row: None)
        worker = lease._core.loan.worker
    pool.close()
    assert worker._process.report().signal == "SIGKILL"


def test_conformance_timeout_kill_reap_restarts_next_generation(Pool):
    with Pool(timeouts=QUICK, restarts=AGAIN) as pool:
        with pool.lease(FUNCTIONS) as lease:
            pid = pid_of(lease)
            with pytest.raises(lw.RequestTimeout) as caught:
                lease.run(HANG, on_row=lambda row: None)
        assert not is_running(pid)
        with pool.lease(FUNCTIONS) as lease:
            assert pid_of(lease) != pid
            assert lease._core.loan.worker.generation == caught.value.generation + 1 == 1
        assert pool.snapshot().outcomes == {"ok": 2, "RequestTimeout": 1}


def test_conformance_child_crash_terminalizes_in_flight_request(Pool):
    with Pool() as pool:
        error, _ = failing(pool, DIE, {"how": "exit", "code": 42}, lw.ChildExited)
    assert (error.exit_code, error.entered_worker) == (42, True)


def test_conformance_restart_limit_exhaustion_is_typed_terminal_outcome(Pool):
    policy = lw.RestartPolicy(max_restarts=1, backoff=0, poison_after=None)
    with Pool(timeouts=QUICK, restarts=policy) as pool:
        for _ in range(2):
            with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.RequestTimeout):
                lease.run(HANG, on_row=lambda row: None)
        for _ in range(2):
            with pytest.raises(lw.errors.RestartLimitExceeded) as caught:
                pool.lease(FUNCTIONS)
        assert (caught.value.limit, caught.value.window) == (1, 60.0)
        snapshot = pool.snapshot()
        assert (snapshot.started, snapshot.ended["timeout"], snapshot.leased) == (2, 2, 0)
        assert snapshot.refused == {"RestartLimitExceeded": 2}


def test_conformance_pool_lease_drop_releases_capacity_once(Pool):
    with Pool() as pool:
        lease = pool.lease(FUNCTIONS)
        with pytest.warns(ResourceWarning):
            del lease
            gc.collect()
        wait_until(lambda: pool.snapshot().leased == 0)
        assert pool.snapshot().idle == 1


def test_conformance_pool_explicit_release_decrements_capacity_once(Pool):
    with Pool() as pool:
        lease = pool.lease(FUNCTIONS)
        assert (pool.snapshot().leased, pool.snapshot().idle) == (1, 0)
        for _ in range(3):
            lease.release()
            assert (pool.snapshot().leased, pool.snapshot().idle) == (0, 1)


def test_conformance_pool_idle_replacement_preserves_capacity_accounting(Pool):
    with Pool(memory=lw.MemoryPolicy(max_idle=0.05)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
        wait_until(lambda: pool.snapshot().ended["policy"] == 1)
        with pool.lease(FUNCTIONS) as lease:
            assert pid_of(lease) != first
            snapshot = pool.snapshot()
            assert (snapshot.leased, snapshot.idle, snapshot.ended["policy"], snapshot.failures) == (1, 0, 1, 0)


def test_conformance_pool_admission_refusal_is_explicit(Pool):
    with Pool() as pool:
        with pool.lease(FUNCTIONS):
            with pytest.raises(lw.errors.PoolFull) as caught:
                pool.lease(OTHER, timeout=0)
            assert caught.value.max_workers == 1
        with pool.lease(OTHER, timeout=0) as lease:  # the original refuses here as well
            assert lease.call(ECHO, 1) == 1


def test_conformance_stale_generation_output_is_protocol_failure(Pool):
    # A second handshake is what a worker of another generation would send.
    with Pool() as pool, pool.lease(liar("second_handshake")) as lease:
        with pytest.raises(lw.errors.UnexpectedMessage, match="handshake") as caught:
            lease.run(ROWS, on_row=lambda row: None)
        assert (caught.value.generation, caught.value.side) == (0, "remote")


def test_conformance_stale_request_output_is_protocol_failure(Pool):
    stale = scripted("after_terminal", "stray_print")
    with Pool() as pool, pool.lease(stale) as lease:
        lease.run(ROWS, on_row=lambda row: None)
        stale.open_gate()
        worker = lease._core.loan.worker
        wait_until(lambda: worker.has_spoken_unasked)
        with pytest.raises(lw.ProtocolError) as caught:
            lease.run(ROWS, on_row=lambda row: None)
        assert caught.value.entered_worker is False


def test_import_residue_accumulates_over_a_generation_and_resets_on_the_cycle(Pool):
    # Private memory stands for the residue: it grows within a generation, and a new one starts from nothing.
    with Pool(memory=lw.MemoryPolicy(cycle_above_kib=150 << 10)) as pool, pool.lease(FUNCTIONS) as lease:
        held = [lease.call(lw.JsonCommand("hold_memory"), {"mib": 60}) for _ in range(5)]
        assert held[0] == 1 and max(held) > 1 and held.count(1) > 1
        assert pool.snapshot().ended["policy"] == held.count(1) - 1


def test_a_child_that_reports_no_region_bytes_is_counted_and_still_bounded(Pool):
    with Pool(memory=lw.MemoryPolicy(max_requests=2)) as pool, pool.lease(FUNCTIONS) as lease:
        assert len({pid_of(lease) for _ in range(6)}) == 3


@pytest.mark.parametrize(
    "payload",
    [
        {"selector": "declaration_outline_batch", "items": [{"id": "a", "outline": [{"name": "x", "range": [1, 2]}]}]},
        {"selector": "declaration_verification_batch", "items": [{"id": "a", "verdict": "verified", "axioms": []}]},
        {"selector": "command_message_diagnostics", "messages": [{"severity": "error", "line": 10**20, "text": "≤"}]},
    ],
    ids=lambda payload: payload["selector"],
)
def test_typed_payload_reaches_parent_session_path(Pool, payload):
    with Pool() as pool, pool.lease(FUNCTIONS) as lease:
        assert lease.call(ECHO, payload) == payload
