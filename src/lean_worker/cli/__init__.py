"""The command line, `lean-worker`: entry point and exit codes, which `docs/cli.md` explains.

The commands need the extra `cli`. Without it, the entry point says so.
"""

from __future__ import annotations

import sys

from .exit_codes import EXIT_USAGE


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
