"""The trusted statement, and the text of a candidate that only fills its hole."""

from __future__ import annotations

import dataclasses
import re

from ..base.arguments import check_text, shown
from ..checking.lean_text import blanked
from ..errors import UsageError

_HOLE = re.compile(r"(?<![\w.!?'«])sorry(?![\w.!?'»])")


@dataclasses.dataclass(frozen=True)
class Proof:
    """A candidate that is a proof for the statement's only `sorry`, not a whole file.

    Attributes:
        name: A name for results.
        text: What stands in place of `sorry`: a term, or `by` and tactics.
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


def filled(statement: str, proof: str) -> str:
    """The statement with `proof` in place of its only `sorry`.

    Raises:
        UsageError: The statement has none, or more than one.
    """
    places = [match.span() for match in _HOLE.finditer(blanked(statement))]
    if len(places) != 1:
        raise UsageError(
            f"filling the hole of a statement: expected exactly one `sorry`, found {len(places)}",
            hint="Give whole files as candidates for a statement with several goals.",
        )
    (start, end) = places[0]
    column = start - (statement.rfind("\n", 0, start) + 1)
    # Lines of the proof keep their indentation relative to each other; further lines must stand right of column 0.
    lines = proof.strip("\n").split("\n")
    indented = ("\n" + " " * min(column, 2)).join(lines)
    return statement[:start] + indented + statement[end:]
