"""Module files compiled by the embedded Lean, as a project's build would make them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from lean_worker.base import olean
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


class ModuleNames:
    """The names of a module's constants, read from its files without Lean.

    A file's root has the imports as its first field, the array of names as its second. Pointers lead into any of the
    module's files, each of which says where it wants to be in memory.
    """

    def __init__(self, file: Path) -> None:
        self.files: list[tuple[int, bytes, int]] = []
        for name in (file, *(file.with_suffix(part) for part in (".olean.server", ".olean.private"))):
            if name.is_file():
                data = name.read_bytes()
                header = olean.header_of(data)
                self.files.append((header.base_address, data, header.size_bytes))
        _, data, at = self.files[-1]
        (first,) = struct.unpack_from("<Q", data, at)
        (last,) = struct.unpack_from("<Q", data, len(data) - 8)
        root = next(each for each in (first, last) if self.is_address(each))
        self.names = [self.name(each) for each in self.array(self.fields(root, 2)[1])]

    def is_address(self, address: int) -> bool:
        return any(base < address < base + len(data) for base, data, _ in self.files)

    def read(self, form: str, address: int) -> tuple[Any, ...]:
        base, data, _ = next(each for each in self.files if each[0] <= address < each[0] + len(each[1]))
        return struct.unpack_from(form, data, address - base)

    def fields(self, address: int, count: int) -> tuple[Any, ...]:
        return self.read(f"<{count}Q", address + 8)

    def array(self, address: int) -> tuple[Any, ...]:
        (size,) = self.read("<Q", address + 8)
        return self.read(f"<{size}Q", address + 24)

    def text(self, address: int) -> str:
        (size,) = self.read("<Q", address + 8)
        return self.read(f"<{size}s", address + 32)[0][:-1].decode()

    def name(self, address: int) -> tuple[str | int, ...]:
        if address & 1:
            return ()
        (tag,) = self.read("<B", address + 7)
        before, last = self.fields(address, 2)
        return (*self.name(before), self.text(last) if tag == 1 else last >> 1)
