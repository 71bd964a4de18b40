"""Rows to any function, which may have a commit of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ..base.ownership import Owner
from ..commands import StreamingCommand
from ..worker.row_stream import StreamSummary
from .base import OpenSink, Sink
from .commit import Action


class CallableSink(Sink):
    """A function that gets each row, and two more that learn how it ended.

    `on_row` sees rows that are tentative: what it does with them should wait for `commit`. That is called once, after
    the request has ended in success and the parts of all other sinks are on the disk, and before any of them is
    visible: what it raises calls everything off. After it little is left that could be refused: a database its
    transaction, a directory a rename; then `abort` is called after all. What `on_row` and `commit` raise passes
    unchanged.

    Args:
        on_row: Called with each row, of the command's row type, on the caller's thread.
        commit: Called with the `StreamSummary`.
        abort: Called without an argument if anything failed, and never in a forked child; what it raises is dropped.
    """

    def __init__(
        self,
        on_row: Callable[[Any], object],
        commit: Callable[[StreamSummary[Any]], object] | None = None,
        abort: Callable[[], object] | None = None,
    ) -> None:
        self.on_row = on_row
        self.commit = commit
        self.abort = abort

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """See `Sink.row_type`."""
        return command.row

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """See `Sink.open`."""
        return _OpenCallable(self)


class _OpenCallable(OpenSink):
    def __init__(self, sink: CallableSink) -> None:
        self._sink = sink
        self._owner = Owner()

    def write(self, rows: list[Any], size_bytes: int) -> None:
        for row in rows:
            if self.halted is not None and self.halted.is_set:
                return  # the stream is about to raise the reason
            self._sink.on_row(row)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        if self._sink.commit is not None:
            self._sink.commit(summary)
        return []

    def close(self, keep_part: bool) -> None:
        if not self.is_committed and self._sink.abort is not None and self._owner.is_here:
            with contextlib.suppress(Exception):
                self._sink.abort()
