"""Module files with many theorems, generated: what a header of a large project costs, without that project.

    python benches/headers.py DIRECTORY MODULES THEOREMS [TERMS]

compiles MODULES modules `Large.M0`, … of THEOREMS theorems each, and `Large`, which imports them all, into DIRECTORY.
Each statement has TERMS parts that no other one has. Existing files are kept, so that it can be interrupted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lean_worker as lw
from lean_worker.child import olean_cache

PRELUDE = "prelude\nimport LeanWorker.Prelude\n"


def module_text(module: int, theorems: int, terms: int) -> str:
    """The text of a module whose theorems are provable by projection."""
    lines = [PRELUDE]
    for i in range(theorems):
        parts = [f"Eq (Nat.add n {module * theorems * terms + i * terms + j}) (Nat.mul n {j})" for j in range(terms)]
        statement = "q"
        for part in reversed(parts):
            statement = f"And ({part}) ({statement})"
        lines.append(f"theorem Large.m{module}t{i} (n : Nat) (q : Prop) (h : {statement}) : q := h{'.right' * terms}\n")
    return "".join(lines)


def generate(directory: Path, modules: int, theorems: int, terms: int = 1) -> Path:
    """Return the directory in which the compiled modules are; compile those that are missing, two at a time."""
    built = directory / ".lake" / "build" / "lib" / "lean"
    library = lw.toolchains.resolve("embedded").library
    search_path = os.pathsep.join([str(built), str(olean_cache.prepare(library))])
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(library)]

    def compile_module(name: str, text: str) -> None:
        source = directory.joinpath(*name.split(".")).with_suffix(".lean")
        target = built / source.relative_to(directory).with_suffix(".olean")
        if target.exists():
            return
        source.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        argv = [*driver, "-j1", f"--root={directory}", "-o", str(target), str(source)]
        subprocess.run(argv, env={**os.environ, "LEAN_PATH": search_path}, check=True)

    names = [f"Large.M{i}" for i in range(modules)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda i: compile_module(names[i], module_text(i, theorems, terms)), range(modules)))
    compile_module("Large", "prelude\n" + "".join(f"import {name}\n" for name in names))
    return built


if __name__ == "__main__":
    place, *numbers = sys.argv[1:]
    print(generate(Path(place), *map(int, numbers)))
