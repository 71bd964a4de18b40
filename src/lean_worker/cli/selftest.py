"""`lean-worker selftest`: everything that can be tried on this machine, with this Lean and this project.

The checks are in `lean_worker.selftest`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..selftest import report
from .exit_codes import EXIT_DONE, EXIT_FAILED
from .shown import JsonOption, note, print_json


def selftest(
    toolchain: Annotated[
        str, typer.Option(help="auto, embedded, a toolchain's directory, or elan's name of one.")
    ] = "auto",
    project: Annotated[str | None, typer.Option(help="A Lake project to look at besides; it is not changed.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run the checks whose names begin so; may be given several times.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Try everything here: this machine, its Lean, and with --project a Lake project.

    Each line has a sign: ✔ it works, ✘ it does not, – it cannot be tried here. The report holds no names of people or
    machines, and can be attached to an issue. Exit code 1 if there is a ✘.

    Example: lean-worker selftest --project . --json > report.json
    """
    directory = None if project is None else Path(project)
    if directory is not None and not directory.expanduser().is_dir():
        raise UsageError(
            f"testing the project {project}: there is no such directory",
            hint="Give --project the directory of the lakefile.",
        )
    outcome = report.run(toolchain, directory, None if as_json else _show, only or ())
    if as_json:
        print_json(outcome.to_builtins())
    else:
        failed = sum(line.state == report.FAILED for line in outcome.lines)
        note(f"{len(outcome.lines)} checks, {failed} failed")
    return EXIT_DONE if outcome.ok else EXIT_FAILED


def _show(line: report.Line) -> None:
    figure = f"{line.figure}: " if line.figure else ""
    meaning = line.meaning.replace("\n", "\n    ")
    print(f"{report.SIGNS[line.state]} {line.name:20} {line.title}\n    {figure}{meaning}", flush=True)
