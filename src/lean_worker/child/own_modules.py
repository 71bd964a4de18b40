"""The package's own Lean modules: which of them a Lean gets, in which order, and where their sources are.

A module is named by the path of its source below the package's `lean` folder, without suffix: `LeanWorker/Json`.
"""

from __future__ import annotations

from pathlib import Path

from . import embedded_modules
from .lean_library import standard_modules

SOURCES = Path(__file__).parent.parent / "lean"
MODULE = "LeanWorker"
_TYPED = "LeanWorker/Json"
VERSIONED = ("LeanWorker/Extract", "LeanWorker/Goals")
"""Written for some versions of Lean; everything else works with the others too. Each after those that it imports."""


def modules_for(library: Path) -> list[str]:
    """Return what is compiled for the Lean at `library`, in order, as far as Lean has what it needs."""
    standard = standard_modules(library)
    if standard is None:
        return [*embedded_modules.before(MODULE), *_shipped()]
    needed = {_TYPED: standard / "Lean" / "Data" / "Json.olean", **dict.fromkeys(VERSIONED, standard / "Lean.olean")}
    return [MODULE, *(module for module, imported in needed.items() if imported.is_file())]


def sources_for(library: Path) -> list[str]:
    """Return the modules of `modules_for` in an order that costs less to find out: their imports are not read."""
    if standard_modules(library) is None:
        return [*embedded_modules.sources(), *_shipped()]
    return modules_for(library)


def source(module: str) -> Path:
    """Return the file of a module."""
    return _shipped_source(module) if is_shipped(module) else embedded_modules.DIRECTORY / f"{module}.lean"


def is_shipped(module: str) -> bool:
    """Whether a module is for every Lean, and not of the embedded library."""
    return _shipped_source(module).is_file()


def _shipped_source(module: str) -> Path:
    return SOURCES / f"{module}.lean"


def _shipped() -> list[str]:
    return [module for module in (MODULE, _TYPED, *VERSIONED) if is_shipped(module)]
