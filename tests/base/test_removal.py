"""Directories that hosted code has filled are deleted, whatever is in them."""

from __future__ import annotations

import os
import sys

import pytest

from lean_worker.base import removal


def fill(directory, depth):
    """A tree that is deeper than Python's recursion and a path may be, with closed directories and links out."""
    here = os.open(directory, os.O_RDONLY)
    for i in range(depth):
        os.mkdir("a" * 20, dir_fd=here)
        below = os.open("a" * 20, os.O_RDONLY, dir_fd=here)
        if i % 20 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0, dir_fd=below))
            os.chmod(here, 0o300)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.parametrize("whole", [False, True])
def test_a_deep_tree_is_deleted(tmp_path, whole):
    place = tmp_path / "place"
    place.mkdir()
    fill(place, 1100 if whole else 50)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o750)
    (outside / "kept").write_text("kept")
    (place / "link").symlink_to(outside)
    (place / "file link").symlink_to(outside / "kept")
    if sys.platform.startswith("linux"):
        place.chmod(0o500)
    assert removal.remove(place) if whole else (place.chmod(0o700), removal.clear(place))[1]
    assert place.exists() is not whole
    assert (outside / "kept").read_text() == "kept" and outside.stat().st_mode & 0o777 == 0o750


def test_what_cannot_be_deleted_is_told(tmp_path):
    assert removal.remove(tmp_path / "no") and not removal.clear(tmp_path / "no")
    (tmp_path / "file").write_text("x")
    assert not removal.remove(tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path)
    assert not removal.clear(tmp_path / "link")
    assert (tmp_path / "file").exists()
