"""Frames through shared memory: taken up by our own workers only, as safe as a pipe, and no worse when it is abused."""

from __future__ import annotations

import resource
import sys
import threading
import time

import pytest

import lean_worker as lw
from lean_worker.wire import frames, protocol
from support import FUNCTIONS, HOSTS, INTEROP, wait_until

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(frames.IMPLEMENTATION != "c" or sys.platform != "linux", reason="there is only the pipe"),
]
ROW = {"i": 0}


def takes_ring(lease):
    return protocol.FEATURE_RING in lease._core.loan.worker.features


@pytest.fixture
def lease():
    quick = lw.Timeouts(request=20, cancel_grace=0.5)
    with lw.Pool(timeouts=quick, limits=lw.Limits(max_frame_bytes=16 << 20)) as own, own.lease(FUNCTIONS) as lease:
        yield lease


def test_python_workers_take_it(lease):
    assert takes_ring(lease)


@pytest.mark.lean
def test_lean_workers_take_it():
    with lw.Pool() as own, own.lease(INTEROP) as lease:
        assert takes_ring(lease)


def test_foreign_programs_are_not_asked():
    with lw.Pool() as own, own.lease(lw.ProcessCapability([sys.executable, str(HOSTS / "obedient.py")])) as lease:
        assert not takes_ring(lease)
        assert len(lease.collect(lw.StreamingCommand("x"), {"rows": 5, "then": "ok"}).rows) == 5


def test_a_worker_without_compiled_modules_stays_on_its_pipe():
    pure = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_NO_EXTENSIONS": "1"})
    with lw.Pool() as own, own.lease(pure) as lease:
        assert not takes_ring(lease)
        assert len(lease.collect(lw.StreamingCommand("rows"), {"count": 100}).rows) == 100


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")
    with lw.Pool() as own, own.lease(FUNCTIONS) as lease:
        assert not takes_ring(lease)
        assert len(lease.collect(lw.StreamingCommand("rows"), {"count": 100}).rows) == 100


def test_without_a_descriptor_to_spare_there_is_the_pipe():
    from lean_worker.worker import ring

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        assert ring.Ring.make() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_row_larger_than_the_ring(lease):
    rows = lease.collect(lw.StreamingCommand("large_row"), {"size_bytes": 10 << 20}).rows
    assert [len(row.payload["blob"]) for row in rows] == [10 << 20]


def test_a_worker_that_waits_for_room_uses_no_cpu(lease):
    busy = lw.JsonCommand("busy_us", response=int)
    with lease.stream(lw.StreamingCommand("endless")) as rows:
        next(rows)
        ring = lease._core.loan.worker._channel._ring
        wait_until(lambda: ring.waiting_bytes > ring_bytes() * 0.99)
        full_at = time.monotonic()
        used_before = cpu_seconds(lease)
        wait_until(lambda: time.monotonic() - full_at > 0.5)
        assert cpu_seconds(lease) - used_before < 0.1
        later = [next(rows).sequence for _ in range(50_000)]  # more than the ring holds: it is woken again
    assert later == list(range(1, 50_001))
    assert lease.call(busy) > 0


def ring_bytes():
    from lean_worker.worker.ring import RING_BYTES

    return RING_BYTES


def cpu_seconds(lease):
    import psutil

    times = psutil.Process(lease._core.loan.worker.pid).cpu_times()
    return times.user + times.system


def test_overwritten_counts_end_the_worker(lease):
    with pytest.raises(lw.errors.MalformedFrame, match="its counts make no sense") as caught:
        lease.run(lw.StreamingCommand("break_ring"), on_row=lambda row: None, timeout=10)
    assert caught.value.rows_delivered <= 1
    assert lease.is_stale


def test_bytes_past_the_ring_end_the_worker(lease):
    with pytest.raises(lw.errors.UnexpectedMessage, match="past its ring") as caught:
        lease.run(lw.StreamingCommand("write_past_ring"), on_row=lambda row: None, timeout=10)
    assert caught.value.rows_delivered == 1
    assert lease.is_stale


def test_its_memory_cannot_be_made_smaller(lease):
    with pytest.raises(lw.CommandFailed, match="Operation not permitted"):
        lease.call(lw.JsonCommand("shrink_ring"))
    assert lease.collect(lw.StreamingCommand("rows"), {"count": 3}).rows


def test_programs_of_the_hosted_code_know_nothing_of_it(lease):
    assert lease.call(lw.JsonCommand("inherited", response=str)) == "[] False"


def test_a_closed_ring_is_empty():
    from lean_worker.worker.ring import Ring

    made = Ring.make()
    made.close()
    made.close()
    assert (made.waiting_bytes, made.read(frames.FrameReader(), 100)) == (0, 0)
    with made.asleep() as is_empty:
        assert is_empty


def test_a_pool_that_is_closed_meanwhile_ends_the_stream():
    own = lw.Pool(timeouts=lw.Timeouts(drain=0))
    with own.lease(FUNCTIONS) as lease, pytest.raises(lw.errors.StaleLease, match="the pool was closed") as caught:
        rows = lease.stream(lw.StreamingCommand("row_then_hang"))
        next(rows)
        closing = threading.Thread(target=own.close)
        closing.start()
        try:
            next(rows)
        finally:
            closing.join()
    assert caught.value.rows_delivered == 1
