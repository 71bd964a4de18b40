prelude
import LeanWorker

namespace Sample

/-- Twice a number. -/
@[reducible] def double (n : Nat) : Nat := n + n

@[simp] theorem double_zero : double 0 = 0 := rfl

theorem add_comm_here (a b : Nat) : a + b = b + a :=
  Nat.add_comm a b

theorem classical (p : Prop) : p ∨ ¬p := Classical.em p

axiom believed : 1 = 2

theorem from_belief : 2 = 1 := believed.symm

theorem with_gap : 3 = 4 := sorry

class Named (α : Type) where
  name : String

instance : Named Nat := ⟨"Nat"⟩

instance namedBool : Named Bool := ⟨"Bool"⟩

/-- A point. -/
structure Point (α : Type u) where
  x : α
  y : α

inductive Colour where
  | red
  | green
  | blue

inductive Tree (α : Type) : Type where
  | leaf : Tree α
  | node (left : Tree α) (value : α) (right : Tree α) : Tree α

private def hidden : Nat := 1

protected def Point.first (p : Point Nat) : Nat := p.x

opaque secret : Nat

unsafe def danger : Nat := 2

partial def loop (n : Nat) : Nat := loop (n + 1)

abbrev Number := Nat

def useHidden : Nat := hidden + double 2

def twoUniverses (α : Type u) (β : Type v) : Type (max u v) := α × β

@[irreducible] def sealed : Nat := 5

/-- A function
of two lines. -/
def withDefault (n : Nat := 3) : Nat := n

end Sample

def outside : String := "out"

theorem Sample.late (p : Prop) (h : p) : p := h
