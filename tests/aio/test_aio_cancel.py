"""A task that is cancelled, wherever it waits: nothing is lost, lent or left behind, and the worker stays."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import sys

import pytest

import lean_worker as lw
from aio_tasks import ABOUT, ECHO, ENDLESS, HANG, OTHER, ROWS, SLOW_START, cancelled, granted_lease, is_clear, until
from support import FUNCTIONS, is_running

pytestmark = pytest.mark.supervision


@pytest.fixture(params=["ring", "pipe"])
def transport(request, monkeypatch):
    if request.param == "pipe":
        monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")


@pytest.mark.parametrize("attempt", range(5))
def test_a_stream_that_is_dropped_in_a_reference_cycle_is_stopped(transport, attempt):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            cycle = [lease.stream(ENDLESS)]
            cycle.append(cycle)
            async for _ in cycle[0]:
                break
            del cycle
            gc.collect()
            assert await lease.call(ECHO, 1) == 1
            assert pool.snapshot().started == 1

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0, 0.0003, 0.001, 0.003])
def test_a_call_after_one_that_was_cancelled_anywhere_succeeds_or_says_that_the_worker_is_gone(seconds):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            assert await lease.call(ECHO, 0) == 0
            task = asyncio.ensure_future(lease.call(ECHO, "y" * 900_000))
            await asyncio.sleep(seconds)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            try:
                assert await lease.call(ECHO, 1) == 1
            except lw.errors.StaleLease:
                assert lease.is_stale

    for _ in range(5):
        asyncio.run(main())


# -- cancellation --


@pytest.mark.parametrize("rows_before", [1, 1000])
def test_a_cancelled_stream_leaves_the_worker_warm(transport, rows_before):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            pid = (await lease.call(ABOUT))["pid"]
            seen = []

            async def read():
                async for row in lease.stream(ENDLESS):
                    seen.append(row.payload["i"])

            task = asyncio.ensure_future(read())
            await until(lambda: len(seen) >= rows_before)
            await cancelled(task)
            assert seen == list(range(len(seen)))
            assert (await lease.call(ABOUT))["pid"] == pid
            snapshot = pool.snapshot()
            assert (snapshot.started, snapshot.failures) == (1, 0)
            assert snapshot.outcomes == {"ok": 2, "CancelledError": 1}

    asyncio.run(main())


def test_cancelled_in_its_own_code_a_stream_is_stopped_by_its_block():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            entered = asyncio.Event()

            async def read():
                async with lease.stream(ENDLESS) as rows:
                    async for _ in rows:
                        entered.set()
                        await asyncio.sleep(600)

            task = asyncio.ensure_future(read())
            await entered.wait()
            await cancelled(task)
            assert await lease.call(ECHO, 1) == 1
            assert pool.snapshot().started == 1

    asyncio.run(main())


def test_a_time_out_of_asyncio_is_a_cancellation():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(lease.run(ENDLESS, on_row=lambda row: None), 0.1)
            assert await lease.call(ECHO, 1) == 1
            assert pool.snapshot().started == 1

    asyncio.run(main())


def test_a_silent_request_that_is_cancelled_costs_its_worker_after_the_grace():
    async def main():
        timeouts = lw.Timeouts(cancel_grace=0.2)
        async with lw.AsyncPool(timeouts=timeouts) as pool:
            async with pool.lease(FUNCTIONS) as lease:
                pid = (await lease.call(ABOUT))["pid"]
                task = asyncio.ensure_future(lease.call(HANG))
                await until(lambda: pool.snapshot().requests == 2)
                await cancelled(task)
                assert not is_running(pid)
                assert lease.is_stale
                with pytest.raises(lw.errors.StaleLease) as stale:
                    await lease.call(ECHO, 1)
                assert stale.value.reason == "the task of asyncio that used it was cancelled"
            assert pool.snapshot().ended["cancelled"] == 1
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, 1) == 1

    asyncio.run(main())


def test_a_second_cancellation_does_not_wait_for_the_worker():
    async def main():
        async with lw.AsyncPool(timeouts=lw.Timeouts(cancel_grace=None)) as pool:
            async with pool.lease(FUNCTIONS) as lease:
                pid = (await lease.call(ABOUT))["pid"]
                task = asyncio.ensure_future(lease.call(HANG))
                await until(lambda: pool.snapshot().requests == 2)
                task.cancel()
                for _ in range(10):
                    await asyncio.sleep(0)
                assert not task.done()
                await cancelled(task)
                assert not is_running(pid)
            assert is_clear(pool)

    asyncio.run(main())


def test_cancelled_in_the_queue_a_task_leaves_its_place_to_the_next():
    async def main():
        async with lw.AsyncPool() as pool:
            async with pool.lease(FUNCTIONS):
                tasks = []
                for _ in range(3):
                    tasks.append(asyncio.ensure_future(granted_lease(pool)))
                    await until(lambda: pool.snapshot().queued == len(tasks))
                await cancelled(tasks[0])
                assert pool.snapshot().queued == 2
            lease = await tasks[1]
            await lease.release()
            await (await tasks[2]).release()
            assert is_clear(pool)

    asyncio.run(main())


def test_cancelled_in_the_moment_its_turn_comes_a_task_takes_no_place():
    async def main():
        async with lw.AsyncPool() as pool:
            for _ in range(20):
                holder = await pool.lease(FUNCTIONS)
                task = asyncio.ensure_future(granted_lease(pool))
                await until(lambda: pool.snapshot().queued == 1)
                await holder.release()  # tells the task, which has not run since
                await cancelled(task)
                assert is_clear(pool)
            async with pool.lease(FUNCTIONS, timeout=0) as lease:
                assert await lease.call(ECHO, 1) == 1
            assert pool.snapshot().started == 1

    asyncio.run(main())


def test_cancelled_while_its_worker_starts_a_task_leaves_nothing():
    async def main():
        async with lw.AsyncPool(restarts=lw.RestartPolicy(max_restarts=1)) as pool:
            for _ in range(3):
                task = asyncio.ensure_future(_grant_of(pool, SLOW_START))
                await until(lambda: any(worker.pid for worker in list(pool._core.workers)))
                (worker,) = pool._core.workers
                await cancelled(task)
                assert not is_running(worker.pid)
                assert is_clear(pool)
            # It was the caller's wish: no failure of the kind, no budget used up.
            assert pool.snapshot().failures == 0
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, 1) == 1

    asyncio.run(main())


async def _grant_of(pool, capability):
    return await pool.lease(capability)


def test_cancelled_in_its_close_a_pool_kills_what_is_lent():
    async def main():
        pool = lw.AsyncPool()
        lease = await pool.lease(FUNCTIONS)
        pid = (await lease.call(ABOUT))["pid"]
        task = asyncio.ensure_future(pool.close(drain=None))
        await asyncio.sleep(0)
        await cancelled(task)
        await until(lambda: not is_running(pid))
        with pytest.raises(lw.errors.StaleLease):
            await lease.call(ECHO, 1)
        await lease.release()
        await pool.close()
        assert is_clear(pool)

    asyncio.run(main())


@pytest.mark.once
def test_cancelled_anywhere_nothing_is_lost(rand, transport):
    """Tasks that are cancelled after a random number of the loop's turns: wherever that is, the pool is as new."""

    async def use(pool):
        async with pool.lease(rand.choice([FUNCTIONS, OTHER])) as lease:
            await lease.call(ECHO, "x" * rand.choice([1, 900_000]))
            async with lease.stream(ROWS, {"count": 20_000}) as rows:
                async for _ in rows:
                    pass
            return rows.summary.total_rows

    async def main():
        ends = collections.Counter()
        async with lw.AsyncPool(2, restarts=lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)) as pool:
            for _ in range(60):
                tasks = [asyncio.ensure_future(use(pool)) for _ in range(3)]
                for task in tasks:
                    for _ in range(rand.randrange(60)):
                        await asyncio.sleep(0)
                    task.cancel()
                for end in await asyncio.gather(*tasks, return_exceptions=True):
                    ends[end if end == 20_000 else type(end)] += 1
                assert is_clear(pool)
            assert set(ends) <= {20_000, asyncio.CancelledError}
            assert ends[asyncio.CancelledError] > 30, ends
            assert await use(pool) == 20_000
            snapshot = pool.snapshot()
            assert sum(snapshot.outcomes.values()) == snapshot.requests

    asyncio.run(main())


def test_a_pool_that_is_closed_while_a_worker_starts():
    async def main():
        pool = lw.AsyncPool()
        task = asyncio.ensure_future(_grant_of(pool, SLOW_START))
        await until(lambda: any(worker.pid for worker in list(pool._core.workers)))
        (worker,) = pool._core.workers
        await pool.close(drain=0)
        assert not is_running(worker.pid)
        with pytest.raises(lw.LeanWorkerError):
            await task
        assert is_clear(pool)

    asyncio.run(main())


def test_a_pool_that_is_closed_before_a_worker_starts():
    async def main():
        pool = lw.AsyncPool(restarts=lw.RestartPolicy(backoff=30, max_restarts=None))
        dying = lw.ProcessCapability([sys.executable, "-c", "pass"])
        for _ in range(2):
            with pytest.raises(lw.ChildExited):
                await pool.lease(dying)
        task = asyncio.ensure_future(_grant_of(pool, dying))
        await until(lambda: pool._core.workers)  # and it sits out the pause
        await pool.close(drain=0)
        with pytest.raises(lw.UsageError, match="closed"):
            await task
        assert is_clear(pool)

    asyncio.run(main())


def test_a_close_waits_for_requests_of_other_tasks_and_not_for_its_own():
    async def main():
        rows = lw.StreamingCommand("rows")
        async with lw.AsyncPool(2) as pool:
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def other():
                count = 0
                async with pool.lease(FUNCTIONS) as lease, lease.stream(rows, {"count": 3}) as stream:
                    async for _ in stream:
                        count += 1
                        begun.set()
                        await go_on.wait()
                return count

            task = asyncio.ensure_future(other())
            await begun.wait()
            closing = asyncio.ensure_future(pool.close(drain=60))
            while not pool.is_closed:
                await asyncio.sleep(0)
            assert not closing.done()
            go_on.set()
            assert await task == 3
            report = await closing
            assert (report.killed, report.is_complete) == (0, True)
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease, lease.stream(rows, {"count": 3}) as stream:
            async for _ in stream:
                assert not (await pool.close(drain=60)).is_complete

    asyncio.run(main())
