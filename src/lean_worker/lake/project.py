"""The modules of a Lake project, found without running Lake.

Owns which files are modules of which library, and in which order. It starts no Lean and reads no
imports: those are read when work is planned. Callers choose a project and, if they like, some of its libraries.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..base.arguments import check_path, check_several, check_text, shown
from ..base.regular_files import read_regular
from ..base.trusted_files import path_of
from ..errors import LakefileError, ModuleMissing, PlanningError, UsageError
from ..toolchains import module_names
from . import lakefile
from . import manifest as lake_manifest
from .declarations import Declarations
from .library import LakeGlob, LakeLibrary

# By these a project says what it is built from and with.
PINNING_FILES = ("lake-manifest.json", "lean-toolchain")
# Links between directories can make any number of paths.
_MOST_DIRECTORIES = 100_000


@dataclasses.dataclass(frozen=True)
class LakeModule:
    """A source file of a project.

    Attributes:
        name: As Lean writes it, such as `Foo.«bar baz»`.
        path: Its file.
        library: The first declared library that it belongs to, or else the program whose root it is.
        is_target: Whether Lake builds it for its library by itself; any other module is built only if it is imported.
    """

    name: str
    path: Path
    library: str
    is_target: bool


@dataclasses.dataclass(frozen=True)
class LakeProject:
    """A Lake project as its files declare it; make one with `discover`.

    Attributes:
        root: Its directory.
        lakefile: The file that declares its libraries.
        libraries: What was looked through for modules.
        modules: All source files of these libraries, by name; each name stands once.
        missing: Modules that a glob names and that have no file: Lake would fail to build their library by its name.
        shadowed: Roots of programs whose name is that of another module, such as the `Main` of a second program; to
            plan one, discover its program alone.
        sha256: Digest of the lakefile, the manifest with its overrides, the toolchain file and the libraries. No path
            and no time enters.
        default_targets: Names of the libraries and programs that `lake build` builds: those of `libraries` that the
            lakefile marks as default targets, or all of them if it marks none.
    """

    root: Path
    lakefile: Path
    libraries: tuple[LakeLibrary, ...]
    modules: tuple[LakeModule, ...]
    missing: tuple[str, ...]
    shadowed: tuple[LakeModule, ...]
    sha256: str
    default_targets: tuple[str, ...] = ()

    @classmethod
    def discover(
        cls, path: str | os.PathLike[str], *, libraries: Iterable[LakeLibrary | str] | None = None
    ) -> LakeProject:
        """Read a project's lakefile and find its modules.

        As for Lake, a library's modules are what its `globs` name and what lies below its `roots`, and
        `lakefile.lean` is read if there is a `lakefile.toml` too.

        Args:
            path: The directory of the lakefile.
            libraries: Names of declared targets, or libraries as they really are, for a lakefile that computes them;
                None for all that are declared. If all are given as values, the lakefile is not evaluated.

        Raises:
            LakefileError: There is no lakefile, it is broken, or it computes the modules of a library that is chosen.
            InvalidModuleName: A source file has a name that no module can have.
            ModuleMissing: A library has no module at all.
            PlanningError: Files of two libraries are one module, or a file cannot be read.
            UsageError: A name in `libraries` is not declared.
        """
        doing = "looking for a Lake project"
        check_path(doing, "path", path)
        root = path_of(doing, path).expanduser().absolute()
        if libraries is not None:
            check_several(doing, "libraries", libraries, "names of libraries")
            libraries = list(libraries)
            for library in libraries:
                if not isinstance(library, LakeLibrary):
                    check_text(doing, "a library", library)
        file = _lakefile(root)
        content = _read(file)
        chosen = libraries
        marked: set[str] = set()
        if chosen is None:
            declared = lakefile.declarations(file, content)
            selected = declared.libraries()
            marked = {target.library().name for target in declared.targets if target.is_default}
        elif all(isinstance(library, LakeLibrary) for library in chosen):
            selected = tuple(library for library in chosen if isinstance(library, LakeLibrary))
        else:
            declared = lakefile.declarations(file, content)
            selected = tuple(_select(choice, declared, file) for choice in chosen)
        found = _look_through(root, selected)
        return cls(
            root,
            file,
            selected,
            tuple(found.modules[name] for name in sorted(found.modules)),
            tuple(found.missing),
            tuple(found.shadowed),
            _digest(root, content, selected),
            tuple(library.name for library in selected if not marked or library.name in marked),
        )

    def module(self, name: str) -> LakeModule:
        """The module of that name, in any spelling.

        Raises:
            ModuleMissing: The project has none.
            InvalidModuleName: This is no module name.
            UsageError: It is no text.
        """
        check_text("looking for a module", "its name", name)
        wanted = module_names.canonical(name)
        for module in self.modules:
            if module.name == wanted:
                return module
        raise ModuleMissing(f"looking for the module {wanted}: it is not in the project {self.root}", module=wanted)


def _lakefile(root: Path) -> Path:
    file = lakefile.find(root)
    if file is None:
        raise LakefileError(
            f"looking for a Lake project: {root} has neither a lakefile.lean nor a lakefile.toml",
            hint="Give the directory that holds the lakefile.",
            file=str(root),
        )
    return file


def _select(choice: LakeLibrary | str, declared: Declarations, file: Path) -> LakeLibrary:
    if isinstance(choice, LakeLibrary):
        return choice
    target = declared.target(choice)
    if target is None:
        names = ", ".join(each.name for each in declared.targets) or "nothing"
        raise UsageError(
            f"choosing libraries: {file} declares no {shown(choice)}, but {names}",
            hint="Give one of those names, or leave the libraries out.",
        )
    return target.library()


@dataclasses.dataclass
class _Found:
    """Result of a search through the libraries."""

    modules: dict[str, LakeModule] = dataclasses.field(default_factory=dict)
    shadowed: list[LakeModule] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)

    def add(self, module: LakeModule, kind: str) -> None:
        before = self.modules.setdefault(module.name, module)
        if _is_same_file(before.path, module.path):
            if module.is_target and not before.is_target:
                self.modules[module.name] = dataclasses.replace(before, is_target=True)
        elif kind == "lean_exe":
            self.shadowed.append(module)
        else:
            raise PlanningError(
                f"discovering modules: {before.path} (of {before.library}) and {module.path} (of {module.library}) are "
                f"both the module {module.name}",
                hint="Discover one of the two libraries at a time: discover(libraries=[…]).",
            )


def _look_through(root: Path, libraries: Sequence[LakeLibrary]) -> _Found:
    found = _Found()
    # What is a library's module and a program's root is the library's.
    for library in sorted(libraries, key=lambda library: library.kind != "lean_lib"):
        source = root / library.src_dir
        names = _names_in(source, library)
        for parts in sorted(names):
            path = source / module_names.source_path(parts)
            found.add(LakeModule(module_names.text(parts), path, library.name, library.builds(parts)), library.kind)
        named = [name for name in library.named() if module_names.parse(name) not in names]
        if named and not names and library.kind == "lean_lib":
            raise ModuleMissing(
                f"discovering modules: {library.kind} {library.name} has no module: there is no file "
                f"{source / module_names.source_path(module_names.parse(named[0]))}, and none below",
                hint="Correct roots, globs or srcDir, or leave the library out: discover(libraries=[…]).",
                module=named[0],
                library=library.name,
            )
        found.missing += named
    return found


def _names_in(source: Path, library: LakeLibrary) -> set[tuple[str, ...]]:
    names: set[tuple[str, ...]] = set()
    for glob in library.searched():
        names.update(_matching(source, glob))
    return names


def _matching(source: Path, glob: LakeGlob) -> Iterator[tuple[str, ...]]:
    parts = module_names.parse(glob.module)
    if glob.itself and (source / module_names.source_path(parts)).is_file():
        yield parts
    if glob.submodules:
        directory = source / module_names.source_path(parts, "")
        if not directory.is_dir():
            return
        for folder, files in _folders(directory):
            for file in files:
                if file.endswith(".lean") and file != ".lean":
                    yield module_names.of_path((Path(folder) / file).relative_to(source))


def _folders(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield directories with their files. A link to a directory that contains it is not followed again."""
    resolved = directory.resolve()
    above = {str(directory): frozenset(_identity(str(place)) for place in resolved.parents)}
    # A directory that cannot be listed must not look like an empty one.
    for count, (folder, folders, files) in enumerate(os.walk(directory, onerror=_refuse, followlinks=True)):
        if count >= _MOST_DIRECTORIES:
            raise PlanningError(f"discovering modules: {directory} has more than {_MOST_DIRECTORIES:,} directories")
        parents = above.pop(folder) | {_identity(folder)}
        folders[:] = [name for name in folders if _identity(os.path.join(folder, name)) not in parents]
        above.update((os.path.join(folder, name), parents) for name in folders)
        yield folder, files


def _identity(folder: str) -> tuple[int, int]:
    try:
        stat = os.stat(folder)
    except OSError as error:
        _refuse(error)
        raise
    return stat.st_dev, stat.st_ino


def _refuse(error: OSError) -> None:
    raise PlanningError(f"discovering modules: {error.filename}: {error.strerror}") from error


def _is_same_file(one: Path, other: Path) -> bool:
    return one == other or os.path.samefile(one, other)


def _read(file: Path) -> bytes:
    try:
        return read_regular(file)
    except OSError as error:
        raise PlanningError(f"reading {file}: {error.strerror or error}", file=str(file)) from error


def _digest(root: Path, lakefile: bytes, libraries: Sequence[LakeLibrary]) -> str:
    digest = hashlib.sha256(hashlib.sha256(lakefile).digest())
    for name in PINNING_FILES:
        file = root / name
        digest.update(hashlib.sha256(_read(file)).digest() if file.is_file() else b"none")
    overrides = root / lake_manifest.OVERRIDES
    if overrides.is_file():
        digest.update(hashlib.sha256(_read(overrides)).digest())
    for library in libraries:
        digest.update(f"{library.kind}\0{library.name}\0{library.src_dir}\0".encode())
        digest.update("".join(f"{glob}\0" for glob in library.searched()).encode())
    return digest.hexdigest()
