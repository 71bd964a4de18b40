"""Full decoder of a frame's body: the slow path of framing, shared by its compiled and its pure form.

An envelope is one JSON object with an integer `version` and a `message` of `type` and `body`. Keys can have any order,
unknown keys are ignored, and spaces are allowed. Payload and body text are kept verbatim.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..errors import LeanWorkerError, MalformedFrame, VersionMismatch

PROTOCOL_VERSION = 10
MAX_SEQUENCE = (1 << 64) - 1


class Message(NamedTuple):
    """One frame that is no data row.

    Attributes:
        type: The message's type, such as "response".
        body: The JSON text of its body, verbatim.
    """

    type: str
    body: bytes


class RowParts(NamedTuple):
    """Parts of a data row's frame; `payload` is the JSON text, verbatim."""

    stream: str
    sequence: int
    payload: bytes


class _Version(msgspec.Struct):
    version: int


class _Typed(msgspec.Struct):
    type: str
    body: msgspec.Raw


class _Envelope(msgspec.Struct):
    message: _Typed


class _Row(msgspec.Struct):
    stream: str
    sequence: int
    payload: msgspec.Raw


def decode_body(body: bytes) -> RowParts | Message:
    """Read the body of one frame.

    Raises:
        VersionMismatch: It is of another protocol version; checked before anything else of its shape.
        MalformedFrame: It is not the JSON envelope.
    """
    try:
        # msgspec does not look into the strings that it passes over.
        body.decode("utf-8")
        version = msgspec.json.decode(body, type=_Version).version
        if version != PROTOCOL_VERSION:
            raise VersionMismatch(
                f"reading a frame: expected protocol version {PROTOCOL_VERSION}, received {version}",
                hint="Use the same release of lean-worker on both sides.",
                side="remote",
                expected=PROTOCOL_VERSION,
                received=version,
            )
        message = msgspec.json.decode(body, type=_Envelope).message
        if message.type != "data_row":
            return Message(message.type, bytes(message.body))
        row = msgspec.json.decode(message.body, type=_Row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(body, str(error)) from error
    if not 0 <= row.sequence <= MAX_SEQUENCE:
        raise _malformed(body, f"sequence {row.sequence} is out of range")
    return RowParts(row.stream, row.sequence, bytes(row.payload))


def _malformed(body: bytes, why: str) -> LeanWorkerError:
    starts = body[:60].decode("utf-8", "backslashreplace")
    return MalformedFrame(
        f"reading a frame: its body of {len(body)} bytes is malformed: {why}; it starts with {starts!r}",
        side="remote",
        length_bytes=len(body),
    )
