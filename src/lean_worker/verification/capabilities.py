"""The two kinds of worker behind a verification: one compiles strangers' files, the other judges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..errors import CapabilityError
from ..hosting.capability import child_argv
from ..hosting.launch import Launch
from ..hosting.sandbox import Sandbox
from ..lake import tool as lake
from ..lake.file_settings import FileSettings
from ..lake.project_settings import ProjectSettings, SettingsChoice
from ..toolchains import toolchain as toolchains
from ..toolchains.environment import lean_environment, worker_environment
from ..toolchains.module_closure import fatal_behind
from ..toolchains.script_modules import refused
from .recheck import Recheck, program_of


@dataclasses.dataclass(frozen=True)
class Verifier:
    """A Lean, and the modules that statement and candidates may import.

    Attributes:
        project: Directory of a Lake project, or None.
        toolchain: As of `lean_worker.verify`.
    """

    project: Path | None
    toolchain: str

    @property
    def is_embedded(self) -> bool:
        """Whether the Lean is the embedded one."""
        return toolchains.resolve(self.toolchain, self.project).kind == "embedded"

    def settings_of(self, text: str, choice: SettingsChoice) -> FileSettings:
        """The project's options and libraries for a text that is no file of it; none without a project.

        Raises:
            CapabilityError: As of `ProjectSettings.of_text`.
        """
        if self.project is None or choice == "none":
            return FileSettings()
        lean = toolchains.resolve(self.toolchain, self.project)
        return ProjectSettings(lean, self.project, choice).of_text(text)

    def refuse_fatal(self, text: str) -> None:
        """Refuse a text behind whose imports is a module that would kill Lean.

        Raises:
            ModuleRefused: There is one.
            CapabilityError: There is no Lean, or Lake cannot read the project.
        """
        lean = toolchains.resolve(self.toolchain, self.project)
        problem = fatal_behind(text, lake.module_path(lean, self.project), lean)
        if problem is not None:
            raise refused("verifying", problem, lean)

    def checker_of(self, recheck: Recheck) -> Path | None:
        """The program that `recheck` means.

        Raises:
            UsageError, CapabilityError: There is none, or there is no Lean.
        """
        if recheck is False:
            return None
        return program_of(recheck, toolchains.resolve(self.toolchain, self.project))

    def launch_of(self, host: str, sandbox: Sandbox | None, checker: Path | None = None) -> Launch:
        """The launch of a `compile` or `judge` worker; a compiler may recheck modules with the program `checker`."""
        if self.project is not None and not self.project.is_dir():
            raise CapabilityError(
                f"verifying: the project directory {self.project} does not exist",
                hint="Give project= the directory of a Lake project.",
                project=str(self.project),
            )
        lean = toolchains.resolve(self.toolchain, self.project)
        arguments = [host, "--library", str(lean.library)]
        for directory in lake.module_path(lean, self.project):
            arguments += ["--path", str(directory)]
        if self.project is not None and host == "compile":
            arguments += ["--directory", str(self.project)]
        if checker is not None:
            arguments += ["--checker", str(checker)]
        return Launch(
            child_argv(*arguments, sandbox=sandbox),
            lean_environment(
                worker_environment(lean.env),
                lean.programs,
                [*lake.source_path(self.project), *lean.source_directories],
                {},
            ),
            None,
            f"{host} by {lean.describe()}",
            takes_ring=True,
            toolchain=lean.identity,
            bounds_programs=True,
        )


@dataclasses.dataclass(frozen=True)
class Compiler:
    """A worker that compiles files of strangers, or the statement."""

    verifier: Verifier
    sandbox: Sandbox | None
    checker: Path | None = None

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        return self.verifier.launch_of("compile", self.sandbox, self.checker)


@dataclasses.dataclass(frozen=True)
class JudgeCapability:
    """A worker that judges; it runs no code of a candidate."""

    verifier: Verifier

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        return dataclasses.replace(self.verifier.launch_of("judge", None), needs_others=True)
