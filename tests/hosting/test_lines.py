"""Any program that prints JSON lines: what its output is taken for, how it ends, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading

import msgspec
import pytest

import lean_worker as lw
from support import HOSTS, is_running, send_signal, wait_until

PRINTER = [sys.executable, "-S", str(HOSTS / "printer.py")]
HOW = ["rows", "text", "big", "exits", "signalled", "cut-and-fails", "floods", "closes", "echo", "daemon"]
HOW += ["helper", "orphan", "tree", "live", "endless", "silent"]
PROGRAMS = {how: [*PRINTER, how] for how in HOW}


class Pids(msgspec.Struct):
    pids: list[int]


def programs(**options):
    return lw.LinesCapability(PROGRAMS, **{"request": "arguments", **options})


STRICT = programs()
LENIENT = programs(other_lines="diagnostic")


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2) as pool:
        yield pool


def collect(pool, how, *arguments, capability=STRICT, **options):
    with pool.lease(capability) as lease:
        return lease.collect(lw.StreamingCommand(how), list(arguments), **options)


def payloads(collected):
    return [row.payload for row in collected.rows]


ZERO, ONE = {"i": 0}, {"i": 1}


@pytest.mark.parametrize("name", ["crlf", "no-newline", "empty-lines", "bom"])
def test_what_counts_as_a_line(pool, name):
    collected = collect(pool, "text", name)
    assert payloads(collected) == [ZERO, ONE]
    assert collected.summary.per_stream_counts == {"rows": 2}


def test_a_row_is_handed_on_in_the_bytes_that_were_printed(pool):
    (row,) = collect(pool, "text", "verbatim").rows
    assert row.text == b'{"big":123456789012345678901234567890,"b":1.50,"a" : "\\u00e9"}'


@pytest.mark.parametrize("name", ["cut", "words", "number", "array", "two", "invalid-utf8", "nul"])
def test_a_line_that_is_no_object_ends_the_stream(pool, name):
    rows = []
    with (
        pool.lease(STRICT) as lease,
        pytest.raises(lw.errors.RowMalformed, match=r"line 2 of the program's output") as caught,
    ):
        lease.run(lw.StreamingCommand("text"), [name], on_row=rows.append)
    assert [row.payload for row in rows] == [ZERO]
    assert caught.value.rows_delivered == 1
    assert payloads(collect(pool, "rows", "1")) == [ZERO], "the worker serves the next request"


@pytest.mark.parametrize("name", ["words", "number", "array", "two", "invalid-utf8", "nul"])
def test_a_line_that_is_no_object_is_a_diagnostic_if_so_chosen(pool, name):
    said = []
    collected = collect(pool, "text", name, capability=LENIENT, on_diagnostic=said.append)
    assert payloads(collected) == [ZERO, ONE]
    assert [diagnostic.code for diagnostic in said] == ["stdout"]


def test_many_rows_in_order(pool):
    assert payloads(collect(pool, "rows", "20000")) == [{"i": i} for i in range(20_000)]


def test_no_output_is_a_stream_without_rows(pool):
    assert collect(pool, "silent").summary.total_rows == 0


def test_a_row_is_delivered_while_the_program_runs(pool, tmp_path):
    with pool.lease(STRICT) as lease, lease.stream(lw.StreamingCommand("live"), [str(tmp_path / "go")]) as rows:
        assert next(rows).payload == ZERO
        (tmp_path / "go").touch()
        assert [row.payload for row in rows] == [ONE]


# -- size --


@pytest.mark.once
def test_a_line_of_50_mb(_size=50_000_000):
    with lw.Pool(limits=lw.Limits(max_frame_bytes=64 << 20)) as pool:
        big = collect(pool, "big", str(_size)).rows[1]
        assert len(big.payload["text"]) == _size


def test_a_line_over_the_limit_names_the_limit(pool):
    rows = []
    for capability in (STRICT, LENIENT):
        with pool.lease(capability) as lease, pytest.raises(lw.errors.FrameTooLarge) as caught:
            lease.run(lw.StreamingCommand("big"), [str(5 << 20)], on_row=rows.append)
        assert "Limits(max_frame_bytes" in caught.value.hint
        assert caught.value.length_bytes > caught.value.limit_bytes == 1 << 20
    assert [row.payload for row in rows] == [ZERO, ZERO]
    assert payloads(collect(pool, "rows", "1")) == [ZERO]


# -- how it ends --


def test_an_exit_code_is_a_failure_with_the_last_words(pool):
    said = []
    with pytest.raises(lw.CommandFailed) as caught:
        collect(pool, "exits", "3", on_diagnostic=said.append)
    error = caught.value
    assert (error.code, error.exit_code, error.status) == ("lean_worker.program.exit", 3, 3)
    assert error.rows_delivered == 1
    assert "last words" in str(error)
    assert [diagnostic.message for diagnostic in said] == ["first", "last words"]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM"])
def test_a_signal_is_a_failure_that_names_it(pool, name):
    with pytest.raises(lw.CommandFailed) as caught:
        collect(pool, "signalled", name)
    assert (caught.value.code, caught.value.signal) == ("lean_worker.program.signal", name)


def test_a_row_cut_by_a_failure_is_part_of_the_failure(pool):
    with pytest.raises(lw.CommandFailed) as caught:
        collect(pool, "cut-and-fails")
    assert (caught.value.exit_code, caught.value.rows_delivered) == (3, 1)


def test_closed_output_is_not_the_end(pool):
    with pytest.raises(lw.CommandFailed) as caught:
        collect(pool, "closes", "7")
    assert caught.value.exit_code == 7
    assert payloads(collect(pool, "closes", "0")) == [ZERO]


def test_a_flood_on_stderr_is_bounded(pool):
    said = []
    assert payloads(collect(pool, "floods", on_diagnostic=said.append)) == [ZERO]
    lines = [diagnostic.message for diagnostic in said if diagnostic.code == "stderr"]
    assert 100 < len(lines) <= 501
    assert sum(map(len, lines)) < 80_000
    assert "more bytes of stderr" in lines[-1]


def test_stderr_can_go_to_that_of_the_worker():
    lines, seen = [], threading.Event()

    def on_stderr(line):
        lines.append(line)
        if "last words" in line:
            seen.set()

    with lw.Pool(on_stderr=on_stderr) as own:
        said = []
        with pytest.raises(lw.CommandFailed):
            collect(own, "exits", "3", capability=programs(stderr="worker"), on_diagnostic=said.append)
        assert seen.wait(10)
    assert said == []


# -- requests --


@pytest.mark.parametrize(
    "how, request_value, arguments, stdin",
    [
        ("stdin", {"limit": 3}, [], '{"limit":3}\n'),
        ("argument", {"limit": 3}, ['{"limit":3}'], ""),
        ("arguments", ["--limit", "3", "é\n"], ["--limit", "3", "é\n"], ""),
        ("arguments+stdin", {"arguments": ["-"], "stdin": {"limit": 3}}, ["-"], '{"limit":3}\n'),
        ("none", None, [], ""),
    ],
)
def test_ways_of_a_request_into_a_program(how, request_value, arguments, stdin, tmp_path):
    capability = programs(request=how, cwd=tmp_path)
    with lw.Pool() as own, own.lease(capability) as lease:
        answer = lease.call(lw.JsonCommand("echo"), request_value)
        assert answer == {"arguments": arguments, "stdin": stdin}
        if how != "stdin":
            refusal = lw.CommandFailed if how == "argument" else lw.DecodeError
            with pytest.raises(refusal, match="does not fit|could not be started"):
                lease.call(lw.JsonCommand("echo"), 42 if how != "argument" else "x" * 600_000)


def test_an_answer_is_exactly_one_object(pool):
    with pool.lease(STRICT) as lease:
        for count in ("0", "2"):
            with pytest.raises(lw.CommandFailed, match=f"printed {count} JSON objects"):
                lease.call(lw.JsonCommand("rows"), [count])
        assert lease.call(lw.JsonCommand("rows"), ["1"]) == ZERO


def test_one_program_serves_lines_and_others_are_unknown():
    with lw.Pool() as own, own.lease(lw.LinesCapability([*PRINTER, "echo"])) as lease:
        (row,) = lease.collect(lw.StreamingCommand("lines"), None).rows
        assert row.payload == {"arguments": [], "stdin": "null\n"}
        with pytest.raises(lw.errors.UnknownCommand):
            lease.collect(lw.StreamingCommand("echo"))


# -- what cannot be hosted --


@pytest.mark.parametrize(
    "arguments",
    [
        {"commands": []},
        {"commands": {}},
        {"commands": "lake exe export"},
        {"commands": {"a": "lake exe export"}},
        {"commands": {"": ["true"]}},
        {"commands": ["true"], "request": "json"},
        {"commands": ["true"], "other_lines": "skip"},
        {"commands": ["true"], "stderr": "null"},
    ],
)
def test_a_capability_that_makes_no_sense(arguments):
    with pytest.raises(lw.UsageError, match="hosting a program"):
        lw.LinesCapability(**arguments)


def test_a_program_or_directory_that_is_not_there(tmp_path):
    with pytest.raises(lw.CapabilityError, match="not found"):
        lw.LinesCapability(["no-such-program"]).launch()
    with pytest.raises(lw.CapabilityError, match="not found"):
        lw.LinesCapability(["./tool"], cwd=tmp_path).launch()
    with pytest.raises(lw.CapabilityError, match="does not exist"):
        lw.LinesCapability(["true"], cwd=tmp_path / "no").launch()
    (tmp_path / "tool").write_text("#!/bin/sh\necho '{\"here\":true}'\n")
    (tmp_path / "tool").chmod(0o755)
    capability = lw.LinesCapability(["./tool"], cwd=tmp_path)
    with lw.Pool() as own, own.lease(capability) as lease:
        assert lease.call(lw.JsonCommand("lines")) == {"here": True}
        (tmp_path / "tool").unlink()
        with pytest.raises(lw.CommandFailed, match="could not be started: .*No such file") as caught:
            lease.call(lw.JsonCommand("lines"))
        assert caught.value.code == "lean_worker.program.not_started"


# -- nothing stays --


def test_what_a_program_leaves_behind_is_ended_and_told(pool):
    said = []
    (row,) = collect(pool, "daemon", on_diagnostic=said.append).rows
    assert not is_running(row.payload["pid"])
    assert [diagnostic.code for diagnostic in said] == ["left_behind"]


def test_a_helper_that_ends_with_its_program_is_not_left_behind(pool):
    said = []
    (row,) = collect(pool, "helper", on_diagnostic=said.append).rows
    assert not is_running(row.payload["pid"])
    assert said == []


def test_an_end_is_noticed_after_that_of_an_orphan(pool):
    said = []
    (row,) = collect(pool, "orphan", on_diagnostic=said.append, timeout=30).rows
    assert not is_running(row.payload["pid"])
    assert said == []


def start_tree(lease, **options):
    stream = lease.stream(lw.StreamingCommand("tree", row=Pids), [], **options)
    pids = next(stream).pids
    assert all(map(is_running, pids))
    return stream, pids


def test_a_cancel_ends_a_silent_tree_and_keeps_the_worker(pool):
    cancel = lw.CancelToken()
    with pool.lease(STRICT) as lease:
        worker = lease._core.loan.worker.pid
        stream, pids = start_tree(lease, cancel=cancel)
        cancel.cancel()
        with stream, pytest.raises(lw.Cancelled):
            next(stream)
        assert not any(map(is_running, pids))
        assert lease.collect(lw.StreamingCommand("rows"), ["2"]).summary.total_rows == 2
        assert lease._core.loan.worker.pid == worker


def test_a_stream_that_is_left_ends_its_tree(pool):
    with pool.lease(STRICT) as lease:
        stream, pids = start_tree(lease)
        stream.close()
        assert not any(map(is_running, pids))
        with lease.stream(lw.StreamingCommand("endless"), []) as rows:
            assert next(rows).payload == ZERO
        assert lease.collect(lw.StreamingCommand("rows"), ["2"]).summary.total_rows == 2


def test_a_deadline_ends_the_tree(pool):
    with pool.lease(STRICT) as lease:
        stream, pids = start_tree(lease, timeout=2.0)
        with stream, pytest.raises(lw.RequestTimeout):
            next(stream)
    wait_until(lambda: not any(map(is_running, pids)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_s_death_ends_the_tree(pool, number):
    with pool.lease(STRICT) as lease:
        stream, pids = start_tree(lease)
        send_signal(lease._core.loan.worker.pid, number)
        with stream, pytest.raises(lw.ChildExited):
            next(stream)
    wait_until(lambda: not any(map(is_running, pids)))


def test_the_parent_s_death_ends_the_tree():
    code = (
        "import sys, lean_worker as lw\n"
        "capability = lw.LinesCapability({'tree': sys.argv[1:]}, request='none')\n"
        "with lw.Pool() as pool, pool.lease(capability) as lease:\n"
        "    for row in lease.stream(lw.StreamingCommand('tree')):\n"
        "        print(*row.payload['pids'], flush=True)\n"
    )
    argv = [sys.executable, "-c", code, *PRINTER, "tree"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(map(is_running, pids))
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, pids)))


# -- what the pages and examples say --

ROOT = HOSTS.parent.parent


def run_python(*arguments, **options):
    outcome = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **options)
    assert outcome.returncode == 0, outcome.stderr
    return outcome


def test_the_page_s_example(tmp_path):
    program, exporter = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "lines.md").read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "export.py").write_text(exporter)
    said = run_python("program.py", cwd=tmp_path).stdout.splitlines()
    assert said == ["Nat.add_comm theorem", "Nat.mul_comm theorem", "2"]


def test_the_example_of_an_exporter():
    outcome = run_python(str(ROOT / "examples" / "wrap_exporter.py"))
    assert outcome.stdout.splitlines() == [
        "Nat.Basic: Nat.add_comm, Nat.mul_comm",
        "Nat.Missing: failed with exit code 1",
    ]
    assert "stdout: exporting Nat.Basic" in outcome.stderr.splitlines()
