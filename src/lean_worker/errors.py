"""Every error lean-worker raises, grouped by what the caller can do next.

Owns the class tree, the facts each class carries, and how they are worded. Hides nothing and decides nothing: the
layer that meets a failure chooses the class.

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
of the error; `facts` has them all.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType

_SHOWN_STDERR_CHARACTERS = 4096
_SHOWN_STDERR_LINES = 40
_QUOTED_CHARACTERS = 300


class LeanWorkerError(Exception):
    """Base of every error that lean-worker raises.

    Args:
        text: What was being done, what was expected and what came.
        hint: What the caller can do about it, as one sentence; shown on a line of its own.
        **facts: The figures behind the text, with units in their names. Each becomes an attribute.
    """

    text: str
    hint: str | None

    def __init__(self, text: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self._facts = facts

    @property
    def facts(self) -> Mapping[str, object]:
        """What is known of the failure, by name."""
        return MappingProxyType(self._facts)

    def add_facts(self, **facts: object) -> None:
        """Add what an outer layer knows (which command, how many rows); a fact that stands already is kept."""
        for name, value in facts.items():
            self._facts.setdefault(name, value)

    def __getattr__(self, name: str) -> object:
        # Only reached for names that are no real attribute. Pickle and copy probe dunder names before __init__ ran.
        if not name.startswith("_"):
            facts = self.__dict__.get("_facts", {})
            if name in facts:
                return facts[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __str__(self) -> str:
        lines = [self.text]
        where = _where(self._facts)
        if where:
            lines.append(where)
        stderr_tail = self._facts.get("stderr_tail")
        if stderr_tail:
            lines.append("last lines of the worker's stderr:\n" + _indent(str(stderr_tail)))
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from .notebook import table

        note = f"hint: {self.hint}" if self.hint else None
        return table(f"{type(self).__name__}: {self.text}", self._facts.items(), note=note, alarm=True)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.text, self.hint, dict(self._facts)))


def _rebuild(kind: type[LeanWorkerError], text: str, hint: str | None, facts: dict[str, object]) -> LeanWorkerError:
    return kind(text, hint=hint, **facts)


def _where(facts: Mapping[str, object]) -> str:
    """The facts that locate a failure, on one line and in one order."""
    names = ("command", "stream", "sequence", "path", "rows_delivered", "generation", "entered_worker")
    return ", ".join(f"{name} {facts[name]}" for name in names if facts.get(name) is not None)


def _indent(text: str) -> str:
    """The end of `text`, short enough for a terminal; the whole tail stays in the facts."""
    lines = text[-_SHOWN_STDERR_CHARACTERS:].rstrip("\n").splitlines()
    return "\n".join("  " + line for line in lines[-_SHOWN_STDERR_LINES:])


def shortened(text: str) -> str:
    """The beginning of a text that a peer chose: an error's own text stays short, whatever was sent."""
    return text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"


class UsageError(LeanWorkerError):
    """The call itself is wrong: a released lease, a limit out of range, a closed pool."""


class ClusterTooSmall(UsageError):
    """Too few nodes of a cluster have what each was to have.

    Facts: `asked` (`cpus`, `memory_bytes`), and `nodes`: for each that lives `node`, `address`, `cpus`, `memory_bytes`.
    """


class CapabilityError(LeanWorkerError):
    """What the worker should host cannot be hosted; the text holds the words of whoever refused it."""


class MissingExtra(CapabilityError):
    """An optional part of lean-worker is needed and not installed; the hint names the extra."""


class ToolchainMissing(CapabilityError):
    """The Lean that a project asks for is not installed: `toolchain`, `asked_by`; the hint is what installs it."""


class BuildFailed(CapabilityError):
    """`lake build` did not succeed, or was not run because Lake would download, replace or delete packages.

    Facts: `target`, `exit_code` (None when it was ended for its time limit, or not run), `output` (the last of what
    Lake said), and `packages` if it was not run, with the command to run in the hint.
    """


class ModuleRefused(CapabilityError):
    """A module that a script imports cannot be used, and Lean or a look at its file says so.

    Facts: `reason` ("missing", "incompatible", "damaged", "cyclic" or "needs_init"), `module` and `file` as far as they
    are known, and `stderr_tail` with Lean's own words if they are Lean's.
    """


class MetadataMismatch(CapabilityError):
    """What the hosted code says of itself is not what the caller declared: `command`, `expected`, `actual`."""


class NodeMismatch(CapabilityError):
    """A node of a cluster has another Lean than the others, or another release of lean-worker than the driver.

    Facts: `node`, and `expected` and `actual`: each a `NodeToolchain`, or a release. For a Lean also `toolchains`, of
    all nodes that were looked at.
    """


class AdmissionError(LeanWorkerError):
    """The request never entered a worker, so that it is safe to send it again."""


class PoolFull(AdmissionError):
    """Every worker is lent and the caller asked not to wait."""


class QueueTimeout(AdmissionError):
    """No worker came free within the time the caller was ready to wait."""


class MemoryBudgetExceeded(AdmissionError):
    """Another worker would take the pool over its memory budget."""


class ResourceExhausted(AdmissionError):
    """The system refuses what a worker needs: `resource` ("descriptor", "thread", "process", "memory", "disk").

    `errno` has the system's number for it, if there is one.
    """


_RESOURCES = {
    errno.EMFILE: "descriptor",
    errno.ENFILE: "descriptor",
    errno.EAGAIN: "process",
    errno.ENOMEM: "memory",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EFBIG: "disk",
}


def of_system(doing: str, error: OSError) -> LeanWorkerError:
    """Return what the system's refusal of something that a worker needs means to a caller."""
    resource = _RESOURCES.get(error.errno or 0)
    text = f"{doing}: {error.strerror or error}"
    if resource is None:
        return CapabilityError(text, errno=error.errno)
    hint = "Raise the limit, or end what uses it up."
    return ResourceExhausted(text, hint=hint, resource=resource, errno=error.errno, entered_worker=False)


class RequestLost(LeanWorkerError):
    """The request entered a worker and will never have a result; rows delivered before were tentative."""


class RequestTimeout(RequestLost):
    """A deadline passed: start-up, request write, the request itself, or too long without a frame (`kind`)."""


class Cancelled(RequestLost):
    """The caller cancelled the request."""


class ChildExited(RequestLost):
    """The worker's process ended before the request did.

    Facts: `exit_code` or `signal` (a name such as "SIGKILL"), `cause` (what probably happened), `stderr_tail`.
    """


class MemoryLimitExceeded(RequestLost):
    """The worker's private memory grew over its limit during the request: `used_kib`, `limit_kib`. It was killed."""


class StaleLease(RequestLost):
    """The lease's worker is gone; `reason` says why. A new lease from the pool gets a new worker."""


class NodeLost(RequestLost):
    """The node of a cluster, or the actor on it, that had the request is gone: `node`. Its workers end with it."""


class CommandFailed(LeanWorkerError):
    """The hosted code refused or failed the command; the worker lives on.

    Facts: `code` (a stable dotted name), `message` (the hosted code's own words), `status` when it gave a number.
    """


class UnknownCommand(CommandFailed):
    """The worker hosts no command of that name."""


class RowMalformed(CommandFailed):
    """The hosted code emitted a row that is not one JSON value, or that has no stream name."""


class DecodeError(LeanWorkerError, ValueError):
    """A value is not of the declared type; names what was decoded, and for a row its stream and sequence."""


class SinkError(LeanWorkerError):
    """Rows could not be stored where they should go: disk full, no such directory, a value that the store cannot hold.

    Facts: `path`, `doing` ("opening", "writing", "committing"), `errno` if the system gave one. `is_decided` is True in
    the one case in which rows will be visible all the same: a commit of several files stopped half way and is finished
    when the next sink is opened in that directory.
    """


class RecoveryError(SinkError):
    """A file of lean-worker's own that says how to go on is not to be believed, and nothing was changed for it.

    Such files are the journal of a commit, and a job's ledger with its folder of parts. Facts: `path` (the file),
    `reason` ("damaged", "untrusted": somebody else could have written it, or "incomplete": what it names is gone), and
    for a journal `targets`, names of the files that it was to replace, as far as they are known.
    """


class JobIncomplete(LeanWorkerError):
    """Not every item of a job is done: `total`, `done`, `due`, and `quarantined` (their positions)."""


class ProtocolError(LeanWorkerError):
    """One side broke the wire protocol; `side` is "local" (this process) or "remote" (the peer)."""


class FrameTooLarge(ProtocolError):
    """A frame's body is larger than the limit agreed for the connection: `length_bytes`, `limit_bytes`."""


class VersionMismatch(ProtocolError):
    """The peer speaks another protocol version: `expected`, `received`."""


class MalformedFrame(ProtocolError):
    """A frame's body is not the JSON envelope it has to be."""


class SequenceGap(ProtocolError):
    """A stream's sequence numbers do not count up from 0 without a gap: `stream`, `expected`, `received`."""


class SummaryMismatch(ProtocolError):
    """The terminal summary does not agree with the rows that were delivered."""


class UnexpectedMessage(ProtocolError):
    """A message came that has no place at this point of the conversation."""


class PlanningError(LeanWorkerError):
    """What should be planned cannot be; no worker was started."""


class LakefileError(PlanningError):
    """A lakefile cannot be read, or a value that decides which modules there are cannot be worked out without Lake.

    Facts: `file`, and where it is known `line` and `column`, both from 1.
    """


class InvalidModuleName(PlanningError):
    """This text, or this path of a file, is no module name: `name`, `reason`."""


class HeaderError(PlanningError):
    """Lean's own parser refuses the header of a module: `module`, `file`, and `messages`, which are Lean's words."""


class ModuleMissing(PlanningError):
    """A module does not exist: `module`, and `imported_by` or `library`, if one of them asks for it."""


class ImportCycle(PlanningError):
    """Modules import each other in a circle: `modules`, of which the last imports the first."""


class RestartLimitExceeded(LeanWorkerError):
    """Workers of this kind failed too often in too short a time, and none is started until the window has moved on.

    Facts: `restarts` and `limit` within `window` seconds, `retry_after` in seconds, `last_failure` in words.
    """


class PoisonRequest(LeanWorkerError):
    """This very request ended several workers, one after the other, and was not sent again.

    Facts: `kills` (how many), `last_failure` in words. Another request, or the same one with another time limit, is
    not affected.
    """
