"""Whether 64 rows in one frame would be worth it, on the whole path: pool, lease, live child, typed rows.

The batch frame is private to this benchmark. Three variants, as in lean-rs's measurement: a row a frame, 64 rows a
frame, and a row a frame again, to see what chance does. Besides the rate: the CPU of both sides, how long the first row
takes to come, and how many emitted rows are lost when the child is killed.

    python benches/batching.py [rounds]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil
from workloads import Small

import lean_worker as lw
from lean_worker.steps import waiting as waits
from lean_worker.wire import protocol
from lean_worker.wire.envelope import Message
from lean_worker.worker.exchange import beginning

CHILD = str(Path(__file__).with_name("batching_child.py"))
COUNT = 200_000
COMMAND = lw.StreamingCommand("rows", row=Small)


class BatchedRow(msgspec.Struct):
    stream: str
    sequence: int
    payload: Any


class BatchedSmall(msgspec.Struct):
    stream: str
    sequence: int
    payload: Small


def per_row(lease: lw.Lease, request: object, kind: Any) -> Iterator[Any]:
    with lease.stream(lw.StreamingCommand("rows", row=kind), request) as rows:
        yield from rows


def batched(lease: lw.Lease, request: object, kind: Any) -> Iterator[Any]:
    """The same guarantees for batches: sequences without gaps, a terminal that agrees."""
    decode = msgspec.json.Decoder(list[BatchedSmall if kind is Small else BatchedRow]).decode
    wire = protocol.RunDataStream("rows", msgspec.json.encode(request).decode())
    exchange = waits.run(beginning(lease._core.loan.worker, wire, "rows", 60, None))
    due: dict[str, int] = {}
    while True:
        waits.run(exchange.reading_more(None))
        for item in exchange.reader.take(4096):
            assert isinstance(item, Message)
            if item.type == "response":
                waits.run(exchange.finishing())
                assert msgspec.json.decode(item.body)["summary"]["per_stream_counts"] == due
                return
            for row in decode(item.body):
                assert row.sequence == due.get(row.stream, 0)
                due[row.stream] = row.sequence + 1
                yield row.payload


def throughput(lease: lw.Lease, read: Callable[..., Iterator[Any]]) -> dict[str, float]:
    worker = psutil.Process(lease._core.loan.worker.pid)
    before, wall, cpu = worker.cpu_times(), time.perf_counter(), time.process_time()
    rows = total = 0
    for row in read(lease, None, Small):
        rows += 1
        total += row.i
    wall, cpu, after = time.perf_counter() - wall, time.process_time() - cpu, worker.cpu_times()
    assert rows == COUNT and total == COUNT * (COUNT - 1) // 2
    return {
        "rows_per_second": rows / wall,
        "reader_cpu_ns": cpu / rows * 1e9,
        "writer_user_ns": (after.user - before.user) / rows * 1e9,
        "writer_system_ns": (after.system - before.system) / rows * 1e9,
    }


def first_row(lease: lw.Lease, read: Callable[..., Iterator[Any]]) -> dict[str, float]:
    """Age of the first row, and of all rows on the median, in the caller's hands; rows come a millisecond apart."""
    ages = [(time.monotonic_ns() - emitted) / 1e6 for emitted in read(lease, "paced", None if read is batched else int)]
    assert len(ages) == 256
    return {"first_row_ms": ages[0], "median_row_ms": sorted(ages)[128]}


def lost_rows(pool: lw.Pool, program: lw.Capability, read: Callable[..., Iterator[Any]]) -> dict[str, float]:
    rows = 0
    with pool.lease(program) as lease:
        try:
            for row in read(lease, "die", None if read is batched else int):
                assert row == rows
                rows += 1
        except lw.ChildExited as error:
            assert error.signal == "SIGKILL"
        else:
            raise AssertionError("the child lives")
    return {"rows_lost": 1000 - rows}


def main() -> None:
    rounds = compare.rounds_from_arguments(5)
    variants = {"per row": ("row", per_row), "batches of 64": ("batch", batched), "per row again": ("row", per_row)}
    results: dict[str, Any] = {}
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(max_workers=4, restarts=restarts) as pool:
        programs = {
            name: lw.ProcessCapability([sys.executable, CHILD, mode, str(COUNT)], env={"VARIANT": name})
            for name, (mode, _) in variants.items()
        }
        leases = {name: pool.lease(program) for name, program in programs.items()}
        for measure in (throughput, first_row):
            found = compare.rounds_of(
                {name: partial(measure, leases[name], read) for name, (_, read) in variants.items()}, rounds
            )
            for name, measures in found.items():
                results.setdefault(name, {}).update(measures)
        for lease in leases.values():
            lease.release()
        found = compare.rounds_of(
            {name: partial(lost_rows, pool, programs[name], read) for name, (_, read) in variants.items()}, rounds
        )
        for name, measures in found.items():
            results[name].update(measures)
    for name, measures in results.items():
        print(name)
        for measure, values in measures.items():
            base = results["per row"][measure]
            relative = compare.ratio(values, base).text(2) if min(base) > 0 else ""
            print(f"  {measure:18} {compare.Spread.of(values).text(3 if 'ms' in measure else 0):>36}   {relative}")
    compare.save("batching", results)


if __name__ == "__main__":
    main()
