"""Directories above files: whether a path may have led elsewhere for a moment.

A file that is put aside and back has another time of change. One below a directory that is put aside and back, or below
a link that led elsewhere meanwhile, has not: only the directory's own time, or the link, tells. Linux sets that of
what it renames; to a directory in which something is made or removed, it gives the same time of writing too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

Marks = Mapping[str, tuple[int, int] | None]


def marks_of(paths: Iterable[str]) -> Marks:
    """Look at all directories and links by which these paths lead to what they name.

    Returns:
        By their paths: inode and time of the last change; None for a directory if that was a change of what is in it.
    """
    found: dict[str, tuple[int, int] | None] = {}
    # Each with whether something below it is meant. A path can have more parts than Python has frames.
    waiting = [(os.path.abspath(path), False) for path in paths]
    while waiting:
        path, is_inside = waiting.pop()
        if path in found:
            continue
        try:
            status = os.lstat(path)
        except OSError:
            status = None
        if status is not None and stat.S_ISLNK(status.st_mode):
            found[path] = (status.st_ino, status.st_ctime_ns)
            try:
                target = os.path.join(os.path.realpath(os.path.dirname(path)), os.readlink(path))
            except OSError:
                target = path
            waiting.append((os.path.normpath(target), is_inside))
        elif is_inside:
            changed_inside = status is None or status.st_ctime_ns == status.st_mtime_ns
            found[path] = None if status is None or changed_inside else (status.st_ino, status.st_ctime_ns)
        parent = os.path.dirname(path)
        if parent != path:
            waiting.append((parent, True))
    return found


def have_moved(before: Marks, now: Marks) -> bool:
    """Whether one of the directories may have been away, or a link may have led elsewhere, since `before`."""
    if before.keys() != now.keys():
        return True
    return any(mark is not None and mark != before[path] for path, mark in now.items())
