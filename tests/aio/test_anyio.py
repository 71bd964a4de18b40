"""Cancel scopes of anyio, which cancel a task at each of its waits, keep the worker warm as `asyncio.timeout` does."""

from __future__ import annotations

import asyncio
import math

import anyio
import pytest

import lean_worker as lw
from aio_tasks import ABOUT, ECHO, ENDLESS, HANG, OTHER, SLOW_START, is_clear, until
from support import FUNCTIONS

pytestmark = pytest.mark.supervision


@pytest.fixture(params=["ring", "pipe"])
def transport(request, monkeypatch):
    if request.param == "pipe":
        monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")


async def pid_of(lease):
    return (await lease.call(ABOUT))["pid"]


async def first_row_then(lease, entered):
    async with lease.stream(ENDLESS) as rows:
        async for _ in rows:
            entered.set()


async def run_to_row(lease, entered):
    await lease.run(ENDLESS, on_row=lambda row: entered.set())


async def sleep_in_block(lease, entered):
    async with lease.stream(ENDLESS) as rows:
        async for _ in rows:
            entered.set()
            await anyio.sleep(600)


async def sleep_in_handler(lease, entered):
    async def on_row(row):
        entered.set()
        await anyio.sleep(600)

    await lease.run(ENDLESS, on_row=on_row)


REQUESTS = [first_row_then, run_to_row, sleep_in_block, sleep_in_handler]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("how", ["scope", "group", "move_on", "fail"])
def test_a_cancelled_scope_leaves_the_worker_warm(transport, request_, how):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            pid = await pid_of(lease)
            entered = anyio.Event()
            if how == "scope":
                async with anyio.create_task_group() as group:
                    with anyio.CancelScope() as scope:
                        group.start_soon(cancel_when, entered, scope)
                        await request_(lease, entered)
                    assert scope.cancelled_caught
            elif how == "group":
                async with anyio.create_task_group() as group:
                    group.start_soon(request_, lease, entered)
                    await entered.wait()
                    group.cancel_scope.cancel()
            elif how == "move_on":
                with anyio.move_on_after(math.inf) as scope:
                    await with_deadline(scope, request_, lease, entered)
                assert scope.cancelled_caught
            else:
                with pytest.raises(TimeoutError):
                    with anyio.fail_after(600) as scope:
                        await with_deadline(scope, request_, lease, entered)
            assert entered.is_set()
            assert await pid_of(lease) == pid
            snapshot = pool.snapshot()
            assert (snapshot.started, snapshot.failures) == (1, 0)
            assert snapshot.outcomes == {"ok": 2, "CancelledError": 1}

    async def cancel_when(entered, scope):
        await entered.wait()
        scope.cancel()

    async def with_deadline(scope, request_, lease, entered):
        async def expire():
            await entered.wait()
            scope.deadline = anyio.current_time()

        expiry = asyncio.ensure_future(expire())
        try:
            await request_(lease, entered)
        finally:
            expiry.cancel()

    anyio.run(main)


def test_leaving_blocks_in_a_cancelled_scope_gives_the_worker_back_warm():
    async def main():
        async with lw.AsyncPool() as pool:
            with anyio.CancelScope() as scope:
                async with pool.lease(FUNCTIONS) as lease:
                    async with lease.stream(ENDLESS) as rows:
                        async for _ in rows:
                            scope.cancel()
                            await anyio.sleep(600)
            assert scope.cancelled_caught and is_clear(pool)
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, 1) == 1
            snapshot = pool.snapshot()
            assert (snapshot.started, snapshot.failures) == (1, 0)

    anyio.run(main)


def test_a_shielded_scope_is_not_cancelled():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            with anyio.CancelScope() as outer:
                with anyio.CancelScope(shield=True):
                    outer.cancel()
                    assert await lease.call(ECHO, 1) == 1
                await lease.call(ECHO, 2)
                raise AssertionError("the outer scope was cancelled")
            assert outer.cancelled_caught
            assert await lease.call(ECHO, 3) == 3
            assert pool.snapshot().started == 1

    anyio.run(main)


def test_a_worker_that_does_not_stop_is_ended_after_the_grace():
    async def main():
        async with lw.AsyncPool(timeouts=lw.Timeouts(cancel_grace=0.3)) as pool:
            async with pool.lease(FUNCTIONS) as lease:
                await lease.call(ECHO, 1)
                with anyio.move_on_after(0.2) as scope:
                    await lease.call(HANG)
                assert scope.cancelled_caught and lease.is_stale
            assert pool.snapshot().ended["cancelled"] == 1 and is_clear(pool)

    anyio.run(main)


def test_a_cancelled_task_of_a_cancelled_scope_does_not_wait_for_the_grace():
    async def main():
        async with lw.AsyncPool(timeouts=lw.Timeouts(cancel_grace=600)) as pool:
            async with pool.lease(FUNCTIONS) as lease:
                scope = anyio.CancelScope()

                async def hang():
                    with scope:
                        await lease.call(HANG)

                task = asyncio.ensure_future(hang())
                await until(lambda: pool.snapshot().requests == 1)
                scope.cancel()
                await anyio.sleep(0.05)
                assert not task.done()
                task.cancel()
                await asyncio.wait([task], timeout=20)
                assert task.done() and lease.is_stale

    anyio.run(main)


@pytest.mark.parametrize("where", ["queue", "start", "prewarm"])
def test_cancelled_while_it_waits_for_a_worker_a_task_leaves_nothing(where):
    async def main():
        async with lw.AsyncPool(2 if where == "prewarm" else 1) as pool:
            held = await pool.lease(FUNCTIONS) if where == "queue" else None
            with anyio.move_on_after(0.3) as scope:
                if where == "prewarm":
                    await pool.prewarm(SLOW_START, 2)
                else:
                    await pool.lease(OTHER if where == "queue" else SLOW_START)
            assert scope.cancelled_caught
            if held is not None:
                await held.release()
            assert is_clear(pool)
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, 1) == 1

    anyio.run(main)


@pytest.mark.parametrize("how", ["iterate", "body"])
def test_many_requests_in_a_cancelled_scope(how):
    async def main():
        async with lw.AsyncPool(2) as pool:
            before = len(asyncio.all_tasks())
            with anyio.CancelScope() as scope:
                rows = []

                def on_row(index, row):
                    rows.append(row)
                    if how == "iterate" and len(rows) == 10:
                        scope.cancel()

                many = pool.stream_many(ENDLESS, [None] * 4, capability=FUNCTIONS, on_row=on_row)
                async with many as outcomes:
                    if how == "body":
                        consumer = asyncio.ensure_future(anext_of(outcomes))
                        await until(lambda: rows)
                        scope.cancel()
                        try:
                            await anyio.sleep(600)
                        finally:
                            consumer.cancel()
                    async for _ in outcomes:
                        pass
            assert scope.cancelled_caught and is_clear(pool)
            await until(lambda: len(asyncio.all_tasks()) == before)
            assert pool.snapshot().failures == 0

    async def anext_of(outcomes):
        return await outcomes.__anext__()

    anyio.run(main)


def test_closing_a_pool_in_a_cancelled_scope_kills_what_is_lent():
    async def main():
        pool = lw.AsyncPool(timeouts=lw.Timeouts(drain=600))
        lease = await pool.lease(FUNCTIONS)
        with anyio.move_on_after(0.2) as scope:
            await pool.close()
        assert scope.cancelled_caught and lease.is_stale
        await lease.release()
        assert is_clear(pool)

    anyio.run(main)


def test_random_deadlines(rand):
    """Scopes that end anywhere: nothing is lost, and a worker that heeds cancels stays."""

    async def main():
        async with lw.AsyncPool(timeouts=lw.Timeouts(cancel_grace=30)) as pool:
            for _ in range(80):
                with anyio.move_on_after(rand.random() * 0.02):
                    async with pool.lease(FUNCTIONS) as lease:
                        while True:
                            await lease.call(ECHO, 1)
                            await lease.run(ENDLESS, on_row=lambda row: None)
                assert is_clear(pool)
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, 1) == 1
            assert pool.snapshot().ended["timeout"] == pool.snapshot().ended["crashed"] == 0

    anyio.run(main)
