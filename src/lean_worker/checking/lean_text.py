"""The text of a Lean file as far as it can be read without Lean: what is outside of comments and strings."""

from __future__ import annotations

import re

# Comments (which nest, and are taken off one level at a time) and strings.
_SKIPPED = re.compile(r'"(?:\\.|[^"\\])*"|--[^\n]*|/-')
_SORRY = re.compile(r"(?<![\w.!?'«])(?:sorry|admit|stop|sorryAx)(?![\w.!?'»])")
_SILENCED = re.compile(r"(?<![\w.!?'«])(?:warn\.sorry|#guard_msgs)(?![\w.!?'»])")


def blanked(text: str) -> str:
    """The text with comments and strings replaced by spaces of the same length."""
    out: list[str] = []
    at = 0
    while (match := _SKIPPED.search(text, at)) is not None:
        out.append(text[at : match.start()])
        end = match.end()
        if match.group() == "/-":
            depth = 1
            while depth and end < len(text):
                if text.startswith("/-", end):
                    depth, end = depth + 1, end + 2
                elif text.startswith("-/", end):
                    depth, end = depth - 1, end + 2
                else:
                    end += 1
        out.append(" " * (end - match.start()))
        at = end
    out.append(text[at:])
    return "".join(out)


def hides_sorry(text: str, *, is_silenced: bool) -> bool:
    """Whether a text has a `sorry` of which Lean may not warn.

    Args:
        text: A file's text.
        is_silenced: Whether the options that Lean gets turn the warning off; the text may do so itself.
    """
    text = blanked(text)
    return _SORRY.search(text) is not None and (is_silenced or _SILENCED.search(text) is not None)
