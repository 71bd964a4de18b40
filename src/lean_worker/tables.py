"""Rows as a table of pandas, polars or pyarrow, in one call.

Owns how a typed row becomes a record. The libraries are loaded only when their kind of table is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from .arguments import shown
from .errors import MissingExtra, UsageError
from .events import DataRow

TableKind = Literal["pandas", "polars", "arrow"]
_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


def to_table(rows: Iterable[Any], kind: TableKind = "pandas") -> Any:
    """All rows as one table, a column for each field.

    Args:
        rows: Typed rows of any kind, or `DataRow` values, whose payloads are taken. A row that is no record (a number,
            a text) becomes a column "value".
        kind: "pandas" or "polars" for a DataFrame, "arrow" for a pyarrow Table.

    Raises:
        UsageError: `kind` is none of these, a row has no plain form, or the library finds no common type for a column.
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
        records = [_record(row) for row in rows]
    except (TypeError, ValueError) as error:
        raise UsageError(f"making a table: a row has no plain form: {error}") from error
    try:
        if kind == "arrow":
            # Its own constructor looks at the first record's fields only.
            names = dict.fromkeys(name for record in records for name in record)
            return library.table({name: [record.get(name) for record in records] for name in names})
        if kind == "polars":
            return library.DataFrame(records, infer_schema_length=None)
        return library.DataFrame(records)
    except Exception as error:  # each library has classes of its own for values that do not go together
        raise UsageError(f"making a table of {kind}: {error}", hint="Declare a row type, or convert first.") from error


def _record(row: Any) -> dict[str, Any]:
    value = row.payload if isinstance(row, DataRow) else row
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, bytes):
        value = value.decode()
    value = msgspec.to_builtins(value)
    return dict(value) if isinstance(value, Mapping) else {"value": value}
