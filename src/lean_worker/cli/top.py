"""`lean-worker top`: a live view of the pools of this user's processes.

`pool.snapshot_server` provides the snapshots.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..errors import UsageError
from ..pool.observer import HolderSnapshot
from ..pool.snapshot_server import LivePool, read_snapshot, read_snapshots
from .shown import JsonOption, QuietOption, note, print_json, print_table

_HINT = "no pool to be seen; start a program with LEAN_WORKER_TOP=1, or call lean_worker.metrics.serve_snapshot(pool)"
_LONGEST_INTERVAL = 86_400
Rates = dict[tuple[int, int], tuple[float, int, int]]


def top(
    once: Annotated[bool, typer.Option("--once", help="Show the figures once and exit.")] = False,
    interval: Annotated[float, typer.Option(min=0.05, max=_LONGEST_INTERVAL, help="Seconds between two looks.")] = 1.0,
    socket: Annotated[list[Path] | None, typer.Option(help="Look at this socket; may be repeated.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Watch the pools of running programs: workers, requests, rows a second, memory.

    A program is seen if it was started with LEAN_WORKER_TOP=1. With --json one object is printed for each look.
    Ctrl-C ends it.

    Example: LEAN_WORKER_TOP=1 python export.py & lean-worker top
    """
    for path in socket or () if once else ():
        if not path.is_socket():
            raise UsageError(
                f"watching pools: there is no socket {path}",
                hint="Give the path of lean_worker.metrics.serve_snapshot(pool, path), or leave --socket out.",
            )
    try:
        _watch(once, interval, socket, as_json, quiet)
    except KeyboardInterrupt:
        return  # the ordinary way to leave


def _watch(once: bool, interval: float, sockets: list[Path] | None, as_json: bool, quiet: bool) -> None:
    console = Console(highlight=False)
    is_said = False
    before: Rates = {}
    if once or as_json or not console.is_terminal:
        while True:
            pools = _look(sockets)
            if as_json:
                print_json({"pools": [dataclasses.asdict(pool) for pool in pools]})
            elif pools:
                print_table(picture(pools, before))
                is_said = False
            elif not is_said:
                note(_HINT, quiet=quiet)
                is_said = True
            if once:
                return
            time.sleep(interval)
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            pools = _look(sockets)
            live.update(picture(pools, before) if pools else Text(_HINT), refresh=True)
            time.sleep(interval)


def _look(sockets: list[Path] | None) -> list[LivePool]:
    if not sockets:
        return read_snapshots()
    return [pool for pool in map(read_snapshot, sockets) if pool is not None]


def picture(pools: list[LivePool], before: Rates) -> Table:
    """Return a table of all pools.

    Args:
        pools: The present pools.
        before: Counts of the previous call, for rates; updated in place.
    """
    # Only the program's name gives way on a narrow terminal.
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    table.caption = (
        "workers: busy/warm/most; holders: processes that keep imports, and their memory; lost: workers that failed"
    )
    table.caption_justify = "left"
    table.add_column("pid", justify="right", no_wrap=True)
    table.add_column("workers", no_wrap=True)
    for name in ("queued", "requests", "failed", "rows", "rows/s", "MiB/s", "memory", "holders", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("program", overflow="ellipsis", no_wrap=True, ratio=1)
    for pool in pools:
        s = pool.snapshot
        rows_rate, bytes_rate = _rates(pool, before)
        failed = sum(count for outcome, count in s.outcomes.items() if outcome != "ok")
        table.add_row(
            str(pool.pid),
            f"{s.leased}/{s.idle}/{s.max_workers}",
            str(s.queued),
            _count(s.requests),
            Text(_count(failed), style="red" if failed else ""),
            _count(s.rows_delivered),
            "-" if rows_rate is None else _count(round(rows_rate)),
            "-" if bytes_rate is None else f"{bytes_rate / 2**20:,.1f}",
            "?" if s.memory_kib is None else f"{s.memory_kib >> 10:,}M",
            _holders(s.holders),
            Text(_count(s.failures), style="red" if s.failures else ""),
            Text(pool.program),
        )
    return table


def _holders(holders: Sequence[HolderSnapshot]) -> str:
    memory_mib = sum(holder.memory_kib or 0 for holder in holders) >> 10
    return f"{len(holders)}:{memory_mib:,}M" if holders else "-"


def _rates(pool: LivePool, before: Rates) -> tuple[float | None, float | None]:
    """Rows and bytes a second since the last look; None at the first."""
    key, s = (pool.pid, pool.number), pool.snapshot
    last, before[key] = before.get(key), (pool.age_seconds, s.rows_delivered, s.received_bytes)
    if last is None or pool.age_seconds <= last[0]:
        return None, None
    seconds = pool.age_seconds - last[0]
    return (s.rows_delivered - last[1]) / seconds, (s.received_bytes - last[2]) / seconds


def _count(value: int) -> str:
    return f"{value:,}" if value < 1_000_000 else f"{value / 1e6:,.1f}M"
