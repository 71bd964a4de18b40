"""Compiles the package's own Lean modules into a directory; imported by who finds none in the cache."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from ..errors import CapabilityError
from . import embedded_modules
from .lean_library import standard_modules
from .own_modules import MODULE, VERSIONED, is_shipped, modules_for, source


def compile_into(directory: Path, library: Path) -> None:
    """Compile all modules for a Lean, and leave their sources beside them.

    Args:
        directory: Where to; empty.
        library: Path of `libleanshared`.

    Raises:
        CapabilityError: Lean refused a module; its own messages are in the text.
        OSError: The results cannot be written.
    """
    modules = modules_for(library)
    if standard_modules(library) is None:
        embedded_modules.refuse_other_lean(library)
        for module in modules:
            _compile(library, directory, module, as_module=True)
        return
    as_module = True
    needed = [module for module in modules if module not in VERSIONED]
    try:
        # As modules, which files with and without a `module` header can import.
        for module in needed:
            _compile(library, directory, module, as_module=True)
    except CapabilityError:
        # An older Lean knows no modules, or takes them as an experiment only.
        as_module = False
        for module in needed:
            _compile(library, directory, module, as_module=False)
    for module in modules[len(needed) :]:
        with contextlib.suppress(CapabilityError):
            _compile(library, directory, module, as_module=as_module)


def text_of(module: str, *, as_module: bool, is_bare: bool) -> str:
    """Return the text of a module, a shipped one with its header for one kind of Lean on its first line.

    Lean's messages then name the lines of the shipped file.

    Args:
        module: The module.
        as_module: Whether Lean knows files with a `module` header.
        is_bare: Whether Lean comes without a library.
    """
    text = source(module).read_text("utf-8")
    if not is_shipped(module):
        return text  # of the embedded library, with a header of its own
    words = ["module"] if as_module else []
    imports = []
    if is_bare:
        words.append("prelude")
        if module == MODULE:
            imports.append("import LeanWorker.Library")
    lines = 0
    while text.startswith("import "):
        line, _, text = text.partition("\n")
        imports.append(line)
        lines += 1
    if as_module:
        imports = [f"public {line}" for line in imports] + ["public section"]
    return " ".join([*words, *imports]) + (" " if lines == 0 else "\n" * lines) + text


def _compile(library: Path, directory: Path, module: str, *, as_module: bool) -> None:
    is_bare = standard_modules(library) is None
    for file in (directory / module).parent.glob(f"{Path(module).name}.*"):
        file.unlink()  # of an attempt in another form
    copy = directory / f"{module}.lean"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text_of(module, as_module=as_module, is_bare=is_bare), "utf-8")
    search_path = [str(directory)]
    standard = standard_modules(library)
    if standard is not None:
        search_path.append(str(standard))
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(library)]
    # Without a root that holds the source Lean refuses to write a module file.
    arguments = [
        f"--root={directory}",
        "-o",
        str(directory / f"{module}.olean"),
        str(directory / f"{module}.lean"),
    ]
    outcome = subprocess.run(
        driver + arguments,
        env={**os.environ, "LEAN_PATH": os.pathsep.join(search_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if outcome.returncode != 0:
        said = outcome.stdout.strip() or "it said nothing"
        raise CapabilityError(
            f"compiling {module}.lean: Lean at {library} ended with exit code {outcome.returncode}: {said}",
            library=str(library),
        )
