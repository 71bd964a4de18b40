"""Options that name a capability on the command line, and the progress bar while its project is built.

A capability is `FILE.lean` or `python:MODULE:REGISTRY`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import UsageError
from ..events import Diagnostic
from ..hosting.capability import LeanCapability, PythonCapability
from ..hosting.sandbox import Sandbox
from .printed import harmless
from .shown import errors, existing

ProjectOption = Annotated[str | None, typer.Option(help="Lake project whose modules the script imports.")]
WorkspaceOption = Annotated[str | None, typer.Option(help="Lake project to import from instead of --project.")]
ToolchainOption = Annotated[str, typer.Option(help="auto, embedded, a toolchain's directory, or elan's name of one.")]
ImportOption = Annotated[
    list[str] | None, typer.Option("--import", help="Module to import besides the script's own; may be repeated.")
]
ArgumentOption = Annotated[
    list[str] | None, typer.Option("--arg", help="Argument for the script's main; may be repeated.")
]
EnvironmentOption = Annotated[
    list[str] | None, typer.Option("--env", help="Environment variable of the worker, NAME=VALUE; may be repeated.")
]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="The worker reads the script, its project and Lean; no writes, no network.")
]
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
    imports: Sequence[str] | None = None,
    arguments: Sequence[str] | None = None,
    env: Sequence[str] | None = None,
    is_sandboxed: bool = False,
) -> LeanCapability | PythonCapability:
    """The capability that `text` and the options name.

    Raises:
        UsageError: `text` names none, or, with `must_exist`, there is no such file or project; an option is not
            NAME=VALUE, or is for Lean scripts only.
    """
    variables = _variables(env or ())
    sandbox = Sandbox() if is_sandboxed else None
    if text.startswith("python:"):
        if imports or arguments:
            raise UsageError(
                "choosing what to host: --import and --arg are for Lean scripts; this is a Python registry",
                hint="Leave them out.",
            )
        return PythonCapability(text.removeprefix("python:"), doctor=doctor, env=variables, sandbox=sandbox)
    if not text.endswith(".lean"):
        raise UsageError(
            f"choosing what to host: expected a .lean file or python:MODULE:REGISTRY, got {text!r}",
            hint="For example Extract.lean, or python:package.module:COMMANDS.",
        )
    if must_exist and not Path(text).expanduser().is_file():
        raise UsageError(
            f"choosing what to host: there is no file {text}",
            hint="Look at the path; it is relative to the present directory.",
        )
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
        imports=tuple(imports or ()),
        arguments=tuple(arguments or ()),
        env=variables,
        sandbox=sandbox,
    )


def _variables(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, sign, _ in pairs:
        if not name or not sign:
            raise UsageError(
                f"reading --env: expected NAME=VALUE, got {name + sign!r}", hint="For example --env LANG=C."
            )
    return {name: value for name, _, value in pairs}


def request_of(text: str) -> Any:
    """Return the request that `--request` gives, JSON text or @FILE.

    Raises:
        UsageError: It is not JSON, or the file cannot be read.
    """
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
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
