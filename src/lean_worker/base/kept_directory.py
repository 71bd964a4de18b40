"""Relative paths of what is hosted: they mean what they meant when the lease, or the job's run, began.

A capability works out its launch again for each worker of a lease, and the caller may have changed its working
directory meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from .system_errors import is_of_system, of_system

_HINT_CLOSED = "Let this user enter the directories and read the files, or name others."
_kept = threading.local()


@contextlib.contextmanager
def kept(directory: str | None) -> Iterator[None]:
    """Let relative paths on this thread be of a directory; None for the working directory."""
    before = getattr(_kept, "directory", None)
    _kept.directory = directory
    try:
        yield
    finally:
        _kept.directory = before


def placed(path: str | os.PathLike[str]) -> str:
    """Return a path in the kept directory, with its `~` replaced; relative if none is kept."""
    return os.path.join(getattr(_kept, "directory", None) or "", os.path.expanduser(path))


def real(path: str | os.PathLike[str]) -> Path:
    """Return the same without links.

    Raises:
        OSError: It is relative, and the working directory was removed.
    """
    # Not Path.resolve, which raises RuntimeError for links that lead to themselves, and expanduser for unknown users.
    return Path(os.path.realpath(placed(path)))


@contextlib.contextmanager
def looking(doing: str) -> Iterator[None]:
    """Say of a path that the system does not let this user look at what was being done.

    Of relative paths too, in a working directory that was removed.
    """
    try:
        yield
    except OSError as error:
        if not is_of_system(error):
            raise
        raise of_system(doing, error, _HINT_CLOSED) from error
