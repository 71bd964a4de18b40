"""`check` of many small Lean files: its verdicts, and its time beside a shell loop that starts Lean for each.

First 200 generated files (type errors, syntax errors, missing imports, `sorry`, four that loop until the deadline, one
that crashes Lean) are checked with one and with two workers, twice; every verdict and message must be the expected one,
and equal each time. Then 40 files that end by themselves are checked in turn by:

    shell 1    `for file in …; do lean --json $file; done`, with Lean's own driver loaded by the barest Python
    shell 2    the same, two at once (xargs -P 2)
    check 1/2  `lw.check` with one and with two workers, their start included
    warm 1/2   the same on a pool that is there already

All variants have to find the same messages.

    python benches/check.py [rounds]
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import compare

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
import lean_files
import lean_worker as lw
from lean_worker.child import olean_cache

FILES = 200
TIMED_FILES = 40
TIMEOUT_SECONDS = 3.0
DRIVER = "import sys; sys.path.append(sys.argv.pop(1)); from lean_worker.child.lean_driver import run; run()"


def write(directory: Path, files: list[lean_files.LeanFile]) -> dict[str, lean_files.LeanFile]:
    """The files on disk, by path."""
    paths = {}
    for file in files:
        path = directory / file.name
        path.write_text(file.text)
        paths[str(path)] = file
    return paths


def known(checked: lw.CheckResult) -> object:
    """A file's messages; of one that crashed Lean nothing, since Lean prints from a thread of its own."""
    return None if checked.verdict is lw.Verdict.LOST else checked.messages


def show(directory: Path) -> list[dict[str, object]]:
    """Check the 200 files four times; raises if anything is not as expected."""
    files = write(directory, lean_files.generate(FILES, looping_count=4, crashing_count=1, seed=200))
    results, found = [], []
    for jobs in (1, 2, 1, 2):
        started = time.perf_counter()
        outcomes = list(lw.check(files, toolchain="embedded", jobs=jobs, timeout=TIMEOUT_SECONDS))
        seconds = time.perf_counter() - started
        wrong = [checked for checked in outcomes if not lean_files.is_as_expected(checked, files[checked.file])]
        if wrong or len(outcomes) != FILES:
            raise AssertionError(f"{len(outcomes)} outcomes, of which these are wrong: {wrong}")
        found.append({checked.file: (checked.verdict, known(checked), checked.signal) for checked in outcomes})
        counts = {verdict.value: sum(c.verdict is verdict for c in outcomes) for verdict in lw.Verdict}
        results.append({"jobs": jobs, "seconds": seconds, "counts": counts})
        print(f"{FILES} files, jobs {jobs}: {seconds:.2f} s, {counts}", flush=True)
    if any(once != found[0] for once in found):
        raise AssertionError("the four runs did not find the same")
    return results


def variants(directory: Path) -> dict[str, Callable[[], dict[str, float]]]:
    """The timed ways, each of which checks that it found what it had to."""
    files = write(directory, lean_files.generate(TIMED_FILES, looping_count=0, crashing_count=0, seed=1))
    messages = sum(len(file.messages) for file in files.values())
    library = lw.toolchains.resolve("embedded").library
    env = {**os.environ, "LEAN_PATH": str(olean_cache.prepare(library))}
    packages = str(Path(lw.__file__).parents[1])
    lean = shlex.join([sys.executable, "-I", "-S", "-c", DRIVER, packages, str(library), "--json"])
    paths = shlex.join(files)

    def shell(script: str) -> dict[str, float]:
        started = time.perf_counter()
        outcome = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        lines = [json.loads(line) for line in outcome.stdout.splitlines()]
        assert len(lines) == messages, outcome
        return {"ms_a_file": seconds / TIMED_FILES * 1000}

    def check(jobs: int, pool: lw.Pool | None) -> dict[str, float]:
        started = time.perf_counter()
        outcomes = list(lw.check(files, toolchain="embedded", jobs=None if pool else jobs, pool=pool))
        seconds = time.perf_counter() - started
        assert all(lean_files.is_as_expected(checked, files[checked.file]) for checked in outcomes)
        assert len(outcomes) == TIMED_FILES
        return {"ms_a_file": seconds / TIMED_FILES * 1000}

    pools = {jobs: lw.Pool(jobs) for jobs in (1, 2)}
    return {
        "shell 1": lambda: shell(f"for file in {paths}; do {lean} $file; done"),
        "shell 2": lambda: shell(f"printf '%s\\n' {paths} | xargs -P 2 -n 1 {lean}"),
        "check 1": lambda: check(1, None),
        "check 2": lambda: check(2, None),
        "warm 1": lambda: check(1, pools[1]),
        "warm 2": lambda: check(2, pools[2]),
    }


def main() -> None:
    """Run everything, print the figures and keep them."""
    rounds = compare.rounds_from_arguments(7)
    with tempfile.TemporaryDirectory() as scratch:
        shown = show(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        measured = compare.rounds_of(variants(Path(scratch)), rounds)
    rows = []
    for name, values in measured.items():
        beside = measured[f"shell {name[-1]}"]["ms_a_file"]
        ms = values["ms_a_file"]
        rows.append([name, compare.Spread.of(ms).text(1), compare.ratio(beside, ms).text(2)])
    print(compare.table(["way", "ms a file", "times as fast as the shell loop"], rows))
    compare.save("check", {"show": shown, "timed": measured})


if __name__ == "__main__":
    main()
