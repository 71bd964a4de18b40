"""Scripts whose compiled form is kept, for tests of them."""

from __future__ import annotations

import time
from pathlib import Path

import lean_worker as lw
from lean_worker.child import kept_scripts
from raw_child import starter
from support import embedded_library

ANSWER = lw.JsonCommand("answer", None, str)
PANIC = lw.JsonCommand("panic", None, str)
IMPORTED = ("--import", "LeanWorker")
TEXT = """prelude
import LeanWorker
open LeanWorker
private def word : String := "WORD"
def answer : Command where
  name := "answer"
  run _ := return (String.append "\\"" (String.append word "\\""))
def tooMuch : Command where
  name := "panic"
  run _ := do
    let text : String := panic! "it is too much"
    return text
def main : IO Unit := serve (List.cons answer (List.cons tooMuch List.nil))
"""


def found(script: Path, own_modules: Path, arguments: tuple[str, ...] = ()) -> kept_scripts.KeptScript | None:
    return kept_scripts.find(
        script, script.read_bytes(), own_modules=own_modules, library=embedded_library(), arguments=arguments
    )


def capability(script: Path, text: str = TEXT, **settings: object) -> lw.LeanCapability:
    """A script; the import makes it one that is copied for the worker."""
    script.write_text(text)
    return lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",), **settings)


def answered(capability: lw.LeanCapability) -> tuple[str, bool]:
    """The answer of a new worker, and True if it imported a kept script."""
    with lw.Pool(1) as pool, pool.lease(capability) as lease:
        return lease.call(ANSWER), uses_kept(pool)


def uses_kept(pool: lw.Pool) -> bool:
    (pid,) = pool._core.workers.pids()
    return "LeanWorkerScript.olean" in Path(f"/proc/{pid}/maps").read_text()


def entries(kept: Path) -> list[Path]:
    """Entries that are kept, without marks and remnants."""
    return [each for each in kept.iterdir() if len(each.name) == 64] if kept.exists() else []


def marks(kept: Path) -> list[Path]:
    """Marks of scripts that were tried and not kept."""
    return sorted(kept.glob("*.tried"))


def remnants(kept: Path) -> list[Path]:
    """Entries that are being built, or were left unfinished."""
    return sorted(kept.glob(".*"))


def long_text(definitions: int = 600) -> str:
    """A script that takes long to compile."""
    more = "\n".join(f"def f{i} (a b : Nat) : Nat := Nat.add (Nat.mul a b) {i}" for i in range(definitions))
    return TEXT.replace("def main", f"{more}\ndef main")


def started_in(script: Path) -> float:
    """Seconds until a worker serves."""
    began = time.monotonic()
    with starter() as start:
        start(*IMPORTED, script=script).greet()
        return time.monotonic() - began
