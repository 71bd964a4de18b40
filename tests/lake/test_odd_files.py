"""Files of a project and of elan that are no files, or hold what nobody writes: an answer or a typed error, at once."""

from __future__ import annotations

import json
import os

import pytest

import lean_worker as lw
from fake_toolchain import make_elan, make_prefix

TOML = 'name = "a"\n[[lean_lib]]\nname = "A"\n'
GIT = {"type": "git", "name": "b", "url": "u", "rev": "r", "inherited": False}


def manifest(**changed):
    return json.dumps({"version": "1.1.0", "packagesDir": ".lake/packages", "packages": [], **changed}).encode()


def fifo(file):
    os.mkfifo(file)


def endless(file):
    file.symlink_to("/dev/zero")


def enormous(file):
    file.write_bytes(b"v4.9.0\n")
    os.truncate(file, 1 << 40)


ODD = [fifo, endless, enormous]


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "script.lean"
    file.write_text("prelude\nimport LeanWorker\nopen LeanWorker\ndef main : IO Unit := serve List.nil\n")
    return file


def look_at(project, script):
    """Whatever reads a project's files; each ends in an answer or a typed error. Returns the errors."""
    capability = lw.LeanCapability(script, project=project, toolchain="embedded")
    lakefile_only = lw.LeanCapability(script, project=project, toolchain="embedded", settings="lakefile")
    errors = []
    for look in (
        lambda: lw.lake.LakeProject.discover(project),
        lambda: capability.launch().key(),
        lambda: lakefile_only.launch().key(),
    ):
        try:
            look()
        except lw.LeanWorkerError as error:
            errors.append(error)
    return errors


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["lake-manifest.json", ".lake/package-overrides.json", "lakefile.lean", "A.lean"])
def test_a_projects_file_that_is_none(tmp_path, script, name, odd):
    project = tmp_path / "project"
    (project / ".lake").mkdir(parents=True)
    (project / "lakefile.toml").write_text(TOML)
    (project / "A.lean").write_text("")
    (project / "lake-manifest.json").write_bytes(manifest())
    (project / name).unlink(missing_ok=True)
    odd(project / name)
    errors = look_at(project, script)
    assert errors or name in ("lakefile.lean", "A.lean")


@pytest.mark.parametrize(
    ("toml", "written"),
    [
        ("a = " + "[" * 20_000, manifest()),
        (TOML.replace("[[", 'srcDir = "\\u0000"\n[[', 1), manifest()),
        (TOML.replace("[[", 'buildDir = "\\u0000"\n[[', 1), manifest()),
        (TOML.replace("[[", f'buildDir = "{"z" * 5000}"\n[[', 1), manifest()),
        (TOML, b"[" * 200_000),
        (TOML, manifest(packagesDir="\0", packages=[GIT])),
        (TOML, manifest(packages=[{**GIT, "name": "a\0b"}])),
        (TOML, manifest(packages=[{**GIT, "name": "a" * 5000}])),
        (TOML, manifest(packages=[{**GIT, "subDir": "\0"}])),
        (TOML, manifest(packages=[{**GIT, "configFile": "\0"}])),
        (TOML, b'{"version":"1.1.0","packages":[{"type":"path","name":"b","dir":"\\ud800","inherited":false}]}'),
    ],
)
def test_paths_that_no_file_can_have_and_bottomless_values(tmp_path, script, toml, written):
    (tmp_path / "lakefile.toml").write_text(toml)
    (tmp_path / "A.lean").write_text("")
    (tmp_path / "lake-manifest.json").write_bytes(written)
    assert look_at(tmp_path, script)


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = make_elan(tmp_path / "elan", "leanprover--lean4---v4.9.0")
    monkeypatch.setenv("ELAN_HOME", str(home))
    monkeypatch.setenv("LEAN_SYSROOT", str(make_prefix(tmp_path / "prefix")))
    monkeypatch.delenv("ELAN_TOOLCHAIN", raising=False)
    return home


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["lean-toolchain", "settings.toml"])
def test_elans_file_that_is_none(home, tmp_path, name, odd):
    project = tmp_path / "project"
    project.mkdir()
    file = (home if name == "settings.toml" else project) / name
    odd(file)
    if name == "settings.toml" and file.is_file():  # enormous
        with pytest.raises(lw.errors.ToolchainMissing, match="settings.toml cannot be read"):
            lw.toolchains.resolve(project=project)
    else:
        assert lw.toolchains.resolve(project=project).kind == "sysroot"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = " + b"[" * 20_000, b"[[["])
def test_elans_settings_that_are_none(home, tmp_path, content):
    (home / "settings.toml").write_bytes(content)
    with pytest.raises(lw.errors.ToolchainMissing, match="settings.toml cannot be read") as caught:
        lw.toolchains.resolve(project=tmp_path)
    assert "Repair the file" in caught.value.hint
    (home / "settings.toml").write_text("overrides = [1]")
    assert lw.toolchains.resolve(project=tmp_path).kind == "sysroot"
