prelude
import LeanWorker
open LeanWorker

/-! The Lean side of the application. It answers which version of its commands it has, so that a script and a Python side
that do not belong together are noticed when a worker starts, not in the middle of a job. -/

partial def emit (number stop : Nat) : IO Unit := do
  match Nat.beq number stop with
  | Bool.true => return Unit.unit
  | Bool.false =>
    let text := String.append "{\"number\":" (Nat.repr number)
    row "squares" (String.append text (String.append ",\"square\":" (String.append (Nat.repr (Nat.mul number number)) "}")))
    emit (Nat.add number 1) stop

def squares : Command where
  name := "squares"
  run request := do
    match String.toNat? request with
    | Option.some count =>
      emit 0 count
      return ""
    | Option.none => fail "expected a number"

def metadata : Command where
  name := "metadata"
  run _ := return r#"{"commands":[{"name":"squares","version":"1"}],"capabilities":[],"lean_version":null,"extra":null}"#

def main : IO Unit := serve (List.cons squares (List.cons metadata List.nil))
