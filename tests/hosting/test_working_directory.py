"""Workers that were given no directory run in that of their caller, of the lease or of the job's run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import lean_worker as lw

ROWS = lw.StreamingCommand("lines")
FUNCTIONS = "def rows(request):\n    yield {'text': open('data.txt').read()}\nCOMMANDS = {'lines': rows}\n"
PRINTS = "import json\nprint(json.dumps({'text': open('data.txt').read()}))\n"
LEAN = """prelude
import LeanWorker
open LeanWorker
def rows : Command where
  name := "lines"
  run _request := do
    let text ← IO.FS.readFile "data.txt"
    row "rows" ("{\\"text\\":\\"" ++ text ++ "\\"}")
    return ""
def main : IO Unit := serve [rows]
"""
SPEAKS = [sys.executable, "-m", "lean_worker.child", "python", "served:COMMANDS"]
PROGRAMS = ["lines", "process"]
OTHERS = ["python", pytest.param("lean", marks=pytest.mark.lean)]


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; another one is beside it. Each has a program, and what workers read."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.txt").write_text(name)
        (tmp_path / name / "prints.py").write_text(PRINTS)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "served.py").write_text(FUNCTIONS)
    (tmp_path / "home" / "Served.lean").write_text(LEAN)
    monkeypatch.chdir(tmp_path / "first")
    return tmp_path / "first"


def hosted(kind: str, home: Path) -> lw.Capability:
    if kind == "lines":
        return lw.LinesCapability([sys.executable, "prints.py"])
    if kind == "process":
        return lw.ProcessCapability(SPEAKS, env={"PYTHONPATH": str(home)})
    if kind == "python":
        return lw.PythonCapability("served:COMMANDS", path=[home])
    return lw.LeanCapability(home / "Served.lean", toolchain="embedded")


def text_of(lease: lw.Lease) -> object:
    return lease.collect(ROWS).rows[0].payload


@pytest.mark.parametrize("kind", [*PROGRAMS, *OTHERS])
def test_a_worker_runs_in_the_directory_of_the_lease(first: Path, kind: str) -> None:
    second = first.with_name("second")
    with lw.Pool(2) as pool:
        for directory in (first, second, first, second):
            os.chdir(directory)
            with pool.lease(hosted(kind, first.with_name("home"))) as lease:
                assert text_of(lease) == {"text": directory.name}
        assert pool.snapshot().started == 2  # each was warm the second time
        os.chdir(first)
        with pool.lease(hosted(kind, first.with_name("home"))) as lease:
            os.chdir(second)
            lease.cycle()
            assert text_of(lease) == {"text": "first"}


@pytest.mark.parametrize("given", ["relative", "link"])
def test_a_given_directory_is_what_it_means_at_the_lease(first: Path, given: str) -> None:
    home, link = first.with_name("home"), first.with_name("link")
    env = {"PYTHONPATH": str(home)}
    with lw.Pool(2) as pool:
        for directory in (first, first.with_name("second")):
            link.unlink(missing_ok=True)
            link.symlink_to(directory)
            os.chdir(directory)
            for capability in (
                lw.ProcessCapability(SPEAKS, cwd="." if given == "relative" else link, env=env),
                lw.LinesCapability([sys.executable, "prints.py"], cwd="." if given == "relative" else link),
            ):
                with pool.lease(capability) as lease:
                    assert text_of(lease) == {"text": directory.name}


@pytest.mark.parametrize("kind", [*PROGRAMS, *OTHERS])
def test_items_of_programs_are_others_in_another_directory(first: Path, kind: str) -> None:
    second, out = first.with_name("second"), first.with_name("rows.jsonl")
    job = lw.Job(first.with_name("ledger"), ROWS, hosted(kind, first.with_name("home")), out=out)
    with lw.Pool(1) as pool:
        assert job.run(pool, [1, 2]).ran == 2
        os.chdir(second)
        assert job.run(pool, [1, 2]).ran == (2 if kind in PROGRAMS else 0)
        told = "second" if kind in PROGRAMS else "first"
        assert [line.replace(" ", "") for line in out.read_text().splitlines()] == [f'{{"text":"{told}"}}'] * 2
        assert job.run(pool, [1, 2]).ran == 0


@pytest.mark.parametrize("kind", [*PROGRAMS, *OTHERS])
def test_a_run_of_a_job_stays_in_the_directory_of_its_beginning(first: Path, kind: str) -> None:
    """Each request gets a worker of its own, and the first of them is served before the directory changes."""
    out = first.with_name("rows.jsonl")
    job = lw.Job(first.with_name("ledger"), ROWS, hosted(kind, first.with_name("home")), out=out)
    with lw.Pool(1, memory=lw.MemoryPolicy(max_requests=1)) as pool:
        report = job.run(pool, range(4), on_done=lambda progress: os.chdir(first.with_name("second")))
        assert (report.done, pool.snapshot().started > 2) == (4, True)
    assert out.read_text().count("first") == 4


@pytest.mark.parametrize("kind", [*PROGRAMS, *OTHERS])
def test_a_caller_whose_directory_was_removed_still_gets_workers(first: Path, kind: str) -> None:
    home = first.with_name("home")
    gone = first.with_name("gone")
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    capability = hosted(kind, home)
    if kind == "lines":
        capability = lw.LinesCapability([sys.executable, "-c", "print('{}')"])
    with lw.Pool(1) as pool, pool.lease(capability) as lease:
        if kind == "lines":
            assert text_of(lease) == {}
        else:
            with pytest.raises(lw.CommandFailed, match="data.txt"):
                text_of(lease)


RELATIVE = {
    "python": lambda: lw.PythonCapability("own:COMMANDS", path=["src"]),
    "lines": lambda: lw.LinesCapability(["./prints"]),
    "lean": lambda: lw.LeanCapability("Served.lean", toolchain="embedded"),
}


@pytest.mark.parametrize("kind", ["python", "lines", pytest.param("lean", marks=pytest.mark.lean)])
def test_relative_paths_of_a_lease_and_of_a_run_are_of_its_beginning(first, kind):
    """Whatever is worked out again: a worker of a lease that is replaced, and each worker of a job."""
    second = first.parent / "second"
    for where in (first, second):
        (where / "src").mkdir()
        (where / "src" / "own.py").write_text(FUNCTIONS)
        (where / "prints").write_text(f"#!{sys.executable}\n{PRINTS}")
        (where / "prints").chmod(0o755)
        (where / "Served.lean").write_text(LEAN)
    (second / "src" / "own.py").write_text(FUNCTIONS.replace("open('data.txt').read()", "'other'"))
    capability = RELATIVE[kind]()
    policy = lw.MemoryPolicy(max_requests=1)
    with lw.Pool(memory=policy) as pool:
        with pool.lease(capability) as lease:
            for _ in range(2):
                assert [row.payload for row in lease.collect(ROWS).rows] == [{"text": "first"}]
                os.chdir(second)
        os.chdir(first)
        job = lw.Job(first / "ledger", ROWS, capability, out=first / "out.jsonl")
        assert job.run(pool, [1, 2, 3], on_done=lambda done: os.chdir(second)).done == 3
    assert (first / "out.jsonl").read_text().replace(" ", "") == '{"text":"first"}\n' * 3
