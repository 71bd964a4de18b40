"""Destinations of rows on the command line: sinks by the endings of file names, streams, and standard output."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..commands import StreamingCommand
from ..errors import UsageError
from ..events import DataRow
from ..results import StreamSummary
from ..sinks import JsonLinesSink, ParquetSink, SqliteSink
from ..sinks.base import OpenSink, Sink
from ..sinks.commit import Action
from ..sinks.file_names import DATABASES, NOT_WRITTEN
from ..sinks.json_lines import line_with_stream, one_line
from ..sinks.sink_set import SinkChoice

STANDARD_OUTPUT = "-"
_NAMES_OF_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_HINT_OTHER = "Give the rows another file."
HINT_FOR_STREAMS = (
    "--stream NAME=FILE, for each stream, gives it its own file; --with-stream names the stream in each line; "
    ".parquet and .db have a column for it."
)


def row_type_of(places: Sequence[str]) -> Any:
    """The row type with which a command's rows go to these files: with the streams' names, where a file has columns."""
    return None if any(_ending(place) in (".parquet", *DATABASES) for place in places) else bytes


def refuse_inputs(doing: str, places: Sequence[str], inputs: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse to write over what a command reads.

    Raises:
        UsageError: One of `places` is one of the files `inputs`.
    """
    for place in places:
        for read in inputs:
            if os.path.isfile(place) and os.path.isfile(read) and os.path.samefile(place, read):
                raise UsageError(f"{doing}: the rows would replace {os.fspath(read)}, which is read", hint=_HINT_OTHER)


def sink_of(place: str, table: str, *, with_stream: bool = False) -> Sink:
    """Return the sink for a file's name.

    Args:
        place: `-`, or a name that the system has for it, for standard output; a file that ends in .parquet, .db,
            .sqlite or .sqlite3, or any other file for JSON lines. What exists and is no regular file, such as /dev/null
            or a pipe, gets its lines as they come.
        table: Name of the table in a database.
        with_stream: Whether each line of JSON names the row's stream.

    Raises:
        UsageError: The name is that of a file in a format that is not written.
        OSError: Standard output is closed, or a file that is no regular one cannot be opened.
    """
    if is_standard_output(place):
        lines = LineSink(standard_output(), with_stream)
        return OneStream(lines) if _is_redirected() and not with_stream else lines
    if _is_device(place):
        return LineSink(open(place, "wb"), with_stream)
    if _ending(place) in NOT_WRITTEN:
        raise UsageError(
            f"writing rows: {place} names a format that is not written",
            hint=f"Name the file .jsonl, .parquet, {', '.join(DATABASES)}.",
        )
    if _ending(place) == ".parquet":
        return ParquetSink(place)
    return SqliteSink(place, table) if _ending(place) in DATABASES else JsonLinesSink(place, with_stream=with_stream)


def sinks_of(
    out: str, streams: Sequence[str], command: str, *, with_stream: bool = False
) -> tuple[SinkChoice[Any], list[str]]:
    """Return the sinks that `--out` and `--stream` ask for, and their files' names.

    Args:
        out: The value of `--out`.
        streams: Values of `--stream`: NAME, or NAME=FILE.
        command: The command's name, which a table has unless it is for one stream.
        with_stream: As of `sink_of`.

    Raises:
        UsageError: The options do not go together.
    """
    names = [stream for stream in streams if "=" not in stream]
    own = dict(stream.split("=", 1) for stream in streams if "=" in stream)
    if "" in names or "" in own or "" in own.values():
        raise UsageError(
            "reading --stream: expected NAME or NAME=FILE, got one without a name or a file",
            hint="For example --stream edges=edges.jsonl.",
        )
    if len(own.keys() | set(names)) != len(streams):
        raise UsageError("reading --stream: a stream is named twice", hint="Leave out one of the two.")
    if own and names:
        raise UsageError(
            "reading --stream: expected NAME of each stream, or NAME=FILE of each, got both",
            hint="NAME=FILE gives a stream its own file; NAME alone sends it to --out.",
        )
    if own and out != STANDARD_OUTPUT:
        raise UsageError(
            f"reading --stream: each stream has its own file, and none is left for --out {out}",
            hint="Leave out --out, or give --stream the names of streams alone.",
        )
    if sum(map(is_standard_output, own.values())) > 1 and not with_stream:
        raise UsageError(
            "reading --stream: rows of several streams on standard output would lose their streams' names",
            hint=HINT_FOR_STREAMS,
        )
    if own:
        own_sinks = {name: sink_of(place, name, with_stream=with_stream) for name, place in own.items()}
        return own_sinks, list(own.values())
    sink = sink_of(out, names[0] if len(names) == 1 else command, with_stream=with_stream)
    if len(names) > 1 and isinstance(sink, (JsonLinesSink, OneStream)) and not with_stream:
        raise UsageError(
            "reading --stream: rows of several streams in one file of JSON lines would lose their streams' names",
            hint=HINT_FOR_STREAMS,
        )
    return (_Chosen(sink, frozenset(names)) if names else sink), [out]


def is_live(places: Sequence[str]) -> bool:
    """Whether rows go to where a progress bar would be among them."""
    return any(map(is_standard_output, places))


def keeps_no_streams(place: str) -> bool:
    """Whether lines of all streams go there as they come: to a terminal, a pipe, or a device."""
    if is_standard_output(place):
        return not _is_redirected()
    return _is_device(place)


def standard_output() -> BinaryIO:
    """Standard output for bytes.

    Raises:
        OSError: It is closed.
    """
    found: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    if found is None:
        raise OSError(errno.EBADF, "standard output is closed")
    return found


def is_standard_output(place: str) -> bool:
    """Whether it is a name of standard output. Opened again, what the caller had redirected it to would begin anew."""
    return place == STANDARD_OUTPUT or place in _NAMES_OF_STANDARD_OUTPUT


def _ending(place: str) -> str:
    return Path(place).suffix.lower()


def _is_redirected() -> bool:
    """Whether standard output is a regular file, which is as good as one that `--out` names."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _is_device(place: str) -> bool:
    try:
        mode = os.stat(place).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


class LineSink(Sink):
    """Lines as they come; what was written cannot be taken back.

    Args:
        output: Where they go.
        with_stream: Whether each line names the row's stream.
    """

    def __init__(self, output: BinaryIO, with_stream: bool = False) -> None:
        self._output = output
        self._with_stream = with_stream

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        return None if self._with_stream else command.row

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        return _OpenLines(self._output, _line_with_stream if self._with_stream else _line)


class _OpenLines(OpenSink):
    def __init__(self, output: BinaryIO, line: Callable[[Any], bytes]) -> None:
        self._output = output
        self._line = line

    def write(self, rows: list[Any], size_bytes: int) -> None:
        if self.halted is not None and self.halted.is_set:
            return  # the stream is about to raise the reason
        # Whole lines at a time: what a program says on standard error may go to the same place.
        self._output.write(b"".join(map(self._line, rows)))
        self._output.flush()

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        self._output.flush()
        return []

    def close(self, keep_part: bool) -> None:
        pass


class OneStream(Sink):
    """Lines of one stream: a row on a second one ends the request, as it does with a file of JSON lines."""

    def __init__(self, lines: LineSink) -> None:
        self._lines = lines

    def __repr__(self) -> str:
        return "standard output"

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        return self._lines.row_type(command)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        return False

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        return self._lines.open(command, group, number)


def _line(row: DataRow | bytes) -> bytes:
    return one_line(row.text if isinstance(row, DataRow) else row) + b"\n"


def _line_with_stream(row: DataRow) -> bytes:
    return one_line(line_with_stream(row)) + b"\n"


class _Chosen(Sink):
    """Passes rows of some streams on to a sink, and drops the others."""

    def __init__(self, sink: Sink, streams: frozenset[str]) -> None:
        self._sink = sink
        self._streams = streams

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        return None

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        takes_text = self._sink.row_type(command) is bytes
        return _OpenChosen(command.name, self._sink.open(command, group, number), self._streams, takes_text)

    def places(self) -> tuple[str, ...]:
        return self._sink.places()


class _OpenChosen(OpenSink):
    def __init__(self, command: str, sink: OpenSink, streams: frozenset[str], takes_text: bool) -> None:
        self._command = command
        self._sink = sink
        self._streams = streams
        self._takes_text = takes_text
        self.directory = sink.directory

    def write(self, rows: list[Any], size_bytes: int) -> None:
        self._sink.halted, self._sink.is_committed = self.halted, self.is_committed
        chosen = [row for row in rows if row.stream in self._streams]
        self._sink.write([row.text for row in chosen] if self._takes_text else chosen, size_bytes)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        came = [stream for stream, rows in summary.per_stream_counts.items() if rows]
        if came and self._streams.isdisjoint(came):
            raise UsageError(
                f"running {self._command}: no row came on {', '.join(map(repr, sorted(self._streams)))}; "
                f"streams with rows: {', '.join(map(repr, came))}",
                hint="Give --stream one of these names, or leave it out.",
                command=self._command,
                entered_worker=True,
            )
        return self._sink.prepare(summary)

    def close(self, keep_part: bool) -> None:
        self._sink.is_committed = self.is_committed
        self._sink.close(keep_part)
