-- statement_changed aspect=value declaration=Even
prelude
import LeanWorker.Library
def double (n : Nat) : Nat := n + n
@[reducible] def Even (n : Nat) : Prop := True
structure Box where
  content : Nat
instance : Coe Box Nat := ⟨Box.content⟩
inductive Colour where
  | red
  | green
opaque secret : Nat
theorem goal (b : Box) (c : Colour) : Even (double b) ∧ (c = .red ∨ c = .green) ∧ secret = secret := ⟨True.intro, by cases c; exact .inl rfl; exact .inr rfl, rfl⟩
