"""The start of a worker whose script imports much: the first one, and one that replaces a worker that was killed.

    python benches/worker_starts.py DIRECTORY [ROUNDS]

DIRECTORY keeps the generated modules of `benches/check_headers.py`. Interleaved rounds; each start is timed from the
lease to the answer of a first command, with the processor time of all processes. "plain" workers are started,
"replacement" is a fork of a holder, after SIGKILL.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import compare
import headers
from check_headers import cpu_seconds

import lean_worker as lw

ANSWER = lw.JsonCommand("answer", None, int)
SCRIPT = """prelude
import LeanWorker
{imports}open LeanWorker
def answer : Command where
  name := "answer"
  run _ := return "1"
def main : IO Unit := serve (List.cons answer List.nil)
"""
CALM = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)


def capability(directory: Path, project: Path | None, *, reuse: bool) -> lw.LeanCapability:
    imports = "" if project is None else "import Large\n"
    script = directory / f"starts_{'none' if project is None else project.name}.lean"
    script.write_text(SCRIPT.format(imports=imports))
    return lw.LeanCapability(script, project=project, settings="none", toolchain="embedded", reuse_imports=reuse)


def answered(pool: lw.Pool, hosted: lw.LeanCapability) -> dict[str, float]:
    cpu, wall = cpu_seconds(), time.perf_counter()
    with pool.lease(hosted) as lease:
        assert lease.call(ANSWER) == 1
    return {"wall_ms": (time.perf_counter() - wall) * 1000, "cpu_ms": (cpu_seconds() - cpu) * 1000}


def first(hosted: lw.LeanCapability) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with lw.Pool(1) as pool:
            return answered(pool, hosted)

    return measure


def replacement(pool: lw.Pool, hosted: lw.LeanCapability) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        if not pool.snapshot().holders:
            with pool.lease(hosted):
                while not pool.snapshot().holders:
                    time.sleep(0.01)
        forked = pool.snapshot().forked
        for pid in pool._core.workers.pids():
            os.kill(pid, signal.SIGKILL)
        while pool._core.workers.pids():
            time.sleep(0.001)
        found = answered(pool, hosted)
        assert pool.snapshot().forked == forked + 1
        return found

    return measure


def main() -> None:
    """Run everything, print the figures and keep them."""
    directory = Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    headers.generate(directory / "h40", 40, 600)
    headers.generate(directory / "hall", 400, 260, 4)
    variants: dict[str, Callable[[], dict[str, float]]] = {
        "no imports, plain": first(capability(directory, None, reuse=False)),
    }
    pools = []
    for name in ("h40", "hall"):
        hosted = capability(directory, directory / name, reuse=True)
        pools.append(lw.Pool(1, restarts=CALM))
        variants |= {
            f"{name}, plain": first(dataclasses.replace(hosted, reuse_imports=False)),
            f"{name}, first": first(hosted),
            f"{name}, replacement": replacement(pools[-1], hosted),
        }
    found = compare.rounds_of(variants, rounds)
    base = found["no imports, plain"]
    rows = [
        [
            name,
            compare.Spread.of(values["wall_ms"]).text(1),
            compare.Spread.of(values["cpu_ms"]).text(1),
            compare.ratio(values["wall_ms"], base["wall_ms"]).text(2),
        ]
        for name, values in found.items()
    ]
    print(compare.table(["header, start", "wall, ms", "CPU, ms", "wall in parts of one without imports"], rows))
    compare.save("worker_starts", {"rounds": rounds, "measured": found})
    for pool in pools:
        pool.close()


if __name__ == "__main__":
    main()
