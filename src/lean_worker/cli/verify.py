"""`lean-worker verify`: candidate proofs, each with a verdict that a candidate cannot forge."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from ..base.counts import counted
from ..errors import CapabilityError, MissingExtra, UsageError
from ..hosting.sandbox import Sandbox
from ..verification.candidates import MEMORY_KIB, STANDARD_AXIOMS
from ..verification.candidates import verify as verify_candidates
from ..verification.results import ProofVerdict, VerifyResult
from .exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_LOST
from .given_files import in_given_order, still_there
from .option_groups import in_options
from .shown import JsonOption, errors, existing, harmless, note, one_line

_COLOURS = {ProofVerdict.PROVED: "green", ProofVerdict.TIMED_OUT: "yellow", ProofVerdict.LOST: "bold red"}
_UNKNOWN = (ProofVerdict.TIMED_OUT, ProofVerdict.LOST)


def verify(
    statement: Annotated[Path, typer.Argument(help="The trusted Lean file; its theorems that end in sorry are goals.")],
    candidates: Annotated[list[Path], typer.Argument(help="Lean files that have to prove all goals.")],
    allow_axiom: Annotated[
        list[str] | None, typer.Option("--allow-axiom", help="One more axiom that a proof may rest on.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Files at once; default: one for each processor.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each file, and for each judgement.")] = 60.0,
    kill_above_mib: Annotated[
        int, typer.Option(min=1, help="Memory of a file in MiB above which its elaboration is killed.")
    ] = MEMORY_KIB >> 10,
    project: Annotated[str | None, typer.Option(help="Lake project whose modules the files import.")] = None,
    toolchain: Annotated[str, typer.Option(help="auto, embedded, or a toolchain's directory.")] = "auto",
    no_sandbox: Annotated[
        bool,
        typer.Option("--no-sandbox", help="Elaborate without a sandbox: the machine is at risk; see docs/verify.md."),
    ] = False,
    recheck: Annotated[
        bool,
        typer.Option("--recheck", help="The toolchain's leanchecker has to accept a file too (Lean 4.28 and newer)."),
    ] = False,
    recheck_with: Annotated[
        Path | None, typer.Option("--recheck-with", help="A program in its place, such as lean4checker.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing of proved candidates.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Verify candidate proofs against a statement: one verdict each, from Lean's kernel.

    Exit code 0: all candidates are proved. 1: at least one is refused. 3: none is refused, but at least one timed out
    or was lost, so that nothing is known of it; or there is no Lean that can judge.

    Example: lean-worker verify Statement.lean attempts/*.lean --json
    """
    existing("--project", project)
    if recheck_with is not None and not recheck_with.expanduser().is_file():
        raise UsageError(
            f"reading --recheck-with: there is no file {recheck_with}",
            hint="Give --recheck-with the path of a program, such as lean4checker.",
        )
    for candidate in candidates:
        if not candidate.is_file():
            what = "is a directory" if candidate.is_dir() else "is no file" if candidate.exists() else "does not exist"
            raise UsageError(
                f"verifying: the candidate {candidate} {what}",
                hint="Name files; a path is relative to the present directory.",
            )
    started = time.monotonic()
    found: list[VerifyResult] = []
    gone: dict[int, str] = {}
    results = verify_candidates(
        still_there(candidates, gone),
        statement=statement,
        allowed_axioms=[*STANDARD_AXIOMS, *(allow_axiom or [])],
        jobs=jobs,
        timeout=timeout,
        kill_above_kib=kill_above_mib << 10,
        project=project,
        toolchain=toolchain,
        sandbox=None if no_sandbox else Sandbox(),
        recheck=recheck_with or recheck,
    )
    try:
        with contextlib.closing(results):
            for result in results:
                found.append(result)
                if not (as_json or (quiet and result.is_proved)):
                    _show(result)
    except MissingExtra:
        raise
    except CapabilityError as error:
        # Not the exit code of a refused candidate: there is no Lean to refuse one.
        errors.print(f"[bold red]lean-worker:[/] {escape(harmless(in_options(str(error))))}")
        return EXIT_LOST
    for place, name in gone.items():
        result = VerifyResult(place, name, ProofVerdict.LOST, detail="the file was removed before it was verified")
        found.append(result)
        if not as_json:
            _show(result)
    found = in_given_order(candidates, found, lambda result: result.name)
    counts = collections.Counter(result.verdict for result in found)
    seconds = time.monotonic() - started
    if as_json:
        facts = {
            "candidates": [_facts(result) for result in found],
            "counts": {verdict.value: counts[verdict] for verdict in ProofVerdict},
            "elapsed_seconds": round(seconds, 6),
        }
        print(json.dumps(facts))
    else:
        words = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in ProofVerdict if counts[verdict])
        note(f"{counted(len(found), 'candidates')} in {seconds:.2f} s: {words}", quiet=quiet)
    unknown = sum(counts[verdict] for verdict in _UNKNOWN)
    if len(found) - counts[ProofVerdict.PROVED] - unknown:
        return EXIT_FAILED
    return EXIT_LOST if unknown else EXIT_DONE


def _show(result: VerifyResult) -> None:
    colour = _COLOURS.get(result.verdict, "red")
    told = [
        f"{name} {value}"
        for name in ("axiom", "declaration", "aspect", "reason")
        if (value := getattr(result, name)) is not None
    ]
    if result.is_proved:
        axioms = sorted({axiom for used in result.axioms.values() for axiom in used})
        told = [f"axioms {', '.join(axioms)}"] if axioms else []
    words = "; ".join([*told, *([result.detail] if result.detail else [])])
    rest = f"{one_line(result.name)}{': ' if words else ''}{harmless(words)}"
    errors.print(f"[{colour}]{result.verdict.value}[/] {escape(rest)}")
    if result.verdict is ProofVerdict.NOT_PROVED:
        for message in result.messages:
            if message.severity == "error":
                at = f"{one_line(result.name)}:{message.position.line}:{message.position.column}"
                print(f"{at}: error: {harmless(message.data)}")


def _facts(result: VerifyResult) -> dict[str, Any]:
    facts = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name not in ("index", "error", "messages", "verdict")
    }
    facts["axioms"] = {goal: list(axioms) for goal, axioms in result.axioms.items()}
    facts["verdict"] = result.verdict.value
    facts["messages"] = [
        {name: msgspec.to_builtins(getattr(message, name)) for name in message.__struct_fields__}
        for message in result.messages
    ]
    return facts
