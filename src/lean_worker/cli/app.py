"""The commands of the command line, and the exit codes of errors.

Each command is a module, a thin layer over the package's public names. `shown` decides which output goes where.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.markup import escape

from ..errors import Cancelled, LeanWorkerError
from ..version import __version__
from . import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_LOST, EXIT_USAGE, exit_code_of
from .check import check
from .demo import demo
from .doctor import doctor
from .job import jobs
from .lean_path import lean_path
from .run import run
from .selftest import selftest
from .shown import errors
from .top import top

app = typer.Typer(
    name="lean-worker",
    help="Run Lean 4 in supervised workers and stream typed rows out of it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lean-worker {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


for command in (run, check, top, doctor, selftest, lean_path, demo):
    app.command()(command)
app.add_typer(jobs, name="job")


def run_app() -> int:
    """Run the command line; the return value is the exit code."""
    try:
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt  # which typer, depending on its version, swallows or turns into Abort
        return code if isinstance(code, int) else 0
    except Cancelled as error:
        errors.print(f"lean-worker: interrupted after {error.facts.get('rows_delivered', 0)} rows")
        return EXIT_INTERRUPTED
    except LeanWorkerError as error:
        errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return exit_code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        errors.print("lean-worker: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; Python must not complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_LOST
    except OSError as error:
        errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return EXIT_FAILED
    except Exception as error:
        # Command-line mistakes, which the option parser words itself.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return int(getattr(error, "exit_code", EXIT_USAGE))
