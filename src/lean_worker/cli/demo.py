"""`lean-worker demo`: real Lean, typed rows, a pool of two, figures at the end.

It uses only the package's public names.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..hosting.capability import LeanCapability
from ..toolchains import toolchain
from .shown import JsonOption

SCRIPT = Path(__file__).parent.parent / "lean" / "demo" / "Demo.lean"
INTEROP = "many"
LARGE_ROWS = 200_000


class Indexed(msgspec.Struct):
    i: int


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


@dataclasses.dataclass
class Measured:
    """One stream's figures; the first row is timed from the sending of the request."""

    command: str
    rows: int = 0
    first_row_us: int = 0
    elapsed_us: int = 0

    @property
    def rows_per_second(self) -> int:
        return round(self.rows / (self.elapsed_us / 1e6)) if self.elapsed_us else 0


def demo(
    as_json: JsonOption = False,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show of the large stream.")] = 8,
) -> None:
    """The main job on the embedded Lean: two streams, 512 and 200,000 rows, through a pool of two workers.

    Example: lean-worker demo --rows 20
    """
    run_demo(as_json=as_json, shown_rows=rows)


def run_demo(*, as_json: bool, shown_rows: int) -> None:
    """Run both streams and print the figures.

    Raises:
        LeanWorkerError: As the embedded Lean's start or the streams say.
    """
    lean = toolchain.resolve("embedded")
    console = Console(stderr=True)
    if not as_json:
        console.print(lean.banner, highlight=False)
    capability = LeanCapability(SCRIPT, toolchain="embedded")
    small, large = Measured(INTEROP), Measured("declarations")
    sample: list[Declaration] = []
    opened = time.monotonic()
    with Pool(max_workers=2) as pool, pool.lease(capability) as one, pool.lease(capability) as two:
        open_seconds = time.monotonic() - opened
        errors: list[BaseException] = []
        other = threading.Thread(
            target=_guarded, args=(errors, _measure, one, StreamingCommand(INTEROP, row=Indexed), small, None, None)
        )
        other.start()
        command: StreamingCommand[Any, Declaration, Any] = StreamingCommand("declarations", row=Declaration)
        with _bar(console, quiet=as_json) as bar:
            _measure(two, command, large, bar, lambda row: sample.append(row) if len(sample) < shown_rows else None)
        other.join()
        if errors:
            raise errors[0]
        snapshot = pool.snapshot()
    figures: dict[str, Any] = {
        "lean": lean.banner,
        "lean_version": lean.version,
        "lean_commit": lean.commit,
        "open_two_workers_seconds": round(open_seconds, 3),
        "streams": [dataclasses.asdict(m) | {"rows_per_second": m.rows_per_second} for m in (small, large)],
        "parent_rss_kib": psutil.Process().memory_info().rss // 1024,
        "workers_private_kib": snapshot.memory_kib,
    }
    if as_json:
        print(json.dumps(figures))
    else:
        _print_tables(sample, (small, large), figures)


def _guarded(errors: list[BaseException], function: Any, *arguments: Any) -> None:
    try:
        function(*arguments)
    except BaseException as error:
        errors.append(error)


def _measure(lease: Any, command: Any, measured: Measured, bar: Any, keep: Any) -> None:
    started = time.perf_counter_ns()
    with lease.stream(command) as rows:
        for row in rows:
            if measured.rows == 0:
                measured.first_row_us = (time.perf_counter_ns() - started) // 1000
            measured.rows += 1
            if keep is not None:
                keep(row)
            if bar is not None and measured.rows % 2048 == 0:
                bar(measured.rows)
    measured.elapsed_us = (time.perf_counter_ns() - started) // 1000
    assert rows.summary.total_rows == measured.rows
    if bar is not None:
        bar(measured.rows)


class _bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("declarations"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} rows"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not sys.stderr.isatty(),
        )

    def __enter__(self) -> Any:
        self._progress.start()
        task = self._progress.add_task("declarations", total=LARGE_ROWS)
        return lambda rows: self._progress.update(task, completed=rows)

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()


def _print_tables(sample: list[Declaration], streams: tuple[Measured, ...], figures: dict[str, Any]) -> None:
    console = Console()
    rows = Table("index", "name", "kind", title="first rows of declarations")
    for row in sample:
        rows.add_row(str(row.index), row.name, row.kind)
    console.print(rows)
    table = Table("stream", "rows", "seconds", "rows/s", "first row", title="streams, two workers at once")
    for measured in streams:
        table.add_row(
            measured.command,
            f"{measured.rows:,}",
            f"{measured.elapsed_us / 1e6:.3f}",
            f"{measured.rows_per_second:,}",
            f"{measured.first_row_us / 1000:.2f} ms",
        )
    console.print(table)
    print(f"opening two workers   {figures['open_two_workers_seconds']} s")
    print(f"memory of this process {figures['parent_rss_kib'] // 1024} MiB")
    if figures["workers_private_kib"] is not None:
        print(f"memory of both workers {figures['workers_private_kib'] // 1024} MiB (private)")
