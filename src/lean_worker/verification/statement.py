"""The trusted statement, and the text of a candidate that only fills its hole."""

from __future__ import annotations

import dataclasses
import re

from ..base.arguments import check_text, shown
from ..checking.lean_text import blanked
from ..errors import UsageError
from ..wire.file_messages import MAX_TEXTS
from .lost_indentation import lost_indentations, needs_more
from .tactic_place import is_for_tactics

_HOLE = re.compile(r"(?<![\w.!?'«])sorry(?![\w.!?'»])")
_OWN_BY = re.compile(r"\s*by(?![\w.!?'»])\s*")
_BLANKS = re.compile(" *")
_MAX_CHARACTERS_OF_SEVERAL = 1 << 20
"""A longer proof is read in one way, so that its texts fit into a request."""
_END_OF_FUNCTION = re.compile(r"[\w'!?»)\]}⟩]\Z")
_WORD = re.compile(r"\s*[\w.'!?]+\s*")


_WHOLE_FILE = re.compile(r"\s*(?:prelude|module|import|theorem|lemma|def)(?![\w.!?'»])")


@dataclasses.dataclass(frozen=True)
class Proof:
    """A candidate that is a proof for the statement's only `sorry`, not a whole file.

    Attributes:
        name: A name for results.
        text: What stands in place of `sorry`, as a block whose lines keep their places relative to each other: a term,
            or `by` and tactics. Where the statement has tactics around `sorry`, tactics with or without a `by` of
            their own.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        check_text("making a proof", "name", self.name, is_empty_good=True)
        if not isinstance(self.text, str):
            raise UsageError(
                f"making a proof: expected text as a str, got {shown(self.text)}",
                hint="Give a term, or `by …`.",
            )


def is_like_a_file(proof: str) -> bool:
    """Whether a proof begins with a word that begins a file, and no term or tactic."""
    return _WHOLE_FILE.match(blanked(proof)) is not None


def readings(statement: str, proof: str) -> list[str]:
    """The statement with `proof` in place of its only `sorry`, in each way in which its lines may be meant.

    In the first text, the likeliest, the proof is a block whose first line begins where `sorry` did, or one whose first
    line has lost its indentation, as its other lines suggest. There are at most three.

    Raises:
        UsageError: The statement has no `sorry`, or more than one.
    """
    code = blanked(statement)
    places = [match.span() for match in _HOLE.finditer(code)]
    if len(places) != 1:
        raise UsageError(
            f"filling the hole of a statement: expected exactly one `sorry`, found {len(places)}",
            hint="Give whole files as candidates for a statement with several goals.",
        )
    (start, end) = places[0]
    own = blanked(proof)
    is_of_tactics = is_for_tactics(code, start)
    begin = first = len(proof) - len(proof.lstrip())
    if (by := _OWN_BY.match(own)) and proof.startswith(("by", "--", "/-"), begin):
        first = by.end()
    is_first_at_the_left = _column(proof, begin) == 0 and "\n" not in proof[begin:first]
    has_tactics = is_of_tactics or first > begin
    if is_of_tactics:
        begin = first  # without its own `by`
    before, behind = statement[:start], statement[end:]
    line_end = f"\n{' ' * _column(statement, start)}"
    has_comment_at_end = len(own.rstrip()) < len(proof.rstrip())
    if code[:start].rstrip(" ").endswith((";", "<;>")) and "\n" in proof[begin:].rstrip():
        # Of tactics that follow others on their line each line would begin at the first one's column.
        before, behind = f"{before}(", f"{line_end}){behind}"
    elif not is_of_tactics and _is_argument(code, start) and not _WORD.fullmatch(own):
        before, behind = f"{before}(", f"{line_end if has_comment_at_end else ''}){behind}"
    elif code[end:].partition("\n")[0].strip() and has_comment_at_end:
        # A comment at the proof's end must not hide what the statement's line goes on with.
        behind = f"{line_end}{behind}"
    further = _column(before, len(before)) - _column(proof, begin)
    lost = [0]
    if is_first_at_the_left:
        lost = lost_indentations(own[first:], _column(proof, first), further, is_of_tactics=has_tactics)
        lost = lost[: 1 if len(proof) > _MAX_CHARACTERS_OF_SEVERAL else MAX_TEXTS]
    return [before + _moved(proof, begin, further - each) + behind for each in lost]


def _is_argument(code: str, at: int) -> bool:
    """Whether a function, or an argument of one, stands before a place on its line."""
    before = code[code.rfind("\n", 0, at) + 1 : at].rstrip()
    return _END_OF_FUNCTION.search(before) is not None and not needs_more(before)


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
