"""Failures to host a capability, recognised by Lean's own messages.

A table maps messages to a reason and a hint. The error also contains the message itself.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from ..base import olean
from ..errors import CapabilityError, ModuleRefused
from ..wire import protocol
from .launch import Launch


class _Sign(NamedTuple):
    words: re.Pattern[str]
    reason: str
    what: str
    hint: str


_SIGNS = (
    _Sign(
        re.compile(r"has no Init: a script for it starts with `prelude`"),
        "needs_init",
        "it is written for a full Lean, and this one has no standard library",
        "Choose a toolchain with toolchain=…, or start the script with `prelude` and `import LeanWorker`.",
    ),
    _Sign(
        re.compile(r"failed to read file '(?P<file>[^']+)', incompatible header"),
        "incompatible",
        "the compiled module {file} is of another Lean{written_by}",
        "Build the project with the Lean that hosts the script, or choose the project's Lean with toolchain=….",
    ),
    _Sign(
        re.compile(r"failed to read file '(?P<file>[^']+)', invalid header"),
        "damaged",
        "{file} is not a compiled module",
        "Delete it and build the project again.",
    ),
    _Sign(
        re.compile(r"object file '(?P<file>[^']+)' of module (?P<module>\S+) does not exist"),
        "missing",
        "the module {module} is not built: {file} does not exist",
        "Build it (`lake build {module}`), or correct the import.",
    ),
    _Sign(
        re.compile(r"failed to (?:open|read) file '(?P<file>[^'\n]+\.(?:olean|ir)(?:\.[a-z]+)?)': (?P<why>.+)"),
        "missing",
        "{file}, a file of a compiled module, cannot be read: {why}",
        "Build the project again, or wait until the build is done.",
    ),
    _Sign(
        re.compile(r"unknown module prefix '(?P<module>[^']+)'"),
        "missing",
        "no module of the name {module} is anywhere that Lean looks",
        "Give project= the Lake project that has it, and build it.",
    ),
)


class Explained(NamedTuple):
    """The meaning of a message of Lean.

    Attributes:
        reason: One word: "needs_init", "incompatible", "damaged", "missing".
        text: The meaning in words.
        hint: An action that can help.
        facts: The module and the file that Lean names, as far as it does.
    """

    reason: str
    text: str
    hint: str
    facts: dict[str, str]


def explain(message: str) -> Explained | None:
    """Return the meaning of the first message in a text that says why modules cannot be imported; None for others."""
    for sign in _SIGNS:
        found = sign.words.search(message)
        if found is None:
            continue
        named = {name: value for name, value in found.groupdict().items() if value}
        parts = {"file": "", "module": "", **named, "written_by": _written_by(named.get("file"))}
        facts = {name: value for name, value in named.items() if name != "why"}
        text, hint = sign.what.format(**parts), sign.hint.format(**parts)
        target = _hidden(named.get("file"), named.get("why"))
        if target is not None:
            text = f"{text}; it leads to {target}, which is outside of what the sandbox lets Lean read"
            hint = f"Name that directory too, as in Sandbox(readable=[{os.path.dirname(target)!r}])."
        return Explained(sign.reason, text, hint, facts)
    return None


def host_failure(launch: Launch, stderr_tail: str) -> CapabilityError:
    """The error for a worker that ended with the exit code for "cannot host"; its last words are `stderr_tail`."""
    facts: dict[str, object] = {"stderr_tail": stderr_tail, "exit_code": protocol.EXIT_HOST_FAILED}
    if launch.toolchain:
        facts["toolchain"] = launch.toolchain
    explained = explain(stderr_tail)
    if explained is not None:
        return ModuleRefused(
            f"starting a worker: {launch.description} cannot be hosted: {explained.text}",
            hint=explained.hint,
            reason=explained.reason,
            **explained.facts,
            **facts,
        )
    return CapabilityError(
        f"starting a worker: {launch.description} cannot be hosted", hint="The worker's own message is above.", **facts
    )


def _hidden(file: str | None, why: str | None) -> str | None:
    """Return where links lead from a file that only Lean may not read, as in a sandbox; None for other files."""
    if file is None or why is None or "permission denied" not in why.lower():
        return None
    target = os.path.realpath(file)
    return target if target != os.path.abspath(file) and os.access(target, os.R_OK) else None


def _written_by(file: str | None) -> str:
    if file:
        with contextlib.suppress(OSError, olean.BadModuleFile):
            header = olean.read_header(Path(file))
            return f": {header.version or 'an old one'}, commit {header.commit[:12]}"
    return ""
