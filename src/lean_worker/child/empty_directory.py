"""A private directory that is emptied after each hosted process."""

from __future__ import annotations

import tempfile

from ..base import removal


class EmptyDirectory:
    """A new directory, readable and writable by its owner alone; not for several threads.

    Args:
        parent: The directory to create it in.

    Attributes:
        path: The directory; another one after `renew` could not empty the last.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self.path = self._make()

    def renew(self) -> None:
        """Delete everything in the directory, or make a new one if that cannot be done.

        Raises:
            OSError: No new one can be made.
        """
        if not removal.clear(self.path):
            self.path = self._make()

    def _make(self) -> str:
        return tempfile.mkdtemp(prefix="file-", dir=self._parent)
