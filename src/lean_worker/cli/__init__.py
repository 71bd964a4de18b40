"""The command line, `lean-worker`: entry point and exit codes, which `docs/cli.md` explains.

The commands need the extra `cli`. Without it, the entry point says so.
"""

from __future__ import annotations

import sys

from ..errors import (
    Cancelled,
    CommandFailed,
    DecodeError,
    JobIncomplete,
    LeanWorkerError,
    MissingExtra,
    SinkError,
    UsageError,
)
from ..errors import CapabilityError as _CapabilityError

EXIT_DONE = 0
"""The command did what it was asked for."""
EXIT_FAILED = 1
"""The hosted code, the data or a file said no: the same call will fail again."""
EXIT_USAGE = 2
"""The command line is wrong, or an extra is missing."""
EXIT_LOST = 3
"""A worker died, hung or lied, or whoever read the output went away: the same call may succeed."""
EXIT_INTERRUPTED = 130
"""Ctrl-C."""

_EXIT_CODES: tuple[tuple[type[LeanWorkerError], int], ...] = (
    (Cancelled, EXIT_INTERRUPTED),
    (UsageError, EXIT_USAGE),
    (MissingExtra, EXIT_USAGE),
    (_CapabilityError, EXIT_FAILED),
    (CommandFailed, EXIT_FAILED),
    (DecodeError, EXIT_FAILED),
    (SinkError, EXIT_FAILED),
    (JobIncomplete, EXIT_FAILED),
    (LeanWorkerError, EXIT_LOST),
)


def exit_code_of(error: LeanWorkerError) -> int:
    """Return the exit code for `error`: that of the first class in the table that it belongs to."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


def main() -> None:
    """Run the command line and end the process."""
    try:
        from .app import run_app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        print(
            f"lean-worker: the command line needs {error.name}, which is not installed\n"
            "hint: pip install 'lean-worker[cli]'",
            file=sys.stderr,
        )
        sys.exit(EXIT_USAGE)
    sys.exit(run_app())
