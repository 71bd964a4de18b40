"""Frames of wire protocol 10, in pure Python: the reference of the compiled twin `_frames`.

Owns the layout (u32 big-endian length, then that many bytes of JSON), the canonical spelling of data rows, the frame
limit, and the child's writer. Hides nothing: feed bytes, take rows and messages. What they mean is `protocol`'s.

A canonical data row is recognised by its spelling and its payload is cut out as it stands, unread; every other frame is
read in full by `envelope`. The payload is validated once, by whoever decodes it; if that fails, `resolve_row` tells
whether the frame has another reading.
"""

from __future__ import annotations

import dataclasses
import os
import re
import select
import threading

import orjson

from .envelope import MAX_SEQUENCE, Message, decode_body
from .envelope import PROTOCOL_VERSION as PROTOCOL_VERSION
from .errors import FrameTooLarge, LeanWorkerError, UsageError

MIN_FRAME_BYTES = 1 << 16
DEFAULT_FRAME_BYTES = 1 << 20
MAX_FRAME_BYTES = 1 << 28
PREFIX_BYTES = 4

STATUS_OK = 0
STATUS_CANCELLED = 1
STATUS_MALFORMED = 2
STATUS_TOO_LARGE = 3
STATUS_CLOSED = 4
STATUS_NO_STREAM = 5

_CANONICAL_ROW = re.compile(
    rb'\{"version":10,"message":\{"type":"data_row","body":\{"stream":"([^"\\\x00-\x1f]*)",'
    rb'"sequence":(0|[1-9][0-9]{0,19}),"payload":([^ \t\r\n](?:.*[^ \t\r\n])?)\}\}\}',
    re.DOTALL,
)

# -- checks of arguments, the same in both twins --


def _check_limit(limit_bytes: object) -> None:
    if type(limit_bytes) is not int or not 1 <= limit_bytes <= 0xFFFFFFFF:
        raise UsageError(f"setting a frame limit: expected 1 to 4294967295 bytes, got {limit_bytes!r}")


def _check_bytes(what: str, value: object) -> None:
    if type(value) is not bytes:
        raise UsageError(f"{what}: expected bytes, got {type(value).__name__}")


def _encode_name(what: str, value: object) -> bytes:
    if type(value) is not str:
        raise UsageError(f"{what}: expected a string, got {type(value).__name__}")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{what}: the string has no UTF-8 form: {error.reason}") from error


# -- rows --


@dataclasses.dataclass(frozen=True)
class Row:
    """One data row as it came off the wire.

    Attributes:
        stream: Name of its stream.
        sequence: Its position in the stream.
        payload: Its JSON text, verbatim and not validated.
    """

    __slots__ = ("payload", "sequence", "stream")

    stream: str
    sequence: int
    payload: bytes

    def __reduce__(self) -> tuple[object, ...]:
        return (Row, (self.stream, self.sequence, self.payload))


# -- reading --


class FrameReader:
    """Cuts a stream of bytes into rows and messages; does no input or output itself. Not for several threads at once.

    Args:
        limit_bytes: Largest body that is accepted.

    Raises:
        UsageError: The limit is out of range.
    """

    def __init__(self, limit_bytes: int = DEFAULT_FRAME_BYTES) -> None:
        _check_limit(limit_bytes)
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._start = 0
        self._error: LeanWorkerError | None = None

    @property
    def limit_bytes(self) -> int:
        """Largest body that is accepted."""
        return self._limit_bytes

    @property
    def pending_bytes(self) -> int:
        """Bytes that were fed and not yet taken."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Add the bytes that came next.

        Raises:
            UsageError: `data` is not bytes.
        """
        _check_bytes("feeding a frame reader", data)
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def take(self, max_items: int = 0) -> list[Row | Message]:
        """Every whole frame at hand, in order; at most `max_items` of them unless that is 0. [] means: feed more.

        A bad frame is reported after the good ones before it were taken, by this and every later call.

        Raises:
            FrameTooLarge: A length is over the limit; known as soon as the length is, before anything is allocated.
            VersionMismatch: A frame is of another protocol version.
            MalformedFrame: A frame is not the JSON envelope.
            UsageError: `max_items` is not a whole number, 0 or more.
        """
        if type(max_items) is not int or max_items < 0:
            raise UsageError(f"taking frames: expected max_items as an int from 0, got {max_items!r}")
        items: list[Row | Message] = []
        if self._error is None:
            try:
                self._take_into(items, max_items)
            except LeanWorkerError as error:
                self._error = error
        if self._error is not None and not items:
            raise self._error
        return items

    def _take_into(self, items: list[Row | Message], max_items: int) -> None:
        while self.pending_bytes >= PREFIX_BYTES and (max_items == 0 or len(items) < max_items):
            length = int.from_bytes(self._buffer[self._start : self._start + PREFIX_BYTES], "big")
            if length > self._limit_bytes:
                raise _too_large_remote(length, self._limit_bytes)
            if self.pending_bytes - PREFIX_BYTES < length:
                return
            start = self._start + PREFIX_BYTES
            items.append(_read_body(bytes(self._buffer[start : start + length])))
            self._start = start + length


def _read_body(body: bytes) -> Row | Message:
    match = _CANONICAL_ROW.fullmatch(body)
    if match is not None and int(match[2]) <= MAX_SEQUENCE:
        try:
            return Row(match[1].decode("utf-8"), int(match[2]), match[3])
        except UnicodeDecodeError:
            pass  # the full decoder says what is wrong
    parts = decode_body(body)
    return parts if isinstance(parts, Message) else Row(*parts)


def _too_large_remote(length: int, limit_bytes: int) -> FrameTooLarge:
    return FrameTooLarge(
        f"reading a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit if such rows are wanted; a length like this can also mean that text was printed.",
        side="remote",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )


def resolve_row(row: Row) -> Row:
    """What the full decoder reads in the frame that `row` was cut from; for a payload that failed to decode.

    Raises:
        MalformedFrame: The frame is not JSON.
        UsageError: `row` is no row.
    """
    if type(row) is not Row:
        raise UsageError(f"resolving a row: expected a Row, got {type(row).__name__}")
    parts = decode_body(encode_row(row.stream, row.sequence, row.payload, 0xFFFFFFFF)[PREFIX_BYTES:])
    assert not isinstance(parts, Message)
    return Row(*parts)


# -- encoding --


def encode_frame(body: bytes, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """Length and body.

    Raises:
        FrameTooLarge: The body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    _check_bytes("encoding a frame's body", body)
    _check_limit(limit_bytes)
    if len(body) > limit_bytes:
        raise _too_large_local(len(body), limit_bytes)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def encode_message(type: str, body: bytes, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """One frame for a message; `body` is its JSON text.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    name = _encode_name("encoding a message's type", type)
    _check_bytes("encoding a message's body", body)
    text = b'{"version":10,"message":{"type":%b,"body":%b}}' % (orjson.dumps(name.decode()), body)
    return encode_frame(text, limit_bytes)


def encode_row(stream: str, sequence: int, payload: bytes, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """One canonical data-row frame; `payload` is JSON text and goes out verbatim, not validated.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    name = _encode_name("encoding a row's stream", stream)
    if type(sequence) is not int or not 0 <= sequence <= MAX_SEQUENCE:
        raise UsageError(f"encoding a row's sequence: expected 0 to {MAX_SEQUENCE}, got {sequence!r}")
    _check_bytes("encoding a row's payload", payload)
    return encode_frame(_row_body(name, sequence, payload), limit_bytes)


def _row_body(stream: bytes, sequence: int, payload: bytes) -> bytes:
    return b'{"version":10,"message":{"type":"data_row","body":{"stream":%b,"sequence":%d,"payload":%b}}}' % (
        orjson.dumps(stream.decode()),
        sequence,
        payload,
    )


def _too_large_local(length: int, limit_bytes: int) -> FrameTooLarge:
    return FrameTooLarge(
        f"writing a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit, or send less at once.",
        side="local",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )


# -- validation --

_MAX_DEPTH = 1024
_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
_SCALAR = re.compile(_STRING + r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_KEY = re.compile(r"[ \t\r\n]*" + _STRING + r"[ \t\r\n]*:")
_SPACES = re.compile(r"[ \t\r\n]*")


def is_json(text: bytes) -> bool:
    """Whether `text` is exactly one JSON value: RFC 8259, valid UTF-8, at most 1024 levels deep.

    A lone surrogate in an escape, or a number that fits no float, is JSON all the same.

    Raises:
        UsageError: `text` is not bytes.
    """
    _check_bytes("validating JSON", text)
    try:
        return _is_value(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _is_value(text: str) -> bool:
    closers: list[str] = []
    at = 0
    while True:
        # a value begins here
        at = _skip(_SPACES, text, at)
        opener = text[at : at + 1]
        if opener in ("{", "["):
            if len(closers) == _MAX_DEPTH:
                return False
            closers.append("}" if opener == "{" else "]")
            inside = _skip(_SPACES, text, at + 1)
            if text[inside : inside + 1] != closers[-1]:
                at = _skip(_KEY, text, at + 1) if opener == "{" else at + 1
                if at < 0:
                    return False
                continue
            at = inside
        else:
            at = _skip(_SCALAR, text, at)
            if at < 0:
                return False
        # a value has ended, or a container can: close containers until one goes on
        while closers:
            at = _skip(_SPACES, text, at)
            sign = text[at : at + 1]
            if sign == closers[-1]:
                closers.pop()
                at += 1
                continue
            if sign != ",":
                return False
            at = _skip(_KEY, text, at + 1) if closers[-1] == "}" else at + 1
            if at < 0:
                return False
            break
        else:
            return _skip(_SPACES, text, at) == len(text)


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where `pattern` ends that begins at `at`, or -1."""
    match = pattern.match(text, at)
    return -1 if match is None else match.end()


# -- the child's writer --


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
        _check_limit(limit_bytes)
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
        _check_limit(value)
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
        name = _encode_name("writing a row's stream", stream)
        _check_bytes("writing a row's payload", payload)
        with self._lock:
            return self._write_row(stream, name, payload)

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
        body = _row_body(name, sequence, payload)
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
        _encode_name("writing a diagnostic's code", code)
        _encode_name("writing a diagnostic's message", message)
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
        _encode_name("writing a progress phase", phase)
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
        name = _encode_name("encoding a message's type", type)
        _check_bytes("encoding a message's body", body)
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
