"""Pythons that were built on an old C library, as those of uv and conda: the kernel has calls which their `os` lacks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from older_python import make
from support import HOSTS

PROGRAM = """
import fcntl, os, pathlib, signal, sys
assert not hasattr(os, "memfd_create") and not hasattr(os, "pidfd_open") and not hasattr(signal, "pidfd_send_signal")

import lean_worker as lw
from lean_worker.base import exit_status, linux_calls
from lean_worker.wire import frames
from lean_worker.worker.ring import Ring

pidfd = exit_status.open_pidfd(os.getpid())
linux_calls.send_signal(pidfd, 0)
assert frames.IMPLEMENTATION != "c" or Ring.make() is not None

folder, hosts = map(pathlib.Path, sys.argv[1:])
functions = lw.PythonCapability("functions:COMMANDS", path=[hosts])
rows = lw.StreamingCommand("rows")
with lw.Pool(2) as pool:
    assert pool.call(functions, lw.JsonCommand("echo"), [1]) == [1]
    with pool.lease(functions) as lease:
        lease.run(rows, {"count": 3}, sink=lw.sinks.JsonLinesSink(folder / "rows.jsonl"))
    try:
        pool.collect(functions, lw.StreamingCommand("rows_or_death"), {"count": 2, "how": "SIGKILL"})
    except lw.LeanWorkerError as error:
        print("ended in", type(error).__name__)
    ran = lw.Job(folder / "ledger", rows, functions, out=folder / "out.jsonl").run(pool, [{"count": 1}, {"count": 2}])
    assert ran.ran == 2
    files = [folder / f"{number}.lean" for number in range(4)]
    for number, file in enumerate(files):
        file.write_text(f"prelude\\nimport LeanWorker.Library\\nexample : {number} = {number} := rfl\\n")
    hosts_lean = frames.IMPLEMENTATION == "c"  # a wheel without compiled modules does not
    for sandbox in (None, lw.Sandbox(readable=[folder])) if hosts_lean else ():
        results = list(lw.check(files, toolchain="embedded", sandbox=sandbox))
        assert [each.verdict for each in results] == ["accepted"] * 4, results
    assert pool.collect(lw.LinesCapability(["cat"]), lw.StreamingCommand("lines"), {"n": 1}).rows[0].payload == {"n": 1}
print("all done", len((folder / "rows.jsonl").read_text().splitlines()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="these calls are of Linux")
def test_everything_works_without_the_newer_functions_of_os(tmp_path):
    (tmp_path / "python").mkdir()
    environment = {**os.environ, "PYTHONHOME": make(tmp_path / "python")}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(HOSTS)], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.splitlines()[-1] == "all done 3", ended.stdout
