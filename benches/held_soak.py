"""Many files with few headers in random order, with shared imports: every verdict as without.

    python benches/held_soak.py [FILES] [KILLS] [SEED]

FILES (2,000) snippets with 10 headers are checked in random order, twice, with one and with four workers. The outcomes
must be equal; those of a sample of 200 must be equal to plain runs. Then they are checked while holders are killed or
stopped at random moments until KILLS (100) have been. Raises at the first difference; prints what it did.
"""

from __future__ import annotations

import collections
import contextlib
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

import lean_worker as lw

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import import_snippets

HEADERS = 10
SAMPLE = 200

Essence = dict[str, object]


def files_of(count: int, rng: random.Random) -> list[tuple[str, str]]:
    """Snippets of all kinds, each with one of the headers, which differ in a comment."""
    bodies = [body for name, body in import_snippets.BODIES.items() if name != "crash"]
    header = import_snippets.HEADER.rstrip("\n")
    found = []
    for i in range(count):
        body = rng.choice(bodies) + f"\n-- {i}"
        found.append((f"f{i}", f"-- header {rng.randrange(HEADERS)}\n{header}{body}"))
    return found


def essence(outcomes: list[lw.CheckResult]) -> Essence:
    """What must be equal; of a file that ends Lean itself, messages may be missing."""
    return {
        c.file: (c.verdict, c.exit_code, c.signal, c.cause, None if c.verdict is lw.Verdict.LOST else c.messages)
        for c in outcomes
    }


def check(files: list[tuple[str, str]], jobs: int, *, reuse: bool = True) -> tuple[Essence, str]:
    started = time.monotonic()
    outcomes = list(lw.check(files, toolchain="embedded", jobs=jobs, timeout=60, reuse_imports=reuse))
    ways = dict(collections.Counter(c.ran_as for c in outcomes))
    return essence(outcomes), f"{len(outcomes)} files, jobs {jobs}: {time.monotonic() - started:.1f} s, {ways}"


def differences(found: Essence, expected: Essence) -> list[tuple[object, object]]:
    return [(found[name], expected[name]) for name in expected if found.get(name) != expected[name]]


def require_equal(found: Essence, expected: Essence) -> None:
    wrong = differences(found, expected)
    if wrong:
        raise AssertionError(f"{len(wrong)} differ, the first: {wrong[0]}")


def kill_holders(stop: threading.Event, killed: list[int], most: int, rng: random.Random) -> None:
    """Kill or stop holders: children of workers that came after the keeper."""
    while not stop.wait(rng.uniform(0.02, 0.3)) and len(killed) < most:
        with contextlib.suppress(psutil.Error, IndexError):
            worker = rng.choice(psutil.Process().children())
            holders = sorted(worker.children(), key=lambda process: process.create_time())[1:]
            holder = rng.choice(holders)
            holder.send_signal(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP]))
            killed.append(holder.pid)


def main() -> None:
    """Run everything."""
    count, kills, seed = (int(a) for a in (*sys.argv[1:], *("2000", "100", "1")[len(sys.argv) - 1 :]))
    rng = random.Random(seed)
    files = files_of(count, rng)
    plain, text = check(rng.sample(files, min(SAMPLE, count)), 2, reuse=False)
    print("plain sample:", text, flush=True)
    first: Essence | None = None
    for jobs in (1, 4, 1, 4):
        rng.shuffle(files)
        found, text = check(files, jobs)
        print("held:", text, flush=True)
        require_equal(found, plain)
        require_equal(found, first or found)
        first = found
    assert first is not None
    killed: list[int] = []
    while len(killed) < kills:
        stop = threading.Event()
        killer = threading.Thread(target=kill_holders, args=(stop, killed, kills, rng), daemon=True)
        killer.start()
        found, text = check(files, 2)
        stop.set()
        killer.join()
        print(f"while holders are killed ({len(killed)} so far):", text, flush=True)
        require_equal(found, first)
    print("all equal")


if __name__ == "__main__":
    main()
