"""A job of many one-row items, killed once on its way: CPU per item, files, memory, and how long a resumption takes.

    python benches/large_job.py [items]

CPU is that of the parent and of its workers, until the output has been written and compared. `first item` is what a
second run takes, from its start as a process, until an item ends that the first one had not recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import compare
import psutil

import lean_worker as lw

FUNCTIONS = lw.PythonCapability("growth_host:COMMANDS", path=[Path(__file__).parent])
ROW = b'"xxxxxxxxxx"\n'


def cpu_seconds() -> float:
    """CPU of this process and of its workers, alive or ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    alive = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(each.user + each.system for each in alive)


def run(folder: Path, items: int) -> None:
    """Run the job, and print a line of facts now and then."""

    def tell(done: int) -> None:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"done": done, "cpu_s": cpu_seconds(), "peak_mb": peak_mb}), flush=True)

    def on_done(progress: lw.MapProgress) -> None:
        if progress.done == 1 or progress.done % max(1, items // 200) == 0:
            tell(progress.done)

    job = lw.Job(folder / "ledger", lw.StreamingCommand("rows"), FUNCTIONS, out=folder / "out")
    with lw.Pool(max_workers=2) as pool:
        report = job.run(pool, ({"count": 1} for _ in range(items)), on_done=on_done).raise_for_error()
    tell(report.ran)


def watched(folder: Path, items: int, kill_at: int | None) -> dict[str, Any]:
    """Run the job in a process of its own, killed once so many items have ended; return what was seen."""
    started, files, last = time.monotonic(), 0, {}
    first: tuple[float, float] | None = None
    arguments = [sys.executable, __file__, "run", str(folder), str(items)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = json.loads(line)
            first = first or (time.monotonic() - started, last["cpu_s"])
            files = max(files, sum(len(names) for _, _, names in os.walk(folder)))
            if kill_at is not None and last["done"] >= kill_at:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == (0 if kill_at is None else -signal.SIGKILL) and first is not None
    return {**last, "files": files, "first_s": first[0], "first_cpu_s": first[1], "wall_s": time.monotonic() - started}


def main(items: int) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        killed = watched(folder, items, random.randrange(items // 4, items // 2))
        done = lw.Job(folder / "ledger", lw.StreamingCommand("rows"), FUNCTIONS).report().done
        resumed = watched(folder, items, None)
        assert killed["done"] <= items and resumed["done"] == items - done, (killed, done, resumed)
        expected = hashlib.sha256()
        for _ in range(items):
            expected.update(ROW)
        assert hashlib.sha256((folder / "out").read_bytes()).digest() == expected.digest()
        seen = {
            "cpu_ms_per_item": [(killed["cpu_s"] + resumed["cpu_s"]) / items * 1e3],
            "most_files": [max(killed["files"], resumed["files"])],
            "parent_peak_mb": [max(killed["peak_mb"], resumed["peak_mb"])],
            "first_item_s": [resumed["first_s"]],
            "first_item_cpu_s": [resumed["first_cpu_s"]],
            "wall_s": [killed["wall_s"] + resumed["wall_s"]],
        }
    for measure, values in seen.items():
        print(f"{measure:24} {values[0]:12,.3f}")
    compare.save("large_job", {f"{items} items": seen})


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
