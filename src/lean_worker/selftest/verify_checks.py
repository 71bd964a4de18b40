"""Checks of verdicts: an honest proof is accepted, one that adds an axiom of its own is refused, and both rechecked."""

from __future__ import annotations

import time

from ..errors import CapabilityError
from ..verification.candidates import verify
from ..verification.recheck import PROGRAM
from ..verification.results import ProofVerdict
from .registry import Found, Setting, Skipped, check, expect

_THEOREM = "theorem goal (a b : Nat) (h : a = b) : b = a := "
_BARE_HEADER = "prelude\nimport LeanWorker.Library\n"


@check("verify.verdicts", "an honest proof and one that cheats, judged by the kernel")
def verdicts(setting: Setting) -> Found:
    header = _BARE_HEADER if setting.is_bare else ""
    candidates = [
        ("honest", f"{header}{_THEOREM}h.symm\n"),
        ("cheat", f"{header}axiom cheat (a b : Nat) : b = a\n{_THEOREM}cheat a b\n"),
    ]
    started = time.monotonic()
    try:
        results = {
            result.name: result
            for result in verify(candidates, statement=f"{header}{_THEOREM}sorry\n", toolchain=setting.lean)
        }
    except CapabilityError as error:
        raise Skipped(error.text) from error
    honest, cheat = results["honest"], results["cheat"]
    expect(honest.is_proved, f"an honest proof is {honest.verdict.value}: {honest.detail or honest.messages}")
    refused = cheat.verdict is ProofVerdict.FORBIDDEN_AXIOM and cheat.axiom == "cheat"
    expect(refused, f"a proof by an axiom of its own is {cheat.verdict.value}: {cheat.detail or cheat.messages}")
    seconds = time.monotonic() - started
    return Found(f"{seconds:.1f} s", f"for both; the honest one took the judge {honest.judge_cpu_seconds:.3f} s of CPU")


@check("verify.recheck", "a second opinion by the toolchain's leanchecker")
def recheck(setting: Setting) -> Found:
    if setting.toolchain.program(PROGRAM) is None:
        raise Skipped(f"this Lean has no {PROGRAM}; toolchains ship it from Lean 4.28 on")
    statement = f"{_THEOREM}sorry\n"
    candidates = [("honest", f"{_THEOREM}h.symm\n")]
    started = time.monotonic()
    try:
        (result,) = verify(candidates, statement=statement, toolchain=setting.lean, recheck=True)
    except CapabilityError as error:
        raise Skipped(error.text) from error
    expect(result.rechecked, f"an honest proof is {result.verdict.value}: {result.detail or result.messages}")
    return Found(f"{time.monotonic() - started:.1f} s", f"until {PROGRAM} had accepted an honest proof, too")
