"""An application with its own Lean script is installed like any package, works, and notices a script that is not its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lean, pytest.mark.once]
SOURCE = Path(__file__).parents[2] / "examples" / "shipped_application"


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "lean_squares", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def installed(tmp_path):
    """Where the application is installed: built as a wheel is, so that a script left out of the package is missed."""
    copy = shutil.copytree(SOURCE, tmp_path / "source")
    build = [
        sys.executable,
        "-c",
        "import setuptools; setuptools.setup()",
        "build",
        "--build-lib",
        str(tmp_path / "lib"),
    ]
    outcome = subprocess.run(build, cwd=copy, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    return tmp_path / "lib"


def test_it_works_from_where_it_is_installed(installed, tmp_path):
    target = tmp_path / "squares.jsonl"
    outcome = run(installed, "4", str(target))
    assert outcome.stdout == f"4 squares in {target}\n", outcome.stderr
    assert [json.loads(line) for line in target.read_text().splitlines()] == [
        {"number": number, "square": number * number} for number in range(4)
    ]


def test_a_script_of_another_release_is_noticed_at_the_start(installed, tmp_path):
    script = installed / "lean_squares" / "Squares.lean"
    script.write_text(script.read_text().replace('"version":"1"', '"version":"2"'))
    target = tmp_path / "squares.jsonl"
    outcome = run(installed, "4", str(target))
    assert outcome.returncode == 1
    assert "metadata" in outcome.stderr and "squares" in outcome.stderr
    assert not target.exists()


def test_a_wrong_command_line_is_no_traceback(installed):
    outcome = run(installed, "many")
    assert (outcome.returncode, outcome.stderr) == (1, "usage: lean-squares COUNT FILE\n")
