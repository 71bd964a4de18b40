"""JSON Lines sink: each row's own text, from the frame to the file.

The text is checked to be JSON once and never decoded. So key order, large integers and the spelling of floats stay as
the hosted code wrote them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from ..base.arguments import check_choice, check_flag
from ..base.forks import Descriptor
from ..commands import StreamingCommand
from ..events import DataRow
from ..results import StreamSummary
from .base import MODES, Mode, OpenSink, Sink, path_of_stream
from .commit import ABSENT, Action, Rename, seen
from .file_names import JSON_LINES, target_of
from .parts import PartFile, storing
from .recovery import open_target

_BUFFER_BYTES = 1 << 18
_COPY_BYTES = 1 << 24


def one_line(text: bytes) -> bytes:
    """A row's JSON text without line ends, which JSON has between tokens only; all else stays."""
    return text.translate(None, b"\r\n")


def line_with_stream(row: DataRow) -> bytes:
    """JSON text of an object with a row and the name of its stream."""
    return b'{"stream":%b,"row":%b}' % (orjson.dumps(row.stream), row.text)


def lines_of(rows: list[Any]) -> bytes:
    """Return rows, one or more, as lines: JSON texts, or `DataRow`s with their streams."""
    if isinstance(rows[0], DataRow):
        rows = list(map(line_with_stream, rows))
    block: bytes = b"\n".join(rows) + b"\n"
    if block.count(b"\n") != len(rows) or b"\r" in block:
        block = b"\n".join(map(one_line, rows)) + b"\n"
    return block


def check_mode(what: str, mode: str) -> None:
    """Accept "replace" and "append"."""
    check_choice(what, "mode", mode, MODES)


class JsonLinesSink(Sink):
    """A file with one JSON value per line, in the order of the rows.

    Each text is checked to be JSON (else `DecodeError`), not to have the declared row type. Line breaks inside a text
    are removed. A symbolic link is followed, and the permissions of an existing file are kept.

    A command that declares several streams (`row={…}`) gets a file for each beside this one: `rows.edges.jsonl` for
    `rows.jsonl`. If none are declared, rows of a second stream raise `UsageError`. `with_stream` allows one file.

    Args:
        path: The file; its directory must exist.
        mode: "replace": the file contains these rows only. "append": the rows are added to a copy of the file, so that
            the old file stays whole until the commit; a file that changed meanwhile is not overwritten (`SinkError`).

        with_stream: Whether each line is an object of the row and its stream, `{"stream":"edges","row":…}`, so that
            one file holds all streams.

    Raises:
        UsageError: The mode is unknown, or `path` is not a path or has the ending of another format, such as .gz.
    """

    def __init__(self, path: str | os.PathLike[str], *, mode: Mode = "replace", with_stream: bool = False) -> None:
        check_mode("making a JSON-lines sink", mode)
        check_flag("making a JSON-lines sink", with_stream=with_stream)
        self.with_stream = with_stream
        self.path = target_of("making a JSON-lines sink", path, JSON_LINES)
        self.mode: Mode = mode

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """See `Sink.row_type`."""
        return None if self.with_stream else bytes

    def for_stream(self, stream: str) -> JsonLinesSink:
        """See `Sink.for_stream`: a file beside this one, with the stream's name before its suffix."""
        return JsonLinesSink(path_of_stream(self.path, stream), mode=self.mode, with_stream=self.with_stream)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        """See `Sink.keeps_streams`."""
        return self.with_stream

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenJsonLines:
        """See `Sink.open`."""
        target = open_target(self.path)
        return OpenJsonLines(target, group, number, appends=self.mode == "append")

    def places(self) -> tuple[str, ...]:
        """See `Sink.places`."""
        return (os.path.realpath(self.path),)

    def __repr__(self) -> str:
        return f"JsonLinesSink({str(self.path)!r}, mode={self.mode!r})"


class OpenJsonLines(OpenSink):
    """See `OpenSink`.

    Attributes:
        part: The file of lines.
        size_bytes: How many bytes of lines were written.
        digest: SHA-256 of them, if it was asked for.
    """

    def __init__(
        self,
        target: Path,
        group: str,
        number: int,
        *,
        appends: bool = False,
        with_digest: bool = False,
        on_rows: Callable[[int], object] | None = None,
    ) -> None:
        self.directory = target.parent
        with storing("opening", target):
            self._seen = seen(target) if appends else None
        self.part = PartFile(target, group, number)
        # Not a buffered file: in a forked child its finalizer would write what the parent writes too.
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
        self._taken = 0
        self._on_rows = on_rows
        self.size_bytes = 0
        self.digest = hashlib.sha256() if with_digest else None
        if self._seen is not None and self._seen != ABSENT:
            try:
                with storing("opening", target):
                    self._copy(target)
            except BaseException:
                self.close(keep_part=False)
                raise

    def _copy(self, target: Path) -> None:
        last = b""
        # Not blocking: somebody may have put a fifo there since it was looked at.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        with Descriptor(os.open, target, flags) as opened, open(opened.fd, "rb", closefd=False) as old:
            if not stat.S_ISREG(os.fstat(opened.fd).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file any more")
            self._seen = seen(opened.fd)
            while block := old.read(_COPY_BYTES):
                self.part.write(block)
                last = block[-1:]
        if last not in (b"", b"\n"):
            self.part.write(b"\n")

    def write(self, rows: list[Any], size_bytes: int) -> None:
        """See `OpenSink.write`."""
        if not rows:
            return
        self.write_block(lines_of(rows))
        self._taken += len(rows)
        if self._on_rows is not None:
            self._on_rows(self._taken)

    def taken_rows(self) -> int:
        """See `OpenSink.taken_rows`."""
        return self._taken

    def write_block(self, block: bytes) -> None:
        """Take whole lines as they are.

        Raises:
            SinkError: They cannot be stored.
        """
        self._buffer.append(block)
        self._buffered_bytes += len(block)
        if self._buffered_bytes >= _BUFFER_BYTES:
            self._flush()
        self.size_bytes += len(block)
        if self.digest is not None:
            self.digest.update(block)

    def _flush(self) -> None:
        buffer, self._buffer, self._buffered_bytes = self._buffer, [], 0
        with storing("writing", self.part.target):
            for block in buffer if len(buffer) == 1 else [b"".join(buffer)]:
                self.part.write(block)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        """See `OpenSink.prepare`."""
        self._flush()
        self.part.finish(self.part.size_bytes)
        return [Rename(self.part, self._seen)]

    def close(self, keep_part: bool) -> None:
        """See `OpenSink.close`."""
        self._buffer = []
        with contextlib.suppress(OSError):
            if keep_part:
                self.part.close()
            else:
                self.part.discard()
