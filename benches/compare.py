"""Compares ways to do the same: all in one run, in random order in each round, each checking its own result.

A single timing says little on a shared machine; a ratio of two that were measured a moment apart says more. So every
figure is a median over rounds with its minimum and maximum, and every ratio is taken within a round.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median with what was around it."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0, scale: float = 1) -> str:
        return f"{self.median * scale:,.{digits}f} [{self.low * scale:,.{digits}f}–{self.high * scale:,.{digits}f}]"


def rounds_of(variants: dict[str, Callable[[], dict[str, float]]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Call every variant once a round, in random order, after one round that does not count.

    Returns:
        For each variant and each of its measures one value a round, so that they can be paired.
    """
    order = list(variants)
    measured: dict[str, dict[str, list[float]]] = {name: {} for name in variants}
    for number in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            for measure, value in variants[name]().items():
                if number:
                    measured[name].setdefault(measure, []).append(value)
    return measured


def ratio(above: list[float], below: list[float]) -> Spread:
    """Paired ratios."""
    return Spread.of([a / b for a, b in zip(above, below, strict=True)])


def read(lease: Any, command: Any, request: object, count: int) -> None:
    """Take all rows of a stream with a loop, as a program does, and check how many came, and the last one."""
    rows = 0
    with lease.stream(command, request) as stream:
        for row in stream:
            rows += 1
    assert rows == count and row.i == count - 1


def held_arenas() -> list[bytes]:
    """An object in every MiB of memory that Python's allocator takes here, so that it gives none back until they go.

    It gives back a MiB in which nothing is left. A pass whose results just need one more than the last then pays for
    256 new pages, in some processes and not in others: 60 ns for each of 8,192 small rows, where a row costs 85.
    """
    objects = [bytes(400) for _ in range((64 << 20) // 448)]
    return objects[::512]


def private_bytes(pid: int) -> int:
    """Memory of a process that no file backs, and its share of what it has in common with its forks.

    Pages of files are shared, and dirty until the disk has them.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the host."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        models = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ]
        model = models[0] if models else ""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
    }


def save(name: str, measured: object) -> None:
    """Keep the raw values of one benchmark as `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "measured": measured}, indent=1, default=dataclasses.asdict)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def load(name: str) -> dict[str, Any]:
    """What `save` kept."""
    value: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return value


def rounds_from_arguments(default: int) -> int:
    """The number of rounds on the command line."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default
