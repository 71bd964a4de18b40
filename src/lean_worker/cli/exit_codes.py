"""The exit codes of the command line, which `docs/cli.md` explains."""

from __future__ import annotations

from ..errors import (
    Cancelled,
    CapabilityError,
    CommandFailed,
    DecodeError,
    JobIncomplete,
    LeanWorkerError,
    MissingExtra,
    PlanningError,
    SinkError,
    UsageError,
)

EXIT_DONE = 0
"""The command did what it was asked for."""
EXIT_FAILED = 1
"""The hosted code, the data or a file said no: the same call will fail again."""
EXIT_USAGE = 2
"""The command line is wrong, an input does not exist, or an extra is missing."""
EXIT_LOST = 3
"""Nothing is known: a worker died, hung or lied, or this Lean cannot check that."""
EXIT_INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT."""
EXIT_PIPE_CLOSED = 141
"""The reader of the output went away: 128 and the number of SIGPIPE, which would have ended another program."""

_EXIT_CODES: tuple[tuple[type[LeanWorkerError], int], ...] = (
    (Cancelled, EXIT_INTERRUPTED),
    (UsageError, EXIT_USAGE),
    (MissingExtra, EXIT_USAGE),
    (CapabilityError, EXIT_FAILED),
    (CommandFailed, EXIT_FAILED),
    (DecodeError, EXIT_FAILED),
    (SinkError, EXIT_FAILED),
    (JobIncomplete, EXIT_FAILED),
    (PlanningError, EXIT_FAILED),
    (LeanWorkerError, EXIT_LOST),
)


def exit_code_of(error: LeanWorkerError) -> int:
    """The exit code that stands for `error`: the first class in the table that it belongs to."""
    if isinstance(error, UsageError) and error.entered_worker:
        return EXIT_FAILED  # the command ran, and its rows have no place
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
