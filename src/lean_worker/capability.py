"""What a worker hosts: a Lean script, Python functions, or a foreign program that speaks the protocol.

Owns turning that into a program to start, with its environment, and into the key by which warm workers are reused.
Hides the child's command line. Callers decide what is hosted; which worker serves them is not their concern.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from . import module_names
from . import toolchain as toolchains
from .errors import CapabilityError, InvalidModuleName, UsageError


@dataclasses.dataclass(frozen=True)
class Launch:
    """A program to start as a worker.

    Attributes:
        argv: Program and arguments.
        env: Its whole environment.
        cwd: Its working directory; None for the caller's.
        description: What it hosts, for errors.
        content: Digest of files that the program reads; a changed file makes another key.
        takes_ring: Whether the program knows what to do with an offered ring.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None
    description: str
    content: str = ""
    takes_ring: bool = False

    def key(self) -> str:
        """Two launches with one key may share a warm worker."""
        digest = hashlib.sha256()
        for part in (*self.argv, "", *(f"{k}={v}" for k, v in sorted(self.env.items())), self.cwd or "", self.content):
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
        return digest.hexdigest()


class Capability(Protocol):
    """Anything that a pool can start workers for."""

    def launch(self) -> Launch:
        """The program to start, worked out from the files as they are now.

        Raises:
            CapabilityError: Something that is needed is missing; the text says what.
        """
        ...


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    env = dict(os.environ)
    env.update(extra)
    # What hosted code prints should be in an error's tail when it dies, not lost in a buffer.
    env.setdefault("PYTHONUNBUFFERED", "1")
    return env


def _child_argv(*arguments: str) -> tuple[str, ...]:
    if not sys.executable:
        raise CapabilityError("starting a worker: this Python does not know its own executable (sys.executable)")
    return (sys.executable, "-m", "lean_worker.child", *arguments)


@dataclasses.dataclass(frozen=True)
class LeanCapability:
    """A Lean script that calls `LeanWorker.serve`, run by Lean itself inside the worker.

    The worker stays warm: elaborating the script and its imports is paid once. With the embedded Lean the script
    starts with `prelude` and imports `LeanWorker` only; with a full toolchain it is an ordinary Lean file.

    Args:
        script: Path of the Lean file.
        project: Lake project whose built modules the script may import; also the worker's working directory.
        imports: Modules that are added to the script's own imports.
        toolchain: "auto", "embedded", or the path of a Lean toolchain's prefix.
        env: Environment variables for the worker, over the caller's own.

    `launch` raises `CapabilityError` if the script, the project or a toolchain is missing, and `MissingExtra` if the
    embedded Lean is asked for and not installed.
    """

    script: str | os.PathLike[str]
    project: str | os.PathLike[str] | None = None
    imports: Sequence[str] = ()
    toolchain: str | os.PathLike[str] = "auto"
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.imports, str):
            raise UsageError(f"hosting {self.script}: expected imports as a sequence of module names, got a string")
        for module in self.imports:
            try:
                module_names.parse(module)
            except InvalidModuleName as error:
                raise UsageError(f"hosting {self.script}: {module!r} is no module name: {error.reason}") from error

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        script = Path(self.script).expanduser()
        try:
            text = script.read_bytes()
        except OSError as error:
            raise CapabilityError(
                f"hosting a Lean script: {script} cannot be read: {error.strerror or error}",
                hint="Give the path of a .lean file that calls LeanWorker.serve.",
                script=str(script),
            ) from error
        project = self._project_directory()
        toolchain = toolchains.resolve(self.toolchain, project)
        arguments = ["lean", "--library", str(toolchain.library), "--script", str(script.resolve())]
        for module in self.imports:
            arguments += ["--import", module]
        for directory in toolchains.module_directories(project):
            arguments += ["--path", str(directory)]
        env = _environment({**toolchain.env, **self.env})
        content = hashlib.sha256(text).hexdigest()
        cwd = None if project is None else str(project)
        return Launch(
            _child_argv(*arguments),
            env,
            cwd,
            f"Lean script {script} ({toolchain.describe()})",
            content,
            takes_ring=True,
        )

    def _project_directory(self) -> Path | None:
        if self.project is None:
            return None
        project = Path(self.project).expanduser().resolve()
        if not project.is_dir():
            raise CapabilityError(
                f"hosting {self.script}: the project directory {project} does not exist", project=str(project)
            )
        return project


@dataclasses.dataclass(frozen=True)
class PythonCapability:
    """A registry of Python functions, as `module:attribute`; for tests and for producers that are not Lean.

    The registry maps command names to functions. A generator function serves a stream: what it yields becomes rows
    (see `StreamRow`, `Diagnostic`, `Progress`), what it returns the summary. Any other function answers a JSON command.

    Args:
        registry: `module:attribute`, importable in the worker.
        path: Directories put in front of the worker's module search path.
        env: Environment variables for the worker, over the caller's own.
    """

    registry: str
    path: Sequence[str | os.PathLike[str]] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        env = _environment(self.env)
        if self.path:
            inherited = env.get("PYTHONPATH")
            parts = [str(Path(entry).expanduser().resolve()) for entry in self.path]
            env["PYTHONPATH"] = os.pathsep.join(parts + ([inherited] if inherited else []))
        return Launch(
            _child_argv("python", self.registry), env, None, f"Python registry {self.registry}", takes_ring=True
        )


@dataclasses.dataclass(frozen=True)
class ProcessCapability:
    """A foreign program that speaks protocol 10 on its standard input and output.

    Args:
        argv: Program and arguments.
        cwd: Its working directory; None for the caller's.
        env: Environment variables for it, over the caller's own.
    """

    argv: Sequence[str]
    cwd: str | os.PathLike[str] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.argv, str) or not self.argv:
            raise UsageError(f"hosting a program: expected argv as a non-empty sequence of strings, got {self.argv!r}")

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        argv = tuple(str(part) for part in self.argv)
        if shutil.which(argv[0]) is None:
            raise CapabilityError(f"hosting a program: {argv[0]} is not found or not executable", argv=argv)
        cwd = None if self.cwd is None else str(self.cwd)
        return Launch(argv, _environment(self.env), cwd, f"program {argv[0]}")
