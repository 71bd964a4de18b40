"""The verdict on a candidate, from the end of its elaboration and a judge's decision.

Nothing that a candidate's process says makes a verdict better: its exit code and messages can only reject it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from ..checking.files import is_about_one_file
from ..checking.inability import inability_of_file
from ..errors import LeanWorkerError
from ..wire.file_messages import CompileEnd
from .bench import Bench, Judged
from .candidate_texts import MAX_REQUEST_BYTES
from .collected import Collected
from .recheck import Rechecked
from .results import ProofVerdict, VerifyResult


def decided(
    result: VerifyResult, found: Collected, end: CompileEnd | None, error: Any, bench: Bench, *, imports_more: bool
) -> VerifyResult:
    """The result with its verdict; `imports_more` says that the candidate names modules that the statement does not."""
    replace = dataclasses.replace
    if end is None:
        verdict = ProofVerdict.TIMED_OUT if error.is_late else ProofVerdict.LOST
        return replace(result, verdict=verdict, error=error, detail=error.text)
    if end.timed_out:
        return replace(result, verdict=ProofVerdict.TIMED_OUT, detail="elaboration did not end in time")
    if end.killed_at_kib is not None:
        return replace(result, detail=f"elaboration took {end.killed_at_kib} KiB of memory, more than kill_above_kib")
    if end.signal is not None:
        return replace(result, detail=f"Lean was ended by signal {end.signal}")
    messages = found.of_texts[end.text]
    # With the same options it compiled what the statement imports.
    other = inability_of_file(messages.kept, found.wrote, is_embedded=False) if end.exit_code != 0 else None
    if other is not None and not other.is_about_option:
        cause = other.cause.removeprefix("this Lean cannot check it: ")
        if not imports_more:  # as while it is compiled again
            return replace(result, detail=f"a module that the statement imports too cannot be imported now: {cause}")
        detail = f"the candidate imports other modules than the statement: {cause}"
        return replace(result, verdict=ProofVerdict.STATEMENT_CHANGED, aspect="imports", detail=detail)
    if messages.has_errors:
        return replace(result, verdict=ProofVerdict.NOT_PROVED, detail=f"Lean ended with exit code {end.exit_code}")
    if end.exit_code != 0:  # a panic of Lean, or code of the file that ends the process
        wrote = f"; it wrote: {found.wrote}" if found.wrote else ""
        return replace(result, detail=f"Lean ended with exit code {end.exit_code} and reported no error{wrote}")
    if end.unreadable is not None:
        return replace(result, detail=f"the compiled module: {end.unreadable}")
    if found.terms_bytes > MAX_REQUEST_BYTES:
        return replace(result, detail=f"its declarations take {found.terms_bytes} bytes; at most {MAX_REQUEST_BYTES}")
    try:
        judged = bench.judge(found.terms)
    except LeanWorkerError as error:
        if not is_about_one_file(error):
            raise
        verdict = ProofVerdict.TIMED_OUT if error.is_late else ProofVerdict.LOST
        return replace(result, verdict=verdict, error=error, detail=error.text)
    result = _judged(replace(result, judge_cpu_seconds=judged.cpu_seconds), judged)
    return result if end.rechecked is None else _rechecked(result, Rechecked(*msgspec.structs.astuple(end.rechecked)))


def _judged(result: VerifyResult, judged: Judged) -> VerifyResult:
    """The result with a judge's verdict."""
    replace = dataclasses.replace
    decision = judged.decision
    if decision is None:
        if judged.timed_out:
            return replace(result, verdict=ProofVerdict.TIMED_OUT, detail="judgement did not end in time")
        return replace(result, detail=f"the judgement gave no decision: {judged.failure}")
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


def _rechecked(result: VerifyResult, rechecked: Rechecked) -> VerifyResult:
    """The result after leanchecker's answer, which can only make it worse: the process saw a stranger's bytes."""
    if not result.is_proved:
        return result
    if rechecked.accepts:
        return dataclasses.replace(result, rechecked=True)
    result = dataclasses.replace(result, verdict=ProofVerdict.LOST, axioms={}, detail=rechecked.words)
    if rechecked.timed_out:
        return dataclasses.replace(result, verdict=ProofVerdict.TIMED_OUT, detail="leanchecker did not end in time")
    if rechecked.refuses:
        verdict, declaration = ProofVerdict.NOT_REPLAYED, rechecked.declaration
        return dataclasses.replace(result, verdict=verdict, reason="recheck", declaration=declaration)
    return result
