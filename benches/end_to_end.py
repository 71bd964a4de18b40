"""Where the time of a warm 200,000-row stream from real Lean goes: Lean, pipe, framing, typed decode.

Ways to read the same stream, in turn, in one run; each checks its own result:

    drain   read the bytes and look at none: what Lean and its writes alone allow
    frames  cut the bytes into rows, decode nothing
    typed   rows of a msgspec Struct, through the public iterator
    plain   DataRow values, through the public iterator
    pipe    typed rows from a worker that makes a write a row (LEAN_WORKER_NO_RING=1)

Prints rows/s and this process's CPU a row as medians with minimum and maximum, then the shares: what the worker spends
in Lean (user) and in writing (system), and what framing and decoding cost alone, on the same frames in memory.

    python benches/end_to_end.py [rounds]
"""

from __future__ import annotations

import collections
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil

import lean_worker as lw
from lean_worker.steps import waiting as waits
from lean_worker.wire import frames, protocol
from lean_worker.wire.envelope import Message
from lean_worker.worker.exchange import Exchange, beginning
from lean_worker.worker.worker import Worker

ROWS = 200_000
SCRIPT = Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean"


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


def begin(worker: Worker) -> Exchange:
    wire = protocol.RunDataStream("declarations", str(ROWS))
    return waits.run(beginning(worker, wire, "declarations", 60, None))


def at_hand(exchange: Exchange) -> list[frames.Row | Message]:
    while True:
        items = exchange.reader.take(4096)
        if items:
            return items
        waits.run(exchange.reading_more(None))


def drain(lease: lw.Lease, stream_bytes: int) -> int:
    """The bytes of a stream, thrown away unread; its terminal's clock may have a digit more or less."""
    worker = lease._core.loan.worker
    exchange = begin(worker)
    channel = worker._channel
    while exchange.received_bytes < stream_bytes - 4:
        waits.run(channel.reading_more(exchange.interruption))
        channel.reader = frames.FrameReader()
    waits.run(exchange.finishing())
    return ROWS


def stream_bytes_of(lease: lw.Lease) -> int:
    exchange = begin(lease._core.loan.worker)
    while not any(isinstance(item, Message) and item.type == "response" for item in at_hand(exchange)):
        pass
    waits.run(exchange.finishing())
    return exchange.received_bytes


def cut(lease: lw.Lease) -> int:
    exchange = begin(lease._core.loan.worker)
    rows = 0
    while True:
        for item in at_hand(exchange):
            if type(item) is frames.Row:
                rows += 1
            elif isinstance(item, Message) and item.type == "response":
                waits.run(exchange.finishing())
                return rows


def typed(lease: lw.Lease) -> int:
    rows = 0
    with lease.stream(lw.StreamingCommand("declarations", row=Declaration), ROWS) as stream:
        for row in stream:
            rows += 1
    assert (row.index, row.name) == (ROWS - 1, "Nat.add_comm")
    return rows


def plain(lease: lw.Lease) -> int:
    rows = 0
    with lease.stream(lw.StreamingCommand("declarations"), ROWS) as stream:
        for row in stream:
            rows += 1
    assert row.payload["index"] == ROWS - 1
    return rows


def main(rounds: int) -> None:
    variants: dict[str, Callable[[lw.Lease], int]] = {"frames": cut, "typed": typed, "plain": plain}
    shares: dict[str, list[float]] = collections.defaultdict(list)
    wall: dict[str, list[float]] = collections.defaultdict(list)
    cpu: dict[str, list[float]] = collections.defaultdict(list)
    capability = lw.LeanCapability(SCRIPT, toolchain="embedded")
    with lw.Pool(max_workers=2) as pool, pool.lease(capability) as lease, lease_on_a_pipe(pool, capability) as piped:
        variants = {"drain": functools.partial(drain, stream_bytes=stream_bytes_of(lease))} | variants
        variants["pipe"] = lambda lease: typed(piped)
        worker = psutil.Process(lease._core.loan.worker.pid)
        piped_worker = psutil.Process(piped._core.loan.worker.pid)
        for number in range(rounds + 1):
            before, piped_before = worker.cpu_times(), piped_worker.cpu_times()
            for name, read in variants.items():
                wall_start, cpu_start = time.perf_counter(), time.thread_time()
                assert read(lease) == ROWS
                if number:  # the first round warms up
                    wall[name].append(time.perf_counter() - wall_start)
                    cpu[name].append(time.thread_time() - cpu_start)
            after, piped_after = worker.cpu_times(), piped_worker.cpu_times()
            if number:
                rows = (len(variants) - 1) * ROWS
                shares["Lean and the ring (worker, all)"].append(cpu_of(after, before) / rows * 1e9)
                shares["Lean (worker on a pipe, user)"].append((piped_after.user - piped_before.user) / ROWS * 1e9)
                shares["write (worker on a pipe, system)"].append(
                    (piped_after.system - piped_before.system) / ROWS * 1e9
                )
    framing, decoding = in_memory(rounds)
    shares |= {"framing alone, in memory": framing, "typed decode alone, in memory": decoding}
    print(f"framing {frames.IMPLEMENTATION}, {ROWS} rows, {rounds} rounds; median [min-max]")
    for name in variants:
        rates = sorted(ROWS / seconds for seconds in wall[name])
        rates_text = f"{statistics.median(rates):>9,.0f} rows/s [{rates[0]:,.0f}-{rates[-1]:,.0f}]"
        per_row = sorted(1e9 * seconds / ROWS for seconds in cpu[name])
        cpu_text = f"{statistics.median(per_row):6.0f} ns CPU a row [{per_row[0]:.0f}-{per_row[-1]:.0f}]"
        ratios = sorted(a / b for a, b in zip(wall["drain"], wall[name], strict=True))
        print(f"{name:7} {rates_text}  {cpu_text}  {statistics.median(ratios):.2f} of drain")
    for name, values in shares.items():
        print(f"{name:34} {statistics.median(values):6.0f} ns a row [{min(values):.0f}-{max(values):.0f}]")
    readers = {
        name: {
            "rows_per_second": [ROWS / value for value in wall[name]],
            "reader_cpu_ns": [value / ROWS * 1e9 for value in cpu[name]],
        }
        for name in variants
    }
    compare.save("end_to_end", {"readers": readers, "shares": shares})


def cpu_of(after: Any, before: Any) -> float:
    return float(after.user + after.system - before.user - before.system)


def lease_on_a_pipe(pool: lw.Pool, capability: lw.Capability) -> lw.Lease:
    os.environ["LEAN_WORKER_NO_RING"] = "1"
    try:
        return pool.lease(capability)
    finally:
        del os.environ["LEAN_WORKER_NO_RING"]


def in_memory(rounds: int) -> tuple[list[float], list[float]]:
    """Framing and typed decode alone, in ns a row, on frames like those of the stream."""
    payload = b'{"index":%d,"name":"Nat.add_comm","kind":"theorem"}'
    data = b"".join(frames.encode_row("rows", i, payload % i) for i in range(ROWS))
    chunks = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]
    decode = msgspec.json.Decoder(Declaration).decode
    framing, decoding = [], []
    for _ in range(rounds):
        reader, rows = frames.FrameReader(), []
        start = time.perf_counter()
        for chunk in chunks:
            reader.feed(chunk)
            rows += reader.take()
        framing.append((time.perf_counter() - start) / ROWS * 1e9)
        assert len(rows) == ROWS
        start = time.perf_counter()
        last = None
        for row in rows:
            last = decode(row.payload)
        decoding.append((time.perf_counter() - start) / ROWS * 1e9)
        assert last == Declaration(ROWS - 1, "Nat.add_comm", "theorem")
    return framing, decoding


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
