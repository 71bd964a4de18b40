"""The sources of the rows: which modules are imported together, and the capability that opens them.

Owns the choice of modules, their roots, and the digest by which a job notices that a module was compiled again. It
starts no worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..base import olean
from ..base.arguments import check_items, shown
from ..base.computed import computed
from ..base.moved_directories import Marks, have_moved, marks_of
from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..base.trusted_files import path_of
from ..errors import CapabilityError, InvalidModuleName, LeanWorkerError, UsageError
from ..hosting.capability import LeanCapability
from ..hosting.launch import Launch
from ..hosting.sandbox import Sandbox
from ..lake import tool as lake
from ..lake.project import LakeProject
from ..results import StreamSummary
from ..toolchains import module_files, module_names
from ..toolchains import toolchain as toolchains
from ..toolchains.module_closure import imports_in
from ..toolchains.script_modules import Closure
from ..toolchains.toolchain import Toolchain

_SOURCES = Path(__file__).parent.parent / "lean"
EVERYTHING = "LeanWorker.Goals"
"""The module that imports all others that come with the embedded Lean."""


def extractor(
    imports: Sequence[str] = (),
    *,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
) -> Extractor:
    """The capability that serves `DECLARATIONS`, `DEPENDENCIES` and `MODULES`.

    Args:
        imports: Modules that a worker imports when it starts, once for all requests; without any, each request names
            its own. If one of them is compiled again, or without any a module of `project` or of its packages, the
            next lease gets a new worker.
        project: Lake project whose built modules can be imported.
        toolchain: As of `LeanCapability`.

    Raises:
        UsageError: An argument is of the wrong kind, or an import is no name of a module.
        CapabilityError: There is no such Lean; as `lean_worker.toolchains.resolve`.
    """
    check_items("making an extractor", "imports", imports)
    module_names.check_names("making an extractor", imports)
    where = None if project is None else path_of("making an extractor", project).expanduser().absolute()
    is_bare = toolchains.resolve(toolchain, where).modules is None
    script = _SOURCES / "extract" / ("Embedded.lean" if is_bare else "Extract.lean")
    names = tuple(imports)
    return Extractor(script, project=where, toolchain=toolchain, arguments=names, settings="none", loads=names)


@dataclasses.dataclass(frozen=True)
class Extractor(LeanCapability):
    """A capability whose modules decide on its workers, but not on the items of a job.

    An item names the state of the modules that it depends on in its request (`version`).

    Without `loads`, any module of the project may be what a request imports: all of them count that are compiled when a
    worker is leased.

    Args:
        pinned: The state of the modules that each of its workers has; "" for that of the time of its start.
    """

    pinned: str = ""

    def launch(self) -> Launch:
        """See `Capability.launch`.

        Raises:
            CapabilityError: The modules have another state than the pinned one; or as of `LeanCapability`.
        """
        tree = self._tree()
        alone, loaded = self._loading(()).launch(), self._loading(self._loads(tree)).launch()
        state, places = loaded.content, loaded.places
        if tree is not None:
            # Its imports need not be known, nor the lakefile, to see that a module was compiled again.
            state, places = f"{state} {tree.digest}", (*places, *tree.directories)
        if self.pinned and state != self.pinned:
            raise another_build()
        return dataclasses.replace(alone, state=state, places=places)

    def modules(self, toolchain: Toolchain, search_path: Sequence[Path]) -> Closure | None:
        """See `LeanCapability.modules`."""
        return self._loading(self._loads(self._tree())).modules(toolchain, search_path)

    def _loading(self, loads: Sequence[str]) -> LeanCapability:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(LeanCapability)}
        return LeanCapability(**{**fields, "loads": loads})

    def _loads(self, tree: module_files.Tree | None) -> Sequence[str]:
        if tree is None or self.project is None:
            return self.loads
        try:
            return _compiled_modules(Path(self.project), self.toolchain, tree.digest)
        except LeanWorkerError:
            return ()  # the modules of what is no readable project are known to requests alone

    def _tree(self) -> module_files.Tree | None:
        """All compiled modules of the project and its packages as they are now; None if it is known what is loaded."""
        if self.loads or self.project is None:
            return None
        return module_files.tree([str(place) for place in self.search_path(self.resolve_toolchain())])

    def as_now(self) -> Extractor:
        """Return the extractor of the modules as they are now, and of no others.

        Raises:
            CapabilityError: As of `LeanCapability`.
        """
        return dataclasses.replace(self, pinned=self.launch().state)


_MARKS = list[tuple[bytes, tuple[int, int] | None]]


class BuildSeen:
    """Compiled modules as they were when a call began, with all that is behind them.

    Args:
        project: The project; None for none.
        toolchain: As of `LeanCapability`.
        modules: The modules.
    """

    def __init__(self, project: Path | None, toolchain: str | os.PathLike[str], modules: Iterable[str]) -> None:
        self._project = project
        self._toolchain = toolchain
        self._modules = sorted(set(map(_plain, modules)))
        # The directories first: who moves one while the files are looked at has moved it since.
        self._marks = self._files().marks_above(self._modules)
        self._digest = self._files().digest_of_all(self._modules)

    def has_moved(self) -> bool:
        """Whether a directory above the modules may have been another one since: their files need not say so."""
        try:
            return have_moved(self._marks, self._files().marks_above(self._modules))
        except LeanWorkerError:
            return self._project is not None and not os.path.isdir(self._project)

    def open_beside(self, ledger: Path) -> None:
        """Say beside a ledger by which directories its modules are found, for as long as a run can store rows."""
        marks = msgspec.json.encode([(os.fsencode(path), mark) for path, mark in self._marks.items()])
        _marks_beside(ledger).write_bytes(marks)

    def was_left_open(self, ledger: Path) -> bool:
        """Whether a run was killed, and a directory may have been another one then or since."""
        try:
            said = _marks_beside(ledger).read_bytes()
        except FileNotFoundError:
            return False
        try:
            before = {os.fsdecode(path): mark for path, mark in msgspec.json.decode(said, type=_MARKS)}
        except msgspec.DecodeError:
            return True  # it was killed while it wrote them, before it stored a row, or somebody else was
        return have_moved(before, self._marks)

    @staticmethod
    def close_beside(ledger: Path) -> None:
        """Remove what `open_beside` wrote, if it can be; the next run only looks once more if not."""
        with contextlib.suppress(OSError):
            _marks_beside(ledger).unlink()

    def refuse_another(self) -> None:
        """Refuse to go on if the modules have changed since.

        Raises:
            CapabilityError: They have.
        """
        if self.has_moved() or self._files().digest_of_all(self._modules) != self._digest:
            raise another_build()

    def _files(self) -> CompiledFiles:
        return lean_and_files(self._project, self._toolchain)[1]


_SETTINGS = ("lakefile.toml", "lakefile.lean", "lake-manifest.json", "lean-toolchain")


class SourcesSeen:
    """Source files, and what a project says of how Lean reads them, as they were when a call began.

    Args:
        project: The project; None for none.
        paths: The source files.
    """

    def __init__(self, project: Path | None, paths: Iterable[str]) -> None:
        settings = () if project is None else tuple(str(project / name) for name in _SETTINGS)
        self._files = [*paths, *settings]
        self._marks = marks_of(self._files)
        self._seen = module_files.settled(self._files)

    def refuse_others(self) -> None:
        """Refuse to go on if the files have changed since, or others were in their place.

        Raises:
            CapabilityError: They have.
        """
        if not self._seen.holds() or have_moved(self._marks, marks_of(self._files)):
            raise CapabilityError(
                "extracting messages: sources or settings of the project have changed since the call began; no file "
                "gets rows of two states",
                hint="Make the same call again when nothing writes them any more.",
            )


def _marks_beside(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.marks")


def imports_of_sources(paths: Iterable[str]) -> set[str]:
    """Return the modules that source files import, as far as the files can be read."""
    imports: set[str] = set()
    for path in paths:
        with contextlib.suppress(OSError):  # told elsewhere
            text = read_regular(Path(path)).decode("utf-8", "replace")
            imports.update(imports_in(text))
    return imports


def another_build() -> CapabilityError:
    """The error for modules that changed under a call."""
    return CapabilityError(
        "extracting: files of modules have changed since the call began; no file gets rows of two builds",
        hint="Make the same call again when the build is done.",
    )


def _compiled_modules(project: Path, toolchain: str | os.PathLike[str], digest: str) -> tuple[str, ...]:
    """Those of a project's modules that are compiled, if its lakefile says which modules it has.

    A damaged one among them is refused before a request imports it.

    Raises:
        LeanWorkerError: The project cannot be read.
    """
    return _declared(project, os.fspath(toolchain), lake.configuration_digest(project), digest)


# Each lease asks. What fails is not kept.
@functools.lru_cache(maxsize=16)
def _declared(project: Path, toolchain: str, _configuration: str, _digest: str) -> tuple[str, ...]:
    _, files = lean_and_files(project, toolchain)
    return tuple(each.name for each in LakeProject.discover(project).modules if files.file(each.name) is not None)


def goal_extractor(
    *,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    sandbox: Sandbox | None = None,
) -> LeanCapability:
    """The capability that serves `GOALS`. A file's code runs in the worker, and what it changes there stays.

    Args:
        project: Lake project whose built modules the files can import; Lean runs in its directory.
        toolchain: As of `LeanCapability`.
        sandbox: As of `LeanCapability`.

    Raises:
        CapabilityError: There is no such Lean; as `lean_worker.toolchains.resolve`.
    """
    where = None if project is None else path_of("making an extractor", project).expanduser().absolute()
    is_bare = toolchains.resolve(toolchain, where).modules is None
    script = _SOURCES / "extract" / ("EmbeddedGoals.lean" if is_bare else "Goals.lean")
    return LeanCapability(script, project=where, toolchain=toolchain, sandbox=sandbox, settings="none")


def source_of(name: str, path: str) -> str:
    """The text of a source file, which is called `name`.

    Raises:
        UsageError: It is no file that can be read, or not UTF-8.
    """
    try:
        return read_regular(Path(path)).decode("utf-8")
    except OSError as error:
        raise _unreadable("goals", name, error) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"extracting goals: {name} is no UTF-8: {error}", hint="Name source files, such as A.lean.", path=name
        ) from error


def refuse_unreadable(paths: Mapping[str, str]) -> None:
    """Refuse source files, by their names, that are not there or cannot be read, before any is checked.

    Raises:
        UsageError: One cannot be read.
    """
    for name, path in paths.items():
        try:
            read_regular(Path(path))
        except OSError as error:
            raise _unreadable("messages", name, error) from error


def _unreadable(what: str, path: str, error: OSError) -> UsageError:
    hint = "Targets are paths of source files here, such as Proofs/A.lean; look at this one and its permissions."
    return UsageError(f"extracting {what}: {path} cannot be read: {error.strerror}", hint=hint, path=path)


def printing(options: Iterable[str] | None) -> dict[str, bool]:
    """Printing options by name, from a list in which `no-` in front switches one off."""
    return {name.removeprefix("no-"): not name.startswith("no-") for name in options or ()}


def lean_path_of(summary: StreamSummary[Any]) -> str:
    """The places where a worker found its modules, as the summary of `MODULES` says."""
    return (summary.metadata or {}).get("path") or ""


class CompiledFiles:
    """The files of compiled modules, as Lean would find them.

    Args:
        search_path: Directories, in Lean's order.
    """

    def __init__(self, search_path: Sequence[Path]) -> None:
        self._finder = olean.Finder(search_path)
        self._known: dict[str, olean.Module | None] = {}

    def file(self, module: str) -> Path | None:
        """The module's file, if it exists.

        Raises:
            CapabilityError: This user may not enter a directory in which it would be.
        """
        try:
            found = self._finder.find(_plain(module))
        except OSError as error:
            raise of_system(f"extracting: looking for the module {module}", error) from error
        return Path(found) if found is not None and os.path.isfile(found) else None

    def read(self, module: str) -> olean.Module | None:
        """The facts that the module's file states of itself; None if there is none, or it is damaged.

        Raises:
            CapabilityError: The system does not let it be read; ResourceExhausted if for want of descriptors or memory.
                Without its imports, modules would be left out.
        """
        if module not in self._known:
            file = self.file(module)
            try:
                self._known[module] = None if file is None else olean.read_module(str(file))
            except (olean.BadModuleFile, FileNotFoundError):
                self._known[module] = None
            except OSError as error:
                raise of_system(f"extracting: reading {file}", error) from error
        return self._known[module]

    def behind(self, *modules: str) -> dict[str, None]:
        """All modules that they import, directly or not."""
        found: dict[str, None] = {}
        waiting = list(modules)
        while waiting:
            said = self.read(waiting.pop())
            for name in said.imports if said is not None else ():
                if name not in found:
                    found[name] = None
                    waiting.append(name)
        return found

    def roots(self, modules: Sequence[str]) -> tuple[str, ...]:
        """Those modules that no other one of them imports: importing them imports all."""
        wanted, covered = dict.fromkeys(modules), set[str]()
        for module in modules:
            if module not in covered:
                covered.update(self.behind(module))
        return tuple(module for module in wanted if module not in covered)

    @computed
    def _states(self) -> dict[str, str]:
        return {}

    def digest(self, module: str) -> str:
        """Of the states of its file and of all files behind it; "" if it has none."""
        return "" if self.file(module) is None else self.digest_of_all([module])

    def digest_of_all(self, modules: Sequence[str]) -> str:
        """Of the states of several modules and of all that is behind them."""
        names = sorted({*modules, *self.behind(*modules)})
        files = {name: self.file(name) for name in names if name not in self._states}
        snapshot = module_files.settled([path for file in files.values() for path in _parts_of(file)])
        for name, file in files.items():
            self._states[name] = str([snapshot.note(path) for path in _parts_of(file)])
        digest = hashlib.sha256()
        for name in names:
            digest.update(f"{name} {self._states[name]}\0".encode())
        return digest.hexdigest()

    def marks_above(self, modules: Sequence[str]) -> Marks:
        """Look at the directories and links that lead to several modules and to all that is behind them."""
        files = map(self.file, {*modules, *self.behind(*modules)})
        return marks_of(module_files.leading_to(str(file) for file in files if file is not None))


def _parts_of(file: Path | None) -> list[str]:
    if file is None:
        return []
    stem = str(file).removesuffix(".olean")
    return [str(file), *(stem + suffix for suffix in module_files.PARTS)]


def _plain(name: str) -> str:
    return name.replace("«", "").replace("»", "")


def lean_and_files(project: Path | None, toolchain: str | os.PathLike[str]) -> tuple[Toolchain, CompiledFiles]:
    """The Lean that is meant, and the compiled modules that it finds."""
    lean = toolchains.resolve(toolchain, project)
    places = [*lake.module_path(lean, project)]
    places += [Path(part) for part in os.environ.get("LEAN_PATH", "").split(os.pathsep) if part]
    if lean.modules is not None:
        places.append(lean.modules)
    return lean, CompiledFiles(places)


def chosen_modules(targets: Iterable[str] | None, project: Path | None, files: CompiledFiles) -> tuple[str, ...]:
    """The modules to extract from, each once; () for those that come with the embedded Lean.

    Raises:
        UsageError: A target is no module name, or a module of the project was not built.
    """
    if targets is not None:
        return tuple(dict.fromkeys(map(_module, targets)))
    if project is None:
        return ()
    found = LakeProject.discover(project)
    targets = {each.name for each in found.modules if each.is_target and each.library in found.default_targets}
    # As `lake build` does: the root of a library without `globs` names the other modules by its imports.
    imported = {_plain(name) for name in files.behind(*targets)}
    # And by those that its source has got since: what was forgotten to build is not left out in silence.
    imported |= _imported_by_sources(found, imported | {_plain(name) for name in targets})
    modules = tuple(each.name for each in found.modules if each.name in targets or _plain(each.name) in imported)
    unbuilt = [module for module in modules if files.file(module) is None]
    if unbuilt:
        raise UsageError(
            f"extracting from {project}: {len(unbuilt)} of its {len(modules)} modules are not built, "
            f"first {unbuilt[0]}",
            hint="Run `lake build`, or name the modules.",
        )
    return modules


def _imported_by_sources(project: LakeProject, first: set[str]) -> set[str]:
    """The modules of a project that the sources of some of them import, and theirs."""
    paths = {_plain(each.name): each.path for each in project.modules}
    found: set[str] = set()
    waiting = [name for name in first if name in paths]
    while waiting:
        try:
            text = read_regular(paths[waiting.pop()]).decode("utf-8", "replace")
        except OSError:
            continue  # its compiled form is what is read
        names = set(imports_in(text)) & paths.keys()
        waiting += names - found - first
        found |= names
    return found


def _module(target: str) -> str:
    try:
        return module_names.canonical(target)
    except InvalidModuleName as error:
        raise UsageError(
            f"extracting: the target {shown(target)} is no name of a module: {error.text}",
            hint="Targets are names of modules here, such as Mathlib.Logic.Basic; only messages and goals take files.",
        ) from error


def embedded_imports(lean: Toolchain, modules: Sequence[str]) -> tuple[str, ...]:
    """Return what to import if no module was named: all that comes with the embedded Lean.

    Raises:
        UsageError: This Lean has a library, of which nobody wants everything by accident.
    """
    if modules:
        return ()
    if lean.modules is not None:
        raise UsageError(
            "extracting: no module was named, and there is no project", hint="Name modules, or give the project."
        )
    return (EVERYTHING,)
