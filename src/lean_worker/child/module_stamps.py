"""Module files as they were when Lean imported them, and whether they still are.

Owns which files matter: those that Lean has mapped, and those that it would find first on its search path if they
existed. A change is seen by device, inode, size and times; nothing is read. A file is known by where it is, so that
none of their directories may have been elsewhere while Lean imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..base.moved_directories import marks_of
from ..base.package_places import MODULE_SUFFIX, PackagePlaces

try:
    from .._import_once import FileStamps
except ImportError:
    FileStamps = None  # type: ignore[assignment,misc]

_MODULE_SUFFIXES = (".olean", ".olean.server", ".olean.private", ".ir.sig", ".ir")
_MAPPED_SUFFIXES = tuple(f"{suffix}{after}" for suffix in _MODULE_SUFFIXES for after in ("", " (deleted)"))
# A file's time is that of the kernel's last tick.
_TICK_NANOSECONDS = 20_000_000

_Stamp = tuple[int, int, int, int, int]


class ModuleStamps:
    """The state of the module files of one import.

    Args:
        files: The files that Lean has mapped.
        imports: The modules that the header names.
        search_path: Where Lean looks for modules, in order.
        since_nanoseconds: The time at which the import began.

    Raises:
        ValueError: A file is not, or may not be, the one that was imported, or a directory may have been another one
            meanwhile; the text says which.
    """

    def __init__(
        self, files: Sequence[str], imports: Sequence[str], search_path: Sequence[str], since_nanoseconds: int
    ) -> None:
        self._directories = [(path, os.path.realpath(path)) for path in search_path]
        self._files: dict[str, _Stamp] = {}
        roots: dict[str, int] = {}
        earliest = since_nanoseconds - _TICK_NANOSECONDS
        for file in files:
            owner, inside = self._place(file)
            # By the way that Lean took, links included.
            path = os.path.join(search_path[owner], inside)
            stamp = _stamp(path)
            if stamp is None or max(stamp[3:]) >= earliest:
                raise ValueError(f"{path} changed while it was imported")
            self._files[path] = stamp
            root = inside.partition(os.sep)[0].partition(".")[0]
            roots[root] = max(owner, roots.get(root, 0))
        # One file of a directory stands for the others, unless it is a link.
        leading = {path if os.path.islink(path) else os.path.dirname(path): path for path in self._files}
        for path, mark in marks_of(leading.values()).items():
            if mark is not None and mark[1] >= earliest:
                raise ValueError(f"{path} was moved while modules were imported from it")
        for name in imports:
            tail = name.replace(".", os.sep) + MODULE_SUFFIX
            if not any(os.path.join(path, tail) in self._files for path in search_path):
                raise ValueError(f"the module {name} is not mapped from the search path")
        self._places = PackagePlaces(search_path, roots)
        self._compiled = None if FileStamps is None else FileStamps(self._files)

    def _place(self, file: str) -> tuple[int, str]:
        """The number of the directory on the search path in which a mapped file is, and its path in there."""
        for number, (_, real) in enumerate(self._directories):
            if file.startswith(real.rstrip(os.sep) + os.sep):
                return number, os.path.relpath(file, real)
        raise ValueError(f"{file} is not on the search path")

    def __len__(self) -> int:
        return len(self._files)

    def still_hold(self) -> bool:
        """Return whether Lean would import the same files now."""
        if not self._places.still_hold():
            return False
        if self._compiled is not None:
            return self._compiled.still_hold()
        return all(_stamp(path) == stamp for path, stamp in self._files.items())


def mapped_modules() -> list[str]:
    """Return the module files that Lean has mapped into this process.

    One that was replaced or removed since ends with " (deleted)", which no file of that name exists for.
    """
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        paths = (line.rstrip("\n").split(maxsplit=5)[5:] for line in file)
        return list(dict.fromkeys(path[0] for path in paths if path and path[0].endswith(_MAPPED_SUFFIXES)))


def search_path(environment_value: str, directory: str | None) -> list[str]:
    """Return the directories of a LEAN_PATH, relative ones counted from `directory`."""
    return [str(Path(directory or ".", part)) for part in environment_value.split(os.pathsep) if part]


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
