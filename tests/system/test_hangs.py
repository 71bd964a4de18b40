"""A test that hangs fails with the stacks of all threads, and the run goes on or ends: it never waits for ever."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from support import HELPERS, TESTS

HANGS = {
    "waits_for_a_thread": "never.wait()",
    "hangs_where_it_cleans_up": "try:\n        never.wait()\n    finally:\n        never.wait()",
    "blocks_signals": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n    never.wait()",
}


def hang(tmp_path, how):
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    for name in ("fakes.py", "on_loop.py"):
        (tmp_path / name).symlink_to(HELPERS / name)
    (tmp_path / "test_it.py").write_text(
        f"""
import signal, threading

never = threading.Event()

def held():
    never.wait()

threading.Thread(target=held, daemon=True).start()

def test_hang():
    {HANGS[how]}

def test_after():
    pass
"""
    )
    settings = TESTS.parent / "pyproject.toml"
    command = [sys.executable, "-m", "pytest", "-c", settings, "--rootdir", tmp_path, "--timeout", "1", tmp_path]
    env = {**os.environ, "LEAN_WORKER_HANG_SECONDS": "1"}
    return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_a_hang_is_a_failed_test(tmp_path):
    done = hang(tmp_path, "waits_for_a_thread")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"FAILED .*test_hang - Failed: Timeout", done.stdout)
    assert "in held" in done.stdout and "never.wait()" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


@pytest.mark.parametrize("how", ["hangs_where_it_cleans_up", "blocks_signals"])
def test_a_hang_that_cannot_be_ended_ends_the_run(tmp_path, how):
    done = hang(tmp_path, how)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Timeout (0:00:02)!" in done.stderr and "in held" in done.stderr and "in test_hang" in done.stderr


def test_every_test_has_a_limit(request):
    assert 0 < float(request.config.getini("timeout")) <= 300
    assert request.config.pluginmanager.hasplugin("timeout")
