"""The examples of docs/asyncio.md work as they stand, with workers that host Python functions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import HOSTS

PAGE = Path(__file__).parent.parent / "docs" / "asyncio.md"
CAPABILITY = (
    f"import lean_worker as lw\ncapability = lw.PythonCapability('documented:COMMANDS', path=[{str(HOSTS)!r}])\n"
)
SAID = [
    ["4.35.0", "0", "1", "2", "3", "2"],
    ["0 2", "1 3", "2 CommandFailed"],
    ["stopped", "1"],
]


@pytest.mark.parametrize("number", range(len(SAID)))
def test_the_example(number):
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == len(SAID)
    code = CAPABILITY + examples[number]
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == SAID[number]
