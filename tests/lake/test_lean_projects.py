"""Scripts that import a project's compiled modules: what loads, what is refused, in whose words, and when."""

from __future__ import annotations

import os
import shutil
import time

import pytest

import lean_worker as lw
from fake_toolchain import lake_runs, make_prefix, make_project
from lean_modules import compile_module, script_that_answers, text_module
from lean_worker.base import olean
from support import embedded_library

pytestmark = [pytest.mark.lean, pytest.mark.once]

ANSWER = lw.JsonCommand("answer")


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    monkeypatch.delenv("LEAN_PATH", raising=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with two compiled modules, the second of which imports the first; tests copy it."""
    project = tmp_path_factory.mktemp("project")
    modules = project / ".lake" / "build" / "lib" / "lean"
    compile_module(modules, "Demo.Base", text_module(name="Demo.base", value='"1"'))
    compile_module(modules, "Demo.Top", text_module("Demo.Base", name="Demo.top", value="Demo.base"))
    return project


@pytest.fixture
def project(built, tmp_path):
    return shutil.copytree(built, tmp_path / "project")


def modules_of(project):
    return project / ".lake" / "build" / "lib" / "lean" / "Demo"


def top(project, **options):
    path = script_that_answers(project / "Script.lean", "Demo.top", "Demo.Top")
    return lw.LeanCapability(path, project=project, toolchain="embedded", **options)


def answer(capability):
    with lw.Pool() as pool, pool.lease(capability) as lease:
        return lease.call(ANSWER)


def refusal(capability):
    with lw.Pool() as pool, pytest.raises(lw.errors.ModuleRefused) as caught:
        pool.lease(capability)
    return caught.value


def test_modules_of_a_project(project):
    assert answer(top(project)) == 1


def test_imports_from_another_workspace(project, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    path = script_that_answers(home / "Script.lean", "Demo.top")
    capability = lw.LeanCapability(path, project=home, workspace=project, imports=["Demo.Top"], toolchain="embedded")
    assert answer(capability) == 1
    assert capability.launch().cwd == str(home)


# -- what is refused --


def test_a_module_of_another_lean(project):
    file = modules_of(project) / "Base.olean"
    whole = bytearray(file.read_bytes())
    whole[7:40] = b"4.20.0".ljust(33, b"\0")
    whole[40:80] = b"0" * 40
    file.write_bytes(whole)
    error = refusal(top(project))
    assert error.reason == "incompatible" and error.file == str(file)
    assert "incompatible header" in error.stderr_tail
    assert "is of another Lean: 4.20.0, commit 000000000000" in error.text
    (finding,) = lw.checking.check_capability(top(project)).errors
    assert finding.code == "lean_worker.check.module_incompatible" and finding.subject == "Demo.Base"
    assert "written by Lean 4.20.0" in finding.message and "Lean 4.35.0" in finding.message


def test_a_module_that_is_missing(project):
    (modules_of(project) / "Top.olean").unlink()
    error = refusal(top(project))
    assert (error.reason, error.module) == ("missing", "Demo.Top")
    assert "of module Demo.Top does not exist" in error.stderr_tail
    assert lw.checking.check_capability(top(project)).errors[0].code == "lean_worker.check.module_missing"


def test_a_module_that_is_nowhere(project):
    path = script_that_answers(project / "Script.lean", '"1"', "Mathlib.Data")
    error = refusal(lw.LeanCapability(path, project=project, toolchain="embedded"))
    assert (error.reason, error.module) == ("missing", "Mathlib")
    assert "unknown module prefix 'Mathlib'" in error.stderr_tail


def test_what_is_no_module_file(project):
    (modules_of(project) / "Base.olean").write_bytes(b"no module" * 40)
    error = refusal(top(project))
    assert (error.reason, error.module) == ("damaged", "Demo.Base")


@pytest.mark.parametrize("kept", [0, 90, 200, 3000])
def test_a_module_that_is_cut_short(project, kept):
    """Lean dies of it without a word."""
    file = modules_of(project) / "Base.olean"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(lw.errors.ModuleRefused) as caught:
        top(project).launch()
    assert (caught.value.reason, caught.value.module, caught.value.file) == ("damaged", "Demo.Base", str(file))
    assert lw.checking.check_capability(top(project)).errors[0].code == "lean_worker.check.module_damaged"


def test_modules_that_import_each_other(project):
    """Lean never ends."""
    root = modules_of(project).parent
    compile_module(root, "Demo.Base", text_module("Demo.Top", name="Demo.other", value='"2"'))
    started = time.monotonic()
    error = refusal(top(project))
    assert time.monotonic() - started < 30
    assert error.reason == "cyclic"
    assert "Demo.Top imports Demo.Base imports Demo.Top" in error.text
    assert lw.checking.check_capability(top(project)).errors[0].code == "lean_worker.check.module_cyclic"


def test_a_module_that_was_built_before_what_it_imports(project):
    file = modules_of(project) / "Base.olean"
    later = (modules_of(project) / "Top.olean").stat().st_mtime + 10
    os.utime(file, (later, later))
    report = lw.checking.check_capability(top(project))
    (warning,) = [finding for finding in report.findings if finding.severity == "warning"]
    assert warning.code == "lean_worker.check.module_stale" and warning.subject == "Demo.Top"
    assert report.ok and "Demo.Base" in warning.message


def test_a_script_for_a_full_lean(tmp_path):
    path = tmp_path / "Full.lean"
    path.write_text("import LeanWorker\ndef main : IO Unit := LeanWorker.serve []\n")
    error = refusal(lw.LeanCapability(path, toolchain="embedded"))
    assert error.reason == "needs_init" and "unknown module prefix 'Init'" in error.stderr_tail
    report = lw.checking.check_capability(lw.LeanCapability(path, toolchain="embedded"))
    assert [finding.code for finding in report.errors] == ["lean_worker.check.script_needs_init"]


def test_a_project_for_another_lean(project):
    (project / "lean-toolchain").write_text("leanprover/lean4:v4.20.0\n")
    report = lw.checking.check_capability(top(project))
    (warning,) = [finding for finding in report.findings if finding.severity == "warning"]
    assert warning.code == "lean_worker.check.toolchain_differs"
    assert "asks for leanprover/lean4:v4.20.0" in warning.message and "Lean 4.35.0" in warning.message


def test_a_project_that_asks_for_nothing(project):
    (project / "lean-toolchain").write_text("\n")
    report = lw.checking.check_capability(top(project))
    (warning,) = [finding for finding in report.findings if finding.severity == "warning"]
    assert warning.code == "lean_worker.check.toolchain_differs" and "names no toolchain" in warning.message
    assert report.ok


def test_a_module_that_was_built_again_takes_a_new_worker(project):
    with lw.Pool(max_workers=2) as pool:
        with pool.lease(top(project)) as lease:
            assert lease.call(ANSWER) == 1
        with pool.lease(top(project)) as lease:
            assert lease.call(ANSWER) == 1
        assert pool.snapshot().started == 1
        root = modules_of(project).parent
        compile_module(root, "Demo.Base", text_module(name="Demo.base", value='"22"'))
        compile_module(root, "Demo.Top", text_module("Demo.Base", name="Demo.top", value="Demo.base"))
        with pool.lease(top(project)) as lease:
            assert lease.call(ANSWER) == 22
        assert pool.snapshot().started == 2


def test_a_lean_whose_files_are_of_an_unknown_form_is_left_to_itself(project, tmp_path):
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    (prefix / "lib" / "lean" / "Init.olean").write_bytes(b"olean\x09\x01" + bytes(200))
    (modules_of(project) / "Base.olean").write_bytes(b"olean\x09\x01" + bytes(100))
    path = project / "Script.lean"
    path.write_text("prelude\nimport Demo.Base\n")
    capability = lw.LeanCapability(path, project=project, toolchain=prefix)
    assert capability.modules(capability.resolve_toolchain(), [modules_of(project).parent]) is None
    capability.launch()
    embedded = lw.LeanCapability(path, project=project, toolchain="embedded")
    assert lw.checking.check_capability(embedded).errors[0].code == "lean_worker.check.module_incompatible"
    assert embedded.launch().content


# -- arguments, options, limits, native code --


def test_arguments_for_main(tmp_path):
    path = tmp_path / "Script.lean"
    path.write_text(
        "prelude\nimport LeanWorker\nopen LeanWorker\n"
        'def joined : List String → String\n  | List.nil => ""\n'
        '  | List.cons first rest => String.append first (String.append "|" (joined rest))\n'
        "def main (arguments : List String) : IO Unit :=\n"
        '  serve (List.cons { name := "answer", run := fun _ => return String.append "\\""'
        ' (String.append (joined arguments) "\\"") } List.nil)\n'
    )
    given = ["--run", "a b", "-x", "", "ä", "--"]
    capability = lw.LeanCapability(path, toolchain="embedded", arguments=given)
    assert answer(capability) == "--run|a b|-x||ä|--|"
    assert answer(lw.LeanCapability(path, toolchain="embedded")) == ""


def test_options_reach_lean(tmp_path):
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    hosted = lw.LeanCapability(path, toolchain="embedded", options={"maxRecDepth": 700, "pp.all": True}, threads=2)
    assert answer(hosted) == 1
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="unknown configuration option 'no.such'"):
        pool.lease(lw.LeanCapability(path, toolchain="embedded", options={"no.such": 1}))
    path.write_text(path.read_text() + 'def deep : String := id (id (id (id (id (id (id (id "x")))))))\n')
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="maximum recursion depth"):
        pool.lease(lw.LeanCapability(path, toolchain="embedded", options={"maxRecDepth": 8}))


def test_lean_s_own_memory_limit(tmp_path):
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    assert answer(lw.LeanCapability(path, toolchain="embedded", memory_mib=4000)) == 1
    path.write_text(
        path.read_text() + "def twice (s : String) : Nat → String\n  | Nat.zero => s\n"
        "  | Nat.succ n => twice (String.append s s) n\n"
    )
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="excessive memory consumption"):
        pool.lease(lw.LeanCapability(path, toolchain="embedded", memory_mib=1))


def test_native_libraries_are_loaded(tmp_path):
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    library = tmp_path / "libDemo.so"
    library.write_bytes((embedded_library().parent / "libInit_shared.so").read_bytes())
    assert answer(lw.LeanCapability(path, toolchain="embedded", native_libraries=[library])) == 1
    library.write_bytes(b"no library")
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match=r"error loading library"):
        pool.lease(lw.LeanCapability(path, toolchain="embedded", native_libraries=[library]))
    library.unlink()
    with pytest.raises(lw.CapabilityError, match="native library .* does not exist"):
        lw.LeanCapability(path, toolchain="embedded", native_libraries=[library]).launch()


@pytest.mark.parametrize(
    "wrong",
    [
        {"arguments": "one"},
        {"native_libraries": "one"},
        {"memory_mib": 0},
        {"threads": True},
        {"options": {"a b": 1}},
        {"options": {"a=b": 1}},
        {"build": "Demo"},
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(lw.UsageError):
        lw.LeanCapability("Script.lean", **wrong)


# -- building first --


def test_a_project_is_built_before_it_is_opened(tmp_path):
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    project = make_project(tmp_path / "project")
    lines = []
    path = script_that_answers(project / "Script.lean", '"1"')
    capability = lw.LeanCapability(path, project=project, toolchain=prefix, build="demo", on_build=lines.append)
    with lw.Pool(max_workers=2) as pool:
        for expected in (1, 2):
            with pool.lease(capability) as lease, pool.lease(capability) as other:
                assert lease.call(ANSWER) == other.call(ANSWER) == 1
            assert lake_runs(project).count("build demo") == expected
            (project / "Source.lean").write_text("def one : Nat := 2\n")
        assert pool.snapshot().started == 4
    assert lines[:2] == ["[1/2] Building demo", "Build completed successfully."]
    (project / "behaviour").write_text("echo error: no >&2; exit 1\n")
    with lw.Pool() as pool, pytest.raises(lw.errors.BuildFailed, match="error: no"):
        pool.lease(capability)
    report = lw.checking.check_capability(capability)
    assert [finding.code for finding in report.errors] == ["lean_worker.check.build_failed"]
    assert "error: no" in report.errors[0].message


def test_the_file_format_is_read_as_lean_reads_it(built):
    for name, imports in (("Base", ["LeanWorker"]), ("Top", ["LeanWorker", "Demo.Base"])):
        file = modules_of(built) / f"{name}.olean"
        assert olean.read_imports(file) == imports
        assert olean.read_header(file).version == "4.35.0"


def test_no_cut_of_a_module_file_goes_unnoticed(built, tmp_path):
    whole = (modules_of(built) / "Base.olean").read_bytes()
    cut = tmp_path / "Cut.olean"
    for length in range(0, len(whole), 61):
        cut.write_bytes(whole[:length])
        with pytest.raises(olean.BadModuleFile):
            olean.read_imports(cut)
