"""Kills a parent, or its worker, at random moments while a sink stores rows, and looks at what is under the final name.

    python tests/helpers/sink_kills.py parent|child KILLS [KIND …]

A run stores 1000 rows or a few more, over and over, each time one more; so the rows that are found tell of which run they
are, and whether they are all of it. Half of the kills come before the first run can have ended. The processes are real,
and so is SIGKILL. After the kills one run is left alone; its digest has to be that of a run that nobody disturbed.
Prints one line of JSON with what was counted for each kind of sink.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import pyarrow.parquet

import lean_worker as lw
from lean_worker.sinks import recover
from support import FUNCTIONS

FIRST = 1000
pyarrow.array([1])  # loads what it loads lazily, so that each forked parent has it


class Row(msgspec.Struct):
    i: int
    name: str


ROWS = lw.StreamingCommand("rows", row=Row)


def lines_in(path: Path) -> list[int]:
    return [json.loads(line)["i"] for line in path.read_text().splitlines()]


def table_in(path: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone():
            return []
        return [i for (i,) in database.execute("SELECT i FROM rows ORDER BY rowid")]


def parquet_in(path: Path) -> list[int]:
    return pyarrow.parquet.ParquetFile(path).read()["i"].to_pylist()


def file_of_its_own(path: Path) -> lw.sinks.CallableSink:
    """The commit of a caller who uses a file and a rename."""
    rows: list[Row] = []

    def commit(summary: lw.StreamSummary) -> None:
        assert summary.total_rows == len(rows)
        written = path.with_suffix(".mine")
        written.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        written.rename(path)

    return lw.sinks.CallableSink(rows.append, commit=commit)


KINDS = {
    "json_lines": (lw.sinks.JsonLinesSink, lines_in),
    "sqlite": (lw.sinks.SqliteSink, table_in),
    "parquet": (lw.sinks.ParquetSink, parquet_in),
    "callable": (file_of_its_own, lines_in),
}


def rows_found(kind: str, path: Path) -> int:
    """Count the rows that are there; 0 for nothing. Anything but the rows of one whole run is an error."""
    if not path.exists():
        return 0
    found = KINDS[kind][1](path)
    assert not found or (found == list(range(len(found))) and len(found) >= FIRST), f"a part: {len(found)} rows"
    return len(found)


def digest_of(kind: str, path: Path) -> str:
    return hashlib.sha256(repr(KINDS[kind][1](path)).encode()).hexdigest()


def store_for_ever(kind: str, path: Path, ready: int) -> None:
    """The work of the parent that is killed."""
    make = KINDS[kind][0]
    killer = os.getppid()
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        os.write(ready, b"r")
        count = FIRST
        while os.getppid() == killer:  # which may have been stopped itself
            lease.run(ROWS, {"count": count}, sink=make(path))
            count += 1


def kill_parents(kind: str, path: Path, kills: int, seen: collections.Counter[str]) -> None:
    for number in range(kills):
        if number % 2:
            path.unlink(missing_ok=True)
        before = rows_found(kind, path)
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                store_for_ever(kind, path, write)
            finally:
                os._exit(1)  # it should have been killed
        os.close(write)
        assert os.read(read, 1) == b"r"
        os.close(read)
        time.sleep(random.random() * (0.03 if number % 2 else 0.25))  # the random point
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "the parent ended by itself"
        seen["leftovers"] += any(".lw" in name for name in os.listdir(path.parent))
        count(seen, before, rows_found(kind, path))
        recover(path.parent)
        assert {name for name in os.listdir(path.parent) if name.startswith(".")} == set()


def kill_children(kind: str, path: Path, kills: int, seen: collections.Counter[str]) -> None:
    make = KINDS[kind][0]
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(restarts=restarts) as pool:
        for number in range(kills):
            if number % 2:
                path.unlink(missing_ok=True)
            before = rows_found(kind, path)
            with pool.lease(FUNCTIONS) as lease:
                pid = lease._core.loan.worker.pid
                delay = random.random() * (0.02 if number % 2 else 0.15)
                timer = threading.Timer(delay, os.kill, (pid, signal.SIGKILL))
                timer.start()
                try:
                    for more in range(1000):
                        lease.run(ROWS, {"count": FIRST + number + more}, sink=make(path))
                except (lw.ChildExited, lw.errors.StaleLease):
                    seen["child ended within a run"] += 1
                else:
                    raise AssertionError("the worker was not killed")
                finally:
                    timer.join()
            assert not any(".lw" in name for name in os.listdir(path.parent))
            count(seen, before, rows_found(kind, path))


def count(seen: collections.Counter[str], before: int, after: int) -> None:
    seen["kills"] += 1
    seen["nothing" if not after else "old" if after == before else "new"] += 1


def main(who: str, kills: int, kinds: list[str]) -> dict[str, dict[str, int]]:
    counted = {}
    for kind in kinds or list(KINDS):
        seen: collections.Counter[str] = collections.Counter()
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / f"rows.{kind}"
            (kill_parents if who == "parent" else kill_children)(kind, path, kills, seen)
            undisturbed = Path(name) / "undisturbed"
            with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
                for target in (path, undisturbed):
                    lease.run(ROWS, {"count": 5000}, sink=KINDS[kind][0](target))
            assert digest_of(kind, path) == digest_of(kind, undisturbed)
            seen["digest equal"] = 1
        counted[kind] = dict(seen)
    return counted


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))
