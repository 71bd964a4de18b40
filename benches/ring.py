"""Rows through a ring in shared memory instead of a pipe: an experiment, not a part of the package.

The same frames, each published before the next is made, so that a row that was emitted survives the child; no system
call a row. The writer is C on both sides of the comparison, the reader is the package's own row path. Compared: rows a
second, CPU of both, and rows lost when the writer is killed.

    python benches/ring.py [rounds]
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil
import workloads

from lean_worker.wire import frames
from lean_worker.wire.row_decoders import RowDecoder

RING_BYTES = 1 << 20
HEAD_BYTES = 192
READ_BYTES = 1 << 18
SHORT_READ_BYTES = 1 << 15
LINGER_SECONDS = 50e-6
COUNTS = {"small": 200_000, "large": 20_000, "lean": 100_000}


def library(path: str) -> ctypes.CDLL:
    code = ctypes.CDLL(path)
    pointer, u64 = ctypes.c_void_p, ctypes.c_uint64
    code.ring_write.argtypes = [pointer, u64, ctypes.c_int, ctypes.c_char_p, u64]
    code.pipe_write.argtypes = [ctypes.c_int, ctypes.c_char_p, u64]
    code.ring_read.argtypes = [pointer, u64, ctypes.c_int, ctypes.c_int, pointer, u64]
    code.ring_write.restype = code.pipe_write.restype = None
    code.ring_read.restype = u64
    return code


def mapped(fd: int) -> tuple[mmap.mmap, int]:
    memory = mmap.mmap(fd, HEAD_BYTES + RING_BYTES)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def child(path: str, way: str, name: str, count: int, ring_fd: int, wake_fd: int) -> None:
    """Send all rows for each byte that comes in; die after them if the byte is "d"."""
    code = library(path)
    data = getattr(workloads, name)(count).data
    _memory, address = mapped(ring_fd)
    os.write(1, b"!")
    while order := os.read(0, 1):
        if way == "ring":
            code.ring_write(address, RING_BYTES, wake_fd, data, len(data))
        else:
            code.pipe_write(1, data, len(data))
        if order == b"d":
            os.kill(os.getpid(), signal.SIGKILL)


class Writer:
    """A child, and how to read what it sends."""

    def __init__(self, path: str, way: str, name: str, count: int) -> None:
        self._code = library(path)
        ring_fd = os.memfd_create("ring")
        os.ftruncate(ring_fd, HEAD_BYTES + RING_BYTES)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._memory, self._address = mapped(ring_fd)
        arguments = [sys.executable, __file__, "child", path, way, name, str(count), str(ring_fd), str(self._wake_fd)]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, pass_fds=(ring_fd, self._wake_fd)
        )
        os.close(ring_fd)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._orders = self.process.stdin
        self._fd = self.process.stdout.fileno()
        assert os.read(self._fd, 1) == b"!"
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, RING_BYTES)
        os.set_blocking(self._fd, False)
        self._buffer = ctypes.create_string_buffer(READ_BYTES)
        self._read = self._from_ring if way == "ring" else self._from_pipe

    def _from_ring(self, reader: frames.FrameReader) -> int:
        arguments = (self._address, RING_BYTES, self._wake_fd, self._fd, self._buffer, READ_BYTES)
        count = int(self._code.ring_read(*arguments))
        reader.feed(self._buffer.raw[:count] if count < READ_BYTES else self._buffer.raw)
        return count

    def _from_pipe(self, reader: frames.FrameReader) -> int:
        while True:
            try:
                return reader.read(self._fd, READ_BYTES)
            except BlockingIOError:
                poller = select.poll()
                poller.register(self._fd, select.POLLIN)
                poller.poll()

    def rows(self, kind: Any, count: int, order: bytes = b"g") -> tuple[int, Any]:
        """How many typed rows came, and the last one; fewer than `count` only if the child died."""
        decoder = RowDecoder(kind, "bench")
        reader = frames.FrameReader()
        cursor = frames.RowCursor(reader, frames.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
        self._orders.write(order)
        rows, row, was_short = 0, None, False
        while rows < count:
            if was_short:
                time.sleep(LINGER_SECONDS)
            got = self._read(reader)
            if not got:
                break
            was_short = got < SHORT_READ_BYTES
            if cursor.fill():
                for row in cursor:
                    rows += 1
        return rows, row

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._wake_fd)


def throughput(writer: Writer, workload: workloads.Workload, last: Any) -> dict[str, float]:
    count = len(workload.rows)
    child_process = psutil.Process(writer.process.pid)
    before, wall, cpu = child_process.cpu_times(), time.perf_counter(), time.process_time()
    rows, row = writer.rows(workload.kind, count)
    wall, cpu, after = time.perf_counter() - wall, time.process_time() - cpu, child_process.cpu_times()
    assert rows == count and msgspec.to_builtins(row) == last
    writer_cpu = after.user + after.system - before.user - before.system
    return {
        "rows_per_second": rows / wall,
        "reader_cpu_ns": cpu / rows * 1e9,
        "writer_cpu_ns": writer_cpu / rows * 1e9,
    }


def rows_lost(path: str, way: str) -> dict[str, float]:
    workload = workloads.small(1000)
    writer = Writer(path, way, "small", 1000)
    try:
        rows, _ = writer.rows(workload.kind, 1001, b"d")
    finally:
        writer.close()
    return {"rows_lost": 1000 - rows}


def main() -> None:
    rounds = compare.rounds_from_arguments(5)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ring.so")
        source = str(Path(__file__).with_name("ring.c"))
        subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", path, source], check=True)
        for name, count in COUNTS.items():
            workload = getattr(workloads, name)(count)
            last = msgspec.json.decode(workload.rows[-1][2])
            writers = {way: Writer(path, way, name, count) for way in ("pipe", "ring")}
            variants: dict[str, Callable[[], dict[str, float]]] = {
                way: partial(throughput, writer, workload, last) for way, writer in writers.items()
            }
            found = results[name] = compare.rounds_of(variants, rounds)
            for writer in writers.values():
                writer.close()
            print(f"{name}, {count} rows, a write or a publish a row; ring / pipe")
            for measure in found["ring"]:
                pipe, ring = (compare.Spread.of(found[way][measure]).text() for way in ("pipe", "ring"))
                relative = ""
                if min(found["pipe"][measure]) > 0:
                    relative = compare.ratio(found["ring"][measure], found["pipe"][measure]).text(2)
                print(f"  {measure:18} {pipe:>34} {ring:>34}   {relative}")
        lost = compare.rounds_of({way: partial(rows_lost, path, way) for way in ("pipe", "ring")}, 3)
        results["rows_lost"] = lost
        print({way: measures["rows_lost"] for way, measures in lost.items()})
    compare.save("ring", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _, _, library_path, way, workload_name, *numbers = sys.argv
        child(library_path, way, workload_name, *map(int, numbers))
    else:
        main()
