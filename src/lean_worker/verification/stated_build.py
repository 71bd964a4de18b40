"""The compiled modules behind a statement, as they were when a verification began.

The statement is compiled once, while candidates and judges import anew. If modules are compiled again in between, a
candidate would be compared with a statement that means something else by now.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..base.moved_directories import have_moved, marks_of
from ..lake import tool as lake
from ..toolchains import toolchain as toolchains
from ..toolchains.module_closure import closure_of, imports_in, places_of
from ..toolchains.module_files import PARTS, settled


class StatedBuild:
    """The files of the modules that a statement imports, with all that is behind them but Lean's own.

    Args:
        statement: Its text.
        project: As of `lean_worker.verify`.
        toolchain: As of `lean_worker.verify`.

    Raises:
        CapabilityError: There is no Lean, or Lake cannot read the project.
    """

    def __init__(self, statement: str, project: Path | None, toolchain: str) -> None:
        lean = toolchains.resolve(toolchain, project)
        places = places_of(lake.module_path(lean, project))
        closure = closure_of(imports_in(statement), places, lean) if places else None
        files = [] if closure is None else list(closure.modules.values())
        if lean.modules is not None:
            files = [file for file in files if not file.startswith(f"{lean.modules.resolve()}{os.sep}")]
        # One file of a directory stands for the others, unless it is a link.
        self._leading = list({file if os.path.islink(file) else os.path.dirname(file): file for file in files}.values())
        self._marks = marks_of(self._leading)
        parts = [file.removesuffix(".olean") + part for file in files for part in PARTS]
        self._files = settled([*files, *filter(os.path.exists, parts)])

    def has_changed(self) -> bool:
        """Whether a file is another one than when this was made, or may have been for a moment."""
        return not self._files.holds() or have_moved(self._marks, marks_of(self._leading))
