"""The look at files that were imported: every change of one of them is seen, in C as in Python."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from lean_worker.child import module_stamps


@pytest.fixture
def project(tmp_path):
    """Modules in several directories, one of them behind a link; and what was seen of them."""
    real = tmp_path / "real"
    for name in ("A.olean", "A.ir", "B/C.olean", "B/D/E.olean", "B/D/F.olean", "G.olean"):
        file = real / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"as it was")
        os.utime(file, ns=(-5, -5))
    path = tmp_path / "path"
    path.symlink_to(real)
    # A file's time is that of the kernel's last tick.
    time.sleep(0.05)
    mapped = [str(file) for file in sorted(real.rglob("*")) if file.is_file()]
    stamps = module_stamps.ModuleStamps(mapped, ["A", "B.C"], [str(path)], time.time_ns())
    return path, stamps


def answers(stamps, monkeypatch):
    compiled = stamps.still_hold()
    with monkeypatch.context() as patch:
        patch.setattr(stamps, "_compiled", None)
        assert stamps.still_hold() == compiled
    return compiled


def write_in_place(path: Path) -> None:
    with open(path / "B/D/E.olean", "r+b") as file:
        file.write(b"another 1")


def replace(path: Path) -> None:
    (path / "new").write_bytes(b"as it was")
    os.utime(path / "new", ns=(-5, -5))
    (path / "new").replace(path / "A.ir")


def another_directory(path: Path) -> None:
    shutil.copytree(path / "B", path / "other")
    (path / "B").rename(path / "old")
    (path / "other").rename(path / "B")


def another_link(path: Path) -> None:
    shutil.copytree(path.resolve(), path.with_name("copy"))
    path.unlink()
    path.symlink_to(path.with_name("copy"))


CHANGES = {
    "written in place": write_in_place,
    "replaced": replace,
    "removed": lambda path: (path / "G.olean").unlink(),
    "touched": lambda path: (path / "B/D/F.olean").touch(),
    "with another right": lambda path: (path / "B/C.olean").chmod(0o600),
    "in another directory": another_directory,
    "in a directory that is gone": lambda path: (path / "B/D").rename(path / "away"),
    "behind another link": another_link,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(project, monkeypatch, change):
    path, stamps = project
    assert len(stamps) == 6
    assert answers(stamps, monkeypatch)
    (path / "B/D/unknown.olean").write_bytes(b"another file")
    assert answers(stamps, monkeypatch)
    CHANGES[change](path)
    assert not answers(stamps, monkeypatch)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what is mapped")
@pytest.mark.parametrize("how", ["replaced", "removed"])
@pytest.mark.parametrize("name", ["A.olean", "B/C.olean", "A.ir", "A.ir.sig", "B/C.olean.private"])
def test_a_module_that_was_replaced_while_it_was_mapped_is_told(tmp_path, name, how):
    for each in ("A.olean", "A.ir", "A.ir.sig", "B/C.olean", "B/C.olean.private"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).write_bytes(b"as it was")
    time.sleep(0.05)  # a file's time is that of the kernel's last tick
    since = time.time_ns()
    maps = []
    for file in filter(Path.is_file, tmp_path.rglob("*")):
        with open(file, "rb") as mapped:
            maps.append(mmap.mmap(mapped.fileno(), 0, prot=mmap.PROT_READ))

    def mine():
        return [file for file in module_stamps.mapped_modules() if file.startswith(str(tmp_path))]

    assert len(module_stamps.ModuleStamps(mine(), ["A"], [str(tmp_path)], since)) == 5
    if how == "replaced":
        (tmp_path / "new").write_bytes(b"another 1")
        (tmp_path / "new").replace(tmp_path / name)
    else:
        (tmp_path / name).unlink()
    # Only `A` is named by the header: the others are known by what is mapped alone.
    with pytest.raises(ValueError, match=f"{name}.* changed while it was imported"):
        module_stamps.ModuleStamps(mine(), ["A"], [str(tmp_path)], since)
    for each in maps:
        each.close()


@pytest.mark.parametrize("moved", ["path", "path/B", "path/B/D", "real"])
def test_a_directory_that_was_another_one_meanwhile(project, moved):
    """Lean has then read files that stand elsewhere now, under names of which the mapped files know nothing."""
    path, _ = project
    moved = path.parent / moved
    mapped = [str(file) for file in sorted(path.resolve().rglob("*")) if file.is_file()]
    began = time.time_ns()
    module_stamps.ModuleStamps(mapped, ["A", "B.C"], [str(path)], began)
    moved.rename(moved.with_name("away"))
    moved.with_name("away").rename(moved)
    with pytest.raises(ValueError, match="moved while modules were imported"):
        module_stamps.ModuleStamps(mapped, ["A", "B.C"], [str(path)], began)
