"""Collection of the rows of a stream: the command as which it runs, and the result that its rows make."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..commands import RowT, StreamingCommand, SummaryT
from ..results import Collected, StreamSummary
from ..wire.row_types import RowTypes


def collecting(command: StreamingCommand[Any, Any, SummaryT]) -> StreamingCommand[Any, Any, SummaryT]:
    """The command as which `collected` wants it run: with several row types, rows come with their stream."""
    if not isinstance(command.row, RowTypes):
        return command
    return dataclasses.replace(command, row=command.row.tagged())


def collected(
    command: StreamingCommand[Any, RowT, SummaryT], rows: list[Any], summary: StreamSummary[SummaryT]
) -> Collected[RowT, SummaryT]:
    """All rows of `collecting(command)`."""
    if not isinstance(command.row, RowTypes):
        return Collected(rows, summary, row=command.row)
    by_stream: dict[str, list[RowT]] = {stream: [] for stream in command.row}
    for stream, row in rows:
        by_stream[stream].append(row)
    return Collected([row for _, row in rows], summary, by_stream, command.row)
