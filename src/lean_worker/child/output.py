"""Output of a program: turns lines into rows and stderr into diagnostics.

A line ends with LF, CRLF or the end of the output. Empty lines and a byte order mark before the first line are ignored.
A line that is a JSON object is a row, in the bytes that the program wrote. Any other line is a failure or a diagnostic,
as the caller chose. A line longer than the frame limit is always a failure.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable

from ..wire.frames import STATUS_CANCELLED, STATUS_MALFORMED, STATUS_OK, RowWriter, is_json
from ..wire.protocol import STREAM

_STDERR_TAIL_BYTES = 4096
_LINE_BYTES = 8192
_DIAGNOSTIC_BYTES = 1 << 16
_DIAGNOSTIC_LINES = 500
_BOM = b"\xef\xbb\xbf"
_SHOWN_BYTES = 80

Put = Callable[[bytes], int]
"""A function that takes one row and returns a status of the frame writer."""


def rows_to(writer: RowWriter) -> Put:
    """Return a function that emits each line as a row."""
    return functools.partial(writer.row, STREAM)


class Answer:
    """Collector for the one row of a JSON command; `text` is that row."""

    def __init__(self) -> None:
        self.text: bytes | None = None
        self.count = 0

    def put(self, line: bytes) -> int:
        """Keep the first row and count all."""
        if not is_json(line):
            return STATUS_MALFORMED
        self.count += 1
        if self.text is None:
            self.text = line
        return STATUS_OK


@dataclasses.dataclass
class Ended:
    """End of a program's run.

    Attributes:
        exit_code: Of the program, if it ended by itself.
        signal: Name of the signal that ended it, if one did.
        not_started: Why it could not be started, if so.
        cancelled: Whether the parent cancelled the request.
        timed_out: Whether the run's own deadline passed.
        killed_at_kib: Its memory in KiB when it was ended for having too much.
        malformed: What was wrong with a line, if that ended the run.
        too_large: What was wrong with a line that is longer than a frame may be.
        stderr_tail: The last of its stderr, if that was read here.
        cpu_seconds: Processor time of the program and of what it waited for.
        directory: The directory that the program wrote into, if the job asked to keep it; the caller deletes it.
        import_seconds: How long Lean took to import modules, if that is known.
    """

    exit_code: int | None = None
    signal: str | None = None
    not_started: str | None = None
    cancelled: bool = False
    timed_out: bool = False
    killed_at_kib: int | None = None
    malformed: str | None = None
    too_large: str | None = None
    stderr_tail: str = ""
    cpu_seconds: float = 0.0
    directory: str | None = None
    import_seconds: float | None = None


class Lines:
    """Cuts output into lines and makes rows of them."""

    def __init__(self, writer: RowWriter, put: Put, other_lines: str, ended: Ended) -> None:
        self._writer = writer
        self._put = put
        self._diagnose = other_lines == "diagnostic"
        self._ended = ended
        self._number = 0
        self._parts: list[bytes] = []
        self._part_bytes = 0

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; False if the run must not go on."""
        lines = data.split(b"\n")
        if len(lines) == 1:
            return self._keep(data)
        self._parts.append(lines[0])
        lines[0] = b"".join(self._parts)
        rest = lines.pop()
        self._parts.clear()
        self._part_bytes = 0
        put, number, check_first = self._put, self._number, self._diagnose
        for line in lines:
            number += 1
            if line[-1:] == b"\r":
                line = line[:-1]
            if check_first or line[:1] != b"{" or put(line) != STATUS_OK:
                self._number = number
                if not self._look_closer(line):
                    return False
        self._number = number
        return self._keep(rest)

    def finish(self, *, is_whole: bool) -> None:
        """The output is over; a last line without its end is a line, or one that was cut if the program failed."""
        line = b"".join(self._parts)
        self._parts.clear()
        if line and (is_whole or is_json(line)):
            self._number += 1
            self._look_closer(line.removesuffix(b"\r"))

    def _keep(self, rest: bytes) -> bool:
        if rest:
            self._parts.append(rest)
            self._part_bytes += len(rest)
            if self._part_bytes > self._writer.limit_bytes:
                self._ended.too_large = (
                    f"row frame too large: line {self._number + 1} has {self._part_bytes} bytes and no end yet, "
                    f"at most {self._writer.limit_bytes} are allowed"
                )
                return False
        return True

    def _look_closer(self, line: bytes) -> bool:
        """A line that is no plain row, or whose row was refused."""
        if self._number == 1:
            line = line.removeprefix(_BOM)
        line = line.strip(b" \t\r")
        if not line:
            return True
        is_object = line[:1] == b"{" and is_json(line)
        if is_object:
            # Refused before, it is refused again: the writer keeps its first failure.
            status = self._put(line)
            self._ended.cancelled = self._ended.cancelled or status == STATUS_CANCELLED
            return status == STATUS_OK
        shown = line[:_SHOWN_BYTES].decode("utf-8", "replace")
        text = f"line {self._number} of the program's output is no JSON object: it starts with {shown!r}"
        if self._diagnose:
            whole = line[:_LINE_BYTES].decode("utf-8", "replace")
            self._writer.diagnostic("stdout", whole)
            return True
        self._ended.malformed = text
        return False


class Errors:
    """Makes diagnostics of stderr, as far as the bounds go, and keeps its last bytes."""

    def __init__(self, writer: RowWriter) -> None:
        self._writer = writer
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_bytes = 0
        self._line = b""
        self._bytes_left = _DIAGNOSTIC_BYTES
        self._lines_left = _DIAGNOSTIC_LINES
        self._dropped_bytes = 0

    def feed(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes - len(self._tail[0]) >= _STDERR_TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())
        if self._lines_left <= 0 or self._bytes_left <= 0:
            self._dropped_bytes += len(data)
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._line) > _LINE_BYTES:
            self._tell(self._line)
            self._line = b""

    def _tell(self, line: bytes) -> None:
        line = line.rstrip(b"\r")
        if not line:
            return
        if self._lines_left <= 0 or self._bytes_left <= 0:
            self._dropped_bytes += len(line)
            return
        shown = line[:_LINE_BYTES]
        self._dropped_bytes += len(line) - len(shown)
        self._lines_left -= 1
        self._bytes_left -= len(shown)
        self._writer.diagnostic("stderr", shown.decode("utf-8", "replace"))

    def finish(self) -> None:
        self._tell(self._line)
        self._line = b""
        if self._dropped_bytes:
            self._writer.diagnostic("stderr", f"… {self._dropped_bytes} more bytes of stderr are not shown")

    def tail(self) -> str:
        return b"".join(self._tail)[-_STDERR_TAIL_BYTES:].decode("utf-8", "replace").strip()
