-- statement_changed declaration=Kind aspect=constructors
prelude
import LeanWorker.Library
def Claim : Prop := True
inductive Kind : Nat → Prop where
  | any (n : Nat) : Kind n
axiom kinds (n : Nat) : Kind n → Claim
theorem helper (n : Nat) : Claim := kinds n (.any n)
theorem goal : False := (fun (_ : Claim) => sorry) (helper 0)
