prelude
import LeanWorker.Library
def Claim : Prop := True
structure Held where
  proof : Claim
inductive Kind : Nat → Prop where
  | even (n : Nat) : Kind (n + n)
axiom held : Held
axiom trusted : Claim
axiom kinds (n : Nat) : Kind n → Claim
theorem goal : False := sorry
