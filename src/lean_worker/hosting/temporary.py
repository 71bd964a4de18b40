"""Directories for temporary files that go with their process, at the latest when the next of its kind starts.

Owns where they lie and how it is told whether a process is gone (`lifelock`). Each worker gets one of its own as
TMPDIR, readable by nobody else, in a directory of the process that started it. Forked children make their own.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from pathlib import Path

from ..base import removal
from ..base.forks import Owner, after_fork_in_child, at_exit
from ..base.process_lock import lock_of_dead, open_locked
from ..base.system_errors import of_system
from ..base.trusted_files import why_untrusted_directory
from ..steps import monitor

_LOCK = ".lock"


class TemporaryDirectory:
    """A new directory of this process. Directories of the same kind whose processes have ended are removed soon.

    Args:
        kind: Prefix of its name.

    Attributes:
        path: The directory.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, kind: str) -> None:
        place = Path(tempfile.gettempdir())
        monitor.shared().run_in_thread(lambda: _remove_left_behind(place, kind))
        self._owner = Owner()
        self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
        try:
            fresh = self.path / f"{_LOCK}.new"
            self._lock = open_locked(fresh)
            fresh.rename(self.path / _LOCK)  # under its name it is never seen without a lock
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Remove it with all that is in it; legal twice, and without effect in a forked child."""
        if self._owner.is_here and self._lock.fd >= 0:
            removal.remove(self.path)
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
        lock = lock_of_dead(entry / _LOCK) if why_untrusted_directory(found) is None else None
        if lock is not None:
            with lock:
                removal.remove(entry)


# -- for workers --

_lock = threading.Lock()
_own: TemporaryDirectory | None = None
_nests: dict[Path, int] = {}


def make_nest() -> Path:
    """A new directory for a process, and in it those of its forks; `remove` removes it after the last of them.

    Raises:
        CapabilityError: As of `make`.
        ResourceExhausted: As of `make`.
    """
    directory = make()
    with _lock:
        _nests[directory] = 1
    return directory


def make_in(nest: Path) -> Path:
    """A new directory for one worker, in a directory of `make_nest` that is not removed yet.

    Raises:
        OSError: It cannot be created.
    """
    with _lock:
        if nest not in _nests:
            raise FileNotFoundError(errno.ENOENT, "removed already", str(nest))
        _nests[nest] += 1
    try:
        return Path(tempfile.mkdtemp(prefix="worker-", dir=nest))
    except BaseException:
        _leave(nest)
        raise


def make(kind: str = "worker") -> Path:
    """A new directory for one worker, or for another `kind` of thing that ends with this process.

    Raises:
        CapabilityError: The system gives none.
        ResourceExhausted: There is no room, or no descriptor, for one.
    """
    try:
        try:
            return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=_own_path()))
        except FileNotFoundError:
            # Some systems clear away what lies there for days.
            _forget_own()
            return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=_own_path()))
    except OSError as error:
        hint = "Set TMPDIR to a directory with room that this process may write to."
        raise of_system(f"making a temporary directory for a {kind}", _cause(error), hint) from error


def _cause(error: OSError) -> OSError:
    """Return what was really refused: without descriptors, `tempfile` says that no directory can be used."""
    try:
        os.close(os.open(os.sep, os.O_RDONLY))
    except OSError as refused:
        return refused
    return error


def remove(directory: Path) -> None:
    """Remove a worker's directory with all that is in it; does not wait if that is much."""
    if directory in _nests:
        _leave(directory)
        return
    try:
        directory.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        monitor.shared().run_in_thread(lambda: _remove_tree(directory))
        return
    _leave(directory.parent)


def _remove_tree(directory: Path) -> None:
    removal.remove(directory)
    _leave(directory.parent)


def _leave(nest: Path) -> None:
    """Take notice that one of those who have their directory in `nest`, or its owner, has left."""
    with _lock:
        if nest not in _nests:
            return
        _nests[nest] -= 1
        if _nests[nest]:
            return
        del _nests[nest]
    remove(nest)


def _own_path() -> Path:
    global _own
    with _lock:
        if _own is None:
            _own = TemporaryDirectory("lean-worker-tmp")
        return _own.path


def _forget_own() -> None:
    global _own
    with _lock:
        own, _own = _own, None
    if own is not None:
        own.remove()


def _forget_after_fork() -> None:
    global _own, _lock, _nests
    _lock = threading.Lock()
    _nests = {}
    _own = None  # the parent's, who removes it


after_fork_in_child(_forget_after_fork)
# Registered before the pools' own: theirs comes first, and ends the workers.
at_exit(_forget_own)
