"""Checks many Lean files at once: Lean's own messages, typed, and one verdict for each file.

Owns what a verdict means, and the form of messages and outcomes. Hides workers, and that Lean is started once for many
files. Callers decide which files, for how long each, and in which order outcomes come.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..base.arguments import check_flag, check_items, check_several, shown
from ..base.call_places import CallPlaces
from ..base.callbacks import check_callable, result_of
from ..base.processors import usable_processors
from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..base.whole_results import WholeGenerator
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import StreamingCommand
from ..errors import (
    CapabilityError,
    LeanWorkerError,
    UsageError,
)
from ..events import Diagnostic
from ..hosting import sandbox as sandboxes
from ..hosting.capability import child_argv
from ..hosting.launch import Launch
from ..hosting.sandbox import Sandbox
from ..lake import tool as lake
from ..lake.file_settings import FileSettings
from ..lake.project_settings import ProjectSettings, SettingsChoice
from ..policy import Limits, RestartPolicy, Timeouts
from ..toolchains import toolchain as toolchains
from ..toolchains.environment import lean_environment, worker_environment
from ..toolchains.module_closure import fatal_behind
from ..wire.file_messages import CheckEnd, FileToCheck, ModuleFindings
from .arguments import check_pool, check_run
from .inability import Inability, inability_of_file
from .results import CheckMessage, CheckPosition, CheckResult, Verdict
from .sources import Source, check_source, request_of

_WARNINGS_OF_SORRY = ("warn.sorry", "weak.warn.sorry")
_OWN_FRAME_BYTES = 64 << 20
"""Of a pool of its own: a text in a request, or one message, such as of a trace, may be long."""
_OUTPUT_LINES = 200
_BYTE_ORDER_MARK = "\ufeff"
_BACKSTOP_SECONDS = 30.0

_COMMAND: StreamingCommand[FileToCheck, bytes, CheckEnd] = StreamingCommand(
    "check", request=FileToCheck, row=bytes, summary=CheckEnd
)


@dataclasses.dataclass(frozen=True)
class _Checker:
    """A worker that checks files."""

    project: str | None
    toolchain: str | os.PathLike[str]
    sandbox: Sandbox | None

    def project_directory(self) -> Path | None:
        """The project's directory, None for none; `CapabilityError` if it does not exist."""
        project = None if self.project is None else Path(self.project)
        hint = "Give project= the directory of a Lake project."
        if project is not None:
            try:
                # Not of the directory alone: Lean runs there, and has to enter it.
                os.stat(os.path.join(project, os.curdir))
            except (FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise CapabilityError(
                    f"checking files: the project directory {project} does not exist", hint=hint, project=str(project)
                ) from error
            except OSError as error:
                doing = f"checking files: looking into the project directory {project}"
                raise of_system(doing, error, hint, project=str(project)) from error
        return project

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        project = self.project_directory()
        lean = toolchains.resolve(self.toolchain, project)
        arguments = ["check", "--library", str(lean.library)]
        for directory in lake.module_path(lean, project):
            arguments += ["--path", str(directory)]
        if project is not None:
            arguments += ["--directory", str(project)]
        return Launch(
            child_argv(*arguments, sandbox=self.sandbox),
            lean_environment(
                worker_environment(lean.env),
                lean.programs,
                [*lake.source_path(project), *lean.source_directories],
                {},
            ),
            None,
            f"checks by {lean.describe()}",
            takes_ring=True,
            toolchain=lean.identity,
            bounds_programs=True,
        )


def check(
    files: Iterable[Source],
    *,
    pool: Pool | None = None,
    jobs: int | None = None,
    timeout: float | None = 60.0,
    kill_above_kib: int | None = None,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    options: Mapping[str, object] | None = None,
    native_libraries: Sequence[str | os.PathLike[str]] = (),
    settings: SettingsChoice = "auto",
    reject_sorry: bool = False,
    reuse_imports: bool = True,
    first_accepted: Callable[[str], Hashable] | None = None,
    sandbox: Sandbox | None = None,
    in_order: bool = False,
    on_message: Callable[[CheckMessage], object] | None = None,
    cancel: CancelToken | None = None,
) -> Generator[CheckResult, None, None]:
    """Elaborate Lean files in parallel and iterate over what became of each.

    Nothing runs before the first `next`. Files are taken from `files` as workers come free, so that it may be lazy. One
    file that crashes Lean or never ends has no influence on another. Leave the iterator early with `close`, or drop it:
    what is in flight is stopped.

    Args:
        files: Paths, and snippets as pairs of a name and a text. A path means what it meant when `check` was called,
            in the working directory, and below a project that is named by a link. With the embedded Lean a file starts
            with `prelude`, and `import LeanWorker`, or without notation `import LeanWorker.Prelude`.
        pool: Whose workers do it, and whose `Timeouts.inactivity` then holds for each file too; None for a pool of its
            own.
        jobs: How many workers a pool of its own has; default: as many as there are processors.
        timeout: Seconds for each file, after which its Lean is killed; None for no limit. A file that only waited in
            them, with hardly any work, runs once more for as long, in a process of its own.
        kill_above_kib: The memory of a file in KiB above which its Lean is killed and the file is LOST, on Linux; None
            for no limit. Memory that no file backs counts, of all processes of the file, each 50 ms: mapped `.olean`
            files do not. (`MemoryPolicy` is about workers, which run Lean as a process of its own.)
        project: Lake project whose built modules the files may import; Lean runs in its directory.
        toolchain: "auto", "embedded", or the path of a toolchain's prefix.
        options: Lean options, by name, as of `set_option`; they win over the project's.
        native_libraries: Shared libraries that Lean loads for each file, besides those that Lake names.
        settings: The origin of the project's options, arguments and libraries of precompiled modules. "auto" asks Lake
            about each file (`lake setup-file`, which builds nothing), or reads the lakefile if there is no Lake.
            "lakefile" never runs Lake for this; "none" checks with Lean's defaults. A snippet, like a file that is no
            module of the project, has the settings of the package.
        reject_sorry: Whether a file with a `sorry` is REJECTED; otherwise that is a warning. Lean warns of it then
            whatever the options say. Whether a file turns the warning off, or the message of an error, it is REJECTED
            if one of its declarations has the constant `sorryAx`, by which Lean stands in for what is missing. To find
            that out Lean compiles the file. An `example` leaves no declaration: of that only the warning tells.
        reuse_imports: Whether files that begin with the same imports may be elaborated in forks of one process that
            has imported them. Verdicts and messages are the same either way. LEAN_WORKER_NO_HOLDERS=1 in the
            environment forbids it. LEAN_WORKER_MOST_HOLDERS limits how many such processes each worker keeps.
        first_accepted: Returns the group of a file by its name; called when the file is taken from `files`. Once a file
            of a group is ACCEPTED, the files of the group that have not been taken are passed over and have no outcome.
            Files that were taken, a few for each worker, are checked to their end.
        sandbox: The files that Lean may touch while it elaborates; name the directories of files under `readable`.
            Without one it reads what the caller can read. It writes only into a temporary directory either way,
            unless the sandbox says otherwise.
        in_order: Whether outcomes come in the order of the files, instead of as they are there.
        on_message: Called with each message when Lean has it, from several threads, before the verdict is there.
        cancel: Stops everything; files that were taken and have no outcome then are LOST, with the cause. If others
            were left, the iteration ends with `Cancelled`.

    Raises:
        UsageError: An argument is out of range; a text is not Unicode, as one with half of a surrogate pair (of a
            list at the call, or else from the iteration); or, from the iteration, a path is no file.
        CapabilityError, MissingExtra: From the iteration: there is no Lean, no such project, no such library, or the
            project's settings cannot be found out; `BuildFailed` if Lake would change packages to answer.
        RestartLimitExceeded, QueueTimeout, MemoryBudgetExceeded: From the iteration: `pool` gave no worker.
    """
    doing = "checking files"
    check_several(doing, "files", files, "files")
    if pool is not None:
        check_pool(doing, pool)
    check_run(
        doing,
        pool=pool,
        jobs=jobs,
        timeout=timeout,
        kill_above_kib=kill_above_kib,
        project=project,
        toolchain=toolchain,
        options=options,
        settings=settings,
        sandbox=sandbox,
        cancel=cancel,
    )
    check_callable(doing, "message", on_message=on_message)
    check_callable(doing, "name", first_accepted=first_accepted)
    check_flag(doing, reject_sorry=reject_sorry, reuse_imports=reuse_imports, in_order=in_order)
    check_items(doing, "native_libraries", native_libraries, are_paths=True)
    if isinstance(files, Collection):  # others are read as workers come free
        for source in files:
            check_source(source)
    # A link may lead elsewhere later: one call is about one directory.
    places = CallPlaces(project)
    checker = _Checker(places.project, toolchains.located(toolchain, places.of), sandboxes.located(sandbox, places.of))
    template = FileToCheck(
        "",
        [],
        None,
        timeout,
        reuse_imports=reuse_imports,
        kill_above_kib=kill_above_kib,
        seeks_sorry=reject_sorry,
    )
    given = dict(options or {})
    last: list[str] = []
    if reject_sorry:  # a warning tells more than a module does, and the options of a caller or project may turn it off
        given = {name: value for name, value in given.items() if name not in _WARNINGS_OF_SORRY}
        given["weak.warn.sorry"] = True  # without effect on a Lean that knows no such option
        last = ["-Dweak.warn.sorry=true"]
    libraries = [places.of(library) for library in native_libraries]
    requests = _requests(files, places, checker, given, libraries, settings, template, last)
    groups = _Groups(first_accepted)
    outcomes = _outcomes(requests, checker, groups, pool, jobs, timeout, reject_sorry, in_order, on_message, cancel)
    return WholeGenerator(doing, outcomes)


def _requests(
    files: Iterable[Source],
    places: CallPlaces,
    checker: _Checker,
    options: Mapping[str, object],
    native_libraries: Sequence[str],
    settings: SettingsChoice,
    template: FileToCheck,
    last_arguments: Sequence[str],
) -> Iterator[tuple[FileToCheck, FileSettings]]:
    project = checker.project_directory()
    found = FileSettings()
    of_project = None
    if project is not None and settings != "none":
        of_project = ProjectSettings(toolchains.resolve(checker.toolchain, project), project, settings)
    own = [str(library) for library in _existing(native_libraries)]
    libraries = [f"--load-dynlib={library}" for library in own]
    for source in files:
        request = request_of(source, places, template)
        if of_project is not None and request.text is not None:
            found = of_project.of_text(request.text)
        elif of_project is not None:
            found = of_project.of_file(Path(request.arguments[-1]))
        setup, arguments = found.lean_setup(options)
        arguments = [*libraries, *arguments, *last_arguments, *request.arguments]
        # A sandbox hides what is outside the project, such as libraries of path dependencies and Lake's cache.
        readable = [*found.library_directories(), *found.import_directories(), *own]
        yield msgspec.structs.replace(request, arguments=arguments, setup=setup, readable=readable), found


def _existing(libraries: Iterable[str]) -> Iterator[Path]:
    for library in libraries:
        path = Path(os.path.realpath(library))
        try:
            is_file = path.is_file()
        except OSError as error:
            raise of_system(f"checking files: looking for the native library {path}", error) from error
        if not is_file:
            raise CapabilityError(
                f"checking files: the native library {path} does not exist",
                hint="`lake build MyLib:shared` makes it, as .lake/build/lib/lib<package>_<library>.so.",
                library=str(path),
            )
        yield path


def _outcomes(
    requests: Iterator[tuple[FileToCheck, FileSettings]],
    checker: _Checker,
    groups: _Groups,
    pool: Pool | None,
    jobs: int | None,
    timeout: float | None,
    reject_sorry: bool,
    in_order: bool,
    on_message: Callable[[CheckMessage], object] | None,
    cancel: CancelToken | None,
) -> Generator[CheckResult, None, None]:
    collected: dict[int, _Collected] = {}  # by the number of the request, which is lower where files are passed over

    def numbered() -> Iterator[FileToCheck]:
        number = 0
        for index, (request, settings) in enumerate(requests):
            group = groups.of(request.name)
            if groups.is_done(group):
                continue
            collected[number] = _Collected(index, request, group, settings)
            number += 1
            yield request

    def on_row(number: int, row: bytes) -> None:
        what = collected[number]
        try:
            message = msgspec.json.decode(row, type=CheckMessage)
        except (ValueError, RecursionError):
            # A JSON object that the file itself printed.
            if len(what.output) < _OUTPUT_LINES:
                what.output.append(row.decode("utf-8", "replace"))
            return
        message = msgspec.structs.replace(message, file=what.name)
        what.messages.append(message)
        if on_message is not None:
            result_of("on_message", on_message(message))

    def on_diagnostic(index: int, diagnostic: Diagnostic) -> None:
        collected[index].output.append(diagnostic.message)

    @functools.cache
    def is_embedded() -> bool:
        return toolchains.resolve(checker.toolchain, checker.project_directory()).kind == "embedded"

    # The worker keeps the limit of a file itself, and may need it three times, and once more for a holder.
    backstop = None if timeout is None else 4 * timeout + _BACKSTOP_SECONDS
    own = None if pool is not None else _own_pool(jobs)
    used = pool if pool is not None else own
    assert used is not None
    try:
        with used.stream_many(
            _COMMAND,
            numbered(),
            on_row=on_row,
            capability=checker,
            ordered=in_order,
            timeout=backstop,
            cancel=cancel,
            on_diagnostic=on_diagnostic,
        ) as outcomes:
            for outcome in outcomes:
                what = collected.pop(outcome.index)
                if outcome.error is not None and not is_about_one_file(outcome.error):
                    raise outcome.error
                end = None if outcome.value is None else outcome.value.metadata
                judged = _judge(what, end, outcome.error, outcome.seconds, timeout, reject_sorry)
                if end is not None and end.exit_code == 1 and judged.verdict in (Verdict.REJECTED, Verdict.LOST):
                    judged = _with_inability(what, judged, is_embedded())
                if judged.verdict in (Verdict.LOST, Verdict.TIMED_OUT) and not judged.messages:
                    judged = _with_damage(what, judged, checker)
                if end is not None:
                    judged = dataclasses.replace(judged, ran_as=end.ran_as, import_seconds=end.import_seconds)
                if judged.verdict is Verdict.ACCEPTED and reject_sorry:
                    judged = _with_findings(judged, None if end is None else end.module)
                if judged.verdict is Verdict.ACCEPTED:
                    groups.finish(what.group)
                yield dataclasses.replace(judged, settings=what.settings)
    finally:
        if own is not None:
            own.close(drain=0)


def is_about_one_file(error: BaseException) -> bool:
    """Whether one file failed; otherwise no worker is to be had, the call is wrong, or the caller's own code raised."""
    return isinstance(error, LeanWorkerError) and not error.concerns_all


def _own_pool(jobs: int | None) -> Pool:
    return Pool(
        max_workers=jobs or usable_processors(),
        timeouts=Timeouts(inactivity=None),
        limits=Limits(max_frame_bytes=_OWN_FRAME_BYTES),
        # A file that ends its worker says nothing of the next one.
        restarts=RestartPolicy(max_restarts=None, poison_after=None, backoff=0.0),
    )


class _Groups:
    """The groups of files, and which of them have an accepted file."""

    def __init__(self, group_of: Callable[[str], Hashable] | None) -> None:
        self._group_of = group_of
        self._done: set[Hashable] = set()

    def of(self, name: str) -> Hashable:
        if self._group_of is None:
            return None
        group = result_of("first_accepted", self._group_of(name))
        try:
            hash(group)
        except TypeError:
            raise UsageError(
                f"calling first_accepted: expected a group with a hash, got {shown(group)}",
                hint="Return a text, a number, or a tuple of those.",
            ) from None
        return group

    def is_done(self, group: Hashable) -> bool:
        return self._group_of is not None and group in self._done

    def finish(self, group: Hashable) -> None:
        self._done.add(group)


class _Collected:
    """The findings of a file so far."""

    def __init__(self, index: int, request: FileToCheck, group: Hashable, settings: FileSettings) -> None:
        self.index = index
        self.name = request.name
        self.text = request.text
        self.place = request.arguments[-1]
        self.group = group
        self.settings = settings
        self.messages: list[CheckMessage] = []
        self.output: list[str] = []


def _text_again(what: _Collected) -> str:
    """The text of a file that Lean has seen; "" if it is gone."""
    if what.text is not None:
        return what.text
    try:
        return read_regular(Path(what.place)).decode("utf-8", "replace")
    except OSError:
        return ""


def _with_damage(what: _Collected, judged: CheckResult, checker: _Checker) -> CheckResult:
    """Tell a file whose imports end Lean, because a compiled module is damaged, from one that does so itself."""
    try:
        project = checker.project_directory()
        lean = toolchains.resolve(checker.toolchain, project)
        problem = fatal_behind(_text_again(what), lake.module_path(lean, project), lean)
    except LeanWorkerError:
        return judged
    if problem is None:
        return judged
    cause = f"this Lean cannot check it: the module {problem.module} cannot be loaded: {problem.text}"
    return dataclasses.replace(judged, verdict=Verdict.UNCHECKED, cause=cause, hint=problem.hint)


def _with_findings(judged: CheckResult, found: ModuleFindings | None) -> CheckResult:
    """Accept no file with a declaration on `sorry` that Lean did not report, or whose declarations are not known."""
    if found is None or found.is_missing:
        cause = "Lean ended with exit code 0 and wrote no module, so that nothing is known of a `sorry`"
        hint = "A file whose own code ends Lean does this."
        return dataclasses.replace(judged, verdict=Verdict.LOST, cause=cause, hint=hint)
    if found.with_sorry:
        more = f" and {found.more} more" if found.more else ""
        names = ", ".join(found.with_sorry) + more
        cause = f"a declaration rests on `sorryAx`, and Lean was kept from reporting it: {names}"
        return dataclasses.replace(judged, verdict=Verdict.REJECTED, cause=cause)
    if found.unreadable is not None:
        cause = f"its declarations cannot be looked through for a hidden `sorry`: {found.unreadable}"
        hint = "Leave reject_sorry out; `#print axioms` in the file tells on what a declaration rests."
        return dataclasses.replace(judged, verdict=Verdict.UNCHECKED, cause=cause, hint=hint)
    return judged


def _unloaded(what: _Collected) -> str:
    """Return Lean's complaint about a library that Lake named, "" if it has none: it did not come to the file then."""
    libraries = (*what.settings.plugins, *what.settings.dynlibs)
    first = what.messages[0] if what.messages else None
    if not libraries or first is None or first.severity != "error" or first.position != CheckPosition(1, 0):
        return ""
    is_about_one = any(library in first.data for library in libraries) or first.data.startswith("error loading plugin")
    return first.data[:500] if is_about_one else ""


def _judge(
    what: _Collected,
    end: CheckEnd | None,
    error: Any,
    seconds: float,
    timeout: float | None,
    reject_sorry: bool,
) -> CheckResult:
    index, name = what.index, what.name
    messages = tuple(what.messages)
    output = "\n".join(what.output[:_OUTPUT_LINES])
    if end is None:
        verdict = Verdict.TIMED_OUT if error.is_late else Verdict.LOST
        return CheckResult(
            index, name, verdict, messages, seconds, error.text, output=output, error=error, hint=error.hint
        )
    is_sorry = reject_sorry and any(message.is_sorry for message in messages)
    has_errors = any(message.severity == "error" for message in messages)
    cause = None
    if end.timed_out:
        cause = f"no end within {timeout:g} seconds; Lean was killed"
        return CheckResult(index, name, Verdict.TIMED_OUT, messages, end.seconds, cause, output=output)
    if end.killed_at_kib is not None:
        cause = f"{end.killed_at_kib} KiB of memory, more than kill_above_kib; Lean was killed"
        hint = "Raise kill_above_kib=, if the file deserves it."
        return CheckResult(index, name, Verdict.LOST, messages, end.seconds, cause, output=output, hint=hint)
    if end.signal is not None:
        verdict, cause = Verdict.LOST, f"Lean was ended by signal {end.signal}"
    elif end.exit_code == 0:
        verdict = Verdict.REJECTED if has_errors or is_sorry else Verdict.ACCEPTED
        cause = "it has a `sorry`" if is_sorry and not has_errors else None
    elif end.exit_code == 1 and (words := _unloaded(what)):
        verdict, cause = Verdict.LOST, f"Lean could not load a library that the project needs: {words}"
    elif end.exit_code == 1 and has_errors:
        verdict = Verdict.REJECTED
    else:
        verdict, cause = Verdict.LOST, f"Lean ended with exit code {end.exit_code} and reported no error"
    if cause is not None and verdict is Verdict.LOST and what.output:
        cause += f"; it wrote: {what.output[0][:500]}"
    return CheckResult(index, name, verdict, messages, end.seconds, cause, end.exit_code, end.signal, output)


def _with_inability(what: _Collected, judged: CheckResult, is_embedded: bool) -> CheckResult:
    """Tell a file that this Lean cannot check from one that is wrong."""
    found = inability_of_file(judged.messages, judged.output, is_embedded=is_embedded)
    if found is None:
        return judged
    if is_embedded and _text_again(what).startswith(_BYTE_ORDER_MARK):
        found = Inability(
            "this Lean cannot check it: it begins with a byte order mark (U+FEFF), behind which Lean sees no header",
            "Save it as UTF-8 without a byte order mark (BOM).",
        )
    return dataclasses.replace(judged, verdict=Verdict.UNCHECKED, cause=found.cause, hint=found.hint)
