-- statement_changed aspect=type
prelude
import LeanWorker.Library
def double (n : Nat) : Nat := n + n
@[reducible] def Even (n : Nat) : Prop := ∃ m, n = double m
structure Box where
  content : Nat
instance : Coe Box Nat := ⟨fun _ => 0⟩
inductive Colour where
  | red
  | green
opaque secret : Nat
theorem goal (b : Box) (c : Colour) : Even (double b) ∧ (c = .red ∨ c = .green) ∧ secret = secret := ⟨⟨0, rfl⟩, by cases c; exact .inl rfl; exact .inr rfl, rfl⟩
