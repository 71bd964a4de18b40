"""The examples of the pages on sinks and jobs run as they stand, on real Lean."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.lean
@pytest.mark.parametrize(
    ("page", "files"),
    [
        ("sinks.md", {"declarations.jsonl", "declarations.parquet", "streams.db", "warnings.jsonl", "all.db"}),
        ("jobs.md", {"declarations.jsonl", "run.ledger", "run.ledger.parts", "columns.ledger", "columns.ledger.parts"}),
    ],
)
def test_the_page(tmp_path, page, files):
    text = (DOCS / page).read_text()
    (script,) = re.findall(r"```lean\n(.*?)```", text, re.DOTALL)
    (tmp_path / "extract.lean").write_text(script)
    (tmp_path / "program.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    outcome = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    assert {path.name for path in tmp_path.iterdir()} == files | {"extract.lean", "program.py"}
