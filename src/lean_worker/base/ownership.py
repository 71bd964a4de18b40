"""Ownership of objects and files: by process and by user.

A process deletes only what it created, and trusts only files that nobody else could have written. `Owner` tells the
process that created an object from its forked children. `why_untrusted` tells a file of this user from a file that
somebody else could have put in its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
import weakref
from pathlib import Path
from typing import Any

from ..errors import UsageError

_process = object()


class Owner:
    """The process that made an object. A forked child is another process, also where it got the same process id."""

    __slots__ = ("_pid", "_process")

    def __init__(self) -> None:
        self._process = _process
        self._pid = os.getpid()  # for a fork by C code, which runs no Python hooks

    @property
    def is_here(self) -> bool:
        """Whether this is that process."""
        return self._process is _process and self._pid == os.getpid()


class Descriptor:
    """An open descriptor that forked children close at once, so that the locks on it end with its own process.

    Attributes:
        fd: Its number; -1 once it is closed, and in a forked child.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        _descriptors.add(self)

    def unlock(self) -> None:
        """Give back the lock on it at once, also if a child that was forked a moment ago has not closed it yet."""
        if self.fd >= 0:
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close it; legal twice."""
        # In this order: a fork in between leaves a number that is not closed, never one that is closed twice.
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


_descriptors: weakref.WeakSet[Descriptor] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    global _process
    _process = object()
    for descriptor in list(_descriptors):
        with contextlib.suppress(OSError):
            descriptor.close()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def leave_to_parent(value: Any) -> None:
    """Keep `value` for ever: its finalizer would touch what belongs to the parent, such as an open SQLite database."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


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
        UsageError: It is no path, has a NUL character, or a character that file names cannot have.
    """
    try:
        text = os.fspath(path)
        if not isinstance(text, str):
            raise TypeError(f"expected str or os.PathLike[str], got {text!r}")
        if b"\0" in os.fsencode(text):
            raise ValueError("a path cannot have a NUL character")
    except (TypeError, ValueError) as error:
        raise UsageError(f"{doing}: {path!r} is no path: {error}") from error
    return Path(text)
