"""`lean-worker selftest`: what works is ✔, what is broken is ✘, and nobody is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from fake_toolchain import make_prefix, make_project, script
from lean_modules import compile_module, text_module
from lean_worker.selftest import registry, report, texts
from olean_files import write_graph, write_olean
from support import CAN_HOLD

pytestmark = [pytest.mark.lean, pytest.mark.once]

# All but script.overflow, which prints a million lines; tests/hosting/test_lean_host.py has that case.
QUICK = [
    "lean",
    "script.plain",
    "script.module",
    "script.panic",
    "script.cancel",
    "script.time_limit",
    "script.typed",
    "worker",
    "check",
    "extract",
]


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAN_HOME", str(tmp_path / "no-elan"))
    monkeypatch.delenv("LEAN_PATH", raising=False)


def states(*only: str, toolchain: str | Path = "embedded", project: Path | None = None) -> dict[str, str]:
    lines = report.run(os.fspath(toolchain), project, only=only).lines
    return {line.name: line.state for line in lines}


def test_the_embedded_lean_passes():
    argv = [sys.executable, "-m", "lean_worker.cli", "selftest", "--toolchain", "embedded", "--json"]
    for name in QUICK:
        argv += ["--only", name]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["ok"] is True
    found = {line["name"]: line["state"] for line in answer["checks"]}
    needs_library = {"lean.commit", "lean.modules", "lean.solver", "check.solver"}
    assert {name for name, state in found.items() if state == "skipped"} == needs_library
    assert all(line["meaning"] and (line["figure"] or line["state"] == "skipped") for line in answer["checks"])


def test_lines_for_people_and_the_exit_code(tmp_path):
    prefix = make_prefix(tmp_path / "toolchain")  # its library is an empty file
    argv = [sys.executable, "-m", "lean_worker.cli", "selftest", "--toolchain", str(prefix)]
    ended = subprocess.run([*argv, "--only", "lean"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout.startswith("✘ lean.found") and "– lean.commit" in ended.stdout
    assert str(tmp_path) not in ended.stdout
    ended = subprocess.run([*argv, "--only", "nothing"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "none is called 'nothing'" in ended.stderr


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_forked_workers_that_the_system_refuses_are_no_error():
    """PR_SET_MDWE, which services have as MemoryDenyWriteExecute, refuses the change of Lean's code."""
    program = (
        "import ctypes, sys\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"
        "from lean_worker.selftest import report\n"
        "line = report.run('embedded', only=['worker.forked']).lines[0]\n"
        "print(line.state, line.figure, line.meaning)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    if ended.returncode == 77:
        pytest.skip("this kernel knows no PR_SET_MDWE")
    assert ended.stdout.startswith("passed not here"), ended.stdout + ended.stderr
    assert "Lean's code" in ended.stdout and "each worker imports" in ended.stdout


# -- what is broken is found --


def test_a_lean_that_is_no_full_one(tmp_path):
    """It has an Init, and that holds nothing: no script and no file works."""
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    modules = prefix / "lib" / "lean"
    write_olean(modules / "Init.olean", ["Init.Prelude"], version="4.35.0-pre")
    write_olean(modules / "Init" / "Prelude.olean")
    found = states("lean", "script.plain", "script.typed", "check.verdicts", "check.imports", toolchain=prefix)
    assert found["lean.found"] == found["lean.commit"] == found["lean.modules"] == "passed"
    assert found["lean.solver"] == "skipped"
    assert {found[name] for name in ("script.plain", "script.typed", "check.verdicts", "check.imports")} == {"failed"}
    (modules / "Init" / "Prelude.olean").write_bytes((modules / "Init" / "Prelude.olean").read_bytes()[:100])
    (line,) = report.run(str(prefix), only=["lean.modules"]).lines
    assert line.state == "failed" and "Prelude.olean" in line.meaning


@pytest.mark.parametrize(
    ("check", "old", "new", "words"),
    [
        ("script.plain", "selftestEach 0 1000", "selftestEach 0 999", "got 999"),
        ("script.module", "selftestEach 0 1000", "selftestEach 1 1001", "expected 1000 numbered rows"),
        (
            "script.panic",
            'row "rows" (panic (String.append "selftest panic " request))',
            'row "rows" "1"',
            "succeeded with the rows",
        ),
        (
            "script.panic",
            '(String.append "selftest panic " request)',
            '"something"',
            "the panic's own words are missing",
        ),
        ("script.overflow", "selftestDescend 0\n", "pure 0\n", "succeeded with the rows"),
        ("script.cancel", "selftestEach 1 0", "selftestEach 1 50", "came to an end"),
        ("script.time_limit", "selftestEach 1 0", "selftestEach 1 5", "came to an end"),
    ],
)
def test_a_lean_that_does_something_else(monkeypatch, check, old, new, words):
    """The hosted script itself behaves as a broken Lean would."""
    assert old in texts._COMMANDS
    monkeypatch.setattr(texts, "_COMMANDS", texts._COMMANDS.replace(old, new))
    (line,) = report.run("embedded", only=[check]).lines
    assert line.state == "failed" and words in line.meaning, line.meaning


@pytest.mark.parametrize(
    ("check", "name", "text", "words"),
    [
        (
            "check.verdicts",
            "_WRONG",
            "theorem selftest (p : Prop) (h : p) : p := h\n",
            "expected rejected, got accepted",
        ),
        ("check.verdicts", "_GOOD", "theorem selftest (p : Prop) : p := h\n", "expected accepted, got rejected"),
        ("check.options", "_AUTO", "theorem selftest (p : Prop) (h : p) : p := h\n", "autoImplicit=false"),
    ],
)
def test_verdicts_that_are_wrong(monkeypatch, check, name, text, words):
    from lean_worker.selftest import file_checks

    monkeypatch.setattr(file_checks, name, text)
    (line,) = report.run("embedded", only=[check]).lines
    assert line.state == "failed" and words in line.meaning, line.meaning


# -- a project --


@pytest.fixture
def project(tmp_path):
    """A project of the embedded Lean with two built modules, and Lake as far as it is asked."""
    project = make_project(tmp_path / "project")
    (project / "lakefile.toml").write_text(
        'name = "demo"\nleanOptions = { autoImplicit = false }\n\n[[lean_lib]]\nname = "Demo"\n'
    )
    table = {"name": "Demo", "isModule": False, "importArts": {}, "dynlibs": [], "plugins": []}
    for answer, value in (("answer", False), ("lie", True)):
        (project / answer).write_text(json.dumps({**table, "options": {"autoImplicit": value}}))
    (project / "setup").write_text("cat answer\necho\n")
    modules = project / ".lake" / "build" / "lib" / "lean"
    for name, text in {
        "Demo.Base": text_module(name="Demo.base", value='"1"'),
        "Demo": text_module("Demo.Base", name="Demo.top", value="Demo.base"),
    }.items():
        compile_module(modules, name, text)
        source = project / Path(*name.split(".")).with_suffix(".lean")
        source.parent.mkdir(exist_ok=True)
        source.write_text(text)
    return project


def test_a_project_that_is_well(project, tmp_path):
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    lines = {line.name: line for line in report.run(str(prefix), project, only=["project"]).lines}
    assert {line.state for line in lines.values()} == {"passed"}, lines
    assert lines["project.modules"].figure == "2 modules" and "2 of them are built" in lines["project.modules"].meaning
    assert "Demo, with 2 modules" in lines["project.import"].meaning and "MiB" in lines["project.import"].meaning
    assert "2 modules in" in lines["project.plan"].meaning and lines["project.settings"].figure == "1 options"
    assert not any(str(tmp_path) in line.meaning + line.figure for line in lines.values())


def test_a_project_without_lake_and_one_that_is_not_built(project):
    found = states("project", project=project)
    assert found["project.search_path"] == "skipped" and found["project.import"] == "passed"
    for file in (project / ".lake").rglob("*.olean"):
        file.unlink()
    assert states("project.import", project=project) == {"project.import": "skipped"}
    for file in project.glob("**/*.lean"):
        file.unlink()
    assert states("project.modules", project=project) == {"project.modules": "failed"}


def test_a_lake_that_says_something_else(project, tmp_path):
    prefix = make_prefix(tmp_path / "toolchain", real=True, lake=False)
    (tmp_path / "hidden").mkdir()
    script(prefix / "bin" / "lake", f'#!/bin/sh\nshift\nLEAN_PATH="{tmp_path / "hidden"}" exec "$@"\n')
    (line,) = report.run(str(prefix), project, only=["project.search_path"]).lines
    assert line.state == "failed" and "hidden" in line.meaning
    (project / "setup").write_text("cat lie\necho\n")
    other = make_prefix(tmp_path / "other", real=True)
    (line,) = report.run(str(other), project, only=["project.settings"]).lines
    assert line.state == "failed" and "differ in autoImplicit" in line.meaning


def test_a_project_whose_modules_are_damaged(project):
    write_graph(project / ".lake" / "build" / "lib" / "lean", 3, 0)
    file = project / ".lake" / "build" / "lib" / "lean" / "Demo" / "Base.olean"
    file.write_bytes(file.read_bytes()[:500])
    (line,) = report.run("embedded", project, only=["project.import"]).lines
    assert line.state == "failed" and "Demo.Base" in line.meaning


# -- the frame around the checks --


def test_a_check_that_raises_anything_is_a_line(monkeypatch):
    monkeypatch.setattr(registry, "CHECKS", {})
    monkeypatch.setattr(report, "CHECKS", registry.CHECKS)
    monkeypatch.setattr(report, "MODULES", ())
    raised = [
        registry.Skipped("not here"),
        registry.Failed("wrong"),
        lw.CapabilityError("no Lean", hint="get one", stderr_tail="last words"),
        ZeroDivisionError("by zero"),
        RecursionError("too deep"),
    ]

    def register(i, error):
        def fails(setting):
            raise error

        registry.check(f"made.check{i}", "something")(fails)

    for i, error in enumerate(raised):
        register(i, error)
    registry.check("made.last", "something")(lambda setting: registry.Found("1", "well"))
    lines = report.run("embedded").lines
    assert [line.state for line in lines] == ["skipped", *["failed"] * 4, "passed"]
    assert "get one" in lines[2].meaning and "last words" in lines[2].meaning
    assert "ZeroDivisionError: by zero" in lines[3].meaning
    assert [line.name for line in report.run("embedded", only=["made.last"]).lines] == ["made.last"]


def test_nobody_is_named(monkeypatch, tmp_path):
    home = tmp_path / "homes" / "ada"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "lovelace")
    monkeypatch.setattr("socket.gethostname", lambda: "engine.example.org")
    scrub = report.Scrubber(tmp_path / "projects" / "secret-project")
    text = (
        f"{home}/.elan/x {home} {tmp_path}/projects/secret-project/A.lean:3 on engine.example.org (engine), "
        "/home/babbage/lib, /Users/menabrea/y; lovelace@engine Lovelace, ada's; adamant, /data/ada_x/lovelace-y"
    )
    shown = scrub(text)
    for name in ("babbage", "menabrea", "lovelace", "Lovelace", "example", "secret", str(tmp_path), " ada"):
        assert name not in shown.replace("adamant", ""), (name, shown)
    assert (
        "~/.elan/x" in shown and "PROJECT/A.lean:3" in shown and "adamant" in shown and "/data/USER_x/USER-y" in shown
    )
