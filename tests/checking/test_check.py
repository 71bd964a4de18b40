"""Checks of Lean files: verdicts that are never confused, typed messages, and files that harm no other."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

import lean_worker as lw
from lean_files import (
    CRASH,
    HEADER,
    LOOP,
    accepted,
    code_at_elaboration,
    generate,
    ill_typed,
    is_as_expected,
    unfinished,
)
from lean_worker.checking.results import CheckResult
from lean_worker.cli import check_reports
from support import is_running, send_signal, wait_until

pytestmark = pytest.mark.lean

GOOD = ("good", accepted(0).text)
BAD = ("bad", ill_typed(0).text)
SORRY = ("sorry", unfinished(0).text)


def check(files, **options):
    """Outcomes in the order of the files, on the embedded Lean."""
    return list(lw.check(files, **{"toolchain": "embedded", "in_order": True, "jobs": 1, "timeout": 60, **options}))


def essence(outcomes):
    """The part that must be the same each time."""
    return {
        checked.file: (
            checked.verdict,
            None if checked.verdict is lw.Verdict.LOST else checked.messages,
            checked.exit_code,
            checked.signal,
        )
        for checked in outcomes
    }


@pytest.mark.once
def test_forty_files_have_their_verdicts_in_any_order_and_each_time(tmp_path):
    files = generate(40, looping_count=1, crashing_count=1, seed=5)
    by_name = {}
    for file in files:
        (tmp_path / file.name).write_text(file.text)
        by_name[str(tmp_path / file.name)] = file
    runs = []
    for jobs, order in ((1, 1), (2, 1), (2, -1)):
        live = []
        outcomes = check(
            list(by_name)[::order],
            jobs=jobs,
            in_order=False,
            timeout=2,
            on_message=lambda m, live=live: live.append(m.file),
        )
        assert [checked for checked in outcomes if not is_as_expected(checked, by_name[checked.file])] == []
        assert sorted(live) == sorted(m.file for checked in outcomes for m in checked.messages)
        runs.append(essence(outcomes))
    assert len(runs[0]) == 40
    assert runs[0] == runs[1] == runs[2]


def test_a_message_is_typed():
    (checked,) = check([BAD])
    error, information = checked.messages
    assert error == lw.checking.CheckMessage(
        severity="error",
        position=lw.checking.CheckPosition(3, 59),
        end=lw.checking.CheckPosition(3, 61),
        data=error.data,
        kind="[anonymous]",
        file="bad",
    )
    assert error.data.splitlines()[:3] == ["Application type mismatch: The last", "  hp", "argument has type"]
    assert information.severity == "information"
    assert checked.errors == (error,)
    assert (checked.verdict, checked.exit_code, checked.cause) == (lw.Verdict.REJECTED, 1, None)


def test_what_is_done_about_sorry():
    for reject, verdict in ((False, "accepted"), (True, "rejected")):
        (checked,) = check([SORRY], reject_sorry=reject)
        assert checked.verdict == verdict
        assert checked.uses_sorry and checked.messages[0].is_sorry
    (checked,) = check([GOOD], reject_sorry=True)
    assert checked.verdict == "accepted" and not checked.uses_sorry


def test_options_are_lean_s_own():
    long = ("long", HEADER + "#check fun (x : Nat) => x\n")
    plain, fancy = (check([long], options={"pp.funBinderTypes": flag})[0].messages[0].data for flag in (False, True))
    assert plain != fancy


def test_a_file_that_this_lean_cannot_check_is_not_called_wrong(tmp_path):
    for text in (
        "def x := 1\n",
        "import Init\n",
        "import Mathlib\n",
        "module\nimport Init\n",
        "prelude\nimport Std.Data.HashMap\n",
        "prelude\nimport Lean.No.Such\n",
        "-- a comment\n\nimport Lean\n#check x\n",
    ):
        (checked,) = check([("full", text)])
        assert (checked.verdict, checked.exit_code) == (lw.Verdict.UNCHECKED, 1), text
        assert "written for a full Lean" in checked.cause and "toolchain=" in checked.hint
    for options, words in (
        ({"no.such.option": 1}, "no option no.such.option"),
        ({"maxHeartbeats": "many"}, "it must be a natural number"),
    ):
        for file in (GOOD, BAD):
            (checked,) = check([file], options=options)
            assert checked.verdict == "unchecked" and words in checked.cause and checked.hint
    for text, hint in (
        ("prelude\nimport Nope\n", "project="),
        ("prelude\nimport LeanWorker.Nope\n", "correct the import"),
    ):
        (checked,) = check([("absent", text)])
        assert checked.verdict == "unchecked" and text.split()[-1] in checked.cause and hint in checked.hint
    (checked,) = check([("wrong", HEADER + "set_option no.such true\n")])
    assert (checked.verdict, checked.hint) == ("rejected", None)


def test_ends_that_say_nothing_of_the_file():
    exits = ("exits", code_at_elaboration("IO.Process.exit 7"))
    outcomes = check([("crash", CRASH), exits, GOOD])
    assert [checked.verdict for checked in outcomes] == ["lost", "lost", "accepted"]
    crash, exit, _ = outcomes
    assert (crash.signal, crash.exit_code, crash.cause) == ("SIGSEGV", None, "Lean was ended by signal SIGSEGV")
    assert (exit.signal, exit.exit_code, exit.cause) == (None, 7, "Lean ended with exit code 7 and reported no error")
    # Lean prints from a thread of its own, which its end may overtake.
    for checked in (crash, exit):
        assert [message.data for message in checked.messages] in ([], ["before : True"])


def test_a_file_that_needs_a_thread_of_its_own_gets_a_process_of_its_own():
    # In a fork of an initialised Lean this call would never return.
    waits = ("waits", code_at_elaboration("do let _ ← (Std.Internal.UV.Loop.alive : IO Bool); IO.Process.exit 9"))
    first, second = check([waits, GOOD], timeout=3)
    assert (first.verdict, first.exit_code) == ("lost", 9)
    assert [message.data for message in first.messages] == ["before : True"]
    assert second.verdict == "accepted"


def test_a_file_that_only_waits_times_out():
    waits = ("waits", code_at_elaboration("do IO.sleep 600000"))
    (checked,) = check([waits], timeout=1)
    assert (checked.verdict, checked.cause) == ("timed out", "no end within 1 seconds; Lean was killed")
    assert [message.data for message in checked.messages] == ["before : True"]


def test_a_lost_worker_loses_one_file():
    files = [("loop", LOOP), GOOD]
    seen = threading.Event()
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.extend(check(files, on_message=lambda message: seen.set())), daemon=True
    )
    thread.start()
    assert seen.wait(60)
    # The worker is our child; its keeper and Lean are below it.
    (worker,) = psutil.Process().children()
    below = [process.pid for process in worker.children(recursive=True)]
    assert len(below) == 2
    send_signal(worker.pid, 9)
    thread.join(60)
    lost, good = outcomes
    assert (lost.verdict, lost.error.signal) == ("lost", "SIGKILL")
    assert isinstance(lost.error, lw.ChildExited)
    assert good.verdict == "accepted"
    wait_until(lambda: not any(map(is_running, below)))


def test_many_that_time_out_use_no_worker_up():
    with lw.Pool(restarts=lw.RestartPolicy(max_restarts=1)) as pool:
        files = [(f"loop{i}", LOOP) for i in range(3)] + [GOOD]
        outcomes = check(files, pool=pool, jobs=None, timeout=1)
        assert [checked.verdict for checked in outcomes] == ["timed out"] * 3 + ["accepted"]
        assert pool.snapshot().started == 1


@pytest.mark.once
def test_a_sorry_is_reported_whatever_the_options_say():
    header = "prelude\nimport LeanWorker\n"
    for name in ("warn.sorry", "weak.warn.sorry"):
        for proof in ("sorry", "by stop\n  rfl", "by apply?"):
            (found,) = check(
                [("x", f"{header}theorem t : 1 = 2 := {proof}\n")], reject_sorry=True, options={name: False}
            )
            assert (found.verdict, found.uses_sorry, found.cause) == ("rejected", True, "it has a `sorry`")
            (found,) = check([("x", f"{header}example : 1 = 2 := {proof}\n")], reject_sorry=True, options={name: False})
            assert (found.verdict, found.uses_sorry) == ("rejected", True)


def test_a_byte_order_mark_is_named(tmp_path):
    file = tmp_path / "File.lean"
    file.write_text(GOOD[1], encoding="utf-8-sig")
    for checked in check([file, ("x", f"\ufeff{GOOD[1]}")]):
        assert checked.verdict == "unchecked" and "byte order mark" in checked.cause and "BOM" in checked.hint


@pytest.mark.once
def test_a_command_with_the_words_of_a_missing_module_is_wrong():
    header = "prelude\nimport LeanWorker\n"
    words = ("unknown module prefix 'Init'", "object file 'x.olean' of module X does not exist")
    files = [("x", f'{header}theorem t : True := by fail "{each}"\n') for each in words]
    files += [("x", f'{header}#eval (throw (IO.userError "{each}") : IO Unit)\n') for each in words]
    for checked in lw.check(files, toolchain="embedded"):
        assert (checked.verdict, checked.cause) == ("rejected", None)


@pytest.mark.once
def test_what_a_file_prints_is_no_message_of_lean():
    body = 'IO.println "{}"; IO.println "{\\"severity\\":1}"; return ()'
    text = f"#eval (do let t ← IO.asTask (do {body}); let _ ← IO.wait t; return () : IO Unit)\n"
    (checked,) = lw.check([("prints", "prelude\nimport LeanWorker\n" + text)], toolchain="embedded")
    assert (checked.verdict, checked.messages, checked.output) == ("accepted", (), '{}\n{"severity":1}')


def test_a_check_can_be_left_and_cancelled():
    cancel = lw.CancelToken()
    outcomes = lw.check(
        [GOOD, ("loop", LOOP), GOOD], toolchain="embedded", jobs=1, timeout=None, in_order=True, cancel=cancel
    )
    assert next(outcomes).verdict == "accepted"
    cancel.cancel()
    rest = list(outcomes)
    assert [checked.verdict for checked in rest][:1] == ["lost"]
    assert all(isinstance(checked.error, lw.Cancelled) for checked in rest)
    outcomes = lw.check([GOOD, ("loop", LOOP)], toolchain="embedded", jobs=1, timeout=None, in_order=True)
    assert next(outcomes).file == "good"
    outcomes.close()


def test_files_are_taken_as_workers_come_free():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield (f"good{len(taken)}", GOOD[1])

    outcomes = lw.check(endless(), toolchain="embedded", jobs=1)
    assert next(outcomes).verdict == "accepted"
    assert len(taken) < 20
    outcomes.close()


def test_what_on_message_raises_ends_the_check():
    def refuse(message):
        raise KeyError(message.file)

    with pytest.raises(KeyError, match="bad"):
        check([BAD], on_message=refuse)


def test_bad_calls(tmp_path):
    for files, options in (
        ("Proofs.lean", {}),
        ([GOOD], {"jobs": 0}),
        ([GOOD], {"timeout": -1}),
        ([("a", 1)], {}),
        ([tmp_path / "no.lean"], {}),
    ):
        with pytest.raises(lw.UsageError, match="check"):
            check(files, **options)
    with pytest.raises(lw.CapabilityError, match="does not exist"):
        check([GOOD], project=tmp_path / "no")


def test_files_import_modules_of_a_project(tmp_path):
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver"]
    built = tmp_path / ".lake" / "build" / "lib" / "lean"
    built.mkdir(parents=True)
    (tmp_path / "Ours.lean").write_text("prelude\naxiom Ours : Prop\naxiom ours : Ours\n")
    library = str(lw.toolchains.resolve("embedded").library)
    subprocess.run(
        [*driver, library, f"--root={tmp_path}", "-o", str(built / "Ours.olean"), str(tmp_path / "Ours.lean")],
        check=True,
    )
    uses = ("uses", "prelude\nimport Ours\ntheorem t : Ours := ours\n")
    assert check([uses], project=tmp_path)[0].verdict == "accepted"
    assert check([uses])[0].verdict == "unchecked"


# -- the command --


COMMAND = [sys.executable, "-c", "import sys; from lean_worker.cli import main; sys.argv[0] = 'lean-worker'; main()"]
COMMAND += ["check", "--toolchain", "embedded", "--jobs", "1"]


def run_command(*arguments, **options):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, **options)


def test_reports_hold_whatever_a_file_says(tmp_path):
    text = "first\r\n::error::50% \x1b[31m \x00 \ud800 \uffff <&>, second"
    position = lw.checking.CheckPosition(1, 0)
    message = lw.checking.CheckMessage("error", position, text, "a,b:c%.lean", end=lw.checking.CheckPosition(2, 3))
    wrong = CheckResult(0, "a,b:c%.lean", lw.Verdict.REJECTED, (message,), 0.5, output=text)
    lost = CheckResult(1, "b\n::error::.lean", lw.Verdict.LOST, (), 0.5, cause=text)
    for outcome, count in ((wrong, 1), (lost, 1)):
        lines = list(check_reports.annotations_of(outcome))
        assert len(lines) == count
        assert all(line.isprintable() or "\ud800" in line or "\uffff" in line for line in lines)
        assert lines[0].count("\n") == lines[0].count("\r") == 0 and "%0D%0A::error::50%25" in lines[0]
    assert next(check_reports.annotations_of(wrong)).startswith(
        "::error file=a%2Cb%3Ac%25.lean,line=1,endLine=2::first"
    )
    check_reports.write_junit(tmp_path / "report.xml", [wrong, lost], 1.0)
    cases = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert [case[0].tag for case in cases] == ["failure", "error"]
    assert "<&>, second" in cases[0][0].text and "<&>" in cases[1][0].get("message")
    assert os.listdir(tmp_path) == ["report.xml"]


def test_texts_and_messages_may_be_long():
    """Longer than a frame of the default size."""
    long = "x" * (3 << 19)
    text, message = check([("text", f"{HEADER}-- {long}\n"), ("message", f"{HEADER}theorem t : {long} := t\n")])
    assert (text.verdict, message.verdict) == ("accepted", "rejected")
    assert long in "".join(each.data for each in message.messages)


def test_the_command_and_its_exit_codes(tmp_path):
    for name, text in (("good", GOOD[1]), ("bad", BAD[1]), ("sorry", SORRY[1]), ("crash", CRASH)):
        (tmp_path / f"{name}.lean").write_text(text)
    everything = run_command(".", cwd=tmp_path)
    assert everything.returncode == 1
    assert everything.stdout.splitlines()[0] == "bad.lean:3:59: error: Application type mismatch: The last"
    assert "sorry.lean:3:8: warning: declaration uses `sorry`" in everything.stdout
    assert "4 files in" in everything.stderr and "1 lost" in everything.stderr
    lost = run_command("good.lean", "crash.lean", "--json", cwd=tmp_path)
    assert (lost.returncode, lost.stderr) == (3, "")
    facts = json.loads(lost.stdout)
    assert facts["counts"] == {"accepted": 1, "rejected": 0, "unchecked": 0, "timed out": 0, "lost": 1}
    assert [(f["file"], f["verdict"], f["signal"]) for f in facts["files"]] == [
        ("good.lean", "accepted", None),
        ("crash.lean", "lost", "SIGSEGV"),
    ]
    # Lean prints from a thread of its own, which its end may overtake.
    assert {message["position"]["line"] for message in facts["files"][1]["messages"]} <= {4}
    annotated = run_command(".", "--github", "--junit", "report.xml", cwd=tmp_path)
    assert annotated.returncode == 1
    lines = annotated.stdout.splitlines()
    assert all(line.startswith(("::error file=", "::warning file=", "::notice file=")) for line in lines)
    assert lines[0].startswith(
        "::error file=bad.lean,line=3,col=60,endColumn=62::Application type mismatch: The last%0A"
    )
    assert any(line.startswith("::error file=crash.lean::lost: Lean was ended by signal SIGSEGV") for line in lines)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
    }
    kinds = [(case.get("name"), [part.tag for part in case]) for case in suite]
    assert ("bad.lean", ["failure"]) in kinds and ("crash.lean", "error") in [(name, *tags[:1]) for name, tags in kinds]
    assert "bad.lean:3:59: error: Application" in suite[0][0].text
    sorry = run_command("sorry.lean", "good.lean", "--reject-sorry", "--quiet", cwd=tmp_path)
    assert sorry.returncode == 1 and "sorry.lean:3:8" in sorry.stdout
    assert run_command("no.lean", cwd=tmp_path).returncode == 2
    assert run_command("good.lean", "--toolchain", "no", cwd=tmp_path).returncode == 3
    (tmp_path / "full.lean").write_text("import Init\n")
    full = run_command("good.lean", "full.lean", cwd=tmp_path)
    assert (
        full.returncode == 3 and "1 accepted, 1 unchecked" in full.stderr and "hint: Choose a toolchain" in full.stderr
    )
    assert run_command("good.lean", "-D", "maxHeartbeats", cwd=tmp_path).returncode == 2
    assert run_command("good.lean", "--github", "--json", cwd=tmp_path).returncode == 2
    assert run_command("good.lean", "--junit", "no/report.xml", cwd=tmp_path).returncode == 2


def test_the_command_shows_a_bar_on_a_terminal(tmp_path):
    (tmp_path / "good.lean").write_text(GOOD[1])
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "good.lean"],
        cwd=tmp_path,
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:
            pass  # the terminal's way to say that nobody writes any more
        os.close(ours)
    assert process.returncode == 0
    assert b"0/1" in shown and b"accepted" in shown


# -- what the pages and examples say --

ROOT = Path(__file__).parents[2]


def test_the_page_s_examples():
    page = (ROOT / "docs" / "check.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    outcome = subprocess.run([sys.executable, "-c", "".join(programs)], capture_output=True, text=True, timeout=120)
    assert outcome.stdout == "".join(printed), outcome.stderr


def test_the_example_of_candidate_proofs():
    example = [sys.executable, str(ROOT / "examples" / "check_proofs.py")]
    outcome = subprocess.run(example, capture_output=True, text=True, timeout=120)
    assert outcome.stdout.splitlines() == [
        "accepted: constructor",
        "rejected: the same way round",
        "    4:2 Type mismatch",
        "rejected: unfinished",
        "    3:8 declaration uses `sorry`",
        "accepted: by cases",
    ], outcome.stderr


def test_a_directory_is_none_of_its_files(tmp_path):
    with pytest.raises(lw.UsageError, match="expected a file, got a directory") as caught:
        list(lw.check([tmp_path], toolchain="embedded"))
    assert "rglob" in caught.value.hint
