"""The second opinion of `leanchecker`: which program gives it, and what its end says about a candidate."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..base.arguments import check_path, shown
from ..errors import UsageError
from ..toolchains.toolchain import Toolchain
from ..wire.file_messages import RecheckEnd

PROGRAM = "leanchecker"
_DOING = "verifying with a recheck"
_PROBLEM = re.compile(r"found a problem in ")
_DECLARATION = re.compile(r"while replaying declaration '([^\n]+)':")
_EXCEPTION = re.compile(r"uncaught exception: (.*)", re.DOTALL)

Recheck = bool | str | os.PathLike[str]
"""False for none, True for the toolchain's `leanchecker`, or the path of a program that is called like it."""


class Rechecked(RecheckEnd, frozen=True):
    """The end of leanchecker, and what it says about the candidate."""

    @property
    def accepts(self) -> bool:
        """Whether it replayed everything."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def refuses(self) -> bool:
        """Whether it says that something cannot be replayed; otherwise it failed, and nothing is known."""
        return self.exit_code not in (0, None) and not self.timed_out and _PROBLEM.search(self.stderr) is not None

    @property
    def declaration(self) -> str | None:
        """The declaration that it refuses, if it says which."""
        match = _DECLARATION.search(self.stderr)
        return None if match is None else match[1]

    @property
    def words(self) -> str:
        """Its reason, or how it failed."""
        if self.not_started is not None:
            return f"{PROGRAM} could not be started: {self.not_started}"
        said = _EXCEPTION.search(self.stderr)
        text = (said[1] if said is not None else self.stderr).strip()
        if self.refuses:
            return f"{PROGRAM}: {text}"
        end = f"signal {self.signal}" if self.signal is not None else f"exit code {self.exit_code}"
        return f"{PROGRAM} ended with {end}{f': {text}' if text else ''}"


def program_of(choice: Recheck, lean: Toolchain) -> Path | None:
    """Return the program that `choice` means, None for none.

    Raises:
        UsageError: This Lean ships none, or the path is no program.
    """
    if choice is False:
        return None
    if choice is True:
        own = lean.program(PROGRAM)
        if own is None:
            raise UsageError(
                f"{_DOING}: {lean.describe()} has no {PROGRAM}",
                hint="Toolchains ship it from Lean 4.28 on. For another Lean, build lean4checker with that Lean and "
                "give the program's path: recheck='…/lean4checker', on the command line --recheck-with.",
            )
        return own
    if choice is None:
        raise UsageError(
            f"{_DOING}: expected recheck as True, False or the path of a program, got None",
            hint="Leave recheck out for none, or give the path of an executable file.",
        )
    check_path(_DOING, "recheck", choice)
    path = Path(choice).expanduser().resolve()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise UsageError(
            f"{_DOING}: expected recheck as True, False or the path of a program, got {shown(choice)}",
            hint="Leave recheck out for none, or give the path of an executable file.",
        )
    return path
