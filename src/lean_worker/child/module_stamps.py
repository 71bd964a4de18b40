"""Module files as they were when Lean imported them, and whether they still are.

Owns which files matter: those that Lean has mapped, and those that it would find first on its search path if they
existed. A change is seen by device, inode, size and times. Only the names of what a module imports are read, once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..base import olean
from ..base.moved_directories import marks_of
from ..base.package_places import MODULE_SUFFIX, PackagePlaces

try:
    from .._import_once import FileStamps
except ImportError:
    FileStamps = None  # type: ignore[assignment,misc]

_MODULE_SUFFIXES = (".olean", ".olean.server", ".olean.private", ".ir.sig", ".ir")
_DELETED = " (deleted)"
_MAPPED_SUFFIXES = tuple(f"{suffix}{after}" for suffix in _MODULE_SUFFIXES for after in ("", _DELETED))
# A file's time is that of the kernel's last tick.
_TICK_NANOSECONDS = 20_000_000

_Stamp = tuple[int, int, int, int, int]


class ModulesChanged(ValueError):
    """A file is not, or may not be, the one that was imported."""


class ModuleStamps:
    """The state of the module files of one import.

    Args:
        files: The files that Lean has mapped.
        imports: The modules that the header names, with or without quotes.
        search_path: Where Lean looks for modules, in order.
        since_nanoseconds: The time at which the import began.

    Raises:
        ModulesChanged: A file is not, or may not be, the one that was imported; the text says which.
        ValueError: The files do not tell.
    """

    def __init__(
        self, files: Sequence[str], imports: Sequence[str], search_path: Sequence[str], since_nanoseconds: int
    ) -> None:
        imports = [name.replace("«", "").replace("»", "") for name in imports]
        self._files: dict[str, _Stamp] = {}
        earliest = since_nanoseconds - _TICK_NANOSECONDS
        try:
            ways = _ways_by_name(files, imports, search_path)
        except olean.UnknownFormat:
            ways = _ways_by_place(files, search_path, earliest)
        mapped = {inside for _, inside in ways}
        for name in imports:
            if name.replace(".", os.sep) + MODULE_SUFFIX not in mapped:
                raise ValueError(f"the module {name} is not mapped from the search path")
        owners: dict[str, int] = {}
        for owner, inside in ways:
            path = os.path.join(search_path[owner], inside)
            stamp = _stamp(path)
            if stamp is None or max(stamp[3:]) >= earliest:
                raise ModulesChanged(f"{path} changed while it was imported")
            self._files[path] = stamp
            root = inside.partition(os.sep)[0].partition(".")[0]
            owners[root] = max(owner, owners.get(root, 0))
        self._places = PackagePlaces(search_path, owners)
        self._compiled = None if FileStamps is None else FileStamps(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def still_hold(self) -> bool:
        """Return whether Lean would import the same files now."""
        if not self._places.still_hold():
            return False
        if self._compiled is not None:
            return self._compiled.still_hold()
        return all(_stamp(path) == stamp for path, stamp in self._files.items())


def _ways_by_name(files: Sequence[str], imports: Sequence[str], search_path: Sequence[str]) -> list[tuple[int, str]]:
    """The ways on which Lean has come to mapped files, by links or not: its directory's number, and the path in there.

    A mapped file is known by where it is now. To know by which way it was found, the imports are followed once more.

    Raises:
        ModulesChanged: A file is not there any more, or is of no module behind the imports.
        UnknownFormat: The imports cannot be read.
    """
    left = set(files)
    numbers = {str(Path(place)): number for number, place in reversed(list(enumerate(search_path)))}
    finder = olean.Finder([*map(Path, search_path)])
    directories: dict[str, str] = {}
    found: list[tuple[int, str]] = []
    unmatched: list[tuple[str, int, str]] = []
    waiting = {"Init", *imports}
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        way = finder.find(module)
        if way is None:
            continue
        try:
            waiting |= set(olean.read_module(way).imports) - seen
        except olean.UnknownFormat:
            raise
        except (OSError, olean.BadModuleFile):
            pass  # not all that a module imports is loaded with it
        stem = way.removesuffix(MODULE_SUFFIX)
        home = stem.removesuffix(f"/{module.replace('.', '/')}")
        directory, _, name = stem.rpartition("/")
        real = directories.get(directory) or directories.setdefault(directory, os.path.realpath(directory))
        for suffix in _MODULE_SUFFIXES:
            at = numbers[home], f"{stem[len(home) + 1 :]}{suffix}"
            file = f"{real}/{name}{suffix}"
            if file in left:
                left.remove(file)
                found.append(at)
            else:
                unmatched.append((file, *at))
    for file, owner, inside in unmatched if left else ():
        if os.path.islink(file) and (target := os.path.realpath(file)) in left:
            left.remove(target)
            found.append((owner, inside))
    if left:
        file = min(left, key=lambda each: (not each.endswith(_DELETED), each))
        raise ModulesChanged(f"{file} changed while it was imported, or is of no module behind the imports")
    return found


def _ways_by_place(
    files: Sequence[str], search_path: Sequence[str], earliest_nanoseconds: int
) -> list[tuple[int, str]]:
    """The ways to files of an unknown format: they are where Lean found them if nothing was moved meanwhile.

    Raises:
        ModulesChanged: A directory may have been elsewhere.
        ValueError: A file is not on the search path.
    """
    directories = [(number, os.path.realpath(path).rstrip(os.sep) + os.sep) for number, path in enumerate(search_path)]
    found: list[tuple[int, str]] = []
    leading: dict[str, str] = {}
    for file in files:
        owner = next((number for number, real in directories if file.startswith(real)), None)
        if owner is None:
            raise ValueError(f"{file} is not on the search path")
        inside = file[len(directories[owner][1]) :]
        found.append((owner, inside))
        path = os.path.join(search_path[owner], inside)
        # One file of a directory stands for the others.
        leading.setdefault(os.path.dirname(path), path)
    for path, mark in marks_of(leading.values()).items():
        if mark is not None and mark[1] >= earliest_nanoseconds:
            raise ModulesChanged(f"{path} was moved while modules were imported from it")
    return found


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
