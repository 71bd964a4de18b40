-- forbidden_axiom axiom=sorryAx declaration=all
prelude
import LeanWorker.Library
def pick : Nat := sorry
class Silent (p : Prop) where
  out : p
theorem all : ∀ n : Nat, n = pick → False := fun n h => (sorry : ∀ m, n = m → False) pick h
theorem goal : False := all pick rfl
