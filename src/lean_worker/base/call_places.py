"""Meanings of the paths that are given to a call, also if it looks at them late: those of its beginning.

The working directory may be another one later, and a link may lead elsewhere. Two files of one call would then be of
two directories, or a file would be judged by the modules of another release of its project.
"""

from __future__ import annotations

import os

_MOST_LINKS = 40
_NOWHERE = "/the working directory was removed"


class CallPlaces:
    """The working directory, and the links that lead to the project, when a call began.

    Args:
        project: The project's directory as it was given; None for none.

    Attributes:
        project: The directory to which it led.
    """

    def __init__(self, project: str | os.PathLike[str] | None = None) -> None:
        try:
            self._directory = os.getcwd()
        except OSError:
            self._directory = _NOWHERE
        self._links: dict[str, str] = {}
        self.project: str | None = None
        if project is not None:
            place = self._absolute(project)
            found = self._followed(place, is_noted=True) if os.path.isabs(place) else None
            self.project = place if found is None else found

    def of(self, path: str | os.PathLike[str]) -> str:
        """Return a path that means what `path` meant when the call began: a file below the project is in its directory.

        The last part of a path below the project, and all of another one, may be a link that is followed later.
        """
        place = self._absolute(path)
        if not self._links or not os.path.isabs(place):
            return place
        above, name = os.path.split(place)
        if name in ("", os.curdir, os.pardir) or place in self._links:
            above, name = place, ""
        found = self._followed(above, is_noted=False)
        return place if found is None else os.path.join(found, name) if name else found

    def _absolute(self, path: str | os.PathLike[str]) -> str:
        return os.path.join(self._directory, os.path.expanduser(os.fspath(path)))

    def _followed(self, place: str, *, is_noted: bool) -> str | None:
        """Follow all links of a path, those that were noted to where they led then.

        Returns:
            None if there are too many, or, unless they are to be noted, if none of them was.
        """
        done, waiting = os.sep, place.split(os.sep)[::-1]
        followed = 0
        has_noted = is_noted
        while waiting:
            part = waiting.pop()
            if part in ("", os.curdir):
                continue
            if part == os.pardir:
                done = os.path.dirname(done)
                continue
            done = os.path.join(done, part)
            target = self._links.get(done)
            has_noted = has_noted or target is not None
            if target is None:
                try:
                    target = os.readlink(done)
                except (OSError, ValueError):
                    continue  # no link, or nothing
                if is_noted:
                    self._links[done] = target
            followed += 1
            if followed > _MOST_LINKS:
                return None
            waiting += target.split(os.sep)[::-1]
            done = os.sep if os.path.isabs(target) else os.path.dirname(done)
        return done if has_noted else None
