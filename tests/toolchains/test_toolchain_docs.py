"""The examples of docs/toolchains.md run as they stand, one after the other, in a home directory made for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import make_prefix, make_project
from lean_modules import compile_module, text_module
from lean_worker.checking import capability_report as checkup

PAGE = Path(__file__).parents[2] / "docs" / "toolchains.md"


@pytest.mark.lean
@pytest.mark.once
def test_the_examples(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    monkeypatch.setenv("LEAN_SYSROOT", str(make_prefix(tmp_path / "toolchain", real=True)))
    monkeypatch.chdir(tmp_path)
    project = make_project(tmp_path / "mathlib4")
    modules = project / ".lake" / "build" / "lib" / "lean"
    compile_module(modules, "Mathlib.Order.Basic", text_module(name="Mathlib.order", value='"1"'))
    scripts = re.findall(r"```lean\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "Extract.lean").write_text(next(script for script in scripts if "def doctor" in script))
    scope = {"lw": lw}
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 4
    for example in examples[:2]:
        exec(example, scope)
    said = capsys.readouterr().out
    assert "Building Mathlib.Order.Basic" in said and "info lean_worker.check.opened" in said
    exec(examples[2], scope)
    with lw.Pool() as pool, pool.lease(scope["capability"]) as lease:
        assert [entry.name for entry in lease.opened.metadata.commands] == ["scan", "version"]
    assert lw.checking.check_capability(scope["capability"]).findings[-1].code == "extract.slow"
    exec(examples[3], scope)
    assert scope["session"].request().mode.lib_name == "Lib"


def test_the_page_lists_every_code():
    text = PAGE.read_text()
    listed = text[text.index("Codes, all with the prefix") : text.index("The findings of the hosted")]
    assert sorted(re.findall(r"`([a-z_]+)`", listed)) == sorted(checkup.CODES)
