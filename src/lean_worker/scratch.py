"""A directory for one process, which goes with it: at the latest when the next process of its kind starts.

Owns how it is told whether the process that made one is gone: by a lock, which ends with the process also where several
containers share the place of temporary files. Callers decide what is in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from .sinks.parts import lock_of_dead

_LOCK = ".lock"


class Scratch:
    """A new directory among the temporary files; those of its kind whose processes are gone are removed.

    Args:
        kind: How its name begins.

    Attributes:
        path: The directory.
    """

    def __init__(self, kind: str) -> None:
        for old in Path(tempfile.gettempdir()).glob(f"{kind}-*"):
            _remove_if_dead(old)
        self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        fresh = self.path / f"{_LOCK}.new"
        self._lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / _LOCK)  # under its name it is never seen without a lock

    def remove(self) -> None:
        """Remove it with all that is in it; legal twice."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _remove_if_dead(directory: Path) -> None:
    fd = lock_of_dead(directory / _LOCK)
    if fd is not None:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(fd)
