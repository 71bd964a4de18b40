"""Declarations of the embedded library a second: one and two workers into a file, and a plain script that prints lines.

Every variant starts its own Lean, so that all include it, and has to give the same rows.

    python benches/extract.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare

import lean_worker as lw
from lean_worker import extraction
from lean_worker.child import olean_cache
from lean_worker.extraction import sessions
from lean_worker.toolchains import toolchain

EVERYTHING = sessions.EVERYTHING
PLAIN = """prelude
import LeanWorker.Extract
open Lean LeanWorker LeanWorker.Extract

def main (arguments : List String) : IO Unit := do
  let opened ← openModules (arguments.drop 1).toArray
  let flag := some (arguments[0]! == "types")
  let request : Request := {
    imports := none, modules := none, width := none, options := none,
    withType := flag, withExpr := none, withAxioms := flag, withDoc := none }
  let simp := Meta.simpExtension.getState opened.env
  for (module, constants) in ← opened.wanted none do
    for info in constants do
      IO.println (toJson (← declarationOf opened simp request module info)).compress
"""


def main() -> None:
    lean = toolchain.resolve("embedded")
    modules = olean_cache.prepare(lean.library)
    with tempfile.TemporaryDirectory(prefix="lean-worker-bench-") as scratch:
        script = Path(scratch, "Plain.lean")
        script.write_text(PLAIN)
        rows: set[int] = set()

        def plain(types: bool) -> dict[str, float]:
            argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(lean.library), "--run", str(script)]
            out = Path(scratch, "plain.jsonl")
            started = time.perf_counter()
            with out.open("wb") as file:
                subprocess.run(
                    [*argv, "types" if types else "names", EVERYTHING],
                    env={**os.environ, "LEAN_PATH": str(modules)},
                    stdout=file,
                    check=True,
                )
            return rate(out, started)

        def extracted(workers: int, types: bool) -> dict[str, float]:
            out = Path(scratch, "rows.jsonl")
            request = extraction.Request(with_type=types, with_axioms=types)
            started = time.perf_counter()
            lw.extract("declarations", out=out, toolchain="embedded", workers=workers, request=request)
            return rate(out, started)

        def rate(out: Path, started: float) -> dict[str, float]:
            seconds = time.perf_counter() - started
            names = [json.loads(line)["name"] for line in out.read_text().splitlines()]
            rows.add(len(names))
            assert len(rows) == 1, f"the variants differ: {rows}"
            return {"rows_per_second": len(names) / seconds}

        measured = compare.rounds_of(
            {
                f"{how}, {what}": (lambda call=call, types=types: call(types))
                for what, types in (("types and axioms", True), ("without", False))
                for how, call in (
                    ("plain script", plain),
                    ("one worker", lambda types: extracted(1, types)),
                    ("two workers", lambda types: extracted(2, types)),
                )
            },
            compare.rounds_from_arguments(5),
        )
    print(f"{rows} declarations")
    for name, values in measured.items():
        print(f"{name}: {compare.Spread.of(values['rows_per_second']).text()} rows a second")
    compare.save("extract", measured)


if __name__ == "__main__":
    main()
