"""Verifies candidate proofs against a trusted statement.

Owns the course of a verification: the statement is compiled once, each candidate in a sandboxed, disposable process,
and a judge that never runs their code decides from their declarations.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..base import script_header
from ..base.arguments import check_flag, check_kind, check_several
from ..base.call_places import CallPlaces
from ..base.processors import usable_processors
from ..base.whole_results import WholeGenerator
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..checking.arguments import check_pool, check_run
from ..checking.files import is_about_one_file
from ..commands import StreamingCommand
from ..errors import UsageError
from ..events import Diagnostic
from ..hosting import sandbox as sandboxes
from ..hosting.sandbox import Sandbox
from ..lake.project_settings import SettingsChoice
from ..policy import Limits, RestartPolicy, Timeouts
from ..toolchains import toolchain as toolchains
from ..toolchains.module_closure import imports_in
from ..wire.file_messages import MAX_TEXTS, CompileEnd, FileToCompile
from .axiom_names import parts_of
from .bench import Bench, told_imports
from .candidate_texts import MAX_REQUEST_BYTES, Candidate, check_candidate, statement_text, texts_of
from .capabilities import Compiler, JudgeCapability, Verifier
from .collected import Collected
from .deciding import decided
from .proof import Proof, is_like_a_file
from .recheck import Recheck
from .results import ProofVerdict, VerifyResult
from .stated_build import StatedBuild
from .statement_failure import failure_of

STANDARD_AXIOMS = ("propext", "Classical.choice", "Quot.sound")
_BACKSTOP_SECONDS = 150.0
_LIKE_A_FILE = "it begins like a whole file, which is given as a pair of its name and text, and no Proof"
DEFAULT_SANDBOX = Sandbox()
MEMORY_KIB = 8 << 20
"""The memory of a candidate in KiB above which it is killed, if the caller says nothing: 8 GiB."""

_COMPILE: StreamingCommand[FileToCompile, bytes, CompileEnd] = StreamingCommand(
    "compile", request=FileToCompile, row=bytes, summary=CompileEnd
)


@dataclasses.dataclass(frozen=True)
class _Bounds:
    """The time and the memory of an elaboration."""

    timeout: float | None
    kill_above_kib: int | None

    def file(self, arguments: list[str], texts: list[str]) -> FileToCompile:
        """The request for a file, as the texts that it may have."""
        return FileToCompile(arguments, texts, self.timeout, self.kill_above_kib)


def verify(
    candidates: Iterable[Candidate],
    *,
    statement: str | os.PathLike[str],
    allowed_axioms: Iterable[str] = STANDARD_AXIOMS,
    timeout: float | None = 60.0,
    kill_above_kib: int | None = MEMORY_KIB,
    pool: Pool | None = None,
    jobs: int | None = None,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    options: Mapping[str, object] | None = None,
    settings: SettingsChoice = "auto",
    sandbox: Sandbox | None = DEFAULT_SANDBOX,
    recheck: Recheck = False,
    in_order: bool = False,
    cancel: CancelToken | None = None,
) -> Generator[VerifyResult, None, None]:
    """Verify candidates against a statement, and iterate over one verdict for each.

    Nothing runs before the first `next`. Candidates are taken as workers come free. docs/verify.md states what is
    trusted, and what is not claimed.

    Args:
        candidates: Paths, which mean what they meant when `verify` was called, pairs of a name and the text of a whole
            file, or `Proof`s. A candidate has to import exactly
            what the statement imports.
        statement: A trusted Lean file, as a path or as text (a text contains a line break): a header, definitions, and
            theorems that end in `sorry`. Those theorems are the goals; a candidate has to prove all of them.
        allowed_axioms: Names of axioms of the imports that a proof may rest on. The statement's own are allowed too.
        timeout: Seconds for the elaboration of a candidate, of a `Proof` for each reading of it, and again for its
            judgement; None for no limit.
        kill_above_kib: The memory of a candidate in KiB, as of `check`, above which its elaboration is killed and it is
            LOST; None for no limit. A judgement has 4 GiB.
        pool: A pool of two workers or more; None for one of its own.
        jobs: How many candidates are elaborated at once by a pool of its own; default: as many as processors.
        project: Lake project whose built modules may be imported.
        toolchain: "auto", "embedded", or the path of a toolchain's prefix.
        options: Lean options for the statement and all candidates, by name; they win over those of the project.
        settings: Where the options and libraries of `project` come from, as of `check`; the same for all.
        sandbox: What a candidate's code may touch while it is elaborated. None elaborates without a sandbox: the code
            can harm the machine, and where the system has no Landlock also change what the verdicts rest on.
        recheck: Whether `leanchecker` has to accept a candidate's module too. True for the toolchain's own, which there
            is from Lean 4.28 on; or the path of a program that is called like it, such as lean4checker.
        in_order: Whether results come in the order of the candidates.
        cancel: Stops everything; candidates that were taken and have no result are LOST. If others were left, the
            iteration ends with `Cancelled`.

    Raises:
        UsageError: An argument is out of range; the statement does not compile or has no goal; a path is no file; this
            Lean has no leanchecker.
        CapabilityError: There is no Lean, it is a version whose kernel cannot be asked, it has no module that the
            statement imports, or there can be no sandbox.
        RequestTimeout, MemoryLimitExceeded, ChildExited: Lean came to no end with the statement.
        RestartLimitExceeded, QueueTimeout, MemoryBudgetExceeded: `pool` gave no worker.
    """
    doing = "verifying"
    check_several(doing, "candidates", candidates, "candidates")
    check_flag(doing, in_order=in_order)
    if pool is not None:
        check_pool(doing, pool)
        check_kind(doing, "pool", pool, Pool)
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
    if pool is not None and pool.max_workers < 2:
        raise UsageError(
            f"{doing}: expected a pool of 2 workers or more, one of them for the judge; got 1",
            hint="Give lw.Pool(max_workers=2).",
        )
    check_several(doing, "allowed_axioms", allowed_axioms, "names of axioms")
    axioms = [parts_of(name) for name in allowed_axioms]
    if isinstance(candidates, Collection):  # others are read as workers come free
        for candidate in candidates:
            check_candidate(candidate)
    # A link may lead elsewhere later: one call is about one directory.
    places = CallPlaces(project)
    directory = None if places.project is None else Path(places.project)
    verifier = Verifier(directory, toolchains.located(toolchain, places.of))
    compiler = Compiler(verifier, sandboxes.located(sandbox, places.of), verifier.checker_of(recheck))
    text = statement_text(statement, places)
    wanted = dict(options or {})
    bounds = _Bounds(timeout, kill_above_kib)
    given = (candidates, places, text, wanted, settings, compiler, axioms, bounds, pool, jobs, in_order, cancel)
    return WholeGenerator(doing, _results(*given))


def _results(
    candidates: Iterable[Candidate],
    places: CallPlaces,
    statement: str,
    options: Mapping[str, object],
    settings: SettingsChoice,
    compiler: Compiler,
    axioms: list[list[str | int]],
    bounds: _Bounds,
    pool: Pool | None,
    jobs: int | None,
    in_order: bool,
    cancel: CancelToken | None,
) -> Generator[VerifyResult, None, None]:
    verifier = compiler.verifier
    verifier.refuse_fatal(statement)
    arguments = verifier.settings_of(statement, settings).lean_arguments(options)
    count = jobs or usable_processors()
    own = None
    if pool is None:
        # One more place than jobs, for the judge.
        pool = own = Pool(
            max_workers=count + 1,
            timeouts=Timeouts(inactivity=None),
            limits=Limits(max_frame_bytes=MAX_REQUEST_BYTES),
            restarts=RestartPolicy(max_restarts=None, poison_after=None, backoff=0.0),
        )
    try:
        build, stated = _compile_statement(pool, statement, arguments, verifier, bounds, cancel)
        with Bench(pool, JudgeCapability(verifier), stated, axioms, bounds.timeout, cancel) as bench:
            each = _verify_each(
                pool, candidates, places, statement, arguments, compiler, bench, bounds, in_order, cancel
            )
            with contextlib.closing(each):
                yield from build.checked(each)
    finally:
        if own is not None:
            own.close(drain=0)


def _compile_statement(
    pool: Pool,
    statement: str,
    arguments: list[str],
    verifier: Verifier,
    bounds: _Bounds,
    cancel: CancelToken | None,
) -> tuple[StatedBuild, list[bytes]]:
    """Compile it, and return the build of its imports and its rows."""
    imports = _imports_of(statement)
    while True:
        # Before the statement is compiled, so that no change after that is missed.
        build = StatedBuild(imports, verifier.project, verifier.toolchain)
        stated = _compile_once(pool, statement, arguments, verifier, bounds, cancel)
        told = {".".join(map(str, parts)) for parts, _ in told_imports(stated)}
        if told <= imports:
            return build, stated
        imports |= told  # Lean has read the header otherwise


def _compile_once(
    pool: Pool,
    statement: str,
    arguments: list[str],
    verifier: Verifier,
    bounds: _Bounds,
    cancel: CancelToken | None,
) -> list[bytes]:
    collected = Collected()
    output: list[str] = []
    with pool.lease(Compiler(verifier, None), cancel=cancel) as lease:
        summary = lease.run(
            _COMPILE,
            bounds.file(arguments, [statement]),
            sink=collected.sinks(),
            cancel=cancel,
            on_diagnostic=lambda diagnostic: output.append(diagnostic.message),
        )
    end = summary.metadata
    messages = collected.of_texts[0]
    if collected.terms_bytes > MAX_REQUEST_BYTES:  # a part of it would be another statement
        raise UsageError(
            f"verifying: the declarations of the statement take {collected.terms_bytes} bytes; at most "
            f"{MAX_REQUEST_BYTES} are judged",
            hint="Put what it defines into modules, and import them.",
        )
    if end is None or end.exit_code != 0 or messages.has_errors or end.unreadable is not None or not collected.terms:
        raise failure_of(
            end,
            messages.kept,
            "\n".join(output),
            timeout=bounds.timeout,
            kill_above_kib=bounds.kill_above_kib,
            is_embedded=verifier.is_embedded,
        )
    return collected.terms


def _verify_each(
    pool: Pool,
    candidates: Iterable[Candidate],
    places: CallPlaces,
    statement: str,
    arguments: list[str],
    compiler: Compiler,
    bench: Bench,
    bounds: _Bounds,
    in_order: bool,
    cancel: CancelToken | None,
) -> Generator[tuple[VerifyResult, bool], None, None]:
    """Yield a result for each candidate, and whether another one has been elaborated meanwhile."""
    collected: dict[int, Collected] = {}
    names: dict[int, str] = {}
    # Of strangers' texts: one that Lean cannot read ends nothing but its own candidate.
    unread: dict[int, str] = {}
    like_files: set[int] = set()
    known = _imports_of(statement)
    with_imports: set[int] = set()

    def files() -> Iterator[FileToCompile]:
        for index, candidate in enumerate(candidates):
            names[index], texts, why = texts_of(candidate, statement, places)
            if why is not None:
                unread[index] = why
            if isinstance(candidate, Proof) and is_like_a_file(candidate.text):
                like_files.add(index)
            if not _imports_of(texts[0]) <= known:
                with_imports.add(index)
            yield bounds.file(arguments, texts)

    def sinks(index: int, file: FileToCompile) -> Any:
        collected[index] = Collected()
        return collected[index].sinks()

    def on_diagnostic(index: int, diagnostic: Diagnostic) -> None:
        collected[index].take_output(diagnostic.message)

    # The worker keeps the limit of a text itself, may need it twice, then reads the module, and may have it rechecked.
    backstop = None if bounds.timeout is None else (2 * MAX_TEXTS + 1) * bounds.timeout + _BACKSTOP_SECONDS
    with pool.stream_many(
        _COMPILE,
        files(),
        sink=sinks,
        capability=compiler,
        ordered=in_order,
        timeout=backstop,
        cancel=cancel,
        on_diagnostic=on_diagnostic,
    ) as outcomes:
        for outcome in outcomes:
            found = collected.pop(outcome.index, Collected())
            if outcome.error is not None and not is_about_one_file(outcome.error):
                raise outcome.error
            end = None if outcome.value is None else outcome.value.metadata
            messages = found.of_texts[0 if end is None else end.text]
            name = names.pop(outcome.index)
            result = VerifyResult(
                outcome.index,
                name,
                ProofVerdict.LOST,
                messages=tuple(msgspec.structs.replace(message, file=name) for message in messages.kept),
                seconds=outcome.seconds if end is None else end.seconds,
                cpu_seconds=0.0 if end is None else end.cpu_seconds,
            )
            why = unread.pop(outcome.index, None)
            if why is not None:
                result = dataclasses.replace(result, verdict=ProofVerdict.NOT_PROVED, messages=(), detail=why)
                yield result, outcomes.is_ready
                continue
            imports_more = outcome.index in with_imports
            with_imports.discard(outcome.index)
            result = decided(result, found, end, outcome.error, bench, imports_more=imports_more)
            if outcome.index in like_files:
                like_files.discard(outcome.index)
                if result.verdict is ProofVerdict.NOT_PROVED:
                    result = dataclasses.replace(result, detail=f"{result.detail}; {_LIKE_A_FILE}")
            yield result, outcomes.is_ready


def _imports_of(text: str) -> set[str]:
    """The modules that the header of a file names, with the one that Lean adds."""
    return {*imports_in(text), *(() if script_header.read(text).has_prelude else ("Init",))}
