"""Verification: honest candidates in any order, and what a verdict costs next to a check.

    python benches/verify.py honest [--count 500]
    python benches/verify.py cost [--rounds 15] [--modules 40] [--theorems 600]

`honest` verifies generated candidates twice, in different orders, and compares the results. `cost` generates a project
of modules, and checks and verifies many and few small candidates in turn: the difference is what one more costs. All
results are checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lean_worker as lw

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from honest_proofs import HEADER, STATEMENT, honest

FEW, MANY = 10, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    many = modes.add_parser("honest")
    many.add_argument("--count", type=int, default=500)
    cost = modes.add_parser("cost")
    cost.add_argument("--rounds", type=int, default=7)
    cost.add_argument("--modules", type=int, default=40)
    cost.add_argument("--theorems", type=int, default=600)
    options = parser.parse_args()
    result = run_honest(options.count) if options.mode == "honest" else run_cost(options)
    print(json.dumps(result, indent=2))


def run_honest(count: int) -> dict[str, object]:
    candidates = [honest(i) for i in range(count)]
    rounds = []
    began = time.monotonic()
    for seed in (1, 2):
        shuffled = random.Random(seed).sample(candidates, count)
        found = {}
        for result in lw.verify(shuffled, statement=STATEMENT, toolchain="embedded"):
            said = [message.data[:200] for message in result.messages if message.severity == "error"]
            assert result.is_proved, (result.name, result, said)
            found[result.name] = (result.verdict, dict(result.axioms))
        rounds.append(found)
    assert rounds[0] == rounds[1] and len(rounds[0]) == count
    return {"candidates": count, "proved_twice": len(rounds[0]), "seconds": round(time.monotonic() - began, 1)}


def run_cost(options: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as directory:
        imports = build(Path(directory), options.modules, options.theorems)
        header = HEADER + imports
        statement = header + "theorem goal (a b : Nat) (h : a = b) : b = a := sorry\n"
        text = statement.replace("sorry", "h.symm")
        environment = {"project": directory, "toolchain": "embedded"}

        def verify(count: int) -> list[lw.VerifyResult]:
            candidates = [(f"c{i}", text) for i in range(count)]
            results = list(lw.verify(candidates, statement=statement, jobs=1, **environment))
            assert all(result.is_proved for result in results), results
            return results

        def check(count: int) -> None:
            candidates = [(f"c{i}", text) for i in range(count)]
            for result in lw.check(candidates, jobs=1, sandbox=lw.Sandbox(), **environment):
                assert result.verdict is lw.Verdict.ACCEPTED, result

        single = verify(FEW)[1:]  # the first one warms up
        costs: dict[str, list[float]] = {"check": [], "verify": []}
        for _ in range(options.rounds):
            for name, work in (("check", check), ("verify", verify)):
                costs[name].append(1e3 * (cpu_of(work, MANY) - cpu_of(work, FEW)) / (MANY - FEW))
    return {
        "modules": options.modules,
        "theorems": options.modules * options.theorems,
        "elaboration_cpu_ms": spread([1e3 * result.cpu_seconds for result in single]),
        "judgement_cpu_ms": spread([1e3 * result.judge_cpu_seconds for result in single]),
        # Of all processes, and of this one, for one more candidate.
        "check_cpu_ms": spread(costs["check"]),
        "verify_cpu_ms": spread(costs["verify"]),
        "difference_cpu_ms": spread([b - a for a, b in zip(costs["check"], costs["verify"], strict=True)]),
    }


def cpu_of(work: Callable[[int], object], count: int) -> float:
    """Processor time of this process and its children for so many candidates, workers and their end included."""
    before = os.times()
    work(count)
    return sum(os.times()[:4]) - sum(before[:4])


def spread(values: list[float]) -> dict[str, float]:
    quarters = statistics.quantiles(values, n=4)
    names = ("q1", "median", "q3")
    return {name: round(value, 2) for name, value in zip(names, quarters, strict=True)}


def build(directory: Path, modules: int, theorems: int) -> str:
    """A project whose modules are compiled; returns the lines that import all of them."""
    built = directory / ".lake" / "build" / "lib" / "lean"
    built.mkdir(parents=True)
    library = lw.toolchains.resolve("embedded").library
    from lean_worker.child.olean_cache import prepare

    search = os.pathsep.join([str(built), str(prepare(library))])
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(library)]
    for number in range(modules):
        source = directory / f"M{number}.lean"
        lines = [f"theorem m{number}_{i} (a b : Nat) (h : a = b) : b = a := h.symm\n" for i in range(theorems)]
        source.write_text(HEADER + "".join(lines))
        subprocess.run(
            [*driver, f"--root={directory}", "-o", str(built / f"M{number}.olean"), str(source)],
            env={**os.environ, "LEAN_PATH": search},
            check=True,
        )
    return "".join(f"import M{number}\n" for number in range(modules))


if __name__ == "__main__":
    main()
