"""Nothing waits for a lock that an interrupt or a fork has left held for ever."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support import HELPERS, IMPORTABLE

pytestmark = [pytest.mark.lean, pytest.mark.once, pytest.mark.supervision]


def printed(helper, argument):
    program = [sys.executable, HELPERS / helper, argument]
    done = subprocess.run(program, env={**os.environ, "PYTHONPATH": IMPORTABLE}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_no_call_that_was_made_before_waits_for_the_import_lock(tmp_path):
    printed("import_lock.py", tmp_path)


def test_a_child_that_was_forked_while_other_threads_prepare_launches_can_prepare_them():
    printed("fork_while_launching.py", "3")
