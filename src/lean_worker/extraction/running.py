"""Extraction of rows into a file: a resumable job with one item for each module.

Owns what is one item, where the ledger lies, and the way from the job's lines to the file. Hides the Lean program.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from ..base.arguments import check_choice, check_flag, check_items, check_kind, check_path, check_several, shown
from ..base.call_places import CallPlaces
from ..base.callbacks import check_callable
from ..base.process_lock import open_locked, remove_if_dead
from ..base.trusted_files import path_of
from ..batch.job import Job
from ..batch.outcome import OnDone
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import StreamingCommand
from ..errors import CapabilityError, JobIncomplete, LeanWorkerError, UsageError
from ..hosting import sandbox as sandboxes
from ..hosting.capability import LeanCapability
from ..hosting.sandbox import Sandbox
from ..lake import tool as lake
from ..lake.project_settings import ProjectSettings
from ..policy import MemoryPolicy, check_timeout
from ..sinks.parts import storing
from ..toolchains import toolchain as toolchains
from ..toolchains.module_closure import fatal_behind, imports_in
from ..toolchains.script_modules import refused
from . import messages, sessions
from .goals import GOALS, GoalsRequest, Option
from .rows import DECLARATIONS, DEFAULT_WIDTH, DEPENDENCIES, MODULES, USES, Edge, ModuleRow, Request, SourceMessage
from .storing import check_sink, sink_for, store

What = Literal["declarations", "dependencies", "modules", "messages", "goals"]
_OF_FILES = ("messages", "goals")
_WITHOUT_ITEMS = ("modules", "messages")
_TEXTS = Path(__file__).parent.parent / "lean" / "LeanWorker"
_LEDGER_FILES = ("", "-wal", "-shm", "-journal", ".rows")


@dataclasses.dataclass(frozen=True)
class Extracted:
    """The result of an extraction.

    Attributes:
        what: What was extracted.
        out: The file with the rows.
        rows: How many rows it has.
        items: How many modules or files they are of.
        ran: How many of those this run asked Lean about; the others were stored by an earlier one.
        counts: Rows by kind: of declarations their `kind`, of edges "type" and "value", of messages their severity, of
            goals "step", "sorry" and "unsolved", of modules "module". Of dependencies the uses, by "type" and "value".
        elapsed_us: How long this run took, in microseconds.
    """

    what: str
    out: str
    rows: int
    items: int
    ran: int
    counts: dict[str, int]
    elapsed_us: int

    @property
    def rows_per_second(self) -> float:
        """Rows of the file, by the time that this run took."""
        return self.rows / (self.elapsed_us / 1e6) if self.elapsed_us else 0.0


def extract(
    what: What,
    targets: Iterable[str | os.PathLike[str]] | None = None,
    *,
    out: str | os.PathLike[str],
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    workers: int = 1,
    pool: Pool | None = None,
    request: Request | None = None,
    edges: bool = False,
    steps: bool = True,
    ledger: str | os.PathLike[str] | None = None,
    sandbox: Sandbox | None = None,
    timeout: float = 600.0,
    cancel: CancelToken | None = None,
    on_done: OnDone | None = None,
) -> Extracted:
    """Write rows about compiled modules, or about source files, to a file.

    Modules are asked for one by one, as the items of a `Job`: an extraction that was killed goes on where it was when
    it is called again, and the file is the same. All modules are imported together, once in each worker. For goals,
    each source file is an item, and a pool of `extract`'s own elaborates each in a new worker.

    Args:
        what: "declarations", "dependencies" or "modules" of compiled modules, or "messages" or "goals" of source
            files.
        targets: Names of modules, or paths of source files; one that is named twice counts once. None: all that
            `lake build` builds of the project, or all that come with the embedded Lean.
        out: The file, which appears when all rows are there, and replaces an older one: JSON lines (.jsonl), Parquet
            (.parquet, extra `arrow`), or a table named as `what` of an SQLite database (.db, .sqlite, .sqlite3).
        project: Lake project that was built.
        toolchain: As of `LeanCapability`.
        workers: How many workers a pool of its own has.
        pool: Whose workers do it. For goals it should be one whose workers serve one request each
            (`MemoryPolicy(max_requests=1)`), unless files may see what earlier ones did to their worker.
        request: What is wanted of each declaration, without `imports`, `modules` and `version`, which are set for each
            item. Goals look at `width`, `options` and `with_expr`; modules and messages have none.
        edges: Whether dependencies are one row (`Edge`) for each use.
        steps: Whether goals have rows for tactic steps too.
        ledger: Where the state of the job is kept, for the next run with the same arguments, too; None for a ledger
            beside `out` that is removed when the file is there. Modules and messages have none.
        sandbox: For goals, the files that code in the source files may touch while Lean elaborates them; None for all
            that the caller may.
        timeout: Seconds for each try of an item. One that ends its worker or does not end in time is tried three times.
        cancel: Stops at the next row; what is stored stays so.
        on_done: As of `Pool.map`.

    Raises:
        UsageError: An argument is wrong, no module is named, or a module of the project is not built.
        JobIncomplete: Some modules ended workers or were refused; the file is not written. For messages: Lean did not
            come to an end with some files.
        Cancelled: The token was cancelled.
        MissingExtra: The embedded Lean or pyarrow is not installed.
        LeanWorkerError: Everything else that a `Job` raises.
    """
    check_choice("extracting", "what", what, get_args(What))
    doing = f"extracting {what}"
    places = CallPlaces()
    target = path_of(doing, out).absolute()
    check_flag(doing, edges=edges, steps=steps)
    check_kind(doing, "request", request, Request)
    check_kind(doing, "cancel", cancel, CancelToken)
    check_callable(doing, "progress", on_done=on_done)
    check_timeout("timeout", timeout)
    check_path(doing, "toolchain", toolchain)
    if targets is not None:
        check_several(doing, "targets", targets, "modules or files")
        targets = list(targets)
    if edges and what != "dependencies":
        raise UsageError(
            f"{doing}: edges are rows of dependencies only", hint="Leave edges out, or extract dependencies."
        )
    _refuse_unused(doing, what, request, ledger, steps)
    if request is not None:
        # One text for requests that mean the same, so that items are known again.
        width = None if request.width == DEFAULT_WIDTH else request.width
        request = msgspec.structs.replace(request, width=width, options=request.options or None)
    check_kind(doing, "sandbox", sandbox, Sandbox)
    if sandbox is not None and what != "goals":
        raise UsageError(f"{doing}: a sandbox is for goals only", hint="Nothing else runs code of the source files.")
    if targets is not None:
        check_items(doing, "targets", targets, are_paths=True)
    asked = None if targets is None else [os.fspath(each) for each in targets]
    sources: dict[str, str] = {}  # by the names that were given
    if asked is not None and what in _OF_FILES:
        once: dict[str, str] = {}
        for each in asked:
            once.setdefault(os.path.normpath(places.of(each)), each)
        sources = {each: places.of(each) for each in once.values()}
    where = None if project is None else Path(places.of(path_of(doing, project)))
    if where is not None and not os.path.isdir(where):
        raise CapabilityError(
            f"{doing}: the project directory {where} does not exist",
            project=str(where),
            hint="Give project= the directory of a Lake project.",
        )
    kept = None if ledger is None else path_of(doing, ledger).absolute()
    if kept is not None and os.path.realpath(kept) == os.path.realpath(target):
        raise UsageError(
            f"{doing}: the rows and the ledger would both be in {target}", hint="Give the ledger another name."
        )
    started = time.monotonic_ns()
    with contextlib.ExitStack() as stack:
        if pool is not None:
            check_kind(doing, "pool", pool, Pool)
        else:
            pool = stack.enter_context(pool_for(what, workers))
        run = _Run(what, target, where, toolchains.located(toolchain, places.of), pool, timeout, cancel, on_done)
        if what in _OF_FILES and not sources:
            raise UsageError(f"{doing}: no source file was named", hint="Name the files that you want to know of.")
        if what == "messages":
            rows, items, ran = run.of_files(sources)
        elif what == "goals":
            locked_in = sandboxes.located(sandbox, places.of)
            rows, items, ran = run.of_proofs(sources, request or Request(), steps, kept, locked_in)
        elif what == "modules":
            rows, items, ran = run.of_imports(asked)
        else:
            rows, items, ran = run.of_modules(asked, request or Request(), edges, kept)
    elapsed_us = (time.monotonic_ns() - started) // 1000
    return Extracted(what, str(target), rows, items, ran, dict(run.counts.most_common()), elapsed_us)


def _refuse_unused(doing: str, what: What, request: Request | None, ledger: object, steps: bool) -> None:
    """Refuse arguments that this extraction would not look at.

    Raises:
        UsageError: There is one.
    """
    if what in _WITHOUT_ITEMS and request is not None:
        raise UsageError(
            f"{doing}: a request, with its width, options and types, is for declarations, dependencies and goals",
            hint="Leave request out.",
        )
    if what in _WITHOUT_ITEMS and ledger is not None:
        raise UsageError(
            f"{doing}: a ledger is for declarations, dependencies and goals", hint="Leave ledger out: this is one step."
        )
    if not steps and what != "goals":
        raise UsageError(f"{doing}: steps are rows of goals only", hint="Leave steps out, or extract goals.")
    try:
        msgspec.convert(msgspec.to_builtins(request), Request | None)
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(
            f"{doing}: the request cannot be: {error}; got {shown(request)}",
            hint="options is a tuple of names such as 'pp.all', each of which is switched on, or off as 'no-pp.all'; "
            "width is a number of columns, from 1.",
        ) from error
    if request is not None and (request.imports is not None or request.modules is not None or request.version):
        raise UsageError(
            f"{doing}: expected a request without imports, modules and version, got {shown(request)}",
            hint="Name the modules as targets; extract sets the rest for each item.",
        )


def pool_for(what: What, workers: int) -> Pool:
    """Make a pool for an extraction. A source file has a worker of its own, since its code could change the worker."""
    return Pool(max_workers=workers, memory=MemoryPolicy(max_requests=1) if what == "goals" else None)


class _Run:
    """One call of `extract`."""

    def __init__(
        self,
        what: str,
        out: Path,
        project: Path | None,
        toolchain: str | os.PathLike[str],
        pool: Pool,
        timeout: float,
        cancel: CancelToken | None,
        on_done: OnDone | None,
    ) -> None:
        self._what = what
        self._out = out
        self._sink = sink_for(out, what)
        self._project = project
        self._toolchain = toolchain
        self._pool = pool
        self._timeout = timeout
        self._cancel = cancel
        self._on_done = on_done
        self.counts: collections.Counter[str] = collections.Counter()

    # -- what is extracted --

    def of_files(self, places: Mapping[str, str]) -> tuple[int, int, int]:
        """Messages of source files, whose places are given by their names."""
        command: StreamingCommand[Any, SourceMessage, Any] = StreamingCommand("messages", row=SourceMessage)
        check_sink(self._sink, command)
        sessions.refuse_unreadable(places)
        names, paths = list(places), list(places.values())
        sources = sessions.SourcesSeen(self._project, paths)
        build = self._build_seen(sessions.imports_of_sources(paths))
        found = messages.of_files(
            names, paths, self._pool, self._project, self._toolchain, self._timeout, self._cancel, self._on_done
        )
        build.refuse_another()
        sources.refuse_others()
        self.counts.update(row.severity for row in found)
        return store(self._sink, command, map(msgspec.json.encode, found)), len(paths), len(paths)

    def of_imports(self, modules: list[str] | None) -> tuple[int, int, int]:
        """All modules that some of them import, and themselves."""
        command: StreamingCommand[Any, ModuleRow, Any] = StreamingCommand("modules", row=ModuleRow)
        check_sink(self._sink, command)
        capability, _, files, build = self._session_of_one_build(modules)
        found = self._all_modules(capability.as_now(), files)
        # Their sizes come from the files.
        build.refuse_another()
        self.counts["module"] = len(found)
        return store(self._sink, command, map(msgspec.json.encode, found)), len(found), len(found)

    def of_modules(
        self, asked: list[str] | None, request: Request, edges: bool, ledger: Path | None
    ) -> tuple[int, int, int]:
        """Declarations or dependencies."""
        command: StreamingCommand[Any, Any, Any]
        command = DECLARATIONS if self._what == "declarations" else USES if edges else DEPENDENCIES
        stored: StreamingCommand[Any, Any, Any] = StreamingCommand("edges", row=Edge) if edges else command
        check_sink(self._sink, stored)
        capability, modules, files, build = self._session_of_one_build(asked)
        if not modules:
            modules = tuple(row.name for row in self._all_modules(capability, files))
        # Before their states are asked for: a worker of other modules then ends the call.
        capability = capability.as_now()
        of_all = files.digest_of_all(modules)
        # Attributes and notation of a declaration can be in any module that is imported with it.
        versions = {module: of_all if self._what == "declarations" else files.digest(module) for module in modules}
        requests = [
            msgspec.structs.replace(request, imports=None, modules=(module,), version=version)
            for module, version in versions.items()
        ]
        return self._of_job(command, stored, capability, requests, ledger, build)

    def of_proofs(
        self, places: Mapping[str, str], request: Request, steps: bool, ledger: Path | None, sandbox: Sandbox | None
    ) -> tuple[int, int, int]:
        """Goals and tactic steps of source files, whose places are given by their names."""
        check_sink(self._sink, GOALS)
        texts = [sessions.source_of(name, place) for name, place in places.items()]
        build = self._build_seen({name for text in texts for name in imports_in(text)})
        lean, files = sessions.lean_and_files(self._project, self._toolchain)
        settings = ProjectSettings(lean, self._project)
        search_path = lake.module_path(lean, self._project)
        requests = []
        for (name, place), text in zip(places.items(), texts, strict=True):
            if (problem := fatal_behind(text, search_path, lean)) is not None:
                raise refused(f"extracting goals of {name}", problem, lean)
            found = settings.of_file(Path(place))
            options = {**found.options, **sessions.printing(request.options)}
            requests.append(
                GoalsRequest(
                    name,
                    text,
                    tuple(Option(option, value) for option, value in options.items()),
                    request.width,
                    steps,
                    request.with_expr,
                    files.digest_of_all(imports_in(text)),
                    found.module,
                )
            )
        capability = sessions.goal_extractor(project=self._project, toolchain=self._toolchain, sandbox=sandbox)
        return self._of_job(GOALS, GOALS, capability, requests, ledger, build)

    # -- how --

    def _build_seen(self, modules: Iterable[str]) -> sessions.BuildSeen:
        return sessions.BuildSeen(self._project, self._toolchain, modules)

    def _of_job(
        self,
        command: StreamingCommand[Any, Any, Any],
        stored: StreamingCommand[Any, Any, Any],
        capability: LeanCapability,
        requests: Sequence[Any],
        ledger: Path | None,
        build: sessions.BuildSeen,
    ) -> tuple[int, int, int]:
        """Run one request for each item, and write the file."""
        edges = stored is not command
        path = self._out.with_name(f"{self._out.name}.ledger") if ledger is None else ledger
        lines = path.with_name(f"{path.name}.rows")
        # The output goes when the file is made of it; the rows must not go with it.
        job = Job(path, command, capability, out=lines, keep_parts=True, version=_version())
        with _alone(f"extracting {self._what}", path):
            try:
                with storing("opening", path):
                    if build.was_left_open(path):
                        _remove_ledger(path)  # a run was killed, and then or since a directory was away
                    build.open_beside(path)
                # Another time limit may help now. What is no ledger yet, or none at all, is for `run` to say.
                with contextlib.suppress(UsageError):
                    job.retry()
                report = job.run(
                    self._pool, requests, timeout=self._timeout, cancel=self._cancel, on_done=self._on_done
                )
                try:
                    report.raise_for_error()
                except JobIncomplete as error:
                    error.hint = f"`lean-worker job show {path}` has all reasons; the same call asks for these again."
                    raise
                build.refuse_another()
                with lines.open("rb") as file:
                    found = (line.removesuffix(b"\n") for line in file)
                    rows = store(self._sink, stored, self._edges(found) if edges else self._counted(found))
            except BaseException:
                if build.has_moved():
                    _remove_ledger(path)  # its rows may be of either build, and nothing tells them apart
                elif ledger is None and _is_untouched(job):
                    _remove_ledger(path)
                raise
            finally:
                lines.unlink(missing_ok=True)
                build.close_beside(path)
            if ledger is None:
                _remove_ledger(path)
        return rows, len(requests), report.ran

    def _session(self, asked: list[str] | None) -> tuple[sessions.Extractor, tuple[str, ...], sessions.CompiledFiles]:
        lean, files = sessions.lean_and_files(self._project, self._toolchain)
        modules = sessions.chosen_modules(asked, self._project, files)
        if asked is not None and not modules:
            raise UsageError(
                f"extracting {self._what}: no module was named", hint="Name modules, as in ['Init.Prelude']."
            )
        imports = sessions.embedded_imports(lean, modules) or files.roots(modules)
        return sessions.extractor(imports, project=self._project, toolchain=self._toolchain), modules, files

    def _session_of_one_build(
        self, asked: list[str] | None
    ) -> tuple[sessions.Extractor, tuple[str, ...], sessions.CompiledFiles, sessions.BuildSeen]:
        """A session, and the build of its modules, of which there are as many as when their states were taken.

        Raises:
            CapabilityError: A build added or removed modules meanwhile.
        """
        capability, modules, files = self._session(asked)
        build = self._build_seen(modules)
        if self._session(asked)[:2] != (capability, modules):
            raise sessions.another_build()
        return capability, modules, files, build

    def _all_modules(self, capability: LeanCapability, files: sessions.CompiledFiles) -> list[ModuleRow]:
        with self._pool.lease(capability) as lease:
            found = lease.collect(MODULES, Request(), timeout=self._timeout, cancel=self._cancel)
        # The worker's own modules lie where only the worker looks.
        path = [Path(part) for part in sessions.lean_path_of(found.summary).split(os.pathsep) if part]
        own = sessions.CompiledFiles(path)
        rows = []
        for row in found.rows:
            place = files.file(row.name) or own.file(row.name)
            size_bytes = None if place is None else place.stat().st_size
            rows.append(msgspec.structs.replace(row, size_bytes=size_bytes))
        return rows

    def _counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        if self._what != "dependencies":
            decode = msgspec.json.Decoder(_Kind).decode
            for line in lines:
                self.counts[decode(line).kind] += 1
                yield line
            return
        decode_uses = msgspec.json.Decoder(DEPENDENCIES.row).decode
        for line in lines:
            row = decode_uses(line)
            self.counts["type"] += len(row.type_uses)
            self.counts["value"] += len(row.value_uses or ())
            yield line

    def _edges(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        decode = msgspec.json.Decoder(USES.row).decode
        for line in lines:
            row = decode(line)
            for where, uses in (("type", row.type_uses), ("value", row.value_uses or ())):
                self.counts[where] += len(uses)
                for used, declared_by in uses:
                    yield msgspec.json.encode(Edge(row.name, row.module, used, declared_by, where))


@contextlib.contextmanager
def _alone(doing: str, ledger: Path) -> Iterator[None]:
    """Keep other extractions away from a ledger, from before it is opened until it and the rows beside it are gone.

    The ledger's own lock is not enough: whoever it refuses must not clean up what is not theirs.
    """
    name = ledger.with_name(f"{ledger.name}.lock")
    with storing("opening", ledger):
        remove_if_dead(name)
        try:
            lock = open_locked(name, 0o600)
        except FileExistsError as error:
            raise UsageError(
                f"{doing}: another process, or another call in this one, works on {ledger}",
                hint="Wait until it has ended, or give another out or ledger.",
            ) from error
    try:
        yield
    finally:
        name.unlink(missing_ok=True)
        lock.close()


class _Kind(msgspec.Struct):
    """Names of the counts of declarations and goals."""

    kind: str


@functools.cache
def _version() -> str:
    """Digest of the Lean texts that make the rows, which an item's key would not see."""
    texts = (_TEXTS / f"{name}.lean" for name in ("Extract", "Goals"))
    return hashlib.sha256(b"".join(text.read_bytes() for text in texts)).hexdigest()


def _is_untouched(job: Job[Any, Any, Any]) -> bool:
    """Whether nothing was stored, nor found out, that a later run could use."""
    if not job.path.exists():
        return False
    with contextlib.suppress(LeanWorkerError):
        return all(item.state == "due" and not item.deaths for item in job.items())
    return False


def _remove_ledger(path: Path) -> None:
    for suffix in _LEDGER_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(path.with_name(f"{path.name}.parts"), ignore_errors=True)
