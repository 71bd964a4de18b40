"""The examples of docs/asyncio.md run as printed, each as a program beside the functions that the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "asyncio.md"
FUNCTIONS, *EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
PRINTED = [
    ["4.35.0", "0", "1", "2", "3", "2"],
    ["0 2", "1 3", "2 CommandFailed"],
    ["stopped", "1"],
]


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_the_example(number, tmp_path):
    assert len(EXAMPLES) == len(PRINTED)
    (tmp_path / "documented.py").write_text(FUNCTIONS)
    command = [sys.executable, "-W", "error", "-c", EXAMPLES[number]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == PRINTED[number]
