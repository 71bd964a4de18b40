"""Verifies candidate proofs against a trusted statement.

Owns the course of a verification: the statement is compiled once, each candidate in a sandboxed, disposable process,
and a judge that never runs their code decides from their declarations. Nothing that a candidate's process says makes a
verdict better: its exit code and messages can only reject it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..cancel import CancelToken
from ..checking import Message
from ..commands import JsonCommand, StreamingCommand
from ..errors import (
    AdmissionError,
    CapabilityError,
    FrameTooLarge,
    LeanWorkerError,
    RequestTimeout,
    RestartLimitExceeded,
    UsageError,
)
from ..lease import Lease
from ..policy import Limits, RestartPolicy, Timeouts, check_timeout
from ..pool import Pool
from ..sandbox import Sandbox
from .capabilities import Compiler, JudgeCapability, Verifier
from .results import ProofVerdict, VerifyResult
from .statement import Proof, filled

STANDARD_AXIOMS = ("propext", "Classical.choice", "Quot.sound")
MAX_REQUEST_BYTES = 1 << 28
_MEMORY_BYTES = 1 << 33
_BACKSTOP_SECONDS = 30.0
_SANDBOX = Sandbox()

Candidate = str | os.PathLike[str] | tuple[str, str] | Proof
"""A path, a pair of a name and the text of a whole file, or a `Proof`."""


class _File(msgspec.Struct, frozen=True):
    name: str
    arguments: list[str]
    text: str
    timeout: float | None


class _End(msgspec.Struct, frozen=True):
    exit_code: int | None
    signal: str | None
    timed_out: bool
    seconds: float
    cpu_seconds: float = 0.0
    unreadable: str | None = None


class _Decision(msgspec.Struct, frozen=True):
    verdict: str
    axioms: dict[str, tuple[str, ...]] = {}
    declaration: str | None = None
    aspect: str | None = None
    goal: str | None = None
    axiom: str | None = None
    reason: str | None = None
    detail: str | None = None


class _Judged(msgspec.Struct, frozen=True):
    decision: _Decision | None = None
    goals: int | None = None
    bad_data: str | None = None
    timed_out: bool = False
    signal: int | None = None
    exit_code: int | None = None
    cpu_seconds: float = 0.0


class _Named(msgspec.Struct, frozen=True):
    """What the parent reads of a module's rows: enough to tell a judge which modules to import."""

    names: list[tuple[int, str | int]] = []
    imports: list[tuple[int, tuple[bool, ...]]] | None = None


_COMPILE: StreamingCommand[_File, bytes, _End] = StreamingCommand("compile", request=_File, row=bytes, summary=_End)
_JUDGE: JsonCommand[Any, _Judged] = JsonCommand("judge", response=_Judged)


@dataclasses.dataclass
class _Collected:
    """The rows of one compilation."""

    messages: list[Message] = dataclasses.field(default_factory=list)
    terms: list[bytes] = dataclasses.field(default_factory=list)
    size_bytes: int = 0

    def take_message(self, row: bytes) -> None:
        # Another line is of the candidate's own making.
        with contextlib.suppress(msgspec.DecodeError):
            self.messages.append(msgspec.json.decode(row, type=Message))

    def take_terms(self, row: bytes) -> None:
        self.size_bytes += len(row)
        if self.size_bytes <= MAX_REQUEST_BYTES:
            self.terms.append(row)


def verify(
    candidates: Iterable[Candidate],
    *,
    statement: str | os.PathLike[str],
    allowed_axioms: Iterable[str] = STANDARD_AXIOMS,
    timeout: float | None = 60.0,
    pool: Pool | None = None,
    jobs: int | None = None,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    options: Mapping[str, object] | None = None,
    sandbox: Sandbox | None = _SANDBOX,
    in_order: bool = False,
    cancel: CancelToken | None = None,
) -> Generator[VerifyResult, None, None]:
    """Verify candidates against a statement, and iterate over one verdict for each.

    Nothing runs before the first `next`. Candidates are taken as workers come free. docs/verify.md states what is
    trusted, and what is not claimed.

    Args:
        candidates: Paths, pairs of a name and the text of a whole file, or `Proof`s. A candidate has to import exactly
            what the statement imports.
        statement: A trusted Lean file, as a path or as text (a text contains a line break): a header, definitions, and
            theorems that end in `sorry`. Those theorems are the goals; a candidate has to prove all of them.
        allowed_axioms: Names of axioms of the imports that a proof may rest on. The statement's own are allowed too.
        timeout: Seconds for the elaboration of a candidate, and again for its judgement; None for no limit.
        pool: A pool of two workers or more; None for one of its own.
        jobs: How many candidates are elaborated at once by a pool of its own; default: as many as processors.
        project: Lake project whose built modules may be imported.
        toolchain: "auto", "embedded", or the path of a toolchain's prefix.
        options: Lean options for the statement and all candidates, by name.
        sandbox: What a candidate's code may touch while it is elaborated. None elaborates without a sandbox: verdicts
            are as reliable, but the code can harm the machine.
        in_order: Whether results come in the order of the candidates.
        cancel: Stops everything; candidates without a result are LOST.

    Raises:
        UsageError: An argument is out of range; the statement does not compile or has no goal; a path is no file.
        CapabilityError: There is no Lean, it is a version whose kernel cannot be asked, or there can be no sandbox.
        RestartLimitExceeded, QueueTimeout, MemoryBudgetExceeded: `pool` gave no worker.
    """
    check_timeout("timeout", timeout)
    if isinstance(candidates, (str, bytes, os.PathLike)):
        raise UsageError(f"verifying: expected several candidates, got one: {candidates!r}", hint="Put it into a list.")
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise UsageError(f"verifying: expected jobs as an integer of 1 or more, got {jobs!r}")
    if pool is not None and jobs is not None:
        raise UsageError("verifying: jobs is for a pool of its own; this one has its own number of workers")
    axioms = [_parts_of(name) for name in allowed_axioms]
    arguments = [
        f"-D{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in (options or {}).items()
    ]
    verifier = Verifier(None if project is None else Path(project).expanduser().resolve(), os.fspath(toolchain))
    text = _statement_text(statement)
    return _results(candidates, text, arguments, verifier, axioms, timeout, pool, jobs, sandbox, in_order, cancel)


def _parts_of(name: object) -> list[str | int]:
    if not isinstance(name, str) or not name:
        raise UsageError(f"verifying: expected the names of axioms as texts, got {name!r}")
    return list(name.replace("«", "").replace("»", "").split("."))


def _statement_text(statement: object) -> str:
    if isinstance(statement, str) and "\n" in statement:
        return statement
    if not isinstance(statement, (str, os.PathLike)):
        raise UsageError(f"verifying: expected the statement as a path or a text, got {statement!r}")
    return _read(Path(os.fspath(statement)).expanduser(), "the statement")


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"verifying: {what} {path} cannot be read: {error}") from error


def _file_of(candidate: Candidate, statement: str, arguments: list[str], timeout: float | None) -> _File:
    if isinstance(candidate, Proof):
        return _File(candidate.name, arguments, filled(statement, candidate.text), timeout)
    if isinstance(candidate, tuple):
        if len(candidate) != 2 or not all(isinstance(part, str) for part in candidate):
            raise UsageError(f"verifying a candidate: expected a name and a text, got {candidate!r}")
        return _File(candidate[0], arguments, candidate[1], timeout)
    name = os.fspath(candidate)
    return _File(name, arguments, _read(Path(name).expanduser(), "the candidate"), timeout)


def _results(
    candidates: Iterable[Candidate],
    statement: str,
    arguments: list[str],
    verifier: Verifier,
    axioms: list[list[str | int]],
    timeout: float | None,
    pool: Pool | None,
    jobs: int | None,
    sandbox: Sandbox | None,
    in_order: bool,
    cancel: CancelToken | None,
) -> Generator[VerifyResult, None, None]:
    count = jobs or _processors()
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
        stated = _compile_statement(pool, statement, arguments, verifier, timeout, cancel)
        with pool.lease(JudgeCapability(verifier), cancel=cancel) as judge_lease:
            bench = _Bench(judge_lease, stated, axioms, timeout, cancel)
            yield from _verify_each(
                pool, candidates, statement, arguments, Compiler(verifier, sandbox), bench, timeout, in_order, cancel
            )
    finally:
        if own is not None:
            own.close(drain=0)


def _compile_statement(
    pool: Pool,
    statement: str,
    arguments: list[str],
    verifier: Verifier,
    timeout: float | None,
    cancel: CancelToken | None,
) -> list[bytes]:
    collected = _Collected()
    sinks = {"rows": collected.take_message, "terms": collected.take_terms}
    with pool.lease(Compiler(verifier, None), cancel=cancel) as lease:
        summary = lease.run(_COMPILE, _File("statement", arguments, statement, timeout), sink=sinks, cancel=cancel)
    end = summary.metadata
    errors = [message.data for message in collected.messages if message.severity == "error"]
    if end is None or end.exit_code != 0 or errors or end.unreadable is not None or not collected.terms:
        why = "; ".join(errors) or (end.unreadable if end is not None else None) or f"Lean ended with {end}"
        raise UsageError(
            f"verifying: the statement does not compile: {why}", hint="Check it with `lean-worker check` first."
        )
    return collected.terms


class _Bench:
    """The judge, and the statement that it holds candidates against."""

    def __init__(
        self,
        lease: Lease,
        statement: list[bytes],
        axioms: list[list[str | int]],
        timeout: float | None,
        cancel: CancelToken | None,
    ) -> None:
        self._lease = lease
        self._statement = [msgspec.Raw(row) for row in statement]
        self._axioms = axioms
        self._timeout = timeout
        self._cancel = cancel
        self._imports = _imports_of(statement)

    def judge(self, terms: list[bytes]) -> _Judged:
        """Judge one candidate.

        Raises:
            UsageError: The statement has no goal.
            LeanWorkerError: The worker failed.
        """
        request = {
            "imports": self._imports,
            "job": {
                "statement": self._statement,
                "candidate": [msgspec.Raw(row) for row in terms],
                "allowed": self._axioms,
                "timeout": self._timeout,
                "memory_bytes": _MEMORY_BYTES,
            },
        }
        backstop = None if self._timeout is None else self._timeout + _BACKSTOP_SECONDS
        judged = self._lease.call(_JUDGE, request, timeout=backstop, cancel=self._cancel)
        if judged.goals == 0:
            raise UsageError(
                "verifying: the statement has no goal", hint="State a theorem whose proof is `sorry` for each goal."
            )
        return judged


def _imports_of(rows: list[bytes]) -> list[tuple[list[str | int], tuple[bool, ...]]]:
    names: list[tuple[int, str | int]] = [(0, "")]
    imports: list[tuple[int, tuple[bool, ...]]] = []
    for row in rows:
        told = msgspec.json.decode(row, type=_Named)
        names += told.names
        imports = told.imports if told.imports is not None else imports

    def parts(number: int) -> list[str | int]:
        found: list[str | int] = []
        while number:
            number, part = names[number]
            found.append(part)
        return found[::-1]

    return [(parts(number), flags) for number, flags in imports]


def _verify_each(
    pool: Pool,
    candidates: Iterable[Candidate],
    statement: str,
    arguments: list[str],
    compiler: Compiler,
    bench: _Bench,
    timeout: float | None,
    in_order: bool,
    cancel: CancelToken | None,
) -> Generator[VerifyResult, None, None]:
    collected: dict[int, _Collected] = {}
    names: dict[int, str] = {}

    def files() -> Iterator[_File]:
        for index, candidate in enumerate(candidates):
            file = _file_of(candidate, statement, arguments, timeout)
            names[index] = file.name
            yield file

    def sinks(index: int, file: _File) -> Any:
        collected[index] = _Collected()
        return {"rows": collected[index].take_message, "terms": collected[index].take_terms}

    # The worker keeps the limit of a file itself.
    backstop = None if timeout is None else timeout + _BACKSTOP_SECONDS
    with pool.stream_many(
        _COMPILE, files(), sink=sinks, capability=compiler, ordered=in_order, timeout=backstop, cancel=cancel
    ) as outcomes:
        for outcome in outcomes:
            found = collected.pop(outcome.index, _Collected())
            if outcome.error is not None and not _is_about_the_candidate(outcome.error):
                raise outcome.error
            end = None if outcome.value is None else outcome.value.metadata
            result = VerifyResult(
                outcome.index,
                names.pop(outcome.index),
                ProofVerdict.LOST,
                messages=tuple(found.messages),
                seconds=outcome.seconds if end is None else end.seconds,
                cpu_seconds=0.0 if end is None else end.cpu_seconds,
            )
            yield _decided(result, found, end, outcome.error, bench)


def _is_about_the_candidate(error: BaseException) -> bool:
    of_all = (UsageError, CapabilityError, AdmissionError, RestartLimitExceeded)
    return isinstance(error, LeanWorkerError) and not isinstance(error, of_all)


def _decided(result: VerifyResult, found: _Collected, end: _End | None, error: Any, bench: _Bench) -> VerifyResult:
    """The result with its verdict."""
    replace = dataclasses.replace
    if end is None:
        late = isinstance(error, RequestTimeout)
        verdict = ProofVerdict.TIMED_OUT if late else ProofVerdict.LOST
        return replace(result, verdict=verdict, error=error, detail=error.text)
    if end.timed_out:
        return replace(result, verdict=ProofVerdict.TIMED_OUT, detail="elaboration did not end in time")
    if end.signal is not None:
        return replace(result, detail=f"Lean was ended by signal {end.signal}")
    has_errors = any(message.severity == "error" for message in found.messages)
    if end.exit_code != 0 or has_errors:
        return replace(result, verdict=ProofVerdict.NOT_PROVED, detail=f"Lean ended with exit code {end.exit_code}")
    if end.unreadable is not None:
        return replace(result, detail=f"the compiled module: {end.unreadable}")
    if found.size_bytes > MAX_REQUEST_BYTES:
        return replace(result, detail=f"its declarations take {found.size_bytes} bytes; at most {MAX_REQUEST_BYTES}")
    try:
        judged = bench.judge(found.terms)
    except UsageError:
        raise
    except FrameTooLarge as error:
        return replace(result, error=error, detail=error.text)
    result = replace(result, judge_cpu_seconds=judged.cpu_seconds)
    decision = judged.decision
    if decision is None:
        if judged.timed_out:
            return replace(result, verdict=ProofVerdict.TIMED_OUT, detail="judgement did not end in time")
        how = judged.bad_data or (f"signal {judged.signal}" if judged.signal else f"exit code {judged.exit_code}")
        return replace(result, detail=f"the judgement gave no decision: {how}")
    return replace(
        result,
        verdict=ProofVerdict(decision.verdict),
        axioms=decision.axioms,
        declaration=decision.declaration,
        aspect=decision.aspect,
        goal=decision.goal,
        axiom=decision.axiom,
        reason=decision.reason,
        detail=decision.detail,
    )


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
