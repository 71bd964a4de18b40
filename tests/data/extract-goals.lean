prelude
import LeanWorker

namespace Proofs

theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p := by
  constructor
  · exact h.2
  · exact sorry

theorem implied (p q : Prop) : p → q → p := by
  intro hp hq
  exact hp

theorem either (p q : Prop) (h : p ∨ q) : q ∨ p := by
  cases h with
  | inl hp => exact Or.inr hp
  | inr hq => exact Or.inl hq

theorem zero_plus (n : Nat) : 0 + n = n := by
  induction n with
  | zero => rfl
  | succ k ih => rw [← Nat.add_assoc, ih]

theorem nested (a b : Nat) (h : a = b) (f : Nat → Nat) : f b = f a := by
  have back : b = a := by
    have again : a = b := by exact h
    exact again.symm
  rw [back]

theorem left_open (p q : Prop) (hp : p) : p ∧ q := by
  constructor
  · assumption

theorem bullet_open (p q : Prop) (hp : p) : p ∧ q := by
  constructor
  · exact hp
  · skip

theorem alternative_open (p q : Prop) (h : p ∨ q) : q := by
  cases h with
  | inl hp => skip
  | inr hq => exact hq

theorem refused (p : Prop) (hp : p) : p ∧ p := by
  constructor
  · exact hp
  · exact wrong

theorem not_done (p : Prop) : p → p := by
  intro hp
  done

def term (n : Nat) (h : n = 1) : 1 = n := sorry

theorem inner (p q : Prop) (hp : p) : p ∧ q := ⟨hp, by admit⟩

theorem both (p q : Prop) : p ∧ q := by
  constructor <;> sorry

theorem shadowed (p q : Prop) : p → q → q := by
  intro h h
  exact h

theorem with_value (α : Type) [Inhabited α] (x : α) : x = x := by
  let y : α := x
  rfl

theorem a_case (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  case right => exact hq
  case left => exact hp

theorem chain (a b c : Nat) (h : a = b) (k : b = c) : a = c :=
  calc
    a = b := h
    _ = c := by exact k

example : 2 = 3 := by
  first
  | rfl
  | sorry

end Proofs
