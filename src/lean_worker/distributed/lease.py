"""The right to one place on a node, as the dispatchers of many requests use it.

Owns how a request becomes a call of the node's actor and how its answer becomes typed values here, and what the loss of
a node means to a request. Hides actors. Rows come through a streaming generator that runs only a few batches ahead, so
that a slow caller slows Lean down.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.callbacks import result_of
from ..batch.item_rows import summary_text
from ..batch.job import PartFormat, ended_worker, part_path
from ..batch.ledger import Part
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..commands import JsonCommand, StreamingCommand
from ..errors import Cancelled, LeanWorkerError, NodeLost
from ..events import DataRow, Diagnostic
from ..policy import DefaultTimeout, RestartPolicy, Timeout
from ..pool.failures import Poison
from ..results import StreamSummary
from ..sinks.commit import Rename, commit
from ..sinks.parts import PartFile, new_group, refusal, storing
from ..steps.waiting import Steps, offload
from ..wire.json_types import decode_text
from ..wire.requests import encode_request
from ..wire.row_types import RowTypes, undeclared
from ..worker.options import RequestOptions
from .node import pickled

if TYPE_CHECKING:
    from .member import Member

_T = TypeVar("_T")

calls = itertools.count(1)


class ClusterPoison:
    """Counts of the workers that each request has ended in a row, on all nodes. Threads may share it."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._poison = Poison(policy)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def watching(self, capability: Any, command: str, request: str, timeout: Timeout) -> Iterator[Ending]:
        """Refuse a request that has ended too many workers; else take note of how it ends.

        Raises:
            PoisonRequest: It has.
        """
        what = hashlib.blake2b(repr((capability, command, request, timeout)).encode(), digest_size=16).digest()
        with self._lock:
            self._poison.check(what, command)
        ending = Ending()
        try:
            yield ending
        except LeanWorkerError as error:
            ending.error = error
            raise
        finally:
            self._note(what, ending.error)

    def _note(self, what: bytes, error: LeanWorkerError | None) -> None:
        with self._lock:
            if error is not None and ended_worker(error) and not error.by_node:
                self._poison.killed(what, error)
            elif error is None or error.by_request:
                self._poison.survived(what)


class Ending:
    """End of a request: with an error, or without."""

    error: LeanWorkerError | None = None


class RemoteLease:
    """One place on a node, with a worker of its local pool in it."""

    def __init__(self, member: Member, place: int, on_end: Callable[[], None], key: Any, poison: ClusterPoison) -> None:
        self._member = member
        self._place = place
        self._on_end = on_end
        self._key = key
        self._poison = poison
        self._released = False
        self._spoilt = False

    @property
    def is_stale(self) -> bool:
        """Whether the node, or the worker on it, has ended."""
        return self._released or self._spoilt or self._member.is_lost

    def releasing(self) -> Steps[None]:
        """Give the place back."""
        if self._released:
            return
        self._released = True
        try:
            yield from offload(lambda: self._member.ask("release", self._place))
        except NodeLost:
            pass
        finally:
            self._on_end()

    def calling(self, command: JsonCommand[Any, Any], request: Any, options: RequestOptions) -> Steps[Any]:
        """See `LeaseCore.calling`."""
        text = encode_request(command.request, request, command.name)
        events: list[Any] = []

        def ask(call: int) -> Any:
            arguments = (self._place, call, command.name, text, _seconds(options.timeout))
            (ok, value), seen = self._member.ask("call", *arguments)
            events.extend(seen)
            if not ok:
                try:
                    raise value
                finally:
                    del value  # no cycle of an error, its traceback, and this frame
            return value

        try:
            text_of = yield from offload(
                lambda: self._guarded(options.cancel, ask, command.name, text, options.timeout)
            )
        except LeanWorkerError:
            _tell(options, events)  # they often say why it failed
            raise
        _tell(options, events)
        return decode_text(command.response, text_of, "response", command=command.name)

    def streaming(
        self, command: StreamingCommand[Any, Any, Any], request: Any, options: RequestOptions
    ) -> Steps[RemoteRows]:
        """See `LeaseCore.streaming`."""
        text = encode_request(command.request, request, command.name)
        return (yield from offload(lambda: RemoteRows(self, command, text, options)))

    def making_part(
        self,
        command: StreamingCommand[Any, Any, Any],
        request: str,
        folder: Path,
        timeout: Timeout,
        cancel: CancelToken | None,
        on_rows: Callable[[int], object] | None,
        format: PartFormat,
    ) -> Steps[Part]:
        """See `job.running_item`; the part is written on the node, into `folder` if the node shares it."""

        def make(call: int) -> Part:
            shared = self._member.shares(folder)
            home = str(folder) if shared else None
            row = pickled(command.row) if format == "parquet" else None
            arguments = (self._place, call, command.name, row, request, home, format, _seconds(timeout))
            answers = self._member.stream("part", *arguments)
            part = _last_of(answers) if shared else _brought_home(answers, part_path(folder, format))
            part = _with_typed_summary(part, command)
            if on_rows is not None:
                on_rows(part.rows)
            return part

        return (yield from offload(lambda: self._guarded(cancel, make, command.name, request, timeout)))

    def _guarded(
        self, cancel: CancelToken | None, run: Callable[[int], _T], command: str, request: str, timeout: Timeout
    ) -> _T:
        """Run a call of the node that the token stops; a lease whose worker may be gone is not used again."""
        call = next(calls)
        stop = lambda: self._member.tell("cancel", call)  # noqa: E731
        add_cancel_callback(cancel, stop)
        try:
            with self._poison.watching(self._key, command, request, timeout):
                return run(call)
        except LeanWorkerError as error:
            self.spoil(error)
            raise
        finally:
            remove_cancel_callback(cancel, stop)

    def spoil(self, error: LeanWorkerError) -> None:
        """The worker may have ended with this error."""
        self._spoilt = self._spoilt or error.ends_worker is not False


class RemoteRows:
    """The rows of one request on a node; see `Rows`."""

    def __init__(
        self,
        lease: RemoteLease,
        command: StreamingCommand[Any, Any, Any],
        request: str,
        options: RequestOptions,
    ) -> None:
        timeout = options.timeout
        self._lease = lease
        self._command = command
        self._options = options
        self._cancel = cancel = options.cancel
        self._call = next(calls)
        self._batch: list[tuple[str, int, bytes]] = []
        self._has_ended = False
        self._was_cut = False
        self._last: tuple[str, int] | None = None
        self._summary: StreamSummary[Any] | None = None
        self.rows_delivered = 0
        member = lease._member
        # A generator, which asks nothing of the node before its first answer is wanted.
        self._answers = member.stream("stream", lease._place, self._call, command.name, request, _seconds(timeout))
        self._watch = contextlib.ExitStack()
        watching = lease._poison.watching(lease._key, command.name, request, timeout)
        self._ending = self._watch.enter_context(watching)
        add_cancel_callback(cancel, self._stop)

    def receiving(self) -> Steps[bool]:
        """See `Rows.receiving`."""
        return (yield from offload(self._receive))

    def _receive(self) -> bool:
        events: list[Any] = []
        try:
            what, (content, events) = next(self._answers)
            if self._was_cut and (what == "summary" or (what == "error" and content.by_caller)):
                # The node may have sent all rows before it heard of the token; the caller did not get them all.
                events = []
                raise self._cancelled()
            if what == "error":
                try:
                    raise content
                finally:
                    del content  # no cycle of an error, its traceback, and this frame
        except LeanWorkerError as error:
            error.add_facts(rows_delivered=self.rows_delivered)
            self._lease.spoil(error)
            self._ending.error = error
            self._leave()
            _tell(self._options, events)  # they often say why it failed
            raise
        _tell(self._options, events)
        if what == "rows":
            self._batch = content
            return True
        self._leave()
        text = content.metadata
        facts = {"command": self._command.name, "rows_delivered": self.rows_delivered, "entered_worker": True}
        metadata = None if text is None else decode_text(self._command.summary, text, "summary", **facts)
        self._summary = dataclasses.replace(content, metadata=metadata)
        return False

    def _cancelled(self) -> Cancelled:
        stream, sequence = self._last or (None, None)
        return Cancelled(
            f"running {self._command.name}: cancelled by the caller",
            command=self._command.name,
            stream=stream,
            sequence=sequence,
            rows_delivered=self.rows_delivered,
            entered_worker=True,
        )

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._values()
        except LeanWorkerError as error:  # of a row that is not of its type
            error.add_facts(rows_delivered=self.rows_delivered, entered_worker=True)
            raise

    def _values(self) -> Iterator[Any]:
        declared, name = self._command.row, self._command.name
        types = declared if isinstance(declared, RowTypes) else None
        batch, self._batch = self._batch, []
        for stream, sequence, text in batch:
            if self._cancel is not None and self._cancel.is_cancelled:
                self._was_cut = True
                return  # the end of the stream says so
            if types is not None and stream not in types:
                raise undeclared(name, types, stream, sequence)
            kind = declared if types is None else types[stream]
            value: Any = text
            if kind is not bytes:
                value = decode_text(kind, text, "row", command=name, stream=stream, sequence=sequence)
            if kind is None:
                value = DataRow(stream, sequence, value, text)
            self.rows_delivered += 1
            self._last = stream, sequence
            yield (stream, value) if types is not None and types.is_tagged else value

    def closing(self, error: BaseException | None = None) -> Steps[None]:
        """Stop the request, and wait until the node has."""
        yield from offload(self._close)

    def _close(self) -> None:
        if self._has_ended:
            return
        self._stop()
        try:
            for what, (content, _) in self._answers:
                if what == "error":
                    self._lease.spoil(content)
        except NodeLost:
            pass
        self._leave()

    def _stop(self) -> None:
        self._lease._member.tell("cancel", self._call)

    def _leave(self) -> None:
        self._has_ended = True
        self._watch.close()
        remove_cancel_callback(self._cancel, self._stop)

    @property
    def summary(self) -> StreamSummary[Any]:
        """The summary of a stream that ended in success."""
        assert self._summary is not None
        return self._summary


def _seconds(timeout: Timeout) -> dict[str, float | None]:
    return {} if isinstance(timeout, DefaultTimeout) else {"timeout": timeout}


def _tell(options: RequestOptions, events: list[Any]) -> None:
    for event in events:
        callback: Any = options.on_diagnostic if isinstance(event, Diagnostic) else options.on_progress
        if callback is not None:
            result_of("on_diagnostic" if isinstance(event, Diagnostic) else "on_progress", callback(event))


def _with_typed_summary(part: Part, command: StreamingCommand[Any, Any, Any]) -> Part:
    """The part with the summary as the declared type writes it, as that of a local pool; a wrong one refuses it."""
    if part.metadata == "null":
        return part
    try:
        facts = {"command": command.name, "rows_delivered": part.rows, "entered_worker": True}
        summary = decode_text(command.summary, part.metadata.encode(), "summary", **facts)
    except BaseException:
        Path(part.path).unlink(missing_ok=True)
        raise
    return dataclasses.replace(part, metadata=summary_text(summary))


def _last_of(answers: Iterator[tuple[str, Any]]) -> Part:
    part: Part | None = None
    for what, value in answers:
        if what == "error":
            try:
                raise value
            finally:
                del value  # no cycle of an error, its traceback, and this frame
        part = value
    assert part is not None, "a part comes before the end"
    return part


def _brought_home(answers: Iterator[tuple[str, Any]], path: Path) -> Part:
    """The part whose bytes come from a node, as a file of this machine; they are those that were written there."""
    group = new_group()
    copy = PartFile(path, group, 1)
    digest = hashlib.sha256()
    try:
        part: Part | None = None
        for what, value in answers:
            if what == "error":
                try:
                    raise value
                finally:
                    del value  # no cycle of an error, its traceback, and this frame
            if what == "bytes":
                digest.update(value)
                with storing("writing", path):
                    copy.write(value)
            else:
                part = value
        if part is None or (part.size_bytes, part.digest) != (copy.size_bytes, digest.hexdigest()):
            why = f"{copy.size_bytes} bytes came from the node, and they are not those of the part that it wrote"
            raise refusal("writing", path, why, "Run the job again.")
        copy.finish(copy.size_bytes)
        commit(group, [Rename(copy)])
        return dataclasses.replace(part, path=str(path))
    finally:
        copy.discard()
