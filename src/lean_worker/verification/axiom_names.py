"""Names of axioms as Lean writes them: `Classical.choice`, `«an axiom».x`, `foo.1`."""

from __future__ import annotations

import re

from ..base.arguments import check_unicode, shown
from ..errors import UsageError

_PART = re.compile(r"«(?P<quoted>[^«»]+)»|(?P<number>[0-9]+)|(?P<plain>[^\s.«»]+)")


def parts_of(name: object) -> list[str | int]:
    """Return the parts of a name.

    Raises:
        UsageError: It is no name.
    """
    if isinstance(name, str):
        check_unicode("verifying", "the name of an axiom", name)
        parts: list[str | int] = []
        at = 0
        while (match := _PART.match(name, at)) is not None:
            number = match["number"]
            try:
                parts.append(int(number) if number is not None else match["quoted"] or match["plain"])
            except ValueError as error:  # Python reads numbers up to some length
                raise UsageError(
                    f"verifying: the name of an axiom {shown(name)} has a number that cannot be read: {error}",
                    hint="Write it as Lean does: Classical.choice.",
                ) from error
            at = match.end()
            if at == len(name):
                return parts
            if name[at] != ".":
                break
            at += 1
    raise UsageError(
        f"verifying: expected the name of an axiom, got {shown(name)}", hint="Write it as Lean does: Classical.choice."
    )
