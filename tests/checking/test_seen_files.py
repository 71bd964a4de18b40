"""A hidden `sorry` is looked for in the text that Lean has read; where that is not to be had, nothing is said of the file."""

from __future__ import annotations

import errno
import os

import pytest

import lean_worker as lw
from lean_worker.base import regular_files

pytestmark = pytest.mark.lean

HEADER = "prelude\nimport LeanWorker\n"
HIDDEN = f"{HEADER}#check True\nset_option warn.sorry false\ntheorem t : 1 = 2 := sorry\n"
HONEST = f"{HEADER}#check True\nset_option warn.sorry false\ntheorem t : 1 = 1 := rfl -- no more\n"
OPTIONS = {"toolchain": "embedded", "in_order": True, "reject_sorry": True}


@pytest.fixture(scope="module")
def pool():
    """One worker, which holds the imports of the files but for the first."""
    with lw.Pool(1) as pool:
        yield pool


def swap(one, other):
    one.rename(one.with_name("away"))
    other.rename(one)
    one.with_name("away").rename(other)


@pytest.mark.parametrize("how", ["removed", "replaced", "in place", "for a moment", "a directory", "a link", "nothing"])
@pytest.mark.parametrize("before", [HIDDEN, HONEST], ids=["hidden", "honest"])
def test_a_file_that_changes_while_it_is_checked(pool, tmp_path, before, how):
    after = HONEST if before == HIDDEN else HIDDEN
    folder, others, link = tmp_path / "folder", tmp_path / "others", tmp_path / "link"
    for place, text in ((folder, before), (others, after)):
        place.mkdir()
        (place / "File.lean").write_text(text)
    link.symlink_to(folder)
    file, other = folder / "File.lean", others / "File.lean"

    def change(message):  # Lean has read the whole text when it says the first word of it
        if how == "removed":
            file.unlink()
        elif how == "replaced":
            other.replace(file)
        elif how == "in place":
            file.write_text(after)
        elif how == "for a moment":
            for _ in range(2):
                swap(file, other)
        elif how == "a directory":
            for _ in range(2):
                swap(folder, others)
        elif how == "a link":
            link.unlink()
            link.symlink_to(others)

    given = (link if how == "a link" else folder) / "File.lean"
    (checked,) = lw.check([given], on_message=change, pool=pool, **OPTIONS)
    if how == "nothing":
        assert checked.verdict.value == ("rejected" if before == HIDDEN else "accepted")
        return
    assert checked.verdict.value == "unchecked" and "changed, moved or removed" in checked.cause and checked.hint
    assert checked.exit_code == 0 and [message.data for message in checked.messages] == ["True : Prop"]


def test_files_that_change_while_they_wait_for_their_turn(pool, tmp_path):
    files = [tmp_path / f"File{number}.lean" for number in range(6)]
    for number, file in enumerate(files):
        file.write_text((HONEST, HIDDEN)[number % 2])

    def change(message):
        if message.file == str(files[0]):
            for number, file in enumerate(files[1:]):
                (tmp_path / "new").write_text((HONEST, HIDDEN)[number % 2])
                (tmp_path / "new").replace(file)

    first, *others = lw.check(files, on_message=change, pool=pool, **OPTIONS)
    assert first.verdict.value == "accepted"
    for number, checked in enumerate(others):
        assert checked.verdict.value in ("unchecked", ("accepted", "rejected")[number % 2])
    assert others[-1].verdict.value != "unchecked"  # it was not taken yet


def test_a_file_that_cannot_be_looked_through(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(regular_files, "_MOST_BYTES", len(HONEST) - 1)
    (tmp_path / "File.lean").write_text(HONEST)
    (checked,) = lw.check([tmp_path / "File.lean"], pool=pool, **OPTIONS)
    assert checked.verdict.value == "unchecked"
    assert checked.cause == f"its text cannot be looked through for a hidden `sorry`: {os.strerror(errno.EFBIG)}"
    (checked,) = lw.check([tmp_path / "File.lean"], pool=pool, **{**OPTIONS, "reject_sorry": False})
    assert checked.verdict.value == "accepted"
