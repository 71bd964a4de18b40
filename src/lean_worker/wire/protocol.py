"""Messages of wire protocol 10 that the row worker uses, as typed structs.

Their canonical spelling is compact JSON with keys in this order and absent values as null. `frames` handles frames
(length prefix, envelope, data rows).

The shapes are those of lean-rs 0.7.3, so that its parent can drive our child and our parent its child. Three additions
are made in ways that such peers ignore: the handshake body can contain `features`, a parent sends `cancel` only to a
child that named this feature, and an environment variable can offer a ring. Unknown keys are ignored.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from ..base.arguments import shortened
from ..base.deferred import Deferred
from ..errors import UnexpectedMessage
from .envelope import Message
from .frames import DEFAULT_FRAME_BYTES, MAX_FRAME_BYTES, MIN_FRAME_BYTES, PROTOCOL_VERSION, encode_message

if TYPE_CHECKING:
    import orjson
else:
    orjson = Deferred("orjson")

__all__ = ["DEFAULT_FRAME_BYTES", "MAX_FRAME_BYTES", "MIN_FRAME_BYTES", "PROTOCOL_VERSION"]

STREAM = "rows"
"""The stream of rows that name none."""

FEATURE_CANCEL = "cancel"
"""The child stops the running command at its next row, diagnostic or progress call when a `cancel` message comes."""

FEATURE_RING = "ring"
"""The child takes the offer of RING_VARIABLE: all its frames after the handshake come through the ring."""

RING_VARIABLE = "LEAN_WORKER_RING"
"""Environment variable that offers a ring: three descriptors and its size.

They are its memory, the writing end of the pipe that wakes the parent, and the reading end of the one that wakes the
child.
"""

TREE_VARIABLE = "LEAN_WORKER_TREE"
"""Environment variable that marks a worker and all that it starts, with a text that no other worker has."""

HOLDERS_FILE = "holders.json"
"""File in a worker's temporary directory that lists the holders of a worker that checks files.

A list of {"pid": n, "imports": […], "served": n}; replaced as a whole. It is a report for people.
"""

CODE_UNSUPPORTED = "lean_rs.unsupported"
CODE_UNEXPECTED_FRAME = "lean_rs.worker.protocol.unexpected_frame"
CODE_REQUEST_REFUSED = "lean_worker.request"
"""The request does not fit what the host takes; the hosted code was not run."""
CODE_WRONG_KIND = "lean_worker.kind"
"""The command is of the other kind: rows were asked of one that answers, or an answer of one that emits."""
CODE_UNKNOWN_COMMAND = "lean_rs.worker.checked_binding"
CODE_FRAME_TOO_LARGE = "lean_rs.worker.output_frame_too_large"
CODE_CANCELLED = "lean_rs.cancelled"
CODE_COMMAND_FAILED = "lean_worker.command_failed"
CODE_PROGRAM_NOT_STARTED = "lean_worker.program.not_started"
CODE_PROGRAM_EXIT = "lean_worker.program.exit."
"""The exit code of the hosted program follows."""
CODE_PROGRAM_SIGNAL = "lean_worker.program.signal."
"""The name of the signal that ended the hosted program follows."""
CODE_SESSION_MISMATCH = "lean_worker.session_mismatch"

EXIT_CHANNEL_LOST = 1
"""The child's exit code when its parent is gone or spoke no protocol."""
EXIT_HOST_FAILED = 70
"""The child's exit code when what it should host cannot be hosted; stderr says why."""
EXIT_HOST_RETURNED = 71
"""The child's exit code when the hosted program ended although nobody asked it to."""


# -- messages outside requests --


class Handshake(msgspec.Struct, frozen=True):
    worker_version: str
    protocol_version: int
    features: list[str] = []


class ConfigureFrameLimit(msgspec.Struct, frozen=True):
    max_frame_bytes: int


class Cancel(msgspec.Struct, frozen=True):
    """Asks the child to stop the running command at its next row; has no answer of its own."""


class DiagnosticBody(msgspec.Struct, frozen=True):
    code: str
    message: str


class ProgressBody(msgspec.Struct, frozen=True):
    phase: str
    current: int
    total: int | None = None


# -- requests: `op` names the shape --


class Request(msgspec.Struct, frozen=True, tag_field="op"):
    """Base of everything a parent can ask of a child."""


class Health(Request, frozen=True, tag="health"):
    pass


class Terminate(Request, frozen=True, tag="terminate"):
    pass


class RunDataStream(Request, frozen=True, tag="run_data_stream"):
    export: str
    request_json: str
    progress: bool = False


class CapabilityMetadata(Request, frozen=True, tag="capability_metadata"):
    export: str
    request_json: str


class CapabilityDoctor(Request, frozen=True, tag="capability_doctor"):
    export: str
    request_json: str


class RunJsonCommand(Request, frozen=True, tag="json_command"):
    export: str
    request_json: str


class CapabilityMode(msgspec.Struct, frozen=True, tag_field="kind", tag="capability"):
    package: str
    lib_name: str
    manifest_path: str | None = None


class ShimsMode(msgspec.Struct, frozen=True, tag_field="kind", tag="shims_only"):
    """Only what the child itself offers, no capability of a project's."""


class OpenHostSession(Request, frozen=True, tag="open_host_session"):
    project_root: str
    mode: CapabilityMode | ShimsMode
    imports: list[str]
    import_profile: str = "private"


AnyRequest = (
    Health | Terminate | RunDataStream | CapabilityMetadata | CapabilityDoctor | RunJsonCommand | OpenHostSession
)


# -- responses: `status` names the shape; exactly one ends a request --


class Response(msgspec.Struct, frozen=True, tag_field="status"):
    """Base of everything that can end a request."""


class HealthOk(Response, frozen=True, tag="health_ok"):
    pass


class Terminating(Response, frozen=True, tag="terminating"):
    pass


class JsonResult(Response, frozen=True, tag="json_command"):
    response_json: str


class WireSummary(msgspec.Struct, frozen=True):
    total_rows: int
    per_stream_counts: dict[str, int]
    elapsed_micros: int
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class StreamComplete(Response, frozen=True, tag="stream_complete"):
    summary: WireSummary


class StreamExportFailed(Response, frozen=True, tag="stream_export_failed"):
    status_byte: int


class StreamCallbackFailed(Response, frozen=True, tag="stream_callback_failed"):
    status_byte: int
    description: str


class StreamRowMalformed(Response, frozen=True, tag="stream_row_malformed"):
    message: str


class MetadataResult(Response, frozen=True, tag="capability_metadata"):
    metadata: msgspec.Raw


class DoctorResult(Response, frozen=True, tag="capability_doctor"):
    report: msgspec.Raw


class MetadataMalformed(Response, frozen=True, tag="capability_metadata_malformed"):
    message: str


class DoctorMalformed(Response, frozen=True, tag="capability_doctor_malformed"):
    message: str


class ImportStats(msgspec.Struct, frozen=True):
    """Statistics of a session's imports; a figure that the child does not know is 0."""

    direct_import_names: list[str]
    effective_module_count: int = 0
    compacted_region_count: int = 0
    memory_mapped_region_count: int = 0
    compacted_region_bytes: int = 0
    memory_mapped_region_bytes: int = 0
    non_memory_mapped_region_bytes: int = 0
    imported_bytes: int = 0
    imported_constant_count: int = 0
    extension_count: int = 0
    total_imported_extension_entries: int = 0
    import_level: str = "private"
    import_all: bool = False
    load_exts: bool = True


class HostSessionOpened(Response, frozen=True, tag="host_session_opened"):
    import_stats: ImportStats


class HostSessionReused(Response, frozen=True, tag="host_session_reused"):
    import_stats: ImportStats


class ErrorResponse(Response, frozen=True, tag="error", omit_defaults=True):
    """A failure in words.

    Two keys are ours: names of the commands that there are, and the traceback of a function; other peers ignore them.
    """

    code: str
    message: str
    commands: list[str] = []
    traceback: str = ""


AnyResponse = (
    HealthOk
    | Terminating
    | JsonResult
    | StreamComplete
    | StreamExportFailed
    | StreamCallbackFailed
    | StreamRowMalformed
    | MetadataResult
    | DoctorResult
    | MetadataMalformed
    | DoctorMalformed
    | HostSessionOpened
    | HostSessionReused
    | ErrorResponse
)


# -- what the hosted code's metadata and doctor commands answer --


class NamedVersion(msgspec.Struct, frozen=True):
    """A name and its version."""

    name: str
    version: str


class MetadataEnvelope(msgspec.Struct, frozen=True):
    """Answer of a metadata command: commands and capabilities, each with its version."""

    commands: list[NamedVersion]
    capabilities: list[NamedVersion]
    lean_version: str | None = None
    extra: Any = None


class DoctorFinding(msgspec.Struct, frozen=True):
    """One finding of a doctor command; `severity` is "pass", "warning" or "error"."""

    severity: str
    code: str
    message: str
    details: Any = None

    def __post_init__(self) -> None:
        if self.severity not in ("pass", "warning", "error"):
            raise ValueError(f"unknown severity {self.severity!r}: expected pass, warning or error")


class DoctorEnvelope(msgspec.Struct, frozen=True):
    """Answer of a doctor command: findings, and more of its own."""

    diagnostics: list[DoctorFinding]
    metadata: Any = None


# -- struct to frame, message to struct --

_MESSAGE_TYPES: dict[type, str] = {
    Handshake: "handshake",
    ConfigureFrameLimit: "configure_frame_limit",
    Cancel: "cancel",
    DiagnosticBody: "diagnostic",
    ProgressBody: "progress_tick",
}
_SHAPES: dict[str, Any] = {name: shape for shape, name in _MESSAGE_TYPES.items()}
_SHAPES |= {"request": AnyRequest, "response": AnyResponse}

_LONG_TEXT = 4096
"""Characters from which orjson, which escapes long texts faster, is worth a dictionary."""


class _OpOnly(msgspec.Struct):
    op: str


def message_type(value: msgspec.Struct) -> str:
    """The `type` under which `value` travels."""
    if isinstance(value, Request):
        return "request"
    if isinstance(value, Response):
        return "response"
    return _MESSAGE_TYPES[type(value)]


def encode(value: msgspec.Struct, limit_bytes: int = DEFAULT_FRAME_BYTES) -> bytes:
    """One whole frame for `value`.

    Raises:
        FrameTooLarge: The body is larger than `limit_bytes`.
    """
    return encode_message(message_type(value), _body_of(value), limit_bytes)


def _body_of(value: msgspec.Struct) -> bytes:
    texts = (value.request_json,) if isinstance(value, RunJsonCommand | RunDataStream) else ()
    texts = (value.response_json,) if isinstance(value, JsonResult) else texts
    if any(len(text) > _LONG_TEXT for text in texts):
        try:
            return orjson.dumps(msgspec.to_builtins(value))
        except orjson.JSONEncodeError:
            pass  # a lone surrogate, which msgspec refuses by name
    return msgspec.json.encode(value)


def decode(message: Message) -> Any:
    """The struct that `message` carries.

    Raises:
        UnexpectedMessage: No message of this type or shape belongs to the protocol. For a request whose `op` alone is
            unknown the fact `op` names it, so that a child can answer and live on.
    """
    if message.type not in _SHAPES:
        raise UnexpectedMessage(
            f"reading a protocol message: no message type {shortened(message.type)!r} is known",
            side="remote",
            type=message.type,
        )
    try:
        return _decoder(message.type).decode(message.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedMessage(
            f"reading a protocol message: a {message.type!r} message has the wrong shape: {shortened(str(error))}",
            side="remote",
            type=message.type,
            op=_op_of(message) if message.type == "request" else None,
        ) from error


@functools.cache
def _decoder(name: str) -> msgspec.json.Decoder[Any]:
    # Made when it is first needed: the one for responses takes 0.7 ms, and a child reads none.
    return msgspec.json.Decoder(_SHAPES[name])


def _op_of(message: Message) -> str | None:
    try:
        return msgspec.json.decode(message.body, type=_OpOnly).op
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
