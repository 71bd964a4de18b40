"""The toolchain that elan would choose, found without running it: nothing may be downloaded."""

from __future__ import annotations

import os

import pytest

import lean_worker as lw
from fake_toolchain import make_elan, make_prefix, make_project, script
from lean_worker.toolchains import elan
from olean_files import write_olean

V9 = "leanprover--lean4---v4.9.0"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """elan's directory with a few toolchains, first on PATH; no stand-in may be run in any test."""
    home = make_elan(
        tmp_path / "elan",
        V9,
        "leanprover--lean4---v4.10.0",
        "leanprover--lean4---v4.11.0-rc2",
        "leanprover--lean4-nightly---nightly-2024-07-01",
        "someone--fork---v4.9.0",
    )
    make_prefix(tmp_path / "own-build")
    (home / "toolchains" / "own").symlink_to(tmp_path / "own-build")
    monkeypatch.setenv("ELAN_HOME", str(home))
    monkeypatch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("LEAN_SYSROOT", raising=False)
    monkeypatch.delenv("ELAN_TOOLCHAIN", raising=False)
    yield home
    assert not (home / "proxy-was-run").exists()


@pytest.mark.parametrize(
    ("written", "directory"),
    [
        ("leanprover/lean4:v4.9.0", V9),
        ("v4.9.0", V9),
        ("4.9.0", V9),
        ("someone/fork:v4.9.0", "someone--fork---v4.9.0"),
        ("nightly-2024-07-01", "leanprover--lean4-nightly---nightly-2024-07-01"),
        ("leanprover/lean4:nightly-2024-07-01", "leanprover--lean4-nightly---nightly-2024-07-01"),
        ("stable", "leanprover--lean4---v4.10.0"),
        ("leanprover/lean4:stable", "leanprover--lean4---v4.10.0"),
        ("beta", "leanprover--lean4---v4.11.0-rc2"),
        ("nightly", "leanprover--lean4-nightly---nightly-2024-07-01"),
    ],
)
def test_a_name_in_a_toolchain_file(home, tmp_path, written, directory):
    project = make_project(tmp_path / "project", f"  {written}  \nrest is ignored")
    found = lw.toolchains.resolve(project=project)
    assert (found.kind, found.name) == ("elan", written)
    assert found.library == home / "toolchains" / directory / "lib" / "lean" / "libleanshared.so"
    assert found.program("lake") == home / "toolchains" / directory / "bin" / "lake"
    assert written in found.describe()


def test_a_linked_toolchain_and_a_path(home, tmp_path):
    project = make_project(tmp_path / "project", "own")
    assert lw.toolchains.resolve(project=project).prefix == tmp_path / "own-build"
    (project / "lean-toolchain").write_text("../own-build\n")
    assert lw.toolchains.resolve(project=project).prefix == tmp_path / "own-build"
    (project / "lean-toolchain").write_text("../no/such/build\n")
    with pytest.raises(lw.errors.ToolchainMissing, match="names no toolchain and no directory"):
        lw.toolchains.resolve(project=project)


def test_a_toolchain_that_is_not_installed_is_not_downloaded(home, tmp_path):
    project = make_project(tmp_path / "project", "leanprover/lean4:v4.20.0")
    with pytest.raises(lw.errors.ToolchainMissing) as caught:
        lw.toolchains.resolve(project=project)
    assert caught.value.hint == "elan toolchain install leanprover/lean4:v4.20.0"
    assert str(project / "lean-toolchain") in caught.value.text
    assert caught.value.toolchain == "leanprover/lean4:v4.20.0"
    with pytest.raises(lw.errors.ToolchainMissing, match="the argument `toolchain`"):
        lw.toolchains.resolve("v4.20.0")
    with pytest.raises(lw.errors.ToolchainMissing):
        lw.toolchains.resolve("leanprover/lean4:stable-of-another-kind")


def test_a_name_as_the_argument(home, tmp_path):
    assert lw.toolchains.resolve("v4.9.0").prefix == home / "toolchains" / V9


def test_the_file_of_a_directory_above_counts(home, tmp_path):
    make_project(tmp_path / "project", "v4.9.0")
    inner = make_project(tmp_path / "project" / "inner")
    assert lw.toolchains.resolve(project=inner).name == "v4.9.0"


def test_the_environment_and_an_override_come_before_the_file(home, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project", "v4.9.0")
    (home / "settings.toml").write_text(f'version = "12"\n\n[overrides]\n"{project}" = "someone/fork:v4.9.0"\n')
    assert lw.toolchains.resolve(project=project).name == "someone/fork:v4.9.0"
    monkeypatch.setenv("ELAN_TOOLCHAIN", "v4.10.0")
    assert lw.toolchains.resolve(project=project).name == "v4.10.0"


def test_elan_s_default_without_a_project(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (home / "settings.toml").write_text('default_toolchain = "leanprover/lean4:stable"\n')
    assert lw.toolchains.resolve().name == "leanprover/lean4:stable"
    (home / "settings.toml").write_text('default_toolchain = "v4.1.0"\n')
    with pytest.raises(lw.errors.ToolchainMissing, match="elan's default toolchain"):
        lw.toolchains.resolve()


def test_a_project_decides_before_the_sysroot_and_the_sysroot_before_the_path(home, tmp_path, monkeypatch):
    monkeypatch.setenv("LEAN_SYSROOT", str(tmp_path / "own-build"))
    project = make_project(tmp_path / "project", "v4.9.0")
    assert lw.toolchains.resolve(project=project).kind == "elan"
    assert lw.toolchains.resolve().kind == "sysroot"


def test_what_is_a_stand_in(home, tmp_path):
    assert elan.is_proxy(home / "bin" / "lean")
    other = tmp_path / "other" / "lean"
    other.parent.mkdir()
    other.symlink_to(home / "bin" / "elan")
    assert elan.is_proxy(other)
    assert not elan.is_proxy(script(tmp_path / "plain" / "lean", "#!/bin/sh\n"))


def test_another_library_in_the_same_place_is_another_identity(home, tmp_path):
    before = lw.toolchains.resolve("v4.9.0").identity
    library = home / "toolchains" / V9 / "lib" / "lean" / "libleanshared.so"
    library.write_bytes(b"another build")
    assert lw.toolchains.resolve("v4.9.0").identity != before
    assert str(library) in before and before.startswith("elan ")


def test_a_full_toolchain_tells_its_commit_without_running(home, tmp_path):
    """Its modules tell no version: theirs is that of the compiler stage that built them."""
    modules = home / "toolchains" / V9 / "lib" / "lean"
    commit = "8f9843a4a5fe1b0c2f24c74097f296e2818771ee"
    write_olean(modules / "Init.olean", version="4.9.0-pre", commit=commit)
    found = lw.toolchains.resolve("v4.9.0")
    assert found.commit == commit
    assert "elan Lean v4.9.0 (commit 8f9843a4a5fe)" in found.describe() and commit in found.identity
    assert "pre" not in found.describe() + found.identity


# -- elan's rules, as of 4.2 --


@pytest.mark.parametrize("text", ["", "\n", "   \n", "\r\n", "\t", "\nv4.9.0\n"])
def test_a_file_that_names_nothing_is_an_error_and_not_the_parent_s(home, tmp_path, text):
    make_project(tmp_path / "project", "v4.9.0")
    inner = make_project(tmp_path / "project" / "inner")
    (inner / "lean-toolchain").write_text(text)
    with pytest.raises(lw.errors.ToolchainMissing, match="names no toolchain") as caught:
        lw.toolchains.resolve(project=inner)
    assert str(inner / "lean-toolchain") in caught.value.text and str(inner / "lean-toolchain") in caught.value.hint


@pytest.mark.parametrize("name", ["v4.9.0", "stable", "here", "../project/here", "./v4.9.0", "{}/project/here"])
def test_a_directory_with_a_lean_comes_before_names(home, tmp_path, name):
    name = name.format(tmp_path)
    project = make_project(tmp_path / "project", name)
    here = make_prefix(project / name)
    assert lw.toolchains.resolve(project=project).prefix == here.resolve()
    inner = make_project(project / "inner")
    assert lw.toolchains.resolve(project=inner).prefix == here.resolve()
    (here / "bin" / "lean").unlink()
    (here / "lib" / "lean" / "libleanshared.so").unlink()
    if "/" in name:
        with pytest.raises(lw.CapabilityError):
            lw.toolchains.resolve(project=project)


@pytest.mark.parametrize(
    "name", ["own", "leanprover/lean4:own", "someone/else:own", "v4.9.0", "leanprover/lean4:stable"]
)
def test_a_linked_toolchain_comes_before_releases(home, tmp_path, name):
    link = home / "toolchains" / name.rpartition(":")[2]
    if not link.is_symlink():
        link.symlink_to(tmp_path / "own-build")
    project = make_project(tmp_path / "project", name)
    assert lw.toolchains.resolve(project=project).prefix == tmp_path / "own-build"


@pytest.mark.parametrize("name", ["v4.9.0", "own", "stable", "v4.20.0", "here"])
def test_a_directory_without_a_lean_hides_no_toolchain_of_its_name(home, tmp_path, monkeypatch, name):
    """The argument and a `lean-toolchain` file with the same name mean the same."""
    project = make_project(tmp_path / "project", name)
    (project / name / "src").mkdir(parents=True)
    monkeypatch.chdir(project)
    if name in ("v4.20.0", "here"):
        with pytest.raises(lw.CapabilityError) as caught:
            lw.toolchains.resolve(name)
        hint = f"elan toolchain install {name}" if name == "v4.20.0" else "`lean --print-prefix` prints"
        assert hint in caught.value.hint
        return
    assert lw.toolchains.resolve(name) == lw.toolchains.resolve(project=project)
    here = make_prefix(project / name)
    assert lw.toolchains.resolve(name).prefix == here.resolve()
    (here / "bin" / "lean").unlink()
    assert lw.toolchains.resolve(name).prefix == here.resolve()


@pytest.mark.parametrize("name", [".", "..", "...", "someone/fork:..", "leanprover/lean4:."])
def test_dots_name_no_toolchain(home, tmp_path, monkeypatch, name):
    """They are no name of elan's; the directories around its toolchains are none either."""
    project = make_project(tmp_path / "inner" / "project", name)
    with pytest.raises(lw.errors.ToolchainMissing, match="names no toolchain and no directory"):
        lw.toolchains.resolve(project=project)
    monkeypatch.chdir(project)
    with pytest.raises(lw.CapabilityError, match="has no lib/lean"):
        lw.toolchains.resolve(name)


def test_a_channel_offline(home, tmp_path):
    def found(name):
        return lw.toolchains.resolve(project=make_project(tmp_path / "project", name)).prefix.name.rpartition("---")[2]

    assert (found("stable"), found("beta")) == ("v4.10.0", "v4.11.0-rc2")
    make_prefix(home / "toolchains" / "leanprover--lean4---v4.11.0")
    make_prefix(home / "toolchains" / "leanprover--lean4---v4.11.0-rc10")
    make_prefix(home / "toolchains" / "leanprover--lean4-nightly---nightly-2024-12-31")
    assert (found("stable"), found("beta"), found("nightly")) == ("v4.11.0", "v4.11.0-rc10", "nightly-2024-12-31")
    with pytest.raises(lw.errors.ToolchainMissing) as caught:
        found("someone/fork:beta")
    assert caught.value.hint == "elan toolchain install someone/fork:beta"


@pytest.mark.parametrize(
    "name", ["v4." + "9" * 300, "x" * 5000, "a/b:" + "c" * 300, "../" + "d" * 5000, "e\0f", "~nobody-x/y"]
)
def test_a_name_that_no_system_takes_is_a_typed_error(home, tmp_path, name, monkeypatch):
    project = make_project(tmp_path / "project", name)
    with pytest.raises(lw.CapabilityError) as caught:
        lw.toolchains.resolve(project=project)
    assert len(str(caught.value)) < 2000
    with pytest.raises((lw.CapabilityError, lw.UsageError)):
        lw.toolchains.resolve(name)
    if "\0" not in name:
        monkeypatch.setenv("ELAN_TOOLCHAIN", name)
        with pytest.raises(lw.CapabilityError):
            lw.toolchains.resolve(project=project)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("leanprover/lean4:v4.20.0", "elan toolchain install leanprover/lean4:v4.20.0"),
        ("4.20.0-rc1", "elan toolchain install 4.20.0-rc1"),
        ("nightly-2025-01-01", "elan toolchain install nightly-2025-01-01"),
        ("my-build", "elan toolchain link my-build DIRECTORY"),
        ("leanprover/lean4:lean-toolchain", "Give the name that the file holds"),
        ("no_such_name", "or a directory with bin/lean"),
        *(
            (name, f"elan toolchain install {name}")
            for name in (
                "leanprover/lean4-pr-releases:pr-release-1234",
                "leanprover/lean4-pr-releases:pr-release-15471-d81678a",
                "leanprover/lean4:nightly-2025-10-24-rev1",
                "nightly-2025-10-24-rev12",
                "leanprover/lean4-nightly:nightly-2025-10-24-rev1",
                "someone/fork:v1.0",
                "someone/some_fork:2025.10",
            )
        ),
        ("someone/fork:lean-toolchain", "Give the name that the file holds"),
        ("leanprover/lean4:v4.9", "elan toolchain link v4.9 DIRECTORY"),
    ],
)
def test_a_hint_can_succeed(home, tmp_path, name, hint):
    """elan can install releases and nightlies, and what other repositories call a release.

    It cannot install a toolchain that was linked on another machine.
    """
    with pytest.raises(lw.errors.ToolchainMissing) as caught:
        lw.toolchains.resolve(project=make_project(tmp_path / "project", name))
    assert hint in caught.value.hint
    assert "install" not in caught.value.hint or hint.startswith("elan toolchain install")


def test_a_toolchain_that_was_half_installed(home, tmp_path):
    (home / "toolchains" / V9 / "lib" / "lean" / "libleanshared.so").unlink()
    with pytest.raises(lw.CapabilityError) as caught:
        lw.toolchains.resolve(project=make_project(tmp_path / "project", "v4.9.0"))
    assert caught.value.hint == "elan toolchain uninstall v4.9.0 && elan toolchain install v4.9.0"


def test_a_directory_of_a_toolchain_uses_that_toolchain(home, tmp_path):
    inside = home / "toolchains" / V9 / "lib"
    assert lw.toolchains.resolve(project=inside).prefix == home / "toolchains" / V9
