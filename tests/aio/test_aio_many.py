"""Many requests with tasks instead of threads: the tests of `test_many*.py` on `AsyncPool`, and what is asyncio's own."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading

import pytest

import lean_worker as lw
import on_loop
from many_requests import NO_LIMITS
from support import FUNCTIONS, HELPERS
from test_many import (  # noqa: F401  (run here with this file's `two`)
    test_a_crash_in_a_batch_goes_on_with_its_next,
    test_a_lost_request_gets_another_sink,
    test_a_sink_that_cannot_be_is_the_outcome_of_its_request,
    test_a_source_may_feed_on_outcomes,
    test_a_source_that_raises_comes_last,
    test_a_streaming_command_is_collected,
    test_an_endless_source_is_read_only_as_far_as_needed,
    test_counts_while_it_runs,
    test_diagnostics_and_progress_say_whose_they_are,
    test_in_order_the_first_is_waited_for,
    test_on_real_lean,
    test_outcomes_as_they_come,
    test_rows_of_each_request_go_to_a_sink_of_its_own,
    test_what_on_done_raises_is_logged,
    test_what_on_row_raises_ends_its_request_only,
    test_wrong_arguments,
    test_wrong_arguments_of_streams,
)
from test_many_failures import (  # noqa: F401  (run here with this file's `two`)
    test_a_lease_that_the_caller_holds_holds_nothing_up,
    test_a_request_without_json_form_is_an_outcome,
    test_a_verdict_is_an_outcome,
    test_cancelling_gives_each_that_was_taken_an_outcome,
    test_leaving_early_stops_at_a_row_and_keeps_workers,
    test_lost_requests_are_sent_again_only_if_the_caller_says_so,
    test_time_limits_of_single_requests,
    test_what_cannot_be_hosted_is_the_outcome_of_every_request,
)

pytestmark = [pytest.mark.supervision, pytest.mark.once]

ECHO = lw.JsonCommand("echo")
ENDLESS = lw.StreamingCommand("endless")


@pytest.fixture
def two():
    loops = on_loop.Loops()
    with loops.Pool(2, restarts=NO_LIMITS) as pool:
        yield pool
    loops.close()


def map_tasks():
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("lean-worker-map")]


def test_tasks_and_no_threads_run_requests():
    async def main():
        async with lw.AsyncPool(2) as pool:
            names = set()
            seen = []
            async with pool.map(ECHO, range(50), capability=FUNCTIONS, in_flight=8) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome.raise_for_error())
                    names.update(thread.name for thread in threading.enumerate())
                    assert len(map_tasks()) <= 2
            assert seen == list(range(50))
            assert not any(name.startswith("lean-worker-map") for name in names)
            assert not map_tasks()

    asyncio.run(main())


def test_a_consumer_that_is_cancelled_stops_everything():
    async def main():
        async with lw.AsyncPool(2) as pool:
            seen = []

            async def consume():
                commands = itertools.repeat(None)
                async for outcome in pool.stream_many(
                    ENDLESS, commands, capability=FUNCTIONS, on_row=lambda i, row: seen.append(i)
                ):
                    raise AssertionError(outcome)

            task = asyncio.ensure_future(consume())
            while not {0, 1} <= set(seen):
                await asyncio.sleep(0.002)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not map_tasks()
            snapshot = pool.snapshot()
            assert (snapshot.leased, snapshot.started, snapshot.failures) == (0, 2, 0)

    asyncio.run(main())


def test_a_run_whose_tasks_somebody_else_cancels_does_not_look_complete():
    async def main():
        async with lw.AsyncPool(2) as pool:
            seen = []
            with pytest.raises(lw.Cancelled, match="of 1000 were taken"):
                async for outcome in pool.map(ECHO, range(1000), capability=FUNCTIONS):
                    seen.append(outcome.index)
                    if len(seen) == 5:
                        for task in map_tasks():
                            task.cancel()
            assert seen == list(range(len(seen))) and 5 < len(seen) < 1000
            assert await pool.call(FUNCTIONS, ECHO, 1) == 1

    asyncio.run(main())


def test_a_loop_that_ends_in_the_middle_is_not_held_up():
    pools = []

    async def main():
        pool = lw.AsyncPool(2)
        pools.append(pool)
        outcomes = pool.map(ECHO, itertools.count(), capability=FUNCTIONS)
        pools.append(outcomes)
        async for outcome in outcomes:
            if outcome.index == 5:
                return  # and the tasks are cancelled by `asyncio.run`

    asyncio.run(main())
    pool, outcomes = pools
    assert pool.snapshot().leased == 0
    asyncio.run(outcomes.close())
    asyncio.run(pool.close())


CLOSED_OVER = """
import asyncio, faulthandler, gc, sys, tempfile
from pathlib import Path
import lean_worker as lw
from support import FUNCTIONS
faulthandler.dump_traceback_later(80, exit=True)
HANG = lw.JsonCommand("hang")
slow = Path(tempfile.mkdtemp())
(slow / "slow.py").write_text("import time; time.sleep(600)")
SLOW = lw.PythonCapability("slow:COMMANDS", path=[slow])

async def maps(pool, command):
    while True:
        async with pool.map(command, range(20), capability=FUNCTIONS) as outcomes:
            async for _ in outcomes:
                pass

async def calls(pool):
    async with pool.lease(FUNCTIONS) as lease:
        await lease.call(HANG)

async def streams(pool):
    async with pool.lease(FUNCTIONS) as lease, lease.stream(lw.StreamingCommand("row_then_hang")) as rows:
        async for _ in rows:
            pass

async def starts(pool):
    async with pool.lease(SLOW):
        pass

async def waits(pool):
    async with pool.lease(FUNCTIONS), pool.lease(FUNCTIONS):
        pass

USES = [lambda pool: maps(pool, lw.JsonCommand("echo")), lambda pool: maps(pool, HANG), calls, streams, starts, waits]

for round in range(2):
    pools = [lw.Pool(1, timeouts=lw.Timeouts(shutdown=0.3, cancel_grace=0.1)) for _ in USES]
    loop = asyncio.new_event_loop()
    tasks = []
    for use, pool in zip(USES, pools):
        tasks.append(loop.create_task(use(lw.AsyncPool.sharing(pool))))
        loop.call_later(0.1, loop.stop)
        loop.run_forever()
        gc.collect(round)  # so that the collector meets outer and inner in different orders
    loop.call_later(0.5, loop.stop)
    loop.run_forever()
    loop.close()
    if sys.argv[1] == "at the end":
        break
    del tasks, loop
    gc.collect()
    for pool in pools:
        pool.close(drain=0)
        assert pool.snapshot().leased == 0
print("closed")
"""


@pytest.mark.supervision
@pytest.mark.parametrize("when", ["collected", "at the end"])
def test_a_loop_may_be_closed_in_the_middle(when):
    argv = [sys.executable, "-c", CLOSED_OVER, when]
    done = subprocess.run(argv, cwd=HELPERS, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(("Task was destroyed", "task: "))]
    assert said == []  # but what asyncio itself says of such tasks


def test_callbacks_are_plain_functions():
    async def callback(*_):
        raise AssertionError

    pool = lw.AsyncPool()
    for name in ("on_done", "on_progress", "on_diagnostic"):
        with pytest.raises(lw.UsageError, match=f"{name} as a plain function"):
            pool.map(ECHO, [], capability=FUNCTIONS, **{name: callback})
    for name in ("on_row", "sink"):
        with pytest.raises(lw.UsageError, match=f"{name} as a plain function"):
            pool.stream_many(ENDLESS, [], capability=FUNCTIONS, **{name: callback})
    asyncio.run(pool.close())
