"""A project's lakefile, in whichever dialect it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import LakefileError, PlanningError
from . import lakefile_lean, lakefile_toml
from .declarations import Declarations

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
    return readers.get(file.suffix, lakefile_lean.declarations)(file, content)


def read(file: Path) -> Declarations:
    """Return what a lakefile declares.

    Raises:
        LakefileError: It is broken.
        PlanningError: It cannot be opened.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PlanningError(f"reading {file}: {error.strerror or error}", file=str(file)) from error
    return declarations(file, content)


def fetched_requirements(project: Path) -> tuple[str, ...]:
    """Return the names of packages that a project requires and that Lake would have to fetch.

    What the packages at a path require counts too. A lakefile that is broken requires something if it has the word for
    it: Lake may read more than this package does.
    """
    fetched: dict[str, None] = {}
    waiting, seen = [project], set[Path]()
    while waiting:
        place = waiting.pop().resolve()
        file = find(place)
        if place in seen or file is None:
            continue
        seen.add(place)
        try:
            requirements = read(file).requirements
        except LakefileError:
            if b"require" in file.read_bytes():
                fetched[f"what {file} names"] = None
            continue
        for requirement in requirements:
            if requirement.path is None:
                fetched[requirement.name] = None
            else:
                waiting.append(place / requirement.path)
    return tuple(fetched)
