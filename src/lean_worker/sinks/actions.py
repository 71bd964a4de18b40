"""Actions of a commit in one directory; each can be repeated after a crash.

Each action can show that it was done before. Callers decide what to do with an action that can neither be done nor was
done.
"""

from __future__ import annotations

import os
import stat

from .journal import MergeRecord, Record, RenameRecord, TableRecord, decoded
from .parts import Directory, refusal
from .tables import is_merged, merge

_HINT = "Find out which program removes or changes files there (a cleaner?), and run the request again."


def perform(directory: Directory, record: Record, group: str | None) -> None:
    """Perform the action.

    Raises:
        OSError, SinkError: It failed; for a rename that was done before, because the part no longer exists.
    """
    if isinstance(record, MergeRecord):
        merge(directory, record, group)
        return
    part, target = decoded(record.part), decoded(record.target)
    why = _why_no_part(directory.look(part), record)
    if why is not None:
        raise refusal("committing", directory.path / target, f"the file {part} with its rows {why}", _HINT)
    os.replace(part, target, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
    directory.sync()


def _why_no_part(found: os.stat_result | None, record: RenameRecord | TableRecord) -> str | None:
    if found is None:
        return "is gone"
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return "was replaced by somebody else"
    if (found.st_size, found.st_mtime_ns) != (record.size_bytes, record.mtime_ns):
        return "was changed by somebody else"
    return None


def why_not_at_hand(directory: Directory, record: Record) -> str | None:
    """Tell why the parts that a journal names are not there as this user wrote them; None if they are."""
    for part in record.tables if isinstance(record, MergeRecord) else [record]:
        name = decoded(part.part)
        found = directory.look(name)
        why = _why_no_part(found, part)
        if why is None and found is not None and found.st_uid != os.geteuid():
            why = f"belongs to another user ({found.st_uid})"
        if why is not None:
            return f"the file {name} with its rows {why}"
    return None


def is_done(directory: Directory, record: Record, group: str) -> bool | None:
    """Whether it was done before; None if that cannot be told."""
    if isinstance(record, MergeRecord):
        return is_merged(directory, record, group)
    if directory.look(decoded(record.part)) is not None:
        return False
    found = directory.look(decoded(record.target))
    if found is None:
        return None
    # A rename takes both along.
    return (found.st_size, found.st_mtime_ns) == (record.size_bytes, record.mtime_ns) or None
