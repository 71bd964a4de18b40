"""Whether a place in a text is one for tactics, told from its layout.

Lean's parser would know. It runs when the text is whole, and the text depends on the answer. What the layout does not
tell counts as a place for a term.
"""

from __future__ import annotations

import re

from .code_lines import CodeLine, code_lines

_BY = re.compile(r"(?<![\w.!?'«])by\Z")
_OPENER = re.compile(r"(?<![\w.!?'«])by(?![\w.!?'»])|:=|=>|(?<![^\s(⟨])[·.](?=\s|\Z)")
_OF_TACTICS = re.compile(r"(?:[·.]|case'?|next|induction|cases|rcases|obtain|all_goals|any_goals|focus)(?![\w.!?'»])")
_COMBINATOR = re.compile(
    r"(?<![\w.!?'«])(?:all_goals|any_goals|try|repeat1?'?|focus|iterate(?: \d+)?|(?:first|solve) \|(?:.*\|)?"
    r"|with_reducible(?:_and_instances)?|with_unfolding_all|fail_if_success)\Z"
)
"""The begin of a tactic, to the end, behind which another one stands."""
_MATCH = re.compile(r"(?<![\w.!?'«])match(?![\w.!?'»])")


def is_for_tactics(code: str, at: int) -> bool:
    """Whether a tactic is expected at a place.

    Args:
        code: The text, without comments and strings.
        at: The place.
    """
    line_start = code.rfind("\n", 0, at) + 1
    before = code[line_start:at]
    try:
        if before.strip():
            return _follows_on_line(code, line_start, before.rstrip())
        return _begins_line(_lines_before(code, line_start), len(before))
    except RecursionError:  # hundreds of matches, each in an arm of another
        return False


def _lines_before(code: str, end: int) -> list[CodeLine]:
    """The lines above a place that are not blank."""
    return [line for line in code_lines(code[:end]) if line.text]


def _follows_on_line(code: str, line_start: int, before: str) -> bool:
    """Whether tactics stand behind `before` on the same line."""
    if _BY.search(before):
        return True
    first = line_start + len(before) - len(before.lstrip())
    if before.endswith(("{", "(")):
        # In brackets of its own: what the bracket itself is.
        inner = before[:-1].rstrip()
        if not inner.strip():
            return is_for_tactics(code, line_start + len(before) - 1)
        return inner.endswith((";", "<;>", "·", "by")) and is_for_tactics(code, line_start + len(before) - 1)
    if combinator := _COMBINATOR.search(before):
        return is_for_tactics(code, line_start + combinator.start())
    openers = list(_OPENER.finditer(before))
    if before.endswith((";", "<;>")):
        if not openers:
            return is_for_tactics(code, first)
        return openers[-1].group() not in (":=", "=>")
    if before.endswith("=>"):
        return _is_arm_of_tactics(_lines_before(code, line_start), CodeLine(first - line_start, before.strip()))
    return bool(openers) and openers[-1].end() == len(before) and openers[-1].group() in ("·", ".")


def _begins_line(above: list[CodeLine], column: int) -> bool:
    """Whether a line that begins at `column` below these lines begins with a tactic."""
    below = column
    for number in range(len(above) - 1, -1, -1):
        line = above[number]
        found = None
        for opener in _OPENER.finditer(line.text):
            rest = line.text[opener.end() :]
            # The block that it opens begins behind it, or with the next line.
            begin = line.column + opener.end() + len(rest) - len(rest.lstrip()) if rest else below
            if begin == column:
                found = opener.group()
        if found in ("by", "·", "."):
            return True
        if found == "=>":
            return _is_arm_of_tactics(above[:number], line)
        if found == ":=":
            return False
        below = line.column
    return False


def _is_arm_of_tactics(above: list[CodeLine], arm: CodeLine) -> bool:
    """Whether tactics stand behind the `=>` of a line."""
    if not arm.text.startswith("|"):
        return _OF_TACTICS.match(arm.text) is not None
    for number in range(len(above) - 1, -1, -1):
        line = above[number]
        if line.column > arm.column or line.text.startswith("|"):
            continue
        match = _MATCH.search(line.text)
        if match is None:
            return line.text.endswith("with") and _OF_TACTICS.search(line.text) is not None
        before = line.text[: match.start()].rstrip()
        if before:
            return _BY.search(before) is not None or before in ("·", ".")
        return _begins_line(above[:number], line.column)
    return False
