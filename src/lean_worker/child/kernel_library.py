"""Lean's kernel as a compiled module, and whether this Lean is one whose layouts are known.

Owns the list of known versions: another one may lay out an object otherwise, which no check would notice.
"""

from __future__ import annotations

from .._kernel import Heap, KernelRefused, Memory

# Run and tested; see docs/verify.md for what the others need.
KNOWN_VERSIONS = ("4.35.0",)


def refusal(version: str, library: str) -> str:
    """Say why a library of this version cannot judge, and what can be done."""
    known = ", ".join(KNOWN_VERSIONS)
    return (
        f"{library} is Lean {version or 'of an unknown version'}, and verification knows the kernel of Lean {known}."
        " Another may lay out its objects otherwise. Verify with the embedded Lean (toolchain='embedded') or one"
        f" of version {known}. With the project's own Lean, elaborate with `lean-worker check`, and replay the compiled"
        " modules with `lake env leanchecker` (Lean 4.28 or newer)"
    )


__all__ = ["KNOWN_VERSIONS", "Heap", "KernelRefused", "Memory", "refusal"]
