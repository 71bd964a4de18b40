"""Every public call, while another thread does something to what the call uses: documented errors only.

    python tests/helpers/races.py [SECONDS] [--seed N] [--calls NAME …] [--lean]

In each round one call runs (a request, a stream, a sink, many requests, a job, a change of workers, a close; with `--lean`
also checks and verdicts), on a thread or on a loop. The round stops it at a random line of the package's code, and another
thread does its part there before the call goes on: it kills or stops the worker, releases the lease, closes the stream or
the pool, cancels, cycles, asks for a second request, forks, collects garbage, stops this process, or has signals
interrupt every system call. The monitor's thread is held up at random lines too. The call has to end in its right
result, or in an error that the table here allows for that trouble: one that blames the caller for what another thread
did is a defect. The pool has to serve afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import faulthandler
import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

import lean_worker as lw
from support import FUNCTIONS, is_running, send_signal

ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
LIMITS = lw.Timeouts(startup=60, request=60, queue=60, cancel_grace=5, shutdown=5, drain=20)
RESTARTS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
WORKERS = 2
STUCK_SECONDS = 90.0
FILES = [(f"f{n}", f"prelude\nimport LeanWorker.Library\nexample : {n} = {n} := rfl\n") for n in range(2)]
GOAL = "prelude\nimport LeanWorker.Library\ntheorem goal : True := trivial\n"

TRUE_BLAME = re.compile(
    r"this lease was released|the pool is closed|another request of this lease has not ended"
    r"|another (thread|task) waits for this stream|has not ended in success|the stream was used before"
)
"""What a call may say to its caller when another thread has released, closed, or begun something."""
KILLED = (lw.ChildExited, lw.errors.StaleLease)
ALLOWED: dict[str, tuple[type[BaseException], ...]] = {
    "kill": KILLED,
    "kill_soon_after": KILLED,
    "pause": (),
    "cancel": (lw.Cancelled,),
    "release": (lw.errors.StaleLease, lw.UsageError, lw.Cancelled),
    "close_stream": (lw.Cancelled, lw.UsageError),
    "close_pool": (lw.errors.StaleLease, lw.UsageError, lw.Cancelled),
    "drain_pool": (lw.UsageError, lw.errors.StaleLease, lw.Cancelled),
    "close_outcomes": (),
    "cycle": (lw.UsageError, lw.errors.StaleLease),
    "second_call": (lw.UsageError,),
    "fork": (),
    "collect_garbage": (),
    "show": (),
    "storm": (),
    "freeze": (),
    "cancel_task": (asyncio.CancelledError,),
}


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
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(30)
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


tasks: collections.deque[asyncio.Task] = collections.deque(maxlen=50)

ON_THREAD = (
    "requests", "one_call", "many_rows", "few_rows", "leave_early", "collected", "sink", "mapped", "streams", "job",
    "changed", "warmed", "shown", "closed",
)  # fmt: skip
ON_LOOP = ("requests_of_loop", "rows_of_loop", "collected_of_loop", "mapped_of_loop", "changed_of_loop")
SLOW = ("capability",)
ON_LEAN = ("check", "verify")
OWN_WORKERS = {"capability"}
TROUBLE = (*(name for name in ALLOWED if name != "cancel_task"), "kill", "kill", "kill", "release", "close_stream")


def is_worker(process: psutil.Process) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return "lean_worker.child" in " ".join(line)


def make() -> lw.Pool:
    return lw.Pool(WORKERS, timeouts=LIMITS, restarts=RESTARTS)


def is_allowed(error: BaseException, trouble: list[str], call: str) -> bool:
    """Whether a call may end like this while others do that."""
    allowed = tuple(kind for name in trouble for kind in ALLOWED[name])
    if call in ("check", "verify", "capability"):
        allowed += (AssertionError,) if "kill" in "".join(trouble) else ()
    if not isinstance(error, allowed):
        return False
    return not isinstance(error, lw.UsageError) or TRUE_BLAME.search(str(error)) is not None


def settle(pool: lw.Pool) -> lw.metrics.PoolSnapshot:
    """Wait until nothing is lent."""
    end = time.monotonic() + 30
    while True:
        snapshot = pool.snapshot()
        if (snapshot.leased, snapshot.queued) == (0, 0):
            return snapshot
        if time.monotonic() > end - 25:
            gc.collect()
        assert time.monotonic() < end, f"places are still lent: {snapshot}"
        time.sleep(0.002)


def serve(pool: lw.Pool, *, may_fail: bool) -> None:
    """Have the pool serve; a worker that was killed a moment ago may not have ended yet."""
    for _ in range(WORKERS if may_fail else 0):
        with contextlib.suppress(*KILLED):
            pool.call(FUNCTIONS, ECHO, "serves", timeout=30)
    assert pool.call(FUNCTIONS, ECHO, "serves", timeout=30) == "serves"


PACKAGE = str(Path(lw.__file__).parent)
MOST_WAIT_SECONDS = 0.2
"""How long a call is held up for the others, who may be waiting for it."""


Line = tuple[str, int]
Moment = tuple[Line, int]
"""A line of code, and the time that it runs in the call, from 1."""


class Moments:
    """The lines of the package's code that the calling thread runs; it waits at the moments that are chosen."""

    def __init__(self, chosen: list[Moment]) -> None:
        self.lines: collections.Counter[Line] = collections.Counter()
        self.reached = {moment: threading.Event() for moment in chosen}
        self.done = {moment: threading.Event() for moment in chosen}

    def tracer(self, frame, event, _):
        return self.trace_line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def trace_line(self, frame, event, _):
        if event == "line":
            line = (frame.f_code.co_filename, frame.f_lineno)
            self.lines[line] += 1
            moment = (line, self.lines[line])
            reached = self.reached.get(moment)
            if reached is not None:
                reached.set()
                self.done[moment].wait(MOST_WAIT_SECONDS)
        return self.trace_line


def choose(rand: random.Random, lines: collections.Counter[Line]) -> Moment:
    """Any line that the call has run, each as likely as another, and one of its times."""
    line = rand.choice(list(lines))
    return line, rand.randint(1, lines[line])


def hold_up_monitor(rand: random.Random) -> None:
    """Let the threads that start from now on sleep at random lines, if they are the package's own."""

    def tracer(frame, event, _):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and rand.random() < 0.002:
            time.sleep(rand.choice((0, 0.0005, 0.003)))
        return tracer

    threading.settrace(tracer)


def a_round(
    name: str, trouble: list[str], folder: Path, pool: lw.Pool, chosen: list[Moment]
) -> tuple[BaseException | None, collections.Counter[Line]]:
    """Run one call, and the others at their moments; returns how the call ended, and the lines that it ran."""
    call = Call(folder, pool)
    wrong: list[BaseException] = []
    moments = Moments(chosen)

    def disturb(what: str, moment: Moment) -> None:
        moments.reached[moment].wait()
        try:
            getattr(call, what)()
        except (lw.UsageError, lw.errors.StaleLease, lw.ChildExited) as error:
            if not is_allowed(error, [*trouble, "cycle", "kill"], ""):
                wrong.append(error)
        except BaseException as error:
            wrong.append(error)
        finally:
            moments.done[moment].set()

    others = [threading.Thread(target=disturb, args=pair, name=pair[0]) for pair in zip(trouble, chosen, strict=True)]
    for other in others:
        other.start()
    ended: BaseException | None = None
    try:
        sys.settrace(moments.tracer)
        if name in ON_LOOP:
            call.on_loop(name)
        else:
            getattr(call, name)()
    except BaseException as error:
        ended = error
    finally:
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
    for reached in moments.reached.values():
        reached.set()  # it had fewer lines than the last time
    for other in others:
        other.join()
    if wrong:
        raise wrong[0]
    return ended, moments.lines


def where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " <- ".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in reversed(frames))


def run(
    seconds: float, seed: int, calls: tuple[str, ...] = ON_THREAD + ON_LOOP, *, keeps_on: bool = False
) -> collections.Counter[str]:
    """Run rounds for so long; returns the ends. A wrong one is raised, or only counted if it `keeps_on`."""
    rand = random.Random(seed)
    random.seed(seed)
    ends: collections.Counter[str] = collections.Counter()
    known: dict[str, collections.Counter[Line]] = {}
    interval = sys.getswitchinterval()
    end = time.monotonic() + seconds
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    hold_up_monitor(random.Random(seed + 1))
    pool = make()
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while time.monotonic() < end:
                faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
                name = rand.choice(calls)
                if pool.is_closed:
                    pool.close()
                    pool = make()
                trouble = sorted({rand.choice(TROUBLE) for _ in range(rand.choice((1, 1, 2)))})
                if name in ON_LOOP and rand.random() < 0.1:
                    trouble = ["cancel_task"]
                if name not in known:
                    trouble = []
                chosen = [choose(rand, known[name]) for _ in trouble]
                if len(set(chosen)) < len(chosen):
                    continue
                sys.setswitchinterval(rand.choice((1e-6, 1e-4, interval)))
                try:
                    error, lines = a_round(name, trouble, Path(folder), pool, chosen)
                    if error is not None and not is_allowed(error, trouble, name):
                        raise error
                    ends[f"{name}: {'ok' if error is None else type(error).__name__}"] += 1
                    if error is None:
                        known[name] = lines
                    del error
                    if not pool.is_closed:
                        settle(pool)
                        serve(pool, may_fail="kill" in "".join(trouble))
                except BaseException as error:
                    if not keeps_on:
                        raise AssertionError(f"{name} with {trouble}, seed {seed}: {error!r}") from error
                    ends[f"WRONG {name} with {trouble}: {error!r:.150} at {where(error)}"] += 1
    finally:
        sys.setswitchinterval(interval)
        threading.settrace(None)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
        pool.close(drain=0)
    limit = time.monotonic() + 30
    while any(is_running(child.pid) for child in psutil.Process().children() if is_worker(child)):
        assert time.monotonic() < limit, "workers are left"
        time.sleep(0.01)
    return ends


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--calls", nargs="*")
    parser.add_argument("--lean", action="store_true")
    parser.add_argument("--stop", action="store_true", help="end with the first round that is wrong")
    chosen = parser.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    print("seed", seed, flush=True)
    slow = () if chosen.stop else SLOW + (ON_LEAN if chosen.lean else ())
    found = run(chosen.seconds, seed, tuple(chosen.calls or ON_THREAD + ON_LOOP + slow), keeps_on=not chosen.stop)
    for end, times in sorted(found.items()):
        print(times, end)
    sys.exit(any(end.startswith("WRONG") for end in found))
