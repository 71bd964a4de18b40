"""The programs of docs/first-session.md run as they are, in a project and with a Lake made for them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import make_prefix, make_project
from lean_modules import script_that_answers

PAGE = (Path(__file__).parents[2] / "docs" / "first-session.md").read_text()


@pytest.mark.lean
@pytest.mark.once
def test_the_programs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    monkeypatch.setenv("LEAN_SYSROOT", str(make_prefix(tmp_path / "toolchain", real=True)))
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project)
    (project / "lakefile.toml").write_text('[[lean_lib]]\nname = "Mathlib"\n')
    answer = {"name": "_unknown", "isModule": False, "importArts": {}, "dynlibs": [], "plugins": []}
    (project / "answer").write_text(json.dumps({**answer, "options": {"autoImplicit": False}}))
    (project / "setup").write_text('case "$2" in "") echo {}; exit 3;; esac\ncat answer\n')
    for file in ("Project/Basic.lean", "Mathlib.lean", "Mathlib/Order.lean"):
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text("prelude\naxiom needs : (x : implicit) → Type\n")
    # The script of the page needs a whole Lean; this one answers the same command.
    text = script_that_answers(project / "Extract.lean", '"3"').read_text()
    (project / "Extract.lean").write_text(text.replace('name := "answer"', 'name := "add"'))
    programs = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {"lw": lw}
    for program in programs:
        exec(compile(program, "first-session.md", "exec"), names)
    said = capsys.readouterr().out
    assert "rejected lake {'autoImplicit': False}" in said and "note: Lake did not say" in said
    assert "\n3\n1 modules in 1 sets of imports; 1 batches\n" in said


def test_the_errors_that_the_page_names_are_public():
    classes = set(re.findall(r"`((?:[A-Z][a-z]+){2,}|CapabilityError)`", PAGE))
    assert classes >= {"ToolchainMissing", "BuildFailed", "ModuleRefused", "LakefileError"}
    assert classes - {"MemoryPolicy"} <= set(vars(lw.errors))
