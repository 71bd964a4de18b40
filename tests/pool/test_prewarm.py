"""Calls of `prewarm` at the same time as others and as leases: none waits for what another one keeps."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import lean_worker as lw
from aio_tasks import ECHO, OTHER, SLOW_START, cancelled, until
from support import FUNCTIONS, HOSTS, wait_until

ROWS = lw.StreamingCommand("rows")
SOON = lw.Timeouts(queue=30)


def in_threads(*calls):
    """Call all at once; what each returned or raised."""
    results = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(index, call):
        barrier.wait()
        try:
            results[index] = call()
        except lw.LeanWorkerError as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def begin(call):
    """Call it on a thread of its own; returns that, and a list that gets what it returned or raised."""
    result = []

    def run():
        try:
            result.append(call())
        except lw.LeanWorkerError as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize(("threads", "size"), [(2, 2), (2, 3), (4, 2)])
def test_threads_that_prewarm_the_same_share_the_workers(threads, size, attempt):
    with lw.Pool(size, timeouts=SOON) as pool:
        assert in_threads(*[lambda: pool.prewarm(FUNCTIONS, 2)] * threads) == [None] * threads
        assert (pool.snapshot().idle, pool.snapshot().started) == (2, 2)


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_capabilities_the_later_one_is_all_there(attempt):
    with lw.Pool(2, timeouts=SOON) as pool:
        assert in_threads(lambda: pool.prewarm(FUNCTIONS, 2), lambda: pool.prewarm(OTHER, 2)) == [None, None]
        assert (pool.snapshot().idle, pool.snapshot().started) == (2, 4)
        before = pool.snapshot().key_hits
        for capability in (FUNCTIONS, OTHER):
            with pool.lease(capability):
                pass
        assert pool.snapshot().key_hits - before == 1, "two of one, none of the other"


def test_workers_above_the_limit_from_their_start_serve_a_request_each():
    with lw.Pool(2, memory=lw.MemoryPolicy(cycle_above_kib=1), timeouts=SOON) as pool:
        pool.prewarm(FUNCTIONS, 2)
        assert (pool.snapshot().idle, pool.snapshot().started) == (2, 2)
        assert pool.call(FUNCTIONS, ECHO, 1) == 1
        wait_until(lambda: pool.snapshot().leased == 0)
        assert (pool.snapshot().idle, pool.snapshot().started) == (1, 2), "the other one is its successor"
        with pool.lease(FUNCTIONS) as lease:
            assert [lease.call(ECHO, number) for number in range(3)] == [0, 1, 2]
            assert (pool.snapshot().started, pool.snapshot().ended["policy"]) == (4, 3)
        wait_until(lambda: (pool.snapshot().leased, pool.snapshot().idle) == (0, 1))
        assert (pool.snapshot().started, pool.snapshot().ended["policy"]) == (5, 4)


def test_tasks_that_prewarm_share_the_workers():
    async def main():
        async with lw.AsyncPool(2, timeouts=SOON) as pool:
            await asyncio.gather(*[pool.prewarm(FUNCTIONS, 2) for _ in range(3)])
            assert (pool.snapshot().idle, pool.snapshot().started) == (2, 2)
            await asyncio.gather(pool.prewarm(OTHER, 2), pool.prewarm(FUNCTIONS, 2))
            assert pool.snapshot().idle == 2

    asyncio.run(main())


def test_lent_workers_count():
    with lw.Pool(2, timeouts=SOON) as pool, pool.lease(FUNCTIONS) as lease:
        pool.prewarm(FUNCTIONS, 2)
        assert (pool.snapshot().idle, pool.snapshot().leased, pool.snapshot().started) == (1, 1, 2)
        pool.prewarm(FUNCTIONS, 2, timeout=0)
        assert lease.call(ECHO, 1) == 1


@pytest.mark.parametrize("size", [1, 2])
def test_workers_at_work_count(size):
    """Also to who calls it in a handler, while the only worker runs its own request."""
    handled = []

    def handle(*_):
        pool.prewarm(FUNCTIONS, 1, timeout=20)
        handled.append(pool.snapshot().started)

    with lw.Pool(size, timeouts=SOON) as pool:
        with pool.lease(FUNCTIONS) as lease, lease.stream(ROWS, {"count": 1_000_000}) as rows:
            next(rows)
            handle()
        with pool.lease(FUNCTIONS) as lease:
            lease.run(ROWS, {"count": 3}, on_row=handle)
        assert set(handled) == {1}
        with pool.stream_many(ROWS, [{"count": 3}] * 4, capability=FUNCTIONS, on_row=handle) as outcomes:
            assert all(one.ok for one in outcomes)
        assert len(handled) == 1 + 3 + 12 and pool.snapshot().started <= size


def test_who_holds_a_worker_and_takes_another_does_not_wait_for_a_prewarming():
    with lw.Pool(2, timeouts=SOON) as pool:
        with pool.lease(FUNCTIONS):
            thread, result = begin(lambda: pool.prewarm(OTHER, 2))
            wait_until(lambda: pool.snapshot().idle == 1 and pool.snapshot().queued == 1)
            with pool.lease(FUNCTIONS, timeout=20):
                pass
            # Nor for one that needs no lent worker.
            pool.prewarm(FUNCTIONS, 2, timeout=20)
            assert not result
        thread.join()
        assert result == [None]
        started = pool.snapshot().started
        pool.prewarm(OTHER, 2)
        assert (pool.snapshot().idle, pool.snapshot().started) == (2, started)


def test_the_time_counts_from_the_call_while_another_one_prewarms():
    with lw.Pool(2, timeouts=lw.Timeouts(queue=30, startup=60)) as pool:
        thread, result = begin(lambda: pool.prewarm(SLOW_START, 2))
        wait_until(lambda: pool.snapshot().leased == 2)
        with pytest.raises(lw.errors.PoolFull, match="no place for 2 of 2 workers"):
            pool.prewarm(FUNCTIONS, 2, timeout=0)
        started = time.monotonic()
        with pytest.raises(lw.errors.QueueTimeout, match=r"within 0\.5 seconds") as caught:
            pool.prewarm(FUNCTIONS, 2, timeout=0.5)
        assert 0.5 <= time.monotonic() - started < 20 and caught.value.waited >= 0.5
        pool.close(drain=0)
        thread.join()
        assert isinstance(result[0], lw.LeanWorkerError)


def test_a_pool_that_is_closed_meanwhile_ends_all():
    pool = lw.Pool(1)
    lease = pool.lease(FUNCTIONS)
    calls = [begin(lambda: pool.prewarm(OTHER)) for _ in range(2)]
    wait_until(lambda: pool.snapshot().queued == 2)
    pool.close(drain=0)
    lease.release()
    for thread, result in calls:
        thread.join()
        assert isinstance(result[0], lw.UsageError) and result[0].pool_is_closed


def test_a_task_is_cancelled_while_another_one_prewarms():
    async def main():
        async with lw.AsyncPool(1, timeouts=SOON) as pool:
            first = asyncio.ensure_future(pool.prewarm(SLOW_START))
            await until(lambda: pool.snapshot().leased == 1)
            second = asyncio.ensure_future(pool.prewarm(FUNCTIONS))
            await until(lambda: pool.snapshot().queued == 1)
            await cancelled(second)
            assert pool.snapshot().queued == 0
            third = asyncio.ensure_future(pool.prewarm(FUNCTIONS))
            await until(lambda: pool.snapshot().queued == 1)
            await cancelled(first)
            await third
            assert pool.snapshot().idle == 1

    asyncio.run(main())


def test_what_was_prewarmed_again_is_not_the_next_to_go():
    with lw.Pool(2, timeouts=SOON) as pool:
        pool.prewarm(FUNCTIONS)
        pool.prewarm(OTHER)
        pool.prewarm(FUNCTIONS)
        with pool.lease(lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"ANOTHER": "1"})):
            pass
        assert pool.snapshot().started == 3
        pool.prewarm(FUNCTIONS)
        assert pool.snapshot().started == 3


def test_a_thread_that_holds_the_only_worker_is_told():
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS), pytest.raises(lw.UsageError, match="waits for itself"):
        pool.prewarm(OTHER)
