"""Rows about Lean code: declarations, what they use, modules, and the messages of source files.

`lean_worker.extract` writes them to a file. Here are the types of its rows, and the commands and the capability for a
program that asks for rows itself. docs/extract.md has every field with an example.
"""

from __future__ import annotations

from .rows import (
    DECLARATIONS,
    DEPENDENCIES,
    MODULES,
    Declaration,
    Dependencies,
    Edge,
    ModuleRow,
    Place,
    Request,
    SourceMessage,
)
from .running import Extracted
from .sessions import extractor

__all__ = [
    "DECLARATIONS",
    "DEPENDENCIES",
    "MODULES",
    "Declaration",
    "Dependencies",
    "Edge",
    "Extracted",
    "ModuleRow",
    "Place",
    "Request",
    "SourceMessage",
    "extractor",
]
