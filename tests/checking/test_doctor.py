"""`lean-worker doctor CAPABILITY` and `run --build`, as processes: what is printed, and the exit code."""

from __future__ import annotations

import json

import pytest

from fake_toolchain import lake_runs, make_prefix, make_project
from lean_modules import script_that_answers
from test_cli import ENV, cli

FINDING_KEYS = {"code", "severity", "subject", "message", "hint"}


@pytest.fixture(autouse=True)
def no_elan(tmp_path, monkeypatch):
    monkeypatch.setitem(ENV, "ELAN_HOME", str(tmp_path / "no-elan"))


def test_a_python_registry_that_can_be_hosted():
    outcome = cli("doctor", "python:functions:COMMANDS", "--doctor", "doctor", "--json")
    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert report["ok"] is True
    assert [finding["code"] for finding in report["findings"]] == ["lean_worker.check.opened", "ok"]
    assert all(set(finding) == FINDING_KEYS for finding in report["findings"])


def test_what_cannot_be_hosted_is_exit_code_1_with_a_hint(tmp_path):
    outcome = cli("doctor", "python:no_such_module:COMMANDS")
    assert outcome.returncode == 1
    assert "error   lean_worker.check.cannot_be_hosted" in outcome.stdout and "No module named" in outcome.stdout
    outcome = cli("doctor", str(tmp_path / "None.lean"))
    assert outcome.returncode == 1
    assert "lean_worker.check.script_missing" in outcome.stdout and "hint: Give the path" in outcome.stdout
    assert cli("doctor", "script.txt").returncode == 2


@pytest.mark.lean
def test_a_script(tmp_path):
    script = script_that_answers(tmp_path / "Script.lean", '"1"')
    report = json.loads(cli("doctor", str(script), "--toolchain", "embedded", "--json").stdout)
    assert [finding["code"] for finding in report["findings"]] == [
        "lean_worker.check.toolchain",
        "lean_worker.check.opened",
    ]
    script.write_text(script.read_text().replace("answer", "nothing", 1))
    outcome = cli("doctor", str(script), "--toolchain", "embedded")
    assert outcome.returncode == 1 and "Unknown identifier `answer`" in outcome.stdout


@pytest.mark.lean
@pytest.mark.once
def test_a_project_is_built_first(tmp_path):
    prefix = make_prefix(tmp_path / "toolchain", real=True)
    project = make_project(tmp_path / "project")
    file = script_that_answers(project / "Script.lean", '"1"')
    file.write_text(file.read_text().replace('name := "answer"\n', 'name := "answer"\n  emits := Bool.true\n'))
    script = str(file)
    options = ["--project", str(project), "--toolchain", str(prefix), "--build", "demo"]
    outcome = cli("run", script, "answer", *options)
    assert outcome.returncode == 0, outcome.stderr
    codes = [finding["code"] for finding in json.loads(cli("doctor", script, *options, "--json").stdout)["findings"]]
    assert codes[:2] == ["lean_worker.check.toolchain", "lean_worker.check.built"]
    assert codes[-1] == "lean_worker.check.opened"
    (project / "Source.lean").write_text("def one : Nat := 2\n")
    (project / "behaviour").write_text("echo 'error: it does not compile'; exit 1\n")
    outcome = cli("doctor", script, *options)
    assert outcome.returncode == 1
    assert "lean_worker.check.build_failed" in outcome.stdout and "it does not compile" in outcome.stdout
    outcome = cli("run", script, "answer", *options)
    assert outcome.returncode == 1 and "it does not compile" in outcome.stderr
    assert "build --no-build demo" in lake_runs(project)
