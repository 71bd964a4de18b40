"""Rows of a warm 200,000-row stream from real Lean into each sink, against draining the same stream unread.

    drain           read the bytes and throw them away: what Lean and its writes alone allow
    json lines      `JsonLinesSink`: each text checked to be JSON; written, synced and renamed
    by hand         the same rows one by one with `row=bytes` and `on_row=file.write`: no sync, no commit
    sqlite, parquet typed rows into columns

Before that a million rows into Parquet: how much the parent's memory grows, and that pyarrow and pandas read the
same back.

    python benches/sinks.py [rounds]
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare
import end_to_end
import msgspec
import pandas
import psutil
import pyarrow
import pyarrow.parquet
from end_to_end import ROWS, SCRIPT, Declaration

import lean_worker as lw

MILLION = 1_000_000
MIB = 1 << 20
COMMAND = lw.StreamingCommand("declarations", row=Declaration)
TEXTS = lw.StreamingCommand("declarations", row=bytes)


def into(lease: lw.Lease, sink: lw.sinks.Sink) -> int:
    return lease.run(COMMAND, ROWS, sink=sink).total_rows


def by_hand(lease: lw.Lease, path: Path) -> int:
    with path.open("wb") as file:
        return lease.run(TEXTS, ROWS, on_row=lambda text: file.write(text + b"\n")).total_rows


def measured(work: Callable[[], int], check: Callable[[], None]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert rows == ROWS
    check()
    return {"rows_per_second": ROWS / wall, "cpu_ns": cpu / ROWS * 1e9}


def checked_lines(path: Path) -> None:
    expected = getattr(checked_lines, "digest", None)
    text = path.read_bytes()
    found = hashlib.sha256(text).hexdigest()
    if expected is None:
        values = msgspec.json.Decoder(list[Declaration]).decode(b"[" + b",".join(text.splitlines()) + b"]")
        assert [value.index for value in values] == list(range(ROWS))
        checked_lines.digest = expected = found  # type: ignore[attr-defined]
    assert found == expected


def peak_growth_mib(work: Callable[[], object]) -> float:
    """How much more memory than before this process holds at most while `work` runs; looked at each 5 ms."""
    process = psutil.Process()
    before = process.memory_info().rss
    seen = [before]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return (max(seen) - before) / MIB


def million(lease: lw.Lease, path: Path) -> dict[str, float]:
    started = time.perf_counter()
    growth = peak_growth_mib(lambda: lease.run(COMMAND, MILLION, sink=lw.sinks.ParquetSink(path)))
    seconds = time.perf_counter() - started
    found = pyarrow.parquet.read_table(path)
    assert found.schema == pyarrow.schema(
        [
            pyarrow.field("index", pyarrow.int64(), nullable=False),
            pyarrow.field("name", pyarrow.string(), nullable=False),
            pyarrow.field("kind", pyarrow.string(), nullable=False),
        ]
    )
    assert found["index"].to_pylist() == list(range(MILLION))
    assert pyarrow.compute.unique(found["name"]).to_pylist() == ["Nat.add_comm"]
    frame = pandas.read_parquet(path)
    assert len(frame) == MILLION and frame["index"].is_monotonic_increasing and set(frame["kind"]) == {"theorem"}
    return {"rows_per_second": MILLION / seconds, "growth_mib": growth}


def main() -> None:
    rounds = compare.rounds_from_arguments(7)
    capability = lw.LeanCapability(SCRIPT, toolchain="embedded")
    with tempfile.TemporaryDirectory() as name, lw.Pool() as pool, pool.lease(capability) as lease:
        folder = Path(name)
        lines, table, parquet = folder / "rows.jsonl", folder / "rows.db", folder / "rows.parquet"
        nothing = lambda: None  # noqa: E731
        # First, in a fresh process: later on, memory that was freed is there to be used again.
        into(lease, lw.sinks.ParquetSink(parquet))
        large = million(lease, parquet)
        for measure, value in large.items():
            print(f"a million rows to Parquet: {measure} {value:,.0f}")
        drain = functools.partial(end_to_end.drain, lease, end_to_end.stream_bytes_of(lease))
        variants = {
            "drain": functools.partial(measured, drain, nothing),
            "json lines": lambda: measured(
                lambda: into(lease, lw.sinks.JsonLinesSink(lines)), lambda: checked_lines(lines)
            ),
            "by hand": lambda: measured(lambda: by_hand(lease, lines), lambda: checked_lines(lines)),
            "sqlite": lambda: measured(lambda: into(lease, lw.sinks.SqliteSink(table)), nothing),
            "parquet": lambda: measured(lambda: into(lease, lw.sinks.ParquetSink(parquet)), nothing),
        }
        results: dict[str, Any] = compare.rounds_of(variants, rounds)
        for title, measures in results.items():
            rate, cpu = (compare.Spread.of(measures[key]) for key in ("rows_per_second", "cpu_ns"))
            ratio = compare.ratio(measures["rows_per_second"], results["drain"]["rows_per_second"])
            print(
                f"{title:10} {rate.text(0, 1e-3):>24} thousand rows/s, {cpu.text():>20} ns CPU, {ratio.text(2)} of it"
            )
        results["a million to parquet"] = large
    compare.save("sinks", results)


if __name__ == "__main__":
    main()
