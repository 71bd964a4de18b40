"""Every public call, while another thread kills, releases, closes, cancels or forks; see `tests/helpers/races.py`."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from support import HELPERS


@pytest.mark.supervision
@pytest.mark.once
def test_calls_end_in_documented_errors_whatever_others_do():
    done = subprocess.run(
        [sys.executable, HELPERS / "races.py", "3", "--stop", "--seed", str(random.randrange(1 << 32))],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
