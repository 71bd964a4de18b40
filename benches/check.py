"""`check` of many small Lean files: its verdicts, and its time beside a shell loop that starts Lean for each.

First 200 generated files (type errors, syntax errors, missing imports, `sorry`, four that loop until the deadline, one
that crashes Lean) are checked with one and with two workers, twice; every verdict and message must be the expected one,
and equal each time. Then 40 files that end by themselves are checked in turn by:

    shell 1    `for file in …; do lean --json $file; done`, with Lean's own driver loaded by the barest Python
    shell 2    the same, two at once (xargs -P 2)
    process 1  a process for each file, started from Python
    load 1     the same with Lean's `--incr-load` of what one run with `--incr-header-save` had imported
    loop 1     one process that elaborates them all and keeps what it has imported, as REPLs do (`Loop.lean`)
    check 1/2  `lw.check` with one and with two workers, their start included
    fork 1     `lw.check` on a pool that is there already, without holders: each file is a fork that imports
    warm 1/2   the same with holders: each file is a fork of a process that has imported

All variants have to find the same messages; the loop is not told of those about syntax.

    python benches/check.py [rounds]
"""

from __future__ import annotations

import functools
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
from check_headers import cpu_seconds

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
import lean_files
import lean_worker as lw
from lean_worker.child import olean_cache

FILES = 200
TIMED_FILES = 40
TIMEOUT_SECONDS = 3.0
LOOP = lw.StreamingCommand("check", row=dict)
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
        outcomes = list(lw.check(list(files), toolchain="embedded", jobs=jobs, timeout=TIMEOUT_SECONDS))
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
    argv = [sys.executable, "-I", "-S", "-c", DRIVER, packages, str(library), "--json"]
    lean = shlex.join(argv)
    paths = shlex.join(files)
    header, kept = directory / "header", directory / "kept"
    header.write_text(lean_files.HEADER)
    subprocess.run([*argv, f"--incr-header-save={kept}", str(header)], env=env, check=True)

    def timed(run: Callable[[], int]) -> dict[str, float]:
        cpu, started = cpu_seconds(), time.perf_counter()
        assert run() == messages
        wall = time.perf_counter() - started
        return {"ms_a_file": wall / TIMED_FILES * 1000, "cpu_ms_a_file": (cpu_seconds() - cpu) / TIMED_FILES * 1000}

    def output_of(argv: list[str]) -> int:
        outcome = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        return len([json.loads(line) for line in outcome.stdout.splitlines()])

    def processes(*options: str) -> int:
        return sum(output_of([*argv, *options, path]) for path in files)

    def check(jobs: int, pool: lw.Pool | None, *, reuse: bool = True) -> int:
        outcomes = list(
            lw.check(list(files), toolchain="embedded", jobs=None if pool else jobs, pool=pool, reuse_imports=reuse)
        )
        assert all(lean_files.is_as_expected(checked, files[checked.file]) for checked in outcomes)
        assert reuse or {checked.ran_as for checked in outcomes} == {"fork"}
        return sum(len(checked.messages) for checked in outcomes)

    looping = lw.Pool(1).lease(lw.LeanCapability(Path(__file__).parent / "Loop.lean", toolchain="embedded"))

    def loop() -> int:
        found = 0
        for file in files.values():
            rows = looping.collect(LOOP, {"name": file.name, "text": file.text}).rows
            expected = [] if file.name.startswith("ill_formed") else file.messages
            assert [row["line"] for row in rows] == [line for _, line, _ in expected], (file, rows)
            found += len(file.messages)
        return found

    pools = {jobs: lw.Pool(jobs) for jobs in (1, 2)}
    ways: dict[str, Callable[[], int]] = {
        "shell 1": lambda: output_of(["bash", "-c", f"for file in {paths}; do {lean} $file; done"]),
        "shell 2": lambda: output_of(["bash", "-c", f"printf '%s\\n' {paths} | xargs -P 2 -n 1 {lean}"]),
        "process 1": processes,
        "load 1": lambda: processes(f"--incr-load={kept}"),
        "loop 1": loop,
        "check 1": lambda: check(1, None),
        "check 2": lambda: check(2, None),
        "fork 1": lambda: check(1, pools[1], reuse=False),
        "warm 1": lambda: check(1, pools[1]),
        "warm 2": lambda: check(2, pools[2]),
    }
    return {name: functools.partial(timed, run) for name, run in ways.items()}


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
        cpu = compare.Spread.of(values["cpu_ms_a_file"])
        rows.append([name, compare.Spread.of(ms).text(1), cpu.text(1), compare.ratio(beside, ms).text(2)])
    print(compare.table(["way", "ms a file", "CPU, ms a file", "times as fast as the shell loop"], rows))
    compare.save("check", {"show": shown, "timed": measured})


if __name__ == "__main__":
    main()
