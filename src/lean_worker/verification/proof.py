"""A candidate that is only a proof for the statement's hole."""

from __future__ import annotations

import dataclasses
import re

from ..base.arguments import check_text, shown
from ..checking.lean_text import blanked
from ..errors import UsageError

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
