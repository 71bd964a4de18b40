"""Files that Lean reads by themselves, whose text is looked through afterwards: is it the text that Lean has read?"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..base.moved_directories import have_moved, marks_of
from ..base.regular_files import read_regular
from ..toolchains.module_files import Snapshot
from .inability import Inability

_CHANGED = Inability(
    "the file, or a directory above it, was changed, moved or removed while it was checked, so that nobody can tell "
    "whether the text that Lean has read hides a `sorry`",
    "Check it again when nothing writes there any more, or give its text instead of its path.",
)


class SeenFile:
    """A file as it was before Lean was asked about it.

    Of one that was changed just now the text itself is kept, as a further change might leave no other trace.

    Args:
        path: Where it is; from the root.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        # As given, for its links, and where these lead, also behind `..`. The directories first: who moves one while
        # the file is looked at has moved it since.
        self._places = [path, os.path.realpath(path)]
        self._marks = marks_of(self._places)
        self._state = Snapshot()
        self._state.note(path)
        self._early_text: bytes | None = None
        if self._state.settles_in_ns():
            with contextlib.suppress(OSError):
                self._early_text = read_regular(Path(path))

    def text(self) -> str | Inability:
        """Return its text, which is what Lean has read meanwhile; or why nobody can tell."""
        try:
            text = read_regular(Path(self._path))
        except OSError as error:
            if self._has_changed():
                return _CHANGED
            return Inability(
                f"its text cannot be looked through for a hidden `sorry`: {error.strerror}",
                "Leave reject_sorry out, and look at the file's size and permissions.",
            )
        if self._has_changed() or self._early_text not in (None, text):
            return _CHANGED
        return text.decode("utf-8", "replace")

    def _has_changed(self) -> bool:
        return not self._state.holds() or have_moved(self._marks, marks_of(self._places))
