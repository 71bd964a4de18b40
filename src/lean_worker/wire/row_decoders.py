"""Decoders of rows: from the bytes of a row to an object of the declared type.

Owns the choice of the fastest decoder for a type: the compiled one for a Struct of plain fields, or that of
`json_types`. Texts are decoded straight into the declared type, without a generic tree.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import DecodeError, MalformedFrame, ProtocolError
from ..events import DataRow
from .frames import FlatStruct, Row, is_json, json_text, resolve_row
from .json_types import refusal, text_decoder
from .records import union_members
from .row_types import RowTypes, undeclared

_FLAT_KINDS: dict[object, str] = {str: "str", int: "int", bool: "bool", type(None): "none"}


def flat_struct(kind: Any) -> FlatStruct | None:
    """The fast decoder for a Struct of strings, integers and bools (each perhaps None); None for every other type.

    Structs that msgspec would read differently (with tags, arrays instead of objects, a `__post_init__`, constraints)
    are left to msgspec. A probe checks that both decoders return the same value.
    """
    try:
        return _cached_flat_struct(kind)
    except TypeError:
        return None  # cannot be hashed


@functools.lru_cache(maxsize=512)
def _cached_flat_struct(kind: Any) -> FlatStruct | None:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or hasattr(kind, "__post_init__"):
        return None
    config = kind.__struct_config__
    if config.array_like or config.tag is not None or getattr(config, "cache_hash", False):
        return None
    fields = []
    sample: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        kinds = {_FLAT_KINDS.get(part, "other") for part in union_members(field.type)}
        if "other" in kinds:
            return None
        fields.append((field.name, field.encode_name, kinds))
        sample[field.encode_name] = (
            None if "none" in kinds else "é\n" if "str" in kinds else 7 if "int" in kinds else True
        )
    flat = FlatStruct(kind, fields)
    text = msgspec.json.encode(sample)
    value = flat.decode(text)
    expected = msgspec.json.decode(text, type=kind)
    return flat if type(value) is kind and msgspec.structs.astuple(value) == msgspec.structs.astuple(expected) else None


class RowDecoder:
    """Rows of one type, for one stream at a time.

    Args:
        kind: Declared row type, or None for `DataRow`.
        command: The command's name, for errors.

    Attributes:
        decode_text: From a row's text to its value, raising what the decoder raises; None if a value is more than that.
        flat: A faster decoder that may decline, if the type is of the kind that it knows.
    """

    def __init__(self, kind: Any, command: str) -> None:
        self._kind = kind
        self._command = command
        # A row as bytes is its JSON text; msgspec would read a string of base64.
        self._decode = json_text if kind is bytes else text_decoder(kind)
        self.decode_text = None if kind is None else self._decode
        self.flat = flat_struct(kind)

    def decode(self, row: Row) -> Any:
        """The typed value of `row`.

        Raises:
            DecodeError: The payload is not of the declared type; names command, stream, sequence and JSON path.
            ProtocolError: The peer sent a frame that is no JSON at all.
        """
        try:
            value = self._decode(row.payload)
        except (ValueError, RecursionError) as error:
            row, value = self._decode_slowly(row, error)
        if self._kind is None:
            return DataRow(row.stream, row.sequence, value, row.payload)
        return value

    def _decode_slowly(self, row: Row, error: Exception) -> tuple[Row, Any]:
        """A payload was cut out of its frame by position; before blaming it, read the frame in full.

        A payload that is one JSON value was cut out rightly, and is the hosted code's to answer for.
        """
        if is_json(row.payload):
            raise self._refuse(row, error) from error
        try:
            resolved = resolve_row(row)
        except MalformedFrame as malformed:
            raise self._not_json(row, malformed) from error
        if resolved.payload == row.payload:
            raise self._refuse(row, error) from error
        try:
            return resolved, self._decode(resolved.payload)
        except (ValueError, RecursionError) as second:
            raise self._refuse(resolved, second) from second

    def _refuse(self, row: Row, error: Exception) -> DecodeError:
        facts = {"command": self._command, "stream": row.stream, "sequence": row.sequence}
        return refusal("row", self._kind, row.payload, error, **facts)

    def _not_json(self, row: Row, error: ProtocolError) -> ProtocolError:
        error.add_facts(command=self._command, stream=row.stream, sequence=row.sequence)
        return error


class TextDecoder(RowDecoder):
    """Rows as `DataRow`s whose payload is the text itself: for whoever passes them on to where they are decoded.

    A text may be good for a declared type and not for plain values, as the number 1e400 is for a `Decimal`.

    Args:
        command: The command's name, for errors.
    """

    def __init__(self, command: str) -> None:
        super().__init__(None, command)
        self._decode = json_text


class StreamDecoders:
    """Rows of several streams, each with a type of its own.

    Args:
        decoders: By the stream's name.
        command: The command's name, for errors.
        types: The declared types; a row on a stream beside them is refused. Without them it is left as text, for its
            reader to refuse.

    Attributes:
        decode_text: None: a row's stream has to be known.
        flat: None.
    """

    decode_text = None
    flat = None

    def __init__(self, decoders: Mapping[str, RowDecoder], command: str, types: RowTypes | None = None) -> None:
        self._decoders = decoders
        self._command = command
        self._types = types
        self._is_tagged = types is not None and types.is_tagged
        self._other = RowDecoder(bytes, command)

    def decode(self, row: Row) -> Any:
        """As `RowDecoder.decode`.

        Raises:
            DecodeError: Also for a stream that was not declared.
        """
        decoder = self._decoders.get(row.stream)
        if decoder is None:
            if self._types is not None:
                raise undeclared(self._command, self._types, row.stream, row.sequence)
            decoder = self._other
        value = decoder.decode(row)
        return (row.stream, value) if self._is_tagged else value


def row_decoder(kind: Any, command: str) -> AnyRowDecoder:
    """The decoder for rows of a declared type, or of one type for each stream.

    Raises:
        UsageError: A type has no JSON form.
    """
    if isinstance(kind, RowTypes):
        return StreamDecoders({stream: RowDecoder(each, command) for stream, each in kind.items()}, command, kind)
    return RowDecoder(kind, command)


AnyRowDecoder = RowDecoder | StreamDecoders
