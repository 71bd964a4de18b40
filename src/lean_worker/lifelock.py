"""Files that are locked for as long as the process that made them lives.

Owns how it is known that it lives: by a lock, which the kernel takes away with the process, also after a SIGKILL,
whatever becomes of process ids, and where several containers share a directory. Callers decide what such a file says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def open_locked(path: Path) -> int:
    """Make a file that is locked as long as its descriptor is open.

    Raises:
        OSError: It cannot be made; FileExistsError if it is there.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if is_named(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise
        # Somebody who cleans up was faster than the lock, and has removed it.
        os.close(fd)


def is_named(fd: int, path: Path) -> bool:
    """Whether `path` is the open file `fd`."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def lock_of_dead(path: Path) -> int | None:
    """The open and locked descriptor of a file whose process is gone; None if it lives, or the file is gone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    if not is_named(fd, path):
        os.close(fd)
        return None
    return fd


def remove_if_dead(path: Path) -> bool:
    """Remove a file whose process is gone; says whether it did."""
    fd = lock_of_dead(path)
    if fd is None:
        return False
    try:
        os.unlink(path)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
