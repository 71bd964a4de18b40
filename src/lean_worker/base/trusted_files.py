"""Files that nobody else could have written.

This package obeys only such files; `why_untrusted` tells one of this user from one that somebody else could have put in
its place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .arguments import shown


def why_untrusted(found: os.stat_result) -> str | None:
    """Return why somebody else could have written a regular file; None if only this user could."""
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_uid != os.geteuid():
        return f"it belongs to another user ({found.st_uid})"
    if found.st_nlink > 1:
        return "it has a second name (a hard link)"
    if found.st_mode & 0o022:
        return f"others can write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def why_untrusted_directory(found: os.stat_result) -> str | None:
    """Return why somebody else could put files into a directory; None if only this user could."""
    if not stat.S_ISDIR(found.st_mode):
        return "it is no directory"
    if found.st_uid != os.geteuid():
        return f"it belongs to another user ({found.st_uid})"
    if found.st_mode & 0o022:
        return f"others can write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def path_of(doing: str, path: Any) -> Path:
    """Return `path` as a Path that the system can be asked for.

    Raises:
        UsageError: It is no path, is empty, has a NUL character, or a character that file names cannot have.
    """
    try:
        text = os.fspath(path)
        if not isinstance(text, str):
            raise TypeError(f"expected str or os.PathLike[str], got {shown(text)}")
        if not text:
            raise ValueError("it is empty")
        if b"\0" in os.fsencode(text):
            raise ValueError("a path cannot have a NUL character")
    except (TypeError, ValueError) as error:
        raise UsageError(f"{doing}: {shown(path)} is no path: {error}", hint="Give a str or a pathlib.Path.") from error
    return Path(text)
