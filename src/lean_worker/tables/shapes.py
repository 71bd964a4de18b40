"""Kinds of columns of tables: what values have in common, what a declared type demands, and values as their cells."""

from __future__ import annotations

import datetime
import decimal
import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ..wire.columns import Kind, is_text
from ..wire.records import record_of, unwrapped
from ..wire.unwritable import key_text

_EXACT_FLOAT = 1 << 53
_INT64 = (-(1 << 63), (1 << 63) - 1)
MAX_DECIMAL_DIGITS = 38
_MICROSECOND = datetime.timedelta(microseconds=1)
_DECLARED_SCALE = 18
"""Digits behind the point of declared decimals, as in Parquet; others if a value needs them."""


class Shape(NamedTuple):
    """The kind of a column's values.

    `name` is "null", "bool", "int", "float", "str", "bytes", "datetime", "datetime_utc", "date", "time", "duration",
    "decimal", "list", "map" or "struct"; or, as long as no value was seen, "any datetime" (its type leaves open whether
    it has a zone) or "any decimal". `item` is a list's or a map's, `fields` a struct's, `scale` and `whole` a decimal's
    digits behind and before the point. `is_declared` is whether a value of another kind is refused, instead of making
    the column's kind wider.
    """

    name: str
    item: Shape | None = None
    fields: tuple[tuple[str, Shape], ...] = ()
    scale: int = 0
    whole: int = 0
    is_declared: bool = False


NULL = Shape("null")
TEXT = Shape("str")


class Conflict(Exception):
    """Two values of a column have no common kind."""


_PLAIN_SHAPES = {str: "str", float: "float", bool: "bool", bytes: "bytes", int: "int"}


def plain_shape(values: list[Any]) -> Shape | None:
    """The kind of a column whose values are all of one plain type, or None: what most columns are, found quickly."""
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) != 1:
        return None
    name = _PLAIN_SHAPES.get(kinds.pop())
    if name == "int":
        present = [value for value in values if value is not None]
        if min(present) < _INT64[0] or max(present) > _INT64[1]:
            return None
    return None if name is None else Shape(name)


def shape_of_kind(kind: Kind, of_json: Shape = NULL) -> Shape:
    """The shape that a declared type demands; `of_json`, or "null", for what it leaves to the values."""
    if kind.name == "json":
        return of_json
    name = {"text": "str", "number": "float", "decimal": "any decimal"}.get(kind.name, kind.name)
    if name == "datetime":
        name = "any datetime" if kind.has_zone is None else "datetime_utc" if kind.has_zone else "datetime"
    return Shape(
        name,
        item=None if kind.item is None else shape_of_kind(kind.item, of_json),
        fields=tuple((column.name, shape_of_kind(column.kind, of_json)) for column in kind.columns),
        is_declared=True,
    )


def settled(shape: Shape) -> Shape:
    """The shape with a choice for what no value has decided."""
    if shape.name == "any datetime":
        return Shape("datetime_utc")
    if shape.name == "any decimal":
        return Shape("decimal", scale=_DECLARED_SCALE)
    if shape.name == "decimal" and shape.is_declared and shape.whole + _DECLARED_SCALE <= MAX_DECIMAL_DIGITS:
        return shape._replace(scale=max(shape.scale, _DECLARED_SCALE))
    item = None if shape.item is None else settled(shape.item)
    return shape._replace(item=item, fields=tuple((name, settled(field)) for name, field in shape.fields))


def shape_of(value: Any) -> Shape:
    value = unwrapped(value)
    if value is None or value is msgspec.UNSET:
        return NULL
    if isinstance(value, enum.Enum):
        return shape_of(value.value)
    if isinstance(value, bool):
        return Shape("bool")
    if isinstance(value, int):
        if not _INT64[0] <= value <= _INT64[1]:
            raise Conflict("tables hold integers of 64 bits")
        # The scale of an integer says whether a float holds it exactly.
        return Shape("int", scale=0 if -_EXACT_FLOAT <= value <= _EXACT_FLOAT else 1)
    if isinstance(value, float):
        return Shape("float")
    if isinstance(value, (str, msgspec.Raw)) or is_text(type(value)):
        return Shape("str")
    if isinstance(value, bytes):
        return Shape("bytes")
    # A pandas Timestamp is a datetime, and a Timedelta a timedelta.
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        raise Conflict("tables hold microseconds")
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return Shape("datetime")
        _in_utc(value)  # raises if a table cannot hold it
        return Shape("datetime_utc")
    if isinstance(value, datetime.time) and value.tzinfo is not None:
        raise Conflict("tables hold times without a zone")
    if isinstance(value, datetime.timedelta) and not _INT64[0] <= value // _MICROSECOND <= _INT64[1]:
        raise Conflict("tables hold durations of 64 bits, in microseconds")
    for kind, name in ((datetime.date, "date"), (datetime.time, "time"), (datetime.timedelta, "duration")):
        if isinstance(value, kind):
            return Shape(name)
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise Conflict("tables hold finite decimals")
        digits, exponent = len(value.as_tuple().digits), int(value.as_tuple().exponent)
        if max(digits, digits + exponent, -exponent) > MAX_DECIMAL_DIGITS:
            raise Conflict(f"tables hold decimals of {MAX_DECIMAL_DIGITS} digits")
        return Shape("decimal", scale=max(0, -exponent), whole=max(0, digits + exponent))
    record = value if isinstance(value, Mapping) else record_of(value)
    if record is not None:
        fields = tuple((_key(key), shape_of(each)) for key, each in record.items())
        if len(dict(fields)) < len(fields):
            raise Conflict("two of its keys are the same as text")
        return Shape("struct", fields=fields)
    if isinstance(value, (list, tuple, set, frozenset)):
        item = NULL
        for each in value:
            item = common(item, shape_of(each))
        return Shape("list", item=item)
    raise Conflict(f"a {type(value).__name__} has no kind of column")


def _key(key: Any) -> str:
    return key if type(key) is str else key_text(key)


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    try:
        return value.astimezone(datetime.timezone.utc)
    except OverflowError:
        raise Conflict("in UTC it is beyond the years 1 to 9999") from None


def common(one: Shape, other: Shape) -> Shape:
    """The kind that holds the values of both.

    Raises:
        Conflict: There is none that holds each exactly.
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
            raise Conflict("a float does not hold integers beyond 2**53 exactly")
        return Shape("float", is_declared=one.is_declared)
    if one.name == "list" == other.name:
        assert one.item is not None and other.item is not None
        return one._replace(item=common(one.item, other.item))
    if one.name == "map" and other.name == "struct":
        for _, shape in other.fields:
            assert one.item is not None
            one = one._replace(item=common(one.item, shape))
        return one
    if one.name == "struct" == other.name:
        fields = dict(one.fields)
        for name, shape in other.fields:
            fields[name] = common(fields.get(name, NULL), shape)
        return one._replace(fields=tuple(fields.items()))
    if one.name == other.name:
        scale, whole = max(one.scale, other.scale), max(one.whole, other.whole)
        if scale + whole > MAX_DECIMAL_DIGITS:
            raise Conflict(f"tables hold decimals of {MAX_DECIMAL_DIGITS} digits in total")
        return one._replace(scale=scale, whole=whole)
    raise Conflict(f"{one.name} {'declared' if one.is_declared else 'before'}, {other.name} here")


def fitted(value: Any, shape: Shape) -> Any:
    """The value as a cell of that kind: the same value, every field of a struct, floats for integers among floats."""
    value = unwrapped(value)
    if value is None or value is msgspec.UNSET:
        return None
    if isinstance(value, enum.Enum):
        return fitted(value.value, shape)
    if is_text(type(value)):
        return str(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if shape.name == "float":
        return float(value)
    if shape.name == "datetime_utc":
        return _in_utc(value)
    if shape.name == "list":
        assert shape.item is not None
        return [fitted(each, shape.item) for each in value]
    if shape.name == "map":
        assert shape.item is not None
        return {_key(key): fitted(each, shape.item) for key, each in value.items()}
    if shape.name == "struct":
        record = value if isinstance(value, Mapping) else record_of(value) or {}
        found = {_key(key): each for key, each in record.items()}
        return {name: fitted(found.get(name), field) for name, field in shape.fields}
    return value
