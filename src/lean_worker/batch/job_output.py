"""The output of a job: all lines of all items that are done, in order.

Owns that it appears as a whole, that each part in it is the one that was committed, and that a complete output is not
replaced by one without the rows of some items.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..base.forks import Descriptor
from ..errors import UsageError
from ..results import StreamSummary
from ..sinks.commit import commit
from ..sinks.json_lines import OpenJsonLines
from ..sinks.parts import new_group, refusal, storing
from ..sinks.recovery import open_target
from .incomplete_output import may_write, take_note
from .ledger import DONE, Ledger

_COPY_BYTES = 1 << 22
_MOST_OPEN = 16


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


def check_place(out: Path) -> None:
    """Refuse an output that could not be written, before the first item runs.

    Raises:
        SinkError: Its directory does not exist, or nothing can be written there.
    """
    folder = open_target(out).parent
    with storing("opening", out):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


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


def write_output(ledger: Ledger, out: Path, *, allow_incomplete: bool, keep_parts: bool) -> str | None:
    """Write all lines in order, each item's compared with its digest and its number of rows on the way.

    An output that is there with all items, in order, is not written again.

    Args:
        keep_parts: Whether parts stay. Otherwise a complete output is where rows are from then on.

    Returns:
        The file; None if lines of some items are missing and it has more, or is not ours: then it stays as it is.

    Raises:
        SinkError: It cannot be written, or a part is not what it was; then its item is due again.
    """
    target = open_target(out)
    is_complete = ledger.count(DONE) == ledger.count()
    if is_complete and not keep_parts and ledger.output() == str(target):
        return str(target)
    if not may_write(ledger, target, allow_incomplete=allow_incomplete):
        return None
    group = new_group()
    lines = OpenJsonLines(target, group, 1)
    try:
        with _Files() as files:
            for key, path, offset, size_bytes, digest, rows in ledger.done():
                if files.copy(path, offset, size_bytes, lines) != (digest, rows):
                    ledger.redo(key, "its part was damaged")
                    why = f"the part {path} is not what was committed; its item is due again"
                    raise refusal("committing", target, why, "Run the job again.")
            _keep_others(ledger, files)
        actions = lines.prepare(StreamSummary(0, {}, 0, None))
        take_note(ledger, lines.part.finished)
        releases_parts = is_complete and not keep_parts
        ledger.output_is_ready(target, lines.part.finished, releases_parts=releases_parts)
        commit(group, actions)
    finally:
        lines.close(keep_part=False)
    ledger.output_is_there()
    return str(target)


def _keep_others(ledger: Ledger, files: _Files) -> None:
    """Copy rows of items that nobody asks for now out of the last output, before another one takes its place."""
    while left := ledger.left_behind():
        contents: dict[str, bytes] = {}
        lost = []
        held_bytes = 0
        for key, path, offset, size_bytes, digest, rows in left:
            content = files.read(path, offset or 0, size_bytes)
            if hashlib.sha256(content).hexdigest() == digest and content.count(b"\n") == rows:
                contents[key] = content
            else:
                lost.append(key)
            held_bytes += len(content)
            if held_bytes > _COPY_BYTES:
                break
        ledger.move(contents, lost)


class _Files:
    """Files of rows, a few of them open: neighbours in the order of the requests are mostly in one file."""

    def __init__(self) -> None:
        self._open: dict[Path, Descriptor] = {}

    def copy(self, path: Path, offset: int | None, size_bytes: int, lines: OpenJsonLines) -> tuple[str, int]:
        """Copy the lines of one item; return their digest and number."""
        digest, rows = hashlib.sha256(), 0
        with storing("committing", path):
            for block in _whole(path) if offset is None else self._range(path, offset, size_bytes):
                digest.update(block)
                rows += block.count(b"\n")
                lines.write_block(block)
        return digest.hexdigest(), rows

    def read(self, path: Path, offset: int, size_bytes: int) -> bytes:
        """Return a range of a file, or less if it cannot be read."""
        with contextlib.suppress(OSError):
            return b"".join(self._range(path, offset, size_bytes))
        return b""

    def _range(self, path: Path, offset: int, size_bytes: int) -> Iterator[bytes]:
        file = self._open.get(path)
        if file is None:
            if len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            file = self._open[path] = Descriptor(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        while size_bytes:
            block = os.pread(file.fd, min(size_bytes, _COPY_BYTES), offset)
            if not block:
                return  # it is shorter than it was: the digest says so
            yield block
            offset += len(block)
            size_bytes -= len(block)

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()


def _whole(path: Path) -> Iterator[bytes]:
    with path.open("rb") as part:
        while block := part.read(_COPY_BYTES):
            yield block
