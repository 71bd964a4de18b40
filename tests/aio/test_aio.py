"""What only the asyncio surface promises: fairness, no thread for a request, loops that come and go.

What it shares with the blocking one is in `test_conformance.py` and `test_crash_table.py`, which run on both.
"""

from __future__ import annotations

import asyncio
import collections
import os
import threading
import time

import pytest

import lean_worker as lw
from aio_tasks import ECHO, ENDLESS, GATE, HANG, ROWS, SLOW_START, cancelled, granted_lease, is_clear, until
from support import FUNCTIONS, liar, wait_until

pytestmark = pytest.mark.supervision


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
            waiting = [asyncio.ensure_future(granted_lease(pool)) for _ in range(92)]
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
            done = await lease.run(ROWS, {"count": 1000}, sink=lw.sinks.JsonLinesSink(path))
            assert len(path.read_text().splitlines()) == done.total_rows == 1000
            before = path.read_bytes()
            task = asyncio.ensure_future(lease.run(ENDLESS, sink=lw.sinks.JsonLinesSink(path)))
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
                    if rows == 400_000:
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
                worker = lease._core.loan.worker
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
                    worker = lease._core.loan.worker
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
