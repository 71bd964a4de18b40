"""Parquet sink: rows as a Parquet file.

Converts columns to an Arrow schema and limits the rows held in memory. Needs the extra `arrow`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base.forks import leave_to_parent
from ..base.trusted_files import path_of
from ..commands import StreamingCommand
from ..errors import MissingExtra, SinkError, UsageError
from ..worker.row_stream import StreamSummary
from .base import OpenSink, Sink
from .columns import Kind, Layout
from .commit import Action, Rename
from .parts import PartFile, refusal, sink_error, storing
from .recovery import open_target

_BATCH_ROWS = 4096
_BATCH_BYTES = 1 << 22
_GROUP_BYTES = 1 << 26


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(
            f"opening a Parquet sink: {error.name} is not installed: {error}", hint="pip install 'lean-worker[arrow]'"
        ) from error
    return pyarrow


class ParquetSink(Sink):
    """A Parquet file with one row a row, in the order in which they came.

    The schema comes from the declared row type: string, int64, double, bool, binary, list, struct, and map for
    dict[str, T]; a field that may be None or absent is nullable. What has no such form (Any, unions of several types)
    is a string with its JSON, marked by the field's metadata {"lean_worker": "json"}. A row type without fields gives
    one column "payload" with the row's JSON text; with `row=None` there are "stream" and "sequence" before it.

    Memory is bounded: at most a row group is held, and it ends after `row_group_rows` rows or 64 MiB, whichever comes
    first.

    Args:
        path: The file; it is replaced.
        row: The row type for this sink, if another than the command's.
        row_group_rows: Most rows of a row group, 1 or more.
        compression: A codec's name as pyarrow knows it, such as "snappy", "zstd" or "none".

    Raises:
        UsageError: `row_group_rows` is out of range, or `path` is no path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        row: Any = None,
        row_group_rows: int = 100_000,
        compression: str = "zstd",
    ) -> None:
        if type(row_group_rows) is not int or row_group_rows < 1:
            raise UsageError(f"making a Parquet sink: expected row_group_rows from 1, got {row_group_rows!r}")
        if not isinstance(compression, str):
            raise UsageError(f"making a Parquet sink: expected compression as a codec's name, got {compression!r}")
        self.path = path_of("making a Parquet sink", path)
        self.row = row
        self.row_group_rows = row_group_rows
        self.compression = compression

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


def arrow_schema(layout: Layout) -> Any:
    """The `pyarrow.Schema` of a layout."""
    arrow = _arrow()
    return arrow.schema([_field(arrow, column.name, column.kind) for column in layout.columns])


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
        "bool": arrow.bool_,
        "bytes": arrow.binary,
    }
    if kind.name in plain:
        return plain[kind.name]()
    if kind.name == "struct":
        return arrow.struct([_field(arrow, column.name, column.kind) for column in kind.columns])
    assert kind.item is not None
    if kind.name == "map":
        return arrow.map_(arrow.string(), _field(arrow, "value", kind.item))
    return arrow.list_(_field(arrow, "item", kind.item))


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
        self._schema = arrow_schema(layout)
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
            stream = _PartStream(self._part)
            self._writer = self._arrow.parquet.ParquetWriter(stream, self._schema, compression=sink.compression)
        except (OSError, ValueError, self._arrow.ArrowException) as error:
            self.close(keep_part=False)
            raise sink_error("opening", target, error) from error
        except BaseException:
            self.close(keep_part=False)
            raise

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
            batch = self._arrow.record_batch(self._arrays(), schema=self._schema)
            self._batches.append(batch)
            self._batched_rows += len(self._rows)
            self._batched_bytes += batch.nbytes
            self._rows = []
            self._size_bytes = 0
        if self._batched_rows >= self._group_rows or self._batched_bytes >= _GROUP_BYTES:
            self._write_group()

    def _arrays(self) -> list[Any]:
        arrays = []
        for field, cells in zip(self._schema, self._layout.cells(self._rows), strict=True):
            try:
                arrays.append(self._arrow.array(cells, field.type))
            except (self._arrow.ArrowException, OverflowError, UnicodeEncodeError) as error:
                raise self._refusal(error, f"column {field.name!r}") from error
        return arrays

    def _write_group(self) -> None:
        if not self._batches:
            return
        table = self._arrow.Table.from_batches(self._batches, self._schema)
        self._batches = []
        self._batched_rows = self._batched_bytes = 0
        try:
            self._writer.write_table(table, row_group_size=self._group_rows)
        except (OSError, self._arrow.ArrowException) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception, where: str = "") -> SinkError:
        failure = sink_error("writing", self._part.target, error)
        if where:
            failure.add_facts(column=where)
            failure.hint = (
                f"{where}: Parquet has integers of 64 bits and text in UTF-8; declare the field as str or Any."
            )
        return failure

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        """See `OpenSink.prepare`."""
        self._batch()
        self._write_group()
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
                leave_to_parent(self._writer)
            self._writer = None
        with contextlib.suppress(OSError):
            if keep_part:
                self._part.close()
            else:
                self._part.discard()
