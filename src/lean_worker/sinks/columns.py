"""Columns of a row type.

Converts a declared type to named columns of one kind each, and a row to its cells. SQLite and Parquet
share it. Callers decide how a kind is stored.

    str, int, float, bool, bytes                a column of that kind
    datetime, date, time, timedelta, Decimal    "datetime", "date", "time", "duration", "decimal"
    int | float                                 "number": a float, as far as that is exact
    T | None, a field that may be absent        the same, and null
    Literal, Enum                               str or int, as its values are
    UUID                                        "text": as it is spelled in JSON, without the quotes
    list, tuple of one type, set, frozenset     "list" of an item kind
    a struct within (any kind of row type)      "struct" of its own columns
    dict[str, T]                                "map" of a value kind
    anything else                               "json": the value's JSON text

Anything else is: Any, a union of several types, a dict with other keys, a type within itself.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import operator
import typing
from collections.abc import Callable
from typing import Any

import msgspec
import msgspec.inspect as shapes

from ..errors import UsageError
from ..events import DataRow
from ..wire.json_types import is_pydantic_model
from ..wire.row_types import RowTypes


@dataclasses.dataclass(frozen=True)
class Kind:
    """The kind of a column's values.

    Attributes:
        name: "str", "int", "float", "number", "bool", "bytes", "datetime", "date", "time", "duration", "decimal",
            "text", "list", "struct", "map" or "json".
        nullable: Whether a value may be None.
        item: Kind of a list's items or a map's values.
        columns: A struct's.
        has_zone: Whether datetimes have a time zone; None if the declared type allows both.
    """

    name: str
    nullable: bool = False
    item: Kind | None = None
    columns: tuple[Column, ...] = ()
    has_zone: bool | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a cell is stored as the value itself."""
        return self.name in _PLAIN


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its name, which is the name in the row's JSON, and the kind of its values."""

    name: str
    kind: Kind


_PLAIN = frozenset(("str", "int", "float", "number", "bool", "bytes"))
_KEPT = (bytes, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)
"""The types whose values stay as they are in a cell, besides those of JSON."""

_NATURAL = frozenset(("text", "datetime", "date", "time", "duration", "decimal"))
_JSON = Kind("json", nullable=True)
_SCALARS: dict[type, str] = {
    shapes.StrType: "str",
    shapes.IntType: "int",
    shapes.FloatType: "float",
    shapes.BoolType: "bool",
    shapes.BytesType: "bytes",
    shapes.DateType: "date",
    shapes.TimeType: "time",
    shapes.TimeDeltaType: "duration",
    shapes.DecimalType: "decimal",
    shapes.UUIDType: "text",
}
_LISTS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType, shapes.CollectionType)
_RECORDS = (shapes.StructType, shapes.DataclassType, shapes.TypedDictType, shapes.NamedTupleType)


class Layout:
    """The columns of a row type, and how rows become cells.

    Args:
        kind: The declared row type. One without fields (None, `bytes`, dict, int, …) has the row's JSON text as its
            only column "payload"; for None there are "stream" and "sequence" before it.
        nested: Whether a cell can be a list, a struct or a map; if not, such a column is of kind "json".

    Attributes:
        columns: In the order of the declaration.
        reads_as: The type as which rows are to be decoded.
    """

    columns: tuple[Column, ...]

    def __init__(self, kind: Any, *, nested: bool = True) -> None:
        if isinstance(kind, RowTypes):
            raise UsageError(
                f"storing rows of {kind!r}: columns hold rows of one type",
                hint="Give each stream its own sink: sink={stream: …}.",
            )
        self.reads_as = kind
        self._getters: list[Callable[[Any], Any]]
        if kind is None:
            self.columns = (
                Column("stream", Kind("str")),
                Column("sequence", Kind("int")),
                Column("payload", Kind("json")),
            )
            self._getters = [operator.attrgetter("stream"), operator.attrgetter("sequence"), _text_of]
            return
        found = _fields_of(kind)
        if found is None:
            self.reads_as = bytes
            self.columns = (Column("payload", Kind("json")),)
            self._getters = [bytes.decode]
            return
        if not nested:
            found = [(name, attribute, _flat(column_kind)) for name, attribute, column_kind in found]
        self.columns = tuple(Column(name, column_kind) for name, _, column_kind in found)
        is_mapping = typing.is_typeddict(typing.get_origin(kind) or kind)
        self._getters = [_getter(attribute, column_kind, is_mapping) for _, attribute, column_kind in found]

    def cells(self, rows: list[Any]) -> list[list[Any]]:
        """The cells of `rows`, by column."""
        return [list(map(getter, rows)) for getter in self._getters]


def _flat(kind: Kind) -> Kind:
    return Kind("json", kind.nullable) if kind.name in ("list", "struct", "map") else kind


def _text_of(row: DataRow) -> str:
    return row.text.decode()


def _getter(attribute: str, kind: Kind, is_mapping: bool) -> Callable[[Any], Any]:
    read: Callable[[Any], Any] = (lambda row: row.get(attribute)) if is_mapping else operator.attrgetter(attribute)
    if kind.is_plain:
        return read if not kind.nullable else (lambda row: _plain(read(row)))
    convert = converter(kind)
    return lambda row: convert(read(row))


def _plain(value: Any) -> Any:
    return None if value is msgspec.UNSET else value.value if isinstance(value, enum.Enum) else value


def converter(kind: Kind) -> Callable[[Any], Any]:
    """Return a converter from a row's value to its cell: plain values, lists, dicts; maps as lists of pairs."""
    if kind.name == "json":
        return _json_cell
    return lambda value: _cell(_plain_tree(value), kind)


def _json_cell(value: Any) -> str | None:
    value = _plain(value)
    return None if value is None else _json(value)


def _json(value: Any) -> str:
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json(by_alias=True))
    return msgspec.json.encode(value, enc_hook=_model_fields).decode()


def _plain_tree(value: Any) -> Any:
    if value is None or value is msgspec.UNSET:
        return None
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_model_fields)


def _model_fields(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"a {type(value).__name__} has no fields that are known")


def _cell(value: Any, kind: Kind) -> Any:
    if value is None or kind.is_plain or kind.name in _NATURAL:
        return value
    if kind.name == "json":
        return _json(value)
    if kind.name == "list":
        assert kind.item is not None
        item = kind.item
        return list(value) if item.is_plain else [_cell(one, item) for one in value]
    if kind.name == "map":
        assert kind.item is not None
        return [(key, _cell(one, kind.item)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):  # a NamedTuple or an array-like struct
        return {column.name: _cell(one, column.kind) for column, one in zip(kind.columns, value, strict=False)}
    return {column.name: _cell(value.get(column.name), column.kind) for column in kind.columns}


def first_refused(
    columns: tuple[Column, ...], cells: list[list[Any]], store: Callable[[Column, Any], object]
) -> tuple[str, int, Any, Exception] | None:
    """Find the cell for which a sink refused rows: the column's name, the index, the cell, and the error of `store`."""
    for column, values in zip(columns, cells, strict=True):
        for index, cell in enumerate(values):
            try:
                store(column, cell)
            except Exception as error:
                return column.name, index, cell, error
    return None


# -- from a type to columns --


def _fields_of(kind: Any) -> list[tuple[str, str, Kind]] | None:
    """Name in JSON, attribute and kind of each field; None if the type has no fields."""
    if is_pydantic_model(kind):
        return [
            (field.serialization_alias or field.alias or name, name, _kind_of_annotation(field.annotation))
            for name, field in kind.model_fields.items()
        ]
    try:
        shape = shapes.type_info(kind)
    except TypeError:
        return None
    if not isinstance(shape, _RECORDS):
        return None
    fields = _record(shape, ())
    if not fields:
        raise UsageError(f"storing rows of {kind!r}: it has no fields, so that there are no columns")
    return fields


def _kind_of_annotation(annotation: Any) -> Kind:
    try:
        return _kind(shapes.type_info(annotation), ())
    except TypeError:
        return _JSON


def _record(shape: Any, within: tuple[Any, ...]) -> list[tuple[str, str, Kind]]:
    found = []
    for field in shape.fields:
        kind = _kind(field.type, (*within, shape.cls))
        if not field.required:  # it may be left out, or be UNSET
            kind = dataclasses.replace(kind, nullable=True)
        found.append((field.encode_name, field.name, kind))
    return found


def _kind(shape: Any, within: tuple[Any, ...]) -> Kind:
    if isinstance(shape, shapes.Metadata):
        return _kind(shape.type, within)
    scalar = _SCALARS.get(type(shape))
    if scalar is not None:
        return Kind(scalar)
    if isinstance(shape, shapes.DateTimeType):
        return Kind("datetime", has_zone=shape.tz)
    if isinstance(shape, shapes.LiteralType):
        return _kind_of_values(shape.values)
    if isinstance(shape, shapes.EnumType):
        # Nullable, so that the cell is read through the member's value.
        return dataclasses.replace(_kind_of_values([member.value for member in shape.cls]), nullable=True)
    if isinstance(shape, shapes.UnionType):
        return _union(shape, within)
    if isinstance(shape, _LISTS):
        return Kind("list", item=_kind(shape.item_type, within))
    if isinstance(shape, shapes.DictType) and isinstance(shape.key_type, shapes.StrType):
        return Kind("map", item=_kind(shape.value_type, within))
    if isinstance(shape, _RECORDS) and shape.cls not in within and shape.fields:
        columns = tuple(Column(name, kind) for name, _, kind in _record(shape, within))
        return Kind("struct", columns=columns)
    return _JSON


def _union(shape: Any, within: tuple[Any, ...]) -> Kind:
    kinds = {_kind(part, within) for part in shape.types if not isinstance(part, shapes.NoneType)}
    if {kind.name for kind in kinds} == {"int", "float"}:
        kinds = {Kind("number")}
    if len(kinds) != 1:
        return _JSON
    return dataclasses.replace(kinds.pop(), nullable=True)


def _kind_of_values(values: Any) -> Kind:
    names = {type(value) for value in values}
    if names <= {str, type(None)}:
        return Kind("str", nullable=type(None) in names)
    if names <= {int, type(None)}:
        return Kind("int", nullable=type(None) in names)
    return _JSON
