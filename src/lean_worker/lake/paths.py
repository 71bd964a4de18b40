"""The directories of a project's built modules, found without running Lake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..base.regular_files import read_regular
from ..errors import CapabilityError, LakefileError, LeanWorkerError
from . import lakefile
from . import manifest as lake_manifest

# Before manifests had versions such as 1.0.0, Lake built into `build` and kept packages in `lake-packages`.
_BUILD_DIRECTORIES = (".lake/build", "build")
_PACKAGE_DIRECTORIES = (".lake/packages", "lake-packages")
# Newer versions of Lake keep modules one level further down.
_LIBRARY_DIRECTORIES = ("lib/lean", "lib")


def module_directories(project: Path | None) -> list[Path]:
    """Return the directories in which modules of a Lake project and of its packages are built, as far as they exist.

    The packages are those of the manifest. `buildDir` and `leanLibDir` of each lakefile are taken into account.

    Raises:
        CapabilityError: The manifest cannot be read.
        LakefileError: A lakefile computes one of the two directories.
    """
    if project is None:
        return []
    found: dict[Path, None] = {}
    for directory, config_file in [(project, None), *_packages(project)]:
        for candidate in _built(directory, config_file):
            if candidate.is_dir():
                found[candidate] = None
    return list(found)


def source_directories(project: Path | None) -> list[Path]:
    """Return the directories of the source text of a Lake project and of its packages, as far as they exist.

    `srcDir` of packages and of their libraries is taken into account where it is a literal. A manifest that cannot be
    read stands for no packages.
    """
    if project is None:
        return []
    try:
        packages = _packages(project)
    except CapabilityError:
        packages = []
    found: dict[Path, None] = {}
    for package, config_file in [(project, None), *packages]:
        for directory in _sources(package, config_file):
            if directory.is_dir():
                found[directory] = None
    return list(found)


def edited_directories(project: Path) -> list[Path]:
    """Return the directories with the files that a build reads and somebody may edit in between; some may not exist.

    Those are the project, the packages that are given by their path, and each `srcDir` of these that is a literal. A
    manifest or lakefile that cannot be read names nothing.
    """
    packages: list[tuple[Path, str | None]] = [(project, None)]
    with contextlib.suppress(LeanWorkerError):
        named = lake_manifest.read(project)
        if named is None:  # Lake has not been run yet
            packages += [(directory, None) for directory in lakefile.required_directories(project)]
        else:
            packages += [(each.directory, each.config_file) for each in named if each.repository is None]
    sources = [directory for package, config_file in packages for directory in _sources(package, config_file)]
    return list(dict.fromkeys([*(package for package, _ in packages), *sources]))


def _sources(package: Path, config_file: str | None) -> list[Path]:
    try:
        file = lakefile.find(package, config_file)
        content = b"" if file is None else read_regular(file)
        # Nearly no package has one, so that most lakefiles need not be understood.
        if file is None or b"srcDir" not in content:
            return [package]
        targets = lakefile.declarations(file, content).targets
    except (LakefileError, OSError):
        return [package]
    directories = []
    for target in targets:
        with contextlib.suppress(LakefileError):
            directories.append(package / target.library().src_dir)
    return directories or [package]


def _packages(project: Path) -> list[tuple[Path, str | None]]:
    packages = lake_manifest.read(project)
    if packages is not None:
        return [(package.directory, package.config_file) for package in packages]
    places = [project / name for name in _PACKAGE_DIRECTORIES]
    return [(entry, None) for place in places if place.is_dir() for entry in sorted(place.iterdir())]


def _built(package: Path, config_file: str | None) -> Iterator[Path]:
    build, library = _configured(package, config_file)
    for base in _BUILD_DIRECTORIES if build is None else (build,):
        for place in _LIBRARY_DIRECTORIES if library is None else (library,):
            yield package / base / place


def _configured(package: Path, config_file: str | None) -> tuple[str | None, str | None]:
    file = lakefile.find(package, config_file)
    if file is None:
        return None, None
    content = lakefile.content_of(file)
    # Nearly no package has either, so that most lakefiles need not be understood.
    if b"buildDir" not in content and b"leanLibDir" not in content:
        return None, None
    try:
        return lakefile.declarations(file, content).library_directory()
    except LakefileError as error:
        raise LakefileError(
            f"looking for built modules of {package}: {error.text}",
            hint="Write buildDir and leanLibDir as literals, or use a toolchain with Lake.",
            **error.facts,
        ) from error
