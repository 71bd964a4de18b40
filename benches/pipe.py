"""Two processes and a pipe, live: rows a second, and the reader's CPU a row, until the last row is a typed value.

The writer (`pipe_child.py`) is the same for all who read the same spelling; what is compared is the reader:

    lean-worker        Pool, lease, `for row in lease.stream(…)`: supervised, typed, checked
    plain msgspec      read, cut by length, decode the whole frame into a Struct
    plain orjson       read, cut by length, loads, a dataclass
    JSON lines         a line a row, decoded by msgspec or orjson into the same
    Connection         `multiprocessing.Connection`, a pickled tuple a row
    ProcessPool        `ProcessPoolExecutor` that returns lists of 8192 rows; not live
    raw pipe           the bytes of the frames, thrown away: what the pipe itself allows

    python benches/pipe.py [rounds]
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import codec
import compare
import msgspec
import orjson
import workloads
from workloads import Workload

import lean_worker as lw
from lean_worker.wire import frames

CHILD = str(Path(__file__).with_name("pipe_child.py"))
PIPE_BYTES = 1 << 20
COUNTS = {"small": 200_000, "large": 20_000, "lean": 100_000}
Reader = Callable[[int], tuple[int, Any]]


class Child:
    """A writer process; `go` makes it send its rows once more."""

    def __init__(self, spelling: str, writes: str, workload: str, count: int) -> None:
        arguments = [sys.executable, CHILD, spelling, writes, workload, str(count)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._requests = self.process.stdin
        self._ask = b"go"
        if spelling == "frames":
            reader = frames.FrameReader()
            while not reader.take():
                reader.feed(os.read(self.fd, 1 << 16))
            self._ask = frames.encode_message("request", b'{"op":"run_data_stream"}')

    def go(self) -> None:
        self._requests.write(self._ask)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def supervised(lease: lw.Lease, workload: Workload) -> tuple[int, Any]:
    rows = 0
    with lease.stream(lw.StreamingCommand("rows", row=workload.kind)) as stream:
        for row in stream:
            rows += 1
    return rows, row


def chunks_of(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, PIPE_BYTES >> 2):
        yield chunk


def plain_frames(decode: Callable[[bytes], Any], take: Callable[[Any], Any]) -> Reader:
    def read(fd: int) -> tuple[int, Any]:
        rows, row = 0, None
        for body in codec.bodies(chunks_of(fd)):
            if body.startswith(b'{"version":10,"message":{"type":"response"'):
                break
            row = take(decode(body))
            rows += 1
        return rows, row

    return read


def lines(decode: Callable[[bytes], Any], count: int) -> Reader:
    def read(fd: int) -> tuple[int, Any]:
        rows, row = 0, None
        with open(fd, "rb", buffering=PIPE_BYTES >> 2, closefd=False) as file:
            for line in file:
                row = decode(line)
                rows += 1
                if rows == count:
                    break
        return rows, row

    return read


def pickles(kind: type, count: int) -> Reader:
    def read(fd: int) -> tuple[int, Any]:
        connection = Connection(os.dup(fd), writable=False)
        rows, row = 0, None
        for _ in range(count):
            _, _, value = connection.recv()
            row = kind(**value)
            rows += 1
        return rows, row

    return read


def raw(size_bytes: int) -> Reader:
    def read(fd: int) -> tuple[int, Any]:
        left = size_bytes
        while left > 0:
            left -= len(os.read(fd, PIPE_BYTES >> 2))
        return 0, None

    return read


def make_rows(name: str, start: int, count: int) -> list[Any]:
    """What a worker of the process pool does: rows as typed values, which travel pickled."""
    made = _made.get(name)
    if made is None:
        workload = getattr(workloads, name)(COUNTS[name])
        made = _made[name] = [msgspec.json.decode(text, type=workload.kind) for _, _, text in workload.rows]
    return made[start : start + count]


_made: dict[str, list[Any]] = {}


def from_process_pool(executor: concurrent.futures.Executor, name: str, count: int) -> tuple[int, Any]:
    rows, row = 0, None
    for result in executor.map(make_rows, [name] * len(range(0, count, 8192)), range(0, count, 8192), [8192] * count):
        for row in result:
            rows += 1
    return rows, row


def measured(work: Callable[[], tuple[int, Any]], count: int, last: Any, is_raw: bool) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    rows, row = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert is_raw or (rows == count and msgspec.to_builtins(row) == last), (rows, row, last)
    return {"rows_per_second": count / wall, "cpu_ns": cpu / count * 1e9}


@contextlib.contextmanager
def variants(name: str, count: int) -> Iterator[dict[str, Callable[[], dict[str, float]]]]:
    """All readers of one workload, with their writers waiting."""
    workload: Workload = getattr(workloads, name)(count)
    last = msgspec.json.decode(workload.rows[-1][2])
    plain_kind = workloads.dataclass_of(workload.kind)
    whole = msgspec.json.Decoder(codec.typed_frame(workload.kind)).decode
    line = msgspec.json.Decoder(workload.kind).decode
    found: dict[str, Callable[[], dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:

        def add(title: str, spelling: str, writes: str, reader: Reader, is_raw: bool = False) -> None:
            child = Child(spelling, writes, name, count)
            stack.callback(child.close)

            def work() -> tuple[int, Any]:
                child.go()
                return reader(child.fd)

            found[title] = lambda: measured(work, count, last, is_raw)

        pool = stack.enter_context(lw.Pool(max_workers=2))
        for writes in ("each", "buffered"):
            argv = [sys.executable, CHILD, "frames", writes, name, str(count)]
            lease = stack.enter_context(pool.lease(lw.ProcessCapability(argv)))
            found[f"lean-worker, {writes}"] = lambda lease=lease: measured(
                lambda: supervised(lease, workload), count, last, False
            )
            add(f"plain msgspec, {writes}", "frames", writes, plain_frames(whole, lambda f: f.message.body.payload))
            if writes == "each" or name == "small":
                take = lambda f: plain_kind(**f["message"]["body"]["payload"])  # noqa: E731
                add(f"plain orjson, {writes}", "frames", writes, plain_frames(orjson.loads, take))
            add(f"JSON lines msgspec, {writes}", "lines", writes, lines(line, count))
            add(f"JSON lines orjson, {writes}", "lines", writes, lines(lambda t: plain_kind(**orjson.loads(t)), count))
        add("Connection", "pickles", "each", pickles(plain_kind, count))
        end = len(frames.encode_message("response", b"{}"))
        add("raw pipe, buffered", "frames", "buffered", raw(len(workload.data) + end), is_raw=True)
        context = multiprocessing.get_context("spawn")
        executor = stack.enter_context(concurrent.futures.ProcessPoolExecutor(1, mp_context=context))
        found["ProcessPool, lists"] = lambda: measured(
            lambda: from_process_pool(executor, name, count), count, last, False
        )
        yield found


def main() -> None:
    rounds = compare.rounds_from_arguments(5)
    results: dict[str, Any] = {}
    for name, count in COUNTS.items():
        with variants(name, count) as found:
            results[name] = compare.rounds_of(found, rounds)
        print(f"{name}, {count} rows: thousand rows/s; CPU of the reader, ns a row")
        for title, measures in results[name].items():
            rate, cpu = (compare.Spread.of(measures[key]) for key in ("rows_per_second", "cpu_ns"))
            print(f"  {title:28} {rate.text(0, 1e-3):>26} {cpu.text():>26}")
        each, buffered = results[name]["lean-worker, each"], results[name]["lean-worker, buffered"]
        for title, above, below, key in (
            ("CPU of plain msgspec, a write a row", each, results[name]["plain msgspec, each"], "cpu_ns"),
            ("plain msgspec, buffered", buffered, results[name]["plain msgspec, buffered"], "rows_per_second"),
            (
                "JSON lines msgspec, buffered",
                buffered,
                results[name]["JSON lines msgspec, buffered"],
                "rows_per_second",
            ),
            ("Connection", buffered, results[name]["Connection"], "rows_per_second"),
            ("raw pipe", buffered, results[name]["raw pipe, buffered"], "rows_per_second"),
        ):
            print(f"  lean-worker / {title:36} {compare.ratio(above[key], below[key]).text(2)}")
    compare.save("pipe", results)


if __name__ == "__main__":
    main()
