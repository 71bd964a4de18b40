"""Module files compiled by the embedded Lean, as a project's build would make them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lean_worker.child import olean_cache
from support import embedded_library


def compile_module(directory: Path, name: str, text: str) -> Path:
    """Compile `text` as the module `name` below `directory`; its `.olean`."""
    source = directory.joinpath(*name.split(".")).with_suffix(".lean")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    compiled = source.with_suffix(".olean")
    search_path = [str(directory), str(olean_cache.prepare(embedded_library()))]
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library())]
    outcome = subprocess.run(
        [*driver, f"--root={directory}", "-o", str(compiled), str(source)],
        env={**os.environ, "LEAN_PATH": os.pathsep.join(search_path)},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return compiled


def text_module(*imports: str, name: str, value: str) -> str:
    """A module that defines one string."""
    header = "".join(f"import {module}\n" for module in ("LeanWorker", *imports))
    return f"prelude\n{header}def {name} : String := {value}\n"


def script_that_answers(path: Path, expression: str, *imports: str) -> Path:
    """A script whose command `answer` answers `expression`."""
    header = "".join(f"import {module}\n" for module in ("LeanWorker", *imports))
    path.write_text(
        f"prelude\n{header}open LeanWorker\n"
        f'def answer : Command where\n  name := "answer"\n  run _ := return {expression}\n'
        "def main : IO Unit := serve (List.cons answer List.nil)\n"
    )
    return path
