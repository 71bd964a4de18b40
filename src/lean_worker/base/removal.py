"""Removal of directories that hosted code has filled: of any depth, with any modes, and with links that lead elsewhere.

A tree can be deeper than a recursive function or a path can follow. So directories are moved up to the top until
nothing is nested. Every step is relative to an open directory and follows no link, so a hosted process that still runs
cannot redirect it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from .interrupts import Holder

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def clear(directory: str | os.PathLike[str]) -> bool:
    """Delete everything in `directory`; return False if something is left. Errors are not raised."""
    with contextlib.suppress(OSError), Holder(os.open, directory, _OPEN_DIRECTORY) as top:
        return _clear(top.fd)
    return False


def remove(directory: str | os.PathLike[str]) -> bool:
    """Delete `directory` and everything in it; return False if something is left. Errors are not raised."""
    place = Path(directory)
    with contextlib.suppress(OSError), Holder(os.open, place.parent, _OPEN_DIRECTORY & ~os.O_NOFOLLOW) as parent:
        _permit(place.name, parent.fd)
    clear(place)
    with contextlib.suppress(OSError):
        place.rmdir()
    return not os.path.lexists(place)


def _clear(top: int) -> bool:
    new_names = (f".{prefix}-{i}" for prefix in [os.urandom(8).hex()] for i in itertools.count())
    while names := os.listdir(top):
        kept = 0
        for name in names:
            try:
                if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=top)
                    continue
                _lift(name, top, new_names)
                os.rmdir(name, dir_fd=top)
            except OSError:
                kept += 1
        if kept == len(names):
            return False
    return True


def _lift(name: str, top: int, new_names: Iterator[str]) -> None:
    """Move the content of a directory up to `top`."""
    _permit(name, top)
    with Holder(os.open, name, _OPEN_DIRECTORY, dir_fd=top) as inner:
        for child in os.listdir(inner.fd):
            if stat.S_ISDIR(os.stat(child, dir_fd=inner.fd, follow_symlinks=False).st_mode):
                _permit(child, inner.fd)  # to move a directory means to write into it
            os.rename(child, next(new_names), src_dir_fd=inner.fd, dst_dir_fd=top)


def _permit(name: str, parent: int) -> None:
    """Give the owner of a directory all rights to it, where that can be done without following links."""
    if not sys.platform.startswith("linux"):
        return
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError), Holder(os.open, name, flags, dir_fd=parent) as found:
        os.chmod(f"/proc/self/fd/{found.fd}", 0o700)
