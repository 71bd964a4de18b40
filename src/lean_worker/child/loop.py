"""The child's request loop: from the handshake to `terminate`.

Frames, message shapes, health checks and refusals are private. A host maps a command's name to code, and calls exactly
one `reply_*` for each command that `next_command` returned.

One thread reads requests all the time, even while a command runs, so that a `cancel` and the death of the parent are
noticed at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

import msgspec

try:
    from _queue import SimpleQueue  # what `queue` has under this name, with modules that nothing else here needs
except ImportError:
    from queue import SimpleQueue

from ..base.arguments import shortened
from ..errors import LeanWorkerError, UnexpectedMessage
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import (
    DEFAULT_FRAME_BYTES,
    MAX_FRAME_BYTES,
    MIN_FRAME_BYTES,
    STATUS_CLOSED,
    STATUS_MALFORMED,
    STATUS_OK,
    FrameReader,
    RowWriter,
    is_json,
)
from . import process_end

_READ_BYTES = 65_536
_PREFIX_BYTES = 4
_JSON_DEPTH = 1024
_TERMINAL_DEPTH = 512
# The reader of a lean-rs parent gives up at 128 levels, of which the response's own take a few.
_LEAN_RS_TERMINAL_DEPTH = 120


class SessionRefused(Exception):
    """The session that was asked for is not the one that this worker can serve."""


class Command(msgspec.Struct, frozen=True):
    """One command to run: `kind` is "stream", "json", "metadata" or "doctor"."""

    kind: str
    export: str
    request_json: str
    started_ns: int


_NAMES_TOLD = 50
_TRACEBACK_CHARACTERS = 8192
_MESSAGE_KEPT = 2000
"""Characters of an error's message and of its traceback where both do not fit into a frame, 64 KiB at least."""


class Session(Protocol):
    """Protocol of a host that can open a session."""

    def open(self, wanted: protocol.OpenHostSession) -> protocol.ImportStats:
        """Open the session and return its import statistics.

        Raises:
            SessionRefused: It is not what this worker was started with.
        """
        ...


class NoImports:
    """The session of a host that imports no Lean modules."""

    def open(self, wanted: protocol.OpenHostSession) -> protocol.ImportStats:
        """See `Session.open`."""
        if wanted.imports or isinstance(wanted.mode, protocol.ShimsMode):
            raise SessionRefused("this worker hosts no Lean: it has neither imports nor shims")
        return protocol.ImportStats(direct_import_names=[])


class RequestLoop:
    """The conversation with the parent over two descriptors; not for use from several threads but where said.

    Args:
        requests_fd: Where the parent's frames come from; its end ends the process.
        writer: The writer of every frame that leaves; shared with the code that emits rows.
        version: The package version that the handshake names.
        ring: What `RowWriter.attach_ring` needs, if the parent offers a ring.

    Attributes:
        session: Gives who answers a parent that wants a session with imports; by default there are none to be had.
    """

    def __init__(
        self, requests_fd: int, writer: RowWriter, version: str, ring: tuple[int, int, int, int] | None = None
    ) -> None:
        self._requests_fd = requests_fd
        self._writer = writer
        self._version = version
        self._ring = ring
        self.session: Callable[[], Session] = NoImports
        self._opened: set[bytes] = set()
        self._inbox: SimpleQueue[Message | LeanWorkerError] = SimpleQueue()
        self._limit_announced = threading.Event()
        self._cancel_requested = False
        self._cancel_callback: Callable[[], None] | None = None
        # Started before the host's own start-up, so that a parent that dies meanwhile is noticed.
        threading.Thread(target=self._read_requests, name="lean-worker-requests", daemon=True).start()

    # -- the host's side --

    def open(self) -> None:
        """Tell the parent that the host is ready, and take over the frame limit that it announces."""
        features = [protocol.FEATURE_CANCEL]
        attach: Callable[..., bool] | None = getattr(self._writer, "attach_ring", None)  # the pure writer has none
        if self._ring is not None and attach is not None:
            features.append(protocol.FEATURE_RING)
        self._send(protocol.Handshake(self._version, protocol.PROTOCOL_VERSION, features))
        if self._ring is not None and attach is not None and not attach(*self._ring):
            _lose_channel("the memory of the ring cannot be mapped")
        self._limit_announced.wait()

    @property
    def is_cancelled(self) -> bool:
        """Whether the parent has cancelled the running command; from any thread."""
        return self._cancel_requested

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the parent cancels, for a host that waits for something else than a row.

        It runs on the thread that reads requests, must be short, and may come before `next_command` has returned the
        command that it is meant for: look at `is_cancelled` when that one begins.
        """
        self._cancel_callback = callback

    def next_command(self) -> Command | None:
        """Wait for the next command; everything that is no command is answered here.

        Returns:
            The command, or None after `terminate`: the host then returns and the process ends with exit code 0.
        """
        while True:
            process_end.collect_orphans()
            message = self._inbox.get()
            if isinstance(message, LeanWorkerError):
                _lose_channel(message.text)
            if message.type != "request":
                text = f"a {shortened(message.type)!r} message has no place here: expected a request"
                self._send(protocol.ErrorResponse(protocol.CODE_UNEXPECTED_FRAME, text))
                continue
            try:
                request = protocol.decode(message)
            except UnexpectedMessage as error:
                op = shortened(str(error.facts["op"]))
                text = f"this row worker does not serve the request {op!r}: {error.text}"
                self._send(protocol.ErrorResponse(protocol.CODE_UNSUPPORTED, text))
                continue
            if isinstance(request, protocol.Health):
                self._send(protocol.HealthOk())
            elif isinstance(request, protocol.OpenHostSession):
                self._open_session(request)
            elif isinstance(request, protocol.Terminate):
                self._send(protocol.Terminating())
                return None
            else:
                return self._begin(request)

    def reply_ok(self, command: Command, terminal_json: str, *, may_be_empty: bool = True) -> None:
        """End `command` in success.

        Args:
            command: What `next_command` gave.
            terminal_json: The JSON text it answers; for a stream its summary's metadata, "" for none.
            may_be_empty: Whether a stream of no rows is one; if not, and there is an answer, it is refused.
        """
        if command.kind == "stream":
            self._finish_stream(command, terminal_json, may_be_empty)
        elif command.kind == "json":
            self._send_or_shrink(protocol.JsonResult(terminal_json))
        elif command.kind == "metadata":
            self._reply_envelope(
                terminal_json, protocol.MetadataEnvelope, protocol.MetadataResult, protocol.MetadataMalformed
            )
        else:
            self._reply_envelope(
                terminal_json, protocol.DoctorEnvelope, protocol.DoctorResult, protocol.DoctorMalformed
            )

    def reply_failed(self, command: Command, code: str, message: str, *, traceback: str = "") -> None:
        """End `command` with the hosted code's own failure; a row failure that came first is reported instead."""
        if not self._reply_row_failure(command):
            # Hosted Python code may word its failure with what has no UTF-8 form.
            text = message.encode("utf-8", "backslashreplace").decode()
            trace = traceback[-_TRACEBACK_CHARACTERS:].encode("utf-8", "backslashreplace").decode()
            self._send_or_shrink(protocol.ErrorResponse(code, text, traceback=trace))

    def reply_status(self, command: Command, status: int) -> None:
        """End `command` with a failure that the hosted code gives as a number, 1 to 255."""
        if not self._reply_row_failure(command):
            self._send(protocol.StreamExportFailed(status))

    def reply_malformed(self, command: Command, message: str) -> None:
        """End `command`: what the hosted code emitted for a row is none; `message` says which and why."""
        self._writer.finish()
        self._send_or_shrink(protocol.StreamRowMalformed(message))

    def reply_unknown(self, command: Command, names: Iterable[str]) -> None:
        """End `command`: the host has none of that name, but those of `names`."""
        self._writer.finish()
        text = f"no command {shortened(command.export)!r} is hosted here"
        known = [shortened(name.encode("utf-8", "backslashreplace").decode()) for name in names][:_NAMES_TOLD]
        text += f"; there are: {', '.join(known)}" if known else "; there are none"
        self._send_or_shrink(protocol.ErrorResponse(protocol.CODE_UNKNOWN_COMMAND, text, commands=known))

    # -- how commands end --

    def _open_session(self, request: protocol.OpenHostSession) -> None:
        try:
            stats = self.session().open(request)
        except SessionRefused as refusal:
            self._send(protocol.ErrorResponse(protocol.CODE_SESSION_MISMATCH, str(refusal)))
            return
        # All sessions of this worker are one: whatever was opened before is still there.
        key = msgspec.json.encode(request)
        answer = protocol.HostSessionReused if key in self._opened else protocol.HostSessionOpened
        self._opened.add(key)
        self._send_or_shrink(answer(stats))

    def _begin(self, request: Any) -> Command:
        kinds: dict[type, str] = {
            protocol.RunDataStream: "stream",
            protocol.RunJsonCommand: "json",
            protocol.CapabilityMetadata: "metadata",
            protocol.CapabilityDoctor: "doctor",
        }
        kind = kinds[type(request)]
        self._writer.begin(kind == "stream" and request.progress)
        if kind != "stream":
            # A command without rows may still send events, and be cancelled.
            self._writer.finish()
        # A cancel can overtake its own request on the way from the reading thread to here.
        if self._cancel_requested:
            self._writer.cancel()
        return Command(kind, request.export, request.request_json, time.monotonic_ns())

    def _finish_stream(self, command: Command, metadata_json: str, may_be_empty: bool) -> None:
        metadata = metadata_json.strip().encode("utf-8", "surrogatepass") or b"null"
        refusal = _why_unreadable(metadata, self._terminal_depth)
        if refusal is not None:
            self._writer.finish()
            text = f"summary metadata {refusal}: it starts with {metadata_json[:40]!r}"
            self._send(protocol.StreamRowMalformed(text))
            return
        total_rows, counts, failure, status = self._writer.finish()
        if status != STATUS_OK:
            self._send_row_failure(status, failure)
            return
        if total_rows == 0 and not may_be_empty and metadata_json.strip():
            text = (
                f"{shortened(command.export)!r} answered and emitted no row: run it as a JSON command, "
                "or say `emits := Bool.true` where it is defined if it may have no rows"
            )
            self._send(protocol.ErrorResponse(protocol.CODE_WRONG_KIND, text))
            return
        elapsed_micros = (time.monotonic_ns() - command.started_ns) // 1000
        summary = protocol.WireSummary(total_rows, dict(sorted(counts.items())), elapsed_micros, msgspec.Raw(metadata))
        self._send_or_shrink(protocol.StreamComplete(summary))

    def _reply_row_failure(self, command: Command) -> bool:
        if command.kind != "stream":
            return False
        _, _, failure, status = self._writer.finish()
        if status == STATUS_OK:
            return False
        self._send_row_failure(status, failure)
        return True

    def _send_row_failure(self, status: int, failure: str | None) -> None:
        if status == STATUS_CLOSED:
            _lose_channel(failure or "the parent closed the frame pipe")
        if status == STATUS_MALFORMED:
            self._send(protocol.StreamRowMalformed(failure or "malformed row"))
        else:
            self._send(protocol.ErrorResponse(protocol.CODE_FRAME_TOO_LARGE, failure or "row frame too large"))

    def _reply_envelope(self, text: str, shape: type, result: type, malformed: type) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        try:
            msgspec.json.decode(raw, type=shape)
            refusal = _why_unreadable(raw, self._terminal_depth)
            if refusal is not None:
                raise msgspec.DecodeError(refusal)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._send_or_shrink(malformed(str(error)))
        else:
            self._send_or_shrink(result(msgspec.Raw(raw.strip())))

    @property
    def _terminal_depth(self) -> int:
        """Nesting limit for the JSON of a terminal response. The parent may be lean-rs if it opened a session."""
        return _LEAN_RS_TERMINAL_DEPTH if self._opened else _TERMINAL_DEPTH

    # -- frames --

    def _send_or_shrink(self, response: protocol.Response) -> None:
        body = msgspec.json.encode(response)
        limit = self._writer.limit_bytes
        # The envelope around the body is short and of constant length; leave room for it.
        if len(body) + 64 > limit and isinstance(response, protocol.ErrorResponse):
            # It says why something failed: its beginning is worth more than that it was long.
            text = f"{response.message[:_MESSAGE_KEPT]}… ({len(response.message)} characters in all)"
            trace = response.traceback[-_MESSAGE_KEPT:]
            response = protocol.ErrorResponse(response.code, text, commands=response.commands, traceback=trace)
        elif len(body) + 64 > limit:
            text = f"worker response frame too large: {len(body)} bytes exceeds {limit}"
            response = protocol.ErrorResponse(protocol.CODE_FRAME_TOO_LARGE, text)
        self._send(response)

    def _send(self, message: msgspec.Struct) -> None:
        status = self._writer.message(protocol.message_type(message), msgspec.json.encode(message))
        if status == STATUS_CLOSED:
            _lose_channel("the parent closed the frame pipe")

    def _read_requests(self) -> None:
        try:
            self._serve_requests()
        except LeanWorkerError as error:
            self._inbox.put(error)
            # A host that never asks for a command again must not outlive a broken channel.
            _lose_channel(error.text)
        except BaseException as error:
            # Hosted code may have closed the descriptor, or memory may be gone: nobody would notice the parent's end.
            _lose_channel(f"reading requests failed: {error!r}")

    def _serve_requests(self) -> None:
        first = self._read_first_frame()
        limit = protocol.decode(first)
        if not isinstance(limit, protocol.ConfigureFrameLimit):
            _lose_channel(f"expected configure_frame_limit after the handshake, got {first.type!r}")
        if not MIN_FRAME_BYTES <= limit.max_frame_bytes <= MAX_FRAME_BYTES:
            _lose_channel(
                f"expected a frame limit from {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES} bytes, "
                f"got {shortened(str(limit.max_frame_bytes))}"
            )
        self._writer.limit_bytes = limit.max_frame_bytes
        self._limit_announced.set()
        reader = FrameReader(limit.max_frame_bytes)
        while True:
            for message in reader.take():
                if isinstance(message, Message) and message.type == "cancel":
                    self._cancel_requested = True
                    self._writer.cancel()
                    if self._cancel_callback is not None:
                        self._cancel_callback()
                else:
                    # The parent sends nothing new before the last request ended, so a cancel seen so far is spent.
                    self._cancel_requested = False
                    self._inbox.put(message if isinstance(message, Message) else Message("data_row", b"{}"))
            reader.feed(self._read(_READ_BYTES))

    def _read_first_frame(self) -> Message:
        """Read exactly one frame, at the default limit: its content sets the limit for those after it."""
        reader = FrameReader(DEFAULT_FRAME_BYTES)
        prefix = self._read_exactly(_PREFIX_BYTES)
        reader.feed(prefix)
        reader.take()
        reader.feed(self._read_exactly(int.from_bytes(prefix, "big")))
        (message,) = reader.take()
        if not isinstance(message, Message):
            _lose_channel("expected configure_frame_limit after the handshake, got a row")
        return message

    def _read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += self._read(count - len(data))
        return bytes(data)

    def _read(self, count: int) -> bytes:
        data = os.read(self._requests_fd, count)
        if not data:
            _lose_channel("the parent closed the request pipe")
        return data


def _why_unreadable(text: bytes, depth: int) -> str | None:
    """Tell why a terminal's JSON text cannot travel in a response, which its reader decodes in full; None if it can."""
    if not is_json(text):
        return "is not valid JSON"
    levels_left = _JSON_DEPTH - depth
    if not is_json(b"[" * levels_left + text + b"]" * levels_left):
        return f"is nested deeper than {depth} levels"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return f"has no reading: {error}"
    return None


def _lose_channel(why: str) -> NoReturn:
    process_end.say(f"{why}; exiting")
    process_end.end(protocol.EXIT_CHANNEL_LOST)
