"""The command line, `lean-worker`: entry point and exit codes, which `docs/cli.md` explains.

The commands need the extra `cli`. Without it, the entry point says so.
"""

from __future__ import annotations

import os
import signal
import sys

from .exit_codes import EXIT_INTERRUPTED, EXIT_USAGE


def main() -> None:
    """Run the command line and end the process."""
    # Nothing has been started while modules are loaded, and a traceback out of one says nothing to a user.
    leave_at_interrupt()
    try:
        from .app import run_app

        code = run_app()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("typer", "rich", "click"):
            raise
        print(
            f"lean-worker: the command line needs {package}, which is not installed\n"
            "hint: pip install 'lean-worker[cli]'",
            file=sys.stderr,
        )
        sys.exit(EXIT_USAGE)
    leave_at_interrupt()
    sys.exit(code)


def leave_at_interrupt() -> None:
    """Let Ctrl-C end the process at once, with one line; a process that ignores Ctrl-C goes on to ignore it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: object) -> None:
    os.write(2, b"lean-worker: interrupted\n")
    os._exit(EXIT_INTERRUPTED)
