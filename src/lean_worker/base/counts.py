"""Counts of things in sentences."""

from __future__ import annotations


def counted(count: int, things: str) -> str:
    """Return a number and its noun, as in `1 row` and `2,000 rows`.

    Args:
        count: How many.
        things: The noun's plural, whose singular lacks the last letter; " are" may follow it.
    """
    if count == 1:
        noun, _, verb = things.partition(" ")
        things = noun[:-1] + (" is" if verb else "")
    return f"{count:,} {things}"
