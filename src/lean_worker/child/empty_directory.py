"""A private directory that is empty again whenever a hosted process has ended, whatever that process put into it."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


class EmptyDirectory:
    """A new directory, readable and writable by its owner alone; not for several threads.

    Args:
        parent: The directory to create it in.

    Attributes:
        path: The directory.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, parent: str) -> None:
        self.path = tempfile.mkdtemp(prefix="file-", dir=parent)
        self._count = 0

    def clear(self) -> None:
        """Delete everything in the directory, however deep; entries that cannot be deleted are left."""
        place = Path(self.path)
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)
        while entries := self._entries(place):
            remaining = [entry for entry in entries if not self._delete(entry, place)]
            if len(remaining) == len(entries):
                return

    def _delete(self, entry: Path, place: Path) -> bool:
        """Delete a file or an empty directory; lift the content of another directory up to `place`.

        A tree can be deeper than what a recursive function, or a path, can follow.
        """
        try:
            if not stat.S_ISDIR(entry.lstat().st_mode):
                entry.unlink()
                return True
            entry.chmod(0o700)
            for child in self._entries(entry):
                if stat.S_ISDIR(child.lstat().st_mode):
                    child.chmod(0o700)  # moving a directory writes into it
                self._count += 1
                child.rename(place / f".moved-{self._count}")
            entry.rmdir()
        except OSError:
            return False
        return True

    @staticmethod
    def _entries(directory: Path) -> list[Path]:
        with contextlib.suppress(OSError), os.scandir(directory) as found:
            return [Path(entry.path) for entry in found]
        return []
