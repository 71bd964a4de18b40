"""The sinks of one request: opened together, given rows as they arrive, committed together.

Maps each stream to its sink and each sink to the type in which it wants rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..base.arguments import check_text, shown
from ..base.callbacks import check_callable, result_of
from ..base.forks import Owner
from ..commands import StreamingCommand
from ..errors import LeanWorkerError, SinkError, UsageError
from ..results import RowT, StreamSummary
from ..steps.waiting import Steps
from ..wire.row_decoders import AnyRowDecoder, RowDecoder, StreamDecoders, row_decoder
from ..wire.row_types import RowTypes, undeclared
from ..worker.rows import Rows
from .base import OpenSink, Sink
from .callables import CallableSink
from .commit import Action, commit, is_pending
from .parts import new_group

SinkChoice = Sink | Callable[[RowT], object] | Mapping[str, Sink | Callable[[Any], object] | None]
"""One sink for all rows; or one for each stream by its name, None for a stream whose rows are not wanted."""

_STREAMS_HINT = (
    "Give each stream its own sink: sink={stream: …}; or declare row={stream: type}; or write "
    "JsonLinesSink(path, with_stream=True)."
)


class SinkSet:
    """All sinks of one request.

    Args:
        choice: What the caller asked for.
        command: What is run.

    Raises:
        UsageError: That is no sink, or two of them write to the same place.
    """

    def __init__(self, choice: SinkChoice[Any], command: StreamingCommand[Any, Any, Any]) -> None:
        self._command = command
        self._sinks: dict[str, Sink | None]
        if isinstance(choice, Mapping):
            if not choice:
                raise UsageError(
                    f"running {command.name}: sink is an empty mapping, no stream has a sink",
                    hint="Give each stream a sink, or None to drop its rows.",
                )
            for stream in choice:
                check_text(f"running {command.name}", "the name of a stream", stream)
            self._sinks = {stream: _as_sink(sink, command.name) for stream, sink in choice.items()}
            self._by_stream = True
        else:
            sink = _as_sink(choice, command.name)
            assert sink is not None
            types = command.row
            streams = tuple(types) if isinstance(types, RowTypes) and not sink.keeps_streams(command) else ()
            self._by_stream = bool(streams)
            self._sinks = {stream: sink.for_stream(stream) for stream in streams} if streams else {"": sink}
        self._commands = {stream: self._command_of(stream) for stream in self._sinks}
        self._check_places()
        self._group = new_group()
        self._owner = Owner()
        self._open: dict[str, OpenSink | None] = {}

    def _command_of(self, stream: str) -> StreamingCommand[Any, Any, Any]:
        """The command as the sink of one stream sees it, with that stream's row type."""
        types = self._command.row
        if not self._by_stream or not isinstance(types, RowTypes):
            return self._command
        if stream not in types:
            raise UsageError(
                f"running {self._command.name}: a sink is for the stream {shown(stream)}; declared are {sorted(types)}",
                hint="Give sinks for declared streams only, or declare the stream in row={…}.",
                command=self._command.name,
                stream=stream,
            )
        return dataclasses.replace(self._command, row=types[stream])

    def _check_places(self) -> None:
        places = [place for sink in self._sinks.values() if sink is not None for place in sink.places()]
        for place in places:
            if places.count(place) > 1:
                raise UsageError(
                    f"running {self._command.name}: two sinks write to {place}",
                    hint="Give each its own file or table, or one sink for all streams.",
                )

    def decoder(self) -> AnyRowDecoder:
        """Return a decoder that decodes each row once, as the type that its sink wants.

        Raises:
            UsageError: A type has no JSON form.
        """
        name = self._command.name
        types = {
            stream: bytes if sink is None else sink.row_type(self._commands[stream])
            for stream, sink in self._sinks.items()
        }
        first = next(iter(types.values()))
        is_any_good = not self._by_stream or first is None or first is bytes  # whatever comes, on whatever stream
        if is_any_good and all(kind is first for kind in types.values()):
            return row_decoder(first, name)
        return StreamDecoders({stream: RowDecoder(kind, name) for stream, kind in types.items()}, name)

    def open(self) -> None:
        """Open all of them, or none.

        Raises:
            SinkError, UsageError, MissingExtra: One of them cannot be.
        """
        try:
            for number, (stream, sink) in enumerate(self._sinks.items(), 1):
                self._open[stream] = None if sink is None else self._opened(sink, stream, number)
        except BaseException:
            self.close()
            raise

    def _opened(self, sink: Sink, stream: str, number: int) -> OpenSink:
        opened: object = result_of("Sink.open", sink.open(self._commands[stream], self._group, number))
        if not isinstance(opened, OpenSink):
            raise UsageError(
                f"running {self._command.name}: expected an OpenSink from {sink!r}.open(), got {shown(opened)}",
                hint="Return an object of a class that derives from lw.sinks.OpenSink.",
                command=self._command.name,
            )
        return opened

    def taking(self, rows: Rows[Any, Any]) -> Steps[None]:
        """Hand the rows of a stream on as they come, until it has ended in success.

        Raises:
            LeanWorkerError: As the stream, or a sink.
        """
        only = None if self._by_stream else next(iter(self._sinks.values()))
        if isinstance(only, CallableSink):
            # Row by row: none is handed on after a cancel.
            on_row = only.on_row
            while (yield from rows.receiving()):
                for row in rows:
                    if (result := on_row(row)) is not None:
                        result_of("on_row", result)
            return
        for sink in self._open.values():
            if sink is not None:
                sink.halted = rows.halted
        loses_streams = only is not None and not only.keeps_streams(self._command)
        streams: set[str] = set()
        received_bytes = 0
        while (yield from rows.receiving()):
            size_bytes = rows.received_bytes - received_bytes
            received_bytes += size_bytes
            if not self._by_stream:
                opened = self._open[""]
                assert opened is not None
                if not loses_streams:
                    _write(opened, rows.take_rows(), size_bytes)
                    continue
                for stream, taken in rows.take_by_stream().items():
                    streams.add(stream)
                    if len(streams) > 1:
                        raise mixed_streams(self._command.name, streams, repr(only), _STREAMS_HINT)
                    _write(opened, taken, size_bytes)
                continue
            for stream, taken in rows.take_by_stream().items():
                if stream not in self._open:
                    declared = self._command.row
                    if isinstance(declared, RowTypes) and stream not in declared:
                        raise undeclared(self._command.name, declared, stream, None)
                    raise self._unknown(stream)
                opened = self._open[stream]
                if opened is not None:
                    with self._naming(stream):
                        _write(opened, taken, size_bytes)

    @contextlib.contextmanager
    def _naming(self, stream: str) -> Iterator[None]:
        """Errors of a sink say whose rows it stores: a column and a row are of one of several streams."""
        try:
            yield
        except LeanWorkerError as error:
            if self._by_stream:
                error.add_facts(command=self._command.name, stream=stream)
            raise

    def _unknown(self, stream: str) -> UsageError:
        return UsageError(
            f"running {self._command.name}: a row came on the stream {stream!r}, which has no sink; "
            f"known are {sorted(self._sinks)}",
            hint="Give the stream a sink, or None to drop its rows.",
            command=self._command.name,
            stream=stream,
            streams=sorted({*self._sinks, stream}),
            entered_worker=True,
        )

    def commit(self, summary: StreamSummary[Any]) -> None:
        """The request has ended in success: make all rows visible, or none.

        Raises:
            UsageError: This is a forked child of the process that opened them.
            SinkError: They cannot be.
            Exception: What the `commit` of a callable raises.
        """
        if not self._owner.is_here:
            raise UsageError(
                f"running {self._command.name}: the rows belong to the process that this one was forked from",
                hint="Run the request in the process that stores its rows.",
                command=self._command.name,
            )
        self._compare(summary)
        actions: list[Action] = []
        opened = [(stream, sink) for stream, sink in self._open.items() if sink is not None]
        # What has no part of its own is asked last, when all others can no longer fail.
        for stream, sink in sorted(opened, key=lambda each: each[1].directory is None):
            with self._naming(stream):
                actions += _actions_of(sink, result_of("OpenSink.prepare", sink.prepare(summary)))
        commit(self._group, actions)
        for _, sink in opened:
            sink.is_committed = True

    def _compare(self, summary: StreamSummary[Any]) -> None:
        """Check that the sinks stored exactly the delivered rows."""
        for stream, sink in self._open.items():
            taken = None if sink is None else sink.taken_rows()
            if taken is not None:
                expected = summary.per_stream_counts.get(stream, 0) if self._by_stream else summary.total_rows
                if taken != expected:
                    raise SinkError(
                        f"running {self._command.name}: {expected} rows were delivered and {taken} stored",
                        path=None,
                        doing="committing",
                        errno=None,
                        is_decided=False,
                    )

    def close(self) -> None:
        """Give back what is open; parts that were not committed are removed, unless their commit was decided.

        In a forked child they are closed, and nothing is removed or called off.
        """
        for sink in self._open.values():
            if sink is not None:
                sink.close(keep_part=sink.directory is not None and is_pending(self._group, sink.directory))
        self._open = {}


def mixed_streams(command: str, streams: set[str], sink: str, hint: str) -> UsageError:
    """The error for rows on several streams that a sink would store without their streams' names."""
    return UsageError(
        f"running {command}: rows came on the streams {sorted(streams)}, and one sink ({sink}) would store them "
        "without their streams' names",
        hint=hint,
        command=command,
        streams=sorted(streams),
        entered_worker=True,
    )


def _actions_of(sink: OpenSink, actions: object) -> list[Action]:
    """Return what `OpenSink.prepare` gave.

    Raises:
        UsageError: It is no list of actions: something else would be dropped without a word.
    """
    if isinstance(actions, list) and all(isinstance(action, Action) for action in actions):
        return actions
    raise UsageError(
        f"storing rows: expected {type(sink).__name__}.prepare() to return a list of actions, got {shown(actions)}",
        hint="Return [] from a sink that has nothing to rename.",
    )


def _write(sink: OpenSink, rows: list[Any], size_bytes: int) -> None:
    write: Callable[[list[Any], int], object] = sink.write  # a user's own may return what nothing would run
    if (result := write(rows, size_bytes)) is not None:
        result_of("OpenSink.write", result)


def _as_sink(sink: object, command: str) -> Sink | None:
    if sink is None or isinstance(sink, Sink):
        return sink
    if callable(sink) and not (isinstance(sink, type) and issubclass(sink, Sink)):
        check_callable(f"running {command}", "row", sink=sink)
        return CallableSink(sink)
    raise UsageError(
        f"running {command}: expected a sink, a function, or a mapping from stream names to those, got {shown(sink)}",
        hint="A path is no sink: write JsonLinesSink(path).",
        command=command,
    )
