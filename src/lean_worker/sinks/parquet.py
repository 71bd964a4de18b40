"""Parquet sink: rows as a Parquet file.

Converts columns to an Arrow schema and limits the rows held in memory. Needs the extra `arrow`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from ..base.arguments import check_choice, shown
from ..base.forks import keep_for_ever
from ..commands import StreamingCommand
from ..errors import MissingExtra, SinkError, UsageError
from ..results import StreamSummary
from ..wire.columns import CellRefused, Column, Kind, Layout, first_refused
from ..wire.json_types import check_type
from .base import OpenSink, Sink, path_of_stream
from .commit import Action, Rename
from .file_names import PARQUET, target_of
from .parts import PartFile, cell_error, refusal, sink_error, storing
from .recovery import open_target

_BATCH_ROWS = 4096
_BATCH_BYTES = 1 << 22
_GROUP_BYTES = 1 << 26
_DECIMAL_DIGITS = (38, 18)
"""Of a decimal in total, the most that common readers know, and behind the point."""


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(
            f"opening a Parquet sink: {error.name} is not installed: {error}", hint="pip install 'lean-worker[arrow]'"
        ) from error
    return pyarrow


Compression = Literal["zstd", "snappy", "gzip", "brotli", "lz4", "none"]
_MOST_GROUP_ROWS = 1 << 31


class ParquetSink(Sink):
    """A Parquet file with one row a row, in the order in which they came.

    The schema comes from the declared row type: string, int64, double, bool, binary, timestamp (µs), date32, time64
    (µs), duration (µs), decimal128(38, 18), list, struct, and map for dict[str, T]. A column of datetimes has the zone
    UTC if its first value has a zone, or its first row group no value, and no zone otherwise. A field that may be None
    or absent is nullable. What has no such form (Any, unions of several types) is a string with its JSON, marked by the
    field's metadata {"lean_worker": "json"}. A row type without fields gives one column "payload" with the row's JSON
    text; with `row=None` there are "stream" and "sequence" before it.

    Memory is bounded: at most a row group is held, and it ends after `row_group_rows` rows or 64 MiB, whichever comes
    first.

    Args:
        path: The file; it is replaced.
        row: The row type for this sink, if another than the command's.
        row_group_rows: Most rows of a row group, 1 or more.
        compression: A codec's name as pyarrow knows it, such as "snappy", "zstd" or "none".

    Raises:
        UsageError: `row_group_rows` is out of range, `path` is no path or has the ending of another format,
            or `row` is no row type.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        row: Any = None,
        row_group_rows: int = 100_000,
        compression: Compression = "zstd",
    ) -> None:
        if type(row_group_rows) is not int or not 1 <= row_group_rows <= _MOST_GROUP_ROWS:
            raise UsageError(
                f"making a Parquet sink: expected row_group_rows from 1 to {_MOST_GROUP_ROWS}, "
                f"got {shown(row_group_rows)}",
                hint="Give an int, as in row_group_rows=100_000.",
            )
        check_choice("making a Parquet sink", "compression", compression, get_args(Compression))
        if isinstance(row, Mapping):
            raise UsageError(
                f"making a Parquet sink: expected row as one row type, got {shown(row)}",
                hint="Give each stream its own sink: sink={stream: …}.",
            )
        check_type("making a Parquet sink", row)
        self.path = target_of("making a Parquet sink", path, PARQUET)
        self.row = row
        self.row_group_rows = row_group_rows
        self.compression: Compression = compression

    def for_stream(self, stream: str) -> ParquetSink:
        """See `Sink.for_stream`: a file beside this one, with the stream's name before its suffix."""
        path = path_of_stream(self.path, stream)
        return ParquetSink(path, row=self.row, row_group_rows=self.row_group_rows, compression=self.compression)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        """See `Sink.keeps_streams`: there is a column "stream" if no row type is declared."""
        return command.row is None and self.row is None

    def layout(self, command: StreamingCommand[Any, Any, Any]) -> Layout:
        """The columns of a command's rows."""
        return Layout(command.row if self.row is None else self.row)

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """See `Sink.row_type`."""
        return self.layout(command).reads_as

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """See `Sink.open`."""
        with storing("opening", self.path):
            _arrow()
        target = open_target(self.path)
        return OpenParquet(self, self.layout(command), target, group, number)

    def places(self) -> tuple[str, ...]:
        """See `Sink.places`."""
        return (os.path.realpath(self.path),)

    def __repr__(self) -> str:
        return f"ParquetSink({str(self.path)!r})"


def arrow_schema(columns: Iterable[Column]) -> Any:
    """The `pyarrow.Schema` of columns."""
    arrow = _arrow()
    return arrow.schema([_field(arrow, column.name, column.kind) for column in columns])


def _field(arrow: Any, name: str, kind: Kind) -> Any:
    metadata = {"lean_worker": "json"} if kind.name == "json" else None
    return arrow.field(name, _type(arrow, kind), nullable=kind.nullable, metadata=metadata)


def _type(arrow: Any, kind: Kind) -> Any:
    plain = {
        "str": arrow.string,
        "text": arrow.string,
        "json": arrow.string,
        "int": arrow.int64,
        "float": arrow.float64,
        "number": arrow.float64,
        "bool": arrow.bool_,
        "bytes": arrow.binary,
        "datetime": lambda: arrow.timestamp("us", None if kind.has_zone is False else "UTC"),
        "date": arrow.date32,
        "time": lambda: arrow.time64("us"),
        "duration": lambda: arrow.duration("us"),
        "decimal": lambda: arrow.decimal128(*_DECIMAL_DIGITS),
    }
    if kind.name in plain:
        return plain[kind.name]()
    if kind.name == "struct":
        return arrow.struct([_field(arrow, column.name, column.kind) for column in kind.columns])
    assert kind.item is not None
    if kind.name == "map":
        return arrow.map_(arrow.string(), _field(arrow, "value", kind.item))
    return arrow.list_(_field(arrow, "item", kind.item))


def columns_without_fixed_type(columns: Iterable[Column]) -> list[str]:
    """The names of those whose type in a file depends on its rows: of datetimes that may have a zone or none."""
    return [column.name for column in columns if _is_open(column.kind)]


def _is_open(kind: Kind) -> bool:
    """Whether the first datetime decides if those of the column have a zone."""
    parts = [kind.item] if kind.item is not None else [column.kind for column in kind.columns]
    return (kind.name == "datetime" and kind.has_zone is None) or any(map(_is_open, parts))


def _with_zone(kind: Kind, has_zone: bool) -> Kind:
    if kind.name == "datetime" and kind.has_zone is None:
        return dataclasses.replace(kind, has_zone=has_zone)
    columns = tuple(Column(column.name, _with_zone(column.kind, has_zone)) for column in kind.columns)
    return dataclasses.replace(kind, item=kind.item and _with_zone(kind.item, has_zone), columns=columns)


def _moments(cell: Any) -> Iterator[datetime.datetime]:
    """The datetimes in a cell."""
    if isinstance(cell, datetime.datetime):
        yield cell
    elif isinstance(cell, dict):
        for each in cell.values():
            yield from _moments(each)
    elif isinstance(cell, (list, tuple)):
        for each in cell:
            yield from _moments(each)


def _check_times(cell: Any, kind: Kind) -> None:
    """Refuse what Arrow would change without a word.

    Raises:
        ValueError: A zone is missing or too much.
        OverflowError: The moment is outside of the calendar in UTC.
    """
    if cell is None:
        return
    if kind.name == "datetime":
        if (cell.tzinfo is None) is not (kind.has_zone is False):
            raise ValueError("datetimes with and without a time zone do not go into one column")
        if cell.tzinfo is not None and not 1 < cell.year < 9999:
            cell.astimezone(datetime.timezone.utc)  # else Arrow stores a moment that Python cannot read
    elif kind.name == "time":
        if cell.tzinfo is not None:
            raise ValueError("Parquet has no time of day with a time zone")
    elif kind.name == "struct":
        for column in kind.columns:
            _check_times(cell[column.name], column.kind)
    elif kind.item is not None:
        for each in cell:
            _check_times(each[1] if kind.name == "map" else each, kind.item)


def _has_times(kind: Kind) -> bool:
    parts = [kind.item] if kind.item is not None else [column.kind for column in kind.columns]
    return kind.name in ("datetime", "time") or any(map(_has_times, parts))


class _PartStream(io.RawIOBase):
    """A part as Arrow writes to it. Not a file of Python: in a forked child its end would write what it holds."""

    def __init__(self, part: PartFile) -> None:
        self._part = part

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        if self._part.is_ours:
            self._part.write(block)
        return len(memoryview(block).cast("B"))

    def tell(self) -> int:
        return self._part.size_bytes


class OpenParquet(OpenSink):
    """See `OpenSink`."""

    def __init__(
        self,
        sink: ParquetSink,
        layout: Layout,
        target: Path,
        group: str,
        number: int,
        on_rows: Callable[[int], object] | None = None,
    ) -> None:
        self.directory = target.parent
        self._arrow = _arrow()
        self._layout = layout
        self._columns = layout.columns
        self._compression = sink.compression
        self._schema: Any = None
        self._group_rows = sink.row_group_rows
        self._rows: list[Any] = []
        self._size_bytes = 0
        self._on_rows = on_rows
        self._taken = 0
        self._batches: list[Any] = []
        self._batched_rows = 0
        self._batched_bytes = 0
        self._writer: Any = None
        self._part = PartFile(target, group, number)
        try:
            if not self._open_columns():
                self._begin()
        except BaseException:
            self.close(keep_part=False)
            raise

    def _open_columns(self) -> list[int]:
        """Those of which it is not decided yet whether their datetimes have a zone."""
        return [index for index, column in enumerate(self._columns) if _is_open(column.kind)]

    def _settle(self, index: int, has_zone: bool) -> None:
        columns = list(self._columns)
        columns[index] = Column(columns[index].name, _with_zone(columns[index].kind, has_zone))
        self._columns = tuple(columns)

    def _begin(self) -> None:
        """Write the head of the file. A column without a datetime so far gets a zone."""
        for index in self._open_columns():
            self._settle(index, has_zone=True)
        self._schema = arrow_schema(self._columns)
        try:
            stream = _PartStream(self._part)
            self._writer = self._arrow.parquet.ParquetWriter(stream, self._schema, compression=self._compression)
        except (OSError, ValueError, self._arrow.ArrowException) as error:
            raise sink_error("opening", self._part.target, error) from error

    def taken_rows(self) -> int:
        """See `OpenSink.taken_rows`."""
        return self._taken

    def write(self, rows: list[Any], size_bytes: int) -> None:
        """See `OpenSink.write`."""
        self._rows += rows
        self._taken += len(rows)
        if self._on_rows is not None:
            self._on_rows(self._taken)
        self._size_bytes += size_bytes
        if len(self._rows) >= _BATCH_ROWS or self._size_bytes >= _BATCH_BYTES:
            self._batch()

    def _batch(self) -> None:
        """Convert the collected Python values to Arrow; write a row group once there are enough."""
        if self._rows:
            arrays = self._arrays()
            batch = self._arrow.record_batch(arrays, schema=self._schema or arrow_schema(self._columns))
            self._batches.append(batch)
            self._batched_rows += len(self._rows)
            self._batched_bytes += batch.nbytes
            self._rows = []
            self._size_bytes = 0
        if self._batched_rows >= self._group_rows or self._batched_bytes >= _GROUP_BYTES:
            self._write_group()

    def _arrays(self) -> list[Any]:
        refused = self._layout.first_without_column(self._rows)
        if refused is not None:
            raise cell_error(self._part.target, refused, self._taken - len(self._rows))
        try:
            cells = self._layout.cells(self._rows)
        except CellRefused as error:
            raise cell_error(self._part.target, error.where, self._taken - len(self._rows)) from error
        for index in self._open_columns():
            first = next(_moments(cells[index]), None)
            if first is not None:
                self._settle(index, has_zone=first.tzinfo is not None)
        try:
            return [self._array(column, values) for column, values in zip(self._columns, cells, strict=True)]
        except (self._arrow.ArrowException, OverflowError, ValueError) as error:
            refused = first_refused(self._columns, cells, lambda column, cell: self._array(column, [cell]))
            if refused is None:
                raise self._refusal(error) from error
            raise cell_error(self._part.target, refused, self._taken - len(self._rows)) from error

    def _array(self, column: Column, cells: list[Any]) -> Any:
        if _has_times(column.kind):
            for cell in cells:
                _check_times(cell, column.kind)
        return self._arrow.array(cells, _type(self._arrow, column.kind))

    def _write_group(self) -> None:
        if not self._batches:
            return
        if self._writer is None:
            self._begin()
        assert self._writer is not None
        # Those that came before the first datetime of a column have none in it.
        tables = [self._arrow.Table.from_batches([batch]).cast(self._schema) for batch in self._batches]
        table = self._arrow.concat_tables(tables)
        self._batches = []
        self._batched_rows = self._batched_bytes = 0
        try:
            self._writer.write_table(table, row_group_size=self._group_rows)
        except (OSError, self._arrow.ArrowException) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> SinkError:
        return sink_error("writing", self._part.target, error)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        """See `OpenSink.prepare`."""
        self._batch()
        self._write_group()
        if self._writer is None:  # there is no row
            self._begin()
        assert self._writer is not None
        try:
            self._writer.close()
            self._writer = None
            found = self._rows_in_file()
        except (OSError, self._arrow.ArrowException) as error:
            raise self._refusal(error) from error
        if found != self._taken:
            why = f"{self._taken} rows were delivered and the file has {found}: somebody else changed it meanwhile"
            raise refusal("committing", self._part.target, why, "Run the request again.")
        self._part.finish(self._part.size_bytes)
        return [Rename(self._part)]

    def _rows_in_file(self) -> int:
        with open(self._part.fd, "rb", closefd=False) as file:
            return int(self._arrow.parquet.read_metadata(file).num_rows)

    def close(self, keep_part: bool) -> None:
        """See `OpenSink.close`."""
        self._batches = []
        if self._writer is not None:
            if self._part.is_ours:
                # Closing writes what is left, which may be refused like the rest before it.
                with contextlib.suppress(Exception):
                    self._writer.close()
            else:
                keep_for_ever(self._writer)
            self._writer = None
        with contextlib.suppress(OSError):
            if keep_part:
                self._part.close()
            else:
                self._part.discard()
