"""Kills of a process tree that are cut off by the end of the process that kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from support import is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process below another one is found")

LINK = """
import os, subprocess, sys, time
code, length = sys.argv[1], int(sys.argv[2])
print(os.getpid(), flush=True)
if length > 1:
    subprocess.Popen([sys.executable, "-S", "-c", code, code, str(length - 1)])
time.sleep(600)
"""
KILLER = """
import os, signal, subprocess, sys
from lean_worker.base import process_tree

kill = os.kill

def kill_and_die(pid, number):
    kill(pid, number)
    kill(os.getpid(), signal.SIGKILL)

with subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1], sys.argv[1], "3"], stdout=subprocess.PIPE) as chain:
    print(*(int(chain.stdout.readline()) for _ in range(3)), flush=True)
    os.kill = kill_and_die
    process_tree.{}
"""


@pytest.mark.parametrize("call", ["end_own_descendants(5)", "kill_descendants(os.getpid())"])
def test_a_kill_that_is_cut_off_leaves_those_who_can_go_on_with_it(call):
    # A worker without compiled modules is killed with its parent, which may be in the middle of this: its keeper is what
    # kills the programs then, unless it was killed before them.
    done = subprocess.run(
        [sys.executable, "-c", KILLER.format(call), LINK], stdout=subprocess.PIPE, text=True, check=False
    )
    pids = [int(pid) for pid in done.stdout.split()]
    try:
        assert done.returncode == -signal.SIGKILL and len(pids) == 3
        wait_until(lambda: not is_running(pids[2]))
        assert all(map(is_running, pids[:2]))
    finally:
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)
