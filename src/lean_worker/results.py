"""Results of streaming commands: the summary of a stream that succeeded, and all of its rows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .base.arguments import shown
from .base.counts import counted
from .errors import UsageError
from .wire.row_types import RowTypes

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from .tables import TableKind

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

        return table(counted(self.total_rows, "rows"), self.shown_facts())

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

        return f"Collected({counted(len(self.rows), 'rows')}: {few(self.rows)}, {short(self.summary, 400)})"

    def _repr_html_(self) -> str:
        from .notebook import table

        return table(counted(len(self.rows), "rows"), self.summary.shown_facts(), rows=self.rows)

    def to_pandas(self, stream: str | None = None) -> pandas.DataFrame:
        """The rows as a pandas DataFrame; see `to_table`, also for the errors.

        Args:
            stream: The rows of this stream only, of a command that declares several streams (`row={…}`). Without it
                such a command gives a dict of them by stream, which type checkers take for one.

        Raises:
            UsageError: No such stream was declared; and as of `to_table`.
        """
        frame: pandas.DataFrame = self._table("pandas", stream)
        return frame

    def to_polars(self, stream: str | None = None) -> polars.DataFrame:
        """The rows as a polars DataFrame; the arguments and the errors are those of `to_pandas`."""
        frame: polars.DataFrame = self._table("polars", stream)
        return frame

    def to_arrow(self, stream: str | None = None) -> pyarrow.Table:
        """The rows as a pyarrow Table; the arguments and the errors are those of `to_pandas`."""
        table: pyarrow.Table = self._table("arrow", stream)
        return table

    def _table(self, kind: TableKind, stream: str | None) -> Any:
        from .tables import to_table

        if isinstance(self.row, RowTypes) and stream is None:
            return {each: self._table(kind, each) for each in self.by_stream}
        if stream is not None:
            if not isinstance(stream, str) or stream not in self.by_stream:
                raise UsageError(
                    f"making a table: expected stream as one of {sorted(self.by_stream)}, got {shown(stream)}",
                    hint="Name a stream that the command declares."
                    if self.by_stream
                    else "Leave it out: the command declares no streams by name (row={…}).",
                )
            try:
                return to_table(self.by_stream[stream], kind, row=self.row[stream])
            except UsageError as error:
                error.add_facts(stream=stream)
                raise
        streams = sorted(self.summary.per_stream_counts)
        if self.row is not None and len(streams) > 1:
            raise UsageError(
                f"making a table: the rows came on the streams {streams}, and one table of this row type would not "
                "say which row is of which stream",
                hint="Declare row={stream: type}, or no row type, which gives a column with the stream.",
                streams=streams,
            )
        return to_table(self.rows, kind, row=self.row)
