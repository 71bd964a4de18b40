"""Type checkers see in a user's program what the product does: no lost row types, no attribute that is not there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars
import pytest

import lean_worker

PROGRAM = Path(__file__).parents[1] / "typing" / "program.py"
LINES = PROGRAM.read_text().splitlines()
WRONG = next(number for number, line in enumerate(LINES, 1) if line.startswith('    """Each line here is'))
MISTAKES = {number for number, line in enumerate(LINES, 1) if number > WRONG and not line.strip().startswith("for ")}


def said(*command, cwd):
    ended = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=150)
    text = ended.stdout + ended.stderr
    assert "No module named" not in ended.stderr, f"{command[2]} is not installed: it comes with the extra dev"
    found = {int(line) for line in re.findall(r"program\.py:(\d+)(?:[:\d-]*)?:? .*\n?", errors_only(text))}
    return found, text


def errors_only(text):
    return "\n".join(line for line in text.splitlines() if re.search(r"\berror\b", line, re.IGNORECASE))


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments",
    [
        ["mypy", "--config-file="],
        ["mypy", "--config-file=", "--strict"],
        ["basedpyright", "--level", "error"],
        ["pyrefly", "check", "--output-format", "min-text"],
    ],
    ids=["mypy", "mypy strict", "pyright", "pyrefly"],
)
def test_a_checker_finds_the_mistakes_and_nothing_else(arguments, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.read_text())
    tool, *options = arguments
    command = [sys.executable, "-m", tool, *options, str(program)]
    if tool == "basedpyright":
        command += ["--pythonpath", sys.executable]
        (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    elif tool == "pyrefly":
        home = Path(importlib.util.find_spec("pyrefly").origin)
        command[:3] = [shutil.which("pyrefly") or str(home.parents[4] / "bin" / "pyrefly")]
        # Below the program, as pyrefly reads each file with the settings of the folders above it.
        (tmp_path / "lean_worker").symlink_to(Path(lean_worker.__file__).parent)
        libraries = [
            str(Path(polars.__file__).parent.parent)
        ]  # perhaps a path file names it, which pyrefly does not read
        (tmp_path / "pyrefly.toml").write_text(
            f'site-package-path = {libraries}\npython-interpreter-path = "{sys.executable}"\n'
        )
    found, text = said(*command, cwd=tmp_path)
    assert found == MISTAKES, text
