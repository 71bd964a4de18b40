"""Files that Lean reads by themselves, whose text is looked through afterwards: is it the text that Lean has read?"""

from __future__ import annotations

from pathlib import Path

from ..base.moved_directories import have_moved, marks_of
from ..base.regular_files import read_regular
from ..toolchains.module_files import settled
from .inability import Inability

_CHANGED = Inability(
    "the file was changed, moved or removed while it was checked, so that nobody can tell whether the text that Lean "
    "has read hides a `sorry`",
    "Check it again when nothing writes it any more, or give its text instead of its path.",
)


class SeenFile:
    """A file as it was before Lean was asked about it.

    Waits some milliseconds if it was changed just now: a further change might leave no trace.

    Args:
        path: Where it is; from the root.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        # The directories first: who moves one while the file is looked at has moved it since.
        self._marks = marks_of([path])
        self._state = settled([path])

    def text(self) -> str | Inability:
        """Return its text, which is what Lean has read meanwhile; or why nobody can tell."""
        try:
            text = read_regular(Path(self._path)).decode("utf-8", "replace")
        except OSError as error:
            if self._has_changed():
                return _CHANGED
            return Inability(
                f"its text cannot be looked through for a hidden `sorry`: {error.strerror}",
                "Leave reject_sorry out, and look at the file's size and permissions.",
            )
        return _CHANGED if self._has_changed() else text

    def _has_changed(self) -> bool:
        return not self._state.holds() or have_moved(self._marks, marks_of([self._path]))
