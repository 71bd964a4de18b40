"""The sessions that a capability can open, as far as planning has to know them.

Owns which Lean they run, what they import, where that is looked for, and a digest of what is hosted in them. It knows
the fields of a capability by their names (`imports`, `project`, `workspace`, `toolchain`, `script`, `env`), those that
it has, and starts no worker.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from ..base.arguments import check_items, shown
from ..base.computed import computed
from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..errors import UsageError
from ..hosting.launch import Capability
from ..lake import manifest as lake_manifest
from ..lake.project import PINNING_FILES
from ..toolchains import module_names
from ..toolchains import toolchain as toolchains
from ..toolchains.toolchain import Toolchain
from .import_graph import CompiledModules
from .lean_header import HeaderReader

ImportOrder = Literal["ignored", "kept"]

# Fields whose value is a place, or that stand in a fingerprint by what they lead to.
_ELSEWHERE = ("script", "project", "workspace", "toolchain", "imports")


class Sessions:
    """Sessions of a plan, derived from a capability: its Lean, its own imports, and a way to add others."""

    def __init__(self, capability: Capability, import_order: ImportOrder) -> None:
        self._capability = capability
        self._kept = import_order == "kept"
        self.own = self.named(getattr(capability, "imports", ()))

    @property
    def _project(self) -> Path | None:
        project = getattr(self._capability, "project", None)
        return None if project is None else Path(project).expanduser().absolute()

    @property
    def _lean_path(self) -> str:
        own = getattr(self._capability, "env", {}).get("LEAN_PATH")
        return os.environ.get("LEAN_PATH", "") if own is None else str(own)

    @computed
    def toolchain(self) -> Toolchain:
        choice = getattr(self._capability, "toolchain", None)
        if choice is None:
            raise UsageError(
                f"planning imports: {type(self._capability).__name__} hosts no Lean that could be asked about them",
                hint="Give a LeanCapability, or items without imports and source.",
            )
        return toolchains.resolve(choice, self._project)

    @computed
    def compiled(self) -> CompiledModules:
        workspace = getattr(self._capability, "workspace", None)
        where = self._project if workspace is None else Path(workspace).expanduser().absolute()
        return CompiledModules(self.toolchain, where, self._lean_path)

    @computed
    def reader(self) -> HeaderReader:
        return HeaderReader(self.toolchain)

    def named(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names in their one spelling, each once, in their order."""
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise UsageError(
                f"planning imports: expected a sequence of module names, got {shown(names)}",
                hint="Give a list, as in ['Init'].",
            )
        listed = list(names)
        check_items("planning imports", "imports", listed)
        return tuple(dict.fromkeys(module_names.canonical(name) for name in listed))

    def imports(self, names: Sequence[str]) -> tuple[str, ...]:
        """The imports of a session, in the order that makes it the same session or another."""
        together = tuple(dict.fromkeys((*self.own, *names)))
        return together if self._kept else tuple(sorted(together))

    def check(self, names: Iterable[str], asked_by: str, besides: Container[str] = ()) -> None:
        """Raise `ModuleMissing` for a module that no session would find, and that is not in `besides`."""
        for name in names:
            if name not in besides and not self.compiled.provide(name):
                raise self.compiled.missing(name, asked_by)

    def capability(self, imports: tuple[str, ...]) -> Capability:
        """Return a capability that opens a session with these imports."""
        if imports == self.own:
            return self._capability
        return replaced(self._capability, imports=imports)

    def identity(self) -> str:
        """Digest of the hosted program and its settings, wherever they lie."""
        settings: dict[str, object] = {"class": type(self._capability).__qualname__}
        if dataclasses.is_dataclass(self._capability):
            for field in dataclasses.fields(self._capability):
                # What does not count when two capabilities are compared, such as a callback, decides no result.
                if field.compare and field.name not in _ELSEWHERE:
                    settings[field.name] = getattr(self._capability, field.name)
        script = getattr(self._capability, "script", None)
        if script is not None:
            settings["script"] = _file_digest(Path(script).expanduser())
        if getattr(self._capability, "toolchain", None) is not None:
            settings["lean"] = _banner(self.toolchain)
        return hashlib.sha256(msgspec.json.encode(settings, order="deterministic", enc_hook=str)).hexdigest()

    def pins(self) -> list[str]:
        """Digests of the files by which a Lake project says what it is built from."""
        names = ("lakefile.lean", "lakefile.toml", *PINNING_FILES)
        files = [] if self._project is None else [self._project / name for name in names]
        overrides = [] if self._project is None else [self._project / lake_manifest.OVERRIDES]
        return [
            *(_file_digest(file) if file.is_file() else "none" for file in files),
            *(_file_digest(file) for file in overrides if file.is_file()),
        ]


def replaced(capability: Capability, **changes: object) -> Capability:
    """The capability with other values in some fields; `UsageError` if it has no such fields."""
    try:
        return cast(Capability, dataclasses.replace(cast(Any, capability), **changes))
    except TypeError as error:
        raise UsageError(
            f"planning: expected a capability as a dataclass with {', '.join(changes)}, "
            f"got {type(capability).__name__}: {error}",
            hint="Give a LeanCapability.",
        ) from error


# A plan is often made again, and a Lean says the same about itself as long as its file is the same.
@functools.lru_cache(maxsize=16)
def _banner_of(library: Path, env: tuple[tuple[str, str], ...], size: int, mtime_ns: int) -> str:
    return Toolchain("explicit", library, dict(env)).banner


def _banner(toolchain: Toolchain) -> str:
    stat = toolchain.library.stat()
    return _banner_of(toolchain.library, tuple(sorted(toolchain.env.items())), stat.st_size, stat.st_mtime_ns)


def _file_digest(file: Path) -> str:
    try:
        return hashlib.sha256(read_regular(file)).hexdigest()
    except OSError as error:
        raise of_system(f"planning: reading {file}", error) from error
