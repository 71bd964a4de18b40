"""The calls of `races`, and what other threads do to what a call uses."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import traceback
from pathlib import Path

import psutil

import lean_worker as lw
from support import FUNCTIONS, is_running, send_signal

ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
PACED = lw.StreamingCommand("paced")
WORKERS = 2
MOST_WAIT_SECONDS = 0.2
"""The most time that a call is held up for the others, who may be waiting for it."""
FILES = [(f"f{n}", f"prelude\nimport LeanWorker.Library\nexample : {n} = {n} := rfl\n") for n in range(2)]
GOAL = "prelude\nimport LeanWorker.Library\ntheorem goal : True := trivial\n"
tasks: collections.deque[asyncio.Task] = collections.deque(maxlen=50)


def is_worker(process: psutil.Process) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return "lean_worker.child" in " ".join(line)


class Call:
    """One round: the call, and what it uses, for others to reach."""

    def __init__(self, folder: Path, pool: lw.Pool) -> None:
        self.folder = folder
        self.pool = pool
        self.token = lw.CancelToken()
        self.lease: lw.Lease | lw.AsyncLease | None = None
        self.stream: lw.RowStream | None = None
        self.outcomes: lw.Outcomes | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task | None = None

    # -- calls on a thread --

    def requests(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            for number in range(8):
                assert self.lease.call(ECHO, number, cancel=self.token) == number

    def one_call(self) -> None:
        assert self.pool.call(FUNCTIONS, ECHO, "one", cancel=self.token) == "one"

    def many_rows(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            self.take(self.lease.stream(ROWS, {"count": 3000}, cancel=self.token), 3000)

    def paced_rows(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            self.take(self.lease.stream(PACED, {"count": 60, "every_us": 60}, cancel=self.token), 60)

    def few_rows(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            for _ in range(3):
                self.take(self.lease.stream(ROWS, {"count": 3}, cancel=self.token), 3)

    def take(self, stream, count: int) -> None:
        self.stream = stream
        expected = 0
        with stream:
            for row in stream:
                assert row.payload["i"] == expected, "rows come in order, each once"
                expected += 1
        assert stream.summary.total_rows == expected == count

    def leave_early(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            with self.lease.stream(ROWS, {"count": 3000}, cancel=self.token) as self.stream:
                next(self.stream, None)
            for number, row in enumerate(self.lease.stream(ROWS, {"count": 3000}, cancel=self.token)):
                assert row.payload["i"] == number
                if number == 5:
                    break
            assert self.lease.call(ECHO, 1, cancel=self.token) == 1

    def collected(self) -> None:
        found = self.pool.collect(FUNCTIONS, ROWS, {"count": 200}, cancel=self.token)
        assert [row.payload["i"] for row in found.rows] == list(range(200))

    def sink(self) -> None:
        path, count = self.folder / "rows.jsonl", random.randrange(1, 2000)
        before = path.read_bytes() if path.exists() else b""
        try:
            with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
                self.lease.run(ROWS, {"count": count}, sink=lw.sinks.JsonLinesSink(path), cancel=self.token)
        except lw.LeanWorkerError:
            now = path.read_bytes() if path.exists() else b""
            assert now == before, "a failure leaves the file as it was"
            raise
        assert [json.loads(line)["i"] for line in path.read_bytes().splitlines()] == list(range(count))

    def mapped(self) -> None:
        with self.pool.map(ECHO, range(15), capability=FUNCTIONS, cancel=self.token) as self.outcomes:
            self.take_outcomes(self.outcomes)

    def streams(self) -> None:
        rows: dict[int, int] = collections.Counter()

        def on_row(index: int, row: lw.DataRow) -> None:
            assert row.payload["i"] == rows[index]
            rows[index] += 1

        requests = [{"count": 20}] * 6
        many = self.pool.stream_many(ROWS, requests, capability=FUNCTIONS, on_row=on_row, cancel=self.token)
        with many as self.outcomes:
            self.take_outcomes(self.outcomes)

    def take_outcomes(self, outcomes) -> None:
        failed: BaseException | None = None
        for number, outcome in enumerate(outcomes):
            assert outcome.index == number
            failed = failed or outcome.error
        if failed is not None:
            raise failed

    def job(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            job = lw.Job(Path(folder, "job"), ROWS, FUNCTIONS, out=Path(folder, "out.jsonl"))
            report = job.run(self.pool, [{"count": number} for number in range(5)], cancel=self.token)
            rows = Path(folder, "out.jsonl")
            if report.is_complete:
                assert len(rows.read_bytes().splitlines()) == 10
            else:
                assert not rows.exists(), "an incomplete job has no output"

    def changed(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            self.lease.cycle(cancel=self.token)
            assert self.lease.call(ECHO, 2, cancel=self.token) == 2

    def warmed(self) -> None:
        self.pool.prewarm(FUNCTIONS, 2)

    def shown(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            for _ in range(5):
                assert self.pool.snapshot().max_workers == WORKERS
                repr(self.lease), repr(self.pool)

    def closed(self) -> None:
        with self.pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            assert self.lease.call(ECHO, 3, cancel=self.token) == 3
        self.pool.close()

    def capability(self) -> None:
        lw.checking.check_capability(FUNCTIONS)

    # -- on real Lean --

    def check(self) -> None:
        items = list(lw.check(FILES, pool=self.pool, toolchain="embedded", cancel=self.token))
        assert [item.verdict for item in items] == [lw.Verdict.ACCEPTED] * len(FILES)

    def verify(self) -> None:
        statement = self.folder / "statement.lean"
        statement.write_text(GOAL.replace("trivial", "sorry"))
        found = list(
            lw.verify([("c", GOAL)], statement=statement, pool=self.pool, toolchain="embedded", cancel=self.token)
        )
        assert [item.is_proved for item in found] == [True]

    # -- calls on a loop --

    async def requests_of_loop(self, pool: lw.AsyncPool) -> None:
        async with pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            for number in range(8):
                assert await self.lease.call(ECHO, number, cancel=self.token) == number

    async def rows_of_loop(self, pool: lw.AsyncPool) -> None:
        async with pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            expected = 0
            async with self.lease.stream(ROWS, {"count": 2000}, cancel=self.token) as self.stream:
                async for row in self.stream:
                    assert row.payload["i"] == expected, "rows come in order, each once"
                    expected += 1
            assert self.stream.summary.total_rows == expected == 2000

    async def collected_of_loop(self, pool: lw.AsyncPool) -> None:
        found = await pool.collect(FUNCTIONS, ROWS, {"count": 200}, cancel=self.token)
        assert [row.payload["i"] for row in found.rows] == list(range(200))

    async def mapped_of_loop(self, pool: lw.AsyncPool) -> None:
        async with pool.map(ECHO, range(10), capability=FUNCTIONS, cancel=self.token) as outcomes:
            number = 0
            async for outcome in outcomes:
                assert outcome.index == number
                number += 1
                if outcome.error is not None:
                    raise outcome.error

    async def changed_of_loop(self, pool: lw.AsyncPool) -> None:
        async with pool.lease(FUNCTIONS, cancel=self.token) as self.lease:
            await self.lease.cycle(cancel=self.token)
            assert await self.lease.call(ECHO, 2, cancel=self.token) == 2

    def on_loop(self, name: str) -> None:
        async def main() -> None:
            self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
            await getattr(self, name)(lw.AsyncPool.sharing(self.pool))

        try:
            asyncio.run(main())
        finally:
            self.loop = None

    # -- what others do meanwhile --

    def kill(self) -> None:
        killed = [child.pid for child in psutil.Process().children() if is_worker(child)]
        for pid in killed:
            send_signal(pid, signal.SIGKILL)
        end = time.monotonic() + random.choice((0, 0.01, MOST_WAIT_SECONDS))
        while any(is_running(pid) for pid in killed) and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(random.choice((0, 0.002, 0.03)))  # until its end has been noticed, or not

    def kill_soon_after(self) -> None:
        self.kill()
        time.sleep(random.random() * 0.003)
        self.kill()

    def pause(self) -> None:
        stopped = [child.pid for child in psutil.Process().children() if is_worker(child)]
        for pid in stopped:
            send_signal(pid, signal.SIGSTOP)
        time.sleep(random.random() * 0.01)
        for pid in stopped:
            send_signal(pid, signal.SIGCONT)

    def storm(self) -> None:
        """Signals without end, which interrupt every system call of the main thread."""
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    def freeze(self) -> None:
        """Stop this process for a moment, as a busy machine does."""
        me = os.getpid()
        subprocess.run(["sh", "-c", f"kill -STOP {me}; sleep 0.05; kill -CONT {me}"], check=True)

    def cancel(self) -> None:
        self.token.cancel()

    def release(self) -> None:
        lease = self.lease
        if isinstance(lease, lw.Lease):
            lease.release()
        elif lease is not None:
            self.on_their_loop(lease.release)

    def close_stream(self) -> None:
        stream = self.stream
        if isinstance(stream, lw.RowStream):
            stream.close()

    def close_pool(self) -> None:
        self.pool.close(drain=0)

    def drain_pool(self) -> None:
        self.pool.close()

    def close_outcomes(self) -> None:
        if self.outcomes is not None:
            self.outcomes.close()

    def cycle(self) -> None:
        lease = self.lease
        if isinstance(lease, lw.Lease):
            with contextlib.suppress(lw.errors.StaleLease):
                lease.cycle()
        elif lease is not None:
            self.on_their_loop(lease.cycle)

    def second_call(self) -> None:
        lease = self.lease
        if isinstance(lease, lw.Lease):
            assert lease.call(ECHO, "second") == "second"
        elif lease is not None:
            self.on_their_loop(lambda: lease.call(ECHO, "second"))

    def on_their_loop(self, act) -> None:
        loop = self.loop
        if loop is None:
            return

        async def acting() -> None:
            with contextlib.suppress(lw.UsageError, lw.errors.StaleLease):
                await act()

        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(acting())))

    def cancel_task(self) -> None:
        loop, task = self.loop, self.task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(task.cancel)

    def fork(self) -> None:
        child = os.fork()
        if child == 0:
            try:
                signal.setitimer(signal.ITIMER_REAL, 30)  # and not before, as a storm would have it
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                for held in (self.stream, self.lease, self.outcomes, self.pool):
                    if held is not None and not isinstance(held, lw.AsyncLease | lw.AsyncRowStream):
                        getattr(held, "release" if isinstance(held, lw.Lease) else "close")()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def collect_garbage(self) -> None:
        gc.collect()

    def show(self) -> None:
        repr(self.lease), repr(self.stream), repr(self.pool)
        if self.lease is not None:
            assert self.lease.is_stale in (True, False)
            assert self.lease.rows_delivered >= 0
        self.pool.snapshot()
