"""The environment of Lean code: its own programs, source text, and what becomes of a panic."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import lean_worker as lw
from fake_toolchain import make_prefix, script
from lean_modules import script_that_answers
from lean_worker.checking.files import _Checker
from lean_worker.lake import paths as lake_paths
from lean_worker.verification.capabilities import Compiler, Verifier
from support import HOSTS

PANIC = "LEAN_ABORT_ON_PANIC"


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    for name in ("LEAN_PATH", "LEAN_SRC_PATH", PANIC, "LEAN_BACKTRACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def prefix(tmp_path):
    """A toolchain with a solver and source text."""
    prefix = make_prefix(tmp_path / "toolchain", real=True, lake=False)
    script(prefix / "bin" / "cadical", "#!/bin/sh\necho the solver of this toolchain >&2\n")
    (prefix / "src" / "lean" / "lake").mkdir(parents=True)
    return prefix


@pytest.fixture
def project(tmp_path):
    project = tmp_path / "project"
    for directory in (project, project / ".lake" / "packages" / "other"):
        (directory / ".lake" / "build" / "lib" / "lean").mkdir(parents=True)
    return project


def lean(project, prefix, **options):
    path = script_that_answers(project / "Script.lean", '"1"')
    return lw.LeanCapability(path, project=project, toolchain=prefix, **options)


def environments(project, prefix):
    """Of a worker that hosts a script, and of one that checks files."""
    yield lean(project, prefix).launch().env
    yield _Checker(project, prefix, None).launch().env


def test_the_toolchain_s_programs_come_first(project, prefix, monkeypatch, tmp_path):
    other = script(tmp_path / "other" / "cadical", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    for env in environments(project, prefix):
        assert shutil.which("cadical", path=env["PATH"]) == str(prefix / "bin" / "cadical")
        assert env["PATH"].split(os.pathsep)[1:] == os.environ["PATH"].split(os.pathsep)
    own = lean(project, prefix, env={"PATH": str(other.parent)}).launch().env
    assert own["PATH"] == f"{other.parent}{os.pathsep}{prefix / 'bin'}"
    assert lw.LeanCapability(project / "Script.lean", toolchain="embedded").launch().env["PATH"] == os.environ["PATH"]


def test_source_text_of_project_packages_and_toolchain(project, prefix, monkeypatch):
    expected = [
        project,
        project / ".lake" / "packages" / "other",
        prefix / "src" / "lean" / "lake",
        prefix / "src" / "lean",
    ]
    for env in environments(project, prefix):
        assert env["LEAN_SRC_PATH"].split(os.pathsep) == [str(path) for path in expected]
    monkeypatch.setenv("LEAN_SRC_PATH", "/mine")
    for env in environments(project, prefix):
        assert env["LEAN_SRC_PATH"].split(os.pathsep) == [*map(str, expected), "/mine"]
    assert lean(project, prefix, env={"LEAN_SRC_PATH": "/only"}).launch().env["LEAN_SRC_PATH"] == "/only"


def test_no_source_text_is_no_variable(tmp_path):
    """Set to nothing, it would stand for the working directory."""
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    assert "LEAN_SRC_PATH" not in lw.LeanCapability(path, toolchain="embedded").launch().env


@pytest.mark.lean
def test_the_solver_can_be_run_in_a_sandbox(project, prefix, tmp_path):
    """A library that Lean loads runs it, as `bv_decide` does."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "solve.c"
    source.write_text('#include <stdlib.h>\n__attribute__((constructor)) void solve(void) { system("cadical"); }\n')
    library = tmp_path / "libSolve.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    path = project / "Script.lean"
    path.write_text("prelude\nimport LeanWorker\ndef main : IO Unit := LeanWorker.no\n")
    for sandbox in (None, lw.Sandbox(readable=[library])):
        capability = lw.LeanCapability(
            path, project=project, toolchain=prefix, native_libraries=[library], sandbox=sandbox
        )
        with lw.Pool() as pool, pytest.raises(lw.LeanWorkerError) as caught:
            pool.lease(capability)
        if sandbox is not None and "locking a worker in" in str(caught.value.facts.get("stderr_tail", "")):
            pytest.skip("no sandbox here")
        assert "the solver of this toolchain" in caught.value.facts["stderr_tail"]


def test_workers_that_verify_have_what_those_that_check_have(project, prefix):
    checks = _Checker(project, prefix, None).launch().env
    compiles = Compiler(Verifier(project, str(prefix)), None).launch().env
    for name in ("PATH", "LEAN_SRC_PATH"):
        assert compiles[name] == checks[name]


# -- panics --


def capabilities(tmp_path, env):
    path = script_that_answers(tmp_path / "Script.lean", '"1"')
    yield lw.LeanCapability(path, toolchain="embedded", env=env)
    yield lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env=env)
    yield lw.ProcessCapability([sys.executable], env=env)
    yield lw.LinesCapability([sys.executable], env=env)


def test_a_panic_ends_every_kind_of_worker(tmp_path):
    for capability in capabilities(tmp_path, {}):
        env = capability.launch().env
        assert (env[PANIC], env["LEAN_BACKTRACE"]) == ("1", "0")


def test_the_caller_s_variables_come_first(tmp_path):
    for capability in capabilities(tmp_path, {PANIC: "yes", "LEAN_BACKTRACE": "1"}):
        env = capability.launch().env
        assert (env[PANIC], env["LEAN_BACKTRACE"]) == ("yes", "1")
    for capability in capabilities(tmp_path, {PANIC: "0"}):
        # Lean looks only whether it is set; the worker that hosts Lean takes it out itself.
        is_ours = isinstance(capability, lw.LeanCapability)
        assert capability.launch().env.get(PANIC) == ("0" if is_ours else None)


def test_a_foreign_program_gets_them(tmp_path):
    """A program that tells by the way it ends what it finds in its environment."""
    program = tmp_path / "child.py"
    program.write_text(
        "import os, sys\nprint('panic', os.environ.get('LEAN_ABORT_ON_PANIC'), file=sys.stderr)\nsys.exit(1)\n"
    )
    for env, word in (({}, "panic 1"), ({PANIC: ""}, "panic None")):
        with lw.Pool() as pool, pytest.raises(lw.LeanWorkerError) as caught:
            pool.lease(lw.ProcessCapability([sys.executable, str(program)], env=env))
        assert word in caught.value.facts["stderr_tail"]


@pytest.mark.lean
@pytest.mark.parametrize(("env", "expected"), [({}, "1"), ({PANIC: "0"}, None), ({PANIC: "x"}, "x")])
def test_what_a_script_s_process_has(tmp_path, env, expected):
    """Seen by a library that Lean loads: by then the worker has set its environment up."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "tell.c"
    source.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) void tell(void) {\n"
        '  const char *value = getenv("LEAN_ABORT_ON_PANIC");\n'
        '  fprintf(stderr, "panic: %s\\n", value ? value : "unset");\n}\n'
    )
    library = tmp_path / "libTell.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    path = tmp_path / "Script.lean"
    path.write_text("prelude\nimport LeanWorker\ndef main : IO Unit := LeanWorker.no\n")
    with lw.Pool() as pool, pytest.raises(lw.LeanWorkerError) as caught:
        pool.lease(lw.LeanCapability(path, toolchain="embedded", native_libraries=[library], env=env))
    assert f"panic: {expected or 'unset'}" in caught.value.facts["stderr_tail"]


def test_source_directories_of_libraries(project):
    (project / "theories").mkdir()
    (project / "lakefile.toml").write_text(
        'name = "demo"\nsrcDir = "theories"\n\n[[lean_lib]]\nname = "Demo"\n\n[[lean_lib]]\nname = "Other"\nsrcDir = "more"\n'
    )
    (project / "theories" / "more").mkdir()
    expected = [project / "theories", project / "theories" / "more", project / ".lake" / "packages" / "other"]
    assert lake_paths.source_directories(project) == expected
    (project / "lakefile.toml").write_text("srcDir = [")
    assert lake_paths.source_directories(project)[0] == project
    (project / "lake-manifest.json").write_text("{")
    assert lake_paths.source_directories(project) == [project]
