"""The command line's commands, and how an error ends it.

Owns which commands there are; each stands in a module of its own and is a thin layer over the package's public names.
Output for people goes to standard error or, as a command's result, to standard output; `--json` makes that result one
JSON object.
"""

from __future__ import annotations

import os
import sys

import typer
from rich.markup import escape

from ..errors import LeanWorkerError
from . import EXIT_INTERRUPTED, EXIT_LOST, exit_code_of
from .check import check
from .demo import demo
from .doctor import doctor
from .lean_path import lean_path
from .run import run
from .shown import errors

app = typer.Typer(
    name="lean-worker",
    help="Run Lean 4 in supervised workers and stream typed rows out of it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
for command in (demo, run, check, doctor, lean_path):
    app.command()(command)


def run_app() -> int:
    """Run the command line; the return value is the exit code."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except LeanWorkerError as error:
        errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return exit_code_of(error)
    except KeyboardInterrupt:
        errors.print("lean-worker: interrupted; nothing was written")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; Python must not complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_LOST
    except OSError as error:
        errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return 1
    except Exception as error:
        # Command-line mistakes, which the option parser words itself.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return int(getattr(error, "exit_code", 2))
