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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..base.trusted_files import path_of
from ..batch.job import Job
from ..batch.outcome import OnDone
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import StreamingCommand
from ..errors import LeanWorkerError, UsageError
from ..hosting.capability import LeanCapability
from . import messages, sessions
from .rows import DECLARATIONS, DEPENDENCIES, MODULES, Edge, ModuleRow, Request, SourceMessage
from .storing import check_sink, is_lines, sink_for, store

What = Literal["declarations", "dependencies", "modules", "messages"]
_EXTRACTOR = Path(__file__).parent.parent / "lean" / "LeanWorker" / "Extract.lean"
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
        counts: Rows by kind: of declarations their `kind`, of dependencies and edges "type" and "value", of messages
            their severity, of modules "module".
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
    ledger: str | os.PathLike[str] | None = None,
    timeout: float = 600.0,
    cancel: CancelToken | None = None,
    on_done: OnDone | None = None,
) -> Extracted:
    """Write rows about compiled modules, or about source files, to a file.

    Modules are asked for one by one, as the items of a `Job`: an extraction that was killed goes on where it was when
    it is called again, and the file is the same. All modules are imported together, once in each worker.

    Args:
        what: "declarations", "dependencies" or "modules" of compiled modules, or "messages" of source files.
        targets: Names of modules; for messages, paths of files. None: all modules of the project, or all that come
            with the embedded Lean.
        out: The file, which appears when all rows are there, and replaces an older one: JSON lines (.jsonl), Parquet
            (.parquet, extra `arrow`), or a table named as `what` of an SQLite database (.db, .sqlite, .sqlite3).
        project: Lake project that was built.
        toolchain: As of `LeanCapability`.
        workers: How many workers a pool of its own has.
        pool: Whose workers do it.
        request: What is wanted of each declaration; `imports`, `modules` and `version` are set for each item.
        edges: Whether dependencies are one row (`Edge`) for each use.
        ledger: Where the state of the job is kept, for the next run with the same arguments, too; None for a ledger
            beside `out` that is removed when the file is there. Messages have none.
        timeout: Seconds for each item.
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
    doing = f"extracting {what}"
    target = path_of(doing, out).absolute()
    if what not in ("declarations", "dependencies", "modules", "messages"):
        raise UsageError(f"extracting: expected what as declarations, dependencies, modules or messages, got {what!r}")
    if isinstance(targets, (str, bytes, os.PathLike)):
        raise UsageError(f"{doing}: expected several targets, got one: {targets!r}", hint="Put it into a list.")
    if edges and what != "dependencies":
        raise UsageError(f"{doing}: edges are rows of dependencies only")
    asked = None if targets is None else [os.fspath(each) for each in targets]
    where = None if project is None else path_of(doing, project).expanduser().absolute()
    kept = None if ledger is None else path_of(doing, ledger).absolute()
    started = time.monotonic_ns()
    with contextlib.ExitStack() as stack:
        if pool is None:
            pool = stack.enter_context(Pool(max_workers=workers))
        run = _Run(what, target, where, toolchain, pool, timeout, cancel, on_done)
        if what == "messages":
            rows, items, ran = run.of_files(asked)
        elif what == "modules":
            rows, items, ran = run.of_imports(asked)
        else:
            rows, items, ran = run.of_modules(asked, request or Request(), edges, kept)
    elapsed_us = (time.monotonic_ns() - started) // 1000
    return Extracted(what, str(target), rows, items, ran, dict(run.counts.most_common()), elapsed_us)


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

    def of_files(self, paths: list[str] | None) -> tuple[int, int, int]:
        """Messages of source files."""
        if paths is None:
            raise UsageError("extracting messages: no source file was named")
        command: StreamingCommand[Any, SourceMessage, Any] = StreamingCommand("messages", row=SourceMessage)
        check_sink(self._sink, command)
        found = messages.of_files(
            paths, self._pool, self._project, self._toolchain, self._timeout, self._cancel, self._on_done
        )
        self.counts.update(row.severity for row in found)
        return store(self._sink, command, map(msgspec.json.encode, found)), len(paths), len(paths)

    def of_imports(self, modules: list[str] | None) -> tuple[int, int, int]:
        """All modules that some of them import, and themselves."""
        capability, _, files = self._session(modules)
        command: StreamingCommand[Any, ModuleRow, Any] = StreamingCommand("modules", row=ModuleRow)
        check_sink(self._sink, command)
        found = self._all_modules(capability, files)
        self.counts["module"] = len(found)
        return store(self._sink, command, map(msgspec.json.encode, found)), len(found), len(found)

    def of_modules(
        self, asked: list[str] | None, request: Request, edges: bool, ledger: Path | None
    ) -> tuple[int, int, int]:
        """Declarations or dependencies."""
        command: StreamingCommand[Any, Any, Any] = DECLARATIONS if self._what == "declarations" else DEPENDENCIES
        stored: StreamingCommand[Any, Any, Any] = StreamingCommand("edges", row=Edge) if edges else command
        check_sink(self._sink, stored)
        capability, modules, files = self._session(asked)
        if not modules:
            modules = tuple(row.name for row in self._all_modules(capability, files))
        requests = [
            msgspec.structs.replace(request, imports=None, modules=(module,), version=files.digest(module))
            for module in modules
        ]
        path = self._out.with_name(f"{self._out.name}.ledger") if ledger is None else ledger
        is_last = is_lines(self._out) and not edges
        lines = self._out if is_last else path.with_name(f"{path.name}.rows")
        job = Job(path, command, capability, out=lines, version=_version())
        try:
            report = job.run(self._pool, requests, timeout=self._timeout, cancel=self._cancel, on_done=self._on_done)
        except BaseException:
            if ledger is None and _is_untouched(job):
                _remove_ledger(path)
            raise
        report.raise_for_error()
        with lines.open("rb") as file:
            counted = self._edges(file) if edges else self._counted(file)
            rows = sum(1 for _ in counted) if is_last else store(self._sink, stored, counted)
        if ledger is None:
            _remove_ledger(path)
        elif not is_last:
            lines.unlink()
        return rows, len(modules), report.ran

    # -- how --

    def _session(self, asked: list[str] | None) -> tuple[LeanCapability, tuple[str, ...], sessions.CompiledFiles]:
        lean, files = sessions.lean_and_files(self._project, self._toolchain)
        modules = sessions.chosen_modules(asked, self._project, files)
        if asked is not None and not modules:
            raise UsageError(f"extracting {self._what}: no module was named")
        imports = sessions.embedded_imports(lean, modules) or files.roots(modules)
        return sessions.extractor(imports, project=self._project, toolchain=self._toolchain), modules, files

    def _all_modules(self, capability: LeanCapability, files: sessions.CompiledFiles) -> list[ModuleRow]:
        with self._pool.lease(capability) as lease:
            found = lease.collect(MODULES, Request(), timeout=self._timeout, cancel=self._cancel)
        # The worker's own modules lie where only the worker looks.
        path = [Path(part) for part in sessions.lean_path_of(found.summary).split(os.pathsep) if part]
        own = sessions.CompiledFiles(path)
        rows = []
        for row in found.rows:
            said, place = files.read(row.name), files.file(row.name)
            if said is None:
                said, place = own.read(row.name), own.file(row.name)
            imports = None if said is None else list(said.imports)
            size_bytes = None if place is None else place.stat().st_size
            rows.append(msgspec.structs.replace(row, imports=imports, size_bytes=size_bytes))
        return rows

    def _counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        if self._what == "declarations":
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
        decode = msgspec.json.Decoder(DEPENDENCIES.row).decode
        for line in lines:
            row = decode(line)
            for where, uses in (("type", row.type_uses), ("value", row.value_uses or ())):
                self.counts[where] += len(uses)
                for used in uses:
                    yield msgspec.json.encode(Edge(row.name, row.module, used, where))


class _Kind(msgspec.Struct):
    """The counts of a declaration."""

    kind: str


@functools.cache
def _version() -> str:
    """Digest of the Lean text that makes the rows, which an item's key would not see."""
    return hashlib.sha256(_EXTRACTOR.read_bytes()).hexdigest()


def _is_untouched(job: Job) -> bool:
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
