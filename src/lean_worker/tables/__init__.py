"""Conversion of rows to a table of pandas, polars or pyarrow.

The declared row type determines the columns; what it leaves open, the values decide. A value arrives as it was. If no
common kind holds each value of a column exactly, an error names column, row and value. The libraries are imported only
when their kind of table is requested.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from ..base.arguments import check_several, shown
from ..errors import MissingExtra, UsageError
from ..events import DataRow
from ..wire.columns import Kind, cell_of, columns_of, has_fields
from ..wire.json_types import check_type
from ..wire.records import attribute_names, record_of, unwrapped
from ..wire.unwritable import check_keys, key_text
from .libraries import arrow_table, pandas_table, polars_table
from .shapes import NULL, TEXT, Conflict, Shape, common, fitted, plain_shape, settled, shape_of, shape_of_kind

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["to_table"]

TableKind = Literal["pandas", "polars", "arrow"]
_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_HINT = "Declare a row type, convert the values first, or keep them as JSON text (row=bytes)."
_HINT_IF_DECLARED = (
    "Declare the field as a type that holds the value, such as str, or as Any, for its JSON text if need be."
)


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
    if callable(getattr(type(rows), f"to_{kind}", None)) and callable(getattr(type(rows), "to_arrow", None)):
        raise UsageError(
            f"making a table: expected rows, got what makes a table itself: {shown(rows)}",
            hint=f"Write its to_{kind}(), or give its rows.",
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
    records = []
    for index, each in enumerate(rows):
        try:
            records.append(_record(each, is_text=row is None or row is bytes))
        except ValueError as error:
            text = f"making a table: row {index} has no plain form: {error}"
            raise UsageError(text, hint="Give rows, or text.", row=index) from error
    _check_alone(records, is_record=row is not None and has_fields(row))
    _check_class(rows, records, row)
    records = _with_streams(rows, records)
    declared = {column.name: column.kind for column in columns_of(_type_of(rows) if row is None else row)}
    names = list(dict.fromkeys([*declared, *(name for record in records for name in record)]))
    if records and not names:
        raise UsageError(
            f"making a table: none of the {len(records)} rows has a field, and a table without columns has no rows",
            hint="Count the rows instead.",
        )
    columns = {name: [record.get(name) for record in records] for name in names}
    shapes: dict[str, Shape] = {}
    for name, values in columns.items():
        wanted = NULL if name not in declared else shape_of_kind(declared[name])
        plain = plain_shape(values)
        if plain is not None and wanted.name in ("null", plain.name):
            shapes[name] = plain
            continue
        # A mapping whose keys are no texts would be a struct of the keys of all rows; a tuple of several kinds, a list.
        is_text = name in declared and _has_text(declared[name])
        if not is_text:
            try:
                shapes[name] = _shape_of_column(name, values, wanted)
            except UsageError:
                if name not in declared or not _holds_json(declared[name]):
                    raise
                is_text = True
        if is_text:
            # Declared as what no column holds, such as int | str: JSON text, as in Parquet and SQLite.
            values = [_json_cell(name, index, value, declared[name]) for index, value in enumerate(values)]
            shapes[name] = _shape_of_column(name, values, shape_of_kind(declared[name], TEXT))
        columns[name] = [_fitted_cell(name, index, value, shapes[name]) for index, value in enumerate(values)]
    may_be_null = {name for name, kind in declared.items() if kind.nullable}
    make = {"pandas": pandas_table, "polars": polars_table, "arrow": arrow_table}[kind]
    try:
        return make(library, columns, shapes, may_be_null)
    except Exception as error:  # each library has classes of its own for values beyond its types
        for name, index, value in _cells(columns):
            try:
                make(library, {name: [value]}, {name: shapes[name]}, may_be_null)
            except Exception as found:
                raise _refused(name, index, value, f"does not fit the column: {found}", _HINT_IF_DECLARED) from found
        raise UsageError(f"making a table of {kind}: {error}", hint=_HINT) from error


def _check_class(rows: list[Any], records: list[Mapping[str, Any]], kind: Any) -> None:
    """Refuse rows of another class than the declared one: their columns would be mixed with its."""
    wanted: type | None = kind if isinstance(kind, type) and attribute_names(kind) is not None else None
    has_values = kind is not None and bool(columns_of(kind)) and not has_fields(kind)
    if wanted is None and not has_values:
        return
    for index, (row, record) in enumerate(zip(rows, records, strict=True)):
        is_plain = isinstance(row, (DataRow, Mapping, bytes, msgspec.Raw))
        is_other = wanted is not None and not is_plain and not isinstance(row, wanted)
        if is_other or (has_values and not isinstance(record, _Alone)):
            given = row.payload if isinstance(row, DataRow) else row
            raise UsageError(
                f"making a table: expected rows of {_name_of(kind)}, got {type(given).__qualname__} in row {index}",
                hint="Give row= the type of these rows, or leave it out.",
                row=index,
            )


def _name_of(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind)


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


def _record(row: Any, is_text: bool) -> Mapping[str, Any]:
    value = unwrapped(row.payload if isinstance(row, DataRow) else row)
    if isinstance(value, msgspec.Raw) or (is_text and isinstance(value, bytes)):
        value = bytes(value).decode()  # a row as JSON text
    record = _by_text(value) if isinstance(value, Mapping) else record_of(value)
    return _Alone({"value": value}) if record is None else record


def _by_text(value: Mapping[Any, Any]) -> Mapping[str, Any]:
    """A mapping by the texts that its keys have in JSON, which are the names of columns."""
    if all(type(key) is str for key in value):
        return value
    check_keys(value)
    return {key if type(key) is str else key_text(key): each for key, each in value.items()}


class _Alone(dict[str, Any]):
    """The record of a row that is none."""


def _check_alone(records: list[Mapping[str, Any]], *, is_record: bool) -> None:
    """Refuse rows of which nobody could tell whether they were 5 or {"value": 5}, or null or {"value": null}.

    Args:
        records: The rows.
        is_record: Whether their declared type has fields.
    """
    if any(isinstance(record, _Alone) for record in records):
        all_alone = all(isinstance(record, _Alone) for record in records)
        for index, record in enumerate(records):
            if record == {"value": None} and isinstance(record, _Alone) and (is_record or not all_alone):
                raise UsageError(
                    f"making a table: row {index} is null, and would be a row whose fields are null",
                    hint="Make a table of the other rows.",
                    column="value",
                    row=index,
                )
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


def _shape_of_column(name: str, values: list[Any], shape: Shape) -> Shape:
    for index, value in enumerate(values):
        try:
            shape = common(shape, shape_of(value))
        except (Conflict, RecursionError) as error:
            conflict = error if isinstance(error, Conflict) else "it is nested too deeply"
            why = "is not as declared" if shape.is_declared else "fits no column with the values before"
            hint = _HINT_IF_DECLARED if shape.is_declared else _HINT
            raise _refused(name, index, value, f"{why}: {conflict}", hint) from None
    return settled(shape)


def _cells(columns: Mapping[str, list[Any]]) -> Iterator[tuple[str, int, Any]]:
    for name, values in columns.items():
        for index, value in enumerate(values):
            yield name, index, value


def _refused(name: str, index: int, value: object, why: str, hint: str) -> UsageError:
    text = f"making a table: column {name!r}, row {index}: {_shown(value)} {why}"
    return UsageError(text, hint=hint, column=name, row=index)


def _fitted_cell(name: str, index: int, value: Any, shape: Shape) -> Any:
    try:
        return fitted(value, shape)
    except RecursionError:
        raise _refused(name, index, value, "is nested too deeply for a column", _HINT) from None


def _json_cell(name: str, index: int, value: Any, kind: Kind) -> Any:
    try:
        return _with_dicts(cell_of(value, kind), kind)
    except (TypeError, ValueError, RecursionError) as error:
        hint = "Convert the values first, or declare a plain type."
        raise _refused(name, index, value, f"has no JSON form: {error}", hint) from None


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


def _has_text(kind: Kind) -> bool:
    """Whether a declared type is JSON text in tables whatever the values are, or holds one that is."""
    inner = [column.kind for column in kind.columns] + ([] if kind.item is None else [kind.item])
    return kind.is_text or any(map(_has_text, inner))


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:80] + "…"
