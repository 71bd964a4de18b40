"""Directories for temporary files that go with their process, at the latest when the next of its kind starts.

Owns where they lie and how it is told whether a process is gone (`lifelock`). Each worker gets one of its own as
TMPDIR, readable by nobody else, in a directory of the process that started it. Forked children make their own.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path

from . import monitor
from .errors import CapabilityError
from .lifelock import lock_of_dead, open_locked
from .ownership import Descriptor, Owner, why_untrusted_directory

_LOCK = ".lock"


class Scratch:
    """A new directory of this process; those of its kind whose processes are gone are removed, soon.

    Args:
        kind: How its name begins.

    Attributes:
        path: The directory.

    Raises:
        OSError: The system gives none.
    """

    def __init__(self, kind: str) -> None:
        place = Path(tempfile.gettempdir())
        monitor.shared().run_aside(lambda: _remove_left_behind(place, kind))
        self._owner = Owner()
        self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
        try:
            fresh = self.path / f"{_LOCK}.new"
            self._lock = Descriptor(open_locked(fresh))
            fresh.rename(self.path / _LOCK)  # under its name it is never seen without a lock
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Remove it with all that is in it; legal twice, and without effect in a forked child."""
        if self._owner.is_here and self._lock.fd >= 0:
            remove_tree(self.path)
            self._lock.close()


def _remove_left_behind(place: Path, kind: str) -> None:
    try:
        names = [name for name in os.listdir(place) if name.startswith(f"{kind}-")]
    except OSError:
        return
    for name in names:
        entry = place / name
        try:
            # Not a link, and nothing that others can write to: what is removed was made by a process of this user.
            found = os.lstat(entry)
        except OSError:
            continue
        lock_fd = lock_of_dead(entry / _LOCK) if why_untrusted_directory(found) is None else None
        if lock_fd is not None:
            remove_tree(entry)
            os.close(lock_fd)


def remove_tree(directory: Path) -> None:
    """Remove a directory with all that is in it, as far as that can be done; raises nothing.

    Hosted code may have made it as deep as it liked, or taken rights away from itself.
    """
    with contextlib.suppress(RecursionError):
        shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(directory)


def _empty(top: int) -> None:
    """Remove what is in a directory, level by level: what is deeper is moved up, so that two descriptors are enough."""
    numbers = itertools.count()
    while names := os.listdir(top):
        for name in names:
            if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=top)
                continue
            _make_accessible(name, top)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
            try:
                for deeper in os.listdir(below):
                    if stat.S_ISDIR(os.stat(deeper, dir_fd=below, follow_symlinks=False).st_mode):
                        _make_accessible(deeper, below)  # a directory that is not writable cannot be moved
                        os.rename(deeper, f".{next(numbers)}-{os.urandom(8).hex()}", src_dir_fd=below, dst_dir_fd=top)
                    else:
                        os.unlink(deeper, dir_fd=below)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=top)


def _make_accessible(name: str, dir_fd: int) -> None:
    # Its process has ended, so that nobody puts a link there between look and change.
    os.chmod(name, 0o700, dir_fd=dir_fd)


# -- for workers --

_lock = threading.Lock()
_own: Scratch | None = None


def make() -> Path:
    """A new directory for one worker.

    Raises:
        CapabilityError: The system gives none.
    """
    try:
        try:
            return Path(tempfile.mkdtemp(prefix="worker-", dir=_own_path()))
        except FileNotFoundError:
            # Some systems clear away what lies there for days.
            _forget_own()
            return Path(tempfile.mkdtemp(prefix="worker-", dir=_own_path()))
    except OSError as error:
        raise CapabilityError(
            f"starting a worker: no temporary directory can be made: {error}",
            hint="Set TMPDIR to a directory with room that this process may write to.",
        ) from error


def remove(directory: Path) -> None:
    """Remove a worker's directory with all that is in it; does not wait if that is much."""
    try:
        directory.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        monitor.shared().run_aside(lambda: remove_tree(directory))


def _own_path() -> Path:
    global _own
    with _lock:
        if _own is None:
            _own = Scratch("lean-worker-tmp")
        return _own.path


def _forget_own() -> None:
    global _own
    with _lock:
        own, _own = _own, None
    if own is not None:
        own.remove()


def _forget_after_fork() -> None:
    global _own, _lock
    _lock = threading.Lock()
    _own = None  # the parent's, who removes it


os.register_at_fork(after_in_child=_forget_after_fork)
# Registered before the pools' own: theirs comes first, and ends the workers.
atexit.register(_forget_own)
