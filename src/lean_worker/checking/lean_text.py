"""Text of a Lean file outside of comments, strings and characters, as far as it can be told without Lean."""

from __future__ import annotations

import re

from ..base.lean_comments import comment_end

# Raw strings, strings, characters (not the end of a name such as h') and comments. What is not closed goes to the end:
# of a stranger's text each place is looked at once.
_SKIPPED = re.compile(
    r"""(?<![\w.])r(?P<marks>\#*)"(?s:.*?)(?:"(?P=marks)|\Z)"""
    r"""|"(?s:\\.|[^"\\])*(?:"|\\?\Z)|(?<![\w'!?])'(?:\\[^\n][^'\n]*|[^'\\\n])'|--[^\n]*|/-"""
)


def blanked(text: str) -> str:
    """The text with comments, characters and strings replaced by spaces of the same length."""
    out: list[str] = []
    at = 0
    while (match := _SKIPPED.search(text, at)) is not None:
        out.append(text[at : match.start()])
        end = match.end()
        if match.group() == "/-":
            end = comment_end(text, match.start())
        out.append(" " * (end - match.start()))
        at = end
    out.append(text[at:])
    return "".join(out)
