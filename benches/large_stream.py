"""Streams from real Lean through pool and lease: warm and cold apart, with memory; one and two workers; a slow sink.

typed_many_512     512 small typed rows, warm; and cold: a new pool, worker and Lean each time
large stream       512, 200,000 and 1,000,000 rows: rows/s, first row, memory of both processes
two workers        the same 500 rows, each of which costs Lean a millisecond, by one worker and by two
slow sink          512 rows and a sink of 2 ms

python benches/large_stream.py [rounds]
"""

from __future__ import annotations

import concurrent.futures
import time
from functools import partial
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil

import lean_worker as lw

DEMO = lw.LeanCapability(Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean", toolchain="embedded")
BENCH = lw.LeanCapability(Path(__file__).with_name("Rows.lean"), toolchain="embedded")
MIB = 1 << 20


class Many(msgspec.Struct):
    i: int


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


def typed_many(lease: lw.Lease) -> dict[str, float]:
    started = time.perf_counter()
    total = 0
    with lease.stream(lw.StreamingCommand("many", row=Many)) as rows:
        for row in rows:
            total += row.i
    seconds = time.perf_counter() - started
    assert total == 512 * 511 // 2
    return {"ms": seconds * 1e3}


def typed_many_cold() -> dict[str, float]:
    started = time.perf_counter()
    with lw.Pool() as pool, pool.lease(DEMO) as lease:
        typed_many(lease)
        return {"ms": (time.perf_counter() - started) * 1e3}


def rss(pid: int | None = None) -> float:
    return float(psutil.Process(pid).memory_info().rss) / MIB


def large(lease: lw.Lease, count: int) -> dict[str, float]:
    """One stream; memory is looked at each 50,000 rows, which is a hundredth of its cost."""
    pid = lease._core.loan.worker.pid
    parent, child = [rss()], [rss(pid)]
    started = time.perf_counter()
    first = 0.0
    rows = 0
    with lease.stream(lw.StreamingCommand("declarations", row=Declaration), count) as stream:
        for row in stream:
            if not rows:
                first = time.perf_counter() - started
            rows += 1
            if rows % 50_000 == 0:
                parent.append(rss())
                child.append(rss(pid))
    seconds = time.perf_counter() - started
    assert rows == count and row.index == count - 1
    return {
        "rows_per_second": rows / seconds,
        "first_row_ms": first * 1e3,
        "parent_before_mib": parent[0],
        "parent_growth_mib": max(parent) - parent[0],
        "child_before_mib": child[0],
        "child_growth_mib": max(child) - child[0],
    }


def computed(leases: list[lw.Lease], count: int) -> dict[str, float]:
    """Rows that Lean computes for, shared out over the leases."""
    share = count // len(leases)

    def work(lease: lw.Lease) -> int:
        return lease.run(lw.StreamingCommand("computed", row=int), share, on_row=lambda row: None).total_rows

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(leases)) as threads:
        rows = sum(threads.map(work, leases))
    seconds = time.perf_counter() - started
    assert rows == count
    return {"rows_per_second": rows / seconds}


def slow_sink(lease: lw.Lease) -> dict[str, float]:
    started = time.perf_counter()
    summary = lease.run(lw.StreamingCommand("many", row=Many), on_row=lambda row: time.sleep(0.002))
    seconds = time.perf_counter() - started
    assert summary.total_rows == 512
    return {"rows_per_second": 512 / seconds}


def main() -> None:
    rounds = compare.rounds_from_arguments(9)
    results: dict[str, Any] = {}
    with lw.Pool(max_workers=3) as pool:
        with pool.lease(DEMO) as lease:
            variants = {"typed_many_512, warm": partial(typed_many, lease), "typed_many_512, cold": typed_many_cold}
            results.update(compare.rounds_of(variants, rounds))
            results.update(compare.rounds_of({"slow sink": partial(slow_sink, lease)}, 3))
            sizes = {f"{count:,} rows": partial(large, lease, count) for count in (512, 200_000, 1_000_000)}
            results.update(compare.rounds_of(sizes, max(2, rounds // 2)))
        with pool.lease(BENCH) as one, pool.lease(BENCH) as two:
            workers = {
                "one worker": partial(computed, [one], 500),
                "two workers": partial(computed, [one, two], 500),
            }
            results.update(compare.rounds_of(workers, rounds))
    for name, measures in results.items():
        print(name)
        for measure, values in measures.items():
            print(f"  {measure:20} {compare.Spread.of(values).text(2 if 'm' in measure.split('_')[-1] else 0)}")
    speedup = compare.ratio(results["two workers"]["rows_per_second"], results["one worker"]["rows_per_second"])
    print(f"two workers / one: {speedup.text(2)}")
    compare.save("large_stream", results)


if __name__ == "__main__":
    main()
