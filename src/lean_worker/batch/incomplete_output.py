"""The file that the output of a job may replace, while rows of some items are missing.

An incomplete output replaces none but one of the same job that was no more complete. The job's ledger has what tells
such a file from any other: of the last two, as nothing says which of them is there after a crash.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..sinks.parts import storing
from .ledger import DONE, Ledger

_FACT = "incomplete output"


def may_write(ledger: Ledger, target: Path, *, allow_incomplete: bool) -> bool:
    """Return whether the rows of the items that are done may be written.

    Args:
        ledger: The ledger of the job.
        target: The file.
        allow_incomplete: Whether an incomplete output may replace any file.

    Raises:
        SinkError: The file cannot be looked at.
    """
    done = ledger.count(DONE)
    if allow_incomplete or done == ledger.count():
        return True
    with storing("opening", target):
        try:
            found = os.stat(target)
        except FileNotFoundError:
            return True
    counts = [(note, note.rpartition(" ")[2]) for note in _notes_of(ledger)]
    return any(
        count.isdecimal() and int(count) <= done and note == _note_of(found, int(count)) for note, count in counts
    )


def take_note(ledger: Ledger, written: os.stat_result) -> None:
    """Take note of an output before it gets its name: whichever of both files is there afterwards is known."""
    done = ledger.count(DONE)
    now = "" if done == ledger.count() else _note_of(written, done)
    ledger.keep(_FACT, "\n".join([*_notes_of(ledger)[-1:], now]))


def _notes_of(ledger: Ledger) -> list[str]:
    return (ledger.fact(_FACT) or "").split("\n")


def _note_of(found: os.stat_result, done: int) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {done}"
