"""The command line as a process: output, files, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pyarrow.parquet
import pytest

import lean_worker
from support import HOSTS, TESTS

RUN = [sys.executable, "-c", "import sys; from lean_worker.cli import main; sys.argv[0] = 'lean-worker'; main()"]
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOSTS), os.environ.get("PYTHONPATH", "")]), "COLUMNS": "200"}


def cli(*arguments, **options):
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=120, env=ENV, **options)


def test_rows_to_a_file(tmp_path):
    out = tmp_path / "rows.jsonl"
    outcome = cli("run", "python:functions:COMMANDS", "rows", "--request", '{"count":3}', "--out", str(out), "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert [json.loads(line)["i"] for line in out.read_text().splitlines()] == [0, 1, 2]
    report = json.loads(outcome.stdout)
    assert (report["rows"], report["streams"], report["metadata"]) == (3, {"rows": 3}, {"emitted": 3})
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_rows_to_standard_output(tmp_path):
    request = tmp_path / "request.json"
    request.write_text('{"count":2}')
    outcome = cli("run", "python:functions:COMMANDS", "rows", "--request", f"@{request}")
    assert outcome.returncode == 0
    assert len(outcome.stdout.splitlines()) == 2
    assert "2 rows" in outcome.stderr


def test_rows_do_not_replace_their_request(tmp_path):
    request = tmp_path / "request.json"
    request.write_text('{"count":2}')
    for out in (request, f"{tmp_path}/./request.json"):
        outcome = cli("run", "python:functions:COMMANDS", "rows", "--request", f"@{request}", "--out", out)
        assert outcome.returncode == 2 and "request.json, which is read" in outcome.stderr
    assert request.read_text() == '{"count":2}'


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["python:functions:COMMANDS", "fail_after_rows"], 1, "half way"),
        (["python:functions:COMMANDS", "no_such"], 1, "no_such"),
        (["python:no_such_module:COMMANDS", "rows"], 1, "No module named"),
        (["no/such.lean", "rows"], 2, "no file no/such.lean"),
        (["python:functions:COMMANDS", "rows", "--request", "@none"], 2, "none"),
        (["script.txt", "rows"], 2, "expected a .lean file"),
        (["python:functions:COMMANDS", "rows", "--request", "{"], 2, "not JSON"),
        (["python:functions:COMMANDS", "rows", "--no-such-option"], 2, "no-such-option"),
        (["python:functions:COMMANDS", "die", "--request", '{"how":"SIGKILL","rows":1}'], 3, "SIGKILL"),
        (["python:functions:COMMANDS", "row_then_hang", "--timeout", "0.3"], 3, "0.3 seconds"),
    ],
)
def test_failures_leave_no_file(tmp_path, arguments, code, words):
    out = tmp_path / "rows.jsonl"
    outcome = cli("run", *arguments, "--out", str(out))
    assert outcome.returncode == code
    assert words in outcome.stderr
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_text("old\n")
    assert cli("run", "python:functions:COMMANDS", "fail_after_rows", "--out", str(out)).returncode == 1
    assert out.read_text() == "old\n"


def test_an_interrupt_exits_130_and_leaves_no_file(tmp_path):
    out = tmp_path / "rows.jsonl"
    arguments = [*RUN, "run", "python:functions:COMMANDS", "endless", "--out", str(out)]
    process = subprocess.Popen(arguments, env=ENV, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not any(name.endswith(".part") and (tmp_path / name).stat().st_size for name in os.listdir(tmp_path)):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert os.listdir(tmp_path) == []


PRINTER = """
import os, sys

def prints(request):
    print("one \\x1b[31m", flush=True)
    print("two", file=sys.stderr, flush=True)
    yield {"variable": os.environ.get("MINE")}

def answer(request):
    print("answering", flush=True)
    return {"got": request, "large": 2**70}

COMMANDS = {"prints": prints, "answer": answer}
"""


def test_call_prints_the_answer_as_it_came(tmp_path):
    (tmp_path / "printer_host.py").write_text(PRINTER)
    env = {**ENV, "PYTHONPATH": str(tmp_path)}
    arguments = ["call", "python:printer_host:COMMANDS", "answer", "--request", '{"a": 1.0}']
    for more, stderr in (([], "printed: answering\n"), (["--quiet"], "")):
        outcome = subprocess.run([*RUN, *arguments, *more], env=env, capture_output=True, text=True, timeout=60)
        assert (outcome.returncode, outcome.stderr) == (0, stderr)
        assert outcome.stdout == '{"got":{"a":1.0},"large":1180591620717411303424}\n'
    for arguments, code, words in (
        (["call", "python:printer_host:COMMANDS", "prints"], 1, "run it as a streaming command"),
        (["run", "python:printer_host:COMMANDS", "answer"], 1, "run it as a JSON command"),
        (["call", "python:printer_host:COMMANDS", "no_such"], 1, "answer"),
        (["call", "python:printer_host:COMMANDS", "answer", "--request", "{"], 2, "not JSON"),
        (["call", "python:printer_host:COMMANDS", "answer", "--env", "MINE"], 2, "NAME=VALUE"),
        (["call", "python:printer_host:COMMANDS", "answer", "--arg", "x"], 2, "for Lean scripts"),
    ):
        outcome = subprocess.run([*RUN, *arguments], env=env, capture_output=True, text=True, timeout=60)
        assert outcome.returncode == code and words in outcome.stderr, outcome.stderr


def test_printed_lines_are_labelled_and_harmless(tmp_path):
    (tmp_path / "printer_host.py").write_text(PRINTER)
    env = {**ENV, "PYTHONPATH": str(tmp_path)}
    arguments = [*RUN, "run", "python:printer_host:COMMANDS", "prints", "--env", "MINE=a=b", "--sandbox"]
    outcome = subprocess.run(arguments, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == '{"variable":"a=b"}\n'
    assert "printed: one \\x1b[31m\nprinted: two\n" in outcome.stderr
    outcome = subprocess.run([*arguments, "-q"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.lean
def test_what_a_lean_script_prints_and_its_arguments(tmp_path):
    (tmp_path / "prints.lean").write_text(
        "prelude\nimport LeanWorker\nopen LeanWorker\n"
        "def main (arguments : List String) : IO Unit := do\n"
        '  IO.println s!"at start {arguments.length}"\n'
        '  serve [{ name := "rows", run := fun _ => do\n      IO.println "inside"\n      row "rows" "1"\n      return "" }]\n'
    )
    arguments = ["run", "prints.lean", "rows", "--toolchain", "embedded", "--arg", "x", "--arg=-y"]
    outcome = cli(*arguments, "--import", "LeanWorker.Json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "1\n"
    assert "printed: at start 2\nprinted: inside\n" in outcome.stderr
    outcome = cli(*arguments, "--import", "No.Such", cwd=tmp_path)
    assert outcome.returncode == 1 and "name No " in outcome.stderr and "printed:" not in outcome.stderr
    assert "hint: Give --project the Lake project" in outcome.stderr


def test_outputs_by_the_file_s_ending(tmp_path):
    def run(*arguments):
        outcome = cli("run", "python:functions:COMMANDS", "two_streams", *arguments, cwd=tmp_path)
        assert outcome.returncode == 0, outcome.stderr
        return outcome

    rows = [("left", 0, '{"n":0}'), ("right", 0, '{"n":1}'), ("left", 1, '{"n":2}')]
    run("--out", "rows.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert database.execute("SELECT * FROM two_streams").fetchall() == rows
    run("--out", "rows.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    run("--out", "left.parquet", "--stream", "left")
    assert pyarrow.parquet.read_table(tmp_path / "left.parquet").num_rows == 2
    outcome = run("--stream", "left", "--stream", "none")
    assert outcome.stdout == '{"n":0}\n{"n":2}\n'
    assert "2 of 3 rows on 2 streams" in outcome.stderr and "no row came on the stream none" in outcome.stderr
    told = json.loads(run("--stream", "left=left.jsonl", "--stream", "right=rows.db", "--json").stdout)
    assert (told["rows"], told["out"]) == (3, ["left.jsonl", "rows.db"])
    assert (tmp_path / "left.jsonl").read_text() == '{"n":0}\n{"n":2}\n'
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert database.execute("SELECT * FROM right").fetchall() == rows[1:2]
        assert database.execute("SELECT count(*) FROM two_streams").fetchall() == [(3,)]
    lines = ['{"stream":"left","row":{"n":0}}', '{"stream":"right","row":{"n":1}}', '{"stream":"left","row":{"n":2}}']
    assert run("--with-stream").stdout.splitlines() == lines
    run("--with-stream", "--out", "both.jsonl", "--stream", "left", "--stream", "right")
    assert (tmp_path / "both.jsonl").read_text().splitlines() == lines
    outcome = run()
    assert outcome.stdout == '{"n":0}\n{"n":1}\n{"n":2}\n' and "--with-stream adds them" in outcome.stderr
    assert run("--quiet").stderr == "the rows came without the names of their streams; --with-stream adds them\n"
    told = json.loads(run("--stream", "left", "--out", "left.jsonl", "--json").stdout)
    assert (told["rows"], told["streams"]) == (2, {"left": 2, "right": 1})
    run("--out", "/dev/null")
    assert run("--out", "/dev/stdout").stdout.count("\n") == 3
    assert os.stat("/dev/null").st_rdev == os.makedev(1, 3)
    before = sorted(os.listdir(tmp_path))
    for streams, code, words in (
        ([], 1, "came on the streams ['left', 'right']"),
        (["left=a.jsonl"], 1, "stream 'right', which has no sink"),
        (["lefd"], 1, "no row came on 'lefd'; streams with rows: 'left', 'right'"),
        (["left", "right"], 2, "would lose their streams' names"),
        (["left=a.jsonl", "right"], 2, "got both"),
        (["left", "left"], 2, "named twice"),
        (["=a.jsonl"], 2, "without a name"),
        (["left=a.jsonl", "right=a.jsonl"], 2, "two sinks write to"),
        (["left=-", "right=-"], 2, "would lose their streams' names"),
        (["left=/dev/stdout", "right=-"], 2, "would lose their streams' names"),
    ):
        options = [option for stream in streams for option in ("--stream", stream)]
        out = [] if any("=" in stream for stream in streams) else ["--out", "a.jsonl"]
        outcome = cli("run", "python:functions:COMMANDS", "two_streams", *options, *out, cwd=tmp_path)
        assert outcome.returncode == code and words in outcome.stderr, outcome.stderr
        assert "hint: " in outcome.stderr and "sink={" not in outcome.stderr, outcome.stderr
        if words.startswith(("came", "stream", "would")):
            assert "--stream NAME=FILE" in outcome.stderr and "--with-stream" in outcome.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_behind_standard_output_takes_one_stream_as_one_behind_out_does(tmp_path):
    """The names of streams are not lost because the shell, and not `--out`, opened the file."""
    place = tmp_path / "rows.jsonl"

    def run(*arguments):
        with place.open("wb") as file:
            command = [*RUN, "run", "python:functions:COMMANDS", "two_streams", *arguments]
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=120, env=ENV)
        return done.returncode, done.stderr

    code, said = run()
    assert code == 1 and "came on the streams ['left', 'right']" in said and "--stream NAME=FILE" in said, said
    code, said = run("--stream", "left", "--stream", "right")
    assert code == 2 and "would lose their streams' names" in said, said
    code, said = run("--stream", "lefd")
    assert code == 1 and "streams with rows: 'left', 'right'" in said and not place.read_text(), said
    assert run("--stream", "left", "--quiet") == (0, "") and place.read_text() == '{"n":0}\n{"n":2}\n'
    for names in (("--with-stream",), ("--with-stream", "--stream", "left=/dev/stdout", "--stream", "right=-")):
        assert run(*names, "--quiet") == (0, "") and place.read_text().count('"stream"') == 3
    assert run("--out", "/dev/stdout", "--stream", "left", "--quiet")[0] == 0
    assert place.read_text() == '{"n":0}\n{"n":2}\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "empty"], "no .lean file in this directory"),
        (["check", "none"], "no such file or directory"),
        (["check", "links"], "links/b.lean is a link to a file that does not exist"),
        (["check", "a.lean", "--project", "a.lean"], "--project: expected a directory, got the file a.lean"),
        (["check", "a.lean", "--project", "none"], "--project: there is no directory none"),
        (["verify", "none.lean", "a.lean"], "none.lean cannot be read"),
        (["verify", "a.lean", "a.lean", "--project", "none"], "--project: there is no directory none"),
        (["run", "none.lean", "rows"], "no file none.lean"),
        (["run", "functions:COMMANDS", "rows"], "Write python:functions:COMMANDS for a Python registry."),
        (["run", "python:functions:COMMANDS", "rows", "--out", "x.csv"], "x.csv names a format that is not written"),
        (["run", "a.lean", "rows", "--project", "none"], "--project: there is no directory none"),
        (["extract", "modules", "--out", "o.jsonl", "--project", "none"], "--project: there is no directory none"),
        (["selftest", "--project", "none"], "no such directory"),
        (["demo", "--project", "none"], "--project: there is no directory none"),
        (["check", ""], "expected a text as an argument, got an empty one"),
        (["check", "a.lean", "--project="], "expected a text for --project, got an empty one"),
        (["job", "show", ""], "expected a text as an argument"),
        (["check", "/dev/null"], "neither a file nor a directory"),
        (["check", "a.lean", "--junit", "-"], "--junit /dev/stdout"),
        (["verify", "a.lean", "a.lean", "--recheck-with", "none"], "--recheck-with: there is no file none"),
        (["run", "python:functions:COMMANDS", "rows", "--toolchain", "x"], "are for Lean scripts"),
        (["run", "python:functions:COMMANDS", "rows", "--stream", "a=b", "--out", "o"], "none is left for --out o"),
        (["check", "a.lean", "--jobs", "99999"], "as in --jobs 2."),
        (["check", "a.lean", "--junit", "b.lean"], "would replace the Lean file b.lean"),
        (["check", "a.lean", "--native-library", "none"], "--native-library: there is no file none"),
        (["check", "x" * 300], "longer than a path can be"),
        (["extract", "modules", "--out", "o.jsonl", "--project", "x" * 300], "longer than a path can be"),
        (["run", "python:functions:COMMANDS", "rows", "--out", "a.lean"], "is that of a source file"),
        (["run", "python:functions:COMMANDS", "rows", "--out"], "lean-worker run --help"),
        (["top", "--once", "--socket", "none"], "there is no socket none"),
        (["top", "--interval", "inf"], "less than or equal to 86400"),
        (["doctor", "--project", "none"], "these options are for a CAPABILITY: --project"),
        (["extract", "modules", "--out", "o.jsonl", "--width", "80"], "is for declarations"),
        (["extract", "messages", "a.lean", "--out", "o.jsonl", "--ledger", "l"], "a ledger is for declarations"),
        (["extract", "declarations", "--out", "o.jsonl", "--no-steps"], "steps are rows of goals only"),
        (["no-such-command"], "No such command 'no-such-command'"),
        (["check"], "Missing argument"),
    ],
)
def test_missing_inputs_exit_with_2(tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".#locked.lean").symlink_to("somebody@host")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.lean").touch()
    (tmp_path / "links" / "b.lean").symlink_to("nowhere")
    (tmp_path / "a.lean").write_text("")
    outcome = cli(*arguments, cwd=tmp_path)
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert words in outcome.stderr
    assert sorted(os.listdir(tmp_path)) == ["a.lean", "empty", "links"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "a.lean"],
        ["verify", "a.lean", "a.lean"],
        ["run", "a.lean", "rows"],
        ["call", "a.lean", "rows"],
        ["job", "run", "ledger", "a.lean", "rows", "--requests", "requests", "--out", "o.jsonl"],
        ["extract", "messages", "a.lean", "--out", "o.jsonl"],
    ],
)
def test_without_a_lean_nothing_is_known(tmp_path, arguments):
    (tmp_path / "a.lean").write_text("prelude\ntheorem goal : True := sorry\n")
    (tmp_path / "requests").write_text("1\n")
    outcome = cli(*arguments, "--toolchain", "./none", cwd=tmp_path)
    assert outcome.returncode == 3 and "looking for a Lean" in outcome.stderr, outcome.stderr


@pytest.mark.parametrize(
    "arguments",
    [["run", "python:functions:COMMANDS", "endless"], ["doctor"], ["lean-path"], ["top", "--once", "--json"]],
)
@pytest.mark.parametrize("with_errors", [False, True])
def test_a_closed_pipe_exits_with_141_and_no_words(arguments, with_errors):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        stderr = writer if with_errors else subprocess.PIPE
        outcome = subprocess.run([*RUN, *arguments], env=ENV, stdout=writer, stderr=stderr, text=True, timeout=120)
    finally:
        os.close(writer)
    assert outcome.returncode == 141
    assert with_errors or outcome.stderr == ""


def test_a_full_standard_output_is_a_failure():
    with open("/dev/full", "w") as full:
        arguments = [*RUN, "run", "python:functions:COMMANDS", "rows", "--request", '{"count":2}']
        outcome = subprocess.run(arguments, env=ENV, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert outcome.returncode == 1
    assert "writing the output: " in outcome.stderr and "Traceback" not in outcome.stderr


def test_rows_and_what_is_printed_break_no_line_of_each_other(tmp_path):
    with (tmp_path / "all").open("wb") as both:
        arguments = [*RUN, "run", "python:functions:COMMANDS", "rows_and_lines", "--request", '{"count":20000}']
        assert subprocess.run(arguments, env=ENV, stdout=both, stderr=both, timeout=120).returncode == 0
    lines = (tmp_path / "all").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    assert [row["i"] for row in rows] == list(range(20000))
    printed = [line for line in lines if not line.startswith("{")]
    assert printed[:-1] == [f"printed: line {i} :warning: [bold]" for i in range(0, 20000, 20)]


def test_a_result_counts_without_a_place_for_remarks(tmp_path):
    out = tmp_path / "rows.jsonl"
    with open("/dev/full", "w") as full:
        arguments = [*RUN, "run", "python:functions:COMMANDS", "rows", "--request", '{"count":2}', "--out", str(out)]
        outcome = subprocess.run(arguments, env=ENV, stdout=subprocess.PIPE, stderr=full, text=True, timeout=120)
        failed = subprocess.run([*arguments[:-1], "/no/where"], env=ENV, stderr=full, timeout=120)
    assert (outcome.returncode, failed.returncode) == (0, 1)
    assert out.read_text().count("\n") == 2


def closed(number, *arguments, **options):
    """Run the command line with one of its standard streams closed."""
    words = ["sh", "-c", f'exec "$@" {number}>&-', "sh", *RUN, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env={**ENV, **options})


def test_a_closed_stream_is_no_reason_to_fail_or_to_lose_a_result():
    rows = ["run", "python:functions:COMMANDS", "rows", "--request", '{"count":2}']
    outcome = closed(2, *rows)
    assert (outcome.returncode, outcome.stdout.count("\n")) == (0, 2)
    outcome = closed(1, *rows)
    assert outcome.returncode == 1 and "standard output is closed" in outcome.stderr
    outcome = closed(1, "call", "python:functions:COMMANDS", "echo", "--request", "5")
    assert outcome.returncode == 1 and "standard output is closed" in outcome.stderr


def test_what_has_nothing_for_a_closed_standard_output_does_not_fail_for_it(tmp_path):
    good, told = tmp_path / "good.lean", tmp_path / "told.lean"
    good.write_text("prelude\nimport LeanWorker\ntheorem x : 1 = 1 := rfl\n")
    told.write_text(good.read_text() + "theorem y : 1 = 2 := rfl\n")
    outcome = closed(1, "check", str(good), "--toolchain", "embedded")
    assert outcome.returncode == 0 and "accepted" in outcome.stderr
    outcome = closed(1, "check", str(told), "--toolchain", "embedded")
    assert outcome.returncode == 1 and "standard output is closed" in outcome.stderr


def test_an_answer_is_json_in_any_encoding():
    env = {**ENV, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    arguments = [*RUN, "call", "python:functions:COMMANDS", "echo", "--request", '{"ü": "\U0001d54f"}']
    outcome = subprocess.run(arguments, env=env, capture_output=True, timeout=60)
    assert outcome.returncode == 0 and outcome.stdout.isascii(), outcome.stderr
    assert json.loads(outcome.stdout) == {"ü": "\U0001d54f"}


def test_nothing_slow_is_imported_before_ctrl_c_is_provided_for():
    """Before its own modules are there, Ctrl-C shows a traceback: the entry point's own modules come without `typing` and without errors."""
    code = "import sys, re, enum, signal; before = set(sys.modules); import lean_worker.cli; print(*set(sys.modules) - before)"
    command = [sys.executable, "-S", "-c", code]
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(lean_worker.__file__))}
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    own = {name for name in outcome.stdout.split() if name.startswith("lean_worker")}
    assert own == {"lean_worker", "lean_worker.version", "lean_worker.cli", "lean_worker.cli.exit_codes"}, (
        outcome.stderr
    )
    assert "typing" not in outcome.stdout.split()


def test_an_interrupt_while_modules_are_loaded_shows_no_traceback(tmp_path):
    (tmp_path / "typer.py").write_text(
        "import os, signal, threading\nos.kill(os.getpid(), signal.SIGINT)\nthreading.Event().wait()\n"
    )
    env = {**ENV, "PYTHONPATH": str(tmp_path)}
    outcome = subprocess.run([*RUN, "doctor"], env=env, capture_output=True, text=True, timeout=60)
    assert (outcome.returncode, outcome.stderr) == (130, "lean-worker: interrupted\n")


def test_no_line_is_broken_where_there_is_no_terminal(tmp_path):
    name = "long " * 40 + ".lean"
    env = {**ENV, "COLUMNS": "40"}
    outcome = subprocess.run([*RUN, "check", name], env=env, capture_output=True, text=True, timeout=60)
    assert outcome.stderr == f"lean-worker: checking {name}: there is no such file or directory\n" + (
        "hint: Look at the path; it is relative to the present directory.\n"
    )


def test_the_package_is_a_program():
    outcome = subprocess.run([sys.executable, "-m", "lean_worker", "--version"], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout) == (0, f"lean-worker {lean_worker.__version__}\n")


def test_no_name_moves_the_cursor(tmp_path):
    """The name of a command, of a file and of a Lean, in errors, in notes and in a report."""
    (tmp_path / "a\x1b[31m.lean").write_text("prelude\n")
    for arguments in (
        ["run", "python:functions:COMMANDS", "\x1b[31m"],
        ["run", "python:functions:COMMANDS", "two_streams", "--stream", "left", "--out", "\x1b[31m"],
        ["check", "a\x1b[31m.lean", "--toolchain", "./\x1b[31m"],
        ["verify", "a\x1b[31m.lean", "a\x1b[31m.lean", "--toolchain", "./\x1b[31m"],
        ["doctor", "a\x1b[31m.lean", "--toolchain", "./\x1b[31m"],
        ["check", "a\x1b[31m.lean", "--project", "\x1b[31m"],
    ):
        outcome = cli(*arguments, cwd=tmp_path)
        assert "\x1b" not in outcome.stdout + outcome.stderr, arguments
        assert "x1b[31m" in outcome.stdout + outcome.stderr, arguments


def test_doctor():
    report = json.loads(cli("doctor", "--json").stdout)
    assert report["protocol"] == 10
    assert report["framing"] in ("compiled", "pure Python")
    assert "framing" in cli("doctor").stdout


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_named(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = ['doctor']; from lean_worker.cli import main; main()"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 2
    assert "pip install 'lean-worker[cli]'" in outcome.stderr


@pytest.mark.once
@pytest.mark.lean
def test_demo(tmp_path):
    outcome = cli("demo", "--json", "--out", str(tmp_path))
    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert report["lean_version"] == "4.35.0"
    found = report["extraction"]
    rows = [json.loads(line) for line in (tmp_path / "declarations.jsonl").read_text().splitlines()]
    assert len(rows) == found["rows"] == sum(found["counts"].values()) == report["parquet"]["rows"]
    assert sum(row["module"].startswith("Sums.") for row in rows) == 3000
    assert found["counts"]["theorem"] > 3000 and len(found["counts"]) > 8
    assert report["parquet"]["ran"] == 0  # from what the ledger has
    assert report["first_row_us"] > 0 and report["workers_private_kib"] > 0
    assert [(proof["check"], proof["verify"], proof["is_expected"]) for proof in report["proofs"]] == [
        ("accepted", "proved", True),
        ("accepted", "proved", True),
        ("rejected", "not_proved", True),
        ("accepted", "forbidden_axiom", True),
        ("accepted", "forbidden_axiom", True),
        ("accepted", "statement_changed", True),
    ]
    assert sorted(os.listdir(tmp_path)) == ["declarations.jsonl", "declarations.parquet"]


@pytest.mark.once
@pytest.mark.lean
def test_the_demo_of_a_project(tmp_path):
    from lean_modules import compile_module

    (tmp_path / "lakefile.toml").write_text('name = "mine"\n[[lean_lib]]\nname = "Mine"\n')
    text = "prelude\nimport LeanWorker\n/-- My own. -/\ndef mine : Nat := 1\n"
    (tmp_path / "Mine.lean").write_text(text)
    compile_module(tmp_path / ".lake" / "build" / "lib" / "lean", "Mine", text)
    shown = cli("demo", "--project", str(tmp_path), "--toolchain", "embedded")
    assert shown.returncode == 0, shown.stderr
    assert "1 declaration of 1 module" in " ".join(shown.stdout.split()) and "mine" in shown.stdout


@pytest.mark.lean
def test_run_on_lean(tmp_path):
    out = tmp_path / "rows.jsonl"
    script = str(TESTS / "lean" / "Interop.lean")
    name = "lean_rs_interop_consumer_worker_data_stream_many"
    outcome = cli("run", script, name, "--out", str(out), "--toolchain", "embedded")
    assert outcome.returncode == 0, outcome.stderr
    assert [json.loads(line) for line in out.read_text().splitlines()] == [{"i": i} for i in range(512)]


def test_the_list_of_commands_says_what_their_modules_say():
    """The help of `lean-worker` imports no command, so that its lines are written twice."""
    from lean_worker.cli.lazy_commands import COMMANDS

    for name, line in COMMANDS.items():
        found = line.load()
        text = found.info.help if name == "job" else found.__doc__.partition("\n")[0]
        assert line.help == text, name


def test_help_imports_no_command():
    code = (
        "import sys; sys.argv = ['lean-worker', '--help']; from lean_worker.cli import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0 and "Commands:" in ended.stdout
    loaded = set(ended.stderr.split())
    assert loaded & {"rich", "msgspec", "psutil", "lean_worker.blocking.pool", "lean_worker.cli.run"} == set()
