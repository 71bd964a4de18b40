"""Goals of source files: tactic steps, sorrys and open goals, next to a table that was written down from the proofs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

import lean_worker as lw
from lean_modules import compile_module
from lean_worker import extraction
from lean_worker.errors import JobIncomplete
from lean_worker.extraction.running import pool_for

pytestmark = pytest.mark.lean

DATA = Path(__file__).parents[1] / "data"
SOURCE = DATA / "extract-goals.lean"
LEAN = "embedded"
HEADER = "prelude\nimport LeanWorker\n"
PROOF = HEADER + "theorem one (p : Prop) (h : p) : p := by\n  exact h\n"


@pytest.fixture(scope="module")
def pool():
    with pool_for("goals", 1) as pool:
        yield pool


def goals(pool, out, paths, **options):
    found = lw.extract("goals", paths, out=out, toolchain=LEAN, pool=pool, **options)
    return found, [msgspec.json.decode(line, type=extraction.GoalRow) for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def rows(pool, tmp_path_factory):
    out = tmp_path_factory.mktemp("goals") / "rows.jsonl"
    return goals(pool, out, [SOURCE], request=extraction.Request(with_expr=True))[1]


def short(goal):
    """A goal on one line, from its structure."""
    context = ", ".join(f"{h.name} : {h.type}" + (f" := {h.value}" if h.value else "") for h in goal.hypotheses)
    case = f"case {goal.case_name}: " if goal.case_name else ""
    return f"{case}{context} ⊢ {goal.target}".replace(":  ⊢", ": ⊢").strip()


def line_of(row):
    before = "; ".join(map(short, row.before))
    after = "" if row.after is None else " => " + ("; ".join(map(short, row.after)) or "done")
    syntax = "" if row.syntax_kind is None else " " + row.syntax_kind.rpartition(".")[2]
    error = (" ERROR" if row.has_error else "") + (" UNDONE" if row.is_undone else "")
    place = f"{row.place.line}:{row.place.column}-{row.place.end_line}:{row.place.end_column}"
    return f"{place} {row.declaration} {row.kind}{syntax}{error} | {before}{after}"


def test_every_row_is_what_the_proof_says(rows):
    assert [line_of(row) for row in rows] == (DATA / "extract-goals.txt").read_text().splitlines()
    lines = SOURCE.read_text().splitlines()
    for row in rows:
        assert row.file == str(SOURCE)
        if row.kind != "unsolved" and row.place.line == row.place.end_line:
            assert row.text == lines[row.place.line - 1][row.place.column : row.place.end_column]


def test_a_goal_as_text_and_as_a_structure(rows):
    row = next(row for row in rows if row.text == "let y : α := x")
    (goal,) = row.after
    assert goal.text == "α : Type\ninst✝ : Inhabited α\nx : α\ny : α := x\n⊢ x = x"
    assert [(h.name, h.type, h.value, h.is_instance) for h in goal.hypotheses] == [
        ("α", "Type", None, False),
        ("inst✝", "Inhabited α", None, True),
        ("x", "α", None, False),
        ("y", "α", "x", False),
    ]
    alpha, instance, x, _ = goal.hypotheses
    assert alpha.expr == ["sort", "1"]
    assert instance.expr == ["app", ["const", "Inhabited", ["1"]], ["fvar", alpha.id]]
    equal = ["app", ["const", "Eq", ["1"]], ["fvar", alpha.id]]
    assert goal.expr == ["app", ["app", equal, ["fvar", x.id]], ["fvar", x.id]]
    assert goal.case_name is None


def test_goals_keep_their_names_from_step_to_step(rows):
    """Each step begins with goals that earlier ones left, by Lean's own names for them."""
    steps = [row for row in rows if row.declaration == "Proofs.swap" and row.kind == "step"]
    constructor, *bullets = steps
    assert [goal.id for goal in constructor.after] == [row.before[0].id for row in bullets]
    assert constructor.before[0].id not in {goal.id for goal in constructor.after}
    term = next(row for row in rows if row.syntax_kind == "Lean.Parser.Term.sorry")
    assert term.before[0].id is None


NESTED = """\
macro "give_up" : tactic => `(tactic| sorry)
macro "given" : term => `(sorry)
macro "claim " n:declId : command => `(theorem $n : 1 = 2 := by skip; sorry)
theorem a (p q : Prop) (hp : p) : p ∧ q := by
  constructor
  · first
    | skip; give_up
    | exact hp
  · give_up
theorem b (p : Prop) : p := given
theorem c (p q : Prop) (hp : p) : p ∧ q := ⟨hp, by exact given⟩
claim d
theorem e (n : Nat) : n = n ∧ n = n := by
  refine ⟨?_, by rfl⟩
  induction n with
  | zero => admit
  | succ k ih =>
    have : k = k := by
      exact ih
    rfl
"""


def test_steps_say_what_they_are_part_of_and_macros_give_up_too(pool):
    with pool.lease(extraction.goal_extractor(toolchain=LEAN)) as lease:
        found = lease.collect(extraction.GOALS, extraction.GoalsRequest("one", HEADER + NESTED)).rows
        without = lease.collect(
            extraction.GOALS, extraction.GoalsRequest("one", HEADER + NESTED, with_steps=False)
        ).rows
    told = [(r.declaration, r.number, r.parent, r.text.split("\n")[0], [g.target for g in r.before]) for r in found]
    assert [each for each in told if each[1] is not None] == [
        ("a", 0, None, "constructor", ["p ∧ q"]),
        ("a", 1, None, "first", ["p"]),
        ("a", 2, 1, "skip", ["p"]),
        ("a", 3, 1, "give_up", ["p"]),
        ("a", 4, None, "give_up", ["q"]),
        ("c", 5, None, "exact given", ["q"]),
        ("e", 6, None, "refine ⟨?_, by rfl⟩", ["n = n ∧ n = n"]),
        ("e", 7, 6, "rfl", ["n = n"]),
        ("e", 8, None, "induction n with", ["n = n"]),
        ("e", 9, 8, "admit", ["0 = 0"]),
        ("e", 10, 8, "have : k = k := by", ["k + 1 = k + 1"]),
        ("e", 11, 10, "exact ih", ["k = k"]),
        ("e", 12, 8, "rfl", ["k + 1 = k + 1"]),
    ]
    given_up = [("a", 3, "give_up", ["p"]), ("a", 4, "give_up", ["q"]), ("b", None, "given", ["p"])]
    given_up += [("c", 5, "given", ["q"]), ("d", None, "claim d", ["1 = 2"]), ("e", 8, "admit", ["0 = 0"])]
    sorrys = [(r.declaration, r.parent, r.text, [g.target for g in r.before]) for r in found if r.kind == "sorry"]
    assert sorrys == given_up
    assert [(r.declaration, r.text, r.parent) for r in without] == [(d, text, None) for d, _, text, _ in given_up]


def test_open_goals_and_sorrys_are_those_that_lean_reports(rows, tmp_path):
    """Next to Lean's messages about the same file, which come by another way."""
    lw.extract("messages", [SOURCE], out=tmp_path / "rows.jsonl", toolchain=LEAN)
    messages = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    reported = [m for m in messages if m["text"].startswith("unsolved goals\n")]
    found = {
        (r.place.line, r.place.column, "\n\n".join(g.text for g in r.before)) for r in rows if r.kind == "unsolved"
    }
    assert found == {(m["line"], m["column"], m["text"].partition("\n")[2]) for m in reported}
    assert len(reported) == 4
    given_up = {row.declaration for row in rows if row.kind == "sorry"}
    warned = [m for m in messages if m["kind"] == "hasSorry"]
    assert len(given_up) == len(warned) == 5
    errors = {(m["line"], m["column"]) for m in messages if m["severity"] == "error"} - {m[:2] for m in found}
    assert errors <= {(row.place.line, row.place.column + len("exact ")) for row in rows if row.has_error}


def test_the_rows_of_a_leased_worker(pool):
    capability = extraction.goal_extractor(toolchain=LEAN)
    request = extraction.GoalsRequest("one", PROOF, with_steps=True)
    with pool.lease(capability) as lease:
        found = lease.collect(extraction.GOALS, request)
        assert found.summary.metadata == len(found.rows) == 1
        assert found.rows[0].before[0].text == "p : Prop\nh : p\n⊢ p" and found.rows[0].after == []


@pytest.mark.once
@pytest.mark.parametrize("value", [-1, "many", True])
def test_a_setting_of_another_kind_is_refused(pool, value):
    capability = extraction.goal_extractor(toolchain=LEAN)
    request = extraction.GoalsRequest("one", PROOF, (extraction.Option("maxHeartbeats", value),))
    with pytest.raises(lw.CommandFailed, match="the option maxHeartbeats "):
        pool.collect(capability, extraction.GOALS, request)


def test_what_a_file_cannot_import_is_said(pool, tmp_path):
    bad = tmp_path / "Bad.lean"
    bad.write_text("prelude\nimport No.Such\n")
    with pytest.raises(JobIncomplete, match=r"Bad\.lean:1:0: .*No") as caught:
        goals(pool, tmp_path / "rows.jsonl", [bad])
    assert len(caught.value.quarantined) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"Bad.lean", "rows.jsonl.ledger", "rows.jsonl.ledger.parts"}


def test_every_format_and_what_is_due_again(pool, tmp_path):
    import pyarrow.parquet

    files = [tmp_path / f"{name}.lean" for name in ("One", "Two")]
    files[0].write_text(PROOF)
    files[1].write_text(PROOF.replace("exact h", "sorry"))
    ledger = tmp_path / "ledger"
    found, rows = goals(pool, tmp_path / "rows.jsonl", files, ledger=ledger)
    assert (found.ran, found.counts) == (2, {"step": 2, "sorry": 1})
    assert goals(pool, tmp_path / "rows.jsonl", files, ledger=ledger)[0].ran == 0
    lw.extract("goals", files, out=tmp_path / "rows.parquet", toolchain=LEAN, pool=pool, ledger=ledger)
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["before"][0]["hypotheses"][1]["name"] for row in table] == ["h"] * 3
    files[0].write_text(PROOF.replace("exact h", "assumption"))
    lw.extract("goals", files, out=tmp_path / "rows.db", toolchain=LEAN, pool=pool, ledger=ledger)
    database = sqlite3.connect(tmp_path / "rows.db")
    assert list(database.execute("SELECT text FROM goals")) == [("assumption",), ("sorry",), ("sorry",)]
    database.close()
    found, rows = goals(pool, tmp_path / "rows.jsonl", files, ledger=ledger, steps=False)
    assert [row.kind for row in rows] == ["sorry"] and found.ran == 2


@pytest.mark.parametrize(("value", "number"), [("true", "n"), ("false", "sorry")])
def test_a_project_s_modules_and_options(pool, tmp_path, value, number):
    options = f"[leanOptions]\nautoImplicit = {value}\nweak.no.such = 3\n"
    (tmp_path / "lakefile.toml").write_text(f'name = "mine"\n{options}[[lean_lib]]\nname = "Mine"\n')
    compile_module(tmp_path / ".lake" / "build" / "lib" / "lean", "Mine", HEADER + "def mine : Nat := 1\n")
    proof = tmp_path / "Proof.lean"
    proof.write_text("prelude\nimport Mine\ntheorem a (h : mine = n) : n = 1 := by\n  exact h ▸ sorry\n")
    _, rows = goals(pool, tmp_path / "rows.jsonl", [proof], project=tmp_path)
    # Lean goes on with a hole where it refuses a name.
    assert rows[0].before[0].text.endswith(f"h : mine = {number}\n⊢ {number} = 1")


def test_names_are_those_of_the_compiled_module(pool, tmp_path):
    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    text = HEADER + "instance : Inhabited (Nat → Nat) := by\n  exact ⟨id⟩\nprivate theorem t : True := by\n  trivial\n"
    source, other = tmp_path / "Mine" / "Deep.lean", tmp_path / "Other.lean"
    source.parent.mkdir()
    for file in (source, other):
        file.write_text(text)
    compile_module(tmp_path / ".lake" / "build" / "lib" / "lean", "Mine.Deep", text)
    _, rows = goals(pool, tmp_path / "rows.jsonl", [source, other], project=tmp_path)
    found = [[row.declaration for row in rows if row.file == str(file)] for file in (source, other)]
    lw.extract("declarations", ["Mine.Deep"], project=tmp_path, out=tmp_path / "names.jsonl", toolchain=LEAN)
    declared = [json.loads(line)["name"] for line in (tmp_path / "names.jsonl").read_text().splitlines()]
    assert set(found[0]) <= set(declared) and len(set(found[0])) == 2
    assert found[1] == [found[0][0].replace("_mine", "__stdin"), "t"] != found[0]


def test_each_file_has_a_worker_of_its_own(tmp_path):
    files = [tmp_path / f"{name}.lean" for name in ("One", "Two")]
    for file in files:
        file.write_text(PROOF)
    with pool_for("goals", 1) as pool:
        goals(pool, tmp_path / "rows.jsonl", files)
        seen = pool.snapshot()
    assert seen.requests == 2 and seen.started >= 2 and seen.ended["policy"] >= 1


def test_wrong_calls(tmp_path):
    def refused(words, *arguments, **options):
        with pytest.raises(lw.UsageError, match=words):
            lw.extract(*arguments, out=tmp_path / "rows.jsonl", toolchain=LEAN, **options)
        assert list(tmp_path.iterdir()) == []

    refused("no source file was named", "goals")
    refused(r"Nowhere\.lean cannot be read", "goals", [tmp_path / "Nowhere.lean"])
    refused("a sandbox is for goals only", "declarations", sandbox=lw.Sandbox())


UNDONE = """theorem alternatives (p q : Prop) (hq : q) : q := by
  first | exact True.intro | (skip; exact hq)
theorem attempts (p q : Prop) (hq : q) (hp : p) : p ∧ q := by
  constructor
  any_goals exact hp
  try exact hp
  fail_if_success exact hp
  exact hq
theorem rounds (p q : Prop) (hq : q) (hp : p) : p ∧ q := by
  repeat constructor
  repeat1' assumption
theorem of_first (p : Prop) (hp : p) : p := by
  repeat first | assumption
theorem given_up (p : Prop) (hp : p) : p := by
  first | (sorry; exact hp) | exact hp
theorem unread (p : Prop) (hp : p) : p := by
  nonsense
theorem λ (p : Prop) (hp : p) : p := by exact hp
"""


def test_what_lean_gave_up_or_could_not_read(pool, tmp_path):
    """A step of an alternative that failed is no step of the proof, and looks like one that changes nothing."""
    source = tmp_path / "undone.lean"
    source.write_text(HEADER + UNDONE)
    _, rows = goals(pool, tmp_path / "rows.jsonl", [source, str(source)])  # one file, named twice
    said = [(row.declaration, row.kind, row.text, row.has_error, row.is_undone) for row in rows]
    assert said == [
        ("alternatives", "step", "first | exact True.intro | (skip; exact hq)", False, False),
        ("alternatives", "step", "exact True.intro", False, True),
        ("alternatives", "step", "skip", False, False),
        ("alternatives", "step", "exact hq", False, False),
        ("attempts", "step", "constructor", False, False),
        ("attempts", "step", "any_goals exact hp", False, False),
        ("attempts", "step", "exact hp", False, False),
        ("attempts", "step", "exact hp", False, True),
        ("attempts", "step", "try exact hp", False, False),
        ("attempts", "step", "exact hp", False, True),
        ("attempts", "step", "fail_if_success exact hp", False, False),
        ("attempts", "step", "exact hp", False, True),
        ("attempts", "step", "exact hq", False, False),
        ("rounds", "step", "repeat constructor", False, False),
        ("rounds", "step", "constructor", False, False),
        ("rounds", "step", "constructor", False, True),
        ("rounds", "step", "repeat1' assumption", False, False),
        ("rounds", "step", "assumption", False, False),
        ("rounds", "step", "assumption", False, False),
        ("of_first", "step", "repeat first | assumption", False, False),
        ("of_first", "step", "first | assumption", False, False),
        ("of_first", "step", "assumption", False, False),
        ("of_first", "step", "first | assumption", False, True),
        ("of_first", "step", "assumption", False, True),
        ("given_up", "step", "first | (sorry; exact hp) | exact hp", False, False),
        ("given_up", "sorry", "sorry", None, True),
        ("given_up", "step", "sorry", False, True),
        ("given_up", "step", "exact hp", False, True),
        ("given_up", "step", "exact hp", False, False),
        ("unread", "step", "nonsense", True, False),
        ("unread", "unsolved", None, None, None),
        (None, "step", "exact hp", False, False),
    ]


GROUPS = """
theorem calculated (a b c : Nat) (h : a = b) (g : b = c) : a = c := by
  calc a = b := by exact h
    _ = c := g
theorem converted (a b : Nat) (h : a = b) : a = b ∧ True := by
  constructor
  · conv => lhs; first | rw [h.symm] | rw [h]
  · (trivial)
theorem inside (a b : Nat) (h : a = b) : a = b := by
  conv at h => { rhs; (skip) }
  conv =>
    lhs
    · skip
  show_term exact h
theorem cases_of (n : Nat) : n = n ∧ n = n := by
  constructor <;> cases n with
  | zero => rfl
  | succ n => focus rfl
"""


def test_what_only_groups_steps_is_no_step(pool, tmp_path):
    source = tmp_path / "groups.lean"
    source.write_text(HEADER + GROUPS)
    _, rows = goals(pool, tmp_path / "rows.jsonl", [source])
    texts = {row.number: row.text.split("\n")[0] for row in rows}
    assert [(row.declaration, row.text.split("\n")[0], texts.get(row.parent), row.is_undone) for row in rows] == [
        ("calculated", "calc a = b := by exact h", None, False),
        ("calculated", "exact h", "calc a = b := by exact h", False),
        ("converted", "constructor", None, False),
        ("converted", "conv => lhs; first | rw [h.symm] | rw [h]", None, False),
        ("converted", "lhs", "conv => lhs; first | rw [h.symm] | rw [h]", False),
        ("converted", "first | rw [h.symm] | rw [h]", "conv => lhs; first | rw [h.symm] | rw [h]", False),
        ("converted", "rw [h.symm]", "first | rw [h.symm] | rw [h]", True),
        ("converted", "rw [h]", "first | rw [h.symm] | rw [h]", False),
        ("converted", "trivial", None, False),
        ("inside", "conv at h => { rhs; (skip) }", None, False),
        ("inside", "rhs", "conv at h => { rhs; (skip) }", False),
        ("inside", "skip", "conv at h => { rhs; (skip) }", False),
        ("inside", "conv =>", None, False),
        ("inside", "lhs", "conv =>", False),
        ("inside", "skip", "conv =>", False),
        ("inside", "show_term exact h", None, False),
        ("cases_of", "constructor", None, False),
        *[
            ("cases_of", "cases n with", None, False),
            ("cases_of", "rfl", "cases n with", False),
            ("cases_of", "focus rfl", "cases n with", False),
            ("cases_of", "rfl", "focus rfl", False),
        ]
        * 2,
    ]


def test_a_header_that_cannot_be_read_is_refused(pool, tmp_path):
    """Lean panics on imports that end in an error."""
    source = tmp_path / "header.lean"
    source.write_text("prelude\nimport \ntheorem t : True := trivial\n")
    with pytest.raises(JobIncomplete, match="header.lean:2:6: unexpected token 'theorem'; expected identifier"):
        goals(pool, tmp_path / "rows.jsonl", [source])
