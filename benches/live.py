"""Live rows from Lean through the ring, through a pipe, and what each allows; by one and two workers; small and large.

    python benches/live.py [rounds]

    typed   rows of a msgspec Struct, through the public iterator
    raw     the bytes of the same stream, read and thrown away: no reader can be quicker

Small rows have 50 bytes, large ones 4 KiB; *brief* rows cost Lean 0.08 ms each. Two workers share the rows, each read
by a thread of its own. Each pass checks how many rows came, and the last of them; a raw one the number of bytes.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil
import workloads
from end_to_end import at_hand, lease_on_a_pipe

import lean_worker as lw
from lean_worker.steps import waiting as waits
from lean_worker.wire import frames, protocol
from lean_worker.wire.envelope import Message
from lean_worker.worker.exchange import Exchange, beginning
from lean_worker.worker.worker import Worker

BENCH = lw.LeanCapability(Path(__file__).with_name("Rows.lean"), toolchain="embedded")


class Brief(msgspec.Struct):
    i: int


KINDS: dict[str, type] = {"small": workloads.Small, "large": workloads.Large, "brief": Brief}
COUNTS = {"small": 200_000, "large": 20_000, "brief": 5_000}


def typed(lease: lw.Lease, name: str, count: int) -> None:
    compare.read(lease, lw.StreamingCommand(name, row=KINDS[name]), count, count)


def begin(worker: Worker, name: str, count: int) -> Exchange:
    return waits.run(beginning(worker, protocol.RunDataStream(name, str(count)), name, 60, None))


def stream_bytes(lease: lw.Lease, name: str, count: int) -> int:
    """The size of a stream with its terminal."""
    exchange = begin(lease._core.loan.worker, name, count)
    while not any(isinstance(item, Message) and item.type == "response" for item in at_hand(exchange)):
        pass
    waits.run(exchange.finishing())
    return exchange.received_bytes


def raw(lease: lw.Lease, name: str, count: int, sizes: dict[tuple[str, int], int]) -> None:
    """Read all bytes; the terminal's clock may have a few digits more or less, which come with it."""
    worker = lease._core.loan.worker
    exchange = begin(worker, name, count)
    while exchange.received_bytes < sizes[name, count] - 4:
        waits.run(worker._channel.reading_more(exchange.interruption))
        worker._channel.reader = frames.FrameReader()
    waits.run(exchange.finishing())


def passed(leases: list[lw.Lease], read: Callable[..., None], name: str) -> dict[str, float]:
    """Read all rows of a kind, shared out over the leases."""
    count = COUNTS[name]
    workers = [psutil.Process(lease._core.loan.worker.pid) for lease in leases]
    before = [worker.cpu_times() for worker in workers]
    wall, cpu = time.perf_counter(), time.process_time()
    with concurrent.futures.ThreadPoolExecutor(len(leases)) as threads:
        list(threads.map(lambda lease: read(lease, name, count // len(leases)), leases))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = [worker.cpu_times() for worker in workers]
    spent = sum(b.user + b.system - a.user - a.system for a, b in zip(before, after, strict=True))
    return {
        "rows_per_second": count / wall,
        "reader_cpu_ns": cpu / count * 1e9,
        "worker_cpu_ns": spent / count * 1e9,
    }


def main() -> None:
    rounds = compare.rounds_from_arguments(7)
    variants: dict[str, Callable[[], dict[str, Any]]] = {}
    with lw.Pool(max_workers=4) as pool, contextlib.ExitStack() as stack:
        leases = {
            "ring": [stack.enter_context(pool.lease(BENCH)) for _ in range(2)],
            "pipe": [stack.enter_context(lease_on_a_pipe(pool, BENCH)) for _ in range(2)],
        }
        sizes = {
            (name, count): stream_bytes(leases["ring"][0], name, count)
            for name, all_rows in COUNTS.items()
            for count in (all_rows, all_rows // 2)
        }
        for way, pair in leases.items():
            for name in COUNTS:
                for number in (1, 2):
                    title = f"{name}, {way}, {number} worker{'s' if number > 1 else ''}"
                    variants[title] = partial(passed, pair[:number], typed, name)
                    if name != "brief":
                        variants[f"{title}, raw"] = partial(passed, pair[:number], partial(raw, sizes=sizes), name)
        measured = compare.rounds_of(variants, rounds)
    for title in sorted(measured):
        rate, reader, worker = (
            compare.Spread.of(measured[title][key]) for key in ("rows_per_second", "reader_cpu_ns", "worker_cpu_ns")
        )
        print(f"{title:30} {rate.text(0, 1e-3):>26} {reader.text():>26} {worker.text():>26}")
    for way in leases:
        for name in COUNTS:
            one, two = (measured[f"{name}, {way}, {end}"]["rows_per_second"] for end in ("1 worker", "2 workers"))
            print(f"{name}, {way}: two workers / one {compare.ratio(two, one).text(2)}")
    compare.save("live", measured)


if __name__ == "__main__":
    main()
