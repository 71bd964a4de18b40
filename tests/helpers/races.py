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
import random
import re
import signal
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
from race_calls import ECHO, MOST_WAIT_SECONDS, WORKERS, Call, is_worker
from support import FUNCTIONS, is_running

LIMITS = lw.Timeouts(startup=60, request=60, queue=60, cancel_grace=5, shutdown=5, drain=20)
RESTARTS = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
STUCK_SECONDS = 90.0

TRUE_BLAME = re.compile(
    r"this lease was released|the pool is closed|another request of this lease has not ended"
    r"|another (thread|task) waits for this stream|has not ended in success|the stream was used before"
)
"""The blame that a call may lay on its caller when another thread has released, closed, or begun something."""
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


ON_THREAD = (
    "requests", "one_call", "many_rows", "paced_rows", "few_rows", "leave_early", "collected", "sink", "mapped", "streams",
    "job", "changed", "warmed", "shown", "closed",
)  # fmt: skip
ON_LOOP = ("requests_of_loop", "rows_of_loop", "collected_of_loop", "mapped_of_loop", "changed_of_loop")
SLOW = ("capability",)
ON_LEAN = ("check", "verify")
OWN_WORKERS = {"capability"}
TROUBLE = (*(name for name in ALLOWED if name != "cancel_task"), "kill", "kill", "kill", "release", "close_stream")


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
    signal.setitimer(signal.ITIMER_REAL, 0)  # a storm may have come late
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
    signal.signal(signal.SIGALRM, lambda *_: None)
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
        # Not back to what it was: an alarm on its way would end this process, if that is the default.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
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
