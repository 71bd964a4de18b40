"""Extraction of a large generated library and of the embedded Lean's own: complete, equal, flat, and resumable.

What it shows, each checked:

- all declarations are there, next to the names in the bytes of the module files, read without Lean, and to the names
  that a plain Lean script prints;
- two runs, one and two workers, and a run that was killed in the middle and went on give equal files;
- memory does not grow with what is extracted;
- declarations a second, with types and axioms and without, next to the plain script.

    python benches/extract_library.py [ROUNDS] [THEOREMS]
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import compare
from extract import PLAIN

import lean_worker as lw
from lean_worker import extraction
from lean_worker.child import olean_cache
from lean_worker.cli import demo_library
from lean_worker.extraction import sessions
from lean_worker.toolchains import toolchain

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from lean_modules import ModuleNames

MODULES = 48
LEAN = "embedded"


class Library:
    """The generated library, compiled, and the names in its files."""

    def __init__(self, scratch: Path, theorems: int) -> None:
        self.scratch = scratch
        self.lean = toolchain.resolve(LEAN)
        self.standard = olean_cache.prepare(self.lean.library)
        self.directory = scratch / "library"
        each = theorems // MODULES
        demo_library.build(self.directory, self.lean, str(self.standard), modules=MODULES, theorems=each)
        self.own = [f"{demo_library.NAME}.Part{number}" for number in range(MODULES)]
        built = self.directory / ".lake" / "build" / "lib" / "lean"
        self.expected: Counter[str] = Counter()
        for place in (built, self.standard):
            for file in sorted(place.rglob("*.olean")):
                module = ".".join(file.relative_to(place).with_suffix("").parts)
                self.expected[module] = len(ModuleNames(file).names)
        self.path = f"{built}{os.pathsep}{self.standard}"
        self.targets = [name for name, count in sorted(self.expected.items()) if count]
        self.whole: bytes | None = None
        assert sum(self.expected[module] for module in self.own) == each * MODULES

    def extracted(self, workers: int, types: bool, out: Path) -> None:
        request = extraction.Request(with_type=types, with_axioms=types)
        with lw.Pool(max_workers=workers) as pool:
            lw.extract(
                "declarations",
                self.targets,
                out=out,
                project=self.directory,
                toolchain=LEAN,
                pool=pool,
                request=request,
            )

    def plain(self, types: bool, out: Path) -> None:
        script = self.scratch / "Plain.lean"
        script.write_text(PLAIN)
        argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(self.lean.library), "--run", str(script)]
        roots = [*self.own, sessions.EVERYTHING]
        with out.open("wb") as file:
            subprocess.run(
                [*argv, "types" if types else "names", *roots],
                env={**os.environ, "LEAN_PATH": self.path},
                stdout=file,
                check=True,
            )


def check_rows(library: Library, out: Path) -> int:
    """All names are there, each module's as often as its file has names; returns how many."""
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert Counter(row["module"] for row in rows) == +library.expected
    return len(rows)


def rate(library: Library, call: Any, out: Path) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    call(out)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = check_rows(library, out)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rows_per_second": count / seconds, "cpu_us_per_row": cpu * 1e6 / count}


def done_items(ledger: Path) -> int:
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as it,
    ):
        return int(it.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()[0])
    return 0


def killed_and_resumed(library: Library, whole: bytes) -> dict[str, int]:
    """Kill an extraction when it has a third of the modules, and run the same command again."""
    out = library.scratch / "resumed.jsonl"
    argv = [sys.executable, "-m", "lean_worker.cli", "extract", "declarations", *library.targets]
    argv += ["--project", str(library.directory), "--toolchain", LEAN, "--json", "--out", str(out)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while done_items(Path(f"{out}.ledger")) < len(library.targets) // 3:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = done_items(Path(f"{out}.ledger"))
    again = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    assert out.read_bytes() == whole, "the resumed file differs"
    return {"modules": len(library.targets), "done_when_killed": done, "ran_again": again["ran"]}


def memory(library: Library) -> dict[str, Any]:
    """Private memory of one worker, after each module of the generated library, asked for in turn for two rounds."""
    capability = extraction.extractor(library.own, project=library.directory, toolchain=LEAN)
    held = []
    with lw.Pool() as pool, pool.lease(capability) as lease:
        for module in library.own * 2:
            rows = lease.collect(extraction.DECLARATIONS, extraction.Request(modules=(module,))).rows
            assert len(rows) == library.expected[module]
            held.append(pool.snapshot().memory_kib or 0)
    quarter = len(held) // 4
    growth = max(held[-quarter:]) - max(held[:quarter])
    assert growth < 16 * 1024, f"a worker grew by {growth} KiB: {held}"
    return {"first_kib": held[0], "highest_kib": max(held), "last_kib": held[-1], "growth_kib": growth}


def main() -> None:
    rounds = compare.rounds_from_arguments(3)
    theorems = int(sys.argv[2]) if len(sys.argv) > 2 else 24_000
    with tempfile.TemporaryDirectory(prefix="lean-worker-bench-") as name:
        scratch = Path(name)
        started = time.monotonic()
        library = Library(scratch, theorems)
        print(f"{sum(library.expected.values()):,} declarations of {len(library.targets)} modules, by their bytes")
        print(f"compiled in {time.monotonic() - started:.1f} s")
        files: dict[tuple[str, bool], bytes] = {}

        def same(kind: tuple[str, bool], out: Path) -> None:
            content = out.read_bytes()
            assert files.setdefault(kind, content) == content, f"two runs differ: {kind}"

        def workers(count: int, types: bool) -> dict[str, float]:
            out = scratch / "rows.jsonl"
            found = rate(library, lambda out: library.extracted(count, types, out), out)
            same(("extract", types), out)
            return found

        def plain(types: bool) -> dict[str, float]:
            out = scratch / "plain.jsonl"
            found = rate(library, lambda out: library.plain(types, out), out)
            same(("plain", types), out)
            return found

        measured = compare.rounds_of(
            {
                f"{how}, {what}": (lambda call=call, types=types: call(types))
                for what, types in (("types and axioms", True), ("without", False))
                for how, call in (
                    ("plain script", plain),
                    ("one worker", lambda types: workers(1, types)),
                    ("two workers", lambda types: workers(2, types)),
                )
            },
            rounds,
        )
        for types in (True, False):
            mine, theirs = (sorted(files[kind, types].splitlines()) for kind in ("extract", "plain"))
            assert mine == theirs, "the plain script prints other rows"
        facts = {"resumed": killed_and_resumed(library, files["extract", True]), "memory": memory(library)}
    for variant, values in measured.items():
        speed, cpu = (compare.Spread.of(values[key]) for key in ("rows_per_second", "cpu_us_per_row"))
        print(f"{variant}: {speed.text()} rows a second; {cpu.text()} µs of processor time a row")
    print(json.dumps(facts))
    compare.save("extract_library", {**measured, **facts})


if __name__ == "__main__":
    main()
