"""The command line on a real terminal: bars, Ctrl-C once and twice, completion."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pexpect
import psutil
import pytest

from support import HOSTS

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # forkpty beside threads
RUN = ["-m", "lean_worker.cli", "run"]
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOSTS), os.environ.get("PYTHONPATH", "")]), "TERM": "xterm"}


def spawn(*arguments, **env):
    return pexpect.spawn(
        sys.executable, [*RUN, *arguments], encoding="utf-8", env={**ENV, **env}, dimensions=(24, 120), timeout=60
    )


def ended(terminal):
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def workers_of(terminal):
    return psutil.Process(terminal.pid).children(recursive=True)


def test_a_bar_shows_phase_rows_and_memory(tmp_path):
    gate = tmp_path / "gate"
    out = tmp_path / "rows.jsonl"
    terminal = spawn("python:functions:COMMANDS", "measured", "--request", f'{{"gate":"{gate}"}}', "--out", str(out))
    terminal.expect("elaborate")
    terminal.expect("50%")
    terminal.expect("MiB")
    gate.touch()
    terminal.expect("4 rows in")
    assert ended(terminal) == 0
    assert len(out.read_text().splitlines()) == 4


def test_no_color_and_quiet(tmp_path):
    out = str(tmp_path / "rows.jsonl")
    quiet = spawn("python:functions:COMMANDS", "rows", "--request", '{"count":3}', "--out", out, "--quiet")
    assert ended(quiet) == 0 and quiet.before.strip() == ""
    plain = spawn("python:functions:COMMANDS", "fail_after_rows", "--out", out, NO_COLOR="1")
    assert ended(plain) == 1 and "half way" in plain.before and "\x1b[1;31m" not in plain.before
    colourful = spawn("python:functions:COMMANDS", "fail_after_rows", "--out", out)
    assert ended(colourful) == 1 and "\x1b[1;31m" in colourful.before


def test_one_interrupt_stops_at_a_row_and_leaves_nothing(tmp_path):
    terminal = spawn("python:functions:COMMANDS", "endless", "--out", str(tmp_path / "rows.jsonl"))
    terminal.expect(r"[1-9]\d* rows")
    workers = workers_of(terminal)
    assert workers
    terminal.sendintr()
    terminal.expect("stopping at the next row")
    terminal.expect("interrupted after [1-9]")
    assert ended(terminal) == 130
    assert os.listdir(tmp_path) == []
    psutil.wait_procs(workers, timeout=20)
    assert not any(worker.is_running() for worker in workers)


def test_a_second_interrupt_kills_at_once(tmp_path):
    terminal = spawn("python:functions:COMMANDS", "row_then_hang", "--out", str(tmp_path / "rows.jsonl"))
    terminal.expect("1 row ")
    workers = workers_of(terminal)
    terminal.sendintr()
    terminal.expect("Ctrl-C again kills")
    terminal.sendintr()
    terminal.expect("lean-worker: interrupted\r\n")  # not "interrupted after … rows", as after the time of grace
    assert ended(terminal) == 130
    assert os.listdir(tmp_path) == []
    psutil.wait_procs(workers, timeout=20)
    assert not any(worker.is_running() for worker in workers)


def test_an_interrupt_while_the_worker_starts(tmp_path):
    terminal = spawn(
        "python:slow_start:COMMANDS",
        "rows",
        "--out",
        str(tmp_path / "r.jsonl"),
        STARTED=str(tmp_path / "up"),
        LEAN_WORKER_PASS_ENV="STARTED",
    )
    end = time.monotonic() + 60
    while not (tmp_path / "up").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    terminal.sendintr()
    assert ended(terminal) == 130
    assert os.listdir(tmp_path) == ["up"]


def test_completion_in_bash(tmp_path):
    command = Path(sys.executable).parent / "lean-worker"
    assert command.exists()
    env = {**ENV, "PATH": f"{command.parent}:{ENV['PATH']}", "HOME": str(tmp_path), "PS1": "$ "}
    shell = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], encoding="utf-8", env=env, timeout=60)
    shell.sendline("lean-worker --install-completion bash; source ~/.bashrc; echo in''stalled")
    shell.expect("installed\r\n")
    shell.send("lean-worker doc\t")
    shell.expect("lean-worker doctor ")
    shell.send("--js\t")
    shell.expect("--json ")
    shell.sendline("")
    shell.expect('"protocol": 10')
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()
