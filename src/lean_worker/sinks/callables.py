"""Sink that calls functions, which can have their own commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..base.callbacks import check_callable, result_of
from ..base.forks import Owner
from ..commands import StreamingCommand
from ..errors import UsageError
from ..results import StreamSummary
from .base import OpenSink, Sink
from .commit import Action

_log = logging.getLogger("lean_worker")


class CallableSink(Sink):
    """A sink that calls a function with each row, and others at the commit or failure.

    `on_row` sees tentative rows, so it should keep their effects until `commit`. `commit` is called once: after the
    request has succeeded and the parts of all other sinks are on the disk, and before any of them is visible. If it
    raises, nothing is stored. Only a transaction or a rename can still fail after it; `abort` is called then.
    Exceptions of `on_row` and `commit` reach the caller unchanged.

    Args:
        on_row: Called with each row, of the command's row type, on the caller's thread.
        commit: Called with the `StreamSummary`.
        abort: Called without an argument if anything failed, and never in a forked child. Its exceptions are logged.

    Raises:
        UsageError: One of them is no function.
    """

    def __init__(
        self,
        on_row: Callable[[Any], object],
        commit: Callable[[StreamSummary[Any]], object] | None = None,
        abort: Callable[[], object] | None = None,
    ) -> None:
        doing = "making a sink of functions"
        if on_row is None:
            raise UsageError(f"{doing}: expected on_row as a function, got None", hint="Give on_row=print, or another.")
        check_callable(doing, "row", on_row=on_row)
        check_callable(doing, "summary", commit=commit)
        check_callable(doing, abort=abort)
        self.on_row = on_row
        self.commit = commit
        self.abort = abort

    def row_type(self, command: StreamingCommand[Any, Any, Any]) -> Any:
        """See `Sink.row_type`."""
        return command.row

    def open(self, command: StreamingCommand[Any, Any, Any], group: str, number: int) -> OpenSink:
        """See `Sink.open`."""
        return _OpenCallable(self)

    def keeps_streams(self, command: StreamingCommand[Any, Any, Any]) -> bool:
        """See `Sink.keeps_streams`: each row has the type of its stream."""
        return True


class _OpenCallable(OpenSink):
    def __init__(self, sink: CallableSink) -> None:
        self._sink = sink
        self._owner = Owner()

    def write(self, rows: list[Any], size_bytes: int) -> None:
        for row in rows:
            if self.halted is not None and self.halted.is_set:
                return  # the stream is about to raise the reason
            if (result := self._sink.on_row(row)) is not None:
                result_of("on_row", result)

    def prepare(self, summary: StreamSummary[Any]) -> list[Action]:
        if self._sink.commit is not None:
            result_of("commit", self._sink.commit(summary))
        return []

    def close(self, keep_part: bool) -> None:
        if not self.is_committed and self._sink.abort is not None and self._owner.is_here:
            try:
                result_of("abort", self._sink.abort())
            except Exception:
                _log.exception("abort of a sink raised")
