"""The scripted worker that users get for their tests: each step does what it says, on a real pool."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import subprocess
import sys
import time

import msgspec
import pytest

import lean_worker as lw
from lean_worker import testing
from lean_worker.testing import (
    Answer,
    Attempts,
    ByRequest,
    CloseInput,
    Crash,
    Cut,
    Diagnostic,
    Exit,
    Fail,
    Gate,
    Handshake,
    Hang,
    MalformedRow,
    Print,
    Progress,
    RawMessage,
    Row,
    Rows,
    Sleep,
    StderrFlood,
    Summary,
    fake_worker,
)

ROWS = lw.StreamingCommand("rows")
ASK = lw.JsonCommand("ask")


def drive(fake, request=None, *, command=ROWS, **options):
    """One stream on a pool of its own: the rows' payloads, and the summary."""
    seen = []
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.3, shutdown=0.3)) as pool, pool.lease(fake) as lease:
        summary = lease.run(command, request, on_row=lambda row: seen.append(row.payload), **options)
    return seen, summary


def test_a_script_is_answered_with_a_true_summary(fake_worker):
    fake = fake_worker({"rows": [Row({"n": 1}), Row(None, stream="other"), Rows(2, size_bytes=3)]})
    seen, summary = drive(fake, {"limit": 4})
    assert seen == [{"n": 1}, None, {"i": 0, "blob": "xxx"}, {"i": 1, "blob": "xxx"}]
    assert (summary.total_rows, summary.per_stream_counts, summary.metadata) == (4, {"rows": 3, "other": 1}, None)
    assert fake.requests == [testing.ReceivedRequest("rows", {"limit": 4})]


def test_events_prints_and_floods_harm_no_row(fake_worker):
    script = [
        Progress("elaborate", 1, 2),
        Print("a stray print\n"),
        StderrFlood(3 << 20),
        Diagnostic("lean.warning", "deprecated"),
        Row(1),
        Summary({"done": True}, elapsed_us=77),
    ]
    events = []
    seen, summary = drive(
        fake_worker({"rows": script}), on_progress=events.append, on_diagnostic=events.append, timeout=60
    )
    assert seen == [1]
    assert events == [Progress("elaborate", 1, 2), Diagnostic("lean.warning", "deprecated")]
    assert (summary.metadata, summary.elapsed_us) == ({"done": True}, 77)


def test_json_commands_metadata_and_doctor(fake_worker):
    metadata = {"commands": [{"name": "ask", "version": "1"}], "capabilities": [], "lean_version": "4.0.0"}
    finding = {"severity": "warning", "code": "c", "message": "m"}
    fake = fake_worker(
        {
            "ask": [Answer({"n": 2**70})],
            "quiet": [],
            "meta": [Answer(metadata)],
            "doc": [Answer({"diagnostics": [finding]})],
        }
    )
    with lw.Pool() as pool, pool.lease(fake) as lease:
        assert lease.call(ASK, timeout=20) == {"n": 2**70}
        assert lease.call(lw.JsonCommand("quiet")) is None
        assert lease.metadata("meta").lean_version == "4.0.0"
        assert lease.doctor("doc").diagnostics[0].severity == "warning"
        with pytest.raises(lw.errors.UnknownCommand, match="nothing"):
            lease.call(lw.JsonCommand("nothing"))
    assert [call.command for call in fake.requests] == ["ask", "quiet", "meta", "doc", "nothing"]


@pytest.mark.parametrize(
    ("script", "kind", "facts", "rows"),
    [
        ([Row(1), Crash("SIGSEGV")], lw.ChildExited, {"signal": "SIGSEGV"}, 1),
        ([Row(1), Print("last words\n"), Exit(7)], lw.ChildExited, {"exit_code": 7}, 1),
        ([Row(1), Cut(Row(2), 9, [Exit(0)])], lw.ChildExited, {"exit_code": 0}, 1),
        ([Row(1), Hang()], lw.RequestTimeout, {"kind": "request"}, 1),
        ([Row(1), Sleep(600)], lw.RequestTimeout, {"kind": "request"}, 1),
        ([Row(1), Row(2, sequence=5)], lw.errors.SequenceGap, {"side": "remote"}, 1),
        ([Row(1), MalformedRow()], lw.errors.MalformedFrame, {"side": "remote"}, 1),
        ([Row(1), Summary(total_rows=2)], lw.errors.SummaryMismatch, {"expected": 1, "received": 2}, 1),
        ([Row(1), Fail("my.code", "no")], lw.CommandFailed, {"code": "my.code"}, 1),
        ([Fail(status=9)], lw.CommandFailed, {"status": 9}, 0),
        ([RawMessage("surprise", {})], lw.errors.UnexpectedMessage, {"side": "remote"}, 0),
        ([CloseInput(), Cut(Row(1), 3, [Hang()])], lw.RequestTimeout, {"kind": "request"}, 0),
    ],
)
def test_each_failure_is_the_one_that_the_real_thing_has(fake_worker, script, kind, facts, rows):
    fake = fake_worker({"rows": script})
    with pytest.raises(kind) as caught:
        drive(fake, timeout=0.6 if kind is lw.RequestTimeout else 20)
    assert {name: caught.value.facts[name] for name in facts} == facts
    assert caught.value.rows_delivered == rows
    if any(isinstance(step, Print) for step in script):
        assert "last words" in caught.value.stderr_tail


def test_a_crash_once_and_then_success(fake_worker):
    fake = fake_worker({"rows": Attempts([Row(1), Crash("SIGABRT")], [Row(1), Row(2)])})
    with pytest.raises(lw.ChildExited):
        drive(fake)
    assert drive(fake)[0] == drive(fake)[0] == [1, 2]
    assert len(fake.requests) == 3


def test_attempts_are_counted_for_each_request(fake_worker):
    crash_once = Attempts([Exit(1)], [Row("second")])
    fake = fake_worker({"rows": ByRequest(({"id": 1}, crash_once), ({"id": 2}, [Fail()]), otherwise=[Row("other")])})
    assert drive(fake, {"id": 3})[0] == ["other"]
    with pytest.raises(lw.ChildExited):
        drive(fake, {"id": 1})
    with pytest.raises(lw.CommandFailed):
        drive(fake, {"id": 2})
    assert drive(fake, {"id": 1})[0] == ["second"]


def test_requests_are_told_apart_as_json_values(fake_worker):
    answers = ByRequest((True, [Row("true")]), ([{"a": 0}], [Row("zero")]), (1, [Row("one")]), otherwise=[Row("other")])
    fake = fake_worker({"rows": answers})
    told = [drive(fake, request)[0][0] for request in (1, True, [{"a": False}], [{"a": 0}], [{"a": 0}, 1], 1.0)]
    assert told == ["one", "true", "other", "zero", "other", "one"]


def test_a_gate_is_opened_inside_the_block():
    with testing.fake_worker({"rows": [Gate()]}) as fake:
        pass
    with pytest.raises(lw.UsageError, match="the with block of the fake worker has ended"):
        fake.open_gate()


def test_a_gate_that_no_script_has_is_refused(fake_worker):
    scripts = {
        "rows": ByRequest((1, [Gate("one")]), otherwise=Attempts([Gate("two")])),
        "more": [Cut(Row(1), 1, (Gate(),))],
    }
    fake = fake_worker(scripts, startup=[Gate("start")])
    for name in ("one", "two", "gate", "start"):
        fake.open_gate(name)
    with pytest.raises(lw.UsageError, match=r"\['gate', 'one', 'start', 'two'\], got 'three'"):
        fake.open_gate("three")


def test_an_unknown_command_is_told_with_those_that_are_known(fake_worker):
    with pytest.raises(lw.errors.UnknownCommand) as caught:
        drive(fake_worker({"one": [], "two": []}))
    assert list(caught.value.commands) == ["one", "two"]


def test_a_start_that_fails_first_and_one_that_takes_its_time(fake_worker):
    fake = fake_worker({"rows": [Row(1)]}, startup=Attempts([Print("no luck\n"), Exit(70)], [Gate("start")]))
    with lw.Pool() as pool:
        with pytest.raises(lw.CapabilityError, match="no luck"):
            pool.lease(fake)
        assert pool.snapshot().ended["start_failed"] == 1
    with lw.Pool(timeouts=lw.Timeouts(startup=0.3)) as pool, pytest.raises(lw.RequestTimeout, match="start-up"):
        pool.lease(fake)
    fake.open_gate("start")
    assert drive(fake)[0] == [1]


def test_a_gate_holds_the_second_row_back(fake_worker):
    fake = fake_worker({"rows": [Row(1), Gate(), Row(2)]})
    with lw.Pool() as pool, pool.lease(fake) as lease, lease.stream(ROWS, timeout=20) as rows:
        assert next(rows).payload == 1
        fake.open_gate()
        assert [row.payload for row in rows] == [2]


@pytest.mark.parametrize(("features", "stays"), [(["cancel"], True), ([], False)])
def test_endless_rows_are_cancelled(fake_worker, features, stays):
    fake = fake_worker({"rows": [Rows(None)], "ask": [Answer(1)]}, startup=[Handshake(features=features)])
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=20)) as pool, pool.lease(fake) as lease:
        with lease.stream(ROWS) as rows:
            for row in rows:
                if row.sequence == 5000:
                    break
        assert lease.is_stale is not stays
        if stays:
            assert lease.call(ASK) == 1


def test_a_worker_that_dies_after_its_answer(fake_worker):
    fake = fake_worker({"rows": Attempts([Row(1), Summary(), Gate(), Crash()], [Row(1)])})
    with lw.Pool() as pool:
        with pool.lease(fake) as lease:
            assert lease.run(ROWS, on_row=lambda row: None).total_rows == 1
            worker = lease._core.loan.worker
            fake.open_gate()
            end = time.monotonic() + 20
            while not worker.is_gone:
                assert time.monotonic() < end
                time.sleep(0.002)
            with pytest.raises(lw.errors.StaleLease):
                lease.run(ROWS, on_row=lambda row: None)
        with pool.lease(fake) as lease:
            assert lease.run(ROWS, on_row=lambda row: None).total_rows == 1


def test_many_rows_come_through(fake_worker):
    seen, summary = drive(fake_worker({"rows": [Rows(50_000)]}))
    assert [payload["i"] for payload in seen] == list(range(50_000))
    assert summary.total_rows == 50_000


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (["Row"], "'Row' is not a step"),
        ("Row", "expected a sequence of steps"),
        ([Sleep(-1)], "cannot be played"),
        ([Row(object())], "cannot be played"),
        ([Row({float})], "cannot be played"),
        ([Rows("many")], "cannot be played"),
        ([Sleep(math.inf)], "cannot be played: inf at"),
        ([Print("\ud800")], "has surrogates"),
        (ByRequest((math.nan, [Row(1)])), "no request is nan: nan at"),
        ([Gate("../gate")], "cannot be played"),
        ([Cut(Sleep(1), 3)], "Sleep is not a step that sends"),
        ([Cut(Row(1), 3, ["x"])], "'x' is not a step"),
        (Attempts([Row(1)], [lw.DataRow("rows", 0, 1, b"1")]), "is not a step"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_at_once(script, words):
    with pytest.raises(lw.UsageError, match=words), testing.fake_worker({"rows": script}):
        raise AssertionError("not reached")


@pytest.mark.parametrize("step", [Row, Answer, lambda value: Summary(metadata=value), lambda value: Cut(Row(value), 3)])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, r"nan at \$ has no JSON form"),
        ({"a": [math.inf]}, r"inf at \$\.a\[0\] has no JSON form"),
        ({1: 2, "1": 3}, "are both"),
        ({"a": "\ud800"}, r"at \$\.a has surrogates"),
        (datetime.time(tzinfo=datetime.timezone(datetime.timedelta(seconds=90))), "UTC offset"),
    ],
)
def test_a_step_sends_only_values_that_a_host_would(step, value, words):
    with pytest.raises(lw.UsageError, match=words), testing.fake_worker({"rows": [step(value)]}):
        raise AssertionError("not reached")


def test_values_that_are_no_script():
    with pytest.raises(lw.UsageError, match="not the name of a signal"):
        Crash("NOTHING")
    with pytest.raises(lw.UsageError, match="one script or more"):
        Attempts()


def test_a_fake_whose_block_has_ended_starts_no_worker(tmp_path):
    with testing.fake_worker({}) as fake:
        pass
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="block has ended"):
        pool.lease(fake)
    with testing.fake_worker({"ask": []}, directory=tmp_path) as fake, lw.Pool() as pool, pool.lease(fake) as lease:
        lease.call(ASK, 5)
    assert msgspec.json.decode((tmp_path / "requests.jsonl").read_bytes()) == {"command": "ask", "request": 5}


def test_pytest_is_not_loaded_for_the_context_manager():
    code = "import sys, lean_worker.testing; print('pytest' in sys.modules, 'lean_worker.blocking.pool' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]


def test_the_fixture_in_a_project_of_its_own(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lean_worker.pytest_plugin"]\n')
    (tmp_path / "test_it.py").write_text(
        "import lean_worker as lw\n"
        "from lean_worker.testing import Row\n"
        "def test_it(fake_worker):\n"
        "    fake = fake_worker({'rows': [Row(1)]})\n"
        "    with lw.Pool() as pool, pool.lease(fake) as lease:\n"
        "        assert len(lease.collect(lw.StreamingCommand('rows')).rows) == 1\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert outcome.returncode == 0, outcome.stdout
    assert "1 passed" in outcome.stdout


def test_fakes_take_no_descriptor_each():
    with fake_worker({}), contextlib.ExitStack() as fakes:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            fakes.enter_context(fake_worker({}))
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_fakes_of_a_killed_process_are_removed_by_the_next(tmp_path):
    killed = (
        "import os, signal\nfrom lean_worker.testing import fake_worker\n"
        "fakes = [fake_worker({}) for _ in range(3)]\nfor fake in fakes:\n    fake.__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", killed], env=env, timeout=60, check=False)
    assert len(list(tmp_path.glob("*/fake-*"))) == 3
    serves = (
        "import sys, time, pathlib\nimport lean_worker as lw\nfrom lean_worker.testing import Answer, fake_worker\n"
        "with fake_worker({'ask': [Answer(1)]}) as fake, lw.Pool(1) as pool:\n"
        "    assert pool.call(fake, lw.JsonCommand('ask')) == 1\n"
        "    end = time.monotonic() + 30\n"
        "    while len(list(pathlib.Path(sys.argv[1]).glob('*/fake-*'))) > 1 and time.monotonic() < end:\n"
        "        time.sleep(0.01)\n"
    )
    subprocess.run([sys.executable, "-c", serves, str(tmp_path)], env=env, timeout=60, check=True)
    assert list(tmp_path.glob("*/fake-*")) == []
