"""SQLite sink: rows as a table of a database.

Rows are collected in a database beside the target and copied in one transaction. So the target is locked for the copy
only, not while rows arrive.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..base.arguments import shown
from ..base.forks import keep_for_ever
from ..commands import StreamingCommand
from ..errors import SinkError, UsageError
from ..results import StreamSummary
from ..wire.columns import CellRefused, Column, Layout, first_refused
from .base import Mode, OpenSink, Sink
from .commit import Action, Merge, Table
from .confined import within_rights
from .file_names import SQLITE, target_of
from .json_lines import check_mode
from .parts import PartFile, cell_error, refusal, sink_error, storing
from .recovery import open_target
from .tables import DONE_TABLE, connected, quoted, why_foreign_journal, why_no_table

_SQL_TYPES = {"int": "INTEGER", "float": "REAL", "number": "REAL", "bool": "INTEGER", "bytes": "BLOB"}
"""All others are TEXT."""


def _moment(value: datetime.datetime) -> str:
    """As SQLite's own functions write and read it, and as text that sorts by time."""
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc)
    return value.isoformat(" ", "microseconds")


def _exact_float(value: float) -> float:
    number = float(value)
    if number != value:
        raise ValueError("SQLite would round this integer in a column of floats")
    return number


_TO_SQL: dict[str, Callable[[Any], Any]] = {
    "datetime": _moment,
    "date": datetime.date.isoformat,
    "time": lambda value: value.isoformat("microseconds"),
    "duration": msgspec.to_builtins,
    "decimal": str,
    "number": _exact_float,
}


_BUSY_SECONDS = 5.0
"""Time for another program to let go of a database before a request; nothing can interrupt that wait."""


def _stored(column: Column, cell: Any) -> Any:
    """The cell as SQLite's value.

    Raises:
        OverflowError, ValueError: SQLite has no such value.
    """
    if cell is None:
        return None
    convert = _TO_SQL.get(column.kind.name)
    if convert is not None:
        return convert(cell)
    if type(cell) is int and not -(1 << 63) <= cell < 1 << 63:
        raise OverflowError("SQLite has integers of 64 bits")
    if type(cell) is str:
        cell.encode()
    return cell


class SqliteSink(Sink):
    """A table of a SQLite database, with one table row per row, in the order of the rows.

    The declared row type determines the columns: TEXT, INTEGER (also for bool), REAL, BLOB. Dates, times and decimals
    are TEXT that SQLite's functions read; datetimes with a zone are in UTC. Other values (lists, structs, dicts,
    unions) are TEXT with their JSON. A row type without fields gives one column "payload" with the
    row's JSON text; `row=None` adds "stream" and "sequence" before it.

    Args:
        path: The database; created if it does not exist. Other tables in it are not touched.
        table: The table's name. By default "rows", or a table for each stream with its name if the command declares
            several (`row={…}`).
        mode: "replace": the table contains these rows only; it keeps its indexes if its columns are the same. "append":
            the rows are added to the table, whose columns must have these names.

    Raises:
        UsageError: The mode is unknown, the name is empty or cannot be stored, or `path` is not a path, is one of
            SQLite's names for something else (":memory:", "file:…"), or has the ending of another format.
    """

    def __init__(self, path: str | os.PathLike[str], table: str | None = None, *, mode: Mode = "replace") -> None:
        check_mode("making an SQLite sink", mode)
        self._is_named = table is not None
        table = "rows" if table is None else table
        if not isinstance(table, str) or not table or not _is_name(table):
            raise UsageError(
                f"making an SQLite sink: expected the table's name, got {shown(table)}",
                hint="Give a name, as in lw.sinks.SqliteSink('rows.db', 'rows'); names that begin with sqlite_ are "
                "SQLite's own.",
            )
        self.path = target_of("making an SQLite sink", path, SQLITE)
        if str(path).startswith((":memory:", "file:")):
            raise UsageError(
                f"making an SQLite sink: expected the name of a file, got {path}",
                hint="Rows are stored for others to read: name a file, as in rows.db.",
            )
        self.table = table
        self.mode: Mode = mode

    def for_stream(self, stream: str) -> SqliteSink:
        """See `Sink.for_stream`: a table with the stream's name."""
        if self._is_named:
            raise UsageError(
                f"storing several streams: one table {self.table!r} cannot hold them all",
                hint="Leave the table's name out, and each stream gets a table of its name; or sink={stream: …}.",
                stream=stream,
            )
        return SqliteSink(self.path, stream, mode=self.mode)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        """See `Sink.keeps_streams`: there is a column "stream" if no row type is declared."""
        return command.row is None

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """See `Sink.row_type`."""
        return Layout(command.row, nested=False).reads_as

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """See `Sink.open`."""
        target = open_target(self.path)
        _check_database(target, self.table)
        layout = Layout(command.row, nested=False)
        _check_columns(layout, command.name)
        return _OpenSqlite(layout, target, self.table, self.mode == "replace", group, number)

    def places(self) -> tuple[str, ...]:
        """See `Sink.places`."""
        table = self.table.encode().lower().decode()  # as SQLite compares names
        return (f"table {table} of {os.path.realpath(self.path)}",)

    def __repr__(self) -> str:
        return f"SqliteSink({str(self.path)!r}, {self.table!r}, mode={self.mode!r})"


def _is_name(table: str) -> bool:
    try:
        name = table.encode().lower()  # as SQLite compares names
        return b"\0" not in name and name != DONE_TABLE.encode() and not name.startswith(b"sqlite_")
    except UnicodeEncodeError:
        return False


def _check_columns(layout: Layout, command: str) -> None:
    """Refuse a row type with two names that are one to SQLite."""
    names: dict[bytes, str] = {}
    for column in layout.columns:
        other = names.setdefault(column.name.encode().lower(), column.name)
        if other != column.name:
            raise UsageError(
                f"running {command}: the fields {other!r} and {column.name!r} are one column to SQLite",
                hint="Rename one of them, or store the rows as Parquet or JSON lines.",
                command=command,
            )


def _check_database(target: Path, table: str) -> None:
    """Check before the request that the target is a database and a table."""
    with storing("opening", target):
        if not target.exists():
            return
        foreign = why_foreign_journal(target, os.stat(target))
        if foreign is not None:
            raise refusal("opening", target, foreign, "Find out who made that file, and remove it.")
        why = within_rights(target.parent, lambda: _why_no_table(target, table))
    if why is not None:
        raise refusal("opening", target, why, "Give the sink the name of a table.")


def _why_no_table(target: Path, table: str) -> str | None:
    with connected(target, "rw", _BUSY_SECONDS) as database:
        database.execute("PRAGMA schema_version").fetchone()
        return why_no_table(database, table)


class _OpenSqlite(OpenSink):
    def __init__(self, layout: Layout, target: Path, table: str, replaces: bool, group: str, number: int) -> None:
        self.directory = target.parent
        self._layout = layout
        self._table = table
        self._replaces = replaces
        self._taken = 0
        columns = [
            f"{quoted(column.name)} {_SQL_TYPES.get(column.kind.name, 'TEXT')}"
            + ("" if column.kind.nullable else " NOT NULL")
            for column in layout.columns
        ]
        self._insert = f"INSERT INTO {quoted(table)} VALUES ({', '.join('?' * len(columns))})"
        self._database: sqlite3.Connection | None = None
        self._part = PartFile(target, group, number, needs_name=True)
        try:
            # Once it is locked exclusively, SQLite looks for no journal any more.
            within_rights(target.parent, lambda: self._connect(columns))
        except (sqlite3.Error, OSError) as error:
            self.close(keep_part=False)
            raise sink_error("opening", target, error) from error
        except BaseException:
            self.close(keep_part=False)
            raise

    def _connect(self, columns: list[str]) -> None:
        self._database = database = sqlite3.connect(self._part.path, isolation_level=None, check_same_thread=False)
        self._part.check_named()
        # The part is synced as a whole at its end; before that it is worth nothing.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute(f"CREATE TABLE {quoted(self._table)} ({', '.join(columns)})")
        database.execute("BEGIN")

    def taken_rows(self) -> int:
        """See `OpenSink.taken_rows`."""
        return self._taken

    def write(self, rows: list[Any], size_bytes: int) -> None:
        assert self._database is not None
        refused = self._layout.first_without_column(rows)
        if refused is not None:
            raise cell_error(self._part.target, refused, self._taken)
        try:
            cells = self._layout.cells(rows)
        except CellRefused as refusal:
            raise cell_error(self._part.target, refusal.where, self._taken) from refusal
        try:
            stored = [
                [_stored(column, cell) for cell in values] if column.kind.name in _TO_SQL else values
                for column, values in zip(self._layout.columns, cells, strict=True)
            ]
            self._database.executemany(self._insert, zip(*stored, strict=True))
        except (sqlite3.Error, OverflowError, ValueError) as error:
            raise self._refusal(error, cells) from error
        self._taken += len(rows)

    def _refusal(self, error: Exception, cells: list[list[Any]] | None = None) -> SinkError:
        refused = None if cells is None else first_refused(self._layout.columns, cells, _stored)
        if refused is None:
            return sink_error("writing", self._part.target, error)
        return cell_error(self._part.target, refused, self._taken)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        assert self._database is not None
        try:
            self._database.execute("COMMIT")
            self._database.close()
            self._database = None
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        self._part.finish()
        return [Merge(self._part.target, [Table(self._part, self._table, self._replaces, self._taken)])]

    def close(self, keep_part: bool) -> None:
        if self._database is not None:
            if self._part.is_ours:
                with contextlib.suppress(sqlite3.Error):
                    self._database.close()
            else:
                keep_for_ever(self._database)
            self._database = None
        with contextlib.suppress(OSError):
            if keep_part:
                self._part.close()
            else:
                self._part.discard()
