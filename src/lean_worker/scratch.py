"""Directories for temporary files that go with their process, at the latest when the next of its kind starts.

Owns where they lie and how it is told whether a process is gone (`lifelock`). Each worker gets one of its own as
TMPDIR, readable by nobody else, in a directory of the process that started it. Forked children make their own.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from pathlib import Path

from . import monitor, removal
from .errors import CapabilityError
from .lifelock import lock_of_dead, open_locked

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
        self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
        fresh = self.path / f"{_LOCK}.new"
        self._lock_fd = open_locked(fresh)
        fresh.rename(self.path / _LOCK)  # under its name it is never seen without a lock

    def remove(self) -> None:
        """Remove it with all that is in it; legal twice."""
        if self._lock_fd >= 0:
            removal.remove(self.path)
            self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """In a forked child: it is not ours."""
        os.close(self._lock_fd)
        self._lock_fd = -1


def _remove_left_behind(place: Path, kind: str) -> None:
    for entry in place.glob(f"{kind}-*"):
        try:
            is_ours = entry.lstat().st_uid == os.getuid()
        except OSError:
            continue
        lock_fd = lock_of_dead(entry / _LOCK) if is_ours else None
        if lock_fd is not None:
            removal.remove(entry)
            os.close(lock_fd)


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
        monitor.shared().run_aside(lambda: _remove_tree(directory))


def _remove_tree(directory: Path) -> None:
    removal.remove(directory)


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
    if _own is not None:
        _own.leave_to_parent()
        _own = None


os.register_at_fork(after_in_child=_forget_after_fork)
# Registered before the pools' own: theirs comes first, and ends the workers.
atexit.register(_forget_own)
