"""Rows about Lean code: declarations, what they use, modules, and the messages and goals of source files.

`lean_worker.extract` writes them to a file. Here are the types of its rows, and the commands and the capability for a
program that asks for rows itself. docs/extract.md has every field with an example.
"""

from __future__ import annotations

from .goals import GOALS, Goal, GoalRow, GoalsRequest, Hypothesis, Option
from .rows import (
    DECLARATIONS,
    DEPENDENCIES,
    MODULES,
    Declaration,
    Dependencies,
    Edge,
    Import,
    ModuleRow,
    Place,
    Request,
    SourceMessage,
)
from .running import Extracted
from .sessions import extractor, goal_extractor

__all__ = [
    "DECLARATIONS",
    "DEPENDENCIES",
    "GOALS",
    "MODULES",
    "Declaration",
    "Dependencies",
    "Edge",
    "Extracted",
    "Goal",
    "GoalRow",
    "GoalsRequest",
    "Hypothesis",
    "Import",
    "ModuleRow",
    "Option",
    "Place",
    "Request",
    "SourceMessage",
    "extractor",
    "goal_extractor",
]
