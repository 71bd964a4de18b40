"""The library for the embedded Lean: what ordinary scripts write, and the Lean that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

import embedded_cases

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
