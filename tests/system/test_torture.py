"""Twenty seconds of `torture.py`, in a process of its own; minutes by `ci/torture`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import HELPERS

TORTURE = HELPERS / "torture.py"


@pytest.mark.supervision
@pytest.mark.once
@pytest.mark.timeout(240)
def test_everything_at_once(capsys):
    done = subprocess.run([sys.executable, TORTURE, "0.33"], capture_output=True, text=True, timeout=220)
    assert done.returncode == 0, done.stdout + done.stderr
    with capsys.disabled():
        print(f"\ntorture: {' '.join(done.stdout.split())}")
    figures = dict(line.rsplit(None, 1) for line in done.stdout.splitlines())
    assert int(figures["ok"]) > 10 and int(figures["kills"]) > 5
