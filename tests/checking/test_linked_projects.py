"""A project that is named by a link: one call stays with the directory to which it led, and the next one looks again."""

from __future__ import annotations

import os
import shutil

import pytest

import lean_worker as lw
from lean_modules import compile_module
from support import wait_until

pytestmark = pytest.mark.lean

STATEMENT = "prelude\nimport Mine\ntheorem goal : val = 1 := sorry\n"
FILE = STATEMENT.replace("sorry", "rfl")


def switch(link, release):
    fresh = link.with_name("fresh")
    fresh.symlink_to(release)
    os.replace(fresh, link)


@pytest.fixture
def releases(tmp_path):
    for number in (1, 2):
        root = tmp_path / f"release{number}"
        compile_module(
            root / ".lake" / "build" / "lib" / "lean", "Mine", f"prelude\nimport LeanWorker\ndef val := {number}\n"
        )
        (root / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("how", "what", "gap"),
    [
        ("the project", "check", True),
        ("a directory above", "check", True),
        ("relative", "check", True),
        ("the project", "check", False),
        ("the project", "verify", False),
    ],
)
def test_a_call_stays_with_the_release_that_it_began_with(releases, monkeypatch, how, what, gap):
    link = releases / "current"
    if how == "a directory above":
        for number in (1, 2):
            (releases / f"top{number}").mkdir()
            shutil.move(releases / f"release{number}", releases / f"top{number}" / "release")
        targets, project = [releases / "top1", releases / "top2"], link / "release"
    else:
        targets, project = [releases / "release1", releases / "release2"], link
    if how == "relative":
        monkeypatch.chdir(releases)
        project = "current"
    switch(link, targets[0])
    seen = []

    def items(item):
        for number in range(12):
            if number == 6:
                if gap:
                    wait_until(lambda: pool.snapshot().leased == 0)
                switch(link, targets[1])
            yield item

    def call(given, pool):
        options = {"project": project, "toolchain": "embedded", "pool": pool}
        if what == "check":
            outcomes = lw.check(given(("one", FILE)), **options)
        else:
            outcomes = lw.verify(given(lw.Proof("one", "rfl")), statement=STATEMENT, **options)
        for outcome in outcomes:
            seen.append(outcome.verdict.value)
        return set(seen)

    with lw.Pool(3) as pool:
        assert call(items, pool) == {"accepted" if what == "check" else "proved"}
        seen.clear()
        assert call(lambda item: [item], pool) == {"rejected" if what == "check" else "not_proved"}


@pytest.mark.parametrize(
    ("what", "how"), [("check", "list"), ("check", "lazy"), ("verify", "list"), ("verify", "late")]
)
def test_files_below_the_link_are_of_the_release_of_the_modules(releases, what, how):
    link = releases / "current"
    for number in (1, 2):
        root = releases / f"release{number}"
        (root / "Statement.lean").write_text(STATEMENT.replace("val = 1", f"val = {number}"))
        for each in range(12):
            (root / f"right{each:02}.lean").write_text(FILE.replace("val = 1", f"val = {number}"))
            (root / f"wrong{each:02}.lean").write_text(FILE.replace("val = 1", f"val = {3 - number}"))
    switch(link, releases / "release1")
    names = sorted(path.name for path in (releases / "release1").glob("[rw]*.lean"))
    paths = (link / name for name in names)
    options = {"project": link, "toolchain": "embedded", "in_order": True}
    if what == "check":
        outcomes = lw.check(paths if how == "lazy" else list(paths), jobs=1, settings="lakefile", **options)
    else:
        outcomes = lw.verify(list(paths), statement=link / "Statement.lean", jobs=1, **options)
    if how == "late":
        switch(link, releases / "release2")
    good, bad = ("accepted", "rejected") if what == "check" else ("proved", "statement_changed")
    for name, outcome in zip(names, outcomes, strict=True):
        assert (outcome.file if what == "check" else outcome.name) == str(link / name)
        assert outcome.verdict.value in ((good,) if name.startswith("right") else (bad, "not_proved")), name
        if name == names[1]:
            switch(link, releases / "release2")


@pytest.mark.parametrize("what", ["check", "verify", "verify late"])
def test_relative_paths_are_those_of_the_directory_of_the_call(tmp_path, monkeypatch, what):
    header = "prelude\nimport LeanWorker\n"
    for folder, proof in (("first", "rfl"), ("second", "nonsense")):
        (tmp_path / folder).mkdir()
        for name in ("Statement", *(f"File{number}" for number in range(12))):
            text = f"{header}theorem goal : 1 = 1 := {'sorry' if name == 'Statement' else proof}\n"
            (tmp_path / folder / f"{name}.lean").write_text(text)
    (tmp_path / "second" / "Statement.lean").write_text(f"{header}theorem goal : 1 = 2 := sorry\n")
    names = [f"File{number}.lean" for number in range(12)]
    monkeypatch.chdir(tmp_path / "first")
    options = {"toolchain": "embedded", "jobs": 1, "in_order": True}
    if what == "check":
        outcomes = lw.check(names, sandbox=lw.Sandbox(readable=["."]), **options)
    else:
        outcomes = lw.verify(names, statement="Statement.lean", **options)
    if what != "verify":
        monkeypatch.chdir(tmp_path / "second")
    found = []
    for outcome in outcomes:
        monkeypatch.chdir(tmp_path / "second")
        found.append((outcome.file if what == "check" else outcome.name, outcome.verdict.value))
    assert found == [(name, "accepted" if what == "check" else "proved") for name in names]


def test_a_module_that_is_a_link_out_of_the_project_needs_its_directory_in_the_sandbox(releases):
    project, elsewhere = releases / "release1", releases / "elsewhere"
    elsewhere.mkdir()
    module = project / ".lake" / "build" / "lib" / "lean" / "Mine.olean"
    module.rename(elsewhere / "Mine.olean")
    module.symlink_to(elsewhere / "Mine.olean")
    options = {"project": project, "toolchain": "embedded", "jobs": 1}
    words = f"it leads to {elsewhere / 'Mine.olean'}, which is outside of what the sandbox lets Lean read"
    (checked,) = lw.check([("one", FILE)], sandbox=lw.Sandbox(), **options)
    assert checked.verdict.value == "unchecked" and words in checked.cause
    assert checked.hint == f"Name that directory too, as in Sandbox(readable=[{str(elsewhere)!r}])."
    (result,) = lw.verify([lw.Proof("one", "rfl")], statement=STATEMENT, **options)
    assert result.verdict.value == "lost" and words in result.detail
    named = lw.Sandbox(readable=[elsewhere])
    (checked,) = lw.check([("one", FILE)], sandbox=named, **options)
    (result,) = lw.verify([lw.Proof("one", "rfl")], statement=STATEMENT, sandbox=named, **options)
    assert (checked.verdict.value, result.verdict.value) == ("accepted", "proved")
