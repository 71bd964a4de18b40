"""`lean-worker lean-path`: prints the directory of the Lean sources of this package."""

from __future__ import annotations

from pathlib import Path

SOURCES = Path(__file__).parent.parent / "lean"


def lean_path() -> None:
    """Print the directory of LeanWorker.lean; it is a Lake package, for `require … from`.

    Example: lean-worker lean-path
    """
    print(SOURCES)
