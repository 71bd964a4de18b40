"""The program that a command line means, found as the system finds it when it starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from ..base.kept_directory import placed
from ..errors import CapabilityError


def find(argv: Sequence[str], cwd: str | None, search_path: str | None) -> str:
    """Return the path of the program.

    Args:
        argv: Program and arguments.
        cwd: Where it will run; a relative path is meant from there. None for the caller's present directory.
        search_path: The PATH of its environment.

    Raises:
        CapabilityError: There is no such program, or it is not executable.
    """
    program = argv[0]
    place = program
    if os.path.dirname(program):
        place = os.path.join(placed("") if cwd is None else cwd, program)
    found = shutil.which(place, path=search_path)
    if found is None:
        raise CapabilityError(
            f"hosting a program: {program} is not found or not executable",
            hint="Give its path, or put its directory on PATH.",
            argv=tuple(argv),
        )
    return found
