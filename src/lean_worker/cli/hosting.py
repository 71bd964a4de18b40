"""Options that name a capability on the command line, a lease on it, and the progress bar while its project is built.

A capability is `FILE.lean` or `python:MODULE:REGISTRY`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..base.arguments import shown
from ..blocking.lease import Lease
from ..blocking.pool import Pool
from ..errors import UsageError
from ..events import Diagnostic
from ..hosting.capability import LeanCapability, PythonCapability
from ..hosting.sandbox import Sandbox
from ..toolchains import toolchain as toolchains
from .option_groups import named_values
from .printed import Printed
from .shown import errors, existing, harmless

CapabilityArgument = Annotated[str, typer.Argument(help="A .lean script, or python:MODULE:REGISTRY.")]
RequestOption = Annotated[str, typer.Option(help="The request as JSON text, or @FILE.")]
TimeoutOption = Annotated[float, typer.Option(help="Seconds until the worker is killed.")]
ProjectOption = Annotated[str | None, typer.Option(help="Lake project whose modules the script imports.")]
WorkspaceOption = Annotated[str | None, typer.Option(help="Lake project to import from instead of --project.")]
ToolchainOption = Annotated[str, typer.Option(help="auto, embedded, a toolchain's directory, or elan's name of one.")]
BuildOption = Annotated[str | None, typer.Option(help="Lake target to build in --project first.")]

_STEP = re.compile(r"\[(\d+)/(\d+)\]\s*(.*)")
_REGISTRY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class HostOptions:
    """The options of all commands that host something (see `option_groups`)."""

    project: ProjectOption = None
    workspace: WorkspaceOption = None
    toolchain: ToolchainOption = "auto"
    build: BuildOption = None
    imports: Annotated[
        list[str] | None, typer.Option("--import", help="Module to import besides the script's own; may be repeated.")
    ] = None
    arguments: Annotated[
        list[str] | None, typer.Option("--arg", help="Argument for the script's main; may be repeated.")
    ] = None
    env: Annotated[
        list[str] | None, typer.Option("--env", help="Environment variable of the worker, NAME=VALUE; may be repeated.")
    ] = None
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="The worker reads the script, its project and Lean; no writes, no network."),
    ] = False

    def absolute(self) -> HostOptions:
        """The same with absolute paths, for another directory."""
        # A name of elan's may be that of a directory, and may have a slash.
        place = Path(self.toolchain).expanduser().resolve()
        is_path = os.sep in self.toolchain and place.is_dir()
        return dataclasses.replace(
            self,
            project=_absolute(self.project),
            workspace=_absolute(self.workspace),
            toolchain=str(place) if is_path else toolchains.located(self.toolchain, lambda _: str(place)),
        )

    def capability(
        self, text: str, *, bar: BuildBar | None = None, doctor: str | None = None, must_exist: bool = True
    ) -> LeanCapability | PythonCapability:
        """The capability that `text` and the options name.

        Raises:
            UsageError: `text` names none, or, with `must_exist`, there is no such file or project; an option is not
                NAME=VALUE, or is for Lean scripts only.
        """
        variables = named_values("--env", self.env or (), "LANG=C")
        sandbox = Sandbox() if self.sandbox else None
        if text.startswith("python:"):
            given = {
                "--import": self.imports,
                "--arg": self.arguments,
                "--project": self.project,
                "--workspace": self.workspace,
                "--build": self.build,
                "--toolchain": None if self.toolchain == "auto" else self.toolchain,
            }
            if wrong := [name for name, value in given.items() if value]:
                raise UsageError(
                    f"choosing what to host: these options are for Lean scripts, and this is a Python registry: "
                    f"{', '.join(wrong)}",
                    hint="Leave them out.",
                )
            return PythonCapability(text.removeprefix("python:"), doctor=doctor, env=variables, sandbox=sandbox)
        if not text.endswith(".lean"):
            raise UsageError(
                f"choosing what to host: expected a .lean file or python:MODULE:REGISTRY, got {shown(text)}",
                hint=f"Write python:{text} for a Python registry."
                if _REGISTRY.fullmatch(text)
                else "For example Extract.lean, or python:package.module:COMMANDS.",
            )
        if must_exist and not Path(text).expanduser().is_file():
            raise UsageError(
                f"choosing what to host: there is no file {text}",
                hint="Look at the path; it is relative to the present directory.",
            )
        if must_exist:
            existing("--project", self.project)
            existing("--workspace", self.workspace)
        return LeanCapability(
            text,
            project=self.project,
            workspace=self.workspace,
            toolchain=self.toolchain,
            build=self.build,
            on_build=bar,
            doctor=doctor,
            imports=tuple(self.imports or ()),
            arguments=tuple(self.arguments or ()),
            env=variables,
            sandbox=sandbox,
        )


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().resolve())


@contextlib.contextmanager
def leased(capability: str, options: HostOptions, *, quiet: bool) -> Iterator[tuple[Pool, Lease]]:
    """Provide a pool with one worker and a lease on it. Lines that the hosted code prints are shown unless `quiet`."""
    building = BuildBar()
    host = options.capability(capability, bar=building)
    printed = Printed()
    with Pool(on_stderr=None if quiet else printed.line) as pool:
        with building:
            lease = pool.lease(host)
        printed.started()
        with lease:
            yield pool, lease


def request_of(text: str) -> Any:
    """Return the request that `--request` gives, JSON text or @FILE.

    Raises:
        UsageError: It is not JSON, or the file cannot be read.
    """
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)
        msgspec.json.decode(raw)
        return msgspec.Raw(raw.strip())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(
            f"reading --request: it is not JSON: {error}",
            hint="Texts need double quotes: --request '\"Init\"'; @FILE reads a file.",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"reading --request: {error}", hint="Give JSON text, or @ and the name of a file.") from error


def show_diagnostic(diagnostic: Diagnostic) -> None:
    """Print a diagnostic of the hosted code."""
    errors.print(f"[dim]{escape(harmless(diagnostic.code))}[/] {escape(harmless(diagnostic.message))}")


class BuildBar:
    """Shows how far Lake is, on a terminal only; give it as `on_build`, in a `with` block."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=errors,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._progress.add_task("building", total=None, start=False, visible=False)

    def __enter__(self) -> BuildBar:
        return self

    def __call__(self, line: str) -> None:
        step = _STEP.search(line)
        if step is None:
            return
        self._progress.start()
        self._progress.start_task(self._task)
        done, total, what = step.groups()
        self._progress.update(self._task, completed=int(done), total=int(total), description=what[:60], visible=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
