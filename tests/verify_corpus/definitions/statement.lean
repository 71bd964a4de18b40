prelude
import LeanWorker.Library
def double (n : Nat) : Nat := n + n
@[reducible] def Even (n : Nat) : Prop := ∃ m, n = double m
structure Box where
  content : Nat
instance : Coe Box Nat := ⟨Box.content⟩
inductive Colour where
  | red
  | green
opaque secret : Nat
theorem goal (b : Box) (c : Colour) : Even (double b) ∧ (c = .red ∨ c = .green) ∧ secret = secret := sorry
