"""Lean's kernel as a compiled module, and whether this Lean is one whose layouts are known.

Owns the list of known versions: another one may lay out an object otherwise, which no check would notice.
"""

from __future__ import annotations

from .._kernel import Heap, KernelRefused, Memory

# Run and tested; see docs/verify.md for what the others need.
KNOWN_VERSIONS = ("4.35.0",)

__all__ = ["KNOWN_VERSIONS", "Heap", "KernelRefused", "Memory"]
