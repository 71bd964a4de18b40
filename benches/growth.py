"""Growth of costs: CPU per unit of work, this process and its workers together, over several orders of magnitude.

    python benches/growth.py [rounds] [--largest] [--only=SWEEP,…]

In turn in one run, sizes in random order, each checking its result: rows of one stream, size of a row, streams of one
request, workers of a pool, leases that wait, items of a job, modules of a plan; and checked files of a few lines, by
the number of headers that are held, and by that of the modules that their one header imports. Hosted is a Python
registry, so that the package's own costs are seen. `--largest` adds 10^6 items. With `--only` the kept results of other
sweeps stay. `growth_report.py` writes the page.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import check_headers
import compare
import headers
import planning
import psutil

import lean_worker as lw

HERE = Path(__file__).parent
FUNCTIONS = lw.PythonCapability("growth_host:COMMANDS", path=[HERE])
ROWS = lw.StreamingCommand("rows", row=bytes)
ECHO = lw.JsonCommand("echo")
ROW_BYTES = 32 << 20
HELD_FILES = 100
# Generated modules, kept from run to run: a thousand of them take some minutes.
HELD_MODULES = Path(tempfile.gettempdir(), "lean-worker-growth")
LIMITS = lw.Limits(max_frame_bytes=16 << 20)


def cpu_seconds() -> float:
    """CPU of this process, and of its workers, alive or ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    # Linux's clock of another process's CPU, which is finer than the ticks of its record.
    alive = [time.clock_gettime((~child.pid << 3) | 2) for child in psutil.Process().children()]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(alive)


def cost_of(work: Callable[[lw.Pool], None]) -> float:
    """CPU of some work on a pool with one warm worker."""
    with lw.Pool(limits=LIMITS) as pool:
        with pool.lease(FUNCTIONS) as lease:
            lease.call(ECHO, 1)
        before = cpu_seconds()
        work(pool)
        return cpu_seconds() - before


def rows(count: int) -> float:
    def work(pool: lw.Pool) -> None:
        with pool.lease(FUNCTIONS) as lease:
            assert sum(1 for _ in lease.stream(ROWS, {"count": count})) == count

    return cost_of(work) / count


def row_size(size_bytes: int) -> float:
    count = max(3, min(200_000, ROW_BYTES // size_bytes))

    def work(pool: lw.Pool) -> None:
        with pool.lease(FUNCTIONS) as lease:
            request = {"count": count, "size_bytes": size_bytes}
            assert sum(len(row) - 2 for row in lease.stream(ROWS, request)) == count * size_bytes

    return cost_of(work) / count


def streams(number: int) -> float:
    count = 100_000

    def work(pool: lw.Pool) -> None:
        with pool.lease(FUNCTIONS) as lease:
            stream = lease.stream(lw.StreamingCommand("streams"), {"streams": number, "count": count})
            seen = {row.stream for row in stream}
            assert len(seen) == number and stream.summary.total_rows == count

    return cost_of(work) / count


def workers(number: int) -> float:
    count = 30 * number

    before = cpu_seconds()
    with lw.Pool(max_workers=number, limits=LIMITS) as pool:
        outcomes = pool.map(ECHO, range(count), capability=FUNCTIONS)
        assert [outcome.raise_for_error() for outcome in outcomes] == list(range(count))
    return (cpu_seconds() - before) / number


def waiting_leases(number: int) -> float:
    async def ask() -> int:
        async with lw.AsyncPool(timeouts=lw.Timeouts(queue=None)) as pool:

            async def one() -> int:
                async with pool.lease(FUNCTIONS):
                    return 1

            return sum(await asyncio.gather(*[one() for _ in range(number)]))

    before = cpu_seconds()
    assert asyncio.run(ask()) == number
    return (cpu_seconds() - before) / number


def items(number: int) -> float:
    def work(pool: lw.Pool) -> None:
        with tempfile.TemporaryDirectory() as name:
            out = Path(name) / "out"
            job = lw.Job(Path(name) / "ledger", lw.StreamingCommand("rows"), FUNCTIONS, out=out)
            job.run(pool, ({"count": 1} for _ in range(number))).raise_for_error()
            expected = hashlib.sha256(b'"xxxxxxxxxx"\n' * number).hexdigest()
            assert hashlib.sha256(out.read_bytes()).hexdigest() == expected

    return cost_of(work) / number


def modules(number: int) -> float:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        project = planning.make_project(root, number)
        planning.compile_palette(project.root)
        before = cpu_seconds()
        found = lw.lake.LakeProject.discover(project.root)
        assert len(planning.plan_of(found).items) == number
        return (cpu_seconds() - before) / number


def check_files(pool: lw.Pool, texts: list[str], project: Path | None) -> list[str | None]:
    """Check texts that must be accepted; return which way each ran."""
    files = [(f"f{number}", text) for number, text in enumerate(texts)]
    outcomes = list(lw.check(files, pool=pool, project=project, settings="none", toolchain="embedded"))
    assert all(checked.verdict is lw.Verdict.ACCEPTED for checked in outcomes)
    return [checked.ran_as for checked in outcomes]


def held_files(texts: list[str], project: Path | None = None) -> float:
    """CPU of a file, of all processes, when a worker holds the headers of all of these."""
    with lw.Pool(1) as pool:
        check_files(pool, [text for text in texts for _ in range(2)], project)
        chosen = random.choices(texts, k=max(HELD_FILES, len(texts)))
        before = check_headers.cpu_seconds()
        assert set(check_files(pool, chosen, project)) == {"held"}
        return (check_headers.cpu_seconds() - before) / len(chosen)


def held_headers(number: int) -> float:
    os.environ["LEAN_WORKER_MOST_HOLDERS"] = str(number)
    return held_files([f"-- {at}\n{headers.PRELUDE}{check_headers.GOOD}" for at in range(number)])


def modules_of_a_header(number: int) -> float:
    project = HELD_MODULES / str(number)
    headers.generate(project, number, 20)
    return held_files([f"prelude\nimport Large\n{check_headers.GOOD}"], project)


SWEEPS: dict[str, tuple[Callable[[int], float], tuple[int, ...], tuple[int, ...]]] = {
    "rows": (rows, (1_000, 10_000, 100_000, 1_000_000, 10_000_000), ()),
    "bytes of a row": (row_size, (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000), ()),
    "streams": (streams, (1, 10, 100, 1_000), ()),
    "workers": (workers, (1, 4, 16, 64), ()),
    "waiting leases": (waiting_leases, (1, 10, 100, 1_000, 10_000), ()),
    "items of a job": (items, (100, 1_000, 10_000), (1_000_000,)),
    "modules of a plan": (modules, (100, 1_000, 10_000), ()),
    "headers that are held": (held_headers, (1, 4, 16, 64), ()),
    "modules of a held header": (modules_of_a_header, (1, 10, 100, 1_000), ()),
}


def main() -> None:
    is_largest = "--largest" in sys.argv
    only = [name for argument in sys.argv if argument.startswith("--only=") for name in argument[7:].split(",")]
    assert set(only) <= set(SWEEPS), f"the sweeps are {', '.join(SWEEPS)}"
    sys.argv = [argument for argument in sys.argv if not argument.startswith("--")]
    rounds = compare.rounds_from_arguments(3)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LEAN_WORKER_CACHE_DIR"] = cache
        script = Path(cache) / "Empty.lean"
        script.write_text(planning.SCRIPT.replace("Paint.name", '"none"'))
        with lw.Pool() as pool:  # compiles `LeanWorker`, which plans import
            pool.lease(lw.LeanCapability(script, toolchain="embedded")).release()
        all_sizes = [
            (name, size)
            for name, (_, sizes, more) in SWEEPS.items()
            for size in (*sizes, *(more if is_largest else ()))
            if not only or name in only
        ]
        measured: dict[str, dict[str, list[float]]] = compare.load("growth")["measured"] if only else {}
        measured |= {f"{name}: {size}": {"cpu_us": []} for name, size in all_sizes}
        for _ in range(rounds):
            random.shuffle(all_sizes)
            for name, size in all_sizes:
                cost_us = SWEEPS[name][0](size) * 1e6
                measured[f"{name}: {size}"]["cpu_us"].append(cost_us)
                print(f"{name:20} {size:12,} {cost_us:12.2f} µs", flush=True)
    compare.save("growth", measured)


if __name__ == "__main__":
    main()
