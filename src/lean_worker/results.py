"""Results of streaming commands: the summary of a stream that succeeded, and all of its rows."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, Literal, TypeVar

from .errors import UsageError
from .wire.row_types import RowTypes

RowT = TypeVar("RowT")
SummaryT = TypeVar("SummaryT")


@dataclasses.dataclass(frozen=True)
class StreamSummary(Generic[SummaryT]):
    """The terminal success of a stream; it exists only when every row was delivered.

    Attributes:
        total_rows: Rows of all streams; equals the number of rows delivered.
        per_stream_counts: Rows of each stream, by its name.
        elapsed_us: How long the command ran in the worker, by the worker's clock, in microseconds.
        metadata: The command's own summary, typed as declared; None if it gave none.
    """

    total_rows: int
    per_stream_counts: dict[str, int]
    elapsed_us: int
    metadata: SummaryT | None

    def _repr_html_(self) -> str:
        from .notebook import table

        return table(f"{self.total_rows:,} rows", self.shown_facts())

    def shown_facts(self) -> list[tuple[str, object]]:
        """Return the names and values that a notebook shows."""
        from .notebook import short_text

        return [
            ("streams", self.per_stream_counts if len(self.per_stream_counts) > 1 else None),
            ("seconds", round(self.elapsed_us / 1e6, 3)),
            ("metadata", None if self.metadata is None else short_text(self.metadata)),
        ]


@dataclasses.dataclass(frozen=True)
class Collected(Generic[RowT, SummaryT]):
    """All rows of a request that ended in success, and its summary.

    Attributes:
        rows: In the order in which they came.
        by_stream: The rows of each declared stream, if the command declares several (`row={…}`); otherwise empty.
        row: The command's row type, which tables go by.
    """

    rows: list[RowT]
    summary: StreamSummary[SummaryT]
    by_stream: dict[str, list[RowT]] = dataclasses.field(default_factory=dict)
    row: Any = dataclasses.field(default=None, compare=False)

    def __repr__(self) -> str:
        from .notebook import few, short

        return f"Collected({len(self.rows):,} rows: {few(self.rows)}, {short(self.summary, 400)})"

    def _repr_html_(self) -> str:
        from .notebook import table

        return table(f"{len(self.rows):,} rows", self.summary.shown_facts(), rows=self.rows)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("pandas")

    def to_polars(self) -> Any:
        """The rows as a polars DataFrame; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("polars")

    def to_arrow(self) -> Any:
        """The rows as a pyarrow Table; a dict of them by stream if the command declares several streams.

        See `to_table`, also for the errors.
        """
        return self._tables("arrow")

    def _tables(self, kind: Literal["pandas", "polars", "arrow"]) -> Any:
        from .tables import to_table

        if not isinstance(self.row, RowTypes):
            streams = sorted(self.summary.per_stream_counts)
            if self.row is not None and len(streams) > 1:
                raise UsageError(
                    f"making a table: the rows came on the streams {streams}, and one table of this row type would not "
                    "say which row is of which stream",
                    hint="Declare row={stream: type}, or no row type, which gives a column with the stream.",
                    streams=streams,
                )
            return to_table(self.rows, kind, row=self.row)
        return {stream: to_table(rows, kind, row=self.row[stream]) for stream, rows in self.by_stream.items()}
