"""Scripts and programs that change while workers of them start, run or are replaced: no worker passes for another one."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from lean_modules import compile_module, script_that_answers, text_module
from lean_worker.hosting.launch import Launch
from support import wait_until

VALUE = lw.JsonCommand("value", None, int)
ROWS = lw.StreamingCommand("rows", None, dict[str, int])
PYTHON = """import time
def rows(request):
    time.sleep(0.02)
    yield {'value': VALUE}
COMMANDS = {'value': lambda request: VALUE, 'rows': rows}
"""
LEAN = """prelude
import LeanWorker
open LeanWorker
def value : Command where
  name := "value"
  run _ := return "VALUE"
def rows : Command where
  name := "rows"
  run _ := do
    row "rows" "{\\"value\\":VALUE}"
    return ""
def main : IO Unit := serve [value, rows]
"""

kinds = pytest.mark.parametrize(
    "kind",
    [
        "python",
        pytest.param("lean", marks=pytest.mark.lean),
        pytest.param("lean with imports", marks=pytest.mark.lean),
        "program",
    ],
)


class Edited:
    """A capability of one file whose commands answer a number, and who can edit it."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.text, name = (LEAN, "served.lean") if kind.startswith("lean") else (PYTHON, "served.py")
        self.file = directory / name
        self.capability: lw.Capability
        if kind == "python":
            self.capability = lw.PythonCapability("served:COMMANDS", path=[directory])
        elif kind == "program":
            program = f"#!/bin/sh\nVALUE=NUMBER exec {sys.executable} -m lean_worker.child python hosted:COMMANDS\n"
            hosted = PYTHON.replace("VALUE", "int(os.environ['VALUE'])").replace("import time", "import os, time")
            (directory / "hosted.py").write_text(hosted)
            self.text, self.file = program.replace("VALUE=NUMBER", "VALUE=VALUE", 1), directory / "program"
            self.capability = lw.ProcessCapability([str(self.file)], env={"PYTHONPATH": str(directory)})
        else:
            imports = ("LeanWorker",) if "imports" in kind else ()
            self.capability = lw.LeanCapability(self.file, toolchain="embedded", imports=imports)

    def edit(self, value: int) -> None:
        """Another file of the same name, as editors and version control make it."""
        new = self.file.with_name("new")
        # Python's own byte code knows a source by its size and its second.
        padding = "" if self.file.suffix != ".py" else f"# {'x' * (value % 97)}\n"
        text = self.text.replace("VALUE=VALUE", f"VALUE={value}") if self.file.suffix == "" else self.text
        if self.file.suffix == ".py":
            text = f"VALUE = {value}\n{padding}{text}"
        elif self.file.suffix == ".lean":
            text = text.replace("VALUE", str(value))
        new.write_text(text)
        new.chmod(0o755)
        new.replace(self.file)

    def ask(self, pool: lw.Pool) -> int:
        """The number that a worker of the pool answers."""
        with pool.lease(self.capability) as lease:
            return lease.call(VALUE)

    def start_seconds(self, pool: lw.Pool) -> float:
        """Seconds that a first worker takes to start and answer."""
        began = time.monotonic()
        self.ask(pool)
        return time.monotonic() - began


@kinds
def test_an_edit_that_is_taken_back(tmp_path: Path, kind: str) -> None:
    edited = Edited(tmp_path, kind)
    edited.edit(1)
    with lw.Pool(1) as pool:
        with pool.lease(edited.capability) as lease:
            assert lease.call(VALUE) == 1
            edited.edit(2)
            assert lease.call(VALUE) == 1  # a lease keeps its worker
            lease.cycle()
            assert lease.call(VALUE) == 2
        for value in (1, 2, 1):
            edited.edit(value)
            with pool.lease(edited.capability) as lease:
                assert lease.call(VALUE) == value


@kinds
def test_an_edit_at_any_moment_of_a_start_that_is_taken_back(tmp_path: Path, kind: str) -> None:
    edited = Edited(tmp_path, kind)
    values = itertools.count(100)

    with lw.Pool(2, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        edited.edit(next(values))
        seconds = edited.start_seconds(pool)
        for moment in range(10):
            before, after = next(values), next(values)
            edited.edit(before)
            found: list[int] = []
            asking = threading.Thread(target=lambda found=found: found.append(edited.ask(pool)))
            asking.start()
            time.sleep(seconds * moment / 8)  # the moment is what is tested, whatever it hits
            edited.edit(after)
            asking.join()
            assert found[0] in (before, after)
            assert edited.ask(pool) == after
            edited.edit(before)
            assert edited.ask(pool) == before


@kinds
def test_a_text_that_is_there_for_a_moment_only(tmp_path: Path, kind: str) -> None:
    """A worker that has read it passes for none of the text that was there before and after."""
    edited = Edited(tmp_path, kind)
    values = itertools.count(100)

    with lw.Pool(2, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        edited.edit(next(values))
        seconds = edited.start_seconds(pool)
        for moment in range(12):
            value, other = next(values), next(values)
            edited.edit(value)
            found: list[int] = []
            asking = threading.Thread(target=lambda found=found: found.append(edited.ask(pool)))
            asking.start()
            time.sleep(seconds * moment / 12)
            edited.edit(other)
            time.sleep(seconds / 4)
            edited.edit(value)
            asking.join()
            with pool.lease(edited.capability) as first, pool.lease(edited.capability) as second:
                assert [first.call(VALUE), second.call(VALUE)] == [value] * 2


@kinds
@pytest.mark.parametrize("how", ["directory", "link"])
def test_a_directory_that_is_another_one_for_a_moment_only(tmp_path: Path, kind: str, how: str) -> None:
    """Its files are the same before and after, by all that they say of themselves."""
    here, other, away = tmp_path / "here", tmp_path / "other", tmp_path / "away"
    for directory, value in ((here, 1), (other, 2)):
        directory.mkdir()
        Edited(directory, kind).edit(value)
    edited = Edited(here, kind)
    if how == "link":
        here.rename(tmp_path / "first")
        other.rename(tmp_path / "second")
        here.symlink_to("first")
        other.symlink_to("second")

    def swap() -> None:
        here.rename(away)
        other.rename(here)
        away.rename(other)

    def ask() -> None:
        with contextlib.suppress(lw.LeanWorkerError):  # there is nothing between two renames
            edited.ask(pool)

    with lw.Pool(2, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        seconds = edited.start_seconds(pool)
        for moment in range(8):
            # Another key, so that a worker has to be started.
            edited.capability = dataclasses.replace(
                edited.capability, env={"PYTHONPATH": str(here), "ROUND": str(moment)}
            )
            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(seconds * moment / 8)
            swap()
            time.sleep(seconds / 4)
            swap()
            asking.join()
            with pool.lease(edited.capability) as first, pool.lease(edited.capability) as second:
                assert [first.call(VALUE), second.call(VALUE)] == [1, 1]


@pytest.mark.parametrize("kind", ["lean", "lean with imports"])
@pytest.mark.parametrize("how", ["killed", "replaced", "given away"])
@pytest.mark.lean
def test_a_job_has_rows_of_one_text(tmp_path: Path, kind: str, how: str) -> None:
    edited = Edited(tmp_path, kind)
    edited.edit(1)
    out = tmp_path / "out.jsonl"
    job = lw.Job(tmp_path / "ledger", ROWS, edited.capability, out=out)
    memory = lw.MemoryPolicy(max_requests=5) if how == "replaced" else lw.MemoryPolicy()
    done: list[object] = []
    others: list[threading.Thread] = []

    with lw.Pool(1, memory=memory, restarts=lw.RestartPolicy(max_restarts=None, backoff=0)) as pool:

        def other() -> None:
            with pool.lease(lw.PythonCapability("other:COMMANDS", path=[tmp_path])) as lease:
                lease.call(lw.JsonCommand("ok"))

        def on_done(*_: object) -> None:
            done.append(1)
            if len(done) == 3:
                edited.edit(2)
                if how == "killed":
                    for each in psutil.Process().children():
                        with contextlib.suppress(psutil.NoSuchProcess):
                            if str(edited.file) in each.cmdline():
                                os.kill(each.pid, signal.SIGKILL)
                elif how == "given away":
                    (tmp_path / "other.py").write_text("COMMANDS = {'ok': lambda request: 1}\n")
                    others.append(threading.Thread(target=other))
                    others[0].start()
                    wait_until(lambda: pool.snapshot().queued == 1)
                    time.sleep(0.6)  # a run keeps its worker for half a second

        with pytest.raises(lw.CapabilityError, match="changed while the job ran") as failed:
            job.run(pool, range(40), on_done=on_done)
        assert "Run the job again" in str(failed.value)
        for thread in others:
            thread.join()
        assert not out.exists()
        assert all(item.state in ("due", "done") for item in job.items())
        report = job.run(pool, range(40))
        assert report.ran == 40 and out.read_text().splitlines() == ['{"value":2}'] * 40
        edited.edit(1)
        assert 30 < job.run(pool, range(40)).ran < 40  # what was done by the first text is done
        assert out.read_text().splitlines() == ['{"value":1}'] * 40


@pytest.mark.lean
def test_a_link_that_leads_elsewhere(tmp_path: Path) -> None:
    def put(name: str, value: int) -> Edited:
        (tmp_path / name).mkdir()
        edited = Edited(tmp_path / name, "lean")
        edited.edit(value)
        return edited

    put("first", 1), put("second", 2)
    link = tmp_path / "current"
    capability = lw.LeanCapability(link / "served.lean", toolchain="embedded")

    def lead(name: str) -> None:
        (tmp_path / "new").symlink_to(tmp_path / name)
        (tmp_path / "new").replace(link)

    lead("first")
    with lw.Pool(1) as pool:
        with pool.lease(capability) as lease:
            assert lease.call(VALUE) == 1
            lead("second")
            lease.cycle()
            assert lease.call(VALUE) == 2
        for name, value in (("first", 1), ("second", 2)):
            lead(name)
            with pool.lease(capability) as lease:
                assert lease.call(VALUE) == value


def test_files_that_change_all_the_time_are_told(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(f"VALUE = 1\n{PYTHON}")

    class Restless:
        """A capability whose files are others each time that somebody looks."""

        looks = itertools.count()

        def launch(self) -> Launch:
            launch = lw.PythonCapability("served:COMMANDS", path=[tmp_path]).launch()
            return dataclasses.replace(launch, state=str(next(self.looks)))

    with lw.Pool(1) as pool:
        with pytest.raises(lw.CapabilityError, match="its files changed during each of 5 starts"):
            pool.lease(Restless())
        assert pool.snapshot().leased == 0


@pytest.mark.parametrize("program", ["./program", "bin/../program", "program"])
def test_a_relative_program_is_meant_from_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for directory in (there / "bin", here / "bin"):
        directory.mkdir(parents=True)
    edited, other = Edited(there, "program"), Edited(here, "program")
    edited.edit(1)
    other.edit(5)
    monkeypatch.chdir(here)
    env = {"PYTHONPATH": str(there)}
    if program == "program":
        env["PATH"] = f"{there}{os.pathsep}{os.environ['PATH']}"
    capability = lw.ProcessCapability([program], cwd=there, env=env)
    with lw.Pool(1) as pool:
        for value in (1, 2):
            edited.edit(value)
            with pool.lease(capability) as lease:
                assert lease.call(VALUE) == value
    (there / "program").unlink()
    with pytest.raises(lw.CapabilityError, match="program is not found or not executable"):
        capability.launch()


@pytest.mark.lean
def test_a_module_that_comes_first_for_a_moment_only(tmp_path: Path) -> None:
    """Its directory is before the one in which the module is found, and nothing of the latter tells."""
    early, late, spare = (tmp_path / name for name in ("early", "late", "spare"))
    early.mkdir()
    for directory, value in ((late, '"1"'), (spare, '"2"')):
        compile_module(directory, "Mine", text_module(name="mine", value=value))
    script = script_that_answers(tmp_path / "Asked.lean", "mine", "Mine")

    def come(after: float, stay: float) -> None:
        time.sleep(after)  # the moment is what is tested, whatever it hits
        (spare / "Mine.olean").rename(early / "Mine.olean")
        time.sleep(stay)
        (early / "Mine.olean").rename(spare / "Mine.olean")

    seconds = 0.0
    with lw.Pool(1, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        for moment in range(-1, 10):
            env = {"LEAN_PATH": f"{early}:{late}", "ROUND": str(moment)}
            capability = lw.LeanCapability(script, toolchain="embedded", env=env)

            started = time.monotonic()
            coming = threading.Thread(target=come, args=(seconds * moment / 10, seconds / 4))
            if moment >= 0:
                coming.start()
            with contextlib.suppress(lw.CapabilityError):
                assert pool.call(capability, lw.JsonCommand("answer"), None) == 1
            if moment >= 0:
                coming.join()
            else:
                seconds = time.monotonic() - started
