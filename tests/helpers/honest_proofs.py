"""Honest candidates for the embedded Lean, proved in different ways; the same for the same seed."""

from __future__ import annotations

import random

HEADER = "prelude\nimport LeanWorker.Library\n"
STATEMENT = (
    HEADER
    + """def double (n : Nat) : Nat := n + n
structure Pair (α : Type u) where
  first : α
  second : α
theorem symmetry (a b : Nat) (h : a = b) : b = a := sorry
theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p := sorry
theorem twice (n : Nat) : double n = n + n := sorry
theorem eta.{u} {α : Type u} (p : Pair α) : Pair.mk p.first p.second = p := sorry
"""
)

_SYMMETRY = (
    "h.symm",
    "h ▸ rfl",
    "Eq.rec (motive := fun x _ => x = a) rfl h",
    "by rw [h]",
    "by subst h; exact rfl",
    "by cases h; exact rfl",
    "by exact h.symm",
    "by\n  have g : b = a := h.symm\n  exact g",
    "let g := h; g.symm",
    "match h with\n  | rfl => rfl",
    "HELPER a b h",
    "(fun (x y : Nat) (e : x = y) => e.symm) a b h",
    "@Eq.rec Nat a (fun x _ => x = a) (Eq.refl a) b h",
)
_SWAP = (
    "⟨h.2, h.1⟩",
    "And.intro h.right h.left",
    "match h with\n  | ⟨hp, hq⟩ => ⟨hq, hp⟩",
    "h.casesOn fun hp hq => ⟨hq, hp⟩",
    "by\n  cases h with\n  | intro hp hq => exact ⟨hq, hp⟩",
    "by\n  constructor\n  exact h.2\n  exact h.1",
    "by\n  have ⟨hp, hq⟩ := h\n  exact ⟨hq, hp⟩",
    "have hp := h.1; have hq := h.2; ⟨hq, hp⟩",
    "let swapped : q ∧ p := ⟨h.2, h.1⟩; swapped",
    "And.rec (motive := fun _ => q ∧ p) (fun hp hq => ⟨hq, hp⟩) h",
)
_TWICE = (
    "rfl",
    "by exact rfl",
    "by unfold double; exact rfl",
    "Eq.refl _",
    "by\n  show n + n = n + n\n  exact rfl",
    "by exact Eq.refl (n + n)",
)
_ETA = (
    "rfl",
    "by cases p; exact rfl",
    "match p with\n  | ⟨_, _⟩ => rfl",
    "by exact rfl",
    "Pair.casesOn (motive := fun p => Pair.mk p.first p.second = p) p fun _ _ => rfl",
)
# Declarations of a candidate's own, which its proofs rest on or not.
_HELPERS = (
    "theorem helper{i} (a b : Nat) (h : a = b) : b = a := h.symm\n",
    "theorem helper{i}.{{u}} {{α : Sort u}} (a b : α) (h : a = b) : b = a := by rw [h]\n",
    "def Reversed{i} (a b : Nat) : Prop := b = a\ntheorem helper{i} (a b : Nat) (h : a = b) : Reversed{i} a b := h.symm\n",
    "structure Proof{i} (a b : Nat) : Prop where\n  holds : b = a\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a := (Proof{i}.mk h.symm).holds\n",
    "inductive Same{i} : Nat → Nat → Prop where\n  | refl (n : Nat) : Same{i} n n\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have same : Same{i} a b := h ▸ .refl a\n  match same with\n  | .refl _ => rfl\n",
    "mutual\ninductive Even{i} : Nat → Prop where\n  | zero : Even{i} 0\n  | succ (n : Nat) : Odd{i} n → Even{i} (n + 1)\ninductive Odd{i} : Nat → Prop where\n  | succ (n : Nat) : Even{i} n → Odd{i} (n + 1)\nend\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have _two : Even{i} 2 := .succ 1 (.succ 0 .zero)\n  h.symm\n",
    "inductive Tree{i} where\n  | node : List Tree{i} → Tree{i}\ndef Tree{i}.children : Tree{i} → List Tree{i}\n  | .node l => l\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have _none : (Tree{i}.node []).children = [] := rfl\n  h.symm\n",
    "class Holds{i} (p : Prop) : Prop where\n  out : p\ninstance {{a b : Nat}} [e : Holds{i} (a = b)] : Holds{i} (b = a) := ⟨e.out.symm⟩\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have : Holds{i} (a = b) := ⟨h⟩\n  Holds{i}.out\n",
    "abbrev goal{i} (a b : Nat) : Prop := b = a\nnoncomputable opaque secret{i} : Nat\ntheorem helper{i} (a b : Nat) (h : a = b) : goal{i} a b := have _s := secret{i}; h.symm\n",
    "def add{i} : Nat → Nat → Nat\n  | 0, m => m\n  | n + 1, m => add{i} n m + 1\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have _one : add{i} 1 1 = 2 := rfl\n  h.symm\n",
    "universe w\ninductive Box{i} (α : Type w) where\n  | mk (content : α)\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a :=\n  have e : Box{i}.mk a = Box{i}.mk b := by rw [h]\n  have f : a = b := by cases e; exact rfl\n  f.symm\n",
    "axiom unused{i} : False\ntheorem helper{i} (a b : Nat) (h : a = b) : b = a := h.symm\n",
)


def honest(index: int) -> tuple[str, str]:
    """A candidate by its number, as a name and a text."""
    chosen = random.Random(index)
    helper = _HELPERS[index % len(_HELPERS)].format(i=index)
    symmetry = _SYMMETRY[index % len(_SYMMETRY)]
    if chosen.random() < 0.6:
        symmetry = "HELPER a b h"
    proofs = [symmetry.replace("HELPER", f"helper{index}"), *(chosen.choice(of) for of in (_SWAP, _TWICE, _ETA))]
    definitions, *goals = STATEMENT.removeprefix(HEADER).split("theorem ")
    theorems = [f"theorem {goal.replace('sorry', proof)}" for goal, proof in zip(goals, proofs, strict=True)]
    return f"honest{index}", HEADER + definitions + helper + "".join(theorems)
