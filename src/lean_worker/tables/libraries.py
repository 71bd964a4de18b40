"""Tables of pyarrow, polars and pandas, from columns of cells and their kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .shapes import MAX_DECIMAL_DIGITS, Shape


def _pairs(value: Any, shape: Shape, pair: Callable[[Any, Any], Any]) -> Any:
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


def arrow_table(arrow: Any, columns: dict[str, list[Any]], shapes: dict[str, Shape], may_be_null: set[str]) -> Any:
    def kind(shape: Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return arrow.list_(kind(shape.item))
        if shape.name == "map":
            assert shape.item is not None
            return arrow.map_(arrow.string(), kind(shape.item))
        if shape.name == "struct":
            return arrow.struct([(name, kind(field)) for name, field in shape.fields])
        if shape.name == "decimal":
            return arrow.decimal128(MAX_DECIMAL_DIGITS, shape.scale)
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


def polars_table(polars: Any, columns: dict[str, list[Any]], shapes: dict[str, Shape], may_be_null: set[str]) -> Any:
    def kind(shape: Shape) -> Any:
        if shape.name == "list":
            assert shape.item is not None
            return polars.List(kind(shape.item))
        if shape.name == "map":
            assert shape.item is not None
            return polars.List(polars.Struct({"key": polars.String, "value": kind(shape.item)}))
        if shape.name == "struct":
            return polars.Struct({name: kind(field) for name, field in shape.fields})
        if shape.name == "decimal":
            return polars.Decimal(MAX_DECIMAL_DIGITS, shape.scale)
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

    return polars.DataFrame(  # by name, as polars gives a column without one a name of its own otherwise
        {
            name: polars.Series(
                name, [_pairs(value, shapes[name], _polars_pair) for value in values], kind(shapes[name])
            )
            for name, values in columns.items()
        }
    )


def _polars_pair(key: Any, value: Any) -> Any:
    return {"key": key, "value": value}


def pandas_table(pandas: Any, columns: dict[str, list[Any]], shapes: dict[str, Shape], may_be_null: set[str]) -> Any:
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
