"""The pages hold together: links, navigation, public names, install commands, glossary; and the tutorial runs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import os
import pkgutil
import re
import types
import unicodedata
from pathlib import Path

import pytest

import error_table
import lean_worker

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
in_checkout = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="looks at sources, which a wheel's test has not")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target, _, anchor in (found.partition("#") for found in re.findall(r"\]\(([^)\s]+)\)", text)):
        if not re.match(r"[a-z]+:", target):
            place = page.parent / target if target else page
            assert place.exists(), target
            assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


def anchors(page):
    """The names of a page's headings, as the site makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    named = set(re.findall(r'id="([^"]+)"|^::: (\S+)$', text, re.MULTILINE))
    names = {one or other for one, other in named}
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\]\([^)]*\)", "", heading).replace("`", "")
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        names.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return names


def test_every_public_name_is_in_the_reference():
    listed = re.findall(r"^::: lean_worker\.([\w.]+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    values = [value_of(name) for name in listed]
    whole = {name for name, value in zip(listed, values) if isinstance(value, types.ModuleType)}
    public = set(lean_worker.__all__) - {"__version__"}
    modules = {name for name in public if isinstance(getattr(lean_worker, name), types.ModuleType)}
    assert whole <= modules
    expected = {id(getattr(lean_worker, name)) for name in public - modules}
    for name in modules - whole:
        module = getattr(lean_worker, name)
        expected |= {id(getattr(module, member)) for member in module.__all__}
    assert {id(value) for name, value in zip(listed, values) if name not in whole} == expected


def test_a_name_is_in_the_part_of_the_reference_that_says_how_it_is_written():
    sections = re.split(r"^## ", (DOCS / "reference.md").read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        module = re.match(r"`lw\.(\w+)`", section)
        for name in re.findall(r"^::: lean_worker\.([\w.]+)$", section, re.MULTILINE):
            value, last = value_of(name), name.rpartition(".")[2]
            if not isinstance(value, types.ModuleType):
                where = lean_worker if module is None else getattr(lean_worker, module[1])
                assert last in where.__all__ and getattr(where, last) is value


def test_the_errors_page_has_every_class():
    page = (DOCS / "errors.md").read_text()
    assert error_table.table() in page, "python tests/helpers/error_table.py"
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w.*?) \|", page, re.MULTILINE))))
    bases = set(re.findall(r"`(\w+)` is the base", page))
    without = {"LeanWorkerError", "AdmissionError", "RequestLost", "ProtocolError"}  # nobody raises these
    assert explained | bases | without == set(lean_worker.errors.__all__)


def value_of(dotted):
    value = lean_worker
    for name in dotted.split("."):
        if not hasattr(value, name):
            importlib.import_module(f"{value.__name__}.{name}")
        value = getattr(value, name)
    return value


def test_the_top_level_stays_small():
    """A first program, the bases of the errors and the common ones; all else has a module."""
    assert len(lean_worker.__all__) <= 60


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(), re.MULTILINE))
def test_every_name_of_the_reference_exists(name):
    pkgutil.resolve_name(name)


@in_checkout
def test_the_navigation_names_every_page():
    listed = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@in_checkout
def test_the_start_page_leads_to_every_page():
    """Directly, but for decisions, which have a page of their own, and how a release is made."""
    start = (DOCS / "index.md").read_text()
    names = {page.name for page in DOCS.glob("*.md")} - {"index.md", "releasing.md"}
    assert names <= set(re.findall(r"\]\(([\w-]+\.md)\)", start))


def test_install_commands_work_before_a_release():
    for page in [ROOT / "README.md", *PAGES]:
        assert not re.search(r"pip install (?!'?\.)[^`\n]*lean-worker", page.read_text()), page.name


def test_the_glossary_defines_each_word_once():
    words = re.findall(r"^\| \*\*([^*]+)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words), key=str.casefold) and len(words) > 50


@in_checkout
def test_the_architecture_names_files_that_exist():
    text = (DOCS / "architecture.md").read_text()
    walks = text[text.index("## A row") : text.index("## Threads")]
    for walk in walks.split("\n## "):
        assert 5 <= len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) <= 8
    package = ROOT / "src" / "lean_worker"
    here = "worker"
    for name in re.findall(r"`([\w/]+\.(?:py|pyx|pxi|lean))`", walks):
        here = name.rpartition("/")[0] or here
        places = [ROOT / name, package / name, package / here / name]
        assert any(place.exists() for place in places), name


@in_checkout
def test_the_picture_of_the_layers_fits_a_phone():
    text = (DOCS / "architecture.md").read_text()
    picture = text[text.index("```text") : text.index("```\n\n| layer")]
    assert max(map(len, picture.splitlines())) <= 40
    folders = {path.name for path in (ROOT / "src" / "lean_worker").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(re.findall(r"\w+", picture)), folders - set(re.findall(r"\w+", picture))


@in_checkout
@pytest.mark.parametrize("page", ["README.md", "docs", "examples"])
def test_the_names_of_a_page_are_public(page):
    pages = [ROOT / page] if page.endswith(".md") else [*(ROOT / page).rglob("*.md"), *(ROOT / page).rglob("*.py")]
    names = {
        found for each in pages for found in re.findall(r"\blw\.([A-Za-z]\w*)(?:\.([A-Za-z]\w*))?", each.read_text())
    }
    assert names and {name for name, _ in names} <= set(lean_worker.__all__)
    for name, inner in names:
        value = getattr(lean_worker, name)
        assert not inner or not isinstance(value, types.ModuleType) or hasattr(value, inner), f"lw.{name}.{inner}"


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


def test_dead_links_of_the_built_site_are_found(tmp_path):
    loader = importlib.machinery.SourceFileLoader("site_hook", str(ROOT / "ci" / "site.py"))
    hook = importlib.util.module_from_spec(importlib.util.spec_from_loader("site_hook", loader))
    loader.exec_module(hook)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(
        '<h1 id="top"></h1><a href="../#here">x</a><a href="https://a.b">y</a>'
    )
    (tmp_path / "index.html").write_text(
        '<p id="here"></p><a href="page/#top">x</a><a href="page/#gone">y</a><a href="no/">z</a>'
    )
    assert hook.dead_links(tmp_path) == ["index.html: page/#gone", "index.html: no/"]
