"""Commits: several parts become visible together, or none does.

One file is one rename, and one database is one transaction; both are atomic. More than one target needs a journal,
which is itself a file that gets its name by a rename:

    parts synced -> a journal in each further directory -> THE HOME'S JOURNAL GETS ITS NAME -> transactions, renames
    -> the journals are removed

A process that dies before the home's journal has its name has changed nothing, and its parts are removed. A process
that dies later has decided: `recovery`, which runs whenever a sink is opened in its directory, completes the commit. An
action whose part is missing is an error, unless recovery can show that it was done before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..base.forks import Owner
from ..errors import SinkError, UsageError
from .actions import is_done, perform
from .journal import Journal, MergeRecord, Record, RenameRecord, TableRecord, encoded, write_journal
from .parts import Directory, PartFile, journal_name, locked_directories, refusal, storing
from .recovery import end


class Rename(msgspec.Struct, frozen=True):
    """`part` gets its target's name.

    Attributes:
        seen: Device, inode, size and time of change of the file that the part continues, or `ABSENT`; None replaces any
            file.
    """

    part: PartFile
    seen: tuple[int, int, int, int] | None = None

    @property
    def target(self) -> Path:
        """The file that is replaced."""
        return self.part.target


class Table(msgspec.Struct, frozen=True):
    """The table of that name in the database `part`.

    Attributes:
        replace: Whether existing rows are removed.
        rows: Number of its rows.
    """

    part: PartFile
    name: str
    replace: bool
    rows: int


class Merge(msgspec.Struct, frozen=True):
    """Tables are copied into the database `target` in one transaction."""

    target: Path
    tables: list[Table]

    @property
    def part(self) -> PartFile:
        """Some part of it, which lies beside its target."""
        return self.tables[0].part


Action = Rename | Merge


def commit(group: str, actions: Sequence[Action]) -> None:
    """Make all parts visible. Their bytes must be on the disk already.

    Raises:
        UsageError: This is a forked child of the process that wrote the parts.
        SinkError: The commit failed. Nothing is visible, unless `is_decided`; then `recover` completes it.
    """
    ordered = _ordered(actions)
    if not ordered:
        return
    for part in _parts(ordered):
        if not part.is_ours:
            raise UsageError(
                f"committing {part.target}: its rows belong to the process that this one was forked from",
                hint="Run the request in the process that stores its rows.",
            )
    paths = [action.target.parent for action in ordered]
    with storing("committing", ordered[0].target), locked_directories(paths) as directories:
        for action in ordered:
            _check_unchanged(action)
        for part in _parts(ordered):
            part.check()
        if len(ordered) == 1:
            _commit_one(ordered[0])
        else:
            _commit_by_journal(group, ordered, directories)


def _ordered(actions: Sequence[Action]) -> list[Action]:
    """Databases first: a transaction can be refused, a rename beside its target hardly. One transaction a database.

    Then by directory, which is the order in which a recovery does them.
    """
    tables: dict[Path, list[Table]] = {}
    for action in actions:
        if isinstance(action, Merge):
            tables.setdefault(action.target, []).extend(action.tables)
    merges = [Merge(target, found) for target, found in tables.items()]
    renames = [action for action in actions if isinstance(action, Rename)]
    return [
        *sorted(merges, key=lambda action: action.target.parent),
        *sorted(renames, key=lambda action: action.target.parent),
    ]


def _parts(actions: Sequence[Action]) -> list[PartFile]:
    return [
        part
        for action in actions
        for part in ([action.part] if isinstance(action, Rename) else [table.part for table in action.tables])
    ]


def _record(action: Action) -> Record:
    if isinstance(action, Rename):
        found = action.part.finished
        return RenameRecord(encoded(action.part.name), encoded(action.target.name), found.st_size, found.st_mtime_ns)
    tables = [
        TableRecord(
            encoded(table.part.name),
            table.name,
            table.replace,
            table.rows,
            table.part.finished.st_size,
            table.part.finished.st_mtime_ns,
        )
        for table in action.tables
    ]
    return MergeRecord(encoded(action.target.name), tables)


ABSENT = (0, 0, 0, 0)
"""Result of `seen` for a file that does not exist. A part that continues it replaces no file that came since."""


def seen(path: Path | int) -> tuple[int, int, int, int]:
    """Return a value that changes when a file appears or its content changes; `ABSENT` if there is no such file.

    Args:
        path: The file's path; or a descriptor of it, for what was opened, whatever has its path by now.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ABSENT
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _check_unchanged(action: Action) -> None:
    if not isinstance(action, Rename) or action.seen is None:
        return
    if action.seen != seen(action.target):
        why = "somebody else changed it since its rows were read; nothing was written"
        hint = "Let one process at a time append to a file, or run the request again."
        raise refusal("committing", action.target, why, hint)


def _commit_one(action: Action) -> None:
    try:
        _perform(action, None)
    except OSError as error:
        # Renamed, and then the directory could not be synced: it is visible, and may not outlive the machine.
        if isinstance(action, Rename) and is_done(action.part.directory, _record(action), ""):
            raise _half_way([action], error) from error
        raise


def _perform(action: Action, group: str | None) -> None:
    perform(action.part.directory, _record(action), group)
    if isinstance(action, Rename):
        action.part.check_arrived()


def _commit_by_journal(group: str, actions: list[Action], directories: dict[Path, Directory]) -> None:
    for directory in directories.values():
        directory.sync()  # the parts have to be there when the journal is
    owner = Owner()
    home = sorted(directories)[0]
    others = sorted(directories)[1:]
    records = [_record(action) for action in actions]
    by_directory: dict[Path, list[Record]] = {path: [] for path in directories}
    for action, record in zip(actions, records, strict=True):
        by_directory[action.target.parent].append(record)
    with contextlib.ExitStack() as locks:
        try:
            for path in [*others, home]:
                listed = [encoded(other) for other in others] if path == home else []
                journal = Journal(group, encoded(path), encoded(home), listed, by_directory[path])
                _write_journal(locks, path / journal_name(group), group, journal)
            for action in actions:
                _perform(action, group)
        except BaseException as error:
            if not owner.is_here:
                raise
            is_decided = directories[home].look(journal_name(group)) is not None
            if not is_decided or is_done(actions[0].part.directory, records[0], group) is False:
                # Nothing is visible yet: the first action is all or nothing, and it was not done.
                _call_off(group, [directories[path] for path in [home, *others]])
                raise
            if not isinstance(error, Exception):
                raise
            raise _half_way(actions, error) from error
        try:
            end(
                group,
                [directories[path] for path in [home, *others]],
                [by_directory[path] for path in [home, *others]],
            )
        except OSError as error:
            raise _half_way(actions, error) from error  # all is visible, and may not outlive the machine


def _write_journal(locks: contextlib.ExitStack, path: Path, group: str, journal: Journal) -> None:
    locks.callback(write_journal(path, journal).close)  # its lock is held until all is done


def _call_off(group: str, directories: Sequence[Directory]) -> None:
    """The home's journal goes first, and for good: without it nothing is decided."""
    for directory in directories:
        directory.unlink(journal_name(group))
        directory.sync()


def _half_way(actions: list[Action], error: Exception) -> SinkError:
    return SinkError(
        f"committing {', '.join(str(action.target) for action in actions)}: decided, but not finished: {error}",
        hint="Open a sink in that directory, or call lean_worker.sinks.recover, to complete the commit.",
        path=str(actions[0].target),
        doing="committing",
        errno=getattr(error, "errno", None),
        is_decided=True,
    )


def is_pending(group: str, directory: Path) -> bool:
    """Whether `group` has a journal in `directory`: then its parts are still needed."""
    try:
        os.lstat(directory / journal_name(group))
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # it cannot be told: keep what may be needed
