"""Hours of a pool's life in minutes: mixed commands, faults, cancels and replaced workers, on Lean and Python at once.

    python benches/soak.py [SECONDS] [--no-lean] [--seed N] [--json FILE]

Ten minutes by default. Six threads share a pool of four workers, each replaced after 10 requests, and choose between
streams and single answers that succeed, and ones that fail, crash, hang, flood, are cancelled, left early, or whose
sink raises; a seventh thread kills a random worker now and then. Checked all the time: every request ends in a way that
fits it, exactly once, rows are gapless, the pool serves again after every failure, counters never go back, and memory,
threads, descriptors and processes stay within bounds. In the end the pool's books must agree with ours to the last
request, and nothing may be left. A broken rule ends it with an AssertionError that names the seed.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import gc
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

import lean_worker as lw
from accounts import NOT_BEGUN, Accounts, SinkFailed, check_gapless
from support import FUNCTIONS, INTEROP, send_signal

THREADS = 6
WORKERS = 4
WARM_UP_SECONDS = 20.0
STALL_SECONDS = 120.0
GROWTH_KIB = 48 << 10
DESCRIPTORS_A_WORKER = 12
PREFIX = "lean_rs_interop_consumer_worker_"

Run = Callable[[lw.Lease, random.Random], int]


@dataclasses.dataclass(frozen=True)
class Action:
    """One kind of request: on which host, how often, how it may end, and what it does."""

    name: str
    host: lw.Capability
    weight: int
    ends: frozenset[str]
    run: Run


def streamed(command: str, request: object, rows: int | None, **limits: float) -> Run:
    """A stream whose rows must be gapless, and all there if it succeeds."""

    def run(lease: lw.Lease, rand: random.Random) -> int:
        seen: list[lw.DataRow] = []
        try:
            lease.run(lw.StreamingCommand(command), request, on_row=seen.append, **limits)
        except lw.LeanWorkerError as error:
            assert error.facts.get("rows_delivered", 0) == len(seen), (command, error)
            raise
        finally:
            check_gapless(seen, command)
        assert rows is None or len(seen) == rows, command
        return len(seen)

    return run


def counted(command: str, in_object: bool) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        count = rand.choice([0, 1, 10, 1000, 20_000])
        return streamed(command, {"count": count} if in_object else count, count)(lease, rand)

    return run


def answered(command: str) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        request = ["é∀🎲" * rand.randrange(1000), rand.randrange(1 << 62)]
        assert lease.call(lw.JsonCommand(command), request) == request
        return 0

    return run


def refused(command: str, request: object = None, **limits: float) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        lease.call(lw.JsonCommand(command), request, **limits)
        return 0

    return run


def cancelled(command: str) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        token = lw.CancelToken()
        after = rand.randrange(200)
        seen: list[lw.DataRow] = []

        def take(row: lw.DataRow) -> None:
            assert not token.is_cancelled, "a row came after the cancel"
            seen.append(row)
            if len(seen) > after:
                token.cancel()

        try:
            lease.run(lw.StreamingCommand(command), on_row=take, cancel=token)
        finally:
            check_gapless(seen, command)
        return 0

    return run


def left_early(command: str) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        with lease.stream(lw.StreamingCommand(command)) as rows:
            for number, _ in enumerate(rows):
                if number > 20:
                    break
        raise lw.Cancelled("left early", entered_worker=True)  # what the pool books for it

    return run


def sink_raises(command: str) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        def take(row: lw.DataRow) -> None:
            if row.sequence == 30:
                raise SinkFailed("the caller's own")

        lease.run(lw.StreamingCommand(command), on_row=take)
        return 0

    return run


def mistyped(command: str) -> Run:
    def run(lease: lw.Lease, rand: random.Random) -> int:
        lease.collect(lw.StreamingCommand(command, row=dict[str, int]))
        return 0

    return run


def actions(with_lean: bool) -> list[Action]:
    """The table of all that is done; any of it may also meet the killer."""

    def on(host: lw.Capability, *table: tuple[str, int, str, Run]) -> list[Action]:
        # `NOT_BEGUN` and "ChildExited" are the killer's doing.
        return [
            Action(name, host, weight, frozenset(ends.split()) | {NOT_BEGUN, "ChildExited"}, run)
            for name, weight, ends, run in table
        ]

    python = on(
        FUNCTIONS,
        ("stream", 30, "ok", counted("rows", True)),
        ("answer", 30, "ok", answered("echo")),
        ("two streams", 5, "ok", streamed("two_streams", None, 3)),
        ("events", 5, "ok", streamed("events", None, 1)),
        ("failure", 5, "CommandFailed", refused("fail")),
        ("unknown command", 3, "UnknownCommand", refused("no_such")),
        ("failure after rows", 3, "CommandFailed", streamed("fail_after_rows", None, None)),
        ("row too large", 2, "FrameTooLarge", streamed("large_row", {"size_bytes": 2 << 20}, None)),
        ("answer too large", 2, "FrameTooLarge", refused("large_answer", {"size_bytes": 2 << 20})),
        ("row of another type", 3, "DecodeError", mistyped("wrong_type")),
        ("cancel", 4, "Cancelled", cancelled("endless")),
        ("left early", 4, "Cancelled", left_early("endless")),
        ("sink raises", 4, "SinkFailed", sink_raises("endless")),
        ("hang", 1, "RequestTimeout", refused("hang", timeout=0.3)),
        ("hang after a row", 1, "RequestTimeout", streamed("row_then_hang", None, None, timeout=0.3)),
        ("flood of stderr", 2, "ok", streamed("flood_stderr", {"kib": 2000}, 2)),
        ("stray print", 2, "ok", streamed("stray_print", None, 1)),
        *((f"crash: {how}", 1, "", streamed("die", {"how": how, "rows": 50}, None)) for how in CRASHES),
    )
    if not with_lean:
        return python
    return python + on(
        INTEROP,
        ("Lean stream", 25, "ok", counted("declarations", False)),
        ("Lean answer", 20, "ok", answered("echo")),
        ("Lean threads", 3, "ok", streamed("tasks", 500, 4000)),
        ("Lean failure", 3, "CommandFailed", refused("refuse")),
        ("Lean malformed row", 3, "RowMalformed", streamed(PREFIX + "data_stream_malformed_json", None, None)),
        ("Lean cancel", 3, "Cancelled", cancelled("forever")),
        ("Lean left early", 3, "Cancelled", left_early("forever")),
        ("Lean sink raises", 3, "SinkFailed", sink_raises("forever")),
        ("Lean hang", 1, "RequestTimeout", refused("silent_sleep", timeout=0.5)),
        ("Lean exit", 1, "", streamed("early_exit", 3, None)),
        ("Lean panic", 1, "", streamed(PREFIX + "data_stream_row_then_panic", None, None)),
        ("Lean stack overflow", 1, "", streamed("endless_recursion", None, None)),
    )


CRASHES = ("exit", "SIGKILL", "SIGSEGV", "SIGABRT")


class Soak:
    """One run: its threads, its watch, its report."""

    def __init__(self, seconds: float, seed: int, *, with_lean: bool) -> None:
        self.seconds, self.seed, self.with_lean = seconds, seed, with_lean
        self.actions = actions(with_lean)
        self.accounts = Accounts()
        self.by_action: collections.Counter[tuple[str, str]] = collections.Counter()
        self.kills = 0
        self.broken: list[str] = []
        self.samples: list[dict[str, int]] = []
        self._lock = threading.Lock()
        self._progress = [time.monotonic()] * THREADS
        self._end = time.monotonic() + seconds
        self.pool = lw.Pool(
            max_workers=WORKERS,
            timeouts=lw.Timeouts(request=60, cancel_grace=5),
            restarts=lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None),
            memory=lw.MemoryPolicy(max_requests=10),
            on_event=self.accounts.on_event,
        )

    def _running(self) -> bool:
        return time.monotonic() < self._end and not self.broken

    def run(self) -> dict[str, object]:
        before = _held()
        began = time.monotonic()
        threads = [threading.Thread(target=self._guard, args=(self._work, number)) for number in range(THREADS)]
        threads += [threading.Thread(target=self._guard, args=(work,)) for work in (self._kill, self._watch)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.broken:
            raise AssertionError(f"seed {self.seed}: {self.broken[0]}")
        snapshot = self.accounts.close(self.pool, self.seed)
        self._nothing_left(before)
        return self._report(snapshot, time.monotonic() - began)

    def _guard(self, work: Callable[..., None], *arguments: int) -> None:
        try:
            work(*arguments)
        except BaseException:
            self.broken.append(traceback.format_exc())

    def _work(self, number: int) -> None:
        rand = random.Random(f"{self.seed} {number}")
        hosts = list({id(action.host): action.host for action in self.actions}.values())
        while self._running():
            # A while with one host, so that workers live long enough to be replaced as planned.
            host = rand.choice(hosts)
            mine = [action for action in self.actions if action.host is host]
            for action in rand.choices(mine, [action.weight for action in mine], k=30):
                if not self._running():
                    break
                if self._one(action, rand) != "ok":
                    self._serves_again(action, rand)
                self._progress[number] = time.monotonic()

    def _one(self, action: Action, rand: random.Random) -> str:
        outcome = self.accounts.request(self.pool, action.host, lambda lease: action.run(lease, rand))
        assert outcome in action.ends, f"{action.name} ended in {outcome}"
        with self._lock:
            self.by_action[action.name, outcome] += 1
        return outcome

    def _serves_again(self, after: Action, rand: random.Random) -> None:
        """After whatever failure the next request to the same host succeeds, unless the killer strikes again."""
        answer = Action(
            "answer after a failure", after.host, 0, frozenset({"ok", NOT_BEGUN, "ChildExited"}), answered("echo")
        )
        for _ in range(10):
            if self._one(answer, rand) == "ok":
                return
        raise AssertionError(f"the pool does not serve after {after.name}")

    def _kill(self) -> None:
        rand = random.Random(f"{self.seed} killer")
        while self._running():
            time.sleep(rand.uniform(0.1, 1.5))
            alive = [pid for pid in self.pool._core.workers.pids() if pid]
            if alive:
                send_signal(rand.choice(alive), signal.SIGKILL)
                self.kills += 1

    def _watch(self) -> None:
        began = time.monotonic()
        last = self.pool.snapshot()
        warm: dict[str, int] | None = None
        while self._running():
            time.sleep(0.5)
            now = self.pool.snapshot()
            _check_monotone(last, now)
            last = now
            ended = sum(now.outcomes.values())
            assert 0 <= now.requests - ended <= THREADS, "requests without an outcome"
            assert now.leased + now.idle <= WORKERS and now.queued <= THREADS
            sample = _sample()
            self.samples.append(sample)
            assert sample["descriptors"] <= 40 + DESCRIPTORS_A_WORKER * (WORKERS + THREADS), sample
            assert sample["threads"] <= THREADS + 10, sample
            assert sample["processes"] <= 2 * WORKERS + THREADS, sample
            if time.monotonic() - began > WARM_UP_SECONDS:
                warm = warm or sample
                assert sample["memory_kib"] - warm["memory_kib"] < GROWTH_KIB, (warm, sample)
            slowest = time.monotonic() - min(self._progress)
            assert slowest < STALL_SECONDS, f"a thread has not come on for {slowest:.0f} seconds"

    def _nothing_left(self, before: tuple[int, int, int]) -> None:
        # The monitor's thread and its three descriptors are there for the rest of the process.
        allowed = (before[0], before[1] + 1, before[2] + 6)
        end = time.monotonic() + 30
        while not all(now <= most for now, most in zip(_held(), allowed, strict=True)):
            assert time.monotonic() < end, f"left behind: {_held()} instead of {allowed}"
            time.sleep(0.05)

    def _report(self, snapshot: lw.metrics.PoolSnapshot, seconds: float) -> dict[str, object]:
        actions: dict[str, dict[str, int]] = {}
        for (name, outcome), count in sorted(self.by_action.items()):
            actions.setdefault(name, {})[outcome] = count
        steady = [
            sample for number, sample in enumerate(self.samples) if number * 0.5 > WARM_UP_SECONDS
        ] or self.samples
        return {
            "seed": self.seed,
            "seconds": round(seconds, 1),
            "hosts": "Lean and Python" if self.with_lean else "Python",
            "requests": snapshot.requests,
            "outcomes": dict(sorted(self.accounts.outcomes.items(), key=lambda item: -item[1])),
            "actions": actions,
            "kills": self.kills,
            "workers started": snapshot.started,
            "workers ended": {name: count for name, count in snapshot.ended.items() if count},
            "rows delivered": snapshot.rows_delivered,
            "rows committed": self.accounts.committed_rows,
            "received MiB": snapshot.received_bytes >> 20,
            "events dropped": snapshot.events_dropped,
            "after warm-up": {
                name: {
                    "first": steady[0][name],
                    "last": steady[-1][name],
                    "most": max(sample[name] for sample in steady),
                }
                for name in steady[0]
            },
            "left behind": 0,
        }


def _check_monotone(before: lw.metrics.PoolSnapshot, after: lw.metrics.PoolSnapshot) -> None:
    for name in ("started", "requests", "rows_delivered", "received_bytes", "backpressure_us", "events_dropped"):
        assert getattr(after, name) >= getattr(before, name), f"{name} went back"
    for name in ("ended", "outcomes", "refused"):
        old, new = getattr(before, name), getattr(after, name)
        assert all(new.get(key, 0) >= count for key, count in old.items()), f"{name} went back"


def _held() -> tuple[int, int, int]:
    gc.collect()
    return len(psutil.Process().children()), threading.active_count(), len(os.listdir("/proc/self/fd"))


def _sample() -> dict[str, int]:
    process = psutil.Process()
    return {
        "memory_kib": process.memory_info().rss >> 10,
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "processes": len(process.children()),
    }


def run(seconds: float, *, seed: int | None = None, with_lean: bool = True) -> dict[str, object]:
    """Soak for so many seconds and return the report."""
    return Soak(seconds, random.randrange(1 << 32) if seed is None else seed, with_lean=with_lean).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=600)
    parser.add_argument("--no-lean", action="store_true", help="the Python host alone")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", type=Path, help="write the report there too")
    options = parser.parse_args()
    report = run(options.seconds, seed=options.seed, with_lean=not options.no_lean)
    for name, value in report.items():
        if isinstance(value, dict):
            print(name)
            for key, figure in value.items():
                shown = ", ".join(f"{k} {v}" for k, v in figure.items()) if isinstance(figure, dict) else figure
                print(f"  {key:28}{shown}")
        else:
            print(f"{name:30}{value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
