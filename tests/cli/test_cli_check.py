"""The commands `check` and `verify`: names of files, hints, reports, and options in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from lean_files import looping
from support import wait_until
from test_cli import ENV, RUN, cli


@pytest.mark.lean
def test_files_of_any_name_are_checked_and_named_on_one_line(tmp_path):
    """With a line break, and with bytes that are no UTF-8, as each umlaut is in an ASCII locale."""
    names = [b"a\nb.lean", b"\xff.lean", "ü.lean".encode()]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text("prelude\nexample : Missing := 1\n")
    (tmp_path / "good.lean").write_text("prelude\n")
    arguments = [*RUN, "check", *names, "good.lean", "--toolchain", "embedded", "--quiet", "--jobs", "1"]
    outcome = subprocess.run(arguments, cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=60)
    shown = ["a\\nb.lean", "\\xff.lean", "ü.lean"]
    assert outcome.returncode == 1, outcome.stderr
    assert sorted(line.partition(":")[0] for line in outcome.stdout.splitlines()) == sorted(shown)
    assert sorted(line.split()[1] for line in outcome.stderr.splitlines()) == sorted(shown)
    env = {**ENV, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = [*RUN, "check", names[2], "--toolchain", "embedded", "--json"]
    outcome = subprocess.run(arguments, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 1 and json.loads(outcome.stdout)["files"][0]["file"] == "ü.lean", outcome.stderr


@pytest.mark.lean
def test_a_statement_that_this_lean_cannot_compile_is_not_called_wrong(tmp_path):
    (tmp_path / "full.lean").write_text("import Init\ntheorem goal : True := sorry\n")
    outcome = cli("verify", "full.lean", "full.lean", "--toolchain", "embedded", cwd=tmp_path)
    assert outcome.returncode == 3 and "the embedded one has no module Init" in outcome.stderr
    assert "hint: Choose a toolchain with --toolchain, or start" in outcome.stderr


@pytest.mark.lean
def test_quiet_shows_nothing_of_proved_candidates(tmp_path):
    (tmp_path / "statement.lean").write_text("prelude\nimport LeanWorker.Library\ntheorem goal : 1 = 1 := sorry\n")
    (tmp_path / "good.lean").write_text("prelude\nimport LeanWorker.Library\ntheorem goal : 1 = 1 := rfl\n")
    (tmp_path / "bad.lean").write_text("prelude\nimport LeanWorker.Library\ntheorem goal : 1 = 1 := sorry\n")
    arguments = ["verify", "statement.lean", "good.lean", "--toolchain", "embedded"]
    outcome = cli(*arguments, cwd=tmp_path)
    assert (outcome.returncode, outcome.stdout) == (0, "") and outcome.stderr.startswith("proved good.lean")
    outcome = cli(*arguments, "--quiet", cwd=tmp_path)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")
    outcome = cli(*arguments, "bad.lean", "--quiet", cwd=tmp_path)
    assert outcome.returncode == 1 and "good.lean" not in outcome.stderr
    assert [line.split()[1] for line in outcome.stderr.splitlines()] == ["bad.lean:"]


@pytest.mark.lean
def test_a_directory_is_looked_through_behind_links_too(tmp_path):
    (tmp_path / "top" / "below").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for place in ("top/one.lean", "top/below/two.lean", "elsewhere/three.lean"):
        (tmp_path / place).write_text("prelude\n")
    (tmp_path / "top/linked").symlink_to("../elsewhere")
    (tmp_path / "elsewhere/back").symlink_to("../top")  # a circle
    (tmp_path / "top/again").symlink_to("../elsewhere")
    report = json.loads(cli("check", "top", "--toolchain", "embedded", "--json", cwd=tmp_path).stdout)
    places = sorted(os.path.realpath(tmp_path / each["file"]) for each in report["files"])
    assert places == [str(tmp_path / each) for each in ("elsewhere/three.lean", "top/below/two.lean", "top/one.lean")]
    (tmp_path / "top/.lake/packages").mkdir(parents=True)
    (tmp_path / "top/.lake/packages/four.lean").write_text("prelude\n")
    (tmp_path / "top/packages").symlink_to(".lake/packages")
    report = json.loads(cli("check", "top", "--toolchain", "embedded", "--json", cwd=tmp_path).stdout)
    assert len(report["files"]) == 3


def test_a_directory_that_cannot_be_read_is_told(tmp_path):
    """By a user who is not root: root may read everything."""
    (tmp_path / "top/closed").mkdir(parents=True)
    (tmp_path / "top/one.lean").write_text("prelude\n")
    (tmp_path / "top/closed").chmod(0)
    code = (
        "import os, pathlib, sys\n"
        "from lean_worker.cli.check import _files\n"
        "from lean_worker.errors import UsageError\n"
        "os.chdir(sys.argv[1])\n"
        "os.getuid() or os.setresuid(65534, 65534, 65534)\n"
        "try: print(list(_files([pathlib.Path('top')])))\n"
        "except UsageError as error: print(error)\n"
    )
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    outcome = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60)
    assert "the directory top/closed cannot be read: Permission denied" in outcome.stdout, outcome
    (tmp_path / "top/closed").chmod(0o755)


@pytest.mark.lean
@pytest.mark.parametrize("command", ["check", "verify"])
def test_a_file_that_vanishes_meanwhile_takes_no_other_verdict_along(tmp_path, command):
    """It is removed while an earlier one has no end; all that is known of the others is reported."""
    header = "prelude\nimport LeanWorker.Library\n"
    (tmp_path / "statement.lean").write_text(header + "theorem goal : 1 = 1 := sorry\n")
    (tmp_path / "a.lean").write_text(header + "theorem goal : 1 = 1 := wrong\n")
    (tmp_path / "b.lean").write_text(looping(0).text)
    names = ["a.lean", "b.lean", *[f"c{number}.lean" for number in range(9)], "z.lean"]
    for name in names[2:]:
        (tmp_path / name).write_text(header + "theorem goal : 1 = 1 := rfl\n")
    given = names if command == "check" else ["statement.lean", *names]
    arguments = [*RUN, command, *given, "--jobs", "1", "--timeout", "5", "--toolchain", "embedded"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(arguments, cwd=tmp_path, env=ENV, **piped) as running:
        assert running.stdout is not None
        shown = running.stdout.readline()  # of the first file
        (tmp_path / "z.lean").unlink()
        shown += running.stdout.read()
    assert running.returncode == 1, shown
    words = "12 files in" if command == "check" else "12 candidates in"
    assert words in shown and "1 lost" in shown.partition(words)[2], shown
    assert "the file was removed before it was" in shown and "z.lean" in shown


@pytest.mark.parametrize("other", ["--json", "--github"])
@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_two_reports_do_not_share_standard_output(tmp_path, other, place):
    (tmp_path / "a.lean").write_text("prelude\n")
    outcome = cli("check", "a.lean", other, "--junit", place, cwd=tmp_path)
    assert outcome.returncode == 2 and "both want standard output" in outcome.stderr and not outcome.stdout


@pytest.mark.lean
def test_a_candidate_s_name_that_is_no_unicode_is_escaped(tmp_path):
    """As everywhere: half of a surrogate pair is no JSON for most readers."""
    header = "prelude\nimport LeanWorker.Library\n"
    (tmp_path / "statement.lean").write_text(header + "theorem goal : 1 = 1 := sorry\n")
    (tmp_path / os.fsdecode(b"\xff.lean")).write_text(header + "theorem goal : 1 = 1 := rfl\n")
    arguments = [*RUN, "verify", "statement.lean", b"\xff.lean", "--toolchain", "embedded", "--json"]
    outcome = subprocess.run(arguments, cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=100)
    assert json.loads(outcome.stdout)["candidates"][0]["name"] == "\\xff.lean", outcome.stderr


@pytest.mark.lean
def test_hints_name_options_that_the_command_has(tmp_path):
    """In what is shown, and in every report."""
    (tmp_path / "missing.lean").write_text("prelude\nimport No.Such\n")
    (tmp_path / "script.lean").write_text("prelude\nimport No.Such\ndef main : IO Unit := pure ()\n")
    hint = "Give --project the Lake project that has it"
    arguments = ["check", "missing.lean", "--toolchain", "embedded"]
    assert hint in cli(*arguments, cwd=tmp_path).stderr
    assert hint in cli(*arguments, "--github", cwd=tmp_path).stdout
    assert hint in json.loads(cli(*arguments, "--json", cwd=tmp_path).stdout)["files"][0]["hint"]
    cli(*arguments, "--junit", "report.xml", cwd=tmp_path)
    assert hint in (tmp_path / "report.xml").read_text()
    arguments = ["doctor", "script.lean", "--toolchain", "embedded"]
    assert hint in cli(*arguments, cwd=tmp_path).stdout
    assert hint in str(json.loads(cli(*arguments, "--json", cwd=tmp_path).stdout)["findings"])


def test_a_name_that_means_another_file_elsewhere_is_checked_by_its_own_text(tmp_path):
    """A worker's /dev/stdin is empty, and an empty file is accepted by a full Lean."""
    file = tmp_path / "wrong.lean"
    file.write_text("prelude\nimport LeanWorker.Prelude\ntheorem t (p q : Prop) (h : p) : q := h\n")
    link = tmp_path / "link.lean"
    link.symlink_to("/dev/stdin")
    for name in ("/dev/stdin", str(link)):
        with file.open() as standard_input:
            outcome = cli("check", name, stdin=standard_input)
        assert outcome.returncode == 1 and f"{name}:3:" in outcome.stdout
    assert "1 file in" in outcome.stderr


def test_a_report_goes_through_a_link_and_to_what_standard_output_is(tmp_path):
    file, report, link, out = (tmp_path / name for name in ("a.lean", "report.xml", "link.xml", "out"))
    file.write_text("prelude\ntheorem t (p : Prop) (h : p) : p := h\n")
    link.symlink_to(report)
    assert cli("check", str(file), "--junit", str(link)).returncode == 0
    assert link.is_symlink() and report.read_text().startswith("<?xml")
    with out.open("wb") as stream:
        stream.write(b"before\n")
        stream.flush()
        # As root, a report that replaces files would replace /dev/stdout itself; this name cannot be.
        arguments = [*RUN, "check", str(file), "--junit", "/proc/self/fd/1"]
        assert subprocess.run(arguments, env=ENV, stdout=stream, timeout=120).returncode == 0
    for number in (1, 2):  # pipes, which have no name of their own
        done = subprocess.run([*arguments[:-1], f"/proc/self/fd/{number}"], env=ENV, capture_output=True, timeout=120)
        assert done.returncode == 0 and b"<?xml" in (done.stdout, done.stderr)[number - 1]
    assert out.read_text().startswith("before\n<?xml")


def test_limits_and_reports_name_the_options_of_the_shell(tmp_path):
    file = tmp_path / "full.lean"
    file.write_text("theorem t : True := True.intro\n")
    outcome = cli("check", str(file), "--github", "--toolchain", "embedded", "--junit", str(tmp_path / "report.xml"))
    assert "toolchain=" not in outcome.stdout + (tmp_path / "report.xml").read_text()
    assert "--toolchain" in outcome.stdout and "--toolchain" in (tmp_path / "report.xml").read_text()
    file.write_text(looping(0).text)  # until it is killed
    outcome = cli("check", str(file), "--kill-above-mib", "1")
    assert outcome.returncode == 3 and "Raise --kill-above-mib," in outcome.stderr


def test_a_command_that_has_stored_its_rows_says_so_after_ctrl_c_too(tmp_path):
    """It is pressed when the file is there: the request may still be ending, or the worker."""
    (tmp_path / "own.py").write_text("def rows(request):\n    yield from range(5)\nCOMMANDS = {'rows': rows}\n")
    arguments = [*RUN, "run", "python:own:COMMANDS", "rows", "--out", "rows.jsonl"]
    for _ in range(6):
        with subprocess.Popen(arguments, cwd=tmp_path, env=ENV, stderr=subprocess.PIPE, text=True) as running:
            wait_until((tmp_path / "rows.jsonl").exists)
            running.send_signal(signal.SIGINT)
            assert running.stderr is not None
            said = running.stderr.read()
        assert running.returncode == 0 and "5 rows" in said, (running.returncode, said)
        (tmp_path / "rows.jsonl").unlink()
