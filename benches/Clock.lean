prelude
import LeanWorker

/-! Rows that say when they were emitted, by the system's monotonic clock in nanoseconds. -/

open LeanWorker

partial def forEach (first stop : Nat) (action : Nat → IO Unit) : IO Unit := do
  match Nat.beq first stop with
  | Bool.true => return Unit.unit
  | Bool.false =>
    action first
    forEach (Nat.add first 1) stop action

def numbered (before : String) (number : Nat) (after : String) : String :=
  String.append before (String.append (Nat.repr number) after)

def requested (request : String) (default : Nat) : Nat :=
  match String.toNat? request with
  | Option.some number => number
  | Option.none => default

partial def spin (rounds sum : Nat) : Nat :=
  match Nat.beq rounds 0 with
  | Bool.true => sum
  | Bool.false => spin (Nat.sub rounds 1) (Nat.mod (Nat.add (Nat.mul sum 31) rounds) 1000003)

/-- So many rows, ten milliseconds apart, each with the system's monotonic clock in nanoseconds. -/
def paced : Command where
  name := "paced"
  run request := do
    forEach 0 (requested request 10) (fun _ => do
      let _ ← IO.sleep 10
      let now ← IO.monoNanosNow
      row "rows" (numbered "" now ""))
    return ""

/-- So many rows, each with the clock after a computation of about 0.08 milliseconds. -/
def stamped : Command where
  name := "stamped"
  run request := do
    forEach 0 (requested request 5000) (fun i => do
      match Nat.beq (spin 320 i) 1000003 with
      | Bool.true => return Unit.unit
      | Bool.false =>
        let now ← IO.monoNanosNow
        row "rows" (numbered "" now ""))
    return ""

def main : IO Unit := serve (List.cons paced (List.cons stamped List.nil))
