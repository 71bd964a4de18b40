"""Capabilities: a Lean script, Python functions, or a foreign program that speaks the protocol.

A capability becomes a program to start, its environment, and the key by which warm workers are reused.
The child's command line is private. Callers choose what is hosted; the pool chooses the worker.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..base.arguments import (
    check_choice,
    check_environment,
    check_flag,
    check_items,
    check_kind,
    check_path,
    check_sent_text,
    check_text,
    shown,
    texts_of,
)
from ..base.callbacks import check_callable
from ..base.kept_directory import looking, placed, real
from ..base.system_errors import of_system
from ..errors import CapabilityError, UsageError
from ..lake import project_settings
from ..lake import tool as lake
from ..lake.file_settings import FileSettings, check_option
from ..lake.project_settings import SettingsChoice
from ..policy import check_count, check_timeout
from ..toolchains import module_closure, module_files, module_names, script_modules
from ..toolchains import toolchain as toolchains
from ..toolchains.environment import command_environment, lean_environment, without_refused_panics
from . import programs
from .host_session import HostSession, MetadataExpectation, Opening
from .launch import Launch, callers_directory
from .sandbox import Sandbox

_LIBRARY_OPTIONS = ("--load-dynlib=", "--plugin=")


def child_argv(*arguments: str, sandbox: Sandbox | None = None) -> tuple[str, ...]:
    """Return the command line of our own child."""
    if not sys.executable:
        raise CapabilityError("starting a worker: this Python does not know its own executable (sys.executable)")
    locked_in = () if sandbox is None else sandbox.arguments()
    return (sys.executable, "-m", "lean_worker.child", *locked_in, *arguments)


@dataclasses.dataclass(frozen=True)
class LeanCapability:
    """A Lean script that calls `LeanWorker.serve`, run by Lean itself inside the worker.

    The worker stays warm: elaborating the script and its imports is paid once. With the embedded Lean the script
    starts with `prelude` and imports `LeanWorker` only; with a full toolchain it is an ordinary Lean file.

    Args:
        script: Path of the Lean file.
        project: Lake project whose built modules the script can import. It is also the worker's working directory, and
            selects the toolchain. Without it a worker runs in the directory of the caller when it is leased.
        workspace: Lake project whose built modules the script may import instead of `project`'s.
        imports: Modules that are added to the script's own imports.
        toolchain: "auto", "embedded", the path of a Lean toolchain's prefix, or a name that elan knows.
        env: Environment variables for the worker, over those that it inherits (`lean_worker.toolchains.environment`).
        arguments: Arguments for the script's `main`, which then takes a `List String`.
        options: Lean options, as with `-D` or `set_option`; they override the project's.
        memory_mib: Memory in MiB at which Lean stops elaborating (`-M`). It does not limit commands; use
            `MemoryPolicy` for those.
        threads: Number of Lean's own worker threads, 1 or more (`-j`).
        native_libraries: Shared libraries of precompiled modules; their functions then run as machine code.
        build: Lake target to build in `project` first, such as "MyLib". Built once in a process as long as no source
            file changes, and without the network. If one changes while Lake runs, Lake is run again, up to twice.
        build_timeout: Seconds until such a run of Lake is ended; None for no limit.
        on_build: Called with each line that Lake prints during the build.
        metadata: Metadata that the hosted code must report; each new worker is asked.
        doctor: The hosted code's doctor command, for `check_capability`.
        sandbox: Files and addresses that the worker may use; None for all that the caller may use.
        settings: Source of the project's options and libraries of precompiled modules for the script:
            "auto" for Lake's answer or else the lakefile, "lakefile" for no run of Lake, "none" for Lean's defaults.
        reuse_imports: Whether later workers may be forks of a process that has made the imports. They behave like the
            first one. It takes effect on Linux, for a script with modules of a project or with `imports`.
            LEAN_WORKER_NO_HOLDERS=1 in the environment refuses it for all.
        fresh_each_request: Whether each request gets a worker that has served none, for a script that does not clean
            up after itself. The pool replaces a worker after its request; where it can, the next one is a fork that
            need not import again. Such replacements are planned ("policy"), and a lease continues with the new worker.
        loads: Modules that the script loads itself while it runs (`Lean.importModules`). As with those that it imports,
            damaged ones are refused, and a module that was compiled again gets a new worker.

    `launch` raises `CapabilityError` if the script, the project or a toolchain is missing; of its kinds `MissingExtra`
    if the embedded Lean is asked for and not installed, `ToolchainMissing` if elan would have to download it,
    `BuildFailed` if the build failed, and `ModuleRefused` if a module's file is damaged or modules import each other.

    Raises:
        UsageError: An argument is of the wrong kind or out of range.
    """

    script: str | os.PathLike[str]
    project: str | os.PathLike[str] | None = None
    imports: Sequence[str] = ()
    toolchain: str | os.PathLike[str] = "auto"
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workspace: str | os.PathLike[str] | None = None
    arguments: Sequence[str] = ()
    options: Mapping[str, str | int | bool] = dataclasses.field(default_factory=dict)
    memory_mib: int | None = None
    threads: int | None = None
    native_libraries: Sequence[str | os.PathLike[str]] = ()
    build: str | None = None
    build_timeout: float | None = 3600.0
    on_build: Callable[[str], object] | None = dataclasses.field(default=None, compare=False, repr=False)
    metadata: MetadataExpectation | None = None
    doctor: str | None = None
    sandbox: Sandbox | None = None
    settings: SettingsChoice = "auto"
    reuse_imports: bool = True
    fresh_each_request: bool = False
    loads: Sequence[str] = ()

    def __post_init__(self) -> None:
        doing = f"hosting {shown(self.script)}"
        if self.script is None:
            raise UsageError(f"{doing}: expected script as a path, got None", hint="Give the path of a .lean file.")
        for name, value in (("script", self.script), ("project", self.project), ("workspace", self.workspace)):
            check_path(doing, name, value)
        if self.toolchain is None:
            raise UsageError(
                f"{doing}: expected toolchain as a path or a name, got None",
                hint="Leave toolchain out, or give 'auto', 'embedded', a directory or elan's name of one.",
            )
        check_path(doing, "toolchain", self.toolchain)
        check_items(doing, "imports", self.imports)
        check_items(doing, "arguments", self.arguments)
        check_items(doing, "loads", self.loads)
        check_items(doing, "native_libraries", self.native_libraries, are_paths=True)
        _check_common(doing, self.env, self.metadata, self.doctor)
        check_kind(doing, "sandbox", self.sandbox, Sandbox)
        check_flag(doing, reuse_imports=self.reuse_imports, fresh_each_request=self.fresh_each_request)
        check_callable(doing, "line", on_build=self.on_build)
        check_timeout("build_timeout", self.build_timeout)
        if self.build is not None:
            check_text(doing, "build", self.build)
        if not isinstance(self.options, Mapping):
            raise UsageError(
                f"{doing}: expected options as a mapping, got {shown(self.options)}",
                hint="Give a dict, as in options={'maxRecDepth': 1000}.",
            )
        check_choice(doing, "settings", self.settings, project_settings.CHOICES)
        module_names.check_names(doing, self.imports)
        module_names.check_names(doing, self.loads)
        for name, option in self.options.items():
            check_option(doing, name, option)
        check_count(doing, "memory_mib", self.memory_mib)
        check_count(doing, "threads", self.threads)
        if self.build is not None and self.project is None:
            raise UsageError(
                f"{doing}: build={shown(self.build)} needs the project in which it is built", hint="Add project=."
            )

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        project = None if self.build is None else self._directory("project", self.project)
        if self.build is None or project is None:
            return self._launch()
        self.script_text(self.script_path())  # nothing is built for a script that cannot be read
        toolchain = self.resolve_toolchain()
        built = lake.build(toolchain, project, self.build, timeout=self.build_timeout, on_line=self.on_build)

        def files_now() -> tuple[str, str]:
            launch = self._launch(built)
            return launch.content, launch.state

        return dataclasses.replace(self._launch(built), files_now=files_now)

    def _launch(self, built: str | None = None) -> Launch:
        """The launch of the files as they are, after a build with this digest."""
        with looking(f"hosting {self.script}"):
            return self._launch_of_files(built)

    def _launch_of_files(self, built: str | None) -> Launch:
        script = self.script_path()
        text = self.script_text(script)
        project = self._directory("project", self.project)
        toolchain = self.resolve_toolchain()
        content = [hashlib.sha256(text).hexdigest()]
        if built is not None:
            content.append(built)
        search_path = self.search_path(toolchain)
        closure = self.modules(toolchain, search_path)
        if closure is not None:
            script_modules.refuse(closure, str(script), toolchain)
            content.append(closure.digest)
        arguments = ["lean", "--library", str(toolchain.library), "--script", str(script)]
        if project is not None:
            arguments += ["--project", str(project)]
        for module in self.imports:
            arguments += ["--import", module]
        for directory in search_path:
            arguments += ["--path", str(directory)]
        settings = self.project_settings(toolchain)
        options = self._lean_arguments(settings)
        libraries = [option.partition("=")[2] for option in options if option.startswith(_LIBRARY_OPTIONS)]
        if libraries:
            # A plugin's path may be followed by the name of its function.
            content.append(module_files.digest([library.partition("=")[0] for library in libraries]))
        arguments += [f"--lean={option}" for option in options]
        if self.arguments:
            arguments += ["--", *self.arguments]
        sandbox = self.sandbox
        if sandbox is not None:
            # Lake's libraries may be those of packages outside the project.
            own = (Path(placed(library)) for library in self.native_libraries)
            sandbox = sandbox.with_readable([*settings.library_directories(), *own])
        return Launch(
            child_argv(*arguments, sandbox=sandbox),
            self._environment(toolchain),
            callers_directory() if project is None else str(project),
            f"Lean script {self.script} ({toolchain.describe()}{_shown(settings)})",
            " ".join(content),
            # Where a link to the script leads.
            state=str(script),
            # A module may come first for a moment in a directory before its own.
            watched=(str(script), *(() if closure is None else map(str, self._module_places(search_path)))),
            places=self._places(search_path, closure),
            takes_ring=True,
            toolchain=toolchain.identity,
            opening=Opening(metadata=self.metadata),
            can_be_held=self.reuse_imports and bool(self.imports or closure is not None),
            serves_once=self.fresh_each_request,
            is_in_callers=project is None,
            counts_cwd=project is not None,  # the script says what an item is, wherever a job of it goes on
        )

    def _places(self, search_path: Sequence[Path], closure: script_modules.Closure | None) -> tuple[str, ...]:
        own = os.path.abspath(placed(self.script))
        return (own, *map(str, search_path), *(() if closure is None else closure.leading))

    # -- the parts of a launch, for `check_capability` --

    def resolve_toolchain(self) -> toolchains.Toolchain:
        """The Lean that hosts the script.

        Raises:
            CapabilityError: As of `toolchain.resolve`.
        """
        workspace = self._directory("workspace", self.workspace)
        return toolchains.resolve(self.toolchain, self._directory("project", self.project) or workspace)

    def search_path(self, toolchain: toolchains.Toolchain) -> list[Path]:
        """Return the directories in which Lean finds the script's modules, besides its own and those of `LEAN_PATH`.

        Raises:
            CapabilityError: Lake cannot read the project.
        """
        chosen = self._directory("workspace", self.workspace) or self._directory("project", self.project)
        with looking(f"hosting {self.script}: looking for the modules of {chosen}"):
            return lake.module_path(toolchain, chosen)

    def project_settings(self, toolchain: toolchains.Toolchain) -> FileSettings:
        """The project's options and libraries for the script; none without a project.

        Raises:
            CapabilityError: Lake cannot read the project, or there is no Lake and the lakefile computes the settings.
        """
        project = self._directory("project", self.project) or self._directory("workspace", self.workspace)
        script = self.script_path()
        content = hashlib.sha256(self.script_text(script)).hexdigest()
        with looking(f"hosting {self.script}: looking for the settings of {project}"):
            return project_settings.of_script(toolchain, project, script, content, self.imports, self.settings)

    def modules(self, toolchain: toolchains.Toolchain, search_path: Sequence[Path]) -> script_modules.Closure | None:
        """The modules behind the script's imports and loads; None if these are Lean's own, or Lean cannot say."""
        places = self._module_places(search_path)
        if not places:
            return None
        script = self.script_path()
        direct = script_modules.imports_of(toolchain, script, self.script_text(script))
        if direct is None:
            return None
        return module_closure.closure_of([*self.imports, *direct, *self.loads], places, toolchain)

    def _module_places(self, search_path: Sequence[Path]) -> list[Path]:
        return module_closure.places_of(search_path, self.env.get("LEAN_PATH"))

    def _environment(self, toolchain: toolchains.Toolchain) -> dict[str, str]:
        chosen = self._directory("workspace", self.workspace) or self._directory("project", self.project)
        sources = [*lake.source_path(chosen), *toolchain.source_directories]
        env = command_environment({**toolchain.env, **self.env})
        return lean_environment(env, toolchain.programs, sources, self.env)

    def script_path(self) -> Path:
        """The script's absolute path.

        Raises:
            CapabilityError: It is relative, and the working directory was removed.
        """
        with looking(f"hosting {self.script}: finding the script"):
            return real(self.script)

    def script_text(self, script: Path) -> bytes:
        """The bytes of the script at `script`.

        Raises:
            CapabilityError: It cannot be read.
        """
        try:
            return script.read_bytes()
        except OSError as error:
            hint = "Give the path of a .lean file that calls LeanWorker.serve."
            raise of_system(
                f"hosting a Lean script: reading {self.script}", error, hint, script=str(self.script)
            ) from error

    def _directory(self, what: str, given: str | os.PathLike[str] | None) -> Path | None:
        if given is None:
            return None
        with looking(f"hosting {self.script}: looking for the {what} directory"):
            directory = real(given)
            if directory.is_dir():
                os.stat(os.path.join(directory, os.curdir))  # the worker will have to enter it
                return directory
        raise CapabilityError(
            f"hosting {self.script}: the {what} directory {directory} does not exist",
            hint=f"Give {what}= the directory of a Lake project.",
            **{what: str(directory)},
        )

    def _lean_arguments(self, settings: FileSettings) -> list[str]:
        arguments = settings.lean_arguments(self.options)
        if self.memory_mib is not None:
            arguments.append(f"--memory={self.memory_mib}")
        if self.threads is not None:
            arguments.append(f"--threads={self.threads}")
        for library in self.native_libraries:
            path = real(library)
            if not path.is_file():
                raise CapabilityError(
                    f"hosting {self.script}: the native library {path} does not exist",
                    hint="`lake build MyLib:shared` makes it, as .lake/build/lib/lib<package>_<library>.so.",
                    library=str(path),
                )
            arguments.append(f"--load-dynlib={path}")
        return arguments


def _shown(settings: FileSettings) -> str:
    """Return the origin of settings for a description, which errors and events have."""
    by = {"none": "", "lake": ", settings by Lake", "lakefile": ", settings by the lakefile"}
    return by[settings.source]


def _check_common(doing: str, env: object, metadata: object, doctor: object) -> None:
    check_environment(doing, env)
    check_kind(doing, "metadata", metadata, MetadataExpectation)
    if doctor is not None:
        check_sent_text(doing, "doctor", doctor)


@dataclasses.dataclass(frozen=True)
class PythonCapability:
    """A registry of Python functions, as `module:attribute`; for tests and for producers that are not Lean.

    The registry maps command names to functions. One that returns an iterator, as a generator function does, serves a
    stream: the values become rows (see `StreamRow`, `Diagnostic`, `Progress`), and what a generator returns the
    summary's metadata. Any other function answers a JSON command.

    A worker runs in the directory of the caller when it is leased, and looks there first for modules.

    After an edit of the registry's module, or of a source file in the same directory, the next lease gets a new worker;
    not if it is in an installed package (`site-packages`) or a zip file. Of modules elsewhere a worker keeps what it
    has imported; `Lease.cycle` gives a new one. No edit makes items of a job due again.

    Args:
        registry: `module:attribute`, importable in the worker.
        path: Directories put in front of the worker's module search path.
        env: Environment variables for the worker, over those that it inherits (`lean_worker.toolchains.environment`).
        metadata: Metadata that the registry must report; each new worker is asked.
        doctor: The registry's doctor command, for `check_capability`.
        sandbox: As of `LeanCapability`.
    """

    registry: str
    path: Sequence[str | os.PathLike[str]] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metadata: MetadataExpectation | None = None
    doctor: str | None = None
    sandbox: Sandbox | None = None

    def __post_init__(self) -> None:
        doing = "hosting a Python registry"
        check_text(doing, "registry", self.registry)
        module, _, attribute = self.registry.partition(":")
        if not all(module.split(".")) or not attribute.isidentifier():
            raise UsageError(
                f"{doing}: expected registry as module:attribute, got {shown(self.registry)}",
                hint="Name the mapping from command names to functions in the module, as in 'package.module:COMMANDS'.",
            )
        check_items(doing, "path", self.path, are_paths=True)
        _check_common(doing, self.env, self.metadata, self.doctor)
        check_kind(doing, "sandbox", self.sandbox, Sandbox)

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        with looking(f"hosting the Python registry {self.registry}"):
            return self._launch()

    def _launch(self) -> Launch:
        env = without_refused_panics(command_environment(self.env))
        if self.path:
            inherited = env.get("PYTHONPATH")
            parts = [str(real(entry)) for entry in self.path]
            env["PYTHONPATH"] = os.pathsep.join(parts + ([inherited] if inherited else []))
        directory = _directory_of(self.registry.partition(":")[0], _search_path(env.get("PYTHONPATH", "")))
        names = [] if directory is None else _source_names(directory)
        leads_to = "" if directory is None else os.path.realpath(directory)
        return Launch(
            child_argv("python", self.registry, sandbox=self.sandbox),
            env,
            callers_directory(),
            f"Python registry {self.registry}",
            # A job of days is not due again because another file beside the registry was edited.
            state=module_files.digest([os.path.join(leads_to, name) for name in names]),
            takes_ring=True,
            opening=Opening(metadata=self.metadata),
            is_in_callers=True,
            counts_cwd=False,  # what is not seen of a registry, a job's `version` says
            places=() if directory is None else tuple(os.path.join(directory, name) for name in ("registry", *names)),
        )


def _search_path(given: str) -> list[str]:
    """The directories in which a worker looks for modules, without those of installed packages and Python's own."""
    own = os.path.join(os.path.dirname(os.__file__), "")
    texts = [each for each in sys.path if isinstance(each, str)]  # import passes over others
    others = [each for each in texts if os.path.isdir(each) and not os.path.join(each, "").startswith(own)]
    editable = [each for each in others if os.path.basename(each) not in ("site-packages", "dist-packages")]
    return [os.curdir, *(each or os.curdir for each in given.split(os.pathsep) if given), *editable]


def _directory_of(module: str, places: list[str]) -> str | None:
    """The directory of a module's file, or of its package, found as Python's import finds it."""
    *packages, last = module.split(".")
    for package in packages:
        namespaces = []
        for place in places:
            base = os.path.join(place, package)
            if os.path.isfile(os.path.join(base, "__init__.py")):
                namespaces = [base]
                break
            if os.path.isfile(f"{base}.py"):
                return None  # a module, which has no modules in it
            if os.path.isdir(base):
                namespaces.append(base)
        places = namespaces
    for place in places:
        base = os.path.join(place, last)
        if os.path.isfile(os.path.join(base, "__init__.py")):
            return base
        if os.path.isfile(f"{base}.py"):
            return place
    return None


def _source_names(directory: str) -> list[str]:
    # With `os`, as each lease asks: pathlib takes twice as long.
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(".py"))
    except OSError:
        return []


@dataclasses.dataclass(frozen=True)
class ProcessCapability:
    """A foreign program that speaks protocol 10 on its standard input and output.

    After the program's file was replaced, the next lease gets a new worker; files that it reads are not looked at.

    Args:
        argv: Program and arguments.
        cwd: Its working directory; None for that of the caller when the worker is leased.
        env: Environment variables for it, over those that it inherits. A panic of Lean ends the program.
            `LEAN_ABORT_ON_PANIC` as "" or "0" lets it continue, with a default value as the result.
        session: The session it is asked to open before its first command, for a child of lean-rs.
        metadata: Metadata that the hosted code must report; each new worker is asked.
        doctor: The hosted code's doctor command, for `check_capability`.
    """

    argv: Sequence[str]
    cwd: str | os.PathLike[str] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    session: HostSession | None = None
    metadata: MetadataExpectation | None = None
    doctor: str | None = None

    def __post_init__(self) -> None:
        doing = "hosting a program"
        check_items(doing, "argv", texts_of(self.argv))
        if not self.argv:
            raise UsageError(
                f"{doing}: expected argv as a non-empty sequence of strings, got {shown(self.argv)}",
                hint="Give a list, as in ['./worker', '--flag'].",
            )
        check_text(doing, "the program", os.fspath(next(iter(self.argv))))
        check_path(doing, "cwd", self.cwd)
        check_kind(doing, "session", self.session, HostSession)
        _check_common(doing, self.env, self.metadata, self.doctor)

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        argv = tuple(str(part) for part in self.argv)
        with looking("hosting a program: looking for its working directory"):
            cwd = None if self.cwd is None else str(real(self.cwd))
            if cwd is not None and not Path(cwd).is_dir():
                raise CapabilityError(
                    f"hosting a program: the directory {cwd} does not exist",
                    hint="Give cwd= a directory that exists, or leave it out for the present one.",
                    cwd=cwd,
                )
        opening = Opening(self.session, self.metadata)
        env = without_refused_panics(command_environment(self.env))
        with looking(f"hosting the program {argv[0]}"):
            program = programs.find(argv, cwd, env.get("PATH"))
            state = module_files.digest([os.path.realpath(program)])
            places = (os.path.abspath(program),)
        return Launch(
            argv,
            env,
            callers_directory() if cwd is None else cwd,
            f"program {argv[0]}",
            state=state,
            opening=opening,
            is_in_callers=cwd is None,
            places=places,
        )
