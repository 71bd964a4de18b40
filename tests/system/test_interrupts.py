"""Ctrl-C at random moments of every public call: nothing is left behind, and the pool serves at once.

`python tests/system/test_interrupts.py 20000 [SEED]` for more; `… 400 SEED lean` interrupts checks, verdicts and extraction on real Lean.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import os
import random
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
import pytest

import lean_worker as lw

HOSTS = Path(__file__).parents[1] / "hosts"
FUNCTIONS = lw.PythonCapability("functions:COMMANDS", path=[HOSTS])
OTHERS = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows")
PACED = lw.StreamingCommand("paced")
QUICK = lw.Timeouts(queue=20, shutdown=2, cancel_grace=2, drain=5)
FILES = [(f"f{n}", f"prelude\nimport LeanWorker.Library\nexample : {n} = {n} := rfl\n") for n in range(3)]
GOAL = "prelude\nimport LeanWorker.Library\ntheorem goal : True := trivial\n"
PATIENT = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


def make():
    return lw.Pool(2, restarts=PATIENT, timeouts=QUICK)


class Calls:
    """Public calls, each of which is interrupted at some moment of it."""

    def __init__(self, folder):
        self.pool = make()
        self.folder = folder

    def lease_and_call(self):
        with self.pool.lease(FUNCTIONS) as lease:
            for number in range(3):
                assert lease.call(ECHO, number) == number

    def another_capability(self):
        with self.pool.lease(random.choice([FUNCTIONS, OTHERS])) as lease:
            lease.call(ECHO, 1)

    def collect(self):
        with self.pool.lease(FUNCTIONS) as lease:
            assert len(lease.collect(ROWS, {"count": 50}).rows) == 50

    def stream_and_break(self):
        with self.pool.lease(FUNCTIONS) as lease:
            with lease.stream(ROWS, {"count": 5000}) as rows:
                for number, _ in enumerate(rows):
                    if number == 20:
                        break
            lease.call(ECHO, 1)

    def stream_at_a_pace(self):
        with self.pool.lease(FUNCTIONS) as lease:
            with lease.stream(PACED, {"count": 60, "every_us": 60}) as rows:
                assert [row.payload["i"] for row in rows] == list(range(60))
            lease.call(ECHO, 1)

    def drop_a_stream(self):
        with self.pool.lease(FUNCTIONS) as lease:
            for _ in lease.stream(ROWS, {"count": 5000}):
                break
            lease.call(ECHO, 1)

    def run_into_a_sink(self):
        with self.pool.lease(FUNCTIONS) as lease:
            lease.run(ROWS, {"count": 50}, sink=lw.sinks.JsonLinesSink(self.folder / "rows.jsonl"))

    def two_leases(self):
        one = self.pool.lease(FUNCTIONS)
        two = self.pool.lease(FUNCTIONS)
        two.call(ECHO, 2)
        two.release()
        one.release()

    def snapshot(self):
        for _ in range(5):
            self.pool.snapshot()

    def cancel(self):
        token = lw.CancelToken()
        with self.pool.lease(FUNCTIONS, cancel=token) as lease:
            rows = lease.stream(ROWS, {"count": 10**6}, cancel=token)
            next(rows)
            token.cancel()
            try:
                for _ in rows:
                    pass
            except lw.Cancelled:
                pass

    def prewarm(self):
        self.pool.prewarm(FUNCTIONS, 2)

    def a_map(self):
        with self.pool.map(ECHO, range(20), capability=FUNCTIONS) as outcomes:
            for _ in outcomes:
                pass

    def many_streams(self):
        with self.pool.stream_many(ROWS, [{"count": 3}] * 5, capability=FUNCTIONS, on_row=lambda *_: None) as outcomes:
            for _ in outcomes:
                pass

    def check(self):
        lw.checking.check_capability(FUNCTIONS)

    # -- jobs of the field, on real Lean --

    def check_files(self):
        verdicts = [item.verdict for item in lw.check(FILES, pool=self.pool, toolchain="embedded")]
        assert verdicts == [lw.Verdict.ACCEPTED] * len(FILES)

    def check_alone(self):
        assert len(list(lw.check(FILES[:1], toolchain="embedded"))) == 1

    def verify(self):
        statement = self.folder / "statement.lean"
        statement.write_text(GOAL.replace("trivial", "sorry"))
        candidates = [(f"c{n}", GOAL) for n in range(2)]
        assert all(
            item.is_proved for item in lw.verify(candidates, statement=statement, pool=self.pool, toolchain="embedded")
        )

    def extract(self):
        found = lw.extract("modules", out=self.folder / "modules.jsonl", pool=self.pool, toolchain="embedded")
        assert found.rows == (self.folder / "modules.jsonl").read_bytes().count(b"\n")

    def close(self):
        pool = self.pool
        try:
            pool.close()
        finally:
            # Whoever was interrupted closes again, as a `with` block does.
            signal.setitimer(signal.ITIMER_REAL, 0)
            pool.close(drain=0)
            self.pool = make()

    def leave_a_pool(self):
        with lw.Pool(1, restarts=PATIENT, timeouts=QUICK) as pool, pool.lease(FUNCTIONS) as lease:
            lease.call(ECHO, 1)


FAST = [
    "lease_and_call",
    "collect",
    "stream_and_break",
    "stream_at_a_pace",
    "drop_a_stream",
    "run_into_a_sink",
    "snapshot",
    "cancel",
]
SLOW = ["another_capability", "two_leases", "prewarm", "a_map", "many_streams", "check", "close", "leave_a_pool"]
LEAN = ["check_files", "check_alone", "verify", "extract"]


def left_of(children):
    return [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def settled(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def open_files():
    """Count the files that this process has open; pipes are all the same."""
    found = collections.Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[os.readlink(f"/proc/self/fd/{name}").partition("[")[0]] += 1
    return found


def check_pool(calls, complaints, what, where):
    """The pool gives a lease on each of its places at once."""
    if calls.pool.is_closed:
        calls.pool.close(drain=0)
        calls.pool = make()
    pool = calls.pool
    if not settled(lambda: (pool.snapshot().leased, pool.snapshot().queued) == (0, 0)):
        gc.collect()
        if not settled(lambda: (pool.snapshot().leased, pool.snapshot().queued) == (0, 0), 1.0):
            complaints[f"{what}: {pool.snapshot().leased} lent, {pool.snapshot().queued} queued at {where}"] += 1
            pool.close(drain=0)
            calls.pool = make()
            return
    with pool.lease(FUNCTIONS, timeout=15) as lease:
        assert lease.call(ECHO, "after", timeout=15) == "after"


def attack(count, seed, slow=SLOW, slow_part=0.1):
    """Interrupt `count` calls; returns what was wrong, by how often."""
    warnings.simplefilter("ignore", ResourceWarning)
    chance = random.Random(seed)
    random.seed(seed)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    complaints = collections.Counter()
    hits = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        calls = Calls(Path(folder))
        calls.lease_and_call()
        calls.pool.close()
        calls.pool = make()
        lengths = {}
        for what in {*FAST, *slow}:
            for _ in range(2):  # the second time without starts
                begun = time.monotonic()
                getattr(calls, what)()
                lengths[what] = time.monotonic() - begun
        calls.pool.close()
        calls.pool = make()
        base = open_files()
        started = time.monotonic()
        for number in range(count):
            what = chance.choice(slow if chance.random() < slow_part else FAST)
            where = "-"
            begun = time.monotonic()
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + chance.random() * lengths[what] * 1.1)
                getattr(calls, what)()
                signal.setitimer(signal.ITIMER_REAL, 0)
                lengths[what] = 0.8 * lengths[what] + 0.2 * (time.monotonic() - begun)
            except KeyboardInterrupt as error:
                frames = traceback.extract_tb(error.__traceback__)[-3:]
                where = " <- ".join(f"{Path(f.filename).name}:{f.lineno}:{f.name}" for f in reversed(frames))
                hits[what] += 1
            except BaseException as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                frames = traceback.extract_tb(error.__traceback__)[-4:]
                where = " <- ".join(f"{Path(f.filename).name}:{f.lineno}:{f.name}" for f in reversed(frames))
                complaints[f"{what}: {error!r:.200} at {where}"] += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            check_pool(calls, complaints, what, where)
            if number % 2000 == 1999:
                print(number + 1, round(time.monotonic() - started), dict(complaints), flush=True, file=sys.stderr)
        calls.pool.close()
        if not settled(lambda: gc.collect() is not None and not open_files() - base):
            complaints[f"descriptors left: {sorted((open_files() - base).elements())}"] += 1
    if not settled(lambda: not left_of(psutil.Process().children(recursive=True))):
        complaints[
            f"workers left: {[c.cmdline()[-3:] for c in left_of(psutil.Process().children(recursive=True))]}"
        ] += 1
    ours = [t.name for t in threading.enumerate() if t.name.startswith("lean-worker")]
    extra = [name for name in ours if name not in ("lean-worker-monitor", "lean-worker-starter")]
    if not settled(
        lambda: (
            {t.name for t in threading.enumerate() if t.name.startswith("lean-worker")}
            <= {"lean-worker-monitor", "lean-worker-starter"}
        )
    ):
        complaints[f"threads left: {extra}"] += 1
    if sum(hits.values()) < count // 20:
        complaints[f"only {sum(hits.values())} interrupts hit"] += 1
    return complaints, hits


@pytest.mark.supervision
@pytest.mark.once
def test_random_interrupts_leave_nothing_behind():
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, "200", str(random.randrange(10**6))],
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    import faulthandler

    total = int(sys.argv[1])
    on_lean = {"slow": LEAN, "slow_part": 0.8} if sys.argv[3:] == ["lean"] else {}
    faulthandler.dump_traceback_later(60 + (total * 5 if on_lean else total // 5), exit=True)
    found, hit = attack(total, int(sys.argv[2]) if len(sys.argv) > 2 else 1, **on_lean)
    print("interrupts:", sum(hit.values()), "of", total, "calls;", "wrong:", sum(found.values()))
    for complaint, times in found.most_common(20):
        print(times, complaint)
    sys.exit(bool(found))
