"""Import graph of a project's modules, and the modules in it that cannot be opened.

Owns the walk over imports: what a set of modules needs, circles, imports that nobody provides, and a digest of a module
that changes with everything it is built from. Callers say where they look for compiled modules.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..base.regular_files import read_regular
from ..errors import ImportCycle, LakefileError, ModuleMissing, PlanningError
from ..lake import tool as lake
from ..lake.project import LakeModule
from ..toolchains import module_names
from ..toolchains.toolchain import Toolchain
from .lean_header import Header, HeaderReader, SourceText, run_lean

_ANSWER_SECONDS = 60.0
# The worker compiles its own modules when it starts, wherever a project's own modules lie: by the module of Lean that
# they need.
_PROVIDED = "LeanWorker"
_PROVIDED_BESIDE = {
    "LeanWorker.Json": "Lean/Data/Json.olean",
    "LeanWorker.Extract": "Lean.olean",
    "LeanWorker.Goals": "Lean.olean",
}
_OWN_SOURCES = Path(__file__).parents[1] / "lean"


def _module_directories(toolchain: Toolchain, project: Path | None) -> list[Path]:
    try:
        return lake.usual_module_path(project)
    except LakefileError:
        if toolchain.program("lake") is None:
            raise
        return lake.module_path(toolchain, project)  # only Lake can compute where they are


class CompiledModules:
    """Compiled modules on a search path.

    Args:
        toolchain: The Lean that looks.
        project: A Lake project whose modules and packages are looked through first.
        lean_path: The `LEAN_PATH` that the worker is started with.
    """

    def __init__(self, toolchain: Toolchain, project: Path | None, lean_path: str) -> None:
        self._toolchain = toolchain
        standard = [toolchain.library.parent, toolchain.library.parent / "lean"]
        self.directories = [
            *_module_directories(toolchain, project),
            *(Path(entry) for entry in lean_path.split(os.pathsep) if entry),
            *(directory for directory in standard if (directory / "Init.olean").is_file()),
        ]
        self._present: dict[str, bool] = {_PROVIDED: True}
        self._sources: list[Path] = []
        if toolchain.modules is None:  # all of them, and the library that takes the place of Lean's own
            self._sources = [_OWN_SOURCES, _OWN_SOURCES / "embedded"]
        else:
            for module, needed in _PROVIDED_BESIDE.items():
                if (toolchain.modules / needed).is_file():
                    self._present[module] = True

    def provide(self, module: str) -> bool:
        """Whether the worker would find that module."""
        if module not in self._present:
            parts = module_names.parse(module)
            compiled = module_names.source_path(parts, ".olean")
            source = module_names.source_path(parts, ".lean")
            self._present[module] = any((directory / compiled).is_file() for directory in self.directories) or any(
                (directory / source).is_file() for directory in self._sources
            )
        return self._present[module]

    def missing(self, module: str, imported_by: str) -> ModuleMissing:
        """The error for a module that is not provided, in Lean's own words."""
        with tempfile.TemporaryDirectory(prefix="lean-worker-missing-") as directory:
            (Path(directory) / "Missing.lean").write_text(f"prelude\nimport {module}\n", "utf-8")
            said = run_lean(
                self._toolchain,
                ["--deps", "Missing.lean"],
                stdin="",
                cwd=directory,
                timeout=_ANSWER_SECONDS,
                lean_path=os.pathsep.join(str(entry) for entry in self.directories),
            )
        words = (said.stderr or said.stdout).strip() or "Lean said nothing"
        return ModuleMissing(
            f"planning {imported_by}: it imports {module}: {words}",
            hint="Correct the import, or build the package that has this module: lake build.",
            module=module,
            imported_by=imported_by,
            messages=(words,),
        )


class ImportGraph:
    """The modules of a project that some of them need, with their headers.

    Each file is read once, so that what is digested is what Lean parsed. A broken module that none of them needs is no
    error.

    Args:
        modules: All modules of the project.
        wanted: Those that the graph is about; what they import is added.
        reader: Asked for the headers.
        compiled: Asked for modules that are not the project's.

    Raises:
        PlanningError: See `planning.plan`.
    """

    def __init__(
        self,
        modules: Sequence[LakeModule],
        wanted: Iterable[LakeModule],
        reader: HeaderReader,
        compiled: CompiledModules,
    ) -> None:
        self._by_name = {module.name: module for module in modules}
        self.headers: dict[str, Header] = {}
        self._sha256: dict[str, str] = {}
        self._load(sorted({module.name for module in wanted}), reader)
        for name in sorted(self.headers):
            for imported in self.headers[name].modules:
                if imported not in self._by_name and not compiled.provide(imported):
                    raise compiled.missing(imported, name)
        self._digests = self._digest_all()

    def _load(self, names: list[str], reader: HeaderReader) -> None:
        """Take the headers of these modules and of what they import, directly or not."""
        texts = {name: _source(self._by_name[name]) for name in names}
        # Lean is started once for all that may be needed, not once for each layer of imports.
        for name, module in self._by_name.items():
            if name not in texts:
                with contextlib.suppress(PlanningError):  # raised again if it turns out to be needed
                    texts[name] = _source(module)
        reader.ask(texts.values())
        while names:
            for name in names:
                text = texts.get(name) or _source(self._by_name[name])
                self.headers[name] = reader.read([text])[0]
                self._sha256[name] = text.sha256
            imported = {module for name in names for module in self.headers[name].modules}
            names = sorted(name for name in imported if name in self._by_name and name not in self.headers)

    def digest(self, module: str) -> str:
        """Digest of a module's content and, as far as the project goes, of all that it imports; of its name if it is
        not the project's."""
        return self._digests.get(module, module)

    def _digest_all(self) -> Mapping[str, str]:
        """Depth first, without recursion: a chain of imports may be longer than Python's stack."""
        digests: dict[str, str] = {}
        for start in sorted(self.headers):
            path = [start]
            on_path = {start}
            while path:
                name = path[-1]
                open_imports = [
                    module for module in self.headers[name].modules if module in self.headers and module not in digests
                ]
                if name in digests or not open_imports:
                    digests.setdefault(name, self._digest_of(name, digests))
                    on_path.discard(path.pop())
                elif open_imports[0] in on_path:
                    raise _circle(path[path.index(open_imports[0]) :])
                else:
                    path.append(open_imports[0])
                    on_path.add(open_imports[0])
        return digests

    def _digest_of(self, name: str, digests: Mapping[str, str]) -> str:
        digest = hashlib.sha256(f"{name}\0{self._sha256[name]}\0".encode())
        for module in self.headers[name].modules:
            digest.update(f"{module}\0{digests.get(module, '')}\0".encode())
        return digest.hexdigest()


def _source(module: LakeModule) -> SourceText:
    try:
        return SourceText(read_regular(module.path), module.name, module.path)
    except OSError as error:
        raise PlanningError(
            f"planning {module.name}: {module.path}: {error.strerror or error}", file=str(module.path)
        ) from error


def _circle(modules: list[str]) -> ImportCycle:
    # From one place on, whichever module the walk came from.
    first = modules.index(min(modules))
    circle = tuple(modules[first:] + modules[:first])
    return ImportCycle(
        f"planning {circle[0]}: modules import each other in a circle: {' → '.join((*circle, circle[0]))}",
        modules=circle,
    )
