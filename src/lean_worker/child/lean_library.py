"""Lean's shared library in either of its layouts: one file, or several beside each other.

Loads the other files before `libleanshared`, so that it finds them wherever it was linked to look, and has the options
for a library without compiled modules. Callers then load `libleanshared` globally, as Lean's interpreter needs it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.deferred import Deferred

if TYPE_CHECKING:
    import ctypes
else:
    ctypes = Deferred("ctypes")  # for those who have no compiled bridge

_SIBLINGS = ("libInit_shared", "libleanshared_*")


def load_by_ctypes(part: bytes) -> None:
    """Load a shared library for all that is loaded after it.

    Raises:
        OSError: It cannot be loaded.
    """
    ctypes.CDLL(os.fsdecode(part), mode=ctypes.RTLD_GLOBAL)


def preload(library: Path, load: Callable[[bytes], object] = load_by_ctypes) -> list[Path]:
    """Load what `library` is split into, and say what was loaded; [] for a library in one file.

    Args:
        library: `libleanshared` itself.
        load: Loads one file, or raises OSError.

    The files may need each other in any order, so that one that fails is tried again after the others. What cannot be
    loaded at all is left for the loading of `library` itself to complain about.
    """
    waiting = [file for name in _SIBLINGS for file in sorted(library.parent.glob(name + library.suffix))]
    loaded: list[Path] = []
    while waiting:
        failed = []
        for file in waiting:
            with contextlib.suppress(OSError):
                load(os.fsencode(file))
                loaded.append(file)
                continue
            failed.append(file)
        if len(failed) == len(waiting):
            break
        waiting = failed
    return loaded


def standard_modules(library: Path) -> Path | None:
    """Return the directory of `Init.olean` that belongs to a Lean library; None for a Lean without compiled modules."""
    for directory in (library.parent, library.parent / "lean"):
        if (directory / "Init.olean").is_file():
            return directory
    return None


def options(library: Path) -> tuple[str, ...]:
    """Return the options to put in front of Lean's arguments.

    Definitions of the embedded library have the names of the full one. Lean would run the code that the full library's
    authors compiled under those names, whose parameters and helper functions are not always the same.
    """
    return () if standard_modules(library) else ("-Dinterpreter.prefer_native=false",)
