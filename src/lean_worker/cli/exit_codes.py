"""The exit codes of the command line, which `docs/cli.md` explains."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself would take longer than all else that the entry point imports first
if TYPE_CHECKING:
    from ..errors import LeanWorkerError

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


def exit_code_of(error: LeanWorkerError) -> int:
    """The exit code that stands for `error`: the first class in the table that it belongs to."""
    from .. import errors  # not before there is an error: the entry point imports this module before all else

    if isinstance(error, errors.UsageError) and error.entered_worker:
        return EXIT_FAILED  # the command ran, and its rows have no place
    table: tuple[tuple[type[LeanWorkerError], int], ...] = (
        (errors.Cancelled, EXIT_INTERRUPTED),
        (errors.UsageError, EXIT_USAGE),
        (errors.MissingExtra, EXIT_USAGE),
        (errors.ToolchainMissing, EXIT_LOST),
        (errors.CapabilityError, EXIT_FAILED),
        (errors.CommandFailed, EXIT_FAILED),
        (errors.DecodeError, EXIT_FAILED),
        (errors.SinkError, EXIT_FAILED),
        (errors.JobIncomplete, EXIT_FAILED),
        (errors.PlanningError, EXIT_FAILED),
        (errors.LeanWorkerError, EXIT_LOST),
    )
    return next(code for kind, code in table if isinstance(error, kind))
