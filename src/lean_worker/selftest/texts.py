"""The Lean texts of the checks, for a full Lean and for one without a library."""

from __future__ import annotations

from .registry import Setting

_COMMANDS = r"""
open LeanWorker

partial def selftestEach (first stop : Nat) (action : Nat → IO Unit) : IO Unit := do
  match Nat.beq first stop with
  | Bool.true => return Unit.unit
  | Bool.false =>
    action first
    selftestEach (Nat.add first 1) stop action

def selftestRow (i : Nat) : IO Unit :=
  row "rows" (String.append "{\"i\":" (String.append (Nat.repr i) "}"))

def selftestRows : Command where
  name := "rows"
  run _ := do
    selftestEach 0 1000 selftestRow
    return "{\"rows\":1000}"

def selftestForever : Command where
  name := "forever"
  run _ := do
    selftestEach 1 0 selftestRow
    return ""

def selftestPanic : Command where
  name := "panic"
  run request := do
    row "rows" "{\"i\":0}"
    row "rows" (panic (String.append "selftest panic " request))
    return ""

partial def selftestDescend (depth : Nat) : IO Nat := do
  match Nat.beq (Nat.mod depth 1000) 999 with
  | Bool.true => progress "descending" depth 0
  | Bool.false => pure Unit.unit
  let below ← selftestDescend (Nat.add depth 1)
  return Nat.add below 1

def selftestOverflow : Command where
  name := "overflow"
  run _ := do
    row "rows" "{\"i\":0}"
    let depth ← selftestDescend 0
    return (Nat.repr depth)

@PUBLIC@def main : IO Unit :=
  serve (List.cons selftestRows (List.cons selftestForever
    (List.cons selftestPanic (List.cons selftestOverflow List.nil))))
"""

_TYPED = """import LeanWorker.Json
open LeanWorker

structure Request where
  limit : Nat
  deriving Lean.FromJson

structure Square where
  n : Nat
  square : Nat
  deriving Lean.ToJson

def squares : Command := Command.rows "squares" fun (request : Request) (emit : Square → IO Unit) => do
  for n in [0:request.limit] do
    emit { n, square := n * n }
  return request.limit

def main : IO Unit := serve [squares]
"""


def typed_script(setting: Setting) -> str:
    """The script with typed rows."""
    return ("prelude\n" if setting.is_bare else "") + _TYPED


def script(setting: Setting, *, as_module: bool = False) -> str:
    """The script of the checks, with or without a `module` header."""
    words = [*(["module"] if as_module else []), *(["prelude"] if setting.is_bare else [])]
    line = "public import LeanWorker" if as_module else "import LeanWorker"
    return "\n".join([*words, line]) + _COMMANDS.replace("@PUBLIC@", "public " if as_module else "")


def file_header(setting: Setting) -> str:
    """The header of a file that is checked."""
    return "prelude\nimport LeanWorker.Prelude\n" if setting.is_bare else ""
