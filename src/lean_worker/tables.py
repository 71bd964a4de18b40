"""Conversion of rows to a table of pandas, polars or pyarrow.

The declared row type determines the columns; what it leaves open, the values decide. A value arrives as it was. If no
common kind holds each value of a column exactly, an error names column, row and value. The libraries are imported only
when their kind of table is requested.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import importlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import msgspec

from .base.arguments import check_several, shown
from .errors import MissingExtra, UsageError
from .events import DataRow
from .wire.columns import Kind, cell_of, columns_of
from .wire.json_types import check_type
from .wire.records import record_of

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["to_table"]

TableKind = Literal["pandas", "polars", "arrow"]
_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_EXACT_FLOAT = 1 << 53
_INT64 = (-(1 << 63), (1 << 63) - 1)
_MAX_DECIMAL_DIGITS = 38
_DECLARED_SCALE = 18
"""Digits behind the point of declared decimals, as in Parquet; others if a value needs them."""


class _Shape(NamedTuple):
    """The kind of a column's values.

    `name` is "null", "bool", "int", "float", "str", "bytes", "datetime", "datetime_utc", "date", "time", "duration",
    "decimal", "list", "map" or "struct"; or, as long as no value was seen, "any datetime" (its type leaves open whether
    it has a zone) or "any decimal". `item` is a list's or a map's, `fields` a struct's, `scale` and `whole` a decimal's
    digits behind and before the point. `is_declared` is whether a value of another kind is refused, instead of making
    the column's kind wider.
    """

    name: str
    item: _Shape | None = None
    fields: tuple[tuple[str, _Shape], ...] = ()
    scale: int = 0
    whole: int = 0
    is_declared: bool = False


_NULL = _Shape("null")
_TEXT = _Shape("str")


class _Conflict(Exception):
    """Two values of a column have no common kind."""


@overload
def to_table(rows: Iterable[Any], kind: Literal["pandas"] = "pandas", *, row: Any = None) -> pandas.DataFrame: ...


@overload
def to_table(rows: Iterable[Any], kind: Literal["polars"], *, row: Any = None) -> polars.DataFrame: ...


@overload
def to_table(rows: Iterable[Any], kind: Literal["arrow"], *, row: Any = None) -> pyarrow.Table: ...


@overload
def to_table(
    rows: Iterable[Any], kind: TableKind, *, row: Any = None
) -> pandas.DataFrame | polars.DataFrame | pyarrow.Table: ...


def to_table(rows: Iterable[Any], kind: TableKind = "pandas", *, row: Any = None) -> Any:
    """Return all rows as one table, with a column for each field.

    The row type determines the columns and their kinds, so that a table of no rows has them too. Where it says nothing
    (`Any`, a union of several types) and for rows without a type, columns have the natural kind of their values:
    numbers, text, bytes, dates, times, decimals, lists and structs. An integer among floats is a float if that is
    exact. A field that a row lacks is null. Enumeration members count as their values, UUIDs as text. `dict[str, T]` is
    a map in pyarrow, a list of key and value in polars, and a dict in pandas.

    Args:
        rows: Typed rows of any kind, or `DataRow` values, whose payloads are taken. A row that is no record (a number,
            a text) becomes a column "value", the same as a row `{"value": …}`. `DataRow` values of several streams get
            a column "stream".
        kind: "pandas" or "polars" for a DataFrame, "arrow" for a pyarrow Table.
        row: The declared type of the rows. Default: their class, if all of them are of one class with fields.

    Raises:
        UsageError: `kind` is none of these, `row` is no row type, a row has no plain form, or a column does not hold
            each of its values as it is; names the column, the row and the value.
        MissingExtra: The library is not installed.
    """
    if not isinstance(kind, str) or kind not in _MODULES:
        raise UsageError(
            f"making a table: expected kind pandas, polars or arrow, got {shown(kind)}",
            hint="Write to_table(rows, 'polars').",
        )
    check_several("making a table", "rows", rows, "rows")
    if isinstance(row, Mapping):
        raise UsageError(
            f"making a table: expected row as one row type, got {shown(row)}",
            hint="Make a table of the rows of each stream.",
        )
    check_type("making a table", row)
    try:
        library = importlib.import_module(_MODULES[kind])
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"making a table: {_MODULES[kind]} is not installed",
            hint=f"pip install 'lean-worker[{kind}]'",
            extra=kind,
        ) from error
    rows = list(rows)
    try:
        records = [_record(row) for row in rows]
    except ValueError as error:
        raise UsageError(f"making a table: a row has no plain form: {error}", hint="Give rows, or text.") from error
    _check_alone(records)
    records = _with_streams(rows, records)
    declared = {column.name: column.kind for column in columns_of(_type_of(rows) if row is None else row)}
    names = list(dict.fromkeys([*declared, *(name for record in records for name in record)]))
    if records and not names:
        raise UsageError(
            f"making a table: none of the {len(records)} rows has a field, and a table without columns has no rows",
            hint="Count the rows instead.",
        )
    columns = {name: [record.get(name) for record in records] for name in names}
    shapes: dict[str, _Shape] = {}
    for name, values in columns.items():
        wanted = _NULL if name not in declared else _shape_of_kind(declared[name])
        plain = _plain_shape(values)
        if plain is not None and wanted.name in ("null", plain.name):
            shapes[name] = plain
        else:
            try:
                shapes[name] = _shape_of_column(name, values, wanted)
            except UsageError:
                if name not in declared or not _holds_json(declared[name]):
                    raise
                # Declared as what no column holds, such as int | str: JSON text, as in Parquet and SQLite.
                values = [_json_cell(name, index, value, declared[name]) for index, value in enumerate(values)]
                shapes[name] = _shape_of_column(name, values, _shape_of_kind(declared[name], _TEXT))
            columns[name] = [_fitted(value, shapes[name]) for value in values]
    may_be_null = {name for name, kind in declared.items() if kind.nullable}
    try:
        return {"pandas": _pandas, "polars": _polars, "arrow": _arrow}[kind](library, columns, shapes, may_be_null)
    except Exception as error:  # each library has classes of its own for values beyond its types
        raise UsageError(f"making a table of {kind}: {error}", hint="Declare a row type, or convert first.") from error


def _type_of(rows: list[Any]) -> Any:
    """The class of all rows, if it has fields."""
    kinds = {type(row) for row in rows}
    if len(kinds) != 1 or kinds == {DataRow}:
        return None
    (kind,) = kinds
    if record_of(rows[0]) is None:
        return None
    try:
        columns_of(kind)
    except UsageError:
        return None
    return kind


def _record(row: Any) -> Mapping[str, Any]:
    value = row.payload if isinstance(row, DataRow) else row
    if isinstance(value, (bytes, msgspec.Raw)):
        value = bytes(value).decode()  # a row as JSON text
    record = value if isinstance(value, Mapping) else record_of(value)
    return _Alone({"value": value}) if record is None else record


class _Alone(dict[str, Any]):
    """The record of a row that is none."""


def _check_alone(records: list[Mapping[str, Any]]) -> None:
    """Refuse rows of which nobody could tell whether they were 5 or {"value": 5}."""
    if any(isinstance(record, _Alone) for record in records):
        for index, record in enumerate(records):
            if "value" in record and not isinstance(record, _Alone):
                raise UsageError(
                    f"making a table: row {index} has a field 'value', the name of the column for rows without fields, "
                    "of which there are some",
                    hint="Make a table of the rows with fields, and one of the others.",
                    column="value",
                    row=index,
                )


def _with_streams(rows: list[Any], records: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
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


# -- kinds --


_PLAIN_SHAPES = {str: "str", float: "float", bool: "bool", bytes: "bytes", int: "int"}


def _plain_shape(values: list[Any]) -> _Shape | None:
    """The kind of a column whose values are all of one plain type, or None: what most columns are, found quickly."""
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) != 1:
        return None
    name = _PLAIN_SHAPES.get(kinds.pop())
    if name == "int":
        present = [value for value in values if value is not None]
        if min(present) < _INT64[0] or max(present) > _INT64[1]:
            return None
    return None if name is None else _Shape(name)


def _shape_of_column(name: str, values: list[Any], shape: _Shape) -> _Shape:
    for index, value in enumerate(values):
        try:
            shape = _common(shape, _shape(value))
        except _Conflict as conflict:
            why = "is not as declared" if shape.is_declared else "fits no column with the values before"
            raise UsageError(
                f"making a table: column {name!r}, row {index}: {_shown(value)} {why}: {conflict}",
                hint="Declare a row type, convert the values first, or keep them as JSON text (row=bytes).",
                column=name,
                row=index,
            ) from None
    return _settled(shape)


def _json_cell(name: str, index: int, value: Any, kind: Kind) -> Any:
    try:
        return _with_dicts(cell_of(value, kind), kind)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"making a table: column {name!r}, row {index}: {_shown(value)} has no JSON form: {error}",
            hint="Convert the values first, or declare a plain type.",
            column=name,
            row=index,
        ) from None


def _with_dicts(cell: Any, kind: Kind) -> Any:
    """A cell with its maps as dicts instead of pairs."""
    if cell is None:
        return None
    if kind.name == "map":
        assert kind.item is not None
        return {key: _with_dicts(each, kind.item) for key, each in cell}
    if kind.name == "list":
        assert kind.item is not None
        return [_with_dicts(each, kind.item) for each in cell]
    if kind.name == "struct":
        return {column.name: _with_dicts(cell[column.name], column.kind) for column in kind.columns}
    return cell


def _holds_json(kind: Kind) -> bool:
    """Whether sinks store values of a declared type as JSON text, or some of the values in them."""
    if kind.name == "json" or (kind.item is not None and _holds_json(kind.item)):
        return True
    return any(_holds_json(column.kind) for column in kind.columns)


def _shape_of_kind(kind: Kind, of_json: _Shape = _NULL) -> _Shape:
    """The shape that a declared type demands; `of_json`, or "null", for what it leaves to the values."""
    if kind.name == "json":
        return of_json
    name = {"text": "str", "number": "float", "decimal": "any decimal"}.get(kind.name, kind.name)
    if name == "datetime":
        name = "any datetime" if kind.has_zone is None else "datetime_utc" if kind.has_zone else "datetime"
    return _Shape(
        name,
        item=None if kind.item is None else _shape_of_kind(kind.item, of_json),
        fields=tuple((column.name, _shape_of_kind(column.kind, of_json)) for column in kind.columns),
        is_declared=True,
    )


def _settled(shape: _Shape) -> _Shape:
    """The shape with a choice for what no value has decided."""
    if shape.name == "any datetime":
        return _Shape("datetime_utc")
    if shape.name == "any decimal":
        return _Shape("decimal", scale=_DECLARED_SCALE)
    if shape.name == "decimal" and shape.is_declared and shape.whole + _DECLARED_SCALE <= _MAX_DECIMAL_DIGITS:
        return shape._replace(scale=max(shape.scale, _DECLARED_SCALE))
    item = None if shape.item is None else _settled(shape.item)
    return shape._replace(item=item, fields=tuple((name, _settled(field)) for name, field in shape.fields))


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
    if isinstance(value, (str, uuid.UUID, msgspec.Raw)):
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
        return _Shape("decimal", scale=max(0, -exponent), whole=max(0, digits + exponent))
    record = value if isinstance(value, Mapping) else record_of(value)
    if record is not None:
        fields = tuple((_key(key), _shape(each)) for key, each in record.items())
        if len(dict(fields)) < len(fields):
            raise _Conflict("two of its keys are the same as text")
        return _Shape("struct", fields=fields)
    if isinstance(value, (list, tuple, set, frozenset)):
        item = _NULL
        for each in value:
            item = _common(item, _shape(each))
        return _Shape("list", item=item)
    raise _Conflict(f"a {type(value).__name__} has no kind of column")


def _key(key: Any) -> str:
    return str(key.value if isinstance(key, enum.Enum) else key)


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
    if (one.name == "any datetime" and other.name in ("datetime", "datetime_utc")) or (
        one.name == "any decimal" and other.name == "decimal"
    ):
        return other._replace(is_declared=True)
    if names == {"int", "float"} and not (one.name == "int" and one.is_declared):
        if one.scale or other.scale:
            raise _Conflict("a float does not hold integers beyond 2**53 exactly")
        return _Shape("float", is_declared=one.is_declared)
    if one.name == "list" == other.name:
        assert one.item is not None and other.item is not None
        return one._replace(item=_common(one.item, other.item))
    if one.name == "map" and other.name == "struct":
        for _, shape in other.fields:
            assert one.item is not None
            one = one._replace(item=_common(one.item, shape))
        return one
    if one.name == "struct" == other.name:
        fields = dict(one.fields)
        for name, shape in other.fields:
            fields[name] = _common(fields.get(name, _NULL), shape)
        return one._replace(fields=tuple(fields.items()))
    if one.name == other.name:
        scale, whole = max(one.scale, other.scale), max(one.whole, other.whole)
        if scale + whole > _MAX_DECIMAL_DIGITS:
            raise _Conflict(f"tables hold decimals of {_MAX_DECIMAL_DIGITS} digits in total")
        return one._replace(scale=scale, whole=whole)
    raise _Conflict(f"{one.name} {'declared' if one.is_declared else 'before'}, {other.name} here")


def _fitted(value: Any, shape: _Shape) -> Any:
    """The value as a cell of that kind: the same value, every field of a struct, floats for integers among floats."""
    if value is None or value is msgspec.UNSET:
        return None
    if isinstance(value, enum.Enum):
        return _fitted(value.value, shape)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if shape.name == "float":
        return float(value)
    if shape.name == "datetime_utc":
        return _in_utc(value)
    if shape.name == "list":
        assert shape.item is not None
        return [_fitted(each, shape.item) for each in value]
    if shape.name == "map":
        assert shape.item is not None
        return {_key(key): _fitted(each, shape.item) for key, each in value.items()}
    if shape.name == "struct":
        record = value if isinstance(value, Mapping) else record_of(value) or {}
        found = {_key(key): each for key, each in record.items()}
        return {name: _fitted(found.get(name), field) for name, field in shape.fields}
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


# -- libraries --


def _pairs(value: Any, shape: _Shape, pair: Callable[[Any, Any], Any]) -> Any:
    """The cell with each map as the pairs that pyarrow and polars take."""
    if value is None or (shape.item is None and not shape.fields):
        return value
    if shape.name == "map":
        assert shape.item is not None
        return [pair(key, _pairs(each, shape.item, pair)) for key, each in value.items()]
    if shape.name == "list":
        assert shape.item is not None
        return [_pairs(each, shape.item, pair) for each in value]
    return {name: _pairs(value[name], field, pair) for name, field in shape.fields}


def _arrow(arrow: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape], may_be_null: set[str]) -> Any:
    def kind(shape: _Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return arrow.list_(kind(shape.item))
        if shape.name == "map":
            assert shape.item is not None
            return arrow.map_(arrow.string(), kind(shape.item))
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

    return arrow.table(
        {
            name: arrow.array([_pairs(value, shapes[name], _arrow_pair) for value in values], kind(shapes[name]))
            for name, values in columns.items()
        }
    )


def _arrow_pair(key: Any, value: Any) -> Any:
    return key, value


def _polars(polars: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape], may_be_null: set[str]) -> Any:
    def kind(shape: _Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return polars.List(kind(shape.item))
        if shape.name == "map":
            assert shape.item is not None
            return polars.List(polars.Struct({"key": polars.String, "value": kind(shape.item)}))
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

    return polars.DataFrame(
        [
            polars.Series(name, [_pairs(value, shapes[name], _polars_pair) for value in values], kind(shapes[name]))
            for name, values in columns.items()
        ]
    )


def _polars_pair(key: Any, value: Any) -> Any:
    return {"key": key, "value": value}


def _pandas(pandas: Any, columns: dict[str, list[Any]], shapes: dict[str, _Shape], may_be_null: set[str]) -> Any:
    def series(name: str, values: list[Any]) -> Any:
        kind = shapes[name].name
        has_null = name in may_be_null or any(value is None for value in values)
        # With NumPy's own types a null would turn integers into floats, and booleans into objects.
        dtypes = {
            "int": "Int64" if has_null else "int64",
            "bool": "boolean" if has_null else "bool",
            "float": "float64",
        }
        return pandas.Series(values, dtype=dtypes.get(kind, "object"), name=name)

    return pandas.DataFrame({name: series(name, values) for name, values in columns.items()})
