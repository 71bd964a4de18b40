"""Figures of one version of the package, for `before.py`: `PYTHON before_probe.py BENCHES PROBE`.

Runs under the Python in which that version is installed. BENCHES is the folder of that version's own benchmarks, whose
`codec.py` knows its framing; everything else uses the public interface that the versions share. Prints one JSON object
of figures. Each probe checks what it got.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import compare
import msgspec
import psutil

import lean_worker as lw

HERE = Path(__file__).parent
BENCHES = sys.argv[1]
FUNCTIONS = lw.PythonCapability("growth_host:COMMANDS", path=[HERE])
LEAN = lw.LeanCapability(HERE / "Rows.lean", toolchain="embedded")
IMPORTING = lw.LeanCapability(HERE / "Rows.lean", imports=["LeanWorker"], toolchain="embedded")
PASSES = 5
ITEMS = 2_000


class Small(msgspec.Struct):
    i: int
    kind: str
    name: str


class Large(msgspec.Struct):
    i: int
    blob: str


class Brief(msgspec.Struct):
    i: int


KINDS: dict[str, type] = {"small": Small, "large": Large, "brief": Brief}
COUNTS = {"small": 200_000, "large": 20_000, "brief": 5_000}


def codec() -> dict[str, float]:
    """The compiled framing in memory, as the codec benchmark of that version calls it; nanoseconds a row."""
    sys.path.insert(0, BENCHES)
    import codec as bench
    import workloads

    from lean_worker import _frames

    def checked_row_by_row(rows: list[Any]) -> bytes:
        assert all(_frames.is_json(payload) for _, _, payload in rows)
        return b"".join([_frames.encode_row(*row) for row in rows])

    found = {}
    held = compare.held_arenas()
    for workload in (workloads.small(), workloads.large()):
        if hasattr(_frames, "encode_rows"):
            checked = bench.encode(workload, check=True)["compiled"]
        else:
            checked = checked_row_by_row
        chunks, count = workload.chunks(), len(workload.rows)
        has_all = partial(is_of_length, count)
        works: dict[str, tuple[Callable[[Any], Any], Any, Callable[[Any], bool]]] = {
            "encode": (bench.encode(workload)["compiled"], workload.rows, workload.data.__eq__),
            "encode checked": (checked, workload.rows, workload.data.__eq__),
            "decode raw": (bench.decode_raw(workload)["compiled"], chunks, has_all),
            "decode typed": (bench.decode_typed(workload)["compiled"], chunks, has_all),
        }
        for title, (work, given, check) in works.items():
            found[f"{title}, {workload.name}"] = statistics.median(
                nanoseconds(work, given, check, count) for _ in range(PASSES)
            )
    del held
    return found


def is_of_length(count: int, rows: list[Any]) -> bool:
    return len(rows) == count


def nanoseconds(work: Callable[[Any], Any], given: Any, check: Callable[[Any], bool], count: int) -> float:
    started = time.perf_counter()
    result = work(given)
    spent = time.perf_counter() - started
    assert check(result)
    return spent * 1e9 / count


@contextlib.contextmanager
def leases_on(way: str, pool: lw.Pool, number: int) -> Iterator[list[lw.Lease]]:
    with contextlib.ExitStack() as stack:
        if way == "pipe":
            os.environ["LEAN_WORKER_NO_RING"] = "1"
        try:
            yield [stack.enter_context(pool.lease(LEAN)) for _ in range(number)]
        finally:
            os.environ.pop("LEAN_WORKER_NO_RING", None)


def read(lease: lw.Lease, name: str, count: int) -> None:
    compare.read(lease, lw.StreamingCommand(name, row=KINDS[name]), count, count)


def live() -> dict[str, float]:
    """The reader's CPU for a row, in nanoseconds; and how many more rows of 0.08 ms two workers bring than one."""
    found = {}
    for way in ("ring", "pipe"):
        with lw.Pool(max_workers=2) as pool, leases_on(way, pool, 2) as pair:
            for lease in pair:
                read(lease, "brief", 100)
            for name in ("small", "large"):
                spent = [reader_ns(pair[0], name) for _ in range(PASSES)]
                found[f"reader on the {way}, {name}"] = statistics.median(spent)
            ratios = [wall_of(pair[:1], "brief") / wall_of(pair, "brief") for _ in range(PASSES)]
            found[f"two workers / one, 0.08 ms, {way}"] = statistics.median(ratios)
    return found


def reader_ns(lease: lw.Lease, name: str) -> float:
    before = time.process_time()
    read(lease, name, COUNTS[name])
    return (time.process_time() - before) * 1e9 / COUNTS[name]


def wall_of(leases: list[lw.Lease], name: str) -> float:
    """The time in which these workers send all rows of that kind, each read by a thread of its own."""
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(leases)) as threads:
        list(threads.map(lambda lease: read(lease, name, COUNTS[name] // len(leases)), leases))
    return time.perf_counter() - started


def generator() -> dict[str, float]:
    """Rows a second from a generator function to typed rows in the parent."""
    found = {}
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        for name in ("small", "large"):
            rates = [generator_rate(lease, name) for _ in range(PASSES)]
            found[f"rows a second of a generator, {name}"] = statistics.median(rates)
    return found


def generator_rate(lease: lw.Lease, name: str) -> float:
    count = COUNTS[name]
    started = time.perf_counter()
    compare.read(lease, lw.StreamingCommand("records", row=KINDS[name]), {"count": count, "kind": name}, count)
    return count / (time.perf_counter() - started)


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def starts() -> dict[str, float]:
    """CPU of an import, of `--help`, and of a worker from its start to its end; and what an idle worker holds."""
    found = {}
    for title, arguments in (
        ("import lean_worker; Pool, ms", [sys.executable, "-c", "import lean_worker; lean_worker.Pool"]),
        ("lean-worker --help, ms", [str(Path(sys.executable).with_name("lean-worker")), "--help"]),
    ):
        found[title] = statistics.median(program_ms(arguments) for _ in range(PASSES))
    for title, capability in (("Python", FUNCTIONS), ("Lean", LEAN)):
        spent, private = zip(*(one_worker(capability) for _ in range(PASSES)), strict=True)
        found[f"a {title} worker, ms"] = statistics.median(spent)
        found[f"an idle {title} worker, MB"] = statistics.median(private)
    spent, private = zip(*(later_worker() for _ in range(PASSES)), strict=True)
    found["a later Lean worker, ms"] = statistics.median(spent)
    found["an idle later Lean worker, MB"] = statistics.median(private)
    return found


def program_ms(arguments: list[str]) -> float:
    before = children_seconds()
    subprocess.run(arguments, check=True, capture_output=True)
    return (children_seconds() - before) * 1e3


def one_worker(capability: lw.Capability) -> tuple[float, float]:
    os.environ["LEAN_WORKER_NO_HOLDERS"] = "1"  # a slow start would begin one beside it
    before = children_seconds()
    with lw.Pool() as pool, pool.lease(capability):
        private = sum(compare.private_bytes(child.pid) for child in psutil.Process().children())
    return (children_seconds() - before) * 1e3, private / 1e6


def later_worker() -> tuple[float, float]:
    """The third worker of a pool: CPU until it is lent, and what it holds. Today it is a fork of what has imported."""
    os.environ.pop("LEAN_WORKER_NO_HOLDERS", None)
    with lw.Pool(max_workers=3) as pool, pool.lease(IMPORTING), pool.lease(IMPORTING):
        while hasattr(pool.snapshot(), "holders") and not pool.snapshot().holders:
            time.sleep(0.01)
        before = {child.pid for child in psutil.Process().children()}
        with pool.lease(IMPORTING):
            (child,) = (child for child in psutil.Process().children() if child.pid not in before)
            assert getattr(pool.snapshot(), "forked", 1) == 1
            return cpu_ms(child.pid), compare.private_bytes(child.pid) / 1e6


def cpu_ms(pid: int) -> float:
    """CPU of all threads of a process so far, to the nanosecond where psutil has ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def job() -> dict[str, float]:
    """CPU an item of a job of one-row items on two workers, and the files that it leaves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = children_seconds() + time.process_time()
        job = lw.Job(folder / "ledger", lw.StreamingCommand("rows"), FUNCTIONS, out=folder / "out")
        with lw.Pool(max_workers=2) as pool:
            job.run(pool, ({"count": 1} for _ in range(ITEMS))).raise_for_error()
        spent = children_seconds() + time.process_time() - before
        files = sum(path.is_file() for path in folder.rglob("*"))
    return {"a job's item, ms": spent * 1e3 / ITEMS, "files of a job": files}


PROBES = {probe.__name__: probe for probe in (codec, live, generator, starts, job)}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[2]]()))
