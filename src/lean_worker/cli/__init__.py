"""The command line, `lean-worker`.

Owns the entry point. The commands themselves need the extra `cli`; without it this says so.
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
