"""A project's lakefile, in whichever dialect it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ..base.arguments import shown
from ..base.regular_files import read_regular, why_no_path
from ..errors import LakefileError, PlanningError
from . import lakefile_lean, lakefile_toml
from .declarations import Declarations, Target
from .library import LakeLibrary

# As Lake chooses when a project has both.
READERS: tuple[tuple[str, Callable[[Path, bytes], Declarations]], ...] = (
    ("lakefile.lean", lakefile_lean.declarations),
    ("lakefile.toml", lakefile_toml.declarations),
)


def find(project: Path, name: str | None = None) -> Path | None:
    """Return the lakefile of a project; None if it has none.

    Args:
        project: The project's directory.
        name: Name of another file than the usual ones; it may lack its ending.
    """
    for usual, _ in READERS:
        for file in (project / name, project / f"{name}{Path(usual).suffix}") if name else ():
            if file.is_file() and file.suffix == Path(usual).suffix:
                return file
    return next((project / usual for usual, _ in READERS if (project / usual).is_file()), None)


def declarations(file: Path, content: bytes) -> Declarations:
    """Return what a lakefile declares.

    Raises:
        LakefileError: It cannot be read.
    """
    readers = {Path(usual).suffix: reader for usual, reader in READERS}
    found = readers.get(file.suffix, lakefile_lean.declarations)(file, content)
    for requirement in found.requirements:
        _check_path(file, "a required package's path", requirement.path)

    def library_directory() -> tuple[str | None, str | None]:
        build, library = found.library_directory()
        _check_path(file, "buildDir", build)
        _check_path(file, "leanLibDir", library)
        return build, library

    targets = tuple(_with_checked_source(file, target) for target in found.targets)
    return dataclasses.replace(found, targets=targets, library_directory=library_directory)


def _with_checked_source(file: Path, target: Target) -> Target:
    def library() -> LakeLibrary:
        found = target.library()
        _check_path(file, "srcDir", found.src_dir)
        return found

    return dataclasses.replace(target, library=library)


def _check_path(file: Path, what: str, text: str | None) -> None:
    why = None if text is None else why_no_path(text)
    if why is not None:
        raise LakefileError(f"reading {file}: {what} is no possible path: {why}: {shown(text)}", file=str(file))


def read(file: Path) -> Declarations:
    """Return what a lakefile declares.

    Raises:
        LakefileError: It is broken.
        PlanningError: It cannot be opened.
    """
    return declarations(file, content_of(file))


def content_of(file: Path) -> bytes:
    """Return the bytes of a lakefile.

    Raises:
        PlanningError: It cannot be opened.
    """
    try:
        return read_regular(file)
    except OSError as error:
        raise PlanningError(f"reading {file}: {error.strerror or error}", file=str(file)) from error


def fetched_requirements(project: Path) -> tuple[str, ...]:
    """Return the names of packages that a project requires and that Lake would have to fetch.

    What the packages at a path require counts too. A lakefile that is broken requires something if it has the word for
    it: Lake may read more than this package does.
    """
    return tuple(_required(project)[0])


def required_directories(project: Path) -> tuple[Path, ...]:
    """Return the directories of the packages at a path that a project requires, and of those that these require."""
    return tuple(_required(project)[1])[1:]


def _required(project: Path) -> tuple[dict[str, None], dict[Path, None]]:
    """Return what would have to be fetched, and the directories of the project and of packages at a path."""
    fetched: dict[str, None] = {}
    waiting, seen = [project], dict[Path, None]()
    while waiting:
        place = waiting.pop().resolve()
        file = find(place)
        if place in seen or file is None:
            continue
        seen[place] = None
        try:
            requirements = read(file).requirements
        except LakefileError:
            if b"require" in content_of(file):
                fetched[f"what {file} names"] = None
            continue
        for requirement in requirements:
            if requirement.path is None:
                fetched[requirement.name] = None
            else:
                waiting.append(place / requirement.path)
    return fetched, seen
