prelude
import LeanWorker

/-! The demonstration: two streams and a version, served by real Lean.

A script for a full toolchain leaves out `prelude` and may use everything that Lean has; this one runs on the embedded
Lean too, which has only the few functions of its own small prelude. -/

open LeanWorker

/-- `action first`, `action (first + 1)`, … as long as the number is not `stop`. -/
partial def forEach (first stop : Nat) (action : Nat → IO Unit) : IO Unit := do
  match Nat.beq first stop with
  | Bool.true => return Unit.unit
  | Bool.false =>
    action first
    forEach (Nat.add first 1) stop action

/-- A number between two texts. -/
def numbered (before : String) (number : Nat) (after : String) : String :=
  String.append before (String.append (Nat.repr number) after)

/-- The request as a number; `default` for anything else. -/
def requested (request : String) (default : Nat) : Nat :=
  match String.toNat? request with
  | Option.some number => number
  | Option.none => default

/-- 512 small rows. -/
def many : Command where
  name := "many"
  run _ := do
    forEach 0 512 (fun i => row "rows" (numbered "{\"i\":" i "}"))
    return r#"{"rows":512}"#

/-- Rows of the length of a real declaration's: as many as the request says, or 200,000. -/
def declarations : Command where
  name := "declarations"
  emits := Bool.true
  run request := do
    let count := requested request 200000
    diagnostic "demo.started" (numbered "about to emit " count " declarations")
    forEach 0 count (fun i => row "rows" (numbered "{\"index\":" i ",\"name\":\"Nat.add_comm\",\"kind\":\"theorem\"}"))
    return (numbered "{\"rows\":" count "}")

def version : Command where
  name := "version"
  run _ := return r#"{"tool":"lean-worker demo","version":1}"#

def main : IO Unit := serve (List.cons many (List.cons declarations (List.cons version List.nil)))
