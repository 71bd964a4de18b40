"""The guides' Python examples run as they stand: all of a page, one after the other, as one program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def examples_of(page: str, joined: bool = True):
    """All Python blocks of a page, as one text or as a list."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks, f"{page} has no example"
    return "\n\n".join(blocks) if joined else blocks


def run_program(text: str, directory: Path) -> str:
    """What the program prints."""
    (directory / "program.py").write_text(text)
    command = [sys.executable, "-W", "error", "program.py"]
    outcome = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_testing(tmp_path):
    text = examples_of("testing.md")
    run_program(text, tmp_path)
    # The test that the page shows is run by pytest, with the plugin that it names.
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lean_worker.pytest_plugin"]\n')
    (tmp_path / "test_page.py").write_text(text.replace('pytest_plugins = ["lean_worker.pytest_plugin"]', ""))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0 and "1 passed" in outcome.stdout, outcome.stdout


@pytest.mark.parametrize("page", ["cli.md", "progress.md", "metrics.md", "security.md"])
def test_pages(page, tmp_path):
    run_program(examples_of(page), tmp_path)


def test_python_functions(tmp_path):
    module, program = examples_of("functions.md", joined=False)
    (tmp_path / "names.py").write_text(module)
    run_program(program, tmp_path)


def test_the_page_on_the_command_line_names_every_command_and_exit_code():
    from lean_worker.cli import exit_codes
    from lean_worker.cli.app import app

    text = (DOCS / "cli.md").read_text()
    for command in app.registered_commands:
        assert f"`lean-worker {command.callback.__name__.replace('_', '-')}`" in text
        assert "Example: " in command.callback.__doc__
    for name, code in vars(exit_codes).items():
        if name.startswith("EXIT_"):
            assert f"| {code} |" in text
