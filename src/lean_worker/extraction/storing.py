"""From lines of JSON to the file that was asked for, at once and altogether.

Owns which file's name means which format.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..base.arguments import shown
from ..commands import StreamingCommand
from ..errors import UsageError
from ..results import StreamSummary
from ..sinks.base import Sink
from ..sinks.commit import commit, is_pending
from ..sinks.file_names import DATABASES
from ..sinks.json_lines import JsonLinesSink
from ..sinks.parquet import ParquetSink
from ..sinks.parts import new_group
from ..sinks.sqlite import SqliteSink

_BATCH_ROWS = 1024


def is_lines(out: Path) -> bool:
    """Whether the file has one JSON value a line."""
    return out.suffix == ".jsonl"


def sink_for(out: Path, what: str) -> Sink:
    """The sink that the file's name asks for.

    Raises:
        UsageError: It ends in none of .jsonl, .parquet, .db, .sqlite and .sqlite3.
    """
    if is_lines(out):
        return JsonLinesSink(out)
    if out.suffix == ".parquet":
        return ParquetSink(out)
    if out.suffix in DATABASES:
        return SqliteSink(out, what)
    raise UsageError(
        f"extracting {what}: {shown(os.fspath(out))} ends in none of .jsonl, .parquet, {', '.join(DATABASES)}",
        hint="The name of the file says what is written.",
    )


def check_sink(sink: Sink, command: StreamingCommand[Any, Any, Any]) -> None:
    """Find out before any work whether rows can go there.

    Raises:
        SinkError, MissingExtra: They cannot.
    """
    sink.open(command, new_group(), 1).close(keep_part=False)


def store(sink: Sink, command: StreamingCommand[Any, Any, Any], lines: Iterable[bytes]) -> int:
    """Write rows, each given as JSON, and make them visible when all are there; returns how many.

    Raises:
        SinkError: They cannot be stored; nothing is visible then.
    """
    kind = sink.row_type(command)
    values: Iterator[Any] = iter(lines) if kind is bytes else map(msgspec.json.Decoder(kind).decode, lines)
    group, rows = new_group(), 0
    opened = sink.open(command, group, 1)
    try:
        while batch := list(itertools.islice(values, _BATCH_ROWS)):
            opened.write(batch, _BATCH_ROWS * 256)
            rows += len(batch)
        commit(group, opened.prepare(StreamSummary(rows, {}, 0, None)))
        opened.is_committed = True
    finally:
        opened.close(keep_part=opened.directory is not None and is_pending(group, opened.directory))
    return rows
