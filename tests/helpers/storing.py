"""Stores rows through sinks without a worker, for tests that do something to files at an exact moment.

    python tests/helpers/storing.py DIRECTORY STREAMS TEXT [MOMENT]

Stores one row TEXT in each of the files a, b, c, … of STREAMS. At MOMENT ("decided N": after N actions of the decided
commit) the process kills itself.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import lean_worker as lw
from lean_worker.results import StreamSummary
from lean_worker.sinks import commit as committing
from lean_worker.sinks.sink_set import SinkSet

ROWS = lw.StreamingCommand("rows", row=bytes)


class Stored:
    """Sinks that took `text` as a row each and are not committed yet.

    Attributes:
        sinks: The open set.
    """

    def __init__(self, choice: dict[str, lw.sinks.Sink], text: bytes, rows: int = 1) -> None:
        self.sinks = SinkSet(choice, ROWS)
        self.sinks.open()
        self._summary = StreamSummary(rows * len(choice), dict.fromkeys(choice, rows), 0, None)
        for sink in self.sinks._open.values():
            sink.write([text] * rows, len(text) * rows)

    def commit(self) -> None:
        self.sinks.commit(self._summary)

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *exception: object) -> None:
        self.sinks.close()


def store(choice: dict[str, lw.sinks.Sink], text: bytes, rows: int = 1) -> None:
    with Stored(choice, text, rows) as stored:
        stored.commit()


def files(directory: Path, streams: str) -> dict[str, lw.sinks.Sink]:
    return {name: lw.sinks.JsonLinesSink(directory / name) for name in streams}


def die_after(actions: int) -> None:
    """Kill this process in front of the action number `actions` of its next decided commit."""
    perform = committing._perform
    done = 0

    def counted(action, group):
        nonlocal done
        if done == actions:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        perform(action, group)

    committing._perform = counted


def store_and_die(choice: dict[str, lw.sinks.Sink], text: bytes, actions: int) -> None:
    """Store in a forked child that is killed after that many actions."""
    pid = os.fork()
    if not pid:
        try:
            die_after(actions)
            store(choice, text)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the child was to be killed"


if __name__ == "__main__":
    if len(sys.argv) > 4:
        die_after(int(sys.argv[4].removeprefix("decided ")))
    store(files(Path(sys.argv[1]), sys.argv[2]), sys.argv[3].encode())
