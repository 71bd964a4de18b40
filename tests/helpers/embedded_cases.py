"""The cases of tests/data/embedded-*.txt, and how many are run in one process of the embedded Lean.

A case that does not compile would keep all others of its file from running. The file is therefore read twice: a case that
Lean has an error about is left out the second time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lean_worker.child import olean_cache
from support import TESTS, embedded_library

HEADER = "prelude\nimport LeanWorker.Json\nset_option linter.all false\n"
_MARK = "=== "


class Case(NamedTuple):
    """One piece of a program, and the lines that it prints."""

    name: str
    declarations: str
    body: str
    prints: str


def read(name: str) -> list[Case]:
    """The cases of one file of tests/data."""
    cases = []
    for block in re.split(r"^### ", (TESTS / "data" / name).read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = block.partition("\n")
        code, _, prints = text.strip().rpartition("\n=> ")
        declarations, split, body = code.rpartition("---\n")
        cases.append(Case(title, declarations if split else "", body if split else code, prints))
    return cases


def run(cases: Sequence[Case], directory: Path) -> dict[str, str]:
    """The output of each case, its lines joined by ` / `; for one that Lean refused, Lean's words."""
    found: dict[str, str] = {}
    remaining = list(cases)
    for _ in range(2):
        script, owners = _script(remaining, directory)
        said = lean(["--run", str(script)])
        for line in re.split(rf"^(?={re.escape(str(script))}:\d+:)", said, flags=re.MULTILINE):
            position = re.match(rf"{re.escape(str(script))}:(\d+):\d+: error", line)
            if position:
                found.setdefault(owners[int(position[1])], line.removeprefix(str(script)).strip())
        refused = [case for case in remaining if case.name in found]
        remaining = [case for case in remaining if case.name not in found]
        if not refused or not remaining:
            break
    for part in said.split(_MARK)[1:]:
        name, _, printed = part.partition("\n")
        found[name] = re.sub(r"\bCase\d+\.", "", " / ".join(printed.strip("\n").split("\n")))
    return {case.name: found.get(case.name, f"nothing; Lean said: {said[-400:]}") for case in cases}


def lean(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """The output of Lean."""
    modules = str(olean_cache.prepare(embedded_library()))
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library()), *arguments]
    outcome = subprocess.run(
        driver,
        env={**os.environ, "LEAN_PATH": modules, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        check=False,
    )
    # A script's own words on stderr are no lines that it prints; why Lean failed is.
    said = outcome.stdout if outcome.returncode == 0 else outcome.stdout + outcome.stderr
    return said.decode("utf-8", "replace")


def _script(cases: Sequence[Case], directory: Path) -> tuple[Path, dict[int, str]]:
    lines = HEADER.splitlines()
    owners: dict[int, str] = {}

    def add(text: str, name: str) -> None:
        for line in text.splitlines():
            lines.append(line)
            owners[len(lines)] = name

    for number, case in enumerate(cases):
        body = "\n".join("  " + line for line in case.body.splitlines())
        add(f"namespace Case{number}\n{case.declarations}def run : IO Unit := do\n{body}\nend Case{number}", case.name)
    add("def main : IO Unit := do", "main")
    for number, case in enumerate(cases):
        add(f'  IO.println "{_MARK}{case.name}"\n  Case{number}.run', case.name)
    script = directory / "Cases.lean"
    script.write_text("\n".join(lines) + "\n", "utf-8")
    return script, owners
