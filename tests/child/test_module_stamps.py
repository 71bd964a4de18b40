"""The look at files that were imported: every change of one of them is seen, in C as in Python."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from lean_modules import compile_module
from lean_worker.child import module_stamps

UNKNOWN = b"olean\x09 of a format that is not known".ljust(128)
NAMES = ("A.olean", "A.ir", "B/C.olean", "B/D/E.olean", "B/D/F.olean", "G.olean")


def make_modules(directory, form, names=NAMES):
    """Module files, of a form that can be read or of one that cannot; `A` imports all others."""
    compiled = {"unknown": dict.fromkeys(names, UNKNOWN)}.get(form, {})
    for name in names if form == "known" else ():
        module = name.partition(".")[0].replace("/", ".")
        others = {each.partition(".")[0].replace("/", ".") for each in names} - {"A"} if module == "A" else ()
        text = "".join(f"import {other}\n" for other in sorted(others))
        built = directory.with_name("built")
        compiled[name] = compile_module(built, module, f"prelude\n{text}").read_bytes()
    for name, content in compiled.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, ns=(-5, -5))


@pytest.fixture(params=["unknown", pytest.param("known", marks=pytest.mark.lean)])
def project(tmp_path, request):
    """Modules in several directories, one of them behind a link; and what was seen of them."""
    real = tmp_path / "real"
    make_modules(real, request.param, NAMES[::-1])  # `A` is compiled after what it imports
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
        (tmp_path / each).write_bytes(UNKNOWN)
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
def test_a_directory_of_an_unknown_format_that_was_another_one(tmp_path, moved):
    """Lean has then read files that stand elsewhere now, under names of which the mapped files know nothing."""
    make_modules(tmp_path / "real", "unknown")
    path = tmp_path / "path"
    path.symlink_to(tmp_path / "real")
    time.sleep(0.05)  # a file's time is that of the kernel's last tick
    moved = tmp_path / moved
    mapped = [str(file) for file in sorted(path.resolve().rglob("*")) if file.is_file()]
    began = time.time_ns()
    module_stamps.ModuleStamps(mapped, ["A", "B.C"], [str(path)], began)
    moved.rename(moved.with_name("away"))
    moved.with_name("away").rename(moved)
    with pytest.raises(module_stamps.ModulesChanged, match="moved while modules were imported"):
        module_stamps.ModuleStamps(mapped, ["A", "B.C"], [str(path)], began)


@pytest.mark.lean
@pytest.mark.parametrize("links", ["none", "a directory", "a file"])
def test_modules_that_were_others_while_they_were_mapped(tmp_path, links):
    """A mapped file is told by where it is now; which module it was when Lean found it, only the imports tell."""
    path = tmp_path / "path"
    make_modules(path, "known", NAMES[::-1])
    shutil.copytree(path / "B", path / "Other")
    if links == "a directory":
        (path / "B").rename(path / "B1")
        (path / "B").symlink_to("B1")
    elif links == "a file":
        (path / "B/C.olean").rename(path / "C1.olean")
        (path / "B/C.olean").symlink_to("../C1.olean")
    time.sleep(0.05)  # a file's time is that of the kernel's last tick
    began = time.time_ns()

    def mapped(*, instead=()):
        real = {os.path.realpath(path / name) for name in NAMES}
        return sorted(real - {os.path.realpath(path / name) for name, _ in instead} | {new for _, new in instead})

    stamps = module_stamps.ModuleStamps(mapped(), ["A"], [str(path)], began)
    assert stamps.still_hold() and len(stamps) == len(NAMES)
    other = str(path / "Other/C.olean")
    with pytest.raises(module_stamps.ModulesChanged, match="Other/C"):
        module_stamps.ModuleStamps(mapped(instead=[("B/C.olean", other)]), ["A"], [str(path)], began)
    if links != "none":
        link = path / ("B" if links == "a directory" else "B/C.olean")
        link.unlink()
        link.symlink_to("Other" if links == "a directory" else "../Other/C.olean")
        assert not stamps.still_hold()
