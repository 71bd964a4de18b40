"""`lean-worker top` and what it reads: the pools of other processes, through a private socket."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading

import pexpect
import pytest

import lean_worker as lw
from lean_worker.pool import snapshot_server as live
from lean_worker.testing import Gate, Row, Rows

ROWS = lw.StreamingCommand("rows")
PROGRAM = """
import sys
import lean_worker as lw
from lean_worker.testing import Row, fake_worker
with fake_worker({"rows": [Row(1), Row(2)]}) as fake, lw.Pool(3) as pool, pool.lease(fake) as lease:
    lease.collect(lw.StreamingCommand("rows"))
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def top(*arguments, **options):
    command = [sys.executable, "-m", "lean_worker.cli", "top", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def served(program=PROGRAM, **env):
    process = subprocess.Popen(
        [sys.executable, "-c", program, "my program"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LEAN_WORKER_TOP": "1", **env},
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    process.communicate("", timeout=60)
    assert process.returncode == 0


@pytest.mark.once
def test_top_sees_the_pool_of_another_process(runtime):
    process = served()
    try:
        (pool,) = json.loads(top("--json", "--once").stdout)["pools"]
        assert (pool["pid"], pool["snapshot"]["rows_delivered"], pool["snapshot"]["max_workers"]) == (process.pid, 2, 3)
        assert "my program" in pool["program"]
        shown = top("--once", env={**os.environ, "COLUMNS": "140"}).stdout
        assert "1/0/3" in shown and "my program" in shown
        (path,) = (runtime / "lean-worker").iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        end(process)
    assert list((runtime / "lean-worker").iterdir()) == []
    nothing = top("--once")
    assert nothing.stdout == "" and "LEAN_WORKER_TOP=1" in nothing.stderr and nothing.returncode == 0
    assert top("--once", "--quiet").stderr == ""
    assert json.loads(top("--once", "--json").stdout) == {"pools": []}


def test_nothing_is_served_unless_it_is_asked_for(runtime):
    end(served(LEAN_WORKER_TOP="0"))
    assert not (runtime / "lean-worker").exists()


def test_a_killed_program_leaves_nothing_to_be_seen(runtime):
    process = served()
    process.kill()
    process.communicate()
    assert len(list((runtime / "lean-worker").iterdir())) == 1
    assert live.read_snapshots() == []
    assert list((runtime / "lean-worker").iterdir()) == []


def test_a_pool_is_seen_while_it_works(fake_worker, tmp_path):
    fake = fake_worker({"rows": [Row(1), Gate(), Rows(3)]})
    with lw.Pool(2) as pool, lw.metrics.serve_snapshot(pool, tmp_path / "mine") as server:
        with pool.lease(fake) as lease, lease.stream(ROWS, timeout=30) as rows:
            next(rows)
            seen = live.read_snapshot(server.path)
            assert (seen.snapshot.leased, seen.snapshot.requests, seen.pid) == (1, 1, os.getpid())
            assert (seen.snapshot.rows_delivered, lease.rows_delivered) == (1, 1)
            assert seen.snapshot.received_bytes > 0
            fake.open_gate()
            assert len(list(rows)) == 3
        assert live.read_snapshot(server.path).snapshot.rows_delivered == 4
        assert lease.rows_delivered == 0
        assert json.loads(top("--socket", str(server.path), "--json", "--once").stdout)["pools"]
    assert live.read_snapshot(server.path) is None and not server.path.exists()
    server.close()


def test_a_dropped_pool_is_served_no_more(tmp_path):
    pool = lw.Pool()
    server = lw.metrics.serve_snapshot(pool, tmp_path / "mine")
    pool.close()
    del pool
    assert live.read_snapshot(server.path) is None


def test_a_reader_that_says_nothing_or_goes_away_harms_nobody(tmp_path):
    with lw.Pool() as pool, lw.metrics.serve_snapshot(pool, tmp_path / "mine") as server:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as rude:
                rude.connect(str(server.path))
        results = []
        threads = [threading.Thread(target=lambda: results.append(live.read_snapshot(server.path))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [seen.snapshot.max_workers for seen in results] == [1] * 4


def test_a_server_that_lies_is_nobody(tmp_path):
    with socket.socket(socket.AF_UNIX) as liar:
        liar.bind(str(tmp_path / "liar"))
        liar.listen()

        def lie():
            with liar.accept()[0] as client:
                client.sendall(b'{"pid": 1, "snapshot": {}}')

        thread = threading.Thread(target=lie)
        thread.start()
        assert live.read_snapshot(tmp_path / "liar") is None
        thread.join()


def test_a_directory_that_others_can_write_to_is_refused(runtime, caplog, monkeypatch):
    (runtime / "lean-worker").mkdir(mode=0o755)
    with pytest.raises(lw.UsageError, match="no private directory"), lw.Pool() as pool:
        lw.metrics.serve_snapshot(pool)
    monkeypatch.setenv("LEAN_WORKER_TOP", "1")
    with lw.Pool() as pool:  # a view that fails is no reason not to work
        pool.snapshot()
    assert "cannot be shown" in caplog.text
    with pytest.raises(lw.UsageError, match="cannot listen"), lw.Pool() as pool:
        lw.metrics.serve_snapshot(pool, runtime / ("x" * 200))


@pytest.mark.once
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_live_view_on_a_terminal():
    process = served()
    try:
        view = pexpect.spawn(
            sys.executable,
            ["-m", "lean_worker.cli", "top", "--interval", "0.1"],
            encoding="utf-8",
            dimensions=(20, 120),
        )
        view.expect("workers", timeout=30)
        view.expect("1/0/3", timeout=30)
        view.sendintr()
        view.expect(pexpect.EOF, timeout=30)
        view.close()
        assert view.exitstatus == 0
    finally:
        end(process)
