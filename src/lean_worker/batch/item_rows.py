"""One item of a job: run on a lease, its rows left as a part.

Runs on any lease, in any process; `Ledger` makes a part count.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..cancel import CancelToken
from ..commands import StreamingCommand
from ..errors import UsageError
from ..policy import DEFAULT, Timeout
from ..pool.lease import LeaseCore
from ..results import StreamSummary
from ..sinks.base import OpenSink, Sink
from ..sinks.commit import commit
from ..sinks.json_lines import OpenJsonLines, lines_of
from ..sinks.parquet import OpenParquet, ParquetSink
from ..sinks.parts import new_group, refusal, storing
from ..sinks.sink_set import mixed_streams
from ..steps.waiting import Steps, run
from ..worker.options import RequestOptions
from .ledger_items import Part
from .packs import SMALL_BYTES, new_name

PartFormat = Literal["jsonl", "stream.jsonl", "parquet"]
"""The ways in which parts store rows, also how their names end; "stream.jsonl" is lines that name their streams."""

_COPY_BYTES = 1 << 22
_PART = "a part of a job"
_STREAMS_HINT = "Give the job with_stream=True, and each line names its stream."


def part_path(folder: Path, format: PartFormat) -> Path:
    """A new name for a part."""
    return folder / new_name(format)


class _Lines:
    """The lines of one item: in memory up to `SMALL_BYTES`, in a file in `folder` from then on."""

    def __init__(self, folder: Path, format: PartFormat) -> None:
        self._folder = folder
        self._format: PartFormat = format
        self._blocks: list[bytes] = []
        self._group = ""
        self._file: OpenJsonLines | None = None
        self.size_bytes = 0
        self.rows = 0

    def write(self, rows: list[Any]) -> None:
        """Take rows.

        Raises:
            SinkError: They cannot be stored.
        """
        block = lines_of(rows)
        self.rows += len(rows)
        self.size_bytes += len(block)
        if self._file is not None:
            self._file.write_block(block)
            return
        self._blocks.append(block)
        if self.size_bytes > SMALL_BYTES:
            self._group = new_group()
            self._file = OpenJsonLines(part_path(self._folder, self._format), self._group, 1, with_digest=True)
            blocks, self._blocks = self._blocks, []
            for earlier in blocks:
                self._file.write_block(earlier)

    def part(self, summary: StreamSummary[Any]) -> Part:
        """Return them as a part, once the request has ended in success; a file is on the disk then.

        Raises:
            SinkError: They cannot be stored, or are not all that were delivered.
        """
        if self.rows != summary.total_rows:
            why = f"{summary.total_rows} rows were delivered and {self.rows} stored"
            raise refusal("committing", self._folder, why, "Report this as a bug.")
        metadata = summary_text(summary.metadata)
        if self._file is None:
            content = b"".join(self._blocks)
            digest = hashlib.sha256(content).hexdigest()
            return Part("", self.rows, len(content), digest, summary.elapsed_us, metadata, content)
        commit(self._group, self._file.prepare(summary))
        digest = self._file.digest.hexdigest() if self._file.digest is not None else ""
        return Part(str(self._file.part.target), self.rows, self.size_bytes, digest, summary.elapsed_us, metadata)

    def close(self) -> None:
        """Release the file; without `part` it is removed."""
        if self._file is not None:
            self._file.close(keep_part=False)


class _PartSink(Sink):
    """One new file in a folder of parts; nothing there is cleaned up, which is the ledger's to do."""

    def __init__(self, folder: Path, format: PartFormat, on_rows: Callable[[int], object] | None) -> None:
        self.path = part_path(folder, format)
        self._parquet = ParquetSink(self.path) if format == "parquet" else None
        self._with_stream = format == "stream.jsonl"
        self._lines: OpenJsonLines | None = None
        self._on_rows = on_rows

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        if self._parquet is None:
            return None if self._with_stream else bytes
        return self._parquet.row_type(command)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        return self._with_stream if self._parquet is None else self._parquet.keeps_streams(command)

    def for_stream(self, stream: str) -> Sink:
        return self

    def __repr__(self) -> str:
        return _PART

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        if self._parquet is not None:
            layout = self._parquet.layout(command)
            return OpenParquet(self._parquet, layout, self.path, group, number, on_rows=self._on_rows)
        self._lines = OpenJsonLines(self.path, group, number, with_digest=True, on_rows=self._on_rows)
        return self._lines

    def part(self, summary: StreamSummary[Any]) -> Part:
        """Return the rows as a part, once the request has ended in success."""
        rows, elapsed_us, metadata = summary.total_rows, summary.elapsed_us, summary_text(summary.metadata)
        return Part(str(self.path), rows, self._file_bytes(), self._file_digest(), elapsed_us, metadata)

    def _file_bytes(self) -> int:
        with storing("committing", self.path):
            found = self.path.stat().st_size
        if self._lines is not None and found != self._lines.size_bytes:
            why = f"{self._lines.size_bytes} bytes were written and it has {found}"
            raise refusal("committing", self.path, why, "Find out which program changes files there.")
        return found

    def _file_digest(self) -> str:
        if self._lines is not None and self._lines.digest is not None:
            return self._lines.digest.hexdigest()
        with storing("committing", self.path):
            return digest_of(self.path)


def run_item(
    lease: LeaseCore,
    command: StreamingCommand[Any, Any, Any],
    request: str,
    folder: Path,
    *,
    timeout: Timeout = DEFAULT,
    cancel: CancelToken | None = None,
    on_rows: Callable[[int], object] | None = None,
    format: PartFormat = "jsonl",
) -> Part:
    """Run one item on a lease and leave its rows as a part in `folder`; nothing is committed.

    Args:
        request: JSON text of the request.
        folder: Any directory; the ledger's own if this process can write to it.
        on_rows: Called with the number of rows so far whenever some have come.
        format: Of the part; see `Job`.

    Raises:
        LeanWorkerError: As `Lease.run` with a sink; nothing is left in the folder.
    """
    return run(running_item(lease, command, request, folder, timeout, cancel, on_rows, format))


def running_item(
    lease: LeaseCore,
    command: StreamingCommand[Any, Any, Any],
    request: str,
    folder: Path,
    timeout: Timeout,
    cancel: CancelToken | None,
    on_rows: Callable[[int], object] | None,
    format: PartFormat,
) -> Steps[Part]:
    """See `run_item`."""
    sink = _PartSink(folder, format, on_rows)
    wire = msgspec.Raw(request.encode())
    try:
        summary = yield from lease.running_into(command, wire, sink, RequestOptions(timeout, cancel))
    except UsageError as error:
        if "streams" in error.facts:
            error.hint = _STREAMS_HINT
        raise
    return sink.part(summary)


def for_lines(command: StreamingCommand[Any, Any, Any], format: PartFormat) -> StreamingCommand[Any, Any, Any]:
    """Return the command as `running_lines` takes it: its rows stay text, or are read with their streams' names."""
    return dataclasses.replace(command, row=None if format == "stream.jsonl" else bytes)


def running_lines(
    lease: LeaseCore,
    command: StreamingCommand[Any, Any, Any],
    request: str,
    folder: Path,
    timeout: Timeout,
    cancel: CancelToken | None,
    on_rows: Callable[[int], object] | None,
    format: PartFormat,
) -> Steps[Part]:
    """See `run_item`, for lines of a command as of `for_lines`; few of them are returned in memory and need no file."""
    wire = msgspec.Raw(request.encode())
    names_streams = format == "stream.jsonl"
    rows = yield from lease.streaming(command, wire, RequestOptions(timeout, cancel))
    lines = _Lines(folder, format)
    streams: set[str] = set()
    try:
        try:
            while (yield from rows.receiving()):
                if names_streams:
                    lines.write(rows.take_rows())
                else:
                    for stream, taken in rows.take_by_stream().items():
                        streams.add(stream)
                        if len(streams) > 1:
                            raise mixed_streams(command.name, streams, _PART, _STREAMS_HINT)
                        lines.write(taken)
                if on_rows is not None:
                    on_rows(lines.rows)
        except BaseException as error:
            yield from rows.closing(error)
            raise
        return lines.part(rows.summary)
    finally:
        lines.close()


def into_memory(part: Part) -> Part:
    """Take the few rows of a part in a file into memory, and remove the file; return any other part as it is."""
    if part.content is not None or part.size_bytes > SMALL_BYTES or not part.path.endswith(".jsonl"):
        return part
    with storing("committing", Path(part.path)):
        content = Path(part.path).read_bytes()
        if len(content) != part.size_bytes or hashlib.sha256(content).hexdigest() != part.digest:
            why = "its rows are not those that were written there"
            raise refusal("committing", Path(part.path), why, "Find out which program changes files there.")
        Path(part.path).unlink()
    return dataclasses.replace(part, path="", content=content)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


def summary_text(metadata: Any) -> str:
    """Return the JSON text of a summary's metadata, as a ledger records it."""
    return msgspec.json.encode(metadata, enc_hook=_model_text).decode()


def _model_text(value: Any) -> Any:
    """pydantic's models, which msgspec does not know."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise NotImplementedError
    return dump(mode="json", by_alias=True)
