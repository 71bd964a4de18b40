"""The modules of a Lake project, found without running Lake.

Owns which files are modules of which library, in which order, and with which content. It starts no Lean and reads no
imports: those are read when work is planned. Callers choose a project and, if they like, some of its libraries.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from . import lakefile_lean, lakefile_toml, module_names
from .errors import LakefileError, ModuleMissing, PlanningError, UsageError
from .lake_library import LakeGlob, LakeLibrary, target_name

# As Lake chooses when a project has both.
_READERS: tuple[tuple[str, Callable[[Path, bytes], tuple[LakeLibrary, ...]]], ...] = (
    ("lakefile.lean", lakefile_lean.read),
    ("lakefile.toml", lakefile_toml.read),
)
# By these a project says what it is built from and with.
PINNING_FILES = ("lake-manifest.json", "lean-toolchain")


@dataclasses.dataclass(frozen=True)
class LakeModule:
    """A source file of a project.

    Attributes:
        name: As Lean writes it, such as `Foo.«bar baz»`.
        path: Its file.
        library: The first declared target that it belongs to.
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
        sha256: Digest of the lakefile, the manifest, the toolchain file and the libraries. No path and no time enters.
    """

    root: Path
    lakefile: Path
    libraries: tuple[LakeLibrary, ...]
    modules: tuple[LakeModule, ...]
    sha256: str

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
            LakefileError: There is no lakefile, it is broken, or it computes what modules there are.
            InvalidModuleName: A source file has a name that no module can have.
            ModuleMissing: A module that a glob names has no file.
            PlanningError: Two files are one module, or a file cannot be read.
            UsageError: A name in `libraries` is not declared.
        """
        root = Path(path).expanduser().absolute()
        lakefile, reader = _lakefile(root)
        content = _read(lakefile)
        chosen = None if libraries is None else list(libraries)
        if chosen is not None and all(isinstance(library, LakeLibrary) for library in chosen):
            declared: tuple[LakeLibrary, ...] = ()
        else:
            declared = reader(lakefile, content)
        selected = declared if chosen is None else tuple(_select(choice, declared, lakefile) for choice in chosen)
        return cls(root, lakefile, selected, _modules(root, selected), _digest(root, content, selected))

    def module(self, name: str) -> LakeModule:
        """The module of that name, in any spelling.

        Raises:
            ModuleMissing: The project has none.
            InvalidModuleName: This is no module name.
        """
        wanted = module_names.canonical(name)
        for module in self.modules:
            if module.name == wanted:
                return module
        raise ModuleMissing(f"looking for the module {wanted}: it is not in the project {self.root}", module=wanted)


def _lakefile(root: Path) -> tuple[Path, Callable[[Path, bytes], tuple[LakeLibrary, ...]]]:
    for name, reader in _READERS:
        if (root / name).is_file():
            return root / name, reader
    raise LakefileError(
        f"looking for a Lake project: {root} has neither a lakefile.lean nor a lakefile.toml",
        hint="Give the directory that holds the lakefile.",
        file=str(root),
    )


def _select(choice: LakeLibrary | str, declared: Sequence[LakeLibrary], lakefile: Path) -> LakeLibrary:
    if isinstance(choice, LakeLibrary):
        return choice
    for library in declared:
        if library.name == target_name(choice):
            return library
    names = ", ".join(library.name for library in declared) or "nothing"
    raise UsageError(f"choosing libraries: {lakefile} declares no {choice!r}, but {names}")


def _modules(root: Path, libraries: Sequence[LakeLibrary]) -> tuple[LakeModule, ...]:
    found: dict[str, LakeModule] = {}
    for library in libraries:
        source = root / library.src_dir
        for parts in sorted(_names_in(source, library)):
            path = source / module_names.source_path(parts)
            module = LakeModule(module_names.text(parts), path, library.name, library.builds(parts))
            before = found.setdefault(module.name, module)
            if not _is_same_file(before.path, path):
                raise PlanningError(
                    f"discovering modules: {before.path} (of {before.library}) and {path} (of {library.name}) are both "
                    f"the module {module.name}",
                    hint="Discover one of the two libraries at a time: discover(libraries=[…]).",
                )
            if module.is_target and not before.is_target:
                found[module.name] = dataclasses.replace(before, is_target=True)
        for name in library.named():
            if name not in found:
                raise ModuleMissing(
                    f"discovering modules: {library.kind} {library.name} names the module {name}, and there is no file "
                    f"{source / module_names.source_path(module_names.parse(name))}",
                    hint="Lake would not build this library either: add the file, or correct roots, globs or srcDir.",
                    module=name,
                    library=library.name,
                )
    return tuple(found[name] for name in sorted(found))


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
        # A directory that cannot be listed must not look like an empty one.
        for folder, _, files in os.walk(directory, onerror=_refuse, followlinks=True):
            for file in files:
                if file.endswith(".lean") and file != ".lean":
                    yield module_names.of_path((Path(folder) / file).relative_to(source))


def _refuse(error: OSError) -> None:
    raise PlanningError(f"discovering modules: {error.filename}: {error.strerror}") from error


def _is_same_file(one: Path, other: Path) -> bool:
    return one == other or os.path.samefile(one, other)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PlanningError(f"reading {file}: {error.strerror or error}", file=str(file)) from error


def _digest(root: Path, lakefile: bytes, libraries: Sequence[LakeLibrary]) -> str:
    digest = hashlib.sha256(hashlib.sha256(lakefile).digest())
    for name in PINNING_FILES:
        file = root / name
        digest.update(hashlib.sha256(_read(file)).digest() if file.is_file() else b"none")
    for library in libraries:
        digest.update(f"{library.kind}\0{library.name}\0{library.src_dir}\0".encode())
        digest.update("".join(f"{glob}\0" for glob in library.searched()).encode())
    return digest.hexdigest()
