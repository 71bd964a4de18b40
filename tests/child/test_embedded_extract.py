"""The extractor on the embedded Lean: rows about its own library, and about a module that the test compiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import lean_worker as lw
from lean_modules import compile_module

pytestmark = pytest.mark.lean

DECLARATIONS = lw.StreamingCommand("declarations")
DEPENDENCIES = lw.StreamingCommand("dependencies")
MODULES = lw.StreamingCommand("modules")

SAMPLE = """prelude
import LeanWorker
/-- Twice a number. -/
@[reducible] def double (n : Nat) : Nat := n + n
@[simp] theorem double_zero : double 0 = 0 := rfl
theorem classical (p : Prop) : p ∨ ¬p := Classical.em p
class Named (α : Type) where
  name : String
instance : Named Nat := ⟨"Nat"⟩
structure Point (α : Type u) where
  x : α
inductive Colour where
  | red | green | blue
private def hidden : Nat := 1
protected def Point.size (p : Point Nat) : Nat := p.x
opaque secret : Nat
unsafe def danger : Nat := 2
partial def loop (n : Nat) : Nat := loop (n + 1)
axiom believed : 1 = 1
@[deprecated double (since := "2026-01-01")] def old (n : Nat) : Nat := double n
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[lw.Pool]:
    with lw.Pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> lw.LeanCapability:
    directory = tmp_path_factory.mktemp("extract")
    compile_module(directory, "Sample", SAMPLE)
    script = directory / "Extract.lean"
    text = (Path(lw.__file__).parent / "lean" / "extract" / "Extract.lean").read_text()
    script.write_text("prelude\n" + text)
    return lw.LeanCapability(script, toolchain="embedded", env={"LEAN_PATH": str(directory)})


def _rows(lease: lw.Lease, command: lw.StreamingCommand, request: dict[str, object]) -> list[dict]:
    return [row.payload for row in lease.collect(command, request).rows]


@pytest.fixture(scope="module")
def sample(pool: lw.Pool, extractor: lw.LeanCapability) -> dict[str, dict]:
    with pool.lease(extractor) as lease:
        rows = _rows(lease, DECLARATIONS, {"imports": ["Sample"], "modules": ["Sample"], "withExpr": True})
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            "double",
            {
                "kind": "definition",
                "type": "Nat → Nat",
                "doc": "Twice a number. ",
                "place": {"line": 3, "column": 0, "endLine": 4, "endColumn": 48},
                "attributes": ["reducible"],
                "axioms": [],
                "isGenerated": False,
                "expr": ["forall", "n", "default", ["const", "Nat", []], ["const", "Nat", []]],
            },
        ),
        ("double_zero", {"kind": "theorem", "type": "double 0 = 0", "attributes": ["simp"], "doc": None}),
        ("classical", {"kind": "theorem", "type": "∀ (p : Prop), p ∨ ¬p"}),
        ("Named", {"kind": "class", "attributes": ["class"]}),
        ("instNamedNat", {"kind": "instance", "type": "Named Nat", "attributes": ["instance"]}),
        ("Point", {"kind": "structure", "universes": ["u"], "type": "Type u → Type u"}),
        ("Point.mk", {"kind": "constructor"}),
        ("Point.x", {"kind": "definition", "type": "{α : Type u} → Point α → α"}),
        ("Point.rec", {"kind": "recursor", "isGenerated": True, "generatedBy": "Point"}),
        ("Colour", {"kind": "inductive"}),
        ("Colour.green", {"kind": "constructor", "type": "Colour"}),
        ("Colour.casesOn", {"isGenerated": True, "generatedBy": "Colour"}),
        ("hidden", {"isPrivate": True, "isProtected": False}),
        ("Point.size", {"isPrivate": False, "isProtected": True}),
        ("secret", {"kind": "opaque"}),
        ("danger", {"kind": "definition", "isUnsafe": True}),
        ("believed", {"kind": "axiom", "axioms": ["believed"]}),
        ("old", {"attributes": ["deprecated"]}),
    ],
)
def test_a_declaration(sample: dict[str, dict], name: str, fields: dict[str, object]) -> None:
    row = sample[name]
    assert {field: row[field] for field in fields} == fields
    assert row["module"] == "Sample"


def test_the_axioms_of_a_theorem(sample: dict[str, dict]) -> None:
    assert sorted(sample["classical"]["axioms"]) == ["Classical.choice", "Quot.sound", "propext"]


def test_all_constants_of_all_modules(pool: lw.Pool, extractor: lw.LeanCapability) -> None:
    """As many rows as Lean counts constants, and the same rows by another way and on a second run."""
    request = {"imports": ["LeanWorker.Json"], "withType": False, "withAxioms": False}
    with pool.lease(extractor) as lease:
        modules = _rows(lease, MODULES, request)
        first = _rows(lease, DECLARATIONS, request)
        second = _rows(lease, DECLARATIONS, request)
        edges = _rows(lease, DEPENDENCIES, request)
    assert first == second and len(first) > 5000
    counts = {row["name"]: row["constants"] for row in modules}
    found = dict.fromkeys(counts, 0)
    for row in first:
        found[row["module"]] += 1
    assert found == counts
    assert [row["name"] for row in edges] == [row["name"] for row in first]
    known = {row["name"] for row in first}
    used = {name for row in edges if row["name"] == "Nat.add_comm" for name in row["typeUses"]}
    assert used == {"Nat", "Eq", "HAdd.hAdd", "instHAdd", "instAddNat"} and used < known


def test_the_axioms_are_those_of_the_full_library(pool: lw.Pool, extractor: lw.LeanCapability) -> None:
    """Every other declaration of the embedded library has a body, or a type that Lean found a value of."""
    request = {"imports": ["LeanWorker.Json"], "withType": False, "withAxioms": False, "withDoc": False}
    with pool.lease(extractor) as lease:
        rows = _rows(lease, DECLARATIONS, request)
    found = {row["name"] for row in rows if row["kind"] == "axiom" and not row["isUnsafe"]}
    assert found == {"propext", "Quot.sound", "Classical.choice", "sorryAx"}


def test_printing(pool: lw.Pool, extractor: lw.LeanCapability) -> None:
    request = {"imports": ["Sample"], "modules": ["Sample"], "options": ["pp.all"], "width": 20}
    with pool.lease(extractor) as lease:
        rows = {row["name"]: row for row in _rows(lease, DECLARATIONS, request)}
        with pytest.raises(lw.CommandFailed, match="the module No.Such is not among those imported"):
            lease.collect(DECLARATIONS, {"imports": ["Sample"], "modules": ["No.Such"]})
    assert "OfNat.ofNat.{0}" in rows["double_zero"]["type"] and "\n" in rows["double_zero"]["type"]
    assert json.dumps(rows["double"]["expr"]) == "null"
