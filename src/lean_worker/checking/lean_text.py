"""The text of a Lean file as far as it can be read without Lean: what is outside of comments and strings."""

from __future__ import annotations

import re

# Raw strings, strings, characters (not the end of a name such as h'), and comments, which nest, and are taken off one
# level at a time.
_SKIPPED = re.compile(
    r"""(?<![\w.])r(?P<marks>\#*)"(?s:.*?)"(?P=marks)"""
    r"""|"(?s:\\.|[^"\\])*"|(?<![\w'!?])'(?:\\[^\n][^'\n]*|[^'\\\n])'|--[^\n]*|/-"""
)
_IN_TEXT = re.compile(r"\{[^{}]*\}")
_SORRY = re.compile(r"(?<![\w.!?'«])(?:sorry|admit|sorryAx)(?![\w.!?'»])")
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
            depth = 1
            while depth and end < len(text):
                if text.startswith("/-", end):
                    depth, end = depth + 1, end + 2
                elif text.startswith("-/", end):
                    depth, end = depth - 1, end + 2
                else:
                    end += 1
        skipped = " " * (end - match.start())
        if with_interpolations and match.group().startswith('"'):
            for part in _IN_TEXT.finditer(match.group()):
                skipped = skipped[: part.start()] + part.group() + skipped[part.end() :]
        out.append(skipped)
        at = end
    out.append(text[at:])
    return "".join(out)


def hides_sorry(text: str, *, is_silenced: bool) -> bool:
    """Whether a text has a `sorry` of which Lean may not warn.

    Args:
        text: A file's text.
        is_silenced: Whether the options that Lean gets turn the warning off; the text may do so itself.
    """
    text = blanked(text, with_interpolations=True).replace("«", "").replace("»", "")
    return _SORRY.search(text) is not None and (is_silenced or _SILENCED.search(text) is not None)
