"""Directories that were another one for a moment, by what they say of themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lean_worker.base.moved_directories import have_moved, marks_of


def swap(first: Path, second: Path) -> None:
    away = first.with_name("away")
    first.rename(away)
    second.rename(first)
    away.rename(second)


def twice(first: Path, second: Path) -> None:
    swap(first, second)
    swap(first, second)


def replaced(link: Path, other: Path) -> None:
    target = os.readlink(link)
    for leads_to in (str(other), target):
        new = link.with_name("new")
        new.symlink_to(leads_to)
        new.replace(link)


CHANGES: dict[str, Callable[[Path], None]] = {
    "its directory is put aside and back": lambda at: twice(at / "top" / "below", at / "top" / "beside"),
    "a directory above it": lambda at: twice(at / "top", at / "other"),
    "a link": lambda at: replaced(at / "link", at / "other"),
    "what a link leads to": lambda at: twice(at / "linked", at / "other"),
    "a link behind a link": lambda at: replaced(at / "linked" / "inner", at / "other"),
}
HARMLESS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda at: None,
    "a new file beside it": lambda at: (at / "top" / "below" / "new").write_text("new"),
    "a new file above it": lambda at: (at / "new").write_text("new"),
    "a directory above it gets another": lambda at: (at / "top" / "new").mkdir(),
    "a file above it goes": lambda at: (at / "old").unlink(),
    "a directory beside it is put aside": lambda at: (at / "old directory").rename(at / "away"),
    "the file itself": lambda at: (at / "top" / "below" / "file").write_text("other"),
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files, one behind links; beside them is what the changes need."""
    for name in ("top/below", "top/beside", "other", "linked", "far", "old directory"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("top/below/file", "far/file", "old"):
        (tmp_path / name).write_text("text")
    (tmp_path / "link").symlink_to("linked")
    (tmp_path / "linked" / "inner").symlink_to("../far")
    return [str(tmp_path / "top" / "below" / "file"), str(tmp_path / "link" / "inner" / "file")]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_another_for_a_moment_is_told(tmp_path: Path, files: list[str], change: str) -> None:
    before = marks_of(files)
    CHANGES[change](tmp_path)
    assert have_moved(before, marks_of(files))


@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.parametrize("were_moved_before", [False, True])
def test_what_changes_beside_and_below_is_not(
    tmp_path: Path, files: list[str], change: str, were_moved_before: bool
) -> None:
    if were_moved_before:
        twice(tmp_path / "top", tmp_path / "other")
        twice(tmp_path / "top" / "below", tmp_path / "top" / "beside")
    before = marks_of(files)
    time.sleep(0.02)  # a tick of the clock of a file system, so that a change has another time
    HARMLESS[change](tmp_path)
    assert not have_moved(before, marks_of(files))


def test_what_is_away_has_moved(tmp_path: Path, files: list[str]) -> None:
    before = marks_of(files)
    (tmp_path / "top").rename(tmp_path / "away")
    now = marks_of(files)
    (tmp_path / "away").rename(tmp_path / "top")
    assert not have_moved(before, now)  # nothing is there; who reads it says so
    assert have_moved(before, marks_of(files))


def test_a_path_may_have_more_parts_than_python_has_frames(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 1200)
    assert len(marks_of([str(deep / "file")])) > 1200
