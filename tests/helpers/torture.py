"""Everything that can go wrong, at random and at once, for a while: nothing is lost, doubled, stuck or left behind.

    python tests/helpers/torture.py [MINUTES] [--seed N] [--forked | --locked-in]

Rounds of a few seconds follow each other. In each, threads and an asyncio loop share a pool and make requests (answers,
streams, sinks, many requests, jobs), while others interrupt the main thread, send signals whose handlers cancel and
close, fork children that use and drop what the parent holds, collect garbage, kill workers and their process groups, fill
the disk and use up descriptors. After each round the pool has to agree with a small model of it, to serve again, and to
close without a leftover; the histories of all workers are held against the table of states. Prints the seed and counts.
Workers are Python functions; with `--forked` real Lean, forked from a process with its imports, and with `--locked-in`
such forks in a sandbox. A broken rule, an undocumented exception, or a round that does not end within two minutes
fails, with all stacks.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import faulthandler
import gc
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

import lean_worker as lw
from lean_worker.pool.loan import Request
from life_model import Recorder
from support import FUNCTIONS, HELD_INTEROP, HOSTS, send_signal, wait_until

ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
PERFORM = lw.StreamingCommand("perform")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
LIMITS = lw.Timeouts(startup=60, request=60, queue=60, cancel_grace=3, shutdown=3, drain=5)
RESTARTS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
INDEX = "i"
IS_LEAN = False
LIMITS_AT_START = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)}
WORKERS = 3
ROUND_SECONDS = 3.0
STUCK_SECONDS = float(os.environ.get("LEAN_WORKER_STUCK_SECONDS", "120"))


def use_lean(*, is_locked_in: bool) -> None:
    """Have forked workers of real Lean instead of Python functions."""
    global FUNCTIONS, OTHER, ROWS, INDEX, IS_LEAN, ROUND_SECONDS
    sandbox = lw.Sandbox() if is_locked_in else None
    FUNCTIONS = dataclasses.replace(HELD_INTEROP, sandbox=sandbox)
    OTHER = dataclasses.replace(FUNCTIONS, options={"pp.all": True})
    ROWS, INDEX, IS_LEAN, ROUND_SECONDS = lw.StreamingCommand("declarations"), "index", True, 10.0


def asking(count: int) -> object:
    """The request for so many rows."""
    return count if IS_LEAN else {"count": count}


def counted(request: Any) -> int:
    """The number of rows that a request asks for."""
    return request if IS_LEAN else request["count"]


class Stop(Exception):
    """Raised by a handler of the caller."""


class Round:
    """One pool, and everything that is done to it."""

    def __init__(self, rand: random.Random, folder: Path, counts: collections.Counter[str]) -> None:
        self.rand = rand
        self.folder = folder
        self.counts = counts
        self.broken: list[BaseException] = []
        self.tokens: collections.deque[lw.CancelToken] = collections.deque(maxlen=20)
        self.outcomes: collections.deque[lw.Outcomes] = collections.deque(maxlen=4)
        self.told: collections.Counter[str] = collections.Counter()
        self.pool = lw.Pool(WORKERS, timeouts=LIMITS, restarts=RESTARTS, on_event=self.on_event)
        self.is_over = threading.Event()
        if IS_LEAN:  # a round is short: the trouble begins when workers can be forked
            with self.pool.lease(FUNCTIONS):
                wait_until(lambda: self.pool.snapshot().holders, 60)

    def on_event(self, event: lw.metrics.PoolEvent) -> None:
        if event.kind == "request_ended":
            self.told[event.facts["outcome"]] += 1

    # -- requests --

    def token(self) -> lw.CancelToken:
        token = lw.CancelToken()
        self.tokens.append(token)
        return token

    def check(self, rows: list[int], count: int | None) -> None:
        assert rows == list(range(len(rows))), "rows come in order, each once"
        assert count is None or len(rows) == count, "a success has all rows"

    def stream(self, rand: random.Random) -> None:
        count, rows = rand.randrange(2000), []
        stops_at = rand.choice([None, None, rand.randrange(1, 2000)])

        def on_row(row: lw.DataRow) -> None:
            rows.append(row.payload[INDEX])
            if len(rows) == stops_at:
                raise Stop

        with self.pool.lease(rand.choice([FUNCTIONS, OTHER])) as lease:
            try:
                summary = lease.run(ROWS, asking(count), on_row=on_row, cancel=self.token())
            except (Stop, lw.LeanWorkerError):
                self.check(rows, None)
                raise
            self.check(rows, count)
            assert summary.total_rows == count

    def answer(self, rand: random.Random) -> None:
        with self.pool.lease(FUNCTIONS) as lease:
            for number in range(rand.randrange(1, 5)):
                assert lease.call(ECHO, number, cancel=self.token()) == number

    def leave_early(self, rand: random.Random) -> None:
        lease = self.pool.lease(FUNCTIONS)
        for number, row in enumerate(lease.stream(ROWS, asking(5000))):
            assert row.payload[INDEX] == number
            if number == 30:
                break
        if rand.random() < 0.7:
            lease.release()  # else dropped, with an open stream perhaps

    def many(self, rand: random.Random) -> None:
        requests = range(rand.randrange(1, 40))
        outcomes = self.pool.map(ECHO, requests, capability=FUNCTIONS, cancel=self.token(), retries=2)
        self.outcomes.append(outcomes)
        seen = []
        with outcomes:
            for outcome in outcomes:
                seen.append(outcome.index)
                assert outcome.error is not None or outcome.value == outcome.request
                if outcome.error is not None and not isinstance(outcome.error, lw.LeanWorkerError):
                    raise outcome.error
        assert seen == list(range(len(seen))), "outcomes come in order, each once"

    def many_rows(self, rand: random.Random) -> None:
        rows: dict[int, list[int]] = collections.defaultdict(list)

        def on_row(index: int, row: lw.DataRow) -> None:
            rows[index].append(row.payload[INDEX])
            if rand.random() < 0.0002:
                outcomes.close()

        requests = [asking(rand.randrange(300)) for _ in range(6)]
        outcomes = self.pool.stream_many(ROWS, requests, capability=FUNCTIONS, on_row=on_row, cancel=self.token())
        self.outcomes.append(outcomes)
        for outcome in outcomes:
            self.check(rows[outcome.index], counted(outcome.request) if outcome.ok else None)

    def sink(self, rand: random.Random) -> None:
        path = self.folder / f"rows-{threading.get_ident()}.jsonl"
        before = path.read_bytes() if path.exists() else None
        count = rand.randrange(3000)
        try:
            with self.pool.lease(FUNCTIONS) as lease:
                lease.run(ROWS, asking(count), sink=lw.sinks.JsonLinesSink(path), cancel=self.token())
        except (lw.LeanWorkerError, OSError):
            now = path.read_bytes() if path.exists() else None
            complete = now is not None and [json.loads(line)[INDEX] for line in now.splitlines()] == list(range(count))
            assert now == before or complete, "a file is as before, or complete"
            raise
        assert [json.loads(line)[INDEX] for line in path.read_bytes().splitlines()] == list(range(count))

    def job(self, rand: random.Random) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            job = lw.Job(Path(folder, "job"), ROWS, FUNCTIONS, out=Path(folder, "out.jsonl"))
            report = job.run(self.pool, [asking(number) for number in range(5)])
            if report.is_complete:
                assert len(Path(folder, "out.jsonl").read_bytes().splitlines()) == 10

    BLOCKING = (stream, stream, answer, answer, leave_early, many, many_rows, sink, job)

    async def one_of_asyncio(self, pool: lw.AsyncPool, rand: random.Random) -> None:
        async with pool.lease(FUNCTIONS) as lease:
            rows: list[int] = []
            count = rand.randrange(1000)
            async with lease.stream(ROWS, asking(count), cancel=self.token()) as stream:
                async for row in stream:
                    rows.append(row.payload[INDEX])
            self.check(rows, count)
            assert await lease.call(ECHO, count) == count

    async def of_asyncio(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        pool = lw.AsyncPool.sharing(self.pool)

        async def work() -> None:
            while time.monotonic() < end:
                with self.booking():
                    async_timeout = rand.choice([None, rand.random() * 0.05])
                    await asyncio.wait_for(self.one_of_asyncio(pool, rand), async_timeout)

        await asyncio.gather(work(), work())

    @contextlib.contextmanager
    def booking(self):
        """Count how a request ended; what is no documented end breaks the run."""
        try:
            yield
            self.counts["ok"] += 1
        except (lw.LeanWorkerError, Stop, asyncio.TimeoutError) as error:
            self.counts[type(error).__name__] += 1
            if isinstance(error, lw.UsageError) and "forked" in str(error):
                raise AssertionError("the parent is taken for a child") from error
        except OSError as error:
            # The caller's own handlers and files meet full disks and descriptors too.
            if not self.is_from_caller(error):
                raise
            self.counts[f"own {type(error).__name__}"] += 1

    @staticmethod
    def is_from_caller(error: BaseException) -> bool:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        ours = [file for file in files if "lean_worker" in file or file == __file__]
        return bool(ours) and ours[-1] == __file__

    def guarded(self, work, *arguments) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self.broken.append(error)
            self.is_over.set()

    def work(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end and not self.is_over.is_set():
            with self.booking():
                rand.choice(self.BLOCKING)(self, rand)

    # -- trouble --

    def kill(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end:
            time.sleep(rand.uniform(0.005, 0.3) * (8 if IS_LEAN else 1))  # Lean, and its holder, start more slowly
            alive = []
            with contextlib.suppress(OSError):  # no descriptor to look with
                alive = [
                    child.pid
                    for child in psutil.Process().children()
                    if "lean_worker.child" in " ".join(cmdline(child))
                ]
            if alive:
                pid = rand.choice(alive)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if rand.random() < 0.5 and os.getpgid(pid) == pid:
                        os.killpg(pid, signal.SIGKILL)
                    else:
                        send_signal(pid, signal.SIGKILL)
                self.counts["kills"] += 1

    def collect(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end:
            time.sleep(rand.uniform(0.001, 0.05))
            gc.collect(rand.randrange(3))
            self.counts["collections"] += 1

    def fork(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end:
            time.sleep(rand.uniform(0.1, 0.5))
            child = os.fork()
            if child == 0:
                self.in_child(rand)
            status = wait_for(child, 30)
            assert status == 0, f"a forked child ended with {status}"
            self.counts["forks"] += 1

    def in_child(self, rand: random.Random) -> None:
        """In a child that owns nothing: whatever is done with the parent's objects is refused or does nothing."""
        code = 1
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            faulthandler.register(signal.SIGALRM, chain=True)  # a child that hangs says where
            signal.alarm(20)
            # The parent may have been without descriptors or room at this moment, which the child is not to inherit.
            for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
                resource.setrlimit(kind, LIMITS_AT_START[kind])
            how = rand.randrange(4)
            if how == 0:
                with contextlib.suppress(lw.UsageError):
                    self.pool.lease(FUNCTIONS)
                    os._exit(3)
            elif how == 1:
                self.pool.close()
                for outcomes in list(self.outcomes):
                    outcomes.close()
            elif how == 2:
                self.outcomes.clear()
                self.tokens.clear()
                del self.pool
                gc.collect()
            else:
                with lw.Pool(1, timeouts=LIMITS) as own, own.lease(FUNCTIONS) as lease:
                    assert lease.call(ECHO, 1) == 1
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def exhaust(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end:
            time.sleep(rand.uniform(0.2, 0.6))
            if rand.random() < 0.5:
                self.use_up_descriptors(rand.uniform(0.01, 0.05))
            else:
                self.fill_disk(rand.uniform(0.01, 0.1))

    def use_up_descriptors(self, seconds: float) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(used + 4, hard), hard))
        try:
            time.sleep(seconds)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.counts["times without descriptors"] += 1

    def fill_disk(self, seconds: float) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            time.sleep(seconds)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.counts["times of a full disk"] += 1

    def on_signal(self, *_: object) -> None:
        """Whatever the main thread is doing: cancel, or close outcomes."""
        self.counts["signals"] += 1
        if self.tokens and self.rand.random() < 0.7:
            self.rand.choice(list(self.tokens)).cancel()
        elif self.outcomes:
            self.rand.choice(list(self.outcomes)).close()

    def interrupted_work(self, end: float) -> None:
        """The main thread's requests, with KeyboardInterrupt and signals at random moments."""
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.signal(signal.SIGUSR1, self.on_signal)
        rand = random.Random(self.rand.random())
        try:
            while time.monotonic() < end and not self.is_over.is_set():
                try:
                    try:
                        interrupts = rand.random() < 0.6
                        if interrupts:
                            signal.setitimer(signal.ITIMER_REAL, 1e-4 + rand.random() * rand.choice([0.003, 0.05]))
                        with self.booking():
                            rand.choice(self.BLOCKING)(self, rand)
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    self.counts["interrupts"] += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def signal_main(self, seed: str, end: float) -> None:
        rand = random.Random(seed)
        while time.monotonic() < end:
            time.sleep(rand.uniform(0.005, 0.1))
            os.kill(os.getpid(), signal.SIGUSR1)

    # -- a round --

    TROUBLE = ("kill", "collect", "fork", "exhaust", "signal_main")

    def run(self, seed: str, seconds: float, trouble: tuple[str, ...]) -> None:
        end = time.monotonic() + seconds
        signal.signal(signal.SIGUSR1, self.on_signal)
        threads = [
            threading.Thread(target=self.guarded, args=(self.work, f"{seed} work {n}", end), name=f"work-{n}")
            for n in range(2)
        ]
        threads += [
            threading.Thread(target=self.guarded, args=(getattr(self, name), f"{seed} {name}", end), name=name)
            for name in trouble
        ]
        threads.append(
            threading.Thread(
                target=self.guarded,
                args=(lambda: asyncio.run(self.of_asyncio(f"{seed} asyncio", end)),),
                name="asyncio",
            )
        )
        for thread in threads:
            thread.start()
        try:
            self.guarded(self.interrupted_work, end)
        finally:
            for thread in threads:
                thread.join()
        if self.broken:
            raise AssertionError(f"seed {seed}: {self.broken[0]!r}") from self.broken[0]

    @staticmethod
    def without_outcome() -> list[dict[str, object]]:
        """Requests that the pool has counted, and whose end it has not."""
        found = [each for each in gc.get_objects() if isinstance(each, Request) and each.is_begun]
        facts = ("command", "outcome", "is_over", "is_lost", "has_stream", "is_counted")
        return [{name: getattr(each, name) for name in facts} for each in found if not each.is_counted]

    def check_model(self) -> None:
        """The state that a model of the pool expects after everybody has left: all is idle, every request was counted once."""
        for outcomes in list(self.outcomes):
            outcomes.close()
        self.outcomes.clear()
        gc.collect()
        end = time.monotonic() + 30
        while True:
            snapshot = self.pool.snapshot()
            # A stream that was dropped with its lease is ended soon, by its finalizer: its place can be free before.
            is_even = snapshot.requests == sum(snapshot.outcomes.values())
            if (snapshot.leased, snapshot.queued) == (0, 0) and is_even:
                self.counts["forked workers"] += snapshot.forked
                break
            assert time.monotonic() < end, (
                f"places are still lent, or not each request has one outcome: {snapshot} {self.without_outcome()}"
            )
            time.sleep(0.01)
        assert snapshot.idle <= WORKERS
        for _ in range(WORKERS + 1):
            with self.pool.lease(FUNCTIONS) as lease:
                assert lease.call(ECHO, "serves") == "serves"
        self.pool.close()
        snapshot, end = self.pool.snapshot(), time.monotonic() + 30
        assert (snapshot.leased, snapshot.idle, snapshot.queued) == (0, 0, 0)
        assert snapshot.started <= sum(snapshot.ended.values()), f"every worker has an end: {snapshot}"
        # Events are told by a thread of their own.
        while not (snapshot.events_dropped or dict(self.told) == dict(snapshot.outcomes)):
            assert time.monotonic() < end, (self.told, snapshot.outcomes)
            time.sleep(0.01)


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def wait_for(pid: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("a forked child does not end")


def left() -> tuple[int, int, int]:
    """Processes, threads and descriptors of this process."""
    running = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended since
            running += child.status() != "zombie"
    return (
        running,
        len(threading.enumerate()),
        len(os.listdir("/proc/self/fd")),
    )


def run(seconds: float, seed: int | None = None, trouble: tuple[str, ...] = Round.TROUBLE) -> dict[str, object]:
    """Torture for so long, and return the figures."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print("begins with seed", seed, flush=True)
    rand = random.Random(seed)
    counts: collections.Counter[str] = collections.Counter()
    recorder = Recorder()
    signals = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGXFSZ)}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with lw.Pool(1) as warm, warm.lease(FUNCTIONS) as lease:  # what the process keeps is made once
        lease.call(ECHO, 1)
    end, number = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, warnings.catch_warnings(), recorder.recording():
        warnings.simplefilter("ignore")  # what is dropped on purpose, forks with threads
        steady = left()
        try:
            while number == 0 or time.monotonic() < end:
                faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
                current = Round(random.Random(rand.random()), Path(folder), counts)
                current.run(f"{seed}/{number}", min(ROUND_SECONDS, seconds), trouble)
                current.check_model()
                del current
                number += 1
                await_quiet(steady, f"seed {seed}, round {number}")
                # An interrupt may come between the making of a caller's own temporary directory and its `with`.
                entries = [path.name for path in Path(folder).iterdir() if not path.name.startswith("tmp")]
                parts = [name for name in entries if not name.endswith(".jsonl") or name.startswith(".")]
                assert not parts, f"seed {seed}: files left behind: {parts}"
        finally:
            faulthandler.cancel_dump_traceback_later()
            for which, handler in signals.items():
                signal.signal(which, handler)
    taken = recorder.check()
    return {"seed": seed, "rounds": number, "transitions": sum(taken.values()), **counts}


def await_quiet(steady: tuple[int, int, int], case: str) -> None:
    end = time.monotonic() + 20
    while any(now > then + slack for now, then, slack in zip(left(), steady, (0, 0, 2))):
        if time.monotonic() >= end:
            faulthandler.dump_traceback(all_threads=True)
        assert time.monotonic() < end, (
            f"{case}: left behind: {left()} instead of {steady} processes, threads, descriptors; "
            f"{[thread.name for thread in threading.enumerate()]} {psutil.Process().children(recursive=True)}"
        )
        gc.collect()
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=1.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", nargs="*", choices=Round.TROUBLE, help="these kinds of trouble instead of all")
    parser.add_argument("--forked", action="store_true", help="workers that are forks")
    parser.add_argument("--locked-in", action="store_true", help="workers that are forks, in a sandbox")
    options = parser.parse_args()
    for name in lw.__all__:
        getattr(lw, name)  # an interrupt in the middle of an import would leave Python's own locks held
    if options.forked or options.locked_in:
        use_lean(is_locked_in=options.locked_in)
    trouble = Round.TROUBLE if options.only is None else tuple(options.only)
    for name, value in run(options.minutes * 60, options.seed, trouble).items():
        print(f"{name:28}{value}")


if __name__ == "__main__":
    main()
