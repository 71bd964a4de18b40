"""The child's writer of frames, in pure Python."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from typing import Any

import orjson

from ...errors import UsageError
from ..envelope import MAX_SEQUENCE
from .codec import (
    PREFIX_BYTES,
    STATUS_CANCELLED,
    STATUS_CLOSED,
    STATUS_MALFORMED,
    STATUS_NO_STREAM,
    STATUS_OK,
    STATUS_TOO_LARGE,
    check_bytes,
    check_limit,
    encode_name,
    is_json,
    row_body,
)


class RowWriter:
    """Writes the child's frames: rows, events and all other messages, one write a frame. Threads may share it.

    Args:
        fd: Where to write; it stays the caller's.
        limit_bytes: Largest body that may be written.

    Raises:
        UsageError: An argument is of the wrong type or range.
    """

    def __init__(self, fd: int, limit_bytes: int) -> None:
        if type(fd) is not int or not 0 <= fd <= 0x7FFFFFFF:
            raise UsageError(f"making a row writer: expected a file descriptor, got {fd!r}")
        check_limit(limit_bytes)
        self._fd = fd
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._streaming = False
        self._progress = False
        self._cancelled = False
        self._failure = STATUS_OK
        self._failure_text = ""

    @property
    def limit_bytes(self) -> int:
        """Largest body that may be written."""
        return self._limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, value: int) -> None:
        check_limit(value)
        self._limit_bytes = value

    def begin(self, progress: bool) -> None:
        """A streaming request begins: sequences, failure and cancellation start anew.

        With `progress` a tick goes out now and after each row, as the original protocol has it.
        """
        with self._lock:
            self._rows = {}
            self._streaming = True
            self._progress = bool(progress)
            self._cancelled = False
            self._failure = STATUS_OK
            self._failure_text = ""
            if self._progress:
                self._write(_progress_body("data_stream", 0, None))

    def row(self, stream: str, payload: bytes) -> int:
        """Write one row with the stream's next sequence; the status says whether it was written.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        name = encode_name("writing a row's stream", stream)
        check_bytes("writing a row's payload", payload)
        with self._lock:
            return self._write_row(stream, name, payload)

    def plain_rows(self, stream: str, values: Iterator[Any]) -> tuple[int, Any]:
        """Write the values of an iterator as rows, as long as they are plain, and come to the first that is not.

        Plain are dicts with keys of type `str`, lists, tuples, strings, numbers, bools, None, and Structs of them, if
        the encoder of `child.python_host` would write the same bytes. Each row can be read before the next value is
        asked for. How many values are taken for plain is not said: the pure twin takes none.

        A `StreamRow` is a value for a stream of its own.

        Returns:
            Status and value: `STATUS_OK` and a value that was not written, or why a row was not written and None.

        Raises:
            StopIteration: The iterator has ended; with its value.
            UsageError: `stream` is no string.
            Exception: What the iterator raises.
        """
        encode_name("writing a row's stream", stream)
        return STATUS_OK, next(values)

    def _write_row(self, stream: str, name: bytes, payload: bytes) -> int:
        if not self._streaming:
            return STATUS_NO_STREAM
        if self._cancelled:
            return STATUS_CANCELLED
        if self._failure != STATUS_OK:
            return self._failure
        if not name:
            return self._fail(STATUS_MALFORMED, "row stream name is empty")
        sequence = self._rows.setdefault(stream, 0)
        if not is_json(payload):
            text = (
                f"row payload is not valid JSON: stream '{_start_of(name)}', sequence {sequence}, "
                f"starts with '{_start_of(payload)}'"
            )
            return self._fail(STATUS_MALFORMED, text)
        body = row_body(name, sequence, payload)
        status = self._write(body)
        if status == STATUS_OK:
            self._rows[stream] = sequence + 1
            if self._progress:
                status = self._write(_progress_body("data_stream", sum(self._rows.values()), None))
        if status == STATUS_TOO_LARGE:
            return self._fail(status, f"row frame too large: {len(body)} bytes exceeds {self._limit_bytes}")
        if status == STATUS_CLOSED:
            return self._fail(status, "the parent closed the frame pipe")
        return status

    def _fail(self, status: int, text: str) -> int:
        self._failure = status
        self._failure_text = text
        return status

    def diagnostic(self, code: str, message: str) -> int:
        """Write one diagnostic; `code` is not empty.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        encode_name("writing a diagnostic's code", code)
        encode_name("writing a diagnostic's message", message)
        body = b'{"version":10,"message":{"type":"diagnostic","body":{"code":%b,"message":%b}}}' % (
            orjson.dumps(code),
            orjson.dumps(message),
        )
        with self._lock:
            return self._write_event(body if code else None)

    def progress(self, phase: str, current: int, total: int | None) -> int:
        """Write how far the work is; `phase` is not empty, `total` is None when unknown.

        Raises:
            UsageError: An argument is of the wrong type or range.
        """
        encode_name("writing a progress phase", phase)
        if type(current) is not int or not 0 <= current <= MAX_SEQUENCE:
            raise UsageError(f"writing progress: expected current from 0 to {MAX_SEQUENCE}, got {current!r}")
        if total is not None and (type(total) is not int or not 0 <= total <= MAX_SEQUENCE):
            raise UsageError(f"writing progress: expected total from 0 to {MAX_SEQUENCE} or None, got {total!r}")
        with self._lock:
            return self._write_event(_progress_body(phase, current, total) if phase else None)

    def _write_event(self, body: bytes | None) -> int:
        # Events may also be sent while a command without rows runs; only a cancel or a broken pipe stops them.
        if self._cancelled:
            return STATUS_CANCELLED
        if self._failure == STATUS_CLOSED:
            return STATUS_CLOSED
        return STATUS_MALFORMED if body is None else self._write(body)

    def message(self, type: str, body: bytes) -> int:
        """Write any other message; `body` is its JSON text. Legal at any time.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        name = encode_name("encoding a message's type", type)
        check_bytes("encoding a message's body", body)
        with self._lock:
            return self._write(b'{"version":10,"message":{"type":"%b","body":%b}}' % (name, body))

    def finish(self) -> tuple[int, dict[str, int], str | None, int]:
        """No more rows: total, rows of each stream, and text and status of the first row that failed, if one did."""
        with self._lock:
            self._streaming = False
            counts = {stream: rows for stream, rows in self._rows.items() if rows}
            failed = self._failure != STATUS_OK
            return sum(counts.values()), counts, self._failure_text if failed else None, self._failure

    def cancel(self) -> None:
        """From another thread: later rows and events of this request are refused; waits for no row."""
        self._cancelled = True

    def _write(self, body: bytes) -> int:
        if len(body) > self._limit_bytes:
            return STATUS_TOO_LARGE
        frame = memoryview(len(body).to_bytes(PREFIX_BYTES, "big") + body)
        while frame:
            try:
                frame = frame[os.write(self._fd, frame) :]
            except BlockingIOError:
                select.select([], [self._fd], [])
            except OSError:
                return STATUS_CLOSED
        return STATUS_OK


def _progress_body(phase: str, current: int, total: int | None) -> bytes:
    return b'{"version":10,"message":{"type":"progress_tick","body":{"phase":%b,"current":%d,"total":%b}}}' % (
        orjson.dumps(phase),
        current,
        b"null" if total is None else b"%d" % total,
    )


def _start_of(text: bytes) -> str:
    """At most 80 bytes, cut at a whole character and at a NUL."""
    end = len(text)
    if end > 80:
        end = 80
        while end and text[end] & 0xC0 == 0x80:
            end -= 1
    return text[:end].split(b"\0")[0].decode("utf-8", "replace")
