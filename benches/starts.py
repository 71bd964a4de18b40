"""The time of a worker's start by stages: CPU of a process that gets as far as each stage, and no further.

    python benches/starts.py [rounds]

In turn in one run: the interpreter, the worker's imports, Lean's library and its initialisation, the import of
`LeanWorker`, the script, and whole workers with their handshake.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import compare
import psutil
from compare import private_bytes

import lean_worker as lw

EMPTY = """prelude
import LeanWorker
open LeanWorker
def nothing : Command where
  name := "nothing"
  run _ := return ""
def main : IO Unit := serve (List.cons nothing List.nil)
"""
FUNCTIONS = lw.PythonCapability("growth_host:COMMANDS", path=[Path(__file__).parent])


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def program(*arguments: str, env: dict[str, str] | None = None) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        before = children_seconds()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, **(env or {})})
        return {"cpu_ms": (children_seconds() - before) * 1e3}

    return run


def worker(capability: lw.Capability) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        before = children_seconds()
        with lw.Pool() as pool, pool.lease(capability):
            private = sum(private_bytes(child.pid) for child in psutil.Process().children())
        return {"cpu_ms": (children_seconds() - before) * 1e3, "private_mb": private / 1e6}

    return run


def main() -> None:
    rounds = compare.rounds_from_arguments(7)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["LEAN_WORKER_CACHE_DIR"] = str(place / "cache")
        os.environ["LEAN_WORKER_NO_HOLDERS"] = "1"  # a slow start would begin one beside it
        (place / "Empty.lean").write_text(EMPTY)
        (place / "Imports.lean").write_text("prelude\nimport LeanWorker\n")
        lean = lw.LeanCapability(place / "Empty.lean", toolchain="embedded")
        with lw.Pool() as pool:
            pool.lease(lean).release()  # compiles `LeanWorker`
        library = str(lw.toolchains.resolve("embedded").library)
        (entry,) = (path for path in (place / "cache").iterdir() if (path / "LeanWorker.olean").is_file())
        driver = ("-m", "lean_worker.child.lean_driver", library)
        measured = compare.rounds_of(
            {
                "interpreter": program("-c", "import os; os._exit(0)"),
                "Lean's driver, its imports": program("-c", "import lean_worker.child.lean_driver, os; os._exit(0)"),
                "worker's imports": program(
                    "-c", "import lean_worker.child.__main__, lean_worker.child.python_host, os; os._exit(0)"
                ),
                "Python worker": worker(FUNCTIONS),
                "Lean library and initialisation": program(*driver, "--version"),
                "import of LeanWorker": program(*driver, str(place / "Imports.lean"), env={"LEAN_PATH": str(entry)}),
                "Lean worker": worker(lean),
            },
            rounds,
        )
    for stage, measures in measured.items():
        for measure, values in measures.items():
            print(f"{stage:34} {measure:10} {compare.Spread.of(values).text(1)}")
    compare.save("starts", measured)


if __name__ == "__main__":
    main()
