"""Options that name a capability on the command line, and the progress bar while its project is built.

A capability is `FILE.lean` or `python:MODULE:REGISTRY`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import UsageError
from ..hosting.capability import LeanCapability, PythonCapability
from .shown import errors, existing

ProjectOption = Annotated[str | None, typer.Option(help="Lake project whose modules the script imports.")]
WorkspaceOption = Annotated[str | None, typer.Option(help="Lake project to import from instead of --project.")]
ToolchainOption = Annotated[str, typer.Option(help="auto, embedded, a toolchain's directory, or elan's name of one.")]
BuildOption = Annotated[str | None, typer.Option(help="Lake target to build in --project first.")]

_STEP = re.compile(r"\[(\d+)/(\d+)\]\s*(.*)")


def capability_of(
    text: str,
    *,
    project: str | None = None,
    workspace: str | None = None,
    toolchain: str = "auto",
    build: str | None = None,
    bar: BuildBar | None = None,
    doctor: str | None = None,
    must_exist: bool = True,
) -> LeanCapability | PythonCapability:
    """The capability that `text` and the options name.

    Raises:
        UsageError: `text` names none, or, with `must_exist`, there is no such file or project.
    """
    if text.startswith("python:"):
        return PythonCapability(text.removeprefix("python:"), doctor=doctor)
    if not text.endswith(".lean"):
        raise UsageError(f"choosing what to host: expected a .lean file or python:MODULE:REGISTRY, got {text!r}")
    if must_exist and not Path(text).expanduser().is_file():
        raise UsageError(f"choosing what to host: there is no file {text}")
    if must_exist:
        existing("--project", project)
        existing("--workspace", workspace)
    return LeanCapability(
        text,
        project=project,
        workspace=workspace,
        toolchain=toolchain,
        build=build,
        on_build=bar,
        doctor=doctor,
    )


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
