"""The ten lines of the README and of the start page run as printed, on real Lean."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.lean
def test_the_ten_lines(tmp_path):
    text = README.read_text()
    (script,) = re.findall(r"```lean\n(.*?)```", text, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    (tmp_path / "squares.lean").write_text(script)
    (tmp_path / "program.py").write_text(program)
    outcome = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == printed


def test_the_start_page_has_the_same_lines():
    start = README.parent / "docs" / "index.md"
    blocks = [re.findall(r"```.*?```", page.read_text(), re.DOTALL) for page in (README, start)]
    assert len(blocks[0]) == 3 and blocks[0] == blocks[1]


def test_every_link_leads_somewhere():
    for page in [README, *README.parent.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            if (README.parent / "docs").is_dir() and target not in ("CHANGELOG.md", "CONTRIBUTING.md"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.lean
def test_the_example_of_declarations(tmp_path):
    example = README.parent / "examples" / "declarations_to_jsonl.py"
    target = tmp_path / "rows.jsonl"
    outcome = subprocess.run([sys.executable, str(example), str(target)], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert {"LeanWorker.Command.rows", "LeanWorker.typedRow"} & {row["name"] for row in rows}
    assert f"{len(rows)} declarations" in outcome.stdout
