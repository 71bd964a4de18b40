"""Answers of Lake, kept as long as nothing that they depend on has changed: one object for the process.

Keys hold digests of the files that an answer depends on, so that nothing has to be thrown away when they change.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from ..base.forks import after_fork_in_child
from .file_settings import FileSettings

_MOST_SETTINGS = 1024


class Kept:
    """Answers and builds of this process; used from any thread, and in forked children too.

    Attributes:
        module_paths: Directories of built modules by Lake, project and digest of its configuration; with `asking`.
        builds: Digest of the sources that were built, by Lake, project and target; within `building`.
        asking: Held while Lake is asked for a path.
    """

    def __init__(self) -> None:
        self.module_paths: dict[tuple[str, str, str], list[Path]] = {}
        self.builds: dict[tuple[str, str, str], str] = {}
        self._settings: dict[str, FileSettings] = {}
        self._unlock()

    def _unlock(self) -> None:
        self.asking = threading.Lock()
        self._changing = threading.Lock()
        self._building: dict[tuple[str, str, str], threading.Lock] = {}

    @contextlib.contextmanager
    def building(self, key: tuple[str, str, str]) -> Iterator[None]:
        """Build one target on one thread at a time."""
        with self._changing:
            lock = self._building.setdefault(key, threading.Lock())
        with lock:
            yield

    def settings(self, key: str) -> FileSettings | None:
        """Return the settings of a script that were kept; None if there are none."""
        return self._settings.get(key)

    def keep_settings(self, key: str, found: FileSettings) -> None:
        """Keep the settings of a script."""
        if len(self._settings) >= _MOST_SETTINGS:
            self._settings.clear()
        self._settings[key] = found

    def leave_to_parent(self) -> None:
        """In a forked child: another thread may have held a lock that nobody releases there."""
        self._unlock()


kept = Kept()
after_fork_in_child(kept.leave_to_parent)
