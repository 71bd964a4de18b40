"""Columns of a row type.

Converts a declared type to named columns of one kind each, and a row to its cells. SQLite, Parquet and the tables of
`Collected` share it. Callers decide how a kind is stored.

    str, int, float, bool, bytes                a column of that kind
    datetime, date, time, timedelta, Decimal    "datetime", "date", "time", "duration", "decimal"
    int | float                                 "number": a float, as far as that is exact
    T | None, a field that may be absent        the same, and null
    Literal, Enum                               str or int, as its values are
    UUID; in models URLs, IP addresses, paths   "text": as it is spelled in JSON, without the quotes
    list, set, frozenset, tuple of one kind     "list" of an item kind
    a struct within (any kind of row type)      "struct" of its own columns
    dict[str, T]                                "map" of a value kind
    anything else                               "json": the value's JSON text

Anything else is: Any, a union of several types, a dict with other keys, a type within itself. Classes of pydantic that
stand for one of the types above, such as AwareDatetime, are that.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import msgspec.inspect as shapes

from ..base.arguments import shown
from ..errors import UsageError
from ..events import DataRow
from .json_types import encode_stored, undefined_name
from .model_texts import with_bytes
from .records import (
    attribute_names,
    is_pydantic_model,
    is_root_model,
    record_of,
    unwrapped,
    unwrapped_type,
    written_name,
)
from .row_types import RowTypes


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
        has_members: Whether values are members of an enumeration, or root models of pydantic, which are stored as what
            they stand for.
        is_text: Whether tables hold its JSON text too, whatever the values are.
    """

    name: str
    nullable: bool = False
    item: Kind | None = None
    columns: tuple[Column, ...] = ()
    has_zone: bool | None = None
    has_members: bool = False
    is_text: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether a cell is the row's value itself."""
        return self.name in _PLAIN and not self.nullable and not self.has_members


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its name, which is the name in the row's JSON, and the kind of its values."""

    name: str
    kind: Kind


def described(columns: Iterable[Column]) -> str:
    """Return a text that is the same for the same columns, in every version of this package."""
    return ",".join(f"{len(column.name)}:{column.name}={_described(column.kind)}" for column in columns)


def _described(kind: Kind) -> str:
    zone = {None: "", True: "+", False: "-"}[kind.has_zone]
    item = "" if kind.item is None else f"[{_described(kind.item)}]"
    columns = f"({described(kind.columns)})" if kind.columns else ""
    return f"{kind.name}{zone}{item}{columns}{'?' if kind.nullable else ''}"


_PLAIN = frozenset(("str", "int", "float", "number", "bool", "bytes"))
_KEY = Kind("str")
_JSON = Kind("json", nullable=True)
_JSON_TEXT = Kind("json", nullable=True, is_text=True)
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
# Classes of pydantic that stand for another type in an annotation.
_STAND_INS = {
    "AwareDatetime": Kind("datetime", has_zone=True),
    "NaiveDatetime": Kind("datetime", has_zone=False),
    "PastDatetime": Kind("datetime"),
    "FutureDatetime": Kind("datetime"),
    "PastDate": Kind("date"),
    "FutureDate": Kind("date"),
    "ByteSize": Kind("int"),
}
_TEXTS = {
    "uuid": ("UUID",),
    "pydantic": ("_BaseUrl", "_BaseMultiHostUrl", "EmailStr", "NameEmail"),
    "pydantic_core": ("Url", "MultiHostUrl"),
    "ipaddress": ("_IPAddressBase",),
    "pathlib": ("PurePath",),
}
"""By module, bases of classes whose values are their `str` in JSON."""
_LISTS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType, shapes.CollectionType)
_RECORDS = (shapes.StructType, shapes.DataclassType, shapes.TypedDictType, shapes.NamedTupleType)


class CellRefused(Exception):
    """A value has no form of its column's kind; `where` is as of `first_refused`."""

    def __init__(self, where: tuple[str, int, Any, Exception]) -> None:
        super().__init__(*where)
        self.where = where


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
                f"storing rows of {shown(kind)}: columns hold rows of one type",
                hint="Give each stream its own sink: sink={stream: …}.",
            )
        self.reads_as = kind
        self._inner: Any = None
        self._getters: list[Callable[[Any], Any]]
        if kind is None:
            self.columns = (
                Column("stream", Kind("str")),
                Column("sequence", Kind("int")),
                Column("payload", Kind("json")),
            )
            self._getters = [operator.attrgetter("stream"), operator.attrgetter("sequence"), _text_of]
            return
        self._inner = unwrapped_type(kind)
        found = _fields_of(self._inner)
        if found == []:
            raise UsageError(
                f"storing rows of {shown(kind)}: it has no fields, so that there are no columns",
                hint="Declare a type with fields, or use a JsonLinesSink.",
            )
        if found is None:
            self.reads_as = bytes
            self.columns = (Column("payload", Kind("json")),)
            self._getters = [bytes.decode]
            return
        if not nested:
            found = [(name, attribute, _flat(column_kind)) for name, attribute, column_kind in found]
        self.columns = tuple(Column(name, column_kind) for name, _, column_kind in found)
        is_mapping = dict in getattr(typing.get_origin(self._inner) or self._inner, "__mro__", ())  # a TypedDict
        form = self._inner.model_config.get("ser_json_bytes", "utf8") if is_pydantic_model(self._inner) else "base64"
        self._getters = [
            _tag_of if attribute is None else _getter(attribute, column_kind, is_mapping, form)
            for _, attribute, column_kind in found
        ]
        if self._inner is not kind:
            self._getters = [_of_inner(getter) for getter in self._getters]

    def cells(self, rows: list[Any]) -> list[list[Any]]:
        """The cells of `rows`, by column.

        Raises:
            CellRefused: A value has no form of its column's kind.
        """
        cells = []
        for column, getter in zip(self.columns, self._getters, strict=True):
            try:
                cells.append(list(map(getter, rows)))
            except Exception:
                for index, row in enumerate(rows):
                    try:
                        getter(row)
                    except Exception as error:
                        value = record_of(row) or {}
                        raise CellRefused((column.name, index, value.get(column.name), error)) from error
                raise
        return cells

    def first_without_column(self, rows: list[Any]) -> tuple[str, int, Any, Exception] | None:
        """Find a value beside the declared fields, which a pydantic model may allow; as `first_refused`."""
        if _allows_more(self._inner):
            for index, row in enumerate(rows):
                for name, value in unwrapped(row).model_extra.items():
                    return name, index, value, ValueError(f"{self._inner.__qualname__} declares no such field")
        return None


def _flat(kind: Kind) -> Kind:
    return Kind("json", kind.nullable) if kind.name in ("list", "struct", "map") else kind


def _text_of(row: DataRow) -> str:
    return row.text.decode()


def _of_inner(getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: getter(unwrapped(row))


def _tag_of(row: msgspec.Struct) -> Any:
    return row.__struct_config__.tag


def _getter(attribute: str, kind: Kind, is_mapping: bool, bytes_form: str) -> Callable[[Any], Any]:
    read: Callable[[Any], Any] = (lambda row: row.get(attribute)) if is_mapping else operator.attrgetter(attribute)
    if kind.is_plain:
        return read
    if kind.name == "json" and bytes_form != "base64":  # which a value has from its row alone
        return lambda row: cell_of(with_bytes(read(row), bytes_form), kind)
    return lambda row: cell_of(read(row), kind)


def cell_of(value: Any, kind: Kind) -> Any:
    """Return a row's value as a cell: plain values, lists, dicts; maps as lists of pairs, JSON as its text."""
    value = unwrapped(value)
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or value is msgspec.UNSET:
        return None
    if kind.name == "json":
        return encode_stored(value).decode()
    if kind.name == "text":
        return str(value)
    if kind.name == "list":
        assert kind.item is not None
        item = kind.item
        return list(value) if item.is_plain else [cell_of(each, item) for each in value]
    if kind.name == "map":
        assert kind.item is not None
        return [(cell_of(key, _KEY), cell_of(each, kind.item)) for key, each in value.items()]
    if kind.name == "struct":
        record = value if isinstance(value, Mapping) else record_of(value) or {}
        return {column.name: cell_of(record.get(column.name), column.kind) for column in kind.columns}
    return value


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


_Fields = list[tuple[str, str | None, Kind]]
"""Name in JSON, attribute and kind of each field; a tag has no attribute."""


def _fields_of(kind: Any) -> _Fields | None:
    """The fields of a type; None if it has none."""
    if is_pydantic_model(kind):
        return _model(kind, ())
    try:
        shape = shapes.type_info(kind)
    except TypeError:
        return _annotated(kind)
    except NameError as error:
        raise undefined_name(kind, error) from error
    return _record(shape, ()) if isinstance(shape, _RECORDS) else None


def _annotated(kind: Any) -> _Fields | None:
    """The fields of a class of which msgspec does not know all types, such as a union of pydantic models."""
    kind = typing.get_origin(kind) or kind
    hints = typing.get_type_hints(kind) if isinstance(kind, type) else {}
    names = tuple(hints) if hasattr(kind, "__optional_keys__") else isinstance(kind, type) and attribute_names(kind)
    if not names:
        return None
    optional = {*getattr(kind, "__optional_keys__", ()), *getattr(kind, "_field_defaults", ())}
    for field in getattr(kind, "__dataclass_fields__", {}).values():
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
            optional.add(field.name)
    found: _Fields = []
    for name in names:
        column = _kind_of_annotation(hints.get(name, Any), (kind,))
        found.append((name, name, dataclasses.replace(column, nullable=column.nullable or name in optional)))
    return found


def columns_of(kind: Any) -> tuple[Column, ...]:
    """The columns of rows of a type, for a table: those of its fields, or "value" for a type without fields.

    Members of a union share columns. Empty if only the rows tell: for None, `bytes`, Any, and dicts.
    """
    kind = _plain(kind)
    if kind is None or kind is bytes:
        return ()
    if (records := _records_of(kind)) is not None:
        return _shared(records)
    column = _kind_of_annotation(kind, ())
    return () if column.name in ("json", "map") else (Column("value", column),)


def has_fields(kind: Any) -> bool:
    """Whether each row of a type is a record, or null."""
    return _records_of(_plain(kind)) is not None


def _plain(kind: Any) -> Any:
    """The type that an annotation stands for."""
    kind = unwrapped_type(kind)
    while not isinstance(kind, type) and (name := _alias_of(kind)):
        kind = unwrapped_type(getattr(kind, name))
    return kind


def _records_of(kind: Any) -> list[list[Column]] | None:
    """The columns of each member of a type, besides None; None if a member is no record."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    found = []
    for member in members:
        if member is not type(None):
            fields = _fields_of(unwrapped_type(member))
            if fields is None:
                return None
            found.append([Column(name, column) for name, _, column in fields])
    if len(found) == len(members):
        return found
    return [[Column(one.name, dataclasses.replace(one.kind, nullable=True)) for one in each] for each in found]


def _alias_of(kind: Any) -> str | None:
    """The attribute of an annotation that has the type which it stands for: of Annotated, a NewType, a `type`."""
    names = ("__origin__",) if hasattr(kind, "__metadata__") else ("__supertype__", "__value__")
    return next((name for name in names if hasattr(kind, name)), None)


def _shared(members: list[list[Column]]) -> tuple[Column, ...]:
    found: dict[str, Kind] = {}
    for column in itertools.chain(*members):
        before = found.setdefault(column.name, column.kind)
        if before != column.kind:
            is_same = dataclasses.replace(before, nullable=True) == dataclasses.replace(column.kind, nullable=True)
            found[column.name] = dataclasses.replace(before, nullable=True) if is_same else _JSON
    for name, kind in found.items():
        if not all(any(column.name == name for column in columns) for columns in members):
            found[name] = dataclasses.replace(kind, nullable=True)
    return tuple(Column(name, kind) for name, kind in found.items())


def _has_closed_fields(kind: Any) -> bool:
    return is_pydantic_model(kind) and bool(kind.model_fields) and not _allows_more(kind)


def _allows_more(kind: Any) -> bool:
    return is_pydantic_model(kind) and kind.model_config.get("extra") == "allow"


def _model(kind: Any, within: tuple[Any, ...]) -> _Fields:
    found: _Fields = []
    for name, field in kind.model_fields.items():
        column = _kind_of_annotation(field.annotation, (*within, kind))
        if not field.is_required():  # its default may be None, whatever its type is
            column = dataclasses.replace(column, nullable=True)
        found.append((written_name(kind, name), name, column))
    for name, computed in getattr(kind, "model_computed_fields", {}).items():
        column = _kind_of_annotation(computed.return_type, (*within, kind))
        found.append((written_name(kind, name), name, dataclasses.replace(column, nullable=True)))
    return found


def _kind_of_annotation(annotation: Any, within: tuple[Any, ...]) -> Kind:
    try:
        return _kind(shapes.type_info(annotation), within)
    except (TypeError, NameError, NotImplementedError):  # the last for an enumeration of huge integers
        return _JSON


def _record(shape: Any, within: tuple[Any, ...]) -> _Fields:
    found: _Fields = []
    if getattr(shape, "tag", None) is not None:
        found.append((shape.tag_field, None, Kind("int" if isinstance(shape.tag, int) else "str")))
    # msgspec sorts the fields of a TypedDict by name.
    names: Iterable[str] = getattr(shape.cls, "__annotations__", ())
    order = {name: index for index, name in enumerate(names)}
    is_sorted = isinstance(shape, shapes.TypedDictType)
    for field in sorted(shape.fields, key=lambda field: order.get(field.name, 0)) if is_sorted else shape.fields:
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
        return dataclasses.replace(_kind_of_values([member.value for member in shape.cls]), has_members=True)
    if isinstance(shape, shapes.UnionType):
        return _union(shape, within)
    if isinstance(shape, _LISTS):
        return Kind("list", item=_kind(shape.item_type, within))
    if isinstance(shape, shapes.TupleType):
        return _tuple([_kind(part, within) for part in shape.item_types])
    if isinstance(shape, shapes.DictType) and isinstance(shape.key_type, shapes.StrType):
        return Kind("map", item=_kind(shape.value_type, within))
    if isinstance(shape, shapes.DictType) and not isinstance(shape.key_type, shapes.AnyType):
        return _JSON_TEXT
    if isinstance(shape, _RECORDS) and shape.cls not in within and shape.fields:
        columns = tuple(Column(name, kind) for name, _, kind in _record(shape, within))
        return Kind("struct", columns=columns)
    if isinstance(shape, shapes.CustomType) and (named := _kind_by_name(shape.cls)) is not None:
        return named
    if isinstance(shape, shapes.CustomType) and is_root_model(shape.cls) and shape.cls not in within:
        inner = _kind_of_annotation(unwrapped_type(shape.cls), (*within, shape.cls))
        return dataclasses.replace(inner, has_members=True)
    if isinstance(shape, shapes.CustomType) and _has_closed_fields(shape.cls) and shape.cls not in within:
        columns = tuple(Column(name, kind) for name, _, kind in _model(shape.cls, within))
        return Kind("struct", columns=columns)
    return _JSON


def _kind_by_name(cls: type) -> Kind | None:
    if cls.__module__.partition(".")[0] == "pydantic" and cls.__name__ in _STAND_INS:
        return _STAND_INS[cls.__name__]
    return Kind("text") if is_text(cls) else None


def is_text(cls: type) -> bool:
    """Whether values of a class are their `str` in JSON, though they are none."""
    return _is_text(cls)


@functools.lru_cache(maxsize=256)
def _is_text(cls: type) -> bool:
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__]
    return any(name in _TEXTS.get(module, ()) for module, name in bases)


def _union(shape: Any, within: tuple[Any, ...]) -> Kind:
    kinds = {_kind(part, within) for part in shape.types if not isinstance(part, shapes.NoneType)}
    if {kind.name for kind in kinds} == {"int", "float"}:
        kinds = {Kind("number")}
    if len(kinds) != 1:
        return _JSON
    return dataclasses.replace(kinds.pop(), nullable=True)


def _tuple(items: list[Kind]) -> Kind:
    kinds = {dataclasses.replace(item, nullable=False) for item in items}
    if len(kinds) != 1:
        return _JSON_TEXT  # a list has items of one kind
    return Kind("list", item=dataclasses.replace(kinds.pop(), nullable=any(item.nullable for item in items)))


def _kind_of_values(values: Any) -> Kind:
    names = {type(value) for value in values}
    if names <= {str, type(None)}:
        return Kind("str", nullable=type(None) in names)
    if names <= {int, type(None)}:
        return Kind("int", nullable=type(None) in names)
    return _JSON
