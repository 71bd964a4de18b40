"""Checks of the extractor, which each Lean compiles from one text."""

from __future__ import annotations

import time
from typing import Any

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..extraction.goals import GOALS, GoalsRequest
from ..extraction.rows import DECLARATIONS, DEPENDENCIES, Request
from ..extraction.sessions import extractor, goal_extractor
from ..policy import Timeouts
from .registry import Found, Setting, check, expect

# It is there for every Lean, and has a structure, functions and instances.
_MODULE = "LeanWorker.Json"
_KNOWN = "LeanWorker.Command.rows"
_STARTUP_SECONDS = 600.0
_GOAL = "p : Prop\nh : p\n⊢ p"
_PROOF = """theorem twice (p : Prop) (h : p) : p ∧ p := by
  constructor
  · exact h
  · sorry
"""


@check("extract.declarations", "declarations of a module, with types")
def declarations(setting: Setting) -> Found:
    rows, seconds = _rows(setting, DECLARATIONS)
    found = {row.name: row for row in rows}
    expect(_KNOWN in found, f"{_KNOWN} is not among {len(rows)} declarations of {_MODULE}")
    row = found[_KNOWN]
    expect(row.kind == "definition" and "Command" in (row.type or ""), f"{_KNOWN} is said to be {row}")
    missing = [name for name in row.__struct_fields__ if all(getattr(each, name) is None for each in rows)]
    nothing = f"; nowhere set: {', '.join(missing)}"
    return Found(f"{len(rows)} rows", f"of {_MODULE} in {seconds:.2f} s{nothing if missing else ''}")


@check("extract.dependencies", "the constants that declarations of a module name")
def dependencies(setting: Setting) -> Found:
    rows, seconds = _rows(setting, DEPENDENCIES)
    uses = sum(len(row.type_uses) + len(row.value_uses or ()) for row in rows)
    expect(uses > len(rows), f"{len(rows)} declarations use {uses} constants")
    return Found(f"{uses} uses", f"by {len(rows)} declarations of {_MODULE} in {seconds:.2f} s")


@check("extract.goals", "goals and tactic steps of a proof with a sorry")
def goals(setting: Setting) -> Found:
    header = "prelude\nimport LeanWorker\n" if setting.is_bare else ""
    request = GoalsRequest("Proof.lean", header + _PROOF)
    with _pool() as pool, pool.lease(goal_extractor(toolchain=setting.lean)) as lease:
        started = time.monotonic()
        rows = lease.collect(GOALS, request).rows
        seconds = time.monotonic() - started
    kinds = [row.kind for row in rows]
    expect(kinds == ["step", "step", "sorry", "step"], f"the rows are of the kinds {kinds}")
    left = [goal.text for goal in rows[0].after or ()]
    expect(left == ["case left\n" + _GOAL, "case right\n" + _GOAL], f"the goals after `constructor` are {left}")
    expect([goal.target for goal in rows[2].before] == ["p"], f"the sorry stands for {rows[2].before}")
    return Found(f"{len(rows)} rows", f"of a proof of three steps in {seconds:.2f} s")


def _pool() -> Pool:
    return Pool(timeouts=Timeouts(startup=_STARTUP_SECONDS))


def _rows(setting: Setting, command: StreamingCommand[Any, Any, Any]) -> tuple[list[Any], float]:
    capability = extractor([_MODULE], toolchain=setting.lean)
    with _pool() as pool, pool.lease(capability) as lease:
        started = time.monotonic()
        rows = lease.collect(command, Request(modules=(_MODULE,))).rows
        return rows, time.monotonic() - started
