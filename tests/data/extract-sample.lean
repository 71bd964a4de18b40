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

namespace Sample

@[deprecated double (since := "2026-01-01")]
def oldDouble (n : Nat) : Nat := double n

@[simp] def unfolded (n : Nat) : Nat := n

private theorem hidden_is_one : hidden = 1 := rfl

protected theorem Point.first_eq (p : Point Nat) : Point.first p = p.x := rfl

noncomputable def chosen (α : Type) [h : Nonempty α] : α := Classical.choice h

theorem by_cases_axioms (p : Prop) (h : ¬¬p) : p := (Classical.em p).elim id fun hn => absurd hn h

theorem funext_axiom (f g : Nat → Nat) (h : ∀ n, f n = g n) : f = g := funext h

theorem ext_axiom (p q : Prop) (h : p ↔ q) : p = q := propext h

unsafe axiom dangerous : False

opaque hiddenValue : String

class Shape (α : Type) extends Named α where
  sides : Nat

structure Pair (α β : Type) where
  first : α
  second : β

def choose (c : Colour) : Nat :=
  match c with
  | .red => 1
  | _ => 2

def outerOne (n : Nat) : Nat := helper n
where
  /-- Beside it. -/
  helper (k : Nat) : Nat := k + 1

def «odd name» : Nat := 7

instance [Named α] : Named (List α) := ⟨"List"⟩

mutual
inductive Even : Nat → Prop where
  | zero : Even 0
  | succ : Odd n → Even (n + 1)
inductive Odd : Nat → Prop where
  | succ : Even n → Odd (n + 1)
end

@[instance] def byHand : Named String := ⟨"String"⟩

def countdown (n : Nat) : Nat := if h : n = 0 then 0 else countdown (n - 1)
termination_by n
decreasing_by exact Nat.sub_lt (Nat.pos_of_ne_zero h) (by decide)

def looped (n : Nat) : Nat := go n
where
  go : Nat → Nat
    | 0 => 0
    | n + 1 => go n

@[simp ←] theorem turned (n : Nat) : n = n + 0 := rfl

theorem listed (x : Nat) (h : ∃ y, [y] = [x]) : ∃ y, [y] = [x] := h

end Sample
