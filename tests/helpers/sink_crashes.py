"""Kills a process at each step of a commit in turn, and looks at what is left before and after the next start.

    python tests/helpers/sink_crashes.py

Every function of the system that a commit calls through `os` or `fcntl` is a step; the process sends itself SIGKILL in
front of step 0, 1, 2, … until one run reaches its end. Three sinks are committed together: files in two directories and
a table that is added to. Prints one line of JSON: the steps, and for each "old", "new" or "mixed" before and after `recover`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import sys
import tempfile
from pathlib import Path

import lean_worker as lw
from lean_worker.results import StreamSummary
from lean_worker.sinks import recover
from lean_worker.sinks.sink_set import SinkSet

STEPS = ("open", "fsync", "rename", "replace", "unlink", "write", "close", "fchmod")
COMMAND = lw.StreamingCommand("rows", row=bytes)


def choice(folder: Path) -> dict[str, lw.sinks.Sink]:
    return {
        "a": lw.sinks.JsonLinesSink(folder / "one" / "a.jsonl"),
        "b": lw.sinks.JsonLinesSink(folder / "two" / "b.jsonl"),
        "c": lw.sinks.SqliteSink(folder / "one" / "c.db", "c", mode="append"),
    }


def store(folder: Path, text: bytes) -> None:
    sinks = SinkSet(choice(folder), COMMAND)
    sinks.open()
    try:
        for sink in sinks._open.values():
            sink.write([text] * 3, 10)
        sinks.commit(StreamSummary(9, dict.fromkeys("abc", 3), 0, None))
    finally:
        sinks.close()


def killing(step: int) -> list[str]:
    """Wrap the system's functions; the list tells which step is which."""
    names: list[str] = []

    def wrap(module, name):
        real = getattr(module, name)

        def call(*arguments, **options):
            names.append(name)
            if len(names) - 1 == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(module, name, call)

    for name in STEPS:
        wrap(os, name)
    wrap(fcntl, "flock")
    return names


def state(folder: Path) -> str:
    found = {(folder / "one" / "a.jsonl").read_text(), (folder / "two" / "b.jsonl").read_text()}
    database = sqlite3.connect(folder / "one" / "c.db")
    rows = [text for (text,) in database.execute("SELECT payload FROM c ORDER BY rowid")]
    database.close()
    assert rows[:3] == ["1"] * 3 and rows[3:] in ([], ["2"] * 3), rows
    found.add("".join(f"{text}\n" for text in rows[-3:]))
    if len(found) > 1:
        assert found == {"1\n" * 3, "2\n" * 3}, found
        return "mixed"
    return {"1\n" * 3: "old", "2\n" * 3: "new"}[found.pop()]


def leftovers(folder: Path) -> list[str]:
    names = [*os.listdir(folder / "one"), *os.listdir(folder / "two")]
    return sorted(set(names) - {"a.jsonl", "b.jsonl", "c.db"})


def crash_at(step: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one").mkdir()
        (folder / "two").mkdir()
        store(folder, b"1")
        assert state(folder) == "old" and not leftovers(folder)
        pid = os.fork()
        if not pid:
            names = killing(step)
            store(folder, b"2")
            os._exit(len(names) > step)
        _, status = os.waitpid(pid, 0)
        before = state(folder)
        # Whichever directory is looked at first, the other follows.
        for directory in ("two", "one") if step % 2 else ("one", "two"):
            recover(folder / directory)
        return {"killed": os.WIFSIGNALED(status), "before": before, "after": state(folder), "left": leftovers(folder)}


def main() -> None:
    outcomes = []
    while not outcomes or outcomes[-1]["killed"]:
        outcomes.append(crash_at(len(outcomes)))
    print(json.dumps(outcomes))


if __name__ == "__main__":
    sys.exit(main())
