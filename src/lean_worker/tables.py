"""Conversion of rows to a table of pandas, polars or pyarrow.

A value arrives as it was. If no common kind holds each value of a column exactly, an error names column, row and value.
The libraries are imported only when their kind of table is requested.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import importlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from .base.arguments import shown
from .errors import MissingExtra, UsageError
from .events import DataRow

__all__ = ["to_table"]

TableKind = Literal["pandas", "polars", "arrow"]
_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_KEPT = (bytes, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)
_EXACT_FLOAT = 1 << 53
_INT64 = (-(1 << 63), (1 << 63) - 1)
_MAX_DECIMAL_DIGITS = 38


class _Shape(NamedTuple):
    """The kind of a column's values.

    `name` is "null", "bool", "int", "float", "str", "bytes", "datetime", "datetime_utc", "date", "time", "duration",
    "decimal", "list" or "struct". `item` is a list's, `fields` a struct's, `scale` a decimal's digits behind the point.
    """

    name: str
    item: _Shape | None = None
    fields: tuple[tuple[str, _Shape], ...] = ()
    scale: int = 0


_NULL = _Shape("null")


class _Conflict(Exception):
    """Two values of a column have no common kind."""


def to_table(rows: Iterable[Any], kind: TableKind = "pandas") -> Any:
    """Return all rows as one table, with a column for each field.

    Columns have the natural kind of their values: numbers, text, bytes, dates, times, decimals, lists and structs. An
    integer among floats is a float if that is exact. A field that a row lacks is null. Enumeration members count as
    their values, UUIDs as text.

    Args:
        rows: Typed rows of any kind, or `DataRow` values, whose payloads are taken. A row that is no record (a number,
            a text) becomes a column "value". `DataRow` values of several streams get a column "stream".
        kind: "pandas" or "polars" for a DataFrame, "arrow" for a pyarrow Table.

    Raises:
        UsageError: `kind` is none of these, a row has no plain form, or the values of a column have no common kind that
            holds each of them as it is; names the column, the row and the value.
        MissingExtra: The library is not installed.
    """
    if not isinstance(kind, str) or kind not in _MODULES:
        raise UsageError(f"making a table: expected kind pandas, polars or arrow, got {shown(kind)}")
    if not isinstance(rows, Iterable):
        raise UsageError(f"making a table: expected rows as an iterable, got {shown(rows)}")
    try:
        library = importlib.import_module(_MODULES[kind])
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"making a table: {_MODULES[kind]} is not installed",
            hint=f"pip install 'lean-worker[{kind}]'",
            extra=kind,
        ) from error
    try:
        rows = list(rows)
        records = [_record(row) for row in rows]
    except (TypeError, ValueError) as error:
        raise UsageError(f"making a table: a row has no plain form: {error}") from error
    records = _with_streams(rows, records)
    names = list(dict.fromkeys(name for record in records for name in record))
    if records and not names:
        raise UsageError(
            f"making a table: none of the {len(records)} rows has a field, and a table without columns has no rows"
        )
    columns = {name: [record.get(name) for record in records] for name in names}
    shapes = {name: _shape_of_column(name, values) for name, values in columns.items()}
    columns = {name: [_fitted(value, shapes[name]) for value in values] for name, values in columns.items()}
    try:
        return {"pandas": _pandas, "polars": _polars, "arrow": _arrow}[kind](library, columns, shapes)
    except Exception as error:  # each library has classes of its own for values beyond its types
        raise UsageError(f"making a table of {kind}: {error}", hint="Declare a row type, or convert first.") from error


def _record(row: Any) -> dict[str, Any]:
    value = row.payload if isinstance(row, DataRow) else row
    if isinstance(value, bytes):
        value = value.decode()  # a row as JSON text
    value = _plain(value)
    return dict(value) if isinstance(value, Mapping) else {"value": value}


def _with_streams(rows: list[Any], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, with a column "stream" if the rows came on several streams."""
    if len({row.stream for row in rows if isinstance(row, DataRow)}) < 2:
        return records
    for index, record in enumerate(records):
        if "stream" in record:
            raise UsageError(
                f"making a table: row {index} has a field 'stream', the name of the column for several streams",
                hint="Make a table of the rows of each stream.",
                column="stream",
                row=index,
            )
    return [
        {"stream": row.stream if isinstance(row, DataRow) else None, **record}
        for row, record in zip(rows, records, strict=True)
    ]


def _plain(value: Any) -> Any:
    """The value made of mappings, lists and the types that tables know."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    _complete(value)
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_model_fields)


def _complete(value: Any) -> None:
    """Give the dataclasses in a value their own copy of each default.

    msgspec leaves a default that was not in the text on the class, and passes over it when it takes the fields again.
    """
    if isinstance(value, (str, bytes, int, float, type(None))):
        return
    if isinstance(value, Mapping):
        for each in value.values():
            _complete(each)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            _complete(each)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _complete(getattr(value, name))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):
                each = getattr(value, field.name)
                _complete(each)
                if field.name not in getattr(value, "__dict__", (field.name,)):
                    object.__setattr__(value, field.name, each)


def _model_fields(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True)
    raise TypeError(f"a {type(value).__name__} has no fields that are known")


# -- kinds --


def _shape_of_column(name: str, values: list[Any]) -> _Shape:
    shape = _NULL
    for index, value in enumerate(values):
        try:
            shape = _common(shape, _shape(value))
        except _Conflict as conflict:
            raise UsageError(
                f"making a table: column {name!r}, row {index}: {_shown(value)} fits no column with the values before: "
                f"{conflict}",
                hint="Declare a row type, convert the values first, or keep them as JSON text (row=bytes).",
                column=name,
                row=index,
            ) from None
    return shape


def _shape(value: Any) -> _Shape:
    if value is None or value is msgspec.UNSET:
        return _NULL
    if isinstance(value, enum.Enum):
        return _shape(value.value)
    if isinstance(value, bool):
        return _Shape("bool")
    if isinstance(value, int):
        if not _INT64[0] <= value <= _INT64[1]:
            raise _Conflict("tables hold integers of 64 bits")
        # The scale of an integer says whether a float holds it exactly.
        return _Shape("int", scale=0 if -_EXACT_FLOAT <= value <= _EXACT_FLOAT else 1)
    if isinstance(value, float):
        return _Shape("float")
    if isinstance(value, (str, uuid.UUID)):
        return _Shape("str")
    if isinstance(value, bytes):
        return _Shape("bytes")
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return _Shape("datetime")
        _in_utc(value)  # raises if a table cannot hold it
        return _Shape("datetime_utc")
    if isinstance(value, datetime.time) and value.tzinfo is not None:
        raise _Conflict("tables hold times without a zone")
    for kind, name in ((datetime.date, "date"), (datetime.time, "time"), (datetime.timedelta, "duration")):
        if isinstance(value, kind):
            return _Shape(name)
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise _Conflict("tables hold finite decimals")
        digits, exponent = len(value.as_tuple().digits), int(value.as_tuple().exponent)
        if max(digits, digits + exponent, -exponent) > _MAX_DECIMAL_DIGITS:
            raise _Conflict(f"tables hold decimals of {_MAX_DECIMAL_DIGITS} digits")
        return _Shape("decimal", scale=max(0, -exponent))
    if isinstance(value, Mapping):
        fields = tuple((str(key), _shape(each)) for key, each in value.items())
        if len(dict(fields)) < len(fields):
            raise _Conflict("two of its keys are the same as text")
        return _Shape("struct", fields=fields)
    if isinstance(value, (list, tuple, set, frozenset)):
        item = _NULL
        for each in value:
            item = _common(item, _shape(each))
        return _Shape("list", item=item)
    raise _Conflict(f"a {type(value).__name__} has no kind of column")


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    try:
        return value.astimezone(datetime.timezone.utc)
    except OverflowError:
        raise _Conflict("in UTC it is beyond the years 1 to 9999") from None


def _common(one: _Shape, other: _Shape) -> _Shape:
    """The kind that holds the values of both.

    Raises:
        _Conflict: There is none that holds each exactly.
    """
    if one == other or other.name == "null":
        return one
    if one.name == "null":
        return other
    names = {one.name, other.name}
    if names == {"int"} or names == {"decimal"}:
        return one._replace(scale=max(one.scale, other.scale))
    if names == {"int", "float"}:
        if one.scale or other.scale:
            raise _Conflict("a float does not hold integers beyond 2**53 exactly")
        return _Shape("float")
    if names == {"list"}:
        assert one.item is not None and other.item is not None
        return _Shape("list", item=_common(one.item, other.item))
    if names == {"struct"}:
        fields = dict(one.fields)
        for name, shape in other.fields:
            fields[name] = _common(fields.get(name, _NULL), shape)
        return _Shape("struct", fields=tuple(fields.items()))
    raise _Conflict(f"{one.name} before, {other.name} here")


def _fitted(value: Any, shape: _Shape) -> Any:
    """The value as a cell of that kind: the same value, every field of a struct, floats for integers among floats."""
    if value is None or value is msgspec.UNSET:
        return None
    if isinstance(value, enum.Enum):
        return _fitted(value.value, shape)
    if isinstance(value, uuid.UUID):
        return str(value)
    if shape.name == "float":
        return float(value)
    if shape.name == "datetime_utc":
        return _in_utc(value)
    if shape.name == "list":
        assert shape.item is not None
        return [_fitted(each, shape.item) for each in value]
    if shape.name == "struct":
        found = {str(key): each for key, each in value.items()}
        return {name: _fitted(found.get(name), field) for name, field in shape.fields}
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


# -- libraries --


def _arrow(arrow: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape]) -> Any:
    def kind(shape: _Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return arrow.list_(kind(shape.item))
        if shape.name == "struct":
            return arrow.struct([(name, kind(field)) for name, field in shape.fields])
        if shape.name == "decimal":
            return arrow.decimal128(_MAX_DECIMAL_DIGITS, shape.scale)
        return {
            "null": arrow.null(),
            "bool": arrow.bool_(),
            "int": arrow.int64(),
            "float": arrow.float64(),
            "str": arrow.string(),
            "bytes": arrow.binary(),
            "datetime": arrow.timestamp("us"),
            "datetime_utc": arrow.timestamp("us", "UTC"),
            "date": arrow.date32(),
            "time": arrow.time64("us"),
            "duration": arrow.duration("us"),
        }[shape.name]

    return arrow.table({name: arrow.array(values, kind(shapes[name])) for name, values in columns.items()})


def _polars(polars: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape]) -> Any:
    def kind(shape: _Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return polars.List(kind(shape.item))
        if shape.name == "struct":
            return polars.Struct({name: kind(field) for name, field in shape.fields})
        if shape.name == "decimal":
            return polars.Decimal(_MAX_DECIMAL_DIGITS, shape.scale)
        return {
            "null": polars.Null,
            "bool": polars.Boolean,
            "int": polars.Int64,
            "float": polars.Float64,
            "str": polars.String,
            "bytes": polars.Binary,
            "datetime": polars.Datetime("us"),
            "datetime_utc": polars.Datetime("us", "UTC"),
            "date": polars.Date,
            "time": polars.Time,
            "duration": polars.Duration("us"),
        }[shape.name]

    return polars.DataFrame([polars.Series(name, values, kind(shapes[name])) for name, values in columns.items()])


def _pandas(pandas: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape]) -> Any:
    def series(name: str, values: list[Any]) -> Any:
        kind = shapes[name].name
        has_null = any(value is None for value in values)
        # With NumPy's own types a null would turn integers into floats, and booleans into objects.
        dtypes = {
            "int": "Int64" if has_null else "int64",
            "bool": "boolean" if has_null else "bool",
            "float": "float64",
        }
        return pandas.Series(values, dtype=dtypes.get(kind, "object"), name=name)

    return pandas.DataFrame({name: series(name, values) for name, values in columns.items()})
