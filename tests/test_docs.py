"""The pages hold together: every link leads somewhere, every public name is in the reference, the tutorial runs."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

import lean_worker

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_every_public_name_is_in_the_reference():
    listed = set(
        re.findall(r"^::: lean_worker\.(?:[\w.]+\.)?(\w+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    )
    modules = {"errors", "sinks", "toolchains"}  # whose names are listed one by one
    assert listed == set(lean_worker.__all__) - {"__version__"} - modules


def test_the_names_of_the_readme_are_public():
    names = set(re.findall(r"\blw\.([A-Za-z]\w*)", (ROOT / "README.md").read_text()))
    assert names and names <= set(lean_worker.__all__)


@pytest.mark.lean
@pytest.mark.once
def test_the_tutorial_says_what_happens(tmp_path):
    page = (DOCS / "tutorial.md").read_text()
    (script,) = re.findall(r"```lean\n(.*?)```", page, re.DOTALL)
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    said = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert len(programs) == len(said)
    (tmp_path / "squares.lean").write_text(script)
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        names: dict[str, object] = {"__name__": "tutorial"}
        for program, expected in zip(programs, said):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(program, "tutorial.md", "exec"), names)
            assert printed.getvalue() == expected
    finally:
        os.chdir(here)
