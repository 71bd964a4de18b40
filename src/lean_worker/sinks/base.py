"""Base classes of sinks.

A `Sink` names a destination and can be reused. An `OpenSink` takes the rows of one request. Callers of `Lease.run` use
only `Sink`.
"""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, Literal, get_args

from ..base.arguments import check_text
from ..commands import StreamingCommand
from ..errors import UsageError
from ..results import StreamSummary
from ..wire.frames import Flag
from ..wire.row_types import RowTypes
from .commit import Action

Mode = Literal["replace", "append"]
MODES: tuple[str, ...] = get_args(Mode)


def path_of_stream(path: Path, stream: str) -> Path:
    """The file beside `path` for one stream: `rows.jsonl` gives `rows.edges.jsonl` for the stream "edges".

    Raises:
        UsageError: The stream's name cannot be part of a file's name.
    """
    check_text("storing several streams", "the name of a stream", stream)
    if "/" in stream:
        raise UsageError(
            f"storing several streams: {stream!r} cannot be part of a file's name",
            hint="Give each stream its own sink: sink={stream: …}.",
            stream=stream,
        )
    return path.with_name(f"{path.stem}.{stream}{path.suffix}")


class Sink(abc.ABC):
    """A destination for the rows of one request. All rows appear together once the request has succeeded.

    A sink is a plain value: it holds nothing open, can be reused, and may be shared by threads.
    """

    @abc.abstractmethod
    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """The type as which it wants the rows of `command`; `bytes` for their JSON text."""

    @abc.abstractmethod
    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """Open the sink for the rows of one request.

        Args:
            command: The command that runs.
            group: Name of the commit, shared by the sinks of the request.
            number: Number of this sink among them.

        Raises:
            SinkError: Rows cannot be stored there.
            UsageError: The sink cannot hold rows of that type.
            MissingExtra: A package that it needs is not installed.
        """

    def for_stream(self, stream: str) -> Sink:
        """Return the sink for one stream of a command that declares several (`row={…}`).

        Raises:
            UsageError: The sink has no place for each stream.
        """
        raise UsageError(
            f"storing several streams: {self!r} has no place of its own for the stream {stream!r}",
            hint="Give each stream its own sink: sink={stream: …}.",
            stream=stream,
        )

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        """Whether rows of several streams may go to this one place: their streams are stored, or do not matter.

        By default they do not matter as long as the command declares no streams (`row={…}`).
        """
        return not isinstance(command.row, RowTypes)

    def places(self) -> tuple[str, ...]:
        """Return its targets, so that two sinks of a request with the same target are found."""
        return ()


class OpenSink(abc.ABC):
    """A sink with the rows of one request. One thread uses it; nothing is visible before its actions were committed."""

    directory: Path | None = None
    """Path of its part; None if it has none."""

    halted: Flag | None = None
    """Set when no further row is wanted; one that calls out looks at it before each row."""

    is_committed = False
    """Set when all sinks of the request are committed."""

    def taken_rows(self) -> int | None:
        """Number of rows that it stored; None if it stores none."""
        return None

    @abc.abstractmethod
    def write(self, rows: list[Any], size_bytes: int) -> None:
        """Take rows, in order.

        Args:
            rows: Values of the type it asked for.
            size_bytes: About how many bytes they were on the wire, at most.

        Raises:
            SinkError: They cannot be stored.
        """

    @abc.abstractmethod
    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        """Sync all rows to the disk, and return the actions that make them visible. Called after the last row.

        Raises:
            SinkError: They cannot be stored.
        """

    @abc.abstractmethod
    def close(self, keep_part: bool) -> None:
        """Release its resources, and remove its part unless it is still needed. Legal at any time; raises nothing."""
