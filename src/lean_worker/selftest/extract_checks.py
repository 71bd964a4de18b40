"""Checks of the extractor, which each Lean compiles from one text."""

from __future__ import annotations

import time
from typing import Any

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..extraction.rows import DECLARATIONS, DEPENDENCIES, Request
from ..extraction.sessions import extractor
from ..policy import Timeouts
from .registry import Found, Setting, check, expect

# It is there for every Lean, and has a structure, functions and instances.
_MODULE = "LeanWorker.Json"
_KNOWN = "LeanWorker.Command.rows"
_STARTUP_SECONDS = 600.0


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


def _rows(setting: Setting, command: StreamingCommand[Any, Any, Any]) -> tuple[list[Any], float]:
    capability = extractor([_MODULE], toolchain=setting.lean)
    with Pool(timeouts=Timeouts(startup=_STARTUP_SECONDS)) as pool, pool.lease(capability) as lease:
        started = time.monotonic()
        rows = lease.collect(command, Request(modules=(_MODULE,))).rows
        return rows, time.monotonic() - started
