"""A proof takes the place of a statement's hole, whatever the layout of the two."""

from __future__ import annotations

import textwrap

import pytest

import lean_worker as lw
from lean_worker.verification.readings import readings

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
    f"{THEOREM} by all_goals sorry\n",
    f"{THEOREM} by\n  first | assumption | sorry\n",
    f"{IMPLICATION}\n  intro hp hq; all_goals sorry\n",
    f"{IMPLICATION}\n  intro hp hq\n  · iterate 1 sorry\n",
]
OF_TERMS += [
    f"{THEOREM}\nsorry\n",
    f"{THEOREM}\n  have both : p ∧ q :=\n    sorry\n  both\n",
    f"{THEOREM}\n  match Decidable.em True with\n  | .inl _ => sorry\n  | .inr no => absurd trivial no\n",
    f"{THEOREM} by\n  exact\n    sorry\n",
    f"{THEOREM} by exact (sorry)\n",
    f"{THEOREM} id (sorry)\n",
    f"{THEOREM} id sorry\n",
    f"{THEOREM} by\n  exact (And.intro trivial sorry).2\n",
    f"{THEOREM} (fun (x : p ∧ q) (_ : p) => x) sorry hp\n",
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
    "by\nconstructor\nexact hp\nexact hq",
    "⟨hp, hq⟩ -- done",
    "by exact ⟨hp, hq⟩\n-- done (",
]


@pytest.mark.lean
@pytest.mark.once
@pytest.mark.parametrize("statement", [*OF_TERMS, *OF_TACTICS])
def test_an_honest_proof_is_accepted_in_any_layout(statement):
    own = [proof for proof in TERMS if proof.lstrip().startswith(("by", "-- so"))]
    proofs = TERMS if statement in OF_TERMS else [*own, *TACTICS]
    # As a model goes on behind `by` and the blanks of the next line.
    completions = [textwrap.indent(textwrap.dedent(proof.lstrip("\n")), "  ").strip() for proof in proofs]
    proofs = list(dict.fromkeys([*proofs, *completions]))
    candidates = [lw.Proof(proof, proof) for proof in proofs]
    found = lw.verify(candidates, statement=HEADER + statement, toolchain="embedded")
    assert [(each.name, each.messages) for each in found if not each.is_proved] == []


@pytest.mark.lean
@pytest.mark.once
def test_a_message_has_its_candidate_s_name():
    statement = HEADER + OF_TACTICS[0]
    candidates = [("whole", statement.replace("sorry", "rfl")), lw.Proof("hole", "rfl")]
    for found in lw.verify(candidates, statement=statement, toolchain="embedded"):
        assert not found.is_proved and {message.file for message in found.messages} == {found.name}


CHAINED = "theorem goal (p q r : Prop) (h : p ∧ q) (k : q → r) : p ∧ r := by\n  sorry\n"
COMPLETIONS = [
    "obtain ⟨hp, hq⟩ := h\n  exact ⟨hp, k hq⟩",
    "have hr : r := by\n    apply k\n    exact h.2\n  exact ⟨h.1, hr⟩",
    "have hr : r := by\n    apply k\n    exact h.2\n  exact ⟨h.1,\n    hr⟩",
    "have hr : r :=\n    k h.2\n  constructor\n  · exact h.1\n  · exact hr",
    "refine ⟨?_, ?_⟩\n  · exact h.1\n  · exact k h.2",
    "refine ⟨h.1, ?_⟩\n  apply k\n  exact h.2",
    "cases h with\n  | intro hp hq =>\n    exact ⟨hp, k hq⟩",
    "cases h with\n  | intro hp hq => exact ⟨hp, k hq⟩",
    "exact ⟨h.1,\n    k h.2⟩",
    "exact And.intro\n    h.1 (k h.2)",
    "show p ∧ r\n  -- both\n  exact ⟨h.1, k h.2⟩",
    "rw [show (p ∧ r) = (p ∧ r) from\n    rfl]\n  exact ⟨h.1, k h.2⟩",
    "constructor\n  case left => exact h.1\n  case right =>\n    exact k h.2",
    "all_goals\n    exact ⟨h.1, k h.2⟩",
    "let r' := r\n  have : r' := k h.2\n  exact ⟨h.1, this⟩",
    "exact\n    have hr := k h.2\n    ⟨h.1, hr⟩",
]


@pytest.mark.lean
@pytest.mark.once
def test_a_completion_behind_the_blanks_of_a_prompt_is_accepted():
    forms = [form for text in COMPLETIONS for form in (text, f"  {text}", textwrap.dedent(f"  {text}"))]
    found = lw.verify([lw.Proof(form, form) for form in forms], statement=HEADER + CHAINED, toolchain="embedded")
    assert [(each.name, each.messages) for each in found if not each.is_proved] == []


CHAIN = "theorem goal (a b c d : Nat) (h1 : a = b) (h2 : b = c) (h3 : c = d) : a = d := "
SWAP = "theorem goal (p q : Prop) : p ∧ q ↔ q ∧ p := "
PROMPTED = [
    (f"{CHAIN}by\n    ", "calc a = b := h1\n      _ = c := h2\n      _ = d := h3"),
    (f"{CHAIN}by\n  ", "calc a = b := h1\n    _ = c := h2\n    _ = d := h3"),
    (f"{CHAIN}by\n    ", "calc\n      a = b := h1\n      _ = c := h2\n      _ = d := h3"),
    (f"{CHAIN}\n    ", "calc a = b := by rw [h1]\n      _ = c := by rw [h2]\n      _ = d := h3"),
    (f"{SWAP}\n  ", "{ mp := fun h => ⟨h.2, h.1⟩\n    mpr := fun h => ⟨h.2, h.1⟩ }"),
    (f"{SWAP}by\n  ", "exact { mp := fun h => ⟨h.2, h.1⟩\n          mpr := fun h => ⟨h.2, h.1⟩ }"),
    (f"{SWAP}by\n  ", "constructor\n  { intro h\n    exact ⟨h.2, h.1⟩ }\n  { intro h; exact ⟨h.2, h.1⟩ }"),
    (f"{SWAP}by\n  ", "apply Iff.intro\n  (intro h\n   exact ⟨h.2, h.1⟩)\n  (intro h; exact ⟨h.2, h.1⟩)"),
    (f"{SWAP}by\n  ", "apply Iff.intro\n  . intro h\n    exact ⟨h.2, h.1⟩\n  . intro h\n    exact ⟨h.2, h.1⟩"),
    (f"{SWAP}by\n  ", "refine ⟨fun h => ⟨h.2, h.1⟩, ?_⟩\n  intro h\n  match h with\n  | ⟨hq, hp⟩ => exact ⟨hp, hq⟩"),
    (
        f"{SWAP}by\n  ",
        "refine ⟨fun h => ⟨h.2, h.1⟩, fun h => ?_⟩\n  if _yes : True then exact ⟨h.2, h.1⟩ else exact ⟨h.2, h.1⟩",
    ),
    (f"{SWAP}by\n  ", "refine ⟨fun h => ⟨h.2, h.1⟩, fun h => ?_⟩\n  set_option maxRecDepth 600 in\n  exact ⟨h.2, h.1⟩"),
    (f"{SWAP}by\n  ", "refine ⟨fun h => ⟨h.2, h.1⟩, fun h => ?_⟩\n  solve | exact ⟨h.2, h.1⟩"),
    (f"{SWAP}by\n  ", "refine ⟨fun h => ⟨h.2, h.1⟩, fun h => ?_⟩\n  mine h"),
    (f"{SWAP}by\n  ", "refine Iff.intro\n    (fun h => ⟨h.2, h.1⟩)\n    (fun h => ⟨h.2, h.1⟩)"),
    (f"{SWAP}by\n    ", "refine Iff.intro\n      (fun h => ⟨h.2, h.1⟩) ?_\n    intro h; exact ⟨h.2, h.1⟩"),
]
PROMPTED += [
    (f"{SWAP}by\n  ", f"constructor\n  · intro h; exact ⟨h.2, h.1⟩\n  · intro h; exact ⟨h.2, h.1⟩\n\n{further}")
    for further in ("#print axioms goal", "theorem further : True := trivial", "@[simp] theorem t : True :=\n  trivial")
]
MACRO = 'macro "mine" x:term:max : tactic => `(tactic| exact ⟨$x.2, $x.1⟩)\n'


@pytest.mark.lean
@pytest.mark.once
@pytest.mark.parametrize(("prompt", "text"), PROMPTED)
def test_a_completion_is_read_as_it_stands_behind_its_prompt(prompt, text):
    head = HEADER + MACRO + prompt
    candidates = [("whole", f"{head}{text}\n"), lw.Proof("proof", text)]
    found = lw.verify(candidates, statement=f"{head}sorry\n", toolchain="embedded")
    assert [(each.name, each.messages) for each in found if not each.is_proved] == []


@pytest.mark.lean
@pytest.mark.once
@pytest.mark.parametrize("hole", ["by sorry", "sorry"])
def test_a_completion_is_read_as_behind_a_prompt_that_the_statement_does_not_show(hole):
    structure = "{ mp := fun h => ⟨h.2, h.1⟩\n    mpr := fun h => ⟨h.2, h.1⟩ }"
    exact = structure.replace("{", "exact {").replace("    mpr", "          mpr")
    texts = [exact, f"by\n  {exact}"] if "by" in hole else [structure, f"by\n  {exact}"]
    candidates = [lw.Proof(text, text) for text in texts]
    found = lw.verify(candidates, statement=f"{HEADER}{SWAP}{hole}\n", toolchain="embedded")
    assert [(each.name, each.messages) for each in found if not each.is_proved] == []


@pytest.mark.lean
@pytest.mark.once
def test_what_stands_behind_a_stripped_proof_is_left_of_it():
    text = "constructor\n  · exact hp\n  · exact hq\n\n#print axioms goal"
    candidates = [lw.Proof("stripped", text), lw.Proof("kept", f"  {text}")]
    for hole in ("by sorry", "by\n  sorry"):
        found = list(lw.verify(candidates, statement=f"{HEADER}{THEOREM} {hole}\n", toolchain="embedded"))
        assert [(each.name, each.messages) for each in found if not each.is_proved] == []


@pytest.mark.lean
@pytest.mark.once
def test_a_reading_that_comes_to_no_end_is_not_passed_off_as_wrong():
    text = "have hr : q := hq\n  match hr with\n  | h2 =>\n    repeat skip\n    exact And.intro hp h2"
    candidates = [lw.Proof("stripped", text), lw.Proof("kept", f"  {text}")]
    found = lw.verify(candidates, statement=f"{HEADER}{THEOREM} by\n  sorry\n", toolchain="embedded", timeout=3)
    assert [each.verdict.value for each in found] == ["timed_out"] * 2


@pytest.mark.lean
@pytest.mark.once
def test_what_fails_in_every_reading_has_the_messages_of_the_likeliest():
    statement = f"{HEADER}{SWAP}by\n  sorry\n"
    wrong = lw.Proof("wrong", "refine ⟨fun h => ⟨h.2, h.1⟩, fun h => ?_⟩\n  exact h")
    sorried = lw.Proof("sorried", "refine Iff.intro\n    (fun h => ⟨h.2, h.1⟩)\n    sorry")
    found = list(lw.verify([wrong, sorried], statement=statement, toolchain="embedded", in_order=True))
    assert [each.verdict.value for each in found] == ["not_proved", "forbidden_axiom"]
    assert [message.data.partition("\n")[0] for message in found[0].messages] == ["Type mismatch"]
    assert {message.severity for message in found[1].messages} == {"warning"}


@pytest.mark.parametrize("statement", ["def goal : String := sorry\n", "def goal : String := by sorry\n"])
def test_texts_in_a_proof_stay_as_they_are(statement):
    for text in ('"a\n  b"', "'x'", '/- a\n b -/ f "c\nd" /- by -/'):
        assert text in readings(statement, f"  {text}\n")[0]
        assert f"{text}\n{' ' * 20}" in readings(statement, f"  {text}\n  .append\n")[0]


@pytest.mark.parametrize("line", ["x", "", "  x", '"', "/-"])
def test_a_stranger_s_proof_takes_time_in_proportion_to_its_length(line):
    texts = readings("theorem t : p := sorry\n", f"{line}\n" * 300_000)
    assert len(texts) <= 3 and all(len(text) < 10_000_000 for text in texts)


def test_a_statement_may_nest_deeply():
    arms = "".join(f"{' ' * depth}match x with\n{' ' * depth}| a =>\n" for depth in range(1, 2000))
    assert readings(f"theorem t : p := by\n{arms}{' ' * 2000}sorry\n", "by simp")[0].endswith("simp\n")
