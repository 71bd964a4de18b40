"""Which toolchain elan would choose, found without running it: nothing may be downloaded."""

from __future__ import annotations

import os

import pytest

import lean_worker as lw
from fake_toolchain import make_elan, make_prefix, make_project, script
from lean_worker import elan

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
    found = lw.toolchain.resolve(project=project)
    assert (found.kind, found.name) == ("elan", written)
    assert found.library == home / "toolchains" / directory / "lib" / "lean" / "libleanshared.so"
    assert found.program("lake") == home / "toolchains" / directory / "bin" / "lake"
    assert written in found.describe()


def test_a_linked_toolchain_and_a_path(home, tmp_path):
    project = make_project(tmp_path / "project", "own")
    assert lw.toolchain.resolve(project=project).prefix == tmp_path / "own-build"
    (project / "lean-toolchain").write_text("../own-build\n")
    assert lw.toolchain.resolve(project=project).prefix == tmp_path / "own-build"
    (project / "lean-toolchain").write_text("../no/such/build\n")
    with pytest.raises(lw.ToolchainMissing, match="names no toolchain and no directory"):
        lw.toolchain.resolve(project=project)


def test_a_toolchain_that_is_not_installed_is_not_downloaded(home, tmp_path):
    project = make_project(tmp_path / "project", "leanprover/lean4:v4.20.0")
    with pytest.raises(lw.ToolchainMissing) as caught:
        lw.toolchain.resolve(project=project)
    assert caught.value.hint == "elan toolchain install leanprover/lean4:v4.20.0"
    assert str(project / "lean-toolchain") in caught.value.text
    assert caught.value.toolchain == "leanprover/lean4:v4.20.0"
    with pytest.raises(lw.ToolchainMissing, match="the argument `toolchain`"):
        lw.toolchain.resolve("v4.20.0")
    with pytest.raises(lw.ToolchainMissing):
        lw.toolchain.resolve("leanprover/lean4:stable-of-another-kind")


def test_a_name_as_the_argument(home, tmp_path):
    assert lw.toolchain.resolve("v4.9.0").prefix == home / "toolchains" / V9


def test_the_file_of_a_directory_above_counts(home, tmp_path):
    make_project(tmp_path / "project", "v4.9.0")
    inner = make_project(tmp_path / "project" / "inner")
    assert lw.toolchain.resolve(project=inner).name == "v4.9.0"


def test_the_environment_and_an_override_come_before_the_file(home, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project", "v4.9.0")
    (home / "settings.toml").write_text(f'version = "12"\n\n[overrides]\n"{project}" = "someone/fork:v4.9.0"\n')
    assert lw.toolchain.resolve(project=project).name == "someone/fork:v4.9.0"
    monkeypatch.setenv("ELAN_TOOLCHAIN", "v4.10.0")
    assert lw.toolchain.resolve(project=project).name == "v4.10.0"


def test_elan_s_default_without_a_project(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (home / "settings.toml").write_text('default_toolchain = "leanprover/lean4:stable"\n')
    assert lw.toolchain.resolve().name == "leanprover/lean4:stable"
    (home / "settings.toml").write_text('default_toolchain = "v4.1.0"\n')
    with pytest.raises(lw.ToolchainMissing, match="elan's default toolchain"):
        lw.toolchain.resolve()


def test_a_project_decides_before_the_sysroot_and_the_sysroot_before_the_path(home, tmp_path, monkeypatch):
    monkeypatch.setenv("LEAN_SYSROOT", str(tmp_path / "own-build"))
    project = make_project(tmp_path / "project", "v4.9.0")
    assert lw.toolchain.resolve(project=project).kind == "elan"
    assert lw.toolchain.resolve().kind == "sysroot"


def test_what_is_a_stand_in(home, tmp_path):
    assert elan.is_proxy(home / "bin" / "lean")
    other = tmp_path / "other" / "lean"
    other.parent.mkdir()
    other.symlink_to(home / "bin" / "elan")
    assert elan.is_proxy(other)
    assert not elan.is_proxy(script(tmp_path / "plain" / "lean", "#!/bin/sh\n"))


def test_another_library_in_the_same_place_is_another_identity(home, tmp_path):
    before = lw.toolchain.resolve("v4.9.0").identity
    library = home / "toolchains" / V9 / "lib" / "lean" / "libleanshared.so"
    library.write_bytes(b"another build")
    assert lw.toolchain.resolve("v4.9.0").identity != before
    assert str(library) in before and before.startswith("elan ")


def test_a_full_toolchain_tells_its_version_without_running(home, tmp_path):
    modules = home / "toolchains" / V9 / "lib" / "lean"
    header = b"olean\x02\x01" + b"4.9.0".ljust(33, b"\0") + b"8f9843a4a5fe1b0c2f24c74097f296e2818771ee" + bytes(32)
    (modules / "Init.olean").write_bytes(header)
    found = lw.toolchain.resolve("v4.9.0")
    assert (found.version, found.commit) == ("4.9.0", "8f9843a4a5fe1b0c2f24c74097f296e2818771ee")
    assert "elan Lean 4.9.0 v4.9.0" in found.describe() and found.commit in found.identity
