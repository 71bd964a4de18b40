"""What tests of a Ray cluster host on it, and how they find its processes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import psutil

import lean_worker as lw

ADDRESS = "127.0.0.2"  # loopback; 127.0.0.1 is replaced by Ray
SCRIPT = """prelude
import LeanWorker
open LeanWorker

def echo : Command where
  name := "echo"
  run request := do
    row "rows" request
    row "rows" request
    return ""

def main : IO Unit := serve (List.cons echo List.nil)
"""


@dataclasses.dataclass(frozen=True)
class WithModule:
    """A capability that reads a file besides what it hosts, as a script does with compiled modules."""

    hosted: lw.Capability
    module: Path

    def launch(self):
        return dataclasses.replace(self.hosted.launch(), content=self.module.read_text())


def slow_script(powers=4):
    """`echo` with 10^powers rows a request, so that nodes die while others have work left."""
    levels = ['def rows0 (request : String) : IO Unit := do\n  row "rows" request\n']
    for level in range(1, powers + 1):
        calls = f"  rows{level - 1} request\n" * 10
        levels.append(f"def rows{level} (request : String) : IO Unit := do\n{calls}")
    text = SCRIPT.replace('    row "rows" request\n' * 2, f"    rows{powers} request\n")
    return text.replace("def echo", "\n".join(levels) + "\ndef echo", 1)


def actor_pids(pool):
    return [member.ask("hello")[2] for member in pool._core._living()]


def workers_of(pid):
    return [child.pid for child in psutil.Process(pid).children() if "lean_worker.child" in " ".join(child.cmdline())]
