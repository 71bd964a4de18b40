"""The packages that a Lake project's manifest names, and where they lie.

Reads every form that a Lake of our time writes: versions 5 and 6 with an entry inside of its kind, 7 and 1.0.0 to 1.2.0
with flat entries, and the overrides in `.lake/package-overrides.json`. Starts nothing and fetches nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from ..base.arguments import shown
from ..base.regular_files import read_regular, why_no_path
from ..errors import CapabilityError

MANIFEST = "lake-manifest.json"
OVERRIDES = ".lake/package-overrides.json"
_DEFAULT_PACKAGES = ".lake/packages"
# Versions before 1.0.0 were plain numbers; a higher first number is a form that nobody knows yet.
_OLDEST_NUMBER, _NEWEST_NUMBER, _NEWEST_MAJOR = 5, 7, 1
_NESTED_UP_TO = 6


@dataclasses.dataclass(frozen=True)
class LakePackage:
    """A package that a manifest names.

    Attributes:
        name: Its name without Lean's `«»`, as its directory is called.
        directory: The package itself.
        repository: The git checkout that holds it; None for a package that is given by its path.
        revision: The commit at which the checkout has to be; None for a path, or if the entry has none.
        config_file: The name of its lakefile, which may lack its ending.
    """

    name: str
    directory: Path
    repository: Path | None
    revision: str | None
    config_file: str


def read(project: Path) -> tuple[LakePackage, ...] | None:
    """Return the packages of a project in the manifest's order; None if the project has no manifest.

    Raises:
        CapabilityError: The manifest cannot be read, or is of a form that is not known here.
    """
    table = _table(project / MANIFEST)
    if table is None:
        return None
    packages = {package.name: package for package in _packages(project, project / MANIFEST, table)}
    overrides = _table(project / OVERRIDES)
    if overrides is not None:
        directory = {"packagesDir": table.get("packagesDir"), **overrides}
        packages |= {package.name: package for package in _packages(project, project / OVERRIDES, directory)}
    return tuple(packages.values())


def unescaped(name: str) -> str:
    """Return a name without Lean's `«»`, as Lake makes directory names of it."""
    return name.replace("«", "").replace("»", "")


def _table(file: Path) -> dict[str, Any] | None:
    try:
        table = msgspec.json.decode(read_regular(file))
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(file, str(error)) from error
    if not isinstance(table, dict):
        raise _unreadable(file, "expected a JSON object")
    return table


def _packages(project: Path, file: Path, table: dict[str, Any]) -> list[LakePackage]:
    nested = _is_nested(file, table)
    directory = table.get("packagesDir") or _DEFAULT_PACKAGES
    entries = table.get("packages") or []
    if not isinstance(directory, str) or not isinstance(entries, list):
        raise _unreadable(file, "expected packagesDir as a string and packages as a list")
    found = [_package(project, file, project / directory, entry, nested=nested) for entry in entries]
    packages = [package for package in found if package is not None]
    for package in packages:
        for text in (str(package.directory), package.config_file):
            why = why_no_path(text)
            if why is not None:
                raise _unreadable(file, f"the package {shown(package.name)} has no possible path: {why}")
    return packages


def _is_nested(file: Path, table: dict[str, Any]) -> bool:
    version = table.get("version", table.get("schemaVersion", "1.0.0"))
    if isinstance(version, int) and _OLDEST_NUMBER <= version <= _NEWEST_NUMBER:
        return version <= _NESTED_UP_TO
    major = version.partition(".")[0] if isinstance(version, str) else ""
    if major.isdecimal() and int(major) <= _NEWEST_MAJOR:
        return False
    raise _unreadable(file, f"its version is {version!r}; known are 5 to 7 and 1.0.0 to 1.2.0")


def _package(project: Path, file: Path, packages: Path, entry: Any, *, nested: bool) -> LakePackage | None:
    kind = _text(entry, "type")
    if nested and isinstance(entry, dict) and len(entry) == 1:
        kind, entry = next(iter(entry.items()))
    name = _text(entry, "name")
    if name is None or kind not in ("git", "path"):
        raise _unreadable(file, f"expected packages with a name, of the type git or path, got {entry!r}"[:300])
    name = unescaped(name)
    config_file = _text(entry, "configFile") or "lakefile.lean"
    if kind == "path":
        place = _text(entry, "dir")
        # Lake refuses an entry without it, and changes nothing.
        return None if place is None else LakePackage(name, project / place, None, None, config_file)
    repository = packages / name
    inside = _text(entry, "subDir") or _text(entry, "subDir?")
    directory = repository if inside is None else repository / inside
    return LakePackage(name, directory, repository, _text(entry, "rev"), config_file)


def _text(entry: Any, key: str) -> str | None:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else None


def _unreadable(file: Path, reason: str) -> CapabilityError:
    return CapabilityError(
        f"reading the packages of a Lake project: {file}: {reason}",
        hint="Restore the file, or have Lake write it again: lake update.",
        file=str(file),
    )
