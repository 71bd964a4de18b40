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
