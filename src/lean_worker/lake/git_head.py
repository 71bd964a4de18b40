"""The commit at which a git checkout stands, read from its files.

No git is run, so that nothing that a repository configures is obeyed. Reads linked working trees, submodules, detached
and attached heads, loose and packed references.
"""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_CHAIN = 5
_LARGEST_BYTES = 1 << 24


def git_directory(checkout: Path) -> Path | None:
    """Return the directory in which git keeps the state of a checkout; None for no checkout."""
    entry = checkout / ".git"
    if entry.is_dir():
        return entry
    text = _text(entry)
    if text is None or not text.startswith("gitdir:"):
        return None
    directory = checkout / text.removeprefix("gitdir:").strip()
    return directory if directory.is_dir() else None


def head_revision(checkout: Path) -> str | None:
    """Return the commit of HEAD; None if there is none, or if it is stored in a way that is not known here."""
    directory = git_directory(checkout)
    if directory is None:
        return None
    common_text = _text(directory / "commondir")
    common = directory if common_text is None else directory / common_text.strip()
    reference = "HEAD"
    for _ in range(_LONGEST_CHAIN):
        value = _value(directory, common, reference)
        if value is None:
            return None
        if not value.startswith("ref:"):
            return value if _COMMIT.fullmatch(value) else None
        reference = value.removeprefix("ref:").strip()
        if not reference.startswith("refs/") or ".." in reference:
            return None
    return None


def _value(directory: Path, common: Path, reference: str) -> str | None:
    """Return the content of a reference: a commit, or the name of another reference."""
    for place in (directory, common):
        text = _text(place / reference)
        if text is not None:
            return text.strip()
    for line in (_text(common / "packed-refs") or "").splitlines():
        commit, _, name = line.partition(" ")
        if name == reference:
            return commit
    return None


def _text(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return None
