"""A plan over real Lean against opening a session for each module, and what making the plan costs.

A project of 24 modules with three sets of imports is compiled with the embedded Lean, once. Then, in turn in one run,
each checking the answer for every module:

    planned      the plan, with `Pool.map`
    per module   a session opened for each module, closed after its one request, as without a plan
    one by one   the same requests by the modules' names in one pool of one worker, which the next imports evict

and the time for a plan of the same project and of one of 1,000 modules. Prints seconds and sessions opened as medians
with minimum and maximum, and ratios within a round.

    python benches/planning.py [rounds]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import compare

import lean_worker as lw

MODULES = 24
PALETTE = {
    "Palette": "prelude\nimport LeanWorker\nclass Paint where\n  name : String\n",
    "Palette.Red": 'prelude\nimport Palette\ninstance red : Paint := ⟨"red"⟩\n',
    "Palette.Blue": 'prelude\nimport Palette\ninstance blue : Paint := ⟨"blue"⟩\n',
    "Palette.Green": 'prelude\nimport Palette\ninstance green : Paint := ⟨"green"⟩\n',
}
COLOURS = ("Red", "Blue", "Green")
LAKEFILE = "lean_lib Palette\nlean_lib Work where\n  globs := #[`Work.+]\n"
SCRIPT = """prelude
import LeanWorker
open LeanWorker
def paint : Command where
  name := "paint"
  run _ := return (String.append "\\"" (String.append Paint.name "\\""))
def main : IO Unit := serve (List.cons paint List.nil)
"""
paint = lw.JsonCommand("paint", request=str, response=str)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def source_of(module: str) -> str:
    return module.replace(".", "/") + ".lean"


def compile_palette(root: Path) -> None:
    """As `lake build` would; a session that imports nothing has compiled `LeanWorker` before."""
    library = lw.toolchains.resolve("embedded").library
    cache = Path(os.environ["LEAN_WORKER_CACHE_DIR"])
    built = root / ".lake" / "build" / "lib" / "lean"
    (entry,) = (path for path in cache.iterdir() if (path / "LeanWorker.olean").is_file())
    for module in PALETTE:
        target = built / (module.replace(".", "/") + ".olean")
        target.parent.mkdir(parents=True, exist_ok=True)
        driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(library)]
        subprocess.run(
            [*driver, f"--root={root}", "-o", str(target), str(root / source_of(module))],
            env={**os.environ, "LEAN_PATH": f"{entry}{os.pathsep}{built}"},
            check=True,
        )


def make_project(root: Path, modules: int) -> lw.LakeProject:
    works = {f"Work.M{n:04}": f"prelude\nimport Palette.{COLOURS[n % 3]}\n-- {n}\n" for n in range(modules)}
    sources = {source_of(module): text for module, text in {**PALETTE, **works}.items()}
    write(root, {"lakefile.lean": LAKEFILE, "Script.lean": SCRIPT, **sources})
    return lw.LakeProject.discover(root)


def plan_of(project: lw.LakeProject) -> lw.Plan[lw.LakeModule, str]:
    capability = lw.LeanCapability(project.root / "Script.lean", toolchain="embedded")
    modules = [module for module in project.modules if module.library == "Work"]
    return lw.plan(project, capability=capability, request=lambda module: module.name, modules=modules)


def run_plan(plan: lw.Plan[lw.LakeModule, str]) -> dict[str, float]:
    started = time.perf_counter()
    with lw.Pool() as pool:
        answers = {outcome.request: outcome.raise_for_error() for outcome in pool.map(paint, plan)}
        sessions = pool.snapshot().started
    seconds = time.perf_counter() - started
    check(answers)
    return {"seconds": seconds, "sessions": sessions}


def check(answers: dict[str, str]) -> None:
    assert answers == {f"Work.M{n:04}": COLOURS[n % 3].lower() for n in range(MODULES)}, answers


def run(batches: Iterable[tuple[lw.Capability, Iterable[str]]], *, keep_warm: bool = True) -> dict[str, float]:
    started = time.perf_counter()
    sessions = 0
    answers = {}
    pool = lw.Pool()
    for capability, requests in batches:
        with pool.lease(capability) as lease:
            answers.update({request: lease.call(paint, request) for request in requests})
        if not keep_warm:
            sessions += pool.snapshot().started
            pool.close()
            pool = lw.Pool()
    sessions += pool.snapshot().started
    pool.close()
    seconds = time.perf_counter() - started
    check(answers)
    return {"seconds": seconds, "sessions": sessions}


def timed_plan(project: lw.LakeProject) -> dict[str, float]:
    started = time.perf_counter()
    found = lw.LakeProject.discover(project.root)
    discovered = time.perf_counter()
    plan = plan_of(found)
    planned = time.perf_counter()
    assert plan.import_sets == 3 and len(plan.items) == len(project.modules) - len(PALETTE)
    return {"discover_seconds": discovered - started, "plan_seconds": planned - discovered}


def main() -> None:
    rounds = compare.rounds_from_arguments(7)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["LEAN_WORKER_CACHE_DIR"] = str(root / "cache")
        write(root, {"Empty.lean": SCRIPT.replace("Paint.name", '"none"')})
        with lw.Pool() as pool:
            pool.lease(lw.LeanCapability(root / "Empty.lean", toolchain="embedded")).release()
        project = make_project(root / "small", MODULES)
        compile_palette(project.root)
        large = make_project(root / "large", 1000)
        compile_palette(large.root)
        plan = plan_of(project)
        capability_of = {request: batch.capability for batch in plan.batches for request in batch.requests}
        singles = [(capability_of[request], [request]) for request in sorted(capability_of)]
        variants: dict[str, Callable[[], dict[str, float]]] = {
            "planned": lambda: run_plan(plan),
            "per module": lambda: run(singles, keep_warm=False),
            "one by one": lambda: run(singles),
            "planning 24 modules": lambda: timed_plan(project),
            "planning 1,000 modules": lambda: timed_plan(large),
        }
        measured = compare.rounds_of(variants, rounds)
    for name, measures in measured.items():
        print(name)
        for measure, values in measures.items():
            print(f"  {measure:18} {compare.Spread.of(values).text(0 if measure == 'sessions' else 3)}")
    for name in ("per module", "one by one"):
        spread = compare.ratio(measured[name]["seconds"], measured["planned"]["seconds"])
        print(f"{name} / planned: {spread.text(2)}")
    compare.save("planning", measured)


if __name__ == "__main__":
    main()
