"""Rows, diagnostics and progress: the values that hosted code sends to the caller.

Both sides of the pipe share these value types. They hold no connection and no process.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["DataRow", "Diagnostic", "Progress", "StreamRow"]


class DataRow(msgspec.Struct, frozen=True):
    """One row of a command that declares no row type.

    Attributes:
        stream: Name of the stream that the hosted code chose.
        sequence: Position within the stream, from 0, without gaps.
        payload: The row as a Python value; integers of any size stay exact.
        text: The row's JSON text exactly as the hosted code wrote it (key order, spacing, spelling of numbers).
    """

    stream: str
    sequence: int
    payload: Any
    text: bytes

    def __repr__(self) -> str:
        """Return the fields; of a large payload and its text only the beginning."""
        from .notebook import short

        return f"DataRow({self.stream!r}, {self.sequence}, {short(self.payload)}, {short(self.text)})"


class Diagnostic(msgspec.Struct, frozen=True):
    """A message of the hosted code about its work; it never ends a request.

    Attributes:
        code: Stable dotted name, never empty.
        message: Text for people; may be empty.
    """

    code: str
    message: str


class Progress(msgspec.Struct, frozen=True):
    """Progress that the hosted code reports.

    Attributes:
        phase: Name of the phase, never empty.
        current: Units done in this phase.
        total: Units to do, or None when the hosted code does not know.
    """

    phase: str
    current: int
    total: int | None = None


class StreamRow(msgspec.Struct, frozen=True):
    """A row for a stream other than "rows", yielded by a hosted Python function.

    Attributes:
        stream: Name of the stream, not empty.
        payload: Any value with a JSON form.
    """

    stream: str
    payload: Any
