"""A temporary directory for each worker, readable by nobody else, and gone when the worker is.

Owns where they lie: in one directory of this process below the system's temporary directory. A lock on a file in it
says that the process lives, so that what a killed one left behind is removed when a process next starts its first
worker, and never what a living one uses. Workers get theirs as TMPDIR. Forked children make one of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from pathlib import Path

from . import monitor
from .errors import CapabilityError

_PREFIX = "lean-worker-tmp-"
_OWNER = ".owner"


class _Base:
    """This process's own directory."""

    def __init__(self) -> None:
        place = Path(tempfile.gettempdir())
        monitor.shared().run_aside(lambda: _remove_left_behind(place))
        # Locked before it has the name by which others look for it.
        made = Path(tempfile.mkdtemp(prefix=f".new-{_PREFIX}", dir=place))
        self._lock_fd = os.open(made / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        self.path = made.with_name(_PREFIX + made.name.rpartition("-")[2])
        made.rename(self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock_fd)

    def leave_to_parent(self) -> None:
        os.close(self._lock_fd)


_lock = threading.Lock()
_base: _Base | None = None


def make() -> Path:
    """A new directory for one worker.

    Raises:
        CapabilityError: The system gives none.
    """
    try:
        try:
            return Path(tempfile.mkdtemp(prefix="worker-", dir=_own().path))
        except FileNotFoundError:
            # Some systems clear away what lies there for days.
            _forget_own()
            return Path(tempfile.mkdtemp(prefix="worker-", dir=_own().path))
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
        monitor.shared().run_aside(lambda: shutil.rmtree(directory, ignore_errors=True))


def _own() -> _Base:
    global _base
    with _lock:
        if _base is None:
            _base = _Base()
        return _base


def _forget_own() -> None:
    global _base
    with _lock:
        base, _base = _base, None
    if base is not None:
        base.remove()


def _remove_left_behind(place: Path) -> None:
    for entry in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if entry.is_symlink() or entry.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(entry / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(descriptor)


def _forget_after_fork() -> None:
    global _base, _lock
    _lock = threading.Lock()
    if _base is not None:
        _base.leave_to_parent()
        _base = None


os.register_at_fork(after_in_child=_forget_after_fork)


@atexit.register
def _remove_all() -> None:
    # Registered before the pools' own: theirs comes first, and ends the workers.
    _forget_own()
