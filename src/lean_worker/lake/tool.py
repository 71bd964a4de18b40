"""A project's own build tool: where its modules lie, whether they are built, and building them.

Owns running Lake: always the toolchain's own program and never elan's stand-in, without the network, with a time limit
that ends everything it started. Hides how output becomes lines and which project was built already. Callers decide the
target and the time.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fnmatch
import hashlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..base.callbacks import result_of
from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..errors import BuildFailed, CapabilityError, LakefileError, LeanWorkerError, UsageError
from ..toolchains import elan
from ..toolchains.environment import PASS_VARIABLE
from ..toolchains.toolchain import Toolchain
from . import manifest as lake_manifest
from . import packages as lake_packages
from . import paths as lake_paths
from .kept import kept

_CONFIGURATIONS = ("lakefile.toml", "lakefile.lean")
_ENVIRONMENT_SECONDS = 120.0
_OUT_OF_DATE = 3
_KEPT_LINES = 400
_MOST_BUILDS = 3
# Each lease looks at all of them.
_MOST_LINKED = 100_000

OnLine = Callable[[str], object]

INHERITED = (
    # what any program needs
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR",
    "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH", "DYLD_*",
    # compilers, for packages with foreign code; not LEAN_CC and LEAN_AR, which `lake env` sets
    "CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH", "PKG_CONFIG_*", "SDKROOT", "MACOSX_DEPLOYMENT_TARGET", "NIX_*",
    # what git is told about whom it trusts; nothing that leads it to another repository, as GIT_DIR does in a hook
    "GIT_CONFIG_*", "GIT_EXEC_PATH", "SUDO_UID",
    # Lean's threads; the user's choice about Lake's cache of artifacts
    "LEAN_NUM_THREADS", "LAKE_ARTIFACT_CACHE", "LAKE_CONFIG",
)  # fmt: skip
"""Names and patterns of the variables that our Lake sees, besides those that LEAN_WORKER_PASS_ENV names."""


def is_project(directory: Path) -> bool:
    """Whether Lake takes `directory` for a project."""
    return any((directory / name).is_file() for name in _CONFIGURATIONS)


def module_path(toolchain: Toolchain, project: Path | None) -> list[Path]:
    """Return the directories with the built modules of a project and its dependencies.

    Lake's own answer if the toolchain has a Lake and the directory is a project of its; the usual places otherwise.
    Asked once as long as the project's configuration does not change.

    Raises:
        BuildFailed: Lake would have to download or replace packages first.
        CapabilityError: Lake cannot read the project; its words are in the text. Or there is no Lake, and the manifest
            or the place of built modules cannot be read without it.
    """
    if project is None:
        return []
    lake = toolchain.program("lake")
    if lake is None or not is_project(project):
        try:
            return lake_paths.module_directories(project)
        except LakefileError as error:
            raise CapabilityError(error.text, hint=error.hint, **error.facts) from error
    key = (str(lake), str(project), _digest_of_configuration(project))
    with kept.asking:
        if key not in kept.module_paths:
            lake_packages.refuse_changes(project, f"asking Lake for the modules of {project}", environment(toolchain))
            said = _ask(lake, toolchain, project, ["env", "printenv", "LEAN_PATH"])
            # What Lake says of its own stands before it.
            answer = said.strip().rpartition("\n")[2]
            kept.module_paths[key] = [Path(part) for part in answer.split(os.pathsep) if part]
        return [directory if directory.is_absolute() else project / directory for directory in kept.module_paths[key]]


def source_path(project: Path | None) -> list[Path]:
    """Return the directories of the source text of a project and of its packages, without asking Lake."""
    return lake_paths.source_directories(project)


def usual_module_path(project: Path | None) -> list[Path]:
    """Return the directories of a project's built modules without asking Lake."""
    return lake_paths.module_directories(project)


def build(
    toolchain: Toolchain, project: Path, target: str, *, timeout: float | None = None, on_line: OnLine | None = None
) -> str:
    """Run `lake build TARGET`, unless it was run in this process and no source file has changed since.

    It is run again, up to twice, if source files change while it runs: Lake may have read them before.

    Args:
        toolchain: Whose Lake.
        project: The project's directory.
        target: What Lake shall build, such as "MyLib" or "MyLib:shared".
        timeout: Seconds until it is ended, each time that it is run; None for no limit.
        on_line: Called with each line that Lake says, on this thread.

    Returns:
        The state of the sources that was built, as a digest.

    Raises:
        BuildFailed: It failed, took too long, or would have to download or replace a package first.
        CapabilityError: The toolchain has no Lake, or the directory is no project.
    """
    lake = _lake_of(toolchain, project, f"building {target}")
    key = (str(lake), str(project), target)
    with kept.building(key):
        sources = _digest_of_sources(project)
        if kept.builds.get(key) == sources:
            return sources
        lake_packages.refuse_changes(project, f"building {target}", environment(toolchain))
        built = sources
        for _ in range(_MOST_BUILDS):
            built = sources
            _run_build(lake, toolchain, project, target, timeout, on_line)
            # Lake itself may write into the project, such as a manifest: it is run once more then, with nothing to do.
            sources = _digest_of_sources(project)
            if sources == built:
                break
        # Not as they stand now: what was changed meanwhile is built for the next lease.
        kept.builds[key] = built
        return built


def is_up_to_date(
    toolchain: Toolchain, project: Path, target: str, *, timeout: float | None = None
) -> tuple[bool, str]:
    """Whether everything that `lake build TARGET` would make is there and fits the sources; builds nothing.

    Returns:
        The answer, and what Lake said.

    Raises:
        BuildFailed: Lake did not answer in time, or would have to download or replace a package first.
        CapabilityError: The toolchain has no Lake, or the directory is no project.
    """
    lake = _lake_of(toolchain, project, f"looking whether {target} is built")
    lake_packages.refuse_changes(project, f"looking whether {target} is built", environment(toolchain))
    process = _Process([str(lake), "build", "--no-build", *_targets(target)], environment(toolchain), project)
    code, output = process.run(timeout, None)
    if code is None or code not in (0, 1, _OUT_OF_DATE):
        raise _failure("looking whether it is built", target, code, output, timeout)
    if code != 0:
        # Whatever was built in this process is gone, or was for other sources.
        kept.builds.pop((str(lake), str(project), target), None)
    return code == 0, output


def setup_file(toolchain: Toolchain, project: Path, file: Path, *header: str) -> tuple[int, str, str]:
    """Run `lake setup-file FILE`, which builds nothing: what an editor is told about how Lean has to be run for a file.

    Args:
        toolchain: Whose Lake.
        project: The project's directory.
        file: The file, which may lie outside of the project.
        header: Further arguments: the header in JSON, or for an old Lake the imports.

    Returns:
        The exit code, the answer among whatever else was printed, and the complaints.

    Raises:
        BuildFailed: Lake would have to download or replace packages first.
        CapabilityError: The toolchain has no Lake, the directory is no project, or Lake did not answer in time.
    """
    doing = f"asking Lake how Lean is run for {file}"
    lake = _lake_of(toolchain, project, doing)
    lake_packages.refuse_changes(project, doing, environment(toolchain))
    process = _run(lake, toolchain, project, ["setup-file", "--no-build", str(file), *header])
    return process.returncode, process.stdout.strip(), process.stderr.strip()


def configuration_digest(project: Path) -> str:
    """Return a digest of the files that configure a project.

    Those are its lakefile, manifest, overrides and toolchain file, and the lakefiles of its packages.
    """
    return _digest_of_configuration(project)


def environment(toolchain: Toolchain) -> dict[str, str]:
    """Return the environment for a Lake that stays off the network and takes nothing from another Lake or Lean.

    Inside of `lake env`, of a build script or of an editor's server, variables name the Lean, the module path and the
    cache of that project. They would make our Lake use the wrong ones, or build everything anew.
    """
    passed = [pattern for pattern in os.environ.get(PASS_VARIABLE, "").split(",") if pattern]
    patterns = (*INHERITED, *passed)
    env = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        if name in env and name not in passed:
            env[name] = _without_lean(env[name])
    env.update(toolchain.env)
    if toolchain.prefix is not None:
        env["PATH"] = os.pathsep.join(filter(None, [str(toolchain.prefix / "bin"), env.get("PATH", "")]))
    if toolchain.name is not None:
        env["ELAN_TOOLCHAIN"] = toolchain.name
    if toolchain.kind == "elan" or "ELAN_HOME" in os.environ:
        # Lake looks for its cache of artifacts there, as when elan runs it.
        env["ELAN_HOME"] = str(elan.home())
    env["LAKE_NO_CACHE"] = "1"
    env["MATHLIB_NO_CACHE_ON_UPDATE"] = "1"
    # Otherwise Lake 4.31 and newer leave in the cache what only Lake finds there.
    env["LAKE_RESTORE_ARTIFACTS"] = "true"
    # Git then refuses every address but a directory on this machine.
    env["GIT_ALLOW_PROTOCOL"] = "file"
    env["GIT_TERMINAL_PROMPT"] = "0"
    return env


def _without_lean(path: str) -> str:
    """Return a path of directories without those that hold a Lean: ours would load that one's libraries."""
    parts = [part for part in path.split(os.pathsep) if part]
    return os.pathsep.join(part for part in parts if not any(Path(part).glob("libleanshared*")))


def _lake_of(toolchain: Toolchain, project: Path, doing: str) -> Path:
    lake = toolchain.program("lake")
    if lake is None:
        raise CapabilityError(
            f"{doing}: {toolchain.describe()} has no lake",
            hint="Use a toolchain from elan; the embedded Lean cannot build projects.",
            toolchain=toolchain.identity,
        )
    if not is_project(project):
        raise CapabilityError(
            f"{doing}: {project} has neither lakefile.toml nor lakefile.lean",
            hint="Give project= the directory that holds the lakefile.",
            project=str(project),
        )
    return lake


def _targets(target: str) -> list[str]:
    if target.startswith("-"):
        raise UsageError(
            f"building {target}: expected the name of a Lake target, got an option",
            hint="Name a target, such as a library or a module.",
        )
    return target.split()


def _ask(lake: Path, toolchain: Toolchain, project: Path, arguments: list[str]) -> str:
    said = _run(lake, toolchain, project, arguments)
    if said.returncode != 0:
        raise CapabilityError(
            f"asking Lake: {shlex.join(said.args)} in {project} ended with exit code {said.returncode}: "
            f"{(said.stderr or said.stdout).strip()}",
            hint="Run `lake build` in the project; lean-worker downloads nothing.",
            project=str(project),
            toolchain=toolchain.identity,
        )
    return said.stdout


def _run(lake: Path, toolchain: Toolchain, project: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    argv = [str(lake), *arguments]
    try:
        process = subprocess.Popen(
            argv,
            cwd=project,
            env=environment(toolchain),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        with process:
            try:
                answer, complaint = process.communicate(timeout=_ENVIRONMENT_SECONDS)
            finally:
                _end_group(process)
    except (OSError, subprocess.SubprocessError) as error:
        raise of_system(f"asking Lake: {shlex.join(argv)}", error, project=str(project)) from error
    return subprocess.CompletedProcess(argv, process.returncode, answer, complaint)


def _run_build(
    lake: Path, toolchain: Toolchain, project: Path, target: str, timeout: float | None, on_line: OnLine | None
) -> None:
    process = _Process([str(lake), "build", *_targets(target)], environment(toolchain), project)
    code, output = process.run(timeout, on_line)
    if code != 0:
        error = _failure("building", target, code, output, timeout)
        error.add_facts(toolchain=toolchain.identity, project=str(project))
        try:
            raise error
        finally:
            del error  # no cycle of an error, its traceback, and this frame


def _failure(doing: str, target: str, code: int | None, output: str, timeout: float | None) -> BuildFailed:
    how = f"had not ended after {timeout:g} seconds and was ended" if code is None else f"ended with exit code {code}"
    return BuildFailed(
        f"{doing}: `lake build {target}` {how}:\n{output or '(Lake said nothing)'}",
        hint="Raise the time limit of the build." if code is None else "Run the same command in the project.",
        target=target,
        exit_code=code,
        output=output,
    )


@dataclasses.dataclass
class _Process:
    """One run of Lake: a process group of its own, its output as lines."""

    argv: list[str]
    env: Mapping[str, str]
    cwd: Path

    def run(self, timeout: float | None, on_line: OnLine | None) -> tuple[int | None, str]:
        """The exit code, None if it was ended for `timeout`, and the last lines of its output."""
        try:
            process = subprocess.Popen(
                self.argv,
                cwd=self.cwd,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise of_system(f"running Lake: {shlex.join(self.argv)}", error) from error
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _end_group(process)

        timer = None if timeout is None else threading.Timer(timeout, expire)
        lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        try:
            if timer is not None:
                timer.daemon = True
                timer.start()
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    if on_line is not None:
                        result_of("on_build", on_line(lines[-1]))
            code = process.wait()
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()
            _end_group(process)
            process.wait()
        return None if expired.is_set() else code, "\n".join(lines)


def _end_group(process: subprocess.Popen[str]) -> None:
    """End Lake and what it started; only while it is not reaped, since its id is nobody else's until then."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _digest_of_configuration(project: Path) -> str:
    digest = hashlib.sha256()
    for name in (*_CONFIGURATIONS, lake_manifest.MANIFEST, lake_manifest.OVERRIDES, "lean-toolchain"):
        with contextlib.suppress(OSError):
            digest.update(name.encode() + b"\0" + read_regular(project / name) + b"\0")
    packages: Sequence[lake_manifest.LakePackage] = ()
    with contextlib.suppress(LeanWorkerError):  # whoever needs the manifest says what is wrong with it
        packages = lake_manifest.read(project) or ()
    for package in packages:
        for name in (*_CONFIGURATIONS, *([package.config_file] if package.config_file else [])):
            with contextlib.suppress(OSError):
                path = package.directory / name
                digest.update(os.fsencode(path) + b"\0" + read_regular(path) + b"\0")
    return digest.hexdigest()


def _digest_of_sources(project: Path) -> str:
    """Return a digest of the files that a build reads, by name, size and time. Lake itself compares contents."""
    digest = hashlib.sha256(_digest_of_configuration(project).encode())
    seen: set[tuple[int, int]] = set()
    linked = 0
    waiting = [(str(directory), False) for directory in reversed(lake_paths.edited_directories(project))]
    for directory, _ in waiting:
        digest.update(os.fsencode(os.path.realpath(directory)) + b"\0")
    while waiting:
        directory, is_linked = waiting.pop()
        try:
            stat = os.stat(directory)
            if (stat.st_dev, stat.st_ino) in seen:  # such as a link that leads back
                continue
            seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(directory) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue
        linked += is_linked
        if linked > _MOST_LINKED:
            raise _too_many(project, directory)
        inside: list[tuple[str, bool]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == lake_manifest.MANIFEST:
                continue
            with contextlib.suppress(OSError):
                is_link = entry.is_symlink()
                if is_link:  # it may lead to other files of the same size and time
                    digest.update(os.fsencode(os.path.realpath(entry.path)) + b"\0")
                if entry.is_dir():
                    inside.append((entry.path, is_linked or is_link))
                    continue
                stat = entry.stat()
                digest.update(os.fsencode(entry.path) + f"\0{stat.st_size} {stat.st_mtime_ns}\0".encode())
        waiting += reversed(inside)
    return digest.hexdigest()


def _too_many(project: Path, directory: str) -> CapabilityError:
    return CapabilityError(
        f"looking at the source files of {project}: links lead to more than {_MOST_LINKED:,} directories, such as "
        f"{directory}",
        hint="Move links to data out of the project, or into a directory whose name begins with a dot.",
        project=str(project),
    )
