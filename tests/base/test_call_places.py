"""Paths mean in a call what they meant when it began."""

from __future__ import annotations

import os

import pytest

from lean_worker.base.call_places import CallPlaces


def lead(link, target):
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    os.replace(fresh, link)


@pytest.fixture
def top(tmp_path, monkeypatch):
    """The directory of two releases, to the first of which the links `current` and `twice` lead."""
    top = tmp_path / "top"
    for number in (1, 2):
        (top / f"release{number}" / "sub").mkdir(parents=True)
    (tmp_path / "above").symlink_to(top)
    (top / "current").symlink_to("release1")
    (top / "twice").symlink_to(top / "current")
    monkeypatch.chdir(top)
    return top


@pytest.mark.parametrize(
    "project", ["current", "twice", "./current/", "release2/../current", "{top}/current", "{above}/current"]
)
def test_a_path_below_the_project_stays_in_its_directory(top, tmp_path, monkeypatch, project):
    above = tmp_path / "above"
    places = CallPlaces(project.format(top=top, above=above))
    assert places.project == str(top / "release1")
    lead(top / "current", "release2")
    lead(above, tmp_path)
    monkeypatch.chdir("/")
    given = {"current/sub/A.lean", "release1/../current/sub/A.lean", f"{top}/current//./sub/A.lean"}
    given |= {"twice/sub/A.lean"} if project == "twice" else set()
    given |= {f"{above}/current/sub/A.lean", f"{above}/release1/sub/A.lean"} if "above" in project else set()
    assert {places.of(path) for path in given} == {str(top / "release1" / "sub" / "A.lean")}
    assert places.of(top / "current") == places.of("current/.") == str(top / "release1")


def test_another_path_is_left_as_it_is(top, tmp_path, monkeypatch):
    places = CallPlaces("current")
    (top / "release1" / "A.lean").symlink_to(top / "B.lean")
    monkeypatch.chdir(tmp_path)
    assert places.of("release2/./A.lean") == f"{top}/release2/./A.lean"
    assert places.of("current/A.lean") == str(top / "release1" / "A.lean")  # whose link is followed when it is read
    assert places.of("~/A.lean") == os.path.expanduser("~/A.lean")
    assert CallPlaces().of("current/A.lean") == str(tmp_path / "current" / "A.lean")


def test_links_without_an_end_and_a_directory_that_is_gone(top, monkeypatch):
    (top / "loop").symlink_to("loop")
    assert CallPlaces("loop").project == str(top / "loop")
    (top / "gone").mkdir()
    monkeypatch.chdir(top / "gone")
    (top / "gone").rmdir()
    places = CallPlaces("x")
    monkeypatch.chdir(top)
    (top / "A.lean").touch()  # which was not meant
    assert not os.path.exists(places.of("A.lean")) and not os.path.exists(str(places.project))
    assert places.of(top) == str(top)
