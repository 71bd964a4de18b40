"""What a sink is.

Owns the two halves: a `Sink`, which says where rows go and may be used again and again, and an `OpenSink`, which takes
the rows of one request. Callers of `Lease.run` see the first only. Hides nothing.
"""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any

from ..commands import StreamingCommand
from ..wire.frames import Flag
from ..worker.row_stream import StreamSummary
from .commit import Action

MODES = ("replace", "append")


class Sink(abc.ABC):
    """Where the rows of one request go, at once and altogether, when the request has ended in success.

    A sink is a plain value: it holds nothing open, and may be used again and by several threads.
    """

    @abc.abstractmethod
    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """The type as which it wants the rows of `command`; `bytes` for their JSON text."""

    @abc.abstractmethod
    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """Make ready for the rows of one request.

        Args:
            command: What is run.
            group: The sinks with which it is committed.
            number: Which of them it is.

        Raises:
            SinkError: Rows cannot go there.
            UsageError: The sink cannot hold rows of that type.
            MissingExtra: What it needs is not installed.
        """

    def places(self) -> tuple[str, ...]:
        """What it writes to, for telling that two sinks of a request are the same."""
        return ()


class OpenSink(abc.ABC):
    """A sink with the rows of one request. One thread uses it; nothing is visible before its actions were committed."""

    directory: Path | None = None
    """Where its part lies; None if it has none."""

    halted: Flag | None = None
    """Set when no further row is wanted; one that calls out looks at it before each row."""

    is_committed = False
    """Set when all sinks of the request are committed."""

    def taken_rows(self) -> int | None:
        """How many rows it took; None if it keeps none of them."""
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
        """All rows are there: have them on the disk, and say what makes them visible.

        Raises:
            SinkError: They cannot be stored.
        """

    @abc.abstractmethod
    def close(self, keep_part: bool) -> None:
        """Give back what it holds, and remove its part unless it is still needed; legal at any time, raises nothing."""
