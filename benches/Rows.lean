prelude
import LeanWorker

/-! Rows of several sizes and costs. Older versions of the package run this file too (`before.py`). -/

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

/-- So many rows, each after a computation of about a millisecond. -/
def computed : Command where
  name := "computed"
  run request := do
    forEach 0 (requested request 500) (fun i => row "rows" (numbered "" (spin 5000 i) ""))
    return ""

/-- So many rows, each after a computation of about 0.08 milliseconds. -/
def brief : Command where
  name := "brief"
  run request := do
    forEach 0 (requested request 5000) (fun i => row "rows" (numbered "{\"i\":" i (String.append ",\"sum\":" (numbered "" (spin 320 i) "}"))))
    return ""

/-- So many rows of fifty bytes. -/
def small : Command where
  name := "small"
  run request := do
    forEach 0 (requested request 100000) (fun i =>
      row "rows" (numbered "{\"i\":" i ",\"kind\":\"theorem\",\"name\":\"Nat.add_comm\"}"))
    return ""

partial def doubled (times : Nat) (text : String) : String :=
  match Nat.beq times 0 with
  | Bool.true => text
  | Bool.false => doubled (Nat.sub times 1) (String.append text text)

/-- So many rows with a text of 4096 bytes. -/
def large : Command where
  name := "large"
  run request := do
    let rest := String.append ",\"blob\":\"" (String.append (doubled 12 "x") "\"}")
    forEach 0 (requested request 10000) (fun i => row "rows" (numbered "{\"i\":" i rest))
    return ""

def main : IO Unit := serve (List.cons computed (List.cons brief (List.cons small (List.cons large List.nil))))
