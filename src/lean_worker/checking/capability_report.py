"""Report on whether a capability can be hosted, with hints for repair.

Examines the parts first, then starts a worker. Findings have stable codes and contain Lean's and Lake's own messages.
Only a wrong argument raises.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..base.arguments import check_kind, check_method
from ..base.interrupts import Leaving
from ..base.system_errors import of_system
from ..errors import (
    CapabilityError,
    LeanWorkerError,
    UsageError,
)
from ..hosting.capability import LeanCapability
from ..hosting.launch import Capability, launch_of
from ..lake import tool as lake
from ..policy import Limits, MemoryPolicy, Timeouts
from ..steps import monitor
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Steps, run
from ..toolchains import elan
from ..toolchains.script_modules import Closure
from ..toolchains.toolchain import Toolchain
from ..wire import protocol
from ..wire.json_types import decode_text
from ..wire.requests import encode_request
from ..worker import supervisor
from ..worker.exchange import beginning
from ..worker.options import RequestOptions
from ..worker.response import awaiting_response
from ..worker.worker import Worker

Severity = Literal["info", "warning", "error"]

_PREFIX = "lean_worker.check."
_MODULES_SHOWN = 5
CODES = (
    "script_missing",
    "script_needs_init",
    "bridge_missing",
    "extra_missing",
    "toolchain",
    "toolchain_missing",
    "toolchain_differs",
    "native_library_missing",
    "settings",
    "settings_unknown",
    "built",
    "build_stale",
    "build_failed",
    "modules",
    "module_missing",
    "module_incompatible",
    "module_damaged",
    "module_cyclic",
    "module_stale",
    "opened",
    "session",
    "metadata",
    "metadata_mismatch",
    "cannot_be_hosted",
    "start_timeout",
    "start_crashed",
    "handshake_failed",
    "start_failed",
    "doctor_failed",
)
"""Codes of this package's findings; `CapabilityFinding.code` adds a prefix."""

# What an error stands for; the first class that fits.


@dataclasses.dataclass(frozen=True)
class CapabilityFinding:
    """One thing that `check_capability` found.

    Attributes:
        code: A stable dotted name, such as "lean_worker.check.module_missing".
        severity: "info", "warning" or "error".
        subject: What it is about: a file, a module, a command.
        message: What was found.
        hint: How to repair it; "" for nothing to repair.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    hint: str = ""


@dataclasses.dataclass(frozen=True)
class CapabilityReport:
    """Findings of `check_capability`, in the order of its steps.

    Attributes:
        findings: All findings, including those that report success.
    """

    findings: tuple[CapabilityFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.errors

    @property
    def errors(self) -> tuple[CapabilityFinding, ...]:
        """The findings of severity "error"."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def raise_for_error(self) -> None:
        """Raise for the first error, if there is one.

        Raises:
            CapabilityError: With the finding's message and hint, and its `code`.
        """
        for finding in self.errors:
            raise CapabilityError(
                f"checking {finding.subject}: {finding.message}", hint=finding.hint or None, code=finding.code
            )

    def to_builtins(self) -> dict[str, Any]:
        """The report in JSON form: `ok` and `findings`."""
        return {"ok": self.ok, "findings": [dataclasses.asdict(finding) for finding in self.findings]}


def check_capability(capability: Capability, *, timeouts: Timeouts | None = None) -> CapabilityReport:
    """Look at everything that a worker needs, then start one and end it; what is wrong is reported, not raised.

    The real start takes as long as a worker takes to get ready, at most `Timeouts.startup`.

    Args:
        capability: Any; for a `LeanCapability` there is more to look at.
        timeouts: Limits for the start.

    Raises:
        UsageError: `capability` is none.
    """
    check_method("checking a capability", "capability", capability, "launch")
    check_kind("checking a capability", "timeouts", timeouts, Timeouts)
    looks = _look_at_lean(capability) if isinstance(capability, LeanCapability) else iter(())
    findings = list(looks)
    if not any(finding.severity == "error" for finding in findings):
        findings += _open(capability, timeouts or Timeouts())
    return CapabilityReport(tuple(findings))


# -- the parts of a Lean capability --


def _look_at_lean(capability: LeanCapability) -> Iterator[CapabilityFinding]:
    try:
        yield from _look_at_parts(capability)
    except OSError as error:  # of a directory that this user may not enter, or of a working directory that was removed
        yield _of_error(of_system(f"looking at what {capability.script} needs", error), capability.script)


def _look_at_parts(capability: LeanCapability) -> Iterator[CapabilityFinding]:
    script = Path(os.path.expanduser(capability.script))
    try:
        why_missing = None if script.is_file() else "there is no such file"
    except OSError as error:
        why_missing = f"it cannot be looked at: {error.strerror}"
    if why_missing is not None:
        hint = "Give the path of a .lean file that calls LeanWorker.serve."
        yield _finding("script_missing", "error", script, why_missing, hint)
        return
    if importlib.util.find_spec("lean_worker._lean") is None:
        hint = "Install lean-worker from a wheel for this platform, or from source with a C compiler."
        yield _finding("bridge_missing", "error", "lean_worker._lean", "Lean needs the compiled bridge", hint)
    try:
        toolchain = capability.resolve_toolchain()
        version = toolchain.version
    except LeanWorkerError as error:
        yield _of_error(error, capability.toolchain)
        return
    yield _finding("toolchain", "info", toolchain.library, f"Lean {version}, {toolchain.describe()}")
    yield from _compare_with_project(capability, toolchain, version)
    yield from _look_at_libraries(capability)
    yield from _look_at_build(capability, toolchain)
    yield from _look_at_settings(capability, toolchain)
    try:
        closure = capability.modules(toolchain, capability.search_path(toolchain))
    except LeanWorkerError as error:
        yield _of_error(error, capability.workspace or capability.project or script)
        return
    if closure is not None:
        yield from _look_at_modules(closure)


def _compare_with_project(
    capability: LeanCapability, toolchain: Toolchain, version: str | None
) -> Iterator[CapabilityFinding]:
    """A project that asks for another Lean than the one that will run."""
    project = capability.project or capability.workspace
    if project is None:
        return
    try:
        wanted = elan.choice_for(Path(os.path.expanduser(project)))
    except LeanWorkerError as error:
        yield _finding("toolchain_differs", "warning", project, error.text, error.hint or "")
        return
    if wanted is None or toolchain.name == wanted.name:
        return
    release = wanted.name.rpartition(":")[2].removeprefix("v")
    if release[:1].isdigit() and release != version:
        hint = "Its modules will not load. Choose its Lean with toolchain=…, or build it with this one."
        message = f"{wanted.where} asks for {wanted.name}, the script is run by Lean {version}"
        yield _finding("toolchain_differs", "warning", project, message, hint)


def _look_at_libraries(capability: LeanCapability) -> Iterator[CapabilityFinding]:
    for library in capability.native_libraries:
        if not os.path.isfile(os.path.expanduser(library)):
            hint = "`lake build MyLib:shared` makes it, as .lake/build/lib/lib<package>_<library>.so."
            yield _finding("native_library_missing", "error", library, "there is no such file", hint)


def _look_at_settings(capability: LeanCapability, toolchain: Toolchain) -> Iterator[CapabilityFinding]:
    """The options and libraries of the project, and who names them."""
    project = capability.project or capability.workspace
    if project is None:
        return
    try:
        settings = capability.project_settings(toolchain)
    except LeanWorkerError as error:
        yield _finding("settings_unknown", "error", project, error.text, error.hint or "")
        return
    yield _finding("settings", "info", project, settings.describe())
    for note in settings.notes:
        hint = "Build the project, and use a toolchain with Lake."
        yield _finding("settings_unknown", "warning", project, note, hint)


def _look_at_build(capability: LeanCapability, toolchain: Toolchain) -> Iterator[CapabilityFinding]:
    target = capability.build
    if target is None or capability.project is None:
        return
    project = Path(os.path.realpath(os.path.expanduser(capability.project)))
    try:
        is_current, said = lake.is_up_to_date(toolchain, project, target, timeout=capability.build_timeout)
        if is_current:
            yield _finding("built", "info", target, "everything is built and fits the sources")
            return
        yield _finding("build_stale", "info", target, f"not built, or older than its sources: {said}".rstrip(": "))
        lake.build(toolchain, project, target, timeout=capability.build_timeout, on_line=capability.on_build)
    except LeanWorkerError as error:
        yield _of_error(error, target)
    else:
        yield _finding("built", "info", target, "it was built now")


def _look_at_modules(closure: Closure) -> Iterator[CapabilityFinding]:
    counts = collections.Counter(problem.reason for problem in closure.problems)
    shown: collections.Counter[str] = collections.Counter()
    for problem in closure.problems:
        shown[problem.reason] += 1
        more = counts[problem.reason] - shown[problem.reason]
        if shown[problem.reason] > _MODULES_SHOWN:
            continue
        if shown[problem.reason] < _MODULES_SHOWN or more == 0:
            text = problem.text
        else:
            text = f"{problem.text}; and {more} more modules like this"
        severity: Severity = "warning" if problem.reason == "stale" else "error"
        yield _finding(f"module_{problem.reason}", severity, problem.module, text, problem.hint)
    if not closure.problems:
        yield _finding("modules", "info", "imports", "the compiled modules behind the imports are there and fit")


# -- a real start --


def _open(capability: Capability, timeouts: Timeouts) -> Iterator[CapabilityFinding]:
    try:
        launch = launch_of("checking a capability", capability)
    except UsageError:
        raise
    except LeanWorkerError as error:
        yield _of_error(error, type(capability).__name__)
        return
    worker = Worker(launch, timeouts, Limits(), MemoryPolicy(), 0, monitor.shared())
    with _Visit(worker):
        try:
            run(on_monitor(worker.monitor, supervisor.starting(worker, _admit)))
        except LeanWorkerError as error:
            yield _of_error(error, type(capability).__name__)
            return
        yield _finding("opened", "info", launch.description, "a worker started and is ready")
        stats = worker.opened.import_stats
        if stats is not None:
            yield _finding(
                "session", "info", launch.description, f"its session has {stats.effective_module_count} modules"
            )
        if worker.opened.metadata is not None:
            commands = ", ".join(entry.name for entry in worker.opened.metadata.commands)
            yield _finding("metadata", "info", launch.description, f"it is what was declared: {commands}")
        name = getattr(capability, "doctor", None)
        if name is not None:
            yield from _ask_doctor(worker, name, timeouts)


class _Visit(Leaving):
    """The stay of a worker that is only looked at; it ends with the block, however that is left."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        pass

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(on_monitor(self._worker.monitor, self._closing(), is_shielded=True))

    def _left(self) -> None:
        Task(self._worker.monitor, self._closing()).post()

    def _closing(self) -> Steps[None]:
        if self._worker.pid:
            yield from supervisor.closing(self._worker, "closed")


def _admit() -> Steps[None]:
    """One worker for a look is always allowed."""
    yield from ()


def _ask_doctor(worker: Worker, name: str, timeouts: Timeouts) -> Iterator[CapabilityFinding]:
    """The hosted code's own findings, under its own codes."""
    wire = protocol.CapabilityDoctor(name, encode_request(None, None, name))

    def decode(response: protocol.DoctorResult) -> protocol.DoctorEnvelope:
        report: protocol.DoctorEnvelope = decode_text(
            protocol.DoctorEnvelope, bytes(response.report), "doctor report", command=name
        )
        return report

    try:
        exchange = run(beginning(worker, wire, name, timeouts.request, None))
        report = run(awaiting_response(exchange, name, 0, RequestOptions(), protocol.DoctorResult, decode))
    except LeanWorkerError as error:
        yield _finding("doctor_failed", "error", name, error.text, error.hint or "")
        return
    severities: dict[str, Severity] = {"pass": "info", "warning": "warning", "error": "error"}
    for finding in report.diagnostics:
        details = "" if finding.details is None else f" ({finding.details})"
        yield CapabilityFinding(finding.code, severities[finding.severity], name, finding.message + details)


# -- findings --


def _finding(code: str, severity: Severity, subject: object, message: str, hint: str = "") -> CapabilityFinding:
    assert code in CODES, code
    shown = os.fspath(subject) if isinstance(subject, os.PathLike) else str(subject)
    return CapabilityFinding(_PREFIX + code, severity, shown, message, hint)


def _of_error(error: LeanWorkerError, subject: object) -> CapabilityFinding:
    message = error.text
    tail = error.facts.get("stderr_tail")
    if tail:
        message += f"\nlast words of the worker:\n{str(tail).strip()}"
    return _finding(error.report_code, "error", error.report_subject or subject, message, error.hint or "")
