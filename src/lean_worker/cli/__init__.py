"""The command line: `lean-worker demo | run | doctor`.

Owns the entry point and the exit codes. The commands themselves need the extra `cli`; without it this says so.
"""

from __future__ import annotations

import sys

from ..errors import CapabilityError as _CapabilityError
from ..errors import CommandFailed, DecodeError, LeanWorkerError, MissingExtra, SinkError, UsageError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LOST = 3
EXIT_INTERRUPTED = 130

_EXIT_CODES: tuple[tuple[type[LeanWorkerError], int], ...] = (
    (UsageError, EXIT_USAGE),
    (MissingExtra, EXIT_USAGE),
    (_CapabilityError, EXIT_FAILED),
    (CommandFailed, EXIT_FAILED),
    (DecodeError, EXIT_FAILED),
    (SinkError, EXIT_FAILED),
    (LeanWorkerError, EXIT_LOST),
)


def exit_code_of(error: LeanWorkerError) -> int:
    """The exit code that stands for `error`: the first class in the table that it belongs to."""
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
