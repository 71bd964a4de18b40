"""The parent's path of rows, in pure Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import LeanWorkerError, UsageError
from ..envelope import Message
from .codec import PREFIX_BYTES, FrameReader, Row, check_bytes, read_body, sequence_gap


class Flag:
    """A bool that every thread sees at once; once set, it stays."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True


class FlatStruct:
    """Decodes rows of a msgspec Struct that has only str, int and bool fields, faster than msgspec does.

    Makes no decision about what is right: a text that is not of the plainest form is declined, for msgspec to decode or
    to refuse. The pure twin declines all.

    Args:
        kind: The Struct.
        fields: For each field: its attribute, its key in JSON, and which of "str", "int", "bool", "none" it may be.
    """

    def __init__(self, kind: type, fields: Sequence[tuple[str, str, set[str]]]) -> None:
        pass

    def decode(self, text: bytes) -> Any:
        """The value, or None: declined."""
        check_bytes("decoding a flat row", text)
        return None


class RowCursor:
    """The rows of one request: cut out of a reader's bytes, checked for gaps, decoded, and handed out one at a time.

    All rows at hand are decoded by one `fill`, into nothing but the caller's values. `next` hands them out, and ends
    when none is left or when `halted` is set; it goes on after the next `fill`. One thread at a time uses it.

    Args:
        reader: Where the bytes are.
        halted: Set, from any thread, to hand out no further row.
        decode_text: From a row's JSON text to its value; None: `decode_row` has to see the whole row.
        decode_row: The same from a `Row`, for texts that `decode_text` refuses; its error is the caller's.
        flat: Tried first, if given.

    Attributes:
        rows_delivered: How many rows were handed out.
    """

    def __init__(
        self,
        reader: FrameReader,
        halted: Flag,
        decode_text: Callable[[bytes], Any] | None,
        decode_row: Callable[[Row], Any],
        flat: FlatStruct | None = None,
    ) -> None:
        self._reader = reader
        self._halted = halted
        self._decode_text = decode_text
        self._decode_row = decode_row
        self._filling = False
        self._values: list[Any] = []
        self._streams: list[str] = []
        self._position = 0
        self._delivered_before = 0
        self._last_before: tuple[str, int] | None = None
        self._due: dict[str, int] = {}

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        position, values = self._position, self._values  # which another thread may replace meanwhile
        if position < len(values) and not self._halted.is_set:
            self._position = position + 1
            return values[position]
        raise StopIteration

    def take_rows(self) -> list[Any]:
        """Hand out all rows at hand at once, in order; [] if none is left or `halted` is set."""
        position = self._position
        if self._halted.is_set:
            return []
        self._position = len(self._values)
        return self._values[position:]

    def take_by_stream(self) -> dict[str, list[Any]]:
        """Hand out all rows at hand at once, each stream's in order; {} if none is left or `halted` is set."""
        found: dict[str, list[Any]] = {}
        position = self._position
        for stream, value in zip(self._streams[position:], self.take_rows(), strict=False):
            found.setdefault(stream, []).append(value)
        return found

    @property
    def rows_delivered(self) -> int:
        return self._delivered_before + self._position

    def last(self) -> tuple[str, int] | None:
        """Stream and sequence of the row that was handed out last, or None."""
        position, streams = self._position, self._streams
        if not 0 < position <= len(streams):  # none since the last drop, or another thread is dropping them
            return self._last_before
        stream = streams[position - 1]
        return stream, self._due[stream] - 1 - streams[position:].count(stream)

    def counts(self) -> dict[str, int]:
        """Number of decoded rows of each stream."""
        return dict(self._due)

    def drop(self) -> None:
        """Forget the rows that were decoded and not handed out."""
        self._last_before = self.last()
        self._delivered_before += self._position
        self._position = 0
        self._values = []
        self._streams = []

    def fill(self) -> int:
        """Decode the rows at hand, up to the first message or bad frame, and say how many; the ones before must be out.

        0: what comes next is for `FrameReader.take`, or it is not all there yet. A row that is refused is refused when
        all before it were handed out, by this and every later call.

        Raises:
            SequenceGap: A row is missing or double.
            UsageError: It is called while it runs.
            Exception: What `decode_row` raises.
        """
        if self._filling:
            raise UsageError("filling a row cursor: a decoder of the row asked for the next row")
        self.drop()
        self._filling = True
        try:
            while self._fill_one():
                pass
        except Exception as error:
            # The next call meets a refused row again. What a signal handler has raised only this one can tell.
            if not self._values or not (isinstance(error, MemoryError) or self._is_met_again(error)):
                raise
        finally:
            self._filling = False
        return len(self._values)

    def _is_met_again(self, error: Exception) -> bool:
        """Whether the next row is refused in the same way, asked once more."""
        try:
            self._fill_one()
        except Exception as second:
            return type(second) is type(error)
        return False

    def _fill_one(self) -> bool:
        body = self._reader._whole_frame()
        if body is None:
            return False
        try:
            row = read_body(body)
        except LeanWorkerError:
            return False  # for `take` to report
        if isinstance(row, Message):
            return False
        due = self._due.get(row.stream, 0)
        if row.sequence != due:
            raise sequence_gap(row.stream, due, row.sequence)
        self._values.append(self._value(row))
        self._streams.append(row.stream)
        self._due[row.stream] = due + 1
        self._reader._skip_bytes(PREFIX_BYTES + len(body))
        return True

    def _value(self, row: Row) -> Any:
        if self._decode_text is not None:
            try:
                return self._decode_text(row.payload)
            except (ValueError, RecursionError):
                pass  # `decode_row` says why, or knows another reading
        return self._decode_row(row)


class RowIterator:
    """The rows of a cursor, without the cursor's other methods: base of the iterators that users hold.

    Args:
        rows: The cursor. When it has no row at hand, `next` returns what the subclass's `_advance` returns.
    """

    def __init__(self, rows: RowCursor) -> None:
        self._cursor = rows

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        for row in self._cursor:
            return row
        return self._advance()

    def _advance(self) -> Any:
        raise StopIteration
