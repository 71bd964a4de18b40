"""The output of a job: all lines of all items that are done, in order.

Owns that it appears as a whole, that each part in it is the one that was committed, and that a complete output is not
replaced by one without the rows of some items.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import UsageError
from ..results import StreamSummary
from ..sinks.commit import commit
from ..sinks.json_lines import OpenJsonLines
from ..sinks.parts import new_group, refusal, storing
from ..sinks.recovery import open_target
from .ledger import Ledger

_COPY_BYTES = 1 << 22
_INCOMPLETE = "incomplete output"


def refuse_own_files(ledger: Ledger, out: Path) -> None:
    """Refuse an output that would replace the ledger, or go where its parts are.

    Raises:
        UsageError: It would.
        SinkError: It cannot be looked at.
    """
    with storing("opening", out):
        target = Path(os.path.realpath(out))
    own = [ledger.path.with_name(ledger.path.name + end) for end in ("", "-wal", "-shm", "-journal")]
    if target in own or ledger.folder in target.parents:
        raise UsageError(
            f"running the job {ledger.path}: its output {out} would be one of its own files",
            hint="Give an output beside the ledger, with another name.",
        )


def size_of(out: Path) -> int:
    """Return the size in bytes of the file that an output would replace; 0 if there is none.

    Raises:
        SinkError: It cannot be looked at.
    """
    with storing("opening", out):
        try:
            return out.stat().st_size
        except FileNotFoundError:
            return 0


def write_output(ledger: Ledger, out: Path, *, allow_incomplete: bool) -> str | None:
    """Write all lines in order, each part compared with its digest and its number of rows on the way.

    Returns:
        The file; None if lines of some items are missing and it has more, or is not ours: then it stays as it is.

    Raises:
        SinkError: It cannot be written, or a part is not what it was; then its item is due again.
    """
    target = open_target(out)
    done = ledger.done()
    is_complete = len(done) == len(ledger.requests())
    notes = (ledger.fact(_INCOMPLETE) or "").split("\n")
    if not (is_complete or allow_incomplete or _may_replace(target, notes, len(done))):
        return None
    group = new_group()
    lines = OpenJsonLines(target, group, 1)
    try:
        for key, path, digest, rows in done:
            if _copy(path, lines) != (digest, rows):
                ledger.redo(key, "its part was damaged")
                why = f"the part {path} is not what was committed; its item is due again"
                raise refusal("committing", target, why, "Run the job again.")
        actions = lines.prepare(StreamSummary(0, {}, 0, None))
        # Before the commit, and with the note before it: whichever of both files is there afterwards is known.
        now = "" if is_complete else _note_of(lines.part.finished, len(done))
        ledger.keep(_INCOMPLETE, "\n".join([*notes[-1:], now]))
        commit(group, actions)
    finally:
        lines.close(keep_part=False)
    return str(target)


def _may_replace(target: Path, notes: list[str], done: int) -> bool:
    """Whether an incomplete output may go there: no file is, or one of ours that was no more complete."""
    with storing("opening", target):
        try:
            found = os.stat(target)
        except FileNotFoundError:
            return True
    counts = [note.rpartition(" ")[2] for note in notes]
    return any(
        count.isdecimal() and int(count) <= done and note == _note_of(found, int(count))
        for note, count in zip(notes, counts, strict=True)
    )


def _note_of(found: os.stat_result, done: int) -> str:
    """Return what tells an incomplete output that we wrote from any other file."""
    return f"{found.st_size} {found.st_mtime_ns} {done}"


def _copy(path: Path, lines: OpenJsonLines) -> tuple[str, int]:
    digest, rows = hashlib.sha256(), 0
    with storing("committing", path), path.open("rb") as part:
        while block := part.read(_COPY_BYTES):
            digest.update(block)
            rows += block.count(b"\n")
            lines.write_block(block)
    return digest.hexdigest(), rows
