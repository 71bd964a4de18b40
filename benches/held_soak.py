"""Many files with few headers in random order, with shared imports: every verdict as without.

    python benches/held_soak.py [FILES] [KILLS] [SEED] [BUILDS]

FILES (2,000) snippets with 10 headers are checked in random order, twice, with one and with four workers. The outcomes
must be equal; those of a sample of 200 must be equal to plain runs. Then they are checked while holders are killed or
stopped at random moments until KILLS (100) have been. Last, a module is built again BUILDS (20) times while files that
import it are checked by two workers: each verdict must match the module as it was when its file started, or became
while it ran. Raises at the first difference; prints what it did.
"""

from __future__ import annotations

import collections
import contextlib
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

import lean_worker as lw

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
import import_snippets
from support import compile_modules

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


def build(project: Path, value: int) -> None:
    """A module `Ours` with an axiom of a certain name, as a project's build leaves it: renamed into place."""
    compile_modules(project, {"Ours": f"prelude\nimport LeanWorker.Prelude\naxiom Ours.a{value} : True\n"})


def check_while_building(builds: int, rng: random.Random) -> None:
    """Check files that use one state of a module while it is built again and again."""
    with tempfile.TemporaryDirectory() as directory, lw.Pool(2) as pool:
        project = Path(directory)
        build(project, 0)
        state = {"begun": 0, "done": 0}

        def rebuild() -> None:
            for number in range(1, builds + 1):
                time.sleep(rng.uniform(0.1, 0.5))
                state["begun"] = number
                build(project, number)
                state["done"] = number

        builder = threading.Thread(target=rebuild, daemon=True)
        builder.start()
        ways: collections.Counter[str] = collections.Counter()
        verdicts: collections.Counter[str] = collections.Counter()
        while builder.is_alive():
            # Whatever was there between the start of the file and its end; most often there is one state only.
            wanted = max(0, state["done"] - rng.randrange(2))
            text = f"prelude\nimport Ours\n#check Ours.a{wanted}\n"
            earliest = state["done"]
            (found,) = lw.check(
                [("f", text)], pool=pool, project=project, settings="none", toolchain="embedded", timeout=60
            )
            possible = range(earliest, state["begun"] + 1)
            expected = {"accepted" if wanted == value else "rejected" for value in possible}
            assert found.verdict.value in expected, (wanted, possible, found)
            ways[found.ran_as or ""] += 1
            verdicts[found.verdict.value] += 1
        builder.join()
    print(f"while a module was built again {builds} times: {dict(ways)}, {dict(verdicts)}", flush=True)


def main() -> None:
    """Run everything."""
    count, kills, seed, builds = (int(a) for a in (*sys.argv[1:], *("2000", "100", "1", "20")[len(sys.argv) - 1 :]))
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
    check_while_building(builds, rng)
    print("all equal")


if __name__ == "__main__":
    main()
