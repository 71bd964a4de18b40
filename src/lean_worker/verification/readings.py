"""The texts that a candidate may have which only fills the hole of its statement.

The lines of a proof keep their places relative to each other. What is not known is how far to the right its first line
has stood, and so there are up to three readings; Lean compiles the likeliest, and while it reports errors the others.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..checking.lean_text import blanked
from ..errors import UsageError
from ..wire.file_messages import MAX_TEXTS
from .lost_indentation import lost_indentations, needs_more
from .tactic_place import is_for_tactics

_HOLE = re.compile(r"(?<![\w.!?'«])sorry(?![\w.!?'»])")
_OWN_BY = re.compile(r"\s*by(?![\w.!?'»])\s*")
_BLANKS = re.compile(" *")
_END_OF_FUNCTION = re.compile(r"[\w'!?»)\]}⟩]\Z")
_WORD = re.compile(r"\s*[\w.'!?]+\s*")
_USUAL_BLANKS = 2
"""Blanks of a prompt whose line ends behind `by`, if the hole of the statement does not stand where it ended."""
_MAX_CHARACTERS_OF_SEVERAL = 1 << 20
"""A longer proof is read in one way, so that its texts fit into a request."""


def readings(statement: str, proof: str) -> list[str]:
    """Return the statement with `proof` in place of its only `sorry`, in each way in which its lines may be meant.

    In the first text, the likeliest, the proof is a block whose first line begins where `sorry` did, or one whose first
    line has lost its indentation, as its other lines suggest. There are at most three.

    Raises:
        UsageError: The statement has no `sorry`, or more than one.
    """
    hole = _hole_of(statement)
    code = blanked(proof)
    begin = tactics = len(proof) - len(proof.lstrip())
    if (by := _OWN_BY.match(code)) and proof.startswith(("by", "--", "/-"), begin):
        tactics = by.end()
    is_at_the_left = _column(proof, begin) == 0 and "\n" not in proof[begin:tactics]
    has_tactics = hole.is_of_tactics or tactics > begin
    if hole.is_of_tactics:
        begin = tactics  # without its own `by`
    opening, closing = _around(hole, proof, begin, code)
    if not hole.is_of_tactics and _column(statement, hole.start) == 0:
        opening = " " * _USUAL_BLANKS + opening  # tactics behind a `by` at the left would have to stand further right
    before, behind = statement[: hole.start] + opening, closing + statement[hole.end :]
    further = _column(before, len(before)) - _column(proof, begin)
    lost = [0]
    if is_at_the_left:
        prompt = _USUAL_BLANKS if hole.line_before else _column(statement, hole.start)
        lost = lost_indentations(code[tactics:], _column(proof, tactics), prompt, is_of_tactics=has_tactics)
        lost = lost[: 1 if len(proof) > _MAX_CHARACTERS_OF_SEVERAL else MAX_TEXTS]
    return [before + _moved(proof, begin, further - each) + behind for each in lost]


class _Hole(NamedTuple):
    """The place of a proof.

    Attributes:
        code: The statement, without comments and strings.
        start, end: Where its `sorry` begins and ends.
        is_of_tactics: Whether tactics stand there, and no term.
    """

    code: str
    start: int
    end: int
    is_of_tactics: bool

    @property
    def line_before(self) -> str:
        """The code before it on its line, without blanks at the end."""
        return self.code[self.code.rfind("\n", 0, self.start) + 1 : self.start].rstrip()

    @property
    def is_argument(self) -> bool:
        """Whether a function, or an argument of one, stands before it on its line."""
        before = self.line_before
        return not self.is_of_tactics and _END_OF_FUNCTION.search(before) is not None and not needs_more(before)

    @property
    def ends_line(self) -> bool:
        """Whether no code stands behind it on its line."""
        return not self.code[self.end :].partition("\n")[0].strip()


def _hole_of(statement: str) -> _Hole:
    code = blanked(statement)
    places = [match.span() for match in _HOLE.finditer(code)]
    if len(places) != 1:
        raise UsageError(
            f"filling the hole of a statement: expected exactly one `sorry`, found {len(places)}",
            hint="Give whole files as candidates for a statement with several goals.",
        )
    (start, end) = places[0]
    return _Hole(code, start, end, is_for_tactics(code, start))


def _around(hole: _Hole, proof: str, begin: int, code: str) -> tuple[str, str]:
    """The texts that have to stand before and behind a proof, taken from `begin` on, in its hole."""
    line_end = f"\n{' ' * _column(hole.code, hole.start)}"
    has_comment_at_end = len(code.rstrip()) < len(proof.rstrip())
    if hole.line_before.endswith((";", "<;>")) and "\n" in proof[begin:].rstrip():
        # Of tactics that follow others on their line each line would begin at the first one's column.
        return "(", f"{line_end})"
    if hole.is_argument and not _WORD.fullmatch(code):
        return "(", f"{line_end if has_comment_at_end else ''})"
    # A comment at the proof's end must not hide what the statement's line goes on with.
    return "", line_end if has_comment_at_end and not hole.ends_line else ""


def _column(text: str, at: int) -> int:
    return at - (text.rfind("\n", 0, at) + 1)


def _moved(text: str, begin: int, further: int) -> str:
    """The text from `begin` on, with each line but the first moved to the right by `further` columns.

    The further lines of a string or a comment stay as they are.
    """
    text = text.rstrip()
    parts: list[str] = []
    at = begin
    for line_end in re.finditer("\n", blanked(text)[begin:]):
        line = begin + line_end.end()
        indented = _BLANKS.match(text, line).end()  # type: ignore[union-attr]  # it matches everywhere
        is_empty = indented == len(text) or text[indented] == "\n"
        parts += [text[at:line], "" if is_empty else " " * max(0, indented - line + further)]
        at = indented
    return "".join([*parts, text[at:]])
