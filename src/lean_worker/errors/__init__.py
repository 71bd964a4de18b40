"""Every error lean-worker raises, grouped by what the caller can do next.

Owns the class tree, the facts each class carries, and what a failure means for its worker and for a retry; `root` has
the base, and how all is worded. The layer that meets a failure chooses the class; nobody else looks at classes to
decide what follows from one.

    LeanWorkerError
      UsageError              fix the call
        ClusterTooSmall         the nodes of a cluster have less than was asked for
      CapabilityError         what should be hosted cannot be: script, toolchain, extra or program
        MissingExtra            an optional part of lean-worker is not installed
        ToolchainMissing        the Lean that is asked for is not installed; nothing is downloaded
        BuildFailed             `lake build` failed or took too long
        ModuleRefused           a module that the script imports is missing, foreign, damaged or imports itself
        MetadataMismatch        the hosted code is not what the caller declared it to be
        NodeMismatch            a node of the cluster has another Lean, or another release of lean-worker
      AdmissionError          the request never entered a worker: safe to retry
        PoolFull  QueueTimeout  MemoryBudgetExceeded  ResourceExhausted
      RequestLost             the request entered a worker and its rows were tentative: retry if it is idempotent
        RequestTimeout  Cancelled  ChildExited  MemoryLimitExceeded  StaleLease  NodeLost
      CommandFailed           the hosted code said no: a verdict, not an infrastructure failure
        UnknownCommand          the worker hosts no command of that name
        RowMalformed            the hosted code emitted a row that is not JSON
      DecodeError             a request, row, response or summary is not of the declared type
      SinkError               rows could not be stored; nothing of them is visible
      ProtocolError           a named side broke the wire protocol
        FrameTooLarge  VersionMismatch  MalformedFrame  SequenceGap  SummaryMismatch  UnexpectedMessage
      JobIncomplete           not every item of a job is done
      PlanningError           a project or one of its modules cannot be planned: fix the file that is named
        LakefileError           the lakefile is broken, or holds a value that only Lake can work out
        InvalidModuleName       text, or a file's path, that is no module name
        HeaderError             Lean's own parser refuses a module's header
        ModuleMissing           a module that is imported, or named by the lakefile, does not exist
        ImportCycle             modules import each other in a circle
      RestartLimitExceeded    workers of this kind keep failing: none is started for now
      PoisonRequest           this request keeps ending workers: it is refused

Each error says what was being done, what was expected, what came, where, and one hint. The same facts are attributes
of the error, declared by its class; `facts` has those that are known of this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from .root import LeanWorkerError, Retry

__all__ = [
    "AdmissionError",
    "BuildFailed",
    "Cancelled",
    "CapabilityError",
    "ChildExited",
    "ClusterTooSmall",
    "CommandFailed",
    "DecodeError",
    "FrameTooLarge",
    "HeaderError",
    "ImportCycle",
    "InvalidModuleName",
    "JobIncomplete",
    "LakefileError",
    "LeanWorkerError",
    "MalformedFrame",
    "MemoryBudgetExceeded",
    "MemoryLimitExceeded",
    "MetadataMismatch",
    "MissingExtra",
    "ModuleMissing",
    "ModuleRefused",
    "NodeLost",
    "NodeMismatch",
    "PlanningError",
    "PoisonRequest",
    "PoolFull",
    "ProtocolError",
    "QueueTimeout",
    "RecoveryError",
    "RequestLost",
    "RequestTimeout",
    "ResourceExhausted",
    "RestartLimitExceeded",
    "RowMalformed",
    "SequenceGap",
    "SinkError",
    "StaleLease",
    "SummaryMismatch",
    "ToolchainMissing",
    "UnexpectedMessage",
    "UnknownCommand",
    "UsageError",
    "VersionMismatch",
]


class UsageError(LeanWorkerError):
    """The call itself is wrong: a released lease, a limit out of range, a closed pool.

    Facts: `entered_worker` is True if the request ran: rows came on several `streams`, for which a sink has no place.
    """

    concerns_all: ClassVar[bool] = True
    by_caller: ClassVar[bool] = True
    streams: Sequence[str] = ()


class ClusterTooSmall(UsageError):
    """Too few nodes of a cluster have what each was to have.

    Facts: `asked` (`cpus`, `memory_bytes`), and `nodes`: for each that lives `node`, `address`, `cpus`, `memory_bytes`.
    """

    asked: Mapping[str, object] = MappingProxyType({})
    nodes: Sequence[Mapping[str, object]] = ()


class CapabilityError(LeanWorkerError):
    """A capability cannot be hosted; the text holds the words of whoever refused it."""

    concerns_all: ClassVar[bool] = True
    report_code: str = "cannot_be_hosted"
    toolchain: str | None = None
    project: str | None = None
    stderr_tail: str | None = None


class MissingExtra(CapabilityError):
    """An optional part of lean-worker is needed and not installed; the hint names the extra."""

    report_code: str = "extra_missing"
    extra: str | None = None


class ToolchainMissing(CapabilityError):
    """There is no Lean, or the one that is asked for is not installed: `toolchain`, `asked_by`; see the hint."""

    report_code: str = "toolchain_missing"
    asked_by: str | None = None


class BuildFailed(CapabilityError):
    """`lake build` did not succeed, or was not run because Lake would download, replace or delete packages.

    Facts: `target`, `exit_code` (None when it was ended for its time limit, or not run), `output` (the last of what
    Lake said), and `packages` if it was not run, with the command to run in the hint.
    """

    report_code: str = "build_failed"
    target: str | None = None
    exit_code: int | None = None
    output: str | None = None
    packages: Sequence[str] | None = None


class ModuleRefused(CapabilityError):
    """A module that a script imports cannot be used, and Lean or a look at its file says so.

    Facts: `reason` ("missing", "incompatible", "damaged", "cyclic" or "needs_init"), `module` and `file` as far as they
    are known, and `stderr_tail` with Lean's own words if they are Lean's.
    """

    reason: str | None = None
    module: str | None = None
    file: str | None = None

    def _settle(self) -> None:
        super()._settle()
        self.report_subject = self.module or self.file
        if self.reason is not None:
            self.report_code = "script_needs_init" if self.reason == "needs_init" else f"module_{self.reason}"


class MetadataMismatch(CapabilityError):
    """The hosted code says other things of itself than the caller declared: `command`, `expected`, `actual`."""

    report_code: str = "metadata_mismatch"
    expected: object = None
    actual: object = None


class NodeMismatch(CapabilityError):
    """A node of a cluster has another Lean than the others, or another release of lean-worker than the driver.

    Facts: `node`, and `expected` and `actual`: each a `NodeToolchain`, or a release. For a Lean also `toolchains`, of
    all nodes that were looked at.
    """

    node: str | None = None
    expected: object = None
    actual: object = None
    toolchains: object = None


class AdmissionError(LeanWorkerError):
    """The request never entered a worker, so that it is safe to send it again."""

    by_pool: ClassVar[bool] = True
    concerns_all: ClassVar[bool] = True
    retry: Retry = "safe"


class PoolFull(AdmissionError):
    """Every worker is lent and the caller asked not to wait."""

    max_workers: int | None = None


class QueueTimeout(AdmissionError):
    """No worker came free within the time the caller was ready to wait."""

    max_workers: int | None = None
    waited: float | None = None
    queued: int | None = None
    backoff: float | None = None


class MemoryBudgetExceeded(AdmissionError):
    """Another worker would take the pool over its memory budget."""

    used_kib: int | None = None
    limit_kib: int | None = None
    workers: int | None = None


class ResourceExhausted(AdmissionError):
    """The system refuses what a worker needs: `resource` ("descriptor", "thread", "process", "memory", "disk").

    `errno` has the system's number for it, if there is one. Memory can also be missing to this process while it takes
    the rows of a request: then `entered_worker` is True, the request was stopped, and `retry` is "if idempotent".
    """

    by_pool: ClassVar[bool] = False
    resource: str | None = None
    errno: int | None = None

    def _settle(self) -> None:
        super()._settle()
        if self._facts.get("entered_worker"):
            self.__dict__.update(retry="if idempotent", concerns_all=False)


class RequestLost(LeanWorkerError):
    """The request entered a worker and will never have a result; rows delivered before were tentative."""

    ends_worker: ClassVar[bool | None] = True
    _retry_unsent: ClassVar[Retry | None] = "safe"
    retry: Retry = "if idempotent"
    stderr_tail: str | None = None


class RequestTimeout(RequestLost):
    """A deadline passed: start-up, request write, the request itself, or too long without a frame (`kind`)."""

    ended_as: ClassVar[str] = "timeout"
    is_late: ClassVar[bool] = True
    report_code: str = "start_timeout"
    kind: str | None = None
    timeout: float | None = None
    elapsed: float | None = None


class Cancelled(RequestLost):
    """The caller cancelled the request."""

    ends_worker: ClassVar[bool | None] = None
    by_caller: ClassVar[bool] = True
    _retry_unsent: ClassVar[Retry | None] = None
    retry: Retry = "no"


class ChildExited(RequestLost):
    """The worker's process ended before the request did.

    Facts: `exit_code` or `signal` (a name such as "SIGKILL"), `cause` (what probably happened), `stderr_tail`.
    """

    ended_as: ClassVar[str] = "crashed"
    report_code: str = "start_crashed"
    exit_code: int | None = None
    signal: str | None = None
    cause: str | None = None


class MemoryLimitExceeded(RequestLost):
    """A worker and what it started grew over the limit in the request: `used_kib`, `limit_kib`. It was killed."""

    ended_as: ClassVar[str] = "memory"
    used_kib: int | None = None
    limit_kib: int | None = None


class StaleLease(RequestLost):
    """The lease's worker is gone; `reason` says why. A new lease from the pool gets a new worker."""

    ended_as: ClassVar[str] = "closed"
    reason: str | None = None


class NodeLost(RequestLost):
    """The node of a cluster, or the actor on it, that had the request is gone: `node`. Its workers end with it.

    `rows_seen` says how many rows the caller's `on_row` was given before.
    """

    by_node: ClassVar[bool] = True
    node: str | None = None
    rows_seen: int = 0


class CommandFailed(LeanWorkerError):
    """The hosted code refused or failed the command; the worker lives on.

    Facts: `code` (a stable dotted name), `message` (the hosted code's own words), `status` when it gave a number,
    `exit_code` or `signal` of a program that served the command, `traceback` of a Python function.
    """

    by_request: bool = True
    code: str | None = None
    message: str | None = None
    status: int | None = None
    exit_code: int | None = None
    signal: str | None = None
    traceback: str | None = None


class UnknownCommand(CommandFailed):
    """The worker hosts no command of that name."""

    by_request: bool = False
    commands: Sequence[str] = ()


class RowMalformed(CommandFailed):
    """The hosted code emitted a row that is not one JSON value, or that has no stream name."""


class DecodeError(LeanWorkerError, ValueError):
    """A value is not of the declared type; names what was decoded, and for a row its stream and sequence."""

    by_request: bool = True
    path: str | None = None


class SinkError(LeanWorkerError):
    """Rows could not be stored where they should go: disk full, no such directory, a value that the store cannot hold.

    Facts: `path`, `doing` ("opening", "writing", "committing"), `errno` if the system gave one; `column` and `row`
    (from 0) of a value that the store cannot hold. `is_decided` is True in the one case in which rows will be visible
    all the same: a commit of several files stopped half way and is finished when the next sink is opened in that
    directory.
    """

    path: str | None = None
    doing: str | None = None
    errno: int | None = None
    column: str | None = None
    row: int | None = None
    is_decided: bool = False

    def _settle(self) -> None:
        super()._settle()
        self.by_request = "column" in self._facts  # a value that no store of this kind can hold


class RecoveryError(SinkError):
    """A file of lean-worker's own that says how to go on is not to be believed, and nothing was changed for it.

    Such files are the journal of a commit, and a job's ledger with its folder of parts. Facts: `path` (the file),
    `reason` ("damaged", "untrusted": somebody else could have written it, or "incomplete": what it names is gone), and
    for a journal `targets`, names of the files that it was to replace, as far as they are known.
    """

    reason: str | None = None
    targets: Sequence[str] | None = None


class JobIncomplete(LeanWorkerError):
    """Not every item of a job is done: `total`, `done`, `due`, and `quarantined` (their positions)."""

    total: int = 0
    done: int = 0
    due: int = 0
    quarantined: Sequence[int] = ()


class ProtocolError(LeanWorkerError):
    """One side broke the wire protocol; `side` is "local" (this process) or "remote" (the peer)."""

    ends_worker: ClassVar[bool | None] = True
    by_protocol: ClassVar[bool] = True
    ended_as: ClassVar[str] = "protocol"
    report_code: str = "handshake_failed"
    side: str | None = None


class FrameTooLarge(ProtocolError):
    """A frame's body is larger than the limit agreed for the connection: `length_bytes`, `limit_bytes`."""

    ends_worker: ClassVar[bool | None] = None
    by_request: bool = True
    length_bytes: int | None = None
    limit_bytes: int | None = None


class VersionMismatch(ProtocolError):
    """The peer speaks another protocol version: `expected`, `received`."""

    expected: int | None = None
    received: int | None = None


class MalformedFrame(ProtocolError):
    """A frame's body is not the JSON envelope it has to be."""


class SequenceGap(ProtocolError):
    """A stream's sequence numbers do not count up from 0 without a gap: `stream`, `expected`, `received`."""

    expected: int | None = None
    received: int | None = None


class SummaryMismatch(ProtocolError):
    """The terminal summary does not agree with the rows that were delivered."""

    expected: int | None = None
    received: int | None = None


class UnexpectedMessage(ProtocolError):
    """A message came that has no place at this point of the conversation."""

    _retry_unsent: ClassVar[Retry | None] = "safe"
    type: str | None = None
    op: str | None = None


class PlanningError(LeanWorkerError):
    """A plan cannot be made; no worker was started."""


class LakefileError(PlanningError):
    """A lakefile cannot be read, or a value that decides which modules there are cannot be worked out without Lake.

    Facts: `file`, and where it is known `line` and `column`, both from 1.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None


class InvalidModuleName(PlanningError):
    """This text, or this path of a file, is no module name: `name`, `reason`."""

    name: str | None = None
    reason: str | None = None


class HeaderError(PlanningError):
    """Lean's own parser refuses the header of a module: `module`, `file`, and `messages`, which are Lean's words."""

    module: str | None = None
    file: str | None = None
    messages: Sequence[str] = ()


class ModuleMissing(PlanningError):
    """A module does not exist: `module`, and `imported_by` or `library`, if one of them asks for it."""

    module: str | None = None
    imported_by: str | None = None
    library: str | None = None


class ImportCycle(PlanningError):
    """Modules import each other in a circle: `modules`, of which the last imports the first."""

    modules: Sequence[str] = ()


class RestartLimitExceeded(LeanWorkerError):
    """Workers of this kind failed too often in too short a time, and none is started until the window has moved on.

    Facts: `restarts` and `limit` within `window` seconds, `retry_after` in seconds, `last_failure` in words.
    """

    by_pool: ClassVar[bool] = True
    concerns_all: ClassVar[bool] = True
    retry: Retry = "safe"
    restarts: int | None = None
    limit: int | None = None
    window: float | None = None
    last_failure: str | None = None
    retry_after: float = 0.0


class PoisonRequest(LeanWorkerError):
    """This very request ended several workers, one after the other, and was not sent again.

    Facts: `kills` (how many), `last_failure` in words. Another request, or the same one with another time limit, is
    not affected.
    """

    by_request: bool = True
    kills: int = 0
    last_failure: str | None = None
