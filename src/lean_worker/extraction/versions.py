"""The versions of Lean that the extractor's text is written for.

docs/extract.md lists where Lean's own library differs between them.
"""

from __future__ import annotations

import re

OLDEST = (4, 22)
"""The first minor version of Lean that has everything the text uses."""

_BY_TEXT = ("declarations", "dependencies", "modules", "goals")
_EVERY_LEAN = ("messages",)


def is_written_for(version: str | None) -> bool:
    """Whether the text is written for a version such as "4.35.0"; False for None and for a text that is no version."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def extracted_by(version: str | None) -> str:
    """Return what can be extracted with a version, and the fields that it leaves null, as a phrase for reports."""
    if is_written_for(version):
        return f"{', '.join((*_BY_TEXT, *_EVERY_LEAN))}; no field is missing"
    oldest = ".".join(map(str, OLDEST))
    return f"{', '.join(_EVERY_LEAN)}; {', '.join(_BY_TEXT)} are written for Lean {oldest} and later"
