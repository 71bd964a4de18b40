"""Functions and programs whose files change while a pool lives: the next lease runs what they are now."""

from __future__ import annotations

import sys

import pytest

import lean_worker as lw

CALL = lw.JsonCommand("f", response=int)


@pytest.mark.parametrize("layout", ["module", "helper", "package"])
def test_an_edit_is_noticed_at_the_next_lease(tmp_path, layout):
    functions = "from {0} import VALUE\ndef f(request):\n    return VALUE\nCOMMANDS = {{'f': f}}\n"
    if layout == "package":
        (tmp_path / "served").mkdir()
        (tmp_path / "served" / "__init__.py").write_text(functions.format("served.values"))
        edited = tmp_path / "served" / "values.py"
    elif layout == "helper":
        (tmp_path / "served.py").write_text(functions.format("values"))
        edited = tmp_path / "values.py"
    else:
        edited = tmp_path / "served.py"

    def edit(value):
        # Of another length each time: Python's own byte code knows a source by its size and its second.
        text = f"VALUE = {value}{' ' * value}\n"
        edited.write_text(text + (functions.format("math").replace("VALUE", "pi", 1) if layout == "module" else ""))

    capability = lw.PythonCapability("served:COMMANDS", path=[tmp_path])
    with lw.Pool(2) as pool:
        for value in (1, 2, 3):
            edit(value)
            with pool.lease(capability) as lease:
                assert lease.call(CALL) == value
            started = pool.snapshot().started
            with pool.lease(capability) as lease:  # nothing has changed
                assert lease.call(CALL) == value
            assert pool.snapshot().started == started
            outcomes = pool.map(CALL, range(20), capability=capability)
            assert {outcome.raise_for_error() for outcome in outcomes} == {value}


@pytest.mark.parametrize("found", ["inherited", "env", "working directory", "namespace before", "link", "path and env"])
def test_an_edit_is_noticed_wherever_the_module_was_found(tmp_path, monkeypatch, found):
    """A worker looks for it as Python's import does: in the working directory, `path`, and PYTHONPATH."""
    text = "COMMANDS = {{'f': lambda request: {}}}\n"
    home = tmp_path / "home"
    (home / "served").mkdir(parents=True)
    (home / "served" / "__init__.py").touch()
    edited = home / "served" / "functions.py"
    other = tmp_path / "other"
    (other / "served").mkdir(parents=True)  # without __init__.py: a package elsewhere goes first
    (other / "served" / "functions.py").write_text(text.format(-1))
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(home if found == "working directory" else tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, home, None, 3])  # import passes over all of these
    if found == "inherited":
        monkeypatch.setenv("PYTHONPATH", f"{other}:{home}")
    path = {"namespace before": [other, home], "link": ["link"], "path and env": [other]}.get(found, [])
    env = {"PYTHONPATH": str(home)} if found in ("env", "path and env") else {}
    capability = lw.PythonCapability("served.functions:COMMANDS", path=path, env=env)
    with lw.Pool() as pool:
        for value in (1, 2, 3):
            edited.write_text(text.format(f"{' ' * value}{value}"))  # byte code goes by size and second
            assert pool.call(capability, CALL) == value
            started = pool.snapshot().started
            assert pool.call(capability, CALL) == value and pool.snapshot().started == started


def test_a_program_that_was_replaced_is_noticed_at_the_next_lease(tmp_path):
    (tmp_path / "served.py").write_text("import os\nCOMMANDS = {'f': lambda request: int(os.environ['VALUE'])}\n")
    program = tmp_path / "program"
    capability = lw.ProcessCapability([str(program)], env={"PYTHONPATH": str(tmp_path)})
    with lw.Pool(2) as pool:
        for value in (1, 2, 3):
            command = f"{sys.executable} -P -m" if sys.version_info >= (3, 11) else f"{sys.executable} -m"
            program.write_text(f"#!/bin/sh\nVALUE={value} exec {command} lean_worker.child python served:COMMANDS\n")
            program.chmod(0o755)
            with pool.lease(capability) as lease:
                assert lease.call(CALL) == value


def test_an_edit_makes_no_item_of_a_job_due_again(tmp_path):
    """The program that runs the job often lies beside its functions."""
    (tmp_path / "served.py").write_text("def rows(request):\n    yield {'n': request}\nCOMMANDS = {'rows': rows}\n")
    capability = lw.PythonCapability("served:COMMANDS", path=[tmp_path])
    with lw.Pool(1) as pool:
        for text, ran in (("", 2), ("# edited\n", 0)):
            (tmp_path / "run_job.py").write_text(text)
            job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("rows"), capability, out=tmp_path / "out.jsonl")
            assert job.run(pool, [1, 2]).ran == ran
