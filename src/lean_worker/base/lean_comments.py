"""The end of a block comment of Lean, which may hold others."""

from __future__ import annotations

from .patterns import compiled

_MARK = "/-|-/"


def comment_end(text: str, at: int) -> int:
    """Return the place after the comment that begins at `at`; the end of the text for one that is not closed."""
    depth = 0
    for mark in compiled(_MARK).finditer(text, at):
        depth += 1 if mark[0] == "/-" else -1
        if depth == 0:
            return mark.end()
    return len(text)
