"""Text of a Lean file outside of comments, strings and characters, as far as it can be told without Lean.

Owns what hides a `sorry` from Lean's warning. Macros can hide more: a verdict that has to resist is `verify`'s work.
"""

from __future__ import annotations

import re

from ..base.lean_comments import comment_end

# Raw strings, strings, characters (not the end of a name such as h') and comments. What is not closed goes to the end:
# of a stranger's text each place is looked at once.
_SKIPPED = re.compile(
    r"""(?<![\w.])r(?P<marks>\#*)"(?s:.*?)(?:"(?P=marks)|\Z)"""
    r"""|"(?s:\\.|[^"\\])*(?:"|\\?\Z)|(?<![\w'!?])'(?:\\[^\n][^'\n]*|[^'\\\n])'|--[^\n]*|/-"""
)
# Either what is in braces, or what is not.
_BETWEEN_BRACES = re.compile(r"(\{[^{}]*\})|[{}]|[^{}]+")
_SORRY = re.compile(
    r"(?<![\w.!?'«])(?:sorry|admit|(?:_root_\.)?sorryAx|apply\?)(?![\w.!?'»])"
    # `stop` where a tactic may begin, as others use it as a name; not in front of an operator or a type.
    r"|(?:^|[;·]|=>|(?<![\w.!?'«])by[ \t])[ \t]*stop(?![\w.!?'»])(?![ \t]*[-:,)\]}⟩.←→↔=≠+*/<>≤≥|&%^∧∨])",
    re.MULTILINE,
)
_SILENCED = re.compile(r"(?<![\w.!?'«])(?:warn\.sorry\s+false|#guard_msgs)(?![\w.!?'»])")


def blanked(text: str, *, with_interpolations: bool = False) -> str:
    """The text with comments, characters and strings replaced by spaces of the same length.

    Args:
        text: A file's text.
        with_interpolations: Whether what is in braces in a string stays, as it may be a term.
    """
    out: list[str] = []
    at = 0
    while (match := _SKIPPED.search(text, at)) is not None:
        out.append(text[at : match.start()])
        end = match.end()
        if match.group() == "/-":
            end = comment_end(text, match.start())
        skipped = " " * (end - match.start())
        if with_interpolations and match.group().startswith('"'):
            skipped = _BETWEEN_BRACES.sub(lambda found: found[1] or " " * len(found[0]), match.group())
        out.append(skipped)
        at = end
    out.append(text[at:])
    return "".join(out)


def hides_sorry(text: str) -> bool:
    """Whether a text has a `sorry`, or what stands for one, and turns Lean's warning of it off."""
    text = blanked(text, with_interpolations=True).replace("«", "").replace("»", "")
    return _SILENCED.search(text) is not None and _SORRY.search(text) is not None
