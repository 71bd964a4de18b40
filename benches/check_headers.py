"""The cost of one small file behind headers of growing size: a process for each, a fork that imports, a held import.

    python benches/check_headers.py DIRECTORY [ROUNDS] [MODULES_OF_HALL]

DIRECTORY keeps the generated modules: `h40` has 40 modules with 24,000 theorems, `hall` is one module over 400 with
104,000 theorems (300 MB; compiling them takes some minutes, so they are kept). Every variant checks the same small
files, and must find what it has to. Workers are warm; figures are for one file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import compare
import headers
import psutil

import lean_worker as lw
from lean_worker.child import olean_cache

FILES = 20
GOOD = "theorem t (p q : Prop) (h : And p q) : p := h.left\n"
DRIVER = "import sys; sys.path.append(sys.argv.pop(1)); from lean_worker.child.lean_driver import run; run()"


def cpu_seconds() -> float:
    """Processor time of this process and of everything below it that lives or was collected."""
    total = sum(os.times()[:4])
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def measured(run: Callable[[], None]) -> dict[str, float]:
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    return {
        "wall_ms": (time.perf_counter() - wall) / FILES * 1000,
        "cpu_ms": (cpu_seconds() - cpu) / FILES * 1000,
    }


def variants_of(name: str, header: str, project: Path | None) -> dict[str, Callable[[], dict[str, float]]]:
    library = lw.toolchains.resolve("embedded").library
    built = [] if project is None else [str(project / ".lake/build/lib/lean")]
    env = {**os.environ, "LEAN_PATH": os.pathsep.join([*built, str(olean_cache.prepare(library))])}
    argv = [sys.executable, "-I", "-S", "-c", DRIVER, str(Path(lw.__file__).parents[1])]
    argv += [str(library), "--json", "--stdin"]
    snippets = [(f"f{i}", f"{header}{GOOD}-- {i}\n") for i in range(FILES)]
    pool = lw.Pool(1)

    def processes() -> None:
        for _, text in snippets:
            subprocess.run(argv, env=env, input=text.encode(), check=True, capture_output=True)

    def check(*, reuse: bool) -> None:
        outcomes = lw.check(
            snippets, pool=pool, project=project, settings="none", toolchain="embedded", reuse_imports=reuse
        )
        found = list(outcomes)
        assert len(found) == FILES
        assert all(checked.verdict is lw.Verdict.ACCEPTED for checked in found)
        ways = {checked.ran_as for checked in found}
        assert ways <= ({"fork", "held"} if reuse else {"fork"}), ways

    return {
        f"{name}, process": lambda: measured(processes),
        f"{name}, fork": lambda: measured(lambda: check(reuse=False)),
        f"{name}, held": lambda: measured(lambda: check(reuse=True)),
    }


def main() -> None:
    """Generate the headers, run everything, print the figures and keep them."""
    directory = Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    modules = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    variants = variants_of("prelude", headers.PRELUDE, None)
    headers.generate(directory / "h40", 40, 600)
    variants |= variants_of("h40", "prelude\nimport Large\n", directory / "h40")
    if modules:
        headers.generate(directory / "hall", modules, 260, 4)
        variants |= variants_of("hall", "prelude\nimport Large\n", directory / "hall")
    found = compare.rounds_of(variants, rounds)
    rows = []
    for name, values in found.items():
        fork = found[f"{name.partition(',')[0]}, fork"]
        rows.append(
            [
                name,
                compare.Spread.of(values["wall_ms"]).text(1),
                compare.Spread.of(values["cpu_ms"]).text(1),
                compare.ratio(values["cpu_ms"], fork["cpu_ms"]).text(2),
            ]
        )
    print(compare.table(["header, way", "wall, ms", "CPU, ms", "CPU in parts of the fork's"], rows))
    compare.save("check_headers", {"rounds": rounds, "measured": found})


if __name__ == "__main__":
    main()
