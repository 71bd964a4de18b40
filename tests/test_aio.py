"""What only the asyncio surface promises: cancellation, fairness, no thread for a request, loops that come and go.

What it shares with the blocking one is in `test_conformance.py` and `test_crash_table.py`, which run on both.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

import lean_worker as lw
from support import FUNCTIONS, HOSTS, is_running, liar, wait_until

pytestmark = pytest.mark.supervision

ECHO = lw.JsonCommand("echo")
ABOUT = lw.JsonCommand("about_me")
HANG = lw.JsonCommand("hang")
ROWS = lw.StreamingCommand("rows")
ENDLESS = lw.StreamingCommand("endless")
GATE = lw.StreamingCommand("row_then_gate")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
SLOW_START = lw.ProcessCapability([sys.executable, "-c", "import time; time.sleep(600)"])


async def until(condition):
    """Like `wait_until`, and the loop goes on."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.002)


async def cancelled(task):
    """Cancel a task and see it end so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_clear(pool):
    """Nobody waits, nothing is lent."""
    snapshot = pool.snapshot()
    return (snapshot.queued, snapshot.leased) == (0, 0)


@pytest.fixture(params=["ring", "pipe"])
def transport(request, monkeypatch):
    if request.param == "pipe":
        monkeypatch.setenv("LEAN_WORKER_NO_RING", "1")


# -- many tasks --


def test_a_hundred_tasks_over_four_workers_are_served_fairly_and_by_no_thread():
    tasks, seconds = 100, 2.0
    done = collections.Counter()
    threads = set()

    async def user(number, pool, end):
        while time.monotonic() < end:
            async with pool.lease(FUNCTIONS) as lease:
                value = [number, done[number]]
                assert await lease.call(ECHO, value) == value
                rows = [row async for row in lease.stream(ROWS, {"count": 3})]
                assert [row.payload["i"] for row in rows] == [0, 1, 2]
            done[number] += 1
            threads.update(thread.name for thread in threading.enumerate())

    async def main():
        async with lw.AsyncPool(4) as pool:
            await pool.prewarm(FUNCTIONS, 4)
            end = time.monotonic() + seconds
            await asyncio.gather(*(user(number, pool, end) for number in range(tasks)))
            snapshot = pool.snapshot()
            assert snapshot.outcomes == {"ok": 2 * done.total()}
            assert (snapshot.started, snapshot.failures, snapshot.queued, snapshot.leased) == (4, 0, 0, 0)

    before = {thread.name for thread in threading.enumerate()}
    asyncio.run(main())
    assert len(done) == tasks
    assert max(done.values()) <= 2 * min(done.values()), sorted(done.values())
    # The loop's own few helpers look up what to start; none of them waits for a request.
    helpers = {name for name in threads - before if not name.startswith("asyncio_")}
    assert helpers == set()
    assert len(threads - before) <= min(32, (os.cpu_count() or 1) + 4)


def test_hundred_requests_in_flight_have_no_thread_each():
    async def main():
        async with lw.AsyncPool(8, timeouts=lw.Timeouts(cancel_grace=0.1)) as pool:
            leases = [await pool.lease(FUNCTIONS) for _ in range(8)]
            before = threading.active_count()
            tasks = [asyncio.ensure_future(lease.call(HANG)) for lease in leases]
            waiting = [asyncio.ensure_future(_grant(pool)) for _ in range(92)]
            await until(lambda: pool.snapshot().requests == 8 and pool.snapshot().queued == 92)
            # All 92 have looked up what to start by now; the executor that did it is bounded.
            assert threading.active_count() - before <= min(32, (os.cpu_count() or 1) + 4)
            for task in (*tasks, *waiting):
                task.cancel()
            assert {type(end) for end in await asyncio.gather(*tasks, *waiting, return_exceptions=True)} == {
                asyncio.CancelledError
            }
            for lease in leases:
                await lease.release()
            assert is_clear(pool)

    asyncio.run(main())


async def _grant(pool):
    return await pool.lease(FUNCTIONS)


def test_threads_and_tasks_wait_in_one_queue():
    order = []

    async def task(pool, number):
        async with pool.lease(FUNCTIONS):
            order.append(number)

    def thread(pool, number):
        with pool.lease(FUNCTIONS):
            order.append(number)

    async def main(pool):
        shared = lw.AsyncPool.sharing(pool)
        users = []
        async with shared.lease(FUNCTIONS):
            for number in range(10):
                if number % 2:
                    users.append(asyncio.ensure_future(task(shared, number)))
                else:
                    users.append(asyncio.ensure_future(asyncio.to_thread(thread, pool, number)))
                await until(lambda: pool.snapshot().queued == len(users))
        await asyncio.gather(*users)
        await shared.close()  # which is left to the owner

    with lw.Pool() as pool:
        asyncio.run(main(pool))
        assert order == list(range(10))
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(ECHO, 1) == 1
        assert pool.snapshot().started == 1


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
                    tasks.append(asyncio.ensure_future(_grant(pool)))
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
                task = asyncio.ensure_future(_grant(pool))
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
                await until(lambda: any(hasattr(worker, "_channel") for worker in list(pool._pool._workers)))
                (worker,) = pool._pool._workers
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
        with pytest.raises(lw.StaleLease):
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
        await until(lambda: any(hasattr(worker, "_channel") for worker in list(pool._pool._workers)))
        (worker,) = pool._pool._workers
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
        await until(lambda: pool._pool._workers)  # and it sits out the pause
        await pool.close(drain=0)
        with pytest.raises(lw.UsageError, match="closed"):
            await task
        assert is_clear(pool)

    asyncio.run(main())


# -- one lease, several tasks --


def test_a_second_request_of_a_lease_is_refused():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            async with lease.stream(ENDLESS) as rows:
                await rows.__anext__()
                with pytest.raises(lw.UsageError, match="another request"):
                    await lease.call(ECHO, 1)
                await rows.__anext__()

    asyncio.run(main())


def test_a_stream_is_taken_by_one_task_at_a_time():
    async def main():
        timeouts = lw.Timeouts(cancel_grace=0.1)
        async with lw.AsyncPool(timeouts=timeouts) as pool, pool.lease(FUNCTIONS) as lease:
            rows = lease.stream(GATE, {"gate": "/nowhere"})
            await rows.__anext__()
            task = asyncio.ensure_future(rows.__anext__())
            await asyncio.sleep(0.01)
            for use in (rows.__anext__(), rows.close()):
                with pytest.raises(lw.UsageError, match="another task"):
                    await use
            await cancelled(task)

    asyncio.run(main())


def test_releasing_a_lease_ends_the_request_of_another_task():
    async def main():
        async with lw.AsyncPool() as pool:
            lease = await pool.lease(FUNCTIONS)
            seen = []

            async def read():
                await lease.run(ENDLESS, on_row=seen.append)

            task = asyncio.ensure_future(read())
            await until(lambda: seen)
            await lease.release()
            with pytest.raises(lw.Cancelled, match="released"):
                await task
            assert is_clear(pool)
            assert (pool.snapshot().idle, pool.snapshot().started) == (1, 1)

    asyncio.run(main())


def test_a_stream_that_is_dropped_is_stopped_before_the_next_request():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            for _ in range(5):
                async for _ in lease.stream(ENDLESS):
                    break
                assert await lease.call(ECHO, 1) == 1
            async for _ in lease.stream(ENDLESS):
                break
        assert (pool.snapshot().started, pool.snapshot().failures) == (1, 0)

    asyncio.run(main())


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
            assert [row async for row in unused] == []
            assert pool.snapshot().requests == 1

    asyncio.run(main())


def test_sinks_of_rows_may_wait_and_those_of_events_may_not():
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            seen = []

            async def on_row(row):
                await asyncio.sleep(0)
                seen.append(row.sequence)

            events = []
            await lease.run(ROWS, {"count": 5}, on_row=on_row)
            await lease.run(lw.StreamingCommand("events"), on_row=on_row, on_progress=events.append)
            assert seen == [0, 1, 2, 3, 4, 0]
            assert [event.current for event in events] == [1, 2]
            with pytest.raises(lw.UsageError, match="plain function"):
                await lease.call(ECHO, 1, on_diagnostic=on_row)

            async def refuse(row):
                raise KeyError("no")

            with pytest.raises(KeyError):
                await lease.run(ENDLESS, on_row=refuse)
            assert (await lease.metadata("metadata")).commands[0].name == "rows"
            assert (await lease.doctor("doctor")).diagnostics[0].code == "ok"
            assert pool.snapshot().started == 1

    asyncio.run(main())


def test_rows_go_to_sinks_and_are_committed_together(tmp_path):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            path = tmp_path / "rows.jsonl"
            done = await lease.run(ROWS, {"count": 1000}, sink=lw.JsonLinesSink(path))
            assert len(path.read_text().splitlines()) == done.total_rows == 1000
            before = path.read_bytes()
            task = asyncio.ensure_future(lease.run(ENDLESS, sink=lw.JsonLinesSink(path)))
            await until(lambda: pool.snapshot().requests == 2)
            await asyncio.sleep(0.05)
            await cancelled(task)
            assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
            with pytest.raises(lw.UsageError, match="either"):
                await lease.run(ROWS, {"count": 1})
            assert await lease.call(ECHO, 1) == 1

    asyncio.run(main())


# -- the loop --


def test_a_fast_stream_does_not_starve_other_tasks(transport):
    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.ensure_future(other())
            rows = 0
            longest = 0.0
            last, last_turns = time.monotonic(), turns
            async with lease.stream(ENDLESS) as stream:
                async for _ in stream:
                    rows += 1
                    now = time.monotonic()
                    if turns != last_turns:
                        last, last_turns = now, turns
                    longest = max(longest, now - last)
                    if rows == 50_000:
                        break
            await cancelled(task)
            assert turns > 50
            assert longest < 0.25, longest  # by design a millisecond; the machine may be busy

    asyncio.run(main())


def test_rows_at_hand_are_given_out_with_turns_in_between():
    """A worker that was ahead: all rows lie there, no wait is needed for them, and still others get their turns."""

    async def main():
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            async with lease.stream(ENDLESS) as rows:
                await rows.__anext__()
                await asyncio.sleep(0.3)
                turns = 0

                async def other():
                    nonlocal turns
                    while True:
                        turns += 1
                        await asyncio.sleep(0)

                task = asyncio.ensure_future(other())
                spent = 0
                for _ in range(100):
                    await rows.__anext__()
                    end = time.monotonic() + 0.0015  # the caller's own work
                    while time.monotonic() < end:
                        spent += 1
                await cancelled(task)
                assert turns >= 50

    asyncio.run(main())


def test_a_task_that_takes_no_rows_leaves_them_to_the_worker(transport):
    async def main():
        loop = asyncio.get_running_loop()
        async with lw.AsyncPool() as pool, pool.lease(FUNCTIONS) as lease:
            async with lease.stream(ENDLESS) as rows:
                await rows.__anext__()
                worker = lease._lease._loan.worker
                channel = worker._channel
                received = channel.received_bytes
                descriptors = [worker._process.frames_fd, channel._wake_read]
                if channel._ring is not None:
                    descriptors.append(channel._ring.data_fd)
                    await until(lambda: 2 * channel._ring.waiting_bytes > 1 << 20)
                await asyncio.sleep(0.1)
                assert not any(loop.remove_reader(descriptor) for descriptor in descriptors)
                assert channel.received_bytes == received
                for i in range(1, 20_000):
                    assert (await rows.__anext__()).sequence == i
            assert pool.snapshot().started == 1

    asyncio.run(main())


def test_a_deadline_holds_while_a_task_blocks_its_loop():
    async def main():
        async with lw.AsyncPool() as pool:
            async with pool.lease(FUNCTIONS) as lease:
                seen = []

                def on_row(row):
                    seen.append(row)
                    worker = lease._lease._loan.worker
                    wait_until(lambda: worker._process.has_ended)  # and the loop stands still

                with pytest.raises(lw.RequestTimeout) as caught:
                    await lease.run(ENDLESS, on_row=on_row, timeout=0.6)
            assert caught.value.rows_delivered == len(seen) == 1

    asyncio.run(main())


def test_a_token_cancels_from_any_thread():
    async def main():
        timeouts = lw.Timeouts(cancel_grace=0.1)
        async with lw.AsyncPool(timeouts=timeouts) as pool, pool.lease(FUNCTIONS) as lease:
            token = lw.CancelToken()
            timer = threading.Timer(0.1, token.cancel)
            timer.start()
            with pytest.raises(lw.Cancelled):
                await lease.run(GATE, {"gate": "/nowhere"}, on_row=print, cancel=token)
            timer.join()

    asyncio.run(main())


def test_loops_in_threads_have_their_own_pools_or_share_one():
    counts = collections.Counter()

    async def use(pool, name):
        for i in range(20):
            async with pool.lease(FUNCTIONS) as lease:
                assert await lease.call(ECHO, [name, i]) == [name, i]
                counts[name] += 1

    async def own(name):
        async with lw.AsyncPool() as pool:
            await use(pool, name)

    with lw.Pool() as common:
        runs = [lambda name=name: asyncio.run(own(name)) for name in "ab"]
        runs += [lambda name=name: asyncio.run(use(lw.AsyncPool.sharing(common), name)) for name in "cd"]
        threads = [threading.Thread(target=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == dict.fromkeys("abcd", 20)


def test_a_running_loop_is_enough_from_cell_to_cell():
    """As in a notebook: one loop that runs all the time, a pool that lives from one cell to the next."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def cell(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    async def first():
        names["pool"] = lw.AsyncPool()
        names["lease"] = await names["pool"].lease(FUNCTIONS)

    async def second():
        return [row.sequence async for row in names["lease"].stream(ROWS, {"count": 3})]

    async def last():
        await names["lease"].release()
        await names["pool"].close()
        await loop.shutdown_default_executor()

    names = {}
    cell(first())
    assert cell(second()) == [0, 1, 2]
    cell(last())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_prewarming_starts_different_workers_side_by_side_and_can_be_cancelled():
    async def main():
        async with lw.AsyncPool(3) as pool:
            await pool.prewarm(FUNCTIONS, 3)
            assert (pool.snapshot().idle, pool.snapshot().started) == (3, 3)
            with pytest.raises(lw.UsageError):
                await pool.prewarm(FUNCTIONS, 4)
            task = asyncio.ensure_future(pool.prewarm(SLOW_START, 2))
            await until(lambda: pool.snapshot().leased == 2)
            await cancelled(task)
            assert is_clear(pool)
            with pytest.raises(lw.LeanWorkerError):
                await pool.prewarm(liar("second_handshake").__class__(["/nowhere"]))

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
    code = SCRIPT.format(tests=str(HOSTS.parent), body=ENDS[how])
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
