"""Lines of a text by their column and what they have, for those who tell its structure from its layout."""

from __future__ import annotations

from typing import NamedTuple


class CodeLine(NamedTuple):
    """One line.

    Attributes:
        column: The number of blanks that it begins with.
        text: What it has, without the blanks at both ends; "" for a blank line.
    """

    column: int
    text: str


def code_lines(code: str) -> list[CodeLine]:
    """Return all lines of a text."""
    return [CodeLine(len(line) - len(line.lstrip()), line.strip()) for line in code.split("\n")]
