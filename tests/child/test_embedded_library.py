"""The library for the embedded Lean: what ordinary scripts write, and the Lean that it is for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import embedded_cases
from lean_worker.child import embedded_modules
from lean_worker.errors import CapabilityError
from support import TESTS, embedded_library

pytestmark = pytest.mark.lean

# What does not work, and why.
_OMEGA = "omega looks up a hundred theorems about integers that this library does not have"
MISSING = {"omega": _OMEGA, "division until it ends": _OMEGA, "linear arithmetic": _OMEGA}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    directory = tmp_path_factory.mktemp("cases")
    return {
        file: embedded_cases.run(embedded_cases.read(file), directory)
        for file in ("embedded-constructs.txt", "embedded-snippets.txt")
    }


@pytest.mark.parametrize(
    ("file", "case"),
    [
        pytest.param(file, case, id=case.name)
        for file in ("embedded-constructs.txt", "embedded-snippets.txt")
        for case in embedded_cases.read(file)
    ],
)
def test_what_scripts_write(file: str, case: embedded_cases.Case, printed: dict[str, dict[str, str]]) -> None:
    if case.name in MISSING:
        assert printed[file][case.name] != case.prints, "it works by now: take it off the list"
        pytest.skip(MISSING[case.name])
    assert printed[file][case.name] == case.prints


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """What docs/embedded-lean.md lists; an entry that works by now is taken off the list."""
    cases = embedded_cases.read("embedded-missing.txt")
    said = embedded_cases.run(cases, tmp_path)
    assert {case.name: said[case.name] for case in cases if case.prints not in said[case.name]} == {}


# Each tries to prove `False`, by ways in which native code or a careless declaration could differ from what it says.
UNSOUND = {
    "an unsafe cast": "theorem wrong : False := unsafeCast True.intro",
    "a proof for the compiler": "theorem wrong : False := lcProof",
    "unreachable code": "theorem wrong : False := lcUnreachable",
    "a cast for the compiler": "theorem wrong : False := lcCast True.intro",
    "an implementation that differs": "theorem wrong : (Lean.Name.hash `a == 1723) = true := by rfl",
    "a default": "theorem wrong : False := default",
    "panic": 'theorem wrong : False := panic "no"',
    "an instance": "theorem wrong : False := inferInstance",
    "choice": "theorem wrong : False := Classical.ofNonempty",
    "exit": "def f : IO False := IO.Process.exit 1\ntheorem wrong : False := nomatch f",
    "a reference": "theorem wrong (r : IO.Ref Nat) : False := Classical.choice r.h",
    "decision": "theorem wrong : (0.5 : Float) < 0.25 := by decide",
    "numbers": "theorem wrong : 2 ^ 64 % 2 ^ 64 = 1 := by decide",
    "texts": 'theorem wrong : "a" ++ "b" = "ba" := by decide',
}


def test_no_declaration_makes_false_provable(tmp_path: Path) -> None:
    cases = [embedded_cases.Case(name, text + "\n", "pure ()", "") for name, text in UNSOUND.items()]
    said = embedded_cases.run(cases, tmp_path)
    assert {name: words for name, words in said.items() if "error" not in words} == {}


def test_another_lean_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = json.loads((embedded_modules.DIRECTORY / "expected.json").read_text())
    for key, value, words in (
        ("commit", "0" * 40, r"is Lean 4\.35\.0 .*, and the declarations are for 4\.35\.0 \(0000"),
        ("symbols", ["l_Nat_no__such"], r"has no native code for 1 of the declarations, first l_Nat_no__such"),
    ):
        other = tmp_path / key
        shutil.copytree(embedded_modules.DIRECTORY, other)
        (other / "expected.json").write_text(json.dumps({**expected, key: value}))
        monkeypatch.setattr(embedded_modules, "DIRECTORY", other)
        with pytest.raises(CapabilityError, match=words):
            embedded_modules.refuse_other_lean(embedded_library())


def test_the_generated_files_are_up_to_date() -> None:
    generator = TESTS.parent / "ci" / "generate-embedded"
    done = subprocess.run([sys.executable, str(generator), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
