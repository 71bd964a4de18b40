"""Row types of a command with several streams: one type for each stream by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..base.arguments import shown
from ..errors import DecodeError, UsageError
from .json_types import check_type


class RowTypes(Mapping[str, Any]):
    """An immutable mapping from streams to row types, so that commands compare by value and have a hash.

    Args:
        types: The type of each stream's rows; None for `DataRow`, `bytes` for their JSON text.
        is_tagged: Whether a decoder gives pairs of stream and value instead of values.
    """

    __slots__ = ("_types", "is_tagged")

    def __init__(self, types: Mapping[str, Any], is_tagged: bool = False) -> None:
        self._types = dict(types)
        self.is_tagged = is_tagged

    def __getitem__(self, stream: str) -> Any:
        return self._types[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowTypes) and (self._types, self.is_tagged) == (other._types, other.is_tagged)

    def __hash__(self) -> int:
        return hash(frozenset(self._types))

    def __repr__(self) -> str:
        return repr(self._types)

    def __reduce__(self) -> Any:
        return RowTypes, (self._types, self.is_tagged)

    def tagged(self) -> RowTypes:
        """The same types, for a decoder that gives pairs of stream and value."""
        return RowTypes(self._types, True)


def check_row_types(command: str, types: Mapping[Any, Any]) -> None:
    """Refuse a mapping that is none from streams to row types.

    Raises:
        UsageError: It is empty, a key is no non-empty text, or a type cannot be read from JSON.
    """
    if not types:
        raise UsageError(
            f"declaring the row types of {command}: expected a type for each stream, got an empty mapping",
            hint="Name each stream, as in row={'rows': Row}.",
        )
    for stream, kind in types.items():
        try:
            if not isinstance(stream, str) or not stream.encode():
                raise ValueError
        except ValueError:
            raise UsageError(
                f"declaring the row types of {command}: expected a stream's name as a non-empty text, "
                f"got {shown(stream)}",
                hint="Name each stream, as in row={'rows': Row}.",
            ) from None
        check_type(f"declaring the row type of stream {shown(stream)} of {command}", kind)


def undeclared(command: str, types: Mapping[str, Any], stream: str, sequence: int | None) -> DecodeError:
    """The error for a row on a stream that the command does not declare."""
    return DecodeError(
        f"decoding a row: expected a stream of {sorted(types)}, got a row on the stream {shown(stream)}",
        hint="Add the stream to row={…}; None as its type gives DataRow values.",
        path="$",
        command=command,
        stream=stream,
        sequence=sequence,
    )
