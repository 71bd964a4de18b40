"""The compiled modules behind some imports, wherever a project keeps them, and the first whose file would kill Lean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..base import script_header
from ..base.system_errors import of_system
from .script_modules import FATAL, Closure, Problem, close
from .toolchain import Toolchain

_HINT = "Look at the directories of the project and at those in LEAN_PATH, and at their permissions."


def imports_in(text: str) -> tuple[str, ...]:
    """The modules that the header of a source file imports by name, without the quotes « and »."""
    return tuple(name.replace("«", "").replace("»", "") for name in script_header.read(text).imports)


def places_of(search_path: Sequence[Path], inherited: str | None = None) -> list[Path]:
    """The directories in which Lean finds modules, besides those that come with it.

    Args:
        search_path: Those of the project.
        inherited: A value of LEAN_PATH; None for that of this process.
    """
    inherited = os.environ.get("LEAN_PATH", "") if inherited is None else inherited
    return [*search_path, *(Path(part) for part in inherited.split(os.pathsep) if part)]


def closure_of(roots: Sequence[str], places: Sequence[Path], toolchain: Toolchain) -> Closure | None:
    """Follow the imports from `roots` through `places` and the toolchain's own modules; None as of `close`.

    Raises:
        CapabilityError: A directory or a file cannot be read; as of `close`.
    """
    # Lean's own modules do not change under a running process. All others may: `lake update`, `lake build`.
    modules = toolchain.modules
    try:
        if modules is None:
            return close(roots, places, toolchain, places)
        standard = os.path.realpath(modules)
        own = [place for place in places if os.path.realpath(place) != standard]
        return close(roots, [*places, modules], toolchain, own)
    except OSError as error:  # such as of a directory that this user may not enter
        raise of_system("looking for compiled modules", error, _HINT) from error


def fatal_behind(text: str, search_path: Sequence[Path], toolchain: Toolchain) -> Problem | None:
    """Return the first module behind a text's imports that is damaged or imports itself; None if there is none.

    Args:
        text: The text, with its header.
        search_path: The directories of the project's modules.
        toolchain: The Lean that would load them.
    """
    places = places_of(search_path)
    closure = closure_of(imports_in(text), places, toolchain) if places else None
    problems = () if closure is None else closure.problems
    return next((problem for problem in problems if problem.reason in FATAL), None)
