"""Ends of what the asyncio surface gives: none looks complete that is not, is granted twice, or is left behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys

import pytest

import lean_worker as lw
from aio_tasks import ABOUT, ECHO, ROWS, is_clear, until
from support import FUNCTIONS, HELPERS, is_running, wait_until

pytestmark = pytest.mark.supervision


def test_a_stream_is_used_once_and_has_no_summary_before_its_end():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            rows = lease.stream(ROWS, {"count": 2})
            with pytest.raises(lw.UsageError):
                _ = rows.summary
            assert rows.rows_delivered == 0
            async with rows:
                await rows.__anext__()
                with pytest.raises(lw.UsageError):
                    _ = rows.summary
                assert [row.sequence async for row in rows] == [1]
            assert (rows.summary.total_rows, rows.rows_delivered) == (2, 2)
            await rows.close()
            assert [row async for row in rows] == []
            with pytest.raises(lw.UsageError, match="used before"):
                async with rows:
                    pass
            unused = lease.stream(ROWS, {"count": 2})
            await unused.close()
            with pytest.raises(lw.UsageError, match="before it began"):
                _ = [row async for row in unused]
            async with lease.stream(ROWS, {"count": 2}) as left:
                pass
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                _ = [row async for row in left]
            async with lease.stream(ROWS, {"count": 50}) as left:
                later = (row async for row in left)
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                _ = [row async for row in later]
            async with pool.map(ECHO, range(3), capability=FUNCTIONS) as outcomes:
                later = (outcome async for outcome in outcomes)
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                _ = [outcome async for outcome in later]
            outcomes = pool.map(ECHO, range(3), capability=FUNCTIONS)
            later = (outcome async for outcome in outcomes)
            await outcomes.close()
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                _ = [outcome async for outcome in later]
            closing = lease.stream(ROWS, {"count": 2})
            async for _ in closing:
                await closing.close()
            assert closing.rows_delivered == 1
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                await closing.__anext__()
            closing = lease.stream(ROWS, {"count": 50})
            with pytest.raises(lw.Cancelled, match="closed before its end"):
                async for _ in closing:
                    await asyncio.create_task(closing.close())
            assert closing.rows_delivered == 1
            assert pool.snapshot().requests == 5

    asyncio.run(main())


def test_a_lease_that_is_asked_for_is_granted_once():
    async def main():
        async with lw.AsyncPool(2) as pool:
            asked = pool.lease(FUNCTIONS)
            async with asked as lease:
                with pytest.raises(lw.UsageError, match="awaited, or entered, before"):
                    async with asked:
                        pass
                with pytest.raises(lw.UsageError, match="awaited, or entered, before"):
                    await asked
                assert pool.snapshot().leased == 1 and await lease.call(ECHO, 1) == 1
            assert pool.snapshot().leased == 0

    asyncio.run(main())


def test_what_takes_rows_after_a_cancelled_task_is_told():
    """Most waits of a fast stream are the pauses, each after a millisecond, in which other tasks run."""

    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            rows = lease.stream(ROWS, {"count": 1000})
            later = (row async for row in rows)

            async def take():
                async for _ in rows:
                    asyncio.current_task().cancel()
                    rows._turn_at = 0.0  # the millisecond is over: the next step begins with a pause

            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(take())
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                await rows.__anext__()
            with pytest.raises(lw.UsageError, match="closed, or failed, before its end"):
                _ = [row async for row in later]

    asyncio.run(main())


# -- what nobody closed --


def test_a_dropped_pool_is_closed_with_a_warning():
    async def main():
        pool = lw.AsyncPool()
        async with pool.lease(FUNCTIONS) as lease:
            return pool, (await lease.call(ABOUT))["pid"]

    pool, pid = asyncio.run(main())
    assert is_running(pid)
    with pytest.warns(ResourceWarning, match="pool was dropped"):
        del pool
        gc.collect()
    wait_until(lambda: not is_running(pid))


def test_a_dropped_lease_is_given_back_with_a_warning():
    async def main():
        async with lw.AsyncPool() as pool:
            lease = await pool.lease(FUNCTIONS)
            with pytest.warns(ResourceWarning, match="lease was dropped"):
                del lease
                gc.collect()
            await until(lambda: is_clear(pool))

    asyncio.run(main())


SCRIPT = """
import asyncio, gc, sys
sys.path.insert(0, {tests!r})
import lean_worker as lw
from support import FUNCTIONS

pids = []

async def work(pool):
    async with pool.lease(FUNCTIONS) as lease:
        pids.append((await lease.call(lw.JsonCommand("about_me")))["pid"])
        async for row in lease.stream(lw.StreamingCommand("row_then_hang")):
            pids.append("row")

{body}
print(*[pid for pid in pids if pid != "row"])
"""
ENDS = {
    "loop_closed_over_tasks": """
pool = lw.AsyncPool(2, timeouts=lw.Timeouts(cancel_grace=0.2))
loop = asyncio.new_event_loop()
tasks = [loop.create_task(work(pool)) for _ in range(2)]
async def rows():
    while pids.count("row") < 2:
        await asyncio.sleep(0.01)
loop.run_until_complete(rows())
loop.close()
del pool, tasks, loop
gc.collect()
""",
    "run_over": """
async def main():
    pool = lw.AsyncPool(2, timeouts=lw.Timeouts(cancel_grace=0.2))
    tasks = [asyncio.ensure_future(work(pool)) for _ in range(2)]
    while pids.count("row") < 2:
        await asyncio.sleep(0.01)
asyncio.run(main())
gc.collect()
""",
    "interpreter_exits": """
pool = lw.AsyncPool(2, timeouts=lw.Timeouts(cancel_grace=0.2))
async def main():
    async with pool.lease(FUNCTIONS) as lease:
        pids.append((await lease.call(lw.JsonCommand("about_me")))["pid"])
asyncio.run(main())
""",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_loop_that_ends_with_an_open_pool_hangs_nothing(how):
    code = SCRIPT.format(tests=str(HELPERS), body=ENDS[how])
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == (1 if how == "interpreter_exits" else 2)
    wait_until(lambda: not any(is_running(pid) for pid in pids))
    if how != "interpreter_exits":
        assert "pool was dropped without close" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
