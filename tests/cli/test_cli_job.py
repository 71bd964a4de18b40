"""`lean-worker job` as a process: a run, its ledger, what is skipped, tried again and interrupted."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pyarrow.parquet
import pytest

from lean_worker.batch.ledger import Ledger
from test_cli import ENV, RUN, cli

pytestmark = pytest.mark.once


@pytest.fixture
def begun(tmp_path):
    """A job of which one item is poison."""
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"count":2}\n\n{"count":1,"how":"SIGKILL"}\n{"count":3}\n')
    arguments = ["python:functions:COMMANDS", "rows_or_death", "--requests", str(requests)]
    options = ["--out", str(tmp_path / "rows.jsonl"), "--workers", "2", "--max-deaths", "1"]
    return tmp_path / "ledger", cli("job", "run", str(tmp_path / "ledger"), *arguments, *options)


def test_run_show_retry_resume(begun, tmp_path):
    ledger, outcome = begun
    assert outcome.returncode == 1
    assert (
        "2 of 3 items done, 3 tried by this run; 5 rows to" in outcome.stderr
        and "item 1: ChildExited" in outcome.stderr
    )
    assert (tmp_path / "rows.jsonl").read_text() == '{"i":0}\n{"i":1}\n{"i":0}\n{"i":1}\n{"i":2}\n'
    shown = cli("job", "show", str(ledger))
    assert shown.returncode == 0, shown.stderr
    assert "3 items: 2 done, 0 due, 1 quarantined; 5 rows" in shown.stdout and "SIGKILL" in shown.stdout
    told = json.loads(cli("job", "show", str(ledger), "--json", "--all").stdout)
    assert [item["state"] for item in told["items"]] == ["done", "quarantined", "done"]
    assert (told["total"], told["rows"], told["items"][1]["deaths"]) == (3, 5, 1)
    again = cli("job", "resume", str(ledger), "--json")
    assert again.returncode == 1 and json.loads(again.stdout)["ran"] == 0
    assert json.loads(cli("job", "retry", str(ledger), "0", "1", "--json").stdout) == {"due_again": 1}
    assert "0 items" in cli("job", "retry", str(ledger)).stdout
    unknown = cli("job", "retry", str(ledger), "1", "3", "4")
    assert unknown.returncode == 2 and "there is no item 3, 4; items have the numbers 0 to 2" in unknown.stderr
    again = cli("job", "resume", str(ledger), "--json", "--workers", "2")
    told = json.loads(again.stdout)
    assert (told["ran"], told["quarantined"]) == (1, 1)
    assert [(item["position"], item["state"]) for item in told["items"]] == [(1, "quarantined")]


def test_a_job_in_parquet(tmp_path):
    requests, out = tmp_path / "requests.jsonl", tmp_path / "rows.parquet"
    requests.write_text('{"count":2}\n{"count":0}\n{"count":1}\n')
    arguments = ["run", "ledger", "python:functions:COMMANDS", "rows", "--requests", str(requests), "--out", str(out)]
    outcome = cli("job", *arguments, cwd=tmp_path)
    assert outcome.returncode == 0 and "3 rows to" in outcome.stderr, outcome.stderr
    found = pyarrow.parquet.read_table(out).to_pylist()
    assert [(row["stream"], row["sequence"], json.loads(row["payload"])["i"]) for row in found] == [
        ("rows", 0, 0),
        ("rows", 1, 1),
        ("rows", 0, 0),
    ]
    part = next(path for path in (tmp_path / "ledger.parts").iterdir() if path.suffix == ".parquet")
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    out.unlink()
    outcome = cli("job", "resume", "ledger", cwd=tmp_path)
    assert outcome.returncode == 1 and "is not what was committed" in outcome.stderr and not out.exists()
    outcome = cli("job", "resume", "ledger", "--json", cwd=tmp_path)
    assert json.loads(outcome.stdout)["ran"] == 1 and pyarrow.parquet.read_table(out).to_pylist() == found
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


KILLED_WITH_THE_OUTPUT_WRITTEN = """
import os, runpy, signal, sys
from lean_worker.cli import job_parquet
job_parquet.take_note = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[0] = "lean-worker"
runpy.run_module("lean_worker", run_name="__main__")
"""


def test_what_a_killed_job_has_written_in_parquet_goes_with_the_next_run(tmp_path):
    (tmp_path / "requests").write_text('{"count":2}\n')
    words = [
        "job",
        "run",
        "ledger",
        "python:functions:COMMANDS",
        "rows",
        "--requests",
        "requests",
        "--out",
        "x.parquet",
    ]

    def left():
        return [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]

    for _ in range(2):
        argv = [sys.executable, "-c", KILLED_WITH_THE_OUTPUT_WRITTEN, *words]
        killed = subprocess.run(argv, cwd=tmp_path, env=ENV, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len(left()) == 1 and not (tmp_path / "x.parquet").exists()
    assert cli(*words, cwd=tmp_path).returncode == 0
    assert left() == [] and pyarrow.parquet.read_table(tmp_path / "x.parquet").num_rows == 2


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_output_that_lacks_items_replaces_only_what_had_no_more(tmp_path, ending):
    (tmp_path / "tasks.py").write_text(
        "def item(number):\n"
        "    if number >= int(open('limit').read()):\n"
        "        raise ValueError('not yet')\n"
        "    yield number\n"
        "COMMANDS = {'item': item}\n"
    )
    (tmp_path / "requests").write_text("".join(f"{number}\n" for number in range(4)))
    out = tmp_path / f"rows.{ending}"
    run = ["run", "ledger", "python:tasks:COMMANDS", "item", "--requests", "requests", "--out", out.name]

    def rows_after(limit, *arguments):
        (tmp_path / "limit").write_text(str(limit))
        cli("job", "retry", "ledger", cwd=tmp_path)
        outcome = cli("job", *run, *arguments, cwd=tmp_path)
        assert outcome.returncode == (0 if limit == 4 else 1), outcome.stderr
        if ending == "jsonl":
            return len(out.read_text().splitlines())
        return pyarrow.parquet.read_table(out).num_rows

    assert [rows_after(limit) for limit in (1, 3)] == [1, 3]
    os.utime(out, (0, 0))  # as one of another making
    assert rows_after(3) == 3 and out.stat().st_mtime == 0
    assert rows_after(3, "--allow-incomplete") == 3 and out.stat().st_mtime != 0
    assert rows_after(4) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "none"], "there is none"),
        (["resume", "none"], "there is none"),
        (["resume", "other"], "no ledger of this release"),
        (["resume", "made-by-a-program"], "not made by"),
        (["run", "new", "script.txt", "rows", "--requests", "r", "--out", "o"], "expected a .lean file"),
        (
            ["run", "new", "python:functions:COMMANDS", "rows", "--requests", "none", "--out", "o"],
            "reading the requests",
        ),
        (
            ["run", "new", "python:functions:COMMANDS", "rows", "--requests", "r", "--out", "o"],
            "line 2 of r is no JSON",
        ),
        (
            ["run", "new", "python:functions:COMMANDS", "rows", "--requests", "deep", "--out", "o"],
            "line 2 of deep is no JSON",
        ),
        (["run", "new", "python:functions:COMMANDS", "rows", "--out", "o"], "--requests"),
        (
            ["run", "new", "python:functions:COMMANDS", "rows", "--requests", "r", "--out", "o.db"],
            "names another format",
        ),
    ],
)
def test_wrong_calls(tmp_path, arguments, words):
    (tmp_path / "r").write_text("1\n{\n")
    (tmp_path / "deep").write_text("1\n" + 100_000 * "[" + 100_000 * "]" + "\n")
    database = sqlite3.connect(tmp_path / "other")
    database.executescript(
        "CREATE TABLE facts (name, value); CREATE TABLE items (x); INSERT INTO facts VALUES ('format', '1');"
    )
    database.close()
    with Ledger(tmp_path / "made-by-a-program", for_work=True) as made:
        made.ask_for([])
    outcome = cli("job", *arguments, cwd=tmp_path)
    assert outcome.returncode == 2 and words in " ".join(outcome.stderr.split())
    assert not (tmp_path / "new").exists() and not (tmp_path / "o").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_job_is_resumed(tmp_path, number):
    requests, out = tmp_path / "requests.jsonl", tmp_path / "rows.jsonl"
    gate = tmp_path / "gate"
    requests.write_text("".join(f'{{"gate":"{gate}","number":{number}}}\n' for number in range(3)))
    arguments = ["run", "ledger", "python:functions:COMMANDS", "row_then_gate", "--requests", str(requests)]
    process = subprocess.Popen(
        [*RUN, "job", *arguments, "--out", str(out)], env=ENV, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not (tmp_path / "gate.reached").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    gate.touch()
    assert process.returncode == (130 if number == signal.SIGINT else -number), stderr
    told = "0 of 3 items are stored, with 0 rows; `lean-worker job resume ledger` does the rest\nlean-worker: interrupted\n"
    assert number != signal.SIGINT or stderr.endswith(told)
    assert not out.exists()
    outcome = cli("job", "resume", "ledger", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert out.read_text() == '{"i":0}\n{"i":1}\n' * 3


def test_rows_of_several_streams_keep_their_names(tmp_path):
    (tmp_path / "requests").write_text("null\n")
    arguments = ["run", "ledger", "python:functions:COMMANDS", "two_streams", "--requests", "requests"]
    refused = cli("job", *arguments, "--out", "rows.jsonl", cwd=tmp_path)
    assert refused.returncode == 1 and "--with-stream names the stream" in refused.stderr, refused.stderr
    assert not (tmp_path / "rows.jsonl").exists()
    outcome = cli("job", *arguments, "--out", "rows.jsonl", "--with-stream", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["stream"], row["row"]["n"]) for row in rows] == [("left", 0), ("right", 1), ("left", 2)]


def test_the_options_of_run_are_those_of_a_job(tmp_path):
    """Those that say what is hosted, from one place; `resume` uses them too, in another directory."""
    shared = ("--project", "--workspace", "--toolchain", "--build", "--import", "--arg", "--env", "--sandbox")
    for command in (["run"], ["call"], ["job", "run"]):
        text = cli(*command, "--help").stdout
        assert all(f"{option} " in text for option in shared), text
    (tmp_path / "hosted.py").write_text(
        "import os\ndef look(request):\n    yield os.environ['SAID']\n    open(request, 'x')\nCOMMANDS = {'look': look}\n"
    )
    target = tmp_path / "written"
    (tmp_path / "requests").write_text(json.dumps(str(target)))
    arguments = ["ledger", "python:hosted:COMMANDS", "look", "--requests", "requests", "--out", "rows.jsonl"]
    env = ["--env", "SAID=a=b", "--env", f"PYTHONPATH={tmp_path}"]
    sealed = cli("job", "run", *arguments, *env, "--sandbox", cwd=tmp_path)
    assert sealed.returncode == 1 and not target.exists(), sealed.stderr
    outcome = cli("job", "run", *arguments, *env, cwd=tmp_path)
    assert outcome.returncode == 0 and target.exists(), outcome.stderr
    assert (tmp_path / "rows.jsonl").read_text() == '"a=b"\n'
    again = cli("job", "resume", str(tmp_path / "ledger"), "--json", cwd="/")
    assert again.returncode == 0 and json.loads(again.stdout)["ran"] == 0, again.stderr
    wrong = cli("job", "run", *arguments, "--import", "Init", cwd=tmp_path)
    assert wrong.returncode == 2 and "are for Lean scripts" in wrong.stderr


@pytest.mark.parametrize("name", ["tc", "./tc"])
def test_a_resumed_job_has_the_toolchain_of_the_run_in_another_directory_too(tmp_path, name):
    """A directory without a slash in its name was looked for where `resume` was called."""
    (tmp_path / "tc" / "bin").mkdir(parents=True)
    (tmp_path / "tc" / "bin" / "lean").touch()
    (tmp_path / "requests").write_text("1\n")
    (tmp_path / "script.lean").write_text("prelude\n")
    arguments = ["ledger", "script.lean", "rows", "--requests", "requests", "--out", "rows.jsonl"]
    outcome = cli("job", "run", *arguments, "--toolchain", name, cwd=tmp_path)
    assert outcome.returncode == 3 and f"{tmp_path}/tc (explicit) has no lib" in outcome.stderr
    with Ledger(tmp_path / "ledger", for_work=False) as made:
        assert json.loads(made.fact("command line"))["host"]["toolchain"] == f"{tmp_path}/tc"


def test_what_is_no_file_for_a_job(tmp_path):
    """`run` writes to standard output then; a job has no rows for it before its end."""
    requests = tmp_path / "requests.jsonl"
    requests.write_text("1\n")
    for out, words in (
        ("-", "expected --out as a file, got -"),
        ("/dev/stdout", "expected --out as a file, got /dev/stdout"),
        ("./requests.jsonl", "requests.jsonl, which is read"),
    ):
        arguments = ["python:functions:COMMANDS", "rows", "--requests", str(requests), "--out", out]
        outcome = cli("job", "run", str(tmp_path / "ledger"), *arguments, cwd=tmp_path)
        assert outcome.returncode == 2 and words in outcome.stderr
    assert requests.read_text() == "1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["requests.jsonl"]


@pytest.mark.parametrize("moment", ["before its tables", "before its requests"])
def test_what_is_said_of_a_run_that_was_interrupted_early_is_true(tmp_path, moment):
    (tmp_path / "requests").write_text('{"count":2}\n')
    run = ["python:functions:COMMANDS", "rows", "--requests", "requests", "--out", "rows.jsonl"]
    if moment == "before its tables":
        (tmp_path / "ledger").touch()
    else:
        outcome = cli("job", "run", "ledger", *run, cwd=tmp_path)
        assert outcome.returncode == 0, outcome.stderr
        with Ledger(tmp_path / "ledger", for_work=False) as made:
            settings = made.fact("command line")
        for left in (tmp_path / "ledger", tmp_path / "rows.jsonl"):
            left.unlink()
        Ledger(tmp_path / "ledger", for_work=True, facts={"command line": settings}).close()
    outcome = cli("job", "resume", "ledger", cwd=tmp_path)
    assert outcome.returncode == 2
    said = " ".join(outcome.stderr.split())
    assert "before its requests were stored" in said and "un it again" in said
    for untrue in ("not made by", "no requests were given", "no ledger of this release"):
        assert untrue not in said + cli("job", "show", "ledger", cwd=tmp_path).stderr
    outcome = cli("job", "run", "ledger", *run, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2
    assert cli("job", "resume", "ledger", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("directory", ["second", "third"])
@pytest.mark.parametrize("found", ["working directory", "PYTHONPATH"])
def test_a_registry_is_that_of_the_run_wherever_it_is_resumed(tmp_path, found, directory):
    """In the second directory is a module of the same name, in the third is none."""
    for name in ("first", "second", "third"):
        (tmp_path / name / "lib").mkdir(parents=True)
    module = "mine.py" if found == "working directory" else "lib/mine.py"
    text = "def rows(request):\n    {}yield {{'from': {!r}}}\nCOMMANDS = {{'rows': rows}}\n"
    (tmp_path / "first" / module).write_text(text.format("if request == 2: raise ValueError\n    ", "first"))
    (tmp_path / "second" / module).write_text(text.format("", "second"))
    (tmp_path / "requests").write_text("1\n2\n")
    words = ["python:mine:COMMANDS", "rows", "--requests", "../requests", "--out", "../rows.jsonl"]
    path = ENV.get("PYTHONPATH", "")
    env = {**ENV, "PYTHONPATH": path if found == "working directory" else os.pathsep.join(["lib", path])}

    def job(*arguments, directory, env=env):
        argv = [*RUN, "job", *arguments]
        return subprocess.run(argv, cwd=tmp_path / directory, env=env, capture_output=True, text=True)

    assert job("run", "ledger", *words, directory="first").returncode == 1  # one item is in quarantine
    (tmp_path / "first" / module).write_text(text.format("", "first"))
    assert job("retry", "../first/ledger", directory=directory).returncode == 0
    outcome = job("resume", "../first/ledger", directory=directory, env=ENV)
    assert outcome.returncode == 0, outcome.stderr
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"from": "first"}] * 2
    (tmp_path / "first").rename(tmp_path / "moved")
    outcome = job("resume", "../moved/ledger", directory=directory)
    assert outcome.returncode == 2 and "cannot be entered" in outcome.stderr
