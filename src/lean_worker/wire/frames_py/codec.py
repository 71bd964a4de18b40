"""Reading, encoding and validating frames, in pure Python.

Owns the layout (u32 big-endian length, then that many bytes of JSON), the canonical spelling of data rows, and the
frame limit.

A canonical data row is recognised by its spelling and its payload is cut out as it stands, unread; every other frame is
read in full by `envelope`. The payload is validated once, by whoever decodes it; if that fails, `resolve_row` tells
whether the frame has another reading.
"""

from __future__ import annotations

import dataclasses
import os
import re

import msgspec
import orjson

from ...errors import FrameTooLarge, LeanWorkerError, SequenceGap, UsageError
from ..envelope import MAX_SEQUENCE, Message, decode_body

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
    rb'\{"version":10,"message":\{"type":"data_row","body":\{"stream":'
    rb'("[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"),'
    rb'"sequence":(0|[1-9][0-9]{0,19}),"payload":([^ \t\r\n](?:.*[^ \t\r\n])?)\}\}\}',
    re.DOTALL,
)

_decode_name = msgspec.json.Decoder(str).decode

# -- checks of arguments, the same in both twins --


def check_limit(limit_bytes: object) -> None:
    if type(limit_bytes) is not int or not 1 <= limit_bytes <= 0xFFFFFFFF:
        raise UsageError(f"setting a frame limit: expected 1 to 4294967295 bytes, got {limit_bytes!r}")


def check_bytes(what: str, value: object) -> None:
    if type(value) is not bytes:
        raise UsageError(f"{what}: expected bytes, got {type(value).__name__}")


def encode_name(what: str, value: object) -> bytes:
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
        check_limit(limit_bytes)
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
        check_bytes("feeding a frame reader", data)
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

    def _whole_frame(self) -> bytes | None:
        """The body of the next frame if it is all there and within the limit; it stays."""
        if self._error is not None or self.pending_bytes < PREFIX_BYTES:
            return None
        start = self._start + PREFIX_BYTES
        length = int.from_bytes(self._buffer[self._start : start], "big")
        if length > self._limit_bytes or self.pending_bytes - PREFIX_BYTES < length:
            return None
        return bytes(self._buffer[start : start + length])

    def _skip_bytes(self, count_bytes: int) -> None:
        """Take bytes of a whole frame that was looked at."""
        self._start += count_bytes

    def read(self, fd: int, most_bytes: int) -> int:
        """Read what `fd` has, at most `most_bytes`, and say how many bytes came; 0 at its end.

        Raises:
            OSError: The system's reason; `BlockingIOError` if nothing is there.
        """
        data = os.read(fd, most_bytes)
        self.feed(data)
        return len(data)

    def _take_into(self, items: list[Row | Message], max_items: int) -> None:
        while self.pending_bytes >= PREFIX_BYTES and (max_items == 0 or len(items) < max_items):
            length = int.from_bytes(self._buffer[self._start : self._start + PREFIX_BYTES], "big")
            if length > self._limit_bytes:
                raise _too_large_remote(length, self._limit_bytes)
            if self.pending_bytes - PREFIX_BYTES < length:
                return
            start = self._start + PREFIX_BYTES
            items.append(read_body(bytes(self._buffer[start : start + length])))
            self._start = start + length


def read_body(body: bytes) -> Row | Message:
    match = _CANONICAL_ROW.fullmatch(body)
    if match is not None and int(match[2]) <= MAX_SEQUENCE:
        try:
            return Row(_decode_name(match[1]), int(match[2]), match[3])
        except (UnicodeDecodeError, msgspec.DecodeError):
            pass  # the full decoder says what is wrong
    parts = decode_body(body)
    return parts if isinstance(parts, Message) else Row(*parts)


def _too_large_remote(length: int, limit_bytes: int) -> FrameTooLarge:
    return FrameTooLarge(
        f"reading a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit for such rows; a length like this can also mean that the worker printed text.",
        side="remote",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )


def sequence_gap(stream: str, expected: int, received: int) -> SequenceGap:
    """The error for a row that is missing or double."""
    return SequenceGap(
        f"reading rows: stream {stream!r} should go on with sequence {expected}, got {received}",
        side="remote",
        stream=stream,
        expected=expected,
        received=received,
    )


def resolve_row(row: Row) -> Row:
    """Decode the frame of `row` with the full decoder; used when its payload failed to decode.

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
    check_bytes("encoding a frame's body", body)
    check_limit(limit_bytes)
    if len(body) > limit_bytes:
        raise _too_large_local(len(body), limit_bytes)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def encode_message(type: str, body: bytes, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """One frame for a message; `body` is its JSON text.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    name = encode_name("encoding a message's type", type)
    check_bytes("encoding a message's body", body)
    text = b'{"version":10,"message":{"type":%b,"body":%b}}' % (orjson.dumps(name.decode()), body)
    return encode_frame(text, limit_bytes)


def encode_row(stream: str, sequence: int, payload: bytes, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """One canonical data-row frame; `payload` is JSON text and goes out verbatim, not validated.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    name = encode_name("encoding a row's stream", stream)
    if type(sequence) is not int or not 0 <= sequence <= MAX_SEQUENCE:
        raise UsageError(f"encoding a row's sequence: expected 0 to {MAX_SEQUENCE}, got {sequence!r}")
    check_bytes("encoding a row's payload", payload)
    return encode_frame(row_body(name, sequence, payload), limit_bytes)


def encode_rows(
    rows: list[tuple[str, int, bytes]], limit_bytes: int = DEFAULT_FRAME_BYTES, check: bool = False
) -> bytes:
    """The frames of many rows, one after the other: `encode_row` of each `(stream, sequence, payload)`.

    With `check` each payload is looked through, and has to be JSON.

    Raises:
        FrameTooLarge: A frame's body is over the limit.
        UsageError: An argument is of the wrong type or range, or a payload is not JSON.
    """
    check_limit(limit_bytes)
    if type(rows) is not list:
        raise UsageError(f"encoding rows: expected a list, got {type(rows).__name__}")
    frames = []
    for row in rows:
        if type(row) is not tuple or len(row) != 3:
            raise UsageError(f"encoding rows: expected (stream, sequence, payload), got {row!r:.80}")
        frames.append(encode_row(*row, limit_bytes))
    for _, _, payload in rows if check else ():
        if not is_json(payload):
            raise UsageError(f"encoding a row's payload: expected JSON, got {payload[:80]!r}")
    return b"".join(frames)


def row_body(stream: bytes, sequence: int, payload: bytes) -> bytes:
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
    check_bytes("validating JSON", text)
    try:
        return _is_value(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def json_text(text: bytes) -> bytes:
    """`text` itself, if it is JSON: what decodes rows of type `bytes`.

    Raises:
        ValueError: It is not.
        UsageError: `text` is not bytes.
    """
    if not is_json(text):
        raise ValueError("not JSON")
    return text


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
    """Return the end of the `pattern` that begins at `at`, or -1."""
    match = pattern.match(text, at)
    return -1 if match is None else match.end()
