"""Admission, fairness, reuse, eviction and the pool's end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

import lean_worker as lw
from aio_tasks import SLOW_START
from support import FUNCTIONS, HOSTS, is_running, wait_until

ABOUT = lw.JsonCommand("about_me")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})


def pid_of(lease):
    return lease.call(ABOUT)["pid"]


def test_a_warm_worker_is_reused_and_another_key_gets_its_own():
    with lw.Pool(max_workers=2) as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
        with pool.lease(lw.PythonCapability("functions:COMMANDS", path=[HOSTS])) as lease:
            assert pid_of(lease) == first
        with pool.lease(OTHER) as lease:
            assert pid_of(lease) != first
        snapshot = pool.snapshot()
        assert (snapshot.started, snapshot.idle, snapshot.leased, snapshot.failures) == (2, 2, 0, 0)
        assert snapshot.requests == 3
        assert snapshot.memory_kib is None or snapshot.memory_kib > 1000


def test_a_worker_stays_warm_from_one_test_to_the_next(monkeypatch):
    pids = set()
    with lw.Pool() as pool:
        for name in ("test_one", "test_two"):
            monkeypatch.setenv("PYTEST_CURRENT_TEST", name)  # as pytest does
            with pool.lease(FUNCTIONS) as lease:
                pids.add(pid_of(lease))
    assert len(pids) == 1


def test_leases_are_concurrent():
    with lw.Pool(max_workers=2) as pool, pool.lease(FUNCTIONS) as one, pool.lease(FUNCTIONS) as two:
        assert pid_of(one) != pid_of(two)


def test_the_least_recently_used_idle_worker_makes_room():
    with lw.Pool(max_workers=1) as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
        with pool.lease(OTHER) as lease:
            assert pid_of(lease) != first
        wait_until(lambda: not is_running(first))
        assert pool.snapshot().ended["evicted"] == 1


def test_a_full_pool_says_so():
    with lw.Pool(max_workers=1) as pool, pool.lease(FUNCTIONS):
        with pytest.raises(lw.errors.PoolFull) as caught:
            pool.lease(FUNCTIONS, timeout=0)
        assert caught.value.max_workers == 1
        with pytest.raises(lw.errors.QueueTimeout) as waited:
            pool.lease(FUNCTIONS, timeout=0.05)
        assert waited.value.waited >= 0.05
        assert isinstance(caught.value, lw.AdmissionError) and isinstance(waited.value, lw.AdmissionError)


def test_waiting_callers_are_served_in_order():
    order = []
    with lw.Pool(max_workers=1) as pool:
        first = pool.lease(FUNCTIONS)

        def wait_for_turn(number):
            with pool.lease(FUNCTIONS):
                order.append(number)

        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait_for_turn, args=(number,)))
            threads[-1].start()
            wait_until(lambda number=number: pool.snapshot().queued == number + 1)
        first.release()
        for thread in threads:
            thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_worker_that_dies_while_idle_is_replaced():
    with lw.Pool() as pool:
        with pool.lease(FUNCTIONS) as lease:
            first = pid_of(lease)
        os.kill(first, 9)
        wait_until(lambda: not os.path.exists(f"/proc/{first}"))  # reaped, although nobody asked
        with pool.lease(FUNCTIONS) as lease:
            assert pid_of(lease) != first
        assert pool.snapshot().ended["crashed"] == 1


def test_a_failed_start_gives_its_place_back():
    with lw.Pool(max_workers=1) as pool:
        for _ in range(3):
            with pytest.raises(lw.CapabilityError):
                pool.lease(lw.PythonCapability("no_such_module:COMMANDS"))
        with pool.lease(FUNCTIONS, timeout=0) as lease:
            assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_closing_ends_idle_workers_and_refuses_leases():
    pool = lw.Pool(max_workers=2)
    lease = pool.lease(FUNCTIONS)
    lent = pid_of(lease)
    with pool.lease(FUNCTIONS) as other:
        idle = pid_of(other)
    closer = threading.Thread(target=pool.close)
    closer.start()
    wait_until(lambda: not is_running(idle))
    assert lease.call(lw.JsonCommand("echo"), 1) == 1  # a lent worker is waited for
    lease.release()
    closer.join()
    assert not is_running(lent)
    with pytest.raises(lw.UsageError, match="the pool is closed"):
        pool.lease(FUNCTIONS)
    pool.close()


def test_a_waiting_caller_learns_that_the_pool_closed():
    pool = lw.Pool(max_workers=1)
    lease = pool.lease(FUNCTIONS)
    errors = []

    def wait_for_turn():
        try:
            pool.lease(FUNCTIONS)
        except lw.UsageError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait_for_turn)
    waiter.start()
    wait_until(lambda: pool.snapshot().queued == 1)
    pool.close(drain=0)
    waiter.join()
    lease.release()
    assert len(errors) == 1


USES = {
    "lease": lambda pool: pool.lease(SLOW_START),
    "prewarm": lambda pool: pool.prewarm(SLOW_START),
    "map": lambda pool: list(pool.map(lw.JsonCommand("echo"), [1], capability=SLOW_START)),
    "call": lambda pool: pool.call(SLOW_START, lw.JsonCommand("echo"), 1),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_close_while_a_worker_starts_says_that_nothing_was_sent(use):
    errors = []

    def run():
        try:
            use(pool)
        except lw.LeanWorkerError as error:
            errors.append(error)

    pool = lw.Pool()
    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: any(worker.pid for worker in list(pool._core.workers)))
    report = pool.close(drain=0)
    thread.join()
    (error,) = errors
    assert isinstance(error, lw.UsageError) and error.pool_is_closed and error.entered_worker is None
    assert dict(report.ended) == {"closed": 1} and dict(pool.snapshot().ended).get("start_failed", 0) == 0


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_a_wrong_size(value):
    with pytest.raises(lw.UsageError, match="max_workers"):
        lw.Pool(value)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True])
def test_a_wrong_timeout(value):
    with pytest.raises(lw.UsageError, match="startup"):
        lw.Timeouts(startup=value)


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_workers_end_with_their_parent(end, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys, threading
        import lean_worker as lw
        pool = lw.Pool()
        # From a thread that ends at once: the worker must outlive that thread, but not the process.
        holder = []
        thread = threading.Thread(target=lambda: holder.append(pool.lease(lw.PythonCapability("functions:COMMANDS", path=[{str(HOSTS)!r}]))))
        thread.start()
        thread.join()
        lease = holder[0]
        print(lease.call(lw.JsonCommand("about_me"))["pid"], flush=True)
        rows = lease.stream(lw.StreamingCommand("row_then_hang"))
        next(rows)
        {end}
        """)
    )
    parent = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, timeout=60)
    worker = int(parent.stdout)
    wait_until(lambda: not is_running(worker))
