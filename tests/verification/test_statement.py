"""A proof takes the place of a statement's hole, whatever the layout of the two."""

from __future__ import annotations

import pytest

import lean_worker as lw
from lean_worker.verification.statement import filled

HEADER = "prelude\nimport LeanWorker.Library\n"
THEOREM = "theorem goal (p q : Prop) (hp : p) (hq : q) : p ∧ q :="
OF_TERMS = [
    f"{THEOREM} sorry\n",
    f"{THEOREM}\n  sorry\n",
    f"{THEOREM}\nsorry\n",
    f"{THEOREM} by\n  have both : p ∧ q := sorry\n  exact both\n",
    f"{THEOREM} -- by\n  sorry\n",
]
OF_TACTICS = [
    f"{THEOREM} by sorry\n",
    f"{THEOREM} by\n  sorry\n",
    f"{THEOREM} by\n    sorry -- sorry\n",
    f"{THEOREM}\n  by sorry\n",
    f"{THEOREM} by -- what follows\n  sorry\n",
    f"{THEOREM} by\n  have both : p ∧ q := by sorry\n  exact both\n",
]
IMPLICATION = "theorem goal (p q : Prop) : p → q → p ∧ q := by"
OF_TACTICS += [
    f"{IMPLICATION}\n  intro hp hq\n  sorry\n",
    f"{IMPLICATION}\n  intro hp\n  intro hq -- and\n  sorry\n",
    f"{IMPLICATION} intro hp hq; sorry\n",
    f"{IMPLICATION}\n  intro hp hq; skip\n  skip; sorry\n",
    f"{IMPLICATION}\n  intro hp\n  have _same : p := by\n    exact hp\n  intro hq\n  sorry\n",
    f"{IMPLICATION}\n  intro hp hq\n  · sorry\n",
    f"{IMPLICATION}\n  intro hp hq\n  · skip\n    sorry\n",
    f"{IMPLICATION}\n  intro hp hq\n  {{ sorry }}\n",
    f"{THEOREM} by {{ sorry }}\n",
    f"{THEOREM} by (sorry)\n",
    f"{THEOREM} (by sorry)\n",
    f"{THEOREM} by\n  cases Decidable.em True with\n  | inl _ =>\n    sorry\n  | inr no => exact absurd trivial no\n",
    f"{THEOREM} by\n  cases Decidable.em True with\n  | inr no => exact absurd trivial no\n  | inl _ => sorry\n",
    f"{THEOREM} by\n  match Decidable.em True with\n  | .inl _ => sorry\n  | .inr no => exact absurd trivial no\n",
    f"{THEOREM} by\n  refine ?a\n  case a => sorry\n",
]
OF_TERMS += [
    f"{THEOREM}\n  have both : p ∧ q :=\n    sorry\n  both\n",
    f"{THEOREM}\n  match Decidable.em True with\n  | .inl _ => sorry\n  | .inr no => absurd trivial no\n",
    f"{THEOREM} by\n  exact\n    sorry\n",
    f"{THEOREM} by exact (sorry)\n",
    f"{THEOREM} id (sorry)\n",
    "theorem goal (p q : Prop) : p → q → p ∧ q\n  | hp, hq => sorry\n",
    "theorem goal (p q : Prop) : p → q → p ∧ q := fun hp hq =>\n  sorry\n",
]
TACTICS = [
    "constructor\nexact hp\nexact hq",
    "\n  constructor\n  exact hp\n\n  exact hq\n",
    "constructor\n· exact hp\n· exact hq",
    "      constructor\n      case left =>\n        exact hp\n      exact hq",
    "-- first\nconstructor\n/- the\nsecond -/\nexact hp\nexact hq",
    "exact ⟨hp, hq⟩",
    "exact ⟨hp, hq⟩ -- done",
    "constructor\nexact hp\nexact hq\n-- done (",
]
TERMS = [
    "⟨hp, hq⟩",
    "And.intro\n  hp\n  hq",
    "\n  have h := hp\n  ⟨h, hq⟩",
    "by\n  constructor\n  exact hp\n  exact hq",
    "by constructor\n   exact hp\n   exact hq",
    "  by\n    constructor\n    · exact hp\n    · exact hq",
    "by -- so\n  constructor\n  exact hp\n  exact hq",
    "-- so\nby\n  constructor\n  exact hp\n  exact hq",
    "by exact ⟨hp, hq⟩",
    "⟨hp, hq⟩ -- done",
    "by exact ⟨hp, hq⟩\n-- done (",
]


@pytest.mark.lean
@pytest.mark.once
@pytest.mark.parametrize("statement", [*OF_TERMS, *OF_TACTICS])
def test_an_honest_proof_is_accepted_in_any_layout(statement):
    own = [proof for proof in TERMS if proof.lstrip().startswith(("by", "-- so"))]
    proofs = TERMS if statement in OF_TERMS else [*own, *TACTICS]
    candidates = [lw.Proof(proof, proof) for proof in proofs]
    found = lw.verify(candidates, statement=HEADER + statement, toolchain="embedded")
    assert [(each.name, each.messages) for each in found if not each.is_proved] == []


@pytest.mark.parametrize("statement", ["def goal : String := sorry\n", "def goal : String := by sorry\n"])
def test_texts_in_a_proof_stay_as_they_are(statement):
    for text in ('"a\n  b"', "'x'", '/- a\n b -/ f "c\nd" /- by -/'):
        assert text in filled(statement, f"  {text}\n")
        assert f"{text}\n{' ' * 20}" in filled(statement, f"  {text}\n  .append\n")


@pytest.mark.parametrize("line", ["x", "", "  x", '"', "/-"])
def test_a_stranger_s_proof_takes_time_in_proportion_to_its_length(line):
    assert len(filled("theorem t : p := sorry\n", f"{line}\n" * 300_000)) < 10_000_000
