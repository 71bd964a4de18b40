"""A parent that is given no more memory: every call ends in right rows or a documented error, and the pool serves again.

    python tests/helpers/no_memory.py [SECONDS] [--seed N]

Lowers RLIMIT_AS of its own process to what it has, and a little more, at a random moment of each call; values are as
large as that little. Run it in a process of its own: other threads meet the limit too.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import faulthandler
import gc
import random
import resource
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import msgspec
import psutil

sys.path.insert(0, str(Path(__file__).parent))

import lean_worker as lw
from support import FUNCTIONS, is_running

MIB = 1 << 20
LIMITS = lw.Timeouts(startup=30, request=30, queue=30, cancel_grace=5, shutdown=5, drain=20)
RESTARTS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
ECHO = lw.JsonCommand("echo")
ANSWER = lw.JsonCommand("large_answer")
WIDE = lw.StreamingCommand("wide")


class Wide(msgspec.Struct):
    """A row of `wide`."""

    i: int
    blob: str


TYPED = lw.StreamingCommand("wide", row=Wide)


class Limit:
    """RLIMIT_AS of this process, lowered for a while."""

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_AS)

    def lower(self, spare_bytes: int) -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + spare_bytes, self._before[1]))

    def restore(self) -> None:
        resource.setrlimit(resource.RLIMIT_AS, self._before)


class Calls:
    """The calls; each checks what it gets."""

    def __init__(self, pool: lw.Pool, folder: Path, rand: random.Random) -> None:
        self.pool = pool
        self.folder = folder
        self.size_bytes = rand.choice((1000, 100_000, 3 * MIB, 5 * MIB))
        self.count = min(3000, max(2, 40 * MIB // self.size_bytes))

    @property
    def request(self) -> dict[str, int]:
        return {"count": self.count, "size_bytes": self.size_bytes}

    def check(self, number: int, row: Wide) -> None:
        assert row.blob == f"{number:06}" + "x" * (self.size_bytes - 6) and row.i == number, "a wrong row"

    def answer(self) -> None:
        with self.pool.lease(FUNCTIONS) as lease:
            answer = lease.call(ANSWER, {"size_bytes": self.size_bytes})
            assert answer == "x" * self.size_bytes

    def request_of_size(self) -> None:
        with self.pool.lease(FUNCTIONS) as lease:
            value = "y" * min(self.size_bytes, 1000)  # a larger one ends the process, in the JSON library
            assert lease.call(ECHO, value) == value

    def stream(self) -> None:
        number = -1
        with self.pool.lease(FUNCTIONS) as lease, lease.stream(TYPED, self.request) as rows:
            for number, row in enumerate(rows):
                self.check(number, row)
        assert number == self.count - 1 == rows.summary.total_rows - 1

    def collected(self) -> None:
        rows = self.pool.collect(FUNCTIONS, TYPED, self.request).rows
        for number, row in enumerate(rows):
            self.check(number, row)
        assert len(rows) == self.count

    def stored(self) -> None:
        self.store(lw.sinks.JsonLinesSink(self.folder / "rows.jsonl"), self.folder / "rows.jsonl")

    def stored_in_database(self) -> None:
        self.store(lw.sinks.SqliteSink(self.folder / "rows.db", table="rows"), self.folder / "rows.db")

    def store(self, sink, path: Path) -> None:
        before = path.stat() if path.exists() else None
        try:
            with self.pool.lease(FUNCTIONS) as lease:
                lease.run(TYPED, self.request, sink=sink)
        except lw.LeanWorkerError:
            now = path.stat() if path.exists() else None
            assert now == before or (before and now and now.st_mtime_ns >= before.st_mtime_ns)
            raise
        finally:
            assert not [name for name in path.parent.iterdir() if name.name.endswith(".part")]

    def mapped(self) -> None:
        requests = ["z" * 1000] * 3
        with self.pool.map(ECHO, requests, capability=FUNCTIONS) as outcomes:
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                assert outcome.value == outcome.request

    def job(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            job = lw.Job(Path(folder, "job"), TYPED, FUNCTIONS, out=Path(folder, "out.jsonl"))
            report = job.run(self.pool, [self.request])
            for item in report.quarantined:
                raise lw.CommandFailed(item.reason or "")
            assert report.is_complete and report.rows == self.count

    def on_loop(self) -> None:
        async def main() -> None:
            pool = lw.AsyncPool.sharing(self.pool)
            async with pool.lease(FUNCTIONS) as lease:
                number = -1
                async with lease.stream(TYPED, self.request) as rows:
                    async for row in rows:
                        number += 1
                        self.check(number, row)
                assert number == self.count - 1

        # Not asyncio.run: it ends by starting a thread, and waits for that for ever if it finds no memory.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()


NAMES = (
    "answer", "request_of_size", "stream", "collected", "stored", "stored_in_database", "mapped", "job", "on_loop",
)  # fmt: skip


def is_own(error: BaseException) -> bool:
    """Whether the error was raised by this program, or by the interpreter for it, and not by the package."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    package = str(Path(lw.__file__).parent)
    return not any(file.startswith(package) for file in files)


def a_round(rand: random.Random, pool: lw.Pool, folder: Path) -> str:
    name = rand.choice(NAMES)
    calls = Calls(pool, folder, rand)
    limit = Limit()
    spare_bytes = rand.choice((0, rand.randrange(MIB), rand.randrange(40 * MIB)))
    delay = rand.choice((0.0, rand.random() * 0.1))
    others: list[threading.Thread] = []

    def later() -> None:
        time.sleep(delay)
        limit.lower(spare_bytes)

    try:
        if delay:
            others.append(threading.Thread(target=later))
            others[0].start()
        else:
            limit.lower(spare_bytes)
        getattr(calls, name)()
        return f"{name}: ok"
    except lw.LeanWorkerError as error:
        return f"{name}: {type(error).__name__} {getattr(error, 'resource', '')}"
    except (MemoryError, RuntimeError) as error:
        if not is_own(error):
            raise
        return f"{name}: own {type(error).__name__}"
    finally:
        for other in others:
            other.join()
        limit.restore()


def run(seconds: float, seed: int, *, keeps_on: bool = False) -> collections.Counter[str]:
    """Run rounds for so long; returns how they ended."""
    rand = random.Random(seed)
    ends: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, lw.Pool(2, timeouts=LIMITS, restarts=RESTARTS) as pool:
        for name in NAMES:  # an import that finds no memory is the interpreter's own failure
            calls = Calls(pool, Path(folder), rand)
            calls.size_bytes, calls.count = 1000, 3
            getattr(calls, name)()
        while time.monotonic() < end:
            faulthandler.dump_traceback_later(90, exit=True)
            try:
                ends[a_round(rand, pool, Path(folder))] += 1
                gc.collect()
                limit = time.monotonic() + 30
                while (pool.snapshot().leased, pool.snapshot().queued) != (0, 0):
                    assert time.monotonic() < limit, f"places are still lent: {pool.snapshot()}"
                    time.sleep(0.002)
                assert pool.call(FUNCTIONS, ECHO, "serves", timeout=30) == "serves"
            except BaseException as error:
                if not keeps_on:
                    raise
                frames = traceback.extract_tb(error.__traceback__)[-5:]
                where = " <- ".join(f"{Path(f.filename).name}:{f.lineno}:{f.name}" for f in reversed(frames))
                ends[f"WRONG {error!r:.150} at {where}"] += 1
    limit = time.monotonic() + 30
    while any(is_running(child.pid) for child in psutil.Process().children()):
        assert time.monotonic() < limit, "processes are left"
        time.sleep(0.01)
    faulthandler.cancel_dump_traceback_later()
    return ends


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--stop", action="store_true", help="end with the first round that is wrong")
    chosen = parser.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    print("seed", seed, flush=True)
    found = run(chosen.seconds, seed, keeps_on=not chosen.stop)
    for how, times in sorted(found.items()):
        print(times, how)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(any(how.startswith("WRONG") for how in found))
