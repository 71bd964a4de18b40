"""Files that stay locked while the process that made them lives.

A lock shows that the process lives. The kernel releases the lock at the end of the process, even after a SIGKILL, and
independently of process ids and containers. Nothing here waits for a lock, because any process that can read a file can
hold one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from .forks import Descriptor

_ATTEMPTS = 100
_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a fifo must not block


def open_locked(path: str | Path, mode: int = 0o666, dir_fd: int | None = None) -> Descriptor:
    """Make a file that is locked as long as its descriptor is open.

    Interrupted, it may leave the file behind, which nobody locks then: see `remove_if_dead`.

    Args:
        path: Its name; relative to `dir_fd` if that is given.
        mode: Its permissions, less the umask.

    Raises:
        OSError: It cannot be made; FileExistsError if it is there.
    """
    for _ in range(_ATTEMPTS):
        file = Descriptor(os.open, path, _OPEN | os.O_CREAT | os.O_EXCL, mode, dir_fd=dir_fd)
        try:
            fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_named(file.fd, path, dir_fd):
                return file
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path, dir_fd=dir_fd)
        except BaseException:
            file.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path, dir_fd=dir_fd)
            raise
        # Somebody who cleans up was faster than the lock.
        file.close()
    raise OSError(errno.EAGAIN, "somebody else locks or removes each new file at once")


def is_named(fd: int, path: str | Path, dir_fd: int | None = None) -> bool:
    """Whether `path` itself, and not a link, is the open file `fd`."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, dir_fd=dir_fd, follow_symlinks=False))
    except FileNotFoundError:
        return False


def lock_of_dead(path: str | Path, dir_fd: int | None = None) -> Descriptor | None:
    """The open and locked descriptor of this user's file whose process is gone; None for any other."""
    try:
        file = Descriptor(os.open, path, _OPEN, dir_fd=dir_fd)
        found = os.fstat(file.fd)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_named(file.fd, path, dir_fd):
                return file
    except OSError:
        pass
    return None


def remove_if_dead(path: str | Path, dir_fd: int | None = None) -> bool:
    """Remove this user's file if its process is gone; says whether it did."""
    lock = lock_of_dead(path, dir_fd)
    if lock is None:
        return False
    with lock:
        try:
            os.unlink(path, dir_fd=dir_fd)
            return True
        except OSError:
            return False
