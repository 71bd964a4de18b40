"""The packages of a Lake project: what manifests say, where built modules are, and runs of Lake that would change them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import lake_runs, make_prefix, make_project, script
from lean_worker.lake import git_head
from lean_worker.lake import manifest as lake_manifest
from lean_worker.lake import paths as lake_paths
from lean_worker.lake import tool as lake
from lean_worker.projects.import_graph import CompiledModules
from lean_worker.toolchains import toolchain

REVISION = "0123456789abcdef0123456789abcdef01234567"
IDENTITY = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")


@pytest.fixture
def lean(tmp_path):
    return toolchain.resolve(make_prefix(tmp_path / "toolchain"))


def git(directory: Path, *arguments: str) -> str:
    said = subprocess.run(["git", *IDENTITY, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def make_repository(directory: Path) -> str:
    """A repository with one commit; returns the commit."""
    directory.mkdir(parents=True)
    git(directory, "init", "-q", "-b", "main")
    (directory / "lakefile.toml").write_text('name = "package"\n')
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "first")
    return git(directory, "rev-parse", "HEAD")


def commit_more(directory: Path) -> str:
    git(directory, "commit", "-q", "--allow-empty", "-m", "more")
    return git(directory, "rev-parse", "HEAD")


def git_entry(name: str, revision: str | None = REVISION, **more: object) -> dict[str, object]:
    entry = {"url": "https://example.org/x", "type": "git", "subDir": None, "rev": revision, "name": name, **more}
    return {"scope": "", "inputRev": "main", "inherited": False, "configFile": "lakefile.lean", **entry}


def write_manifest(project: Path, packages: list[object], version: object = "1.1.0", **more: object) -> None:
    project.mkdir(parents=True, exist_ok=True)
    table = {"version": version, "packagesDir": ".lake/packages", "packages": packages, "name": "p", "lakeDir": ".lake"}
    (project / "lake-manifest.json").write_text(json.dumps({**table, **more}))


# -- manifests and directories --

FORMS = {
    "5": (5, {"git": {"name": "A", "rev": REVISION, "url": "u", "subDir?": "sub", "inputRev?": None}}, "pk/A/sub"),
    "6": (6, {"git": {"name": "«a-b»", "rev": REVISION, "url": "u", "inherited": True, "opts": {}}}, "pk/a-b"),
    "6 path": (6, {"path": {"name": "A", "dir": "./near", "inherited": False, "opts": {}}}, "near"),
    "7": (7, git_entry("«doc-gen4»"), "pk/doc-gen4"),
    "1.0.0": ("1.0.0", git_entry("A", subDir="lean/pkg"), "pk/A/lean/pkg"),
    "1.1.0 dots": ("1.1.0", git_entry("Foo.«bar-baz»", scope="someone"), "pk/Foo.bar-baz"),
    "1.1.0 path": ("1.1.0", {"type": "path", "name": "near", "dir": "../near", "inherited": False}, "../near"),
    "1.2.0": ("1.2.0", git_entry("A", inherited=True), "pk/A"),
}


@pytest.mark.parametrize("form", FORMS)
def test_built_modules_of_a_package_are_found_whatever_form_its_entry_has(tmp_path, form):
    version, entry, place = FORMS[form]
    project = tmp_path / "project"
    write_manifest(project, [entry], version, packagesDir="pk")
    built = project / place / ".lake" / "build" / "lib" / "lean"
    (built / "Foo").mkdir(parents=True)
    (built / "Foo" / "Bar.olean").touch()
    (project / "pk" / "stray" / ".lake" / "build" / "lib" / "lean").mkdir(parents=True)
    assert [path.resolve() for path in lake_paths.module_directories(project)] == [
        built.resolve(),
        built.parent.resolve(),
    ]
    lean = toolchain.resolve(make_prefix(tmp_path / "toolchain", lake=False))
    assert CompiledModules(lean, project, "").provide("Foo.Bar")
    assert built.resolve() in [path.resolve() for path in lake.module_path(lean, project)]


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("lakefile.toml", 'name = "a"\nbuildDir = "out"\n', "out/lib/lean"),
        ("lakefile.toml", 'buildDir = "out"\nleanLibDir = "mods"\n', "out/mods"),
        ("lakefile.lean", 'package a where\n  buildDir := "out" / "deep"\n', "out/deep/lib"),
        ("lakefile.lean", 'def place := "mods"\npackage a {\n  leanLibDir := place\n}\n', ".lake/build/mods"),
        ("other.lean", 'package a where\nbuildDir := "out"\nlean_lib A\n', "out/lib"),
    ],
)
def test_a_package_s_own_directories(tmp_path, file, text, place):
    package = tmp_path / ".lake" / "packages" / "a"
    (package / place).mkdir(parents=True)
    (package / file).write_text(text)
    write_manifest(tmp_path, [git_entry("a", configFile=file)])
    assert package / place in lake_paths.module_directories(tmp_path)
    for name in (".lake", "lake-manifest.json"):
        (tmp_path / name).rename(tmp_path / f"{name}.away")
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / file.replace("other", "lakefile")).write_text(text)
    assert tmp_path / place in lake_paths.module_directories(tmp_path)


def test_a_computed_build_directory_is_an_error_that_says_where(tmp_path):
    (tmp_path / "lakefile.lean").write_text('package a where\n  buildDir := if x then "a" else "b"\n')
    with pytest.raises(lw.errors.LakefileError, match="buildDir is computed") as caught:
        lake_paths.module_directories(tmp_path)
    assert (caught.value.line, "literals" in caught.value.hint) == (2, True)
    lean = toolchain.resolve(make_prefix(tmp_path / "toolchain", lake=False))
    with pytest.raises(lw.CapabilityError, match="buildDir is computed"):
        lake.module_path(lean, tmp_path)
    # Without these words a lakefile may be as strange as it likes.
    (tmp_path / "lakefile.lean").write_text('def «never closed := "')
    lake_paths.module_directories(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 4}', '{"version": "2.0.0"}', '{"version": 7, "packages": [1]}']
)
def test_a_manifest_of_no_known_form(tmp_path, text):
    (tmp_path / "lake-manifest.json").write_text(text)
    with pytest.raises(lw.CapabilityError, match=r"lake-manifest\.json: "):
        lake_manifest.read(tmp_path)


def test_overrides_of_packages(tmp_path):
    write_manifest(tmp_path, [git_entry("a"), git_entry("«b-c»")])
    override = {"type": "path", "name": "«b-c»", "dir": "near", "inherited": False}
    (tmp_path / ".lake").mkdir()
    (tmp_path / ".lake" / "package-overrides.json").write_text(json.dumps({"version": "1.1.0", "packages": [override]}))
    a, b = lake_manifest.read(tmp_path)
    assert (a.name, a.revision, a.directory) == ("a", REVISION, tmp_path / ".lake/packages/a")
    assert (b.name, b.repository, b.directory) == ("b-c", None, tmp_path / "near")


def test_overrides_count_for_the_digest_of_a_project(tmp_path):
    (tmp_path / "lakefile.toml").write_text('[[lean_lib]]\nname = "A"\n')
    (tmp_path / "A.lean").touch()
    before = lw.lake.LakeProject.discover(tmp_path).sha256
    (tmp_path / ".lake").mkdir()
    (tmp_path / ".lake" / "package-overrides.json").write_text('{"version": "1.1.0", "packages": []}')
    assert lw.lake.LakeProject.discover(tmp_path).sha256 != before


# -- the commit of a checkout --


def test_the_head_of_a_checkout_is_read_as_git_reads_it(tmp_path):
    repository = tmp_path / "repository"
    first = make_repository(repository)

    def same(checkout: Path) -> str | None:
        assert git_head.head_revision(checkout) == git(checkout, "rev-parse", "HEAD")
        return git_head.head_revision(checkout)

    assert same(repository) == first
    git(repository, "pack-refs", "--all")
    assert same(repository) == first
    second = commit_more(repository)  # loose again, over the packed one
    assert same(repository) == second
    git(repository, "checkout", "-q", "--detach", first)
    assert same(repository) == first
    git(repository, "worktree", "add", "-q", "-b", "deep/name", str(tmp_path / "tree"), second)
    assert same(tmp_path / "tree") == second
    git(
        tmp_path, "clone", "-q", "--separate-git-dir", str(tmp_path / "state"), str(repository), str(tmp_path / "clone")
    )
    assert same(tmp_path / "clone") == first
    assert git_head.head_revision(tmp_path) is None and git_head.git_directory(tmp_path) is None
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/../../config\n")
    assert git_head.head_revision(repository) is None


# -- runs of Lake that would change packages --


def refused(lean, project: Path) -> lw.errors.BuildFailed:
    """The refusal, the same for each way to Lake, none of which runs it."""
    asked = [
        lambda: lake.build(lean, project, "refused", timeout=30),
        lambda: lake.module_path(lean, project),
        lambda: lake.is_up_to_date(lean, project, "demo", timeout=30),
        lambda: lake.setup_file(lean, project, project / "Source.lean"),
    ]
    errors = []
    for ask in asked:
        with pytest.raises(lw.errors.BuildFailed) as caught:
            ask()
        errors.append(caught.value)
    assert lake_runs(project) == []
    assert len({error.hint for error in errors}) == 1
    return errors[0]


def test_a_package_at_another_commit_is_left_alone(lean, tmp_path):
    project = make_project(tmp_path / "project")
    package = project / ".lake" / "packages" / "doc-gen4"
    first = make_repository(package)
    write_manifest(project, [git_entry("«doc-gen4»", first)])
    # As Lake does: another commit, or none that git names, and a remote that cannot be read, end the directory.
    (project / "behaviour").write_text(
        f'[ "$(git -C {package} rev-parse --verify HEAD)" = {first} ] || {{\n'
        f"  rm -rf {package}; git clone -q https://example.invalid/x {package}; exit 1\n}}\n"
    )
    lake.build(lean, project, "demo", timeout=30)
    (project / ".lake" / "log").unlink()
    second = commit_more(package)
    error = refused(lean, project)
    assert (error.packages, error.head, error.revision) == (["doc-gen4"], second, first)
    assert first in str(error) and second in str(error) and "delete" in str(error)
    subprocess.run(error.hint, shell=True, check=True, capture_output=True)
    lake.build(lean, project, "refused", timeout=30)
    assert lake_runs(project) == ["build refused"] and package.is_dir()


def test_a_package_that_is_no_checkout_is_left_alone(lean, tmp_path):
    project = make_project(tmp_path / "project")
    head = make_repository(tmp_path / "other")
    write_manifest(project, [git_entry("copied", head)])
    (project / ".lake" / "packages" / "copied").mkdir(parents=True)
    git(project, "init", "-q")  # git in the package's directory answers for the project
    error = refused(lean, project)
    assert "is no git checkout" in str(error) and error.packages == ["copied"]
    (project / ".lake" / "packages" / "copied" / ".git").mkdir()
    assert "no commit that git names" in str(refused(lean, project)) or "is at commit" in str(refused(lean, project))


def test_git_as_lake_would_run_it_has_the_last_word(lean, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    head = make_repository(project / ".lake" / "packages" / "a")
    write_manifest(project, [git_entry("a", head)])
    lake.build(lean, project, "demo", timeout=30)
    (project / ".lake" / "log").unlink()
    # A checkout of somebody else, which git does not trust.
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    words = "fatal: detected dubious ownership in repository; add it to safe.directory"
    script(tmp_path / "toolchain" / "bin" / "git", f"#!/bin/sh\necho '{words}' >&2\nexit 128\n")
    error = refused(lean, project)
    assert "dubious ownership" in str(error) and error.hint.startswith("git config --global --add safe.directory ")
    script(tmp_path / "toolchain" / "bin" / "git", f"#!/bin/sh\necho {head}\n")
    lake.build(lean, project, "other", timeout=30)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_checkout_of_another_user_is_left_alone(lean, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    project = make_project(tmp_path / "project")
    package = project / ".lake" / "packages" / "a"
    write_manifest(project, [git_entry("a", make_repository(package))])
    for path in (package, *package.rglob("*")):
        os.chown(path, 12345, 12345)
    error = refused(lean, project)
    assert "dubious ownership" in str(error)
    subprocess.run(error.hint, shell=True, check=True)
    lake.build(lean, project, "demo", timeout=30)


def test_without_git_lake_would_delete_every_package(lean, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    head = make_repository(project / ".lake" / "packages" / "a")
    write_manifest(project, [git_entry("a", head)])
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "no git on PATH" in str(refused(lean, project))


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("lakefile.toml", '[[require]]\nname = "mathlib"\nscope = "leanprover-community"\n', ["mathlib"]),
        ("lakefile.toml", '[[require]]\nname = "a"\ngit = "https://example.org/a"\n', ["a"]),
        ("lakefile.lean", 'require "leanprover" / «doc-gen4» @ git "main"\n', ["doc-gen4"]),
        ("lakefile.lean", 'require a from git "https://example.org/a" @ "main"\nlean_lib A\n', ["a"]),
        ("lakefile.lean", "require a from FilePath.mk place\n", ["a"]),
        ("lakefile.lean", 'require near from ".." / "near"\n', ["far"]),
        ("lakefile.toml", '[[require]]\nname = "near"\npath = "../near"\n', ["far"]),
    ],
)
def test_without_a_manifest_nothing_is_resolved(lean, tmp_path, file, text, names):
    project = make_project(tmp_path / "project")
    (project / "lakefile.toml").unlink()
    (project / file).write_text(text)
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "lakefile.lean").write_text('-- require x\nrequire "who" / far\n')
    error = refused(lean, project)
    assert error.packages == names and error.hint == f"cd {project} && lake update"


def test_packages_at_a_path_need_no_manifest(lean, tmp_path):
    project = make_project(tmp_path / "project")
    (project / "lakefile.toml").write_text('[[require]]\nname = "near"\nsource = {type = "path", dir = "../near"}\n')
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "lakefile.toml").write_text('[[require]]\nname = "project"\npath = "../project"\n')
    lake.build(lean, project, "demo", timeout=30)
    write_manifest(project, [{"type": "path", "name": "near", "dir": "../gone", "inherited": False}])
    with pytest.raises(lw.errors.BuildFailed, match=r"near has to be in .*gone"):
        lake.build(lean, project, "demo", timeout=30)


# -- the environment --

OF_ANOTHER_LAKE = {
    "LAKE": "/other/bin/lake",
    "LAKE_HOME": "/other",
    "LAKE_CACHE_DIR": "/other/cache",
    "LAKE_PKG_URL_MAP": "{}",
    "LAKE_INVALID_CONFIG": "error: it was broken",
    "LAKE_OVERRIDE_LEAN": "true",
    "LAKE_NO_CACHE": "false",
    "LEAN": "/other/bin/lean",
    "LEAN_SYSROOT": "/other",
    "LEAN_GITHASH": "f" * 40,
    "LEAN_AR": "/other/bin/ar",
    "LEAN_CC": "/other/bin/clang",
    "LEAN_PATH": "/other/lib",
    "LEAN_SRC_PATH": "/other/src",
    "ELAN": "elan",
    "ELAN_TOOLCHAIN": "leanprover/lean4:v4.0.0",
    "GIT_DIR": "/other/.git",
    "GIT_WORK_TREE": "/other",
    "GIT_INDEX_FILE": "/other/.git/index",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def test_nothing_of_another_lake_reaches_ours(lean, tmp_path, monkeypatch):
    for name, value in OF_ANOTHER_LAKE.items():
        monkeypatch.setenv(name, value)
    foreign = tmp_path / "foreign" / "lib"
    foreign.mkdir(parents=True)
    (foreign / "libleanshared.so").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{foreign}{os.pathsep}/usr/lib/mine")
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "elan"))
    monkeypatch.setenv("LAKE_ARTIFACT_CACHE", "true")
    project = make_project(tmp_path / "project", behaviour='env > "$PWD/.lake/seen"')
    lake.build(lean, project, "demo", timeout=30)
    seen = dict(line.split("=", 1) for line in (project / ".lake" / "seen").read_text().splitlines() if "=" in line)
    wanted = {
        "LAKE_NO_CACHE": "1",
        "LEAN_SYSROOT": str(lean.prefix),
        "ELAN_HOME": str(tmp_path / "elan"),
        "LAKE_ARTIFACT_CACHE": "true",
        "LAKE_RESTORE_ARTIFACTS": "true",
        "LD_LIBRARY_PATH": "/usr/lib/mine",
        "GIT_ALLOW_PROTOCOL": "file",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert not (OF_ANOTHER_LAKE.keys() - wanted.keys()) & seen.keys()
    monkeypatch.setenv("LEAN_WORKER_PASS_ENV", "LEAN_CC,LAKE_CACHE_*")
    env = lake.environment(lean)
    assert (env["LEAN_CC"], env["LAKE_CACHE_DIR"]) == ("/other/bin/clang", "/other/cache")
