"""Several parts become visible together, or none does.

Owns the order of steps that makes it so. One file is one rename, one database is one transaction; both are atomic by
themselves. More than one thing is decided by a journal, itself a file that gets its name by a rename:

    parts synced -> a pointer in each further directory -> JOURNAL GETS ITS NAME -> transactions, renames -> it goes

A process that dies before the journal has its name has changed nothing; its parts are removed. One that dies after it
has decided: `recover`, which every opening of a sink calls for its directory, does the rest. Each action can be
repeated. Callers decide what belongs together.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..errors import SinkError
from ..lifelock import lock_of_dead, remove_if_dead
from .parts import (
    PART_NAME,
    PartFile,
    locked_directories,
    sink_error,
    storing,
    sync_directory,
)

_JOURNAL_NAME = re.compile(r"^\.lw(?P<group>[0-9a-f]{16})\.commit$")
_DONE_TABLE = "_lean_worker_commits"
_BUSY_SECONDS = 60.0


class Rename(msgspec.Struct, frozen=True, tag="rename"):
    """`part` gets the name `target`.

    Attributes:
        seen: Device, inode, size and time of change of the file that the part goes on from; None: any is replaced.
    """

    part: str
    target: str
    seen: tuple[int, int, int, int] | None = None


class Table(msgspec.Struct, frozen=True):
    """The table of that name in the database `part`; `replace` says what becomes of rows that are there."""

    part: str
    name: str
    replace: bool


class Merge(msgspec.Struct, frozen=True, tag="merge"):
    """Tables are copied into the database `target` in one transaction."""

    target: str
    tables: list[Table]


Action = Rename | Merge


class _Journal(msgspec.Struct, frozen=True):
    """Either the actions that were decided, and where pointers to them lie; or a pointer."""

    actions: list[Action] = []
    pointers: list[str] = []
    elsewhere: str | None = None


# -- commit --


def commit(group: str, actions: Sequence[Action]) -> None:
    """Make all parts visible. Their bytes are on the disk already.

    Raises:
        SinkError: It could not be done. Nothing is visible, unless `is_decided`; then `recover` does the rest.
    """
    ordered = _ordered(actions)
    if not ordered:
        return
    directories = [Path(action.target).parent for action in ordered]
    with storing("committing", Path(ordered[0].target)), locked_directories(directories):
        for action in ordered:
            if isinstance(action, Rename):
                _check_unchanged(action)
        if len(ordered) == 1:
            _commit_one(ordered[0])
        else:
            _commit_by_journal(group, ordered, sorted(set(directories)))


def _commit_one(action: Action) -> None:
    try:
        _perform(action, None)
    except OSError as error:
        # Renamed, and then the directory could not be synced: it is visible, and may not outlive the machine.
        if isinstance(action, Rename) and not os.path.exists(action.part):
            raise _half_way([action], error) from error
        raise


def _ordered(actions: Sequence[Action]) -> list[Action]:
    """Databases first: a transaction can be refused, a rename beside its target hardly. One transaction a database."""
    tables: dict[str, list[Table]] = {}
    for action in actions:
        if isinstance(action, Merge):
            tables.setdefault(action.target, []).extend(action.tables)
    return [
        *(Merge(target, found) for target, found in tables.items()),
        *(action for action in actions if isinstance(action, Rename)),
    ]


def seen(path: Path) -> tuple[int, int, int, int] | None:
    """What tells one content of a file from another; None if it is not there."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _check_unchanged(action: Rename) -> None:
    if action.seen is not None and action.seen != (seen(Path(action.target)) or (0, 0, 0, 0)):
        raise SinkError(
            f"committing {action.target}: somebody else changed it since its rows were read; nothing was written",
            hint="Let one process at a time append to a file, or run the request again.",
            path=action.target,
            doing="committing",
            errno=None,
            is_decided=False,
        )


def _commit_by_journal(group: str, actions: list[Action], directories: list[Path]) -> None:
    for directory in directories:
        sync_directory(directory)  # the parts have to be there when the journal is
    home, others = directories[0], directories[1:]
    pointers = [str(directory / f".lw{group}.commit") for directory in others]
    path = home / f".lw{group}.commit"
    with contextlib.ExitStack() as stack:
        try:
            for pointer in pointers:
                _write_journal(stack, Path(pointer), group, _Journal(elsewhere=str(path)))
            _write_journal(stack, path, group, _Journal(actions, pointers))
            for action in actions:
                _perform(action, group)
        except BaseException as error:
            if not (path.exists() and _is_performed(actions[0], group)):
                _call_off(path, pointers)
                raise
            if not isinstance(error, Exception):
                raise
            raise _half_way(actions, error) from error
        _end(path, _Journal(actions, pointers), group)


def _call_off(path: Path, pointers: Sequence[str]) -> None:
    """Nothing is visible yet: the first action is all or nothing, and it was not done."""
    for journal in (path, *map(Path, pointers)):
        journal.unlink(missing_ok=True)
    sync_directory(path.parent)


def _half_way(actions: list[Action], error: Exception) -> SinkError:
    return SinkError(
        f"committing {', '.join(action.target for action in actions)}: decided, but not finished: {error}",
        hint="It is finished when the next sink is opened in that directory, or by lean_worker.sinks.recover.",
        path=actions[0].target,
        doing="committing",
        errno=getattr(error, "errno", None),
        is_decided=True,
    )


def is_pending(group: str, directory: Path) -> bool:
    """Whether `group` has a journal in `directory`: then its parts are still needed."""
    return (directory / f".lw{group}.commit").exists()


def _write_journal(stack: contextlib.ExitStack, path: Path, group: str, journal: _Journal) -> None:
    part = PartFile(path, group, 0)
    stack.callback(part.discard)  # its lock is held until all is done
    os.write(part.fd, msgspec.json.encode(journal))
    part.sync()
    os.rename(part.path, path)
    sync_directory(path.parent)


# -- actions, each of which can be repeated --


def _perform(action: Action, group: str | None) -> None:
    if isinstance(action, Merge):
        _merge(action, group)
        return
    if os.path.exists(action.part):
        os.replace(action.part, action.target)
    elif not os.path.isdir(os.path.dirname(action.target)):
        return  # a crash, and then somebody has removed the directory
    sync_directory(Path(action.target).parent)


def _is_performed(action: Action, group: str) -> bool:
    """Whether it was done; True also if that cannot be told, so that nothing is called off that may be visible."""
    if isinstance(action, Rename):
        return not os.path.exists(action.part)
    try:
        with contextlib.closing(sqlite3.connect(action.target, timeout=_BUSY_SECONDS)) as database:
            found = database.execute(f"SELECT 1 FROM {_DONE_TABLE} WHERE id = ?", (group,)).fetchone()
            return found is not None
    except sqlite3.Error as error:
        return "no such table" not in str(error)


def quoted(name: str) -> str:
    """`name` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _merge(action: Merge, group: str | None) -> None:
    try:
        with contextlib.closing(
            sqlite3.connect(action.target, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            _merge_into(database, action, group)
    except sqlite3.Error as error:
        raise sink_error("committing", Path(action.target), error) from error


def _merge_into(database: sqlite3.Connection, action: Merge, group: str | None) -> None:
    parts = {table.part: f"part{number}" for number, table in enumerate(action.tables)}
    for part, alias in parts.items():
        if os.path.exists(part):
            database.execute(f"ATTACH ? AS {alias}", (part,))
    database.execute("BEGIN IMMEDIATE")
    try:
        if group is not None:
            database.execute(f"CREATE TABLE IF NOT EXISTS {_DONE_TABLE} (id TEXT PRIMARY KEY)")
            if database.execute(f"SELECT 1 FROM {_DONE_TABLE} WHERE id = ?", (group,)).fetchone():
                database.execute("ROLLBACK")
                return
            database.execute(f"INSERT INTO {_DONE_TABLE} VALUES (?)", (group,))
        for table in action.tables:
            _merge_table(database, table, parts[table.part])
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _merge_table(database: sqlite3.Connection, table: Table, part: str) -> None:
    name = quoted(table.name)

    def columns(schema: str) -> list[str]:
        return [row[1] for row in database.execute(f"PRAGMA {schema}.table_info({name})")]

    wanted = columns(part)
    there = columns("main")
    if there and table.replace:
        if there == wanted:
            database.execute(f"DELETE FROM main.{name}")  # its indexes stay
        else:
            database.execute(f"DROP TABLE main.{name}")
            there = []
    if not there:
        (definition,) = database.execute(
            f"SELECT sql FROM {part}.sqlite_master WHERE type = 'table' AND name = ?", (table.name,)
        ).fetchone()
        database.execute(definition)
    listed = ", ".join(map(quoted, wanted))
    database.execute(f"INSERT INTO main.{name} ({listed}) SELECT {listed} FROM {part}.{name} ORDER BY rowid")


def _end(path: Path, journal: _Journal, group: str) -> None:
    """All is done. The journal goes first: without it nothing is done again, and the rest is only litter."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
    for pointer in journal.pointers:
        Path(pointer).unlink(missing_ok=True)
    for action in journal.actions:
        if isinstance(action, Merge):
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(action.target, timeout=_BUSY_SECONDS)) as database,
                database,
            ):
                database.execute(f"DELETE FROM {_DONE_TABLE} WHERE id = ?", (group,))


# -- after a crash --


def recover(directory: str | os.PathLike[str]) -> None:
    """Finish the commits that dead processes had decided in `directory`, and remove what else they left there.

    Every sink does this for its own directory when it is opened. What belongs to living processes is not touched.

    Raises:
        SinkError: The directory cannot be read, or a decided commit cannot be finished; it stays decided.
    """
    home = Path(os.path.realpath(directory))
    kept: set[str] = set()
    with storing("opening", home):
        names = os.listdir(home)
        for name in names:
            match = _JOURNAL_NAME.match(name)
            if match is not None and not _finish(home / name, match["group"]):
                kept.add(match["group"])
        for name in names:
            match = PART_NAME.search(name)
            if match is not None and match["group"] not in kept:
                remove_if_dead(home / name)


def _finish(path: Path, group: str) -> bool:
    """Finish what the journal `path` says; False: that is another's to do, or cannot be told now."""
    fd = lock_of_dead(path)
    if fd is None:
        return not path.exists()
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=_Journal)
        if journal.elsewhere is not None:
            primary = Path(journal.elsewhere)
            if not primary.parent.is_dir() or (primary.exists() and not _finish(primary, group)):
                return False
        try:
            for action in journal.actions:
                _perform(action, group)
        except (OSError, SinkError):
            if _is_performed(journal.actions[0], group):
                raise
            # What cannot be begun must not stand in the way of every later sink; nobody was told that it is done.
            _call_off(path, journal.pointers)
            return True
        _end(path, journal, group)
        return True
    finally:
        os.close(fd)
