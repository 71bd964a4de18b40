"""What a job has done: one SQLite database, and a folder of parts beside it.

Owns which items there are, what became of each, and the one moment in which an item counts as done: the transaction
that names its part. A part that no record names is litter, whoever left it; a record whose part is gone or has another
size is due again. Hides SQL. Callers run items, anywhere, and bring the parts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import SinkError, UsageError
from .sinks.parts import sink_error, storing, sync_directory

DUE, DONE, QUARANTINED = "due", "done", "quarantined"

_FORMAT = "1"
_BUSY_SECONDS = 60.0
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (
  key TEXT PRIMARY KEY,
  position INTEGER,
  request TEXT NOT NULL,
  command TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  script_digest TEXT NOT NULL,
  launch_digest TEXT NOT NULL,
  state TEXT NOT NULL,
  deaths INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  part TEXT,
  rows INTEGER,
  size_bytes INTEGER,
  digest TEXT,
  elapsed_us INTEGER,
  metadata TEXT,
  ended_at REAL
);
CREATE INDEX items_by_position ON items (position);
"""


@dataclasses.dataclass(frozen=True)
class NewItem:
    """An item as it is asked for: what determines its rows, and where they stand in the output.

    Attributes:
        key: Digest of all that determines its rows.
        position: Its place among the requests, from 0.
        request: JSON text of its request.
        command: The command's name.
        request_digest: SHA-256 of the request.
        script_digest: SHA-256 of the script that is hosted; empty if there is none.
        launch_digest: SHA-256 of the program that hosts it: toolchain, arguments, directory, environment.
    """

    key: str
    position: int
    request: str
    command: str
    request_digest: str
    script_digest: str
    launch_digest: str


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows of one item, in a file of their own, on the disk and not committed.

    Attributes:
        path: The file.
        rows: How many rows.
        size_bytes: Its size.
        digest: SHA-256 of its bytes.
        elapsed_us: How long the command ran in the worker, in microseconds.
        metadata: JSON text of the summary's metadata.
    """

    path: str
    rows: int
    size_bytes: int
    digest: str
    elapsed_us: int
    metadata: str


@dataclasses.dataclass(frozen=True)
class JobItem:
    """What is known of one item of a job.

    Attributes:
        position: Its place among the requests, from 0.
        request: JSON text of its request.
        state: "due", "done" or "quarantined".
        deaths: How many workers it has ended.
        reason: Why it is quarantined, or how its last run failed; None if it did not.
        rows: How many rows it has; None before it is done.
        digest: SHA-256 of its lines; None before it is done.
        elapsed_us: How long it ran in the worker, in microseconds; None before it is done.
        metadata: JSON text of its summary's metadata; None before it is done.
        command: Name of the command.
        request_digest: SHA-256 of the request.
        script_digest: SHA-256 of the script; empty if there is none.
        launch_digest: SHA-256 of what hosted it.
    """

    position: int
    request: str
    state: str
    deaths: int
    reason: str | None
    rows: int | None
    digest: str | None
    elapsed_us: int | None
    metadata: str | None
    command: str
    request_digest: str
    script_digest: str
    launch_digest: str


class Ledger:
    """A ledger, open. One thread uses it. Use it in a `with` block, or call `close`.

    Args:
        path: The database; made if it is not there and `for_work` is set.
        for_work: Whether items will be run: only one process at a time may, and what dead ones left is removed.

    Attributes:
        folder: Where the parts are.

    Raises:
        UsageError: It is not there, it is no ledger, or another process works on it.
        SinkError: It cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, for_work: bool) -> None:
        self.path = Path(os.path.realpath(path))
        self.folder = self.path.with_name(self.path.name + ".parts")
        self._lock = -1
        if not for_work and not self.path.is_file():
            raise UsageError(f"opening the ledger {self.path}: there is none", hint="A job makes it when it is run.")
        if for_work:
            self._refuse_what_is_none()
            self._take_lock()
        try:
            self._database = _connect(self.path)
            try:
                self._open(for_work)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._give_lock()
            raise

    def _refuse_what_is_none(self) -> None:
        """What is there and is no ledger is not touched, and no folder is made for it."""
        if self.path.exists():
            with contextlib.closing(_connect(self.path)) as database:
                if _format_of(database) not in ("", _FORMAT):
                    raise _no_ledger(self.path)

    def _take_lock(self) -> None:
        with storing("opening", self.path):
            self.folder.mkdir(exist_ok=True)
            self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._give_lock()
            raise UsageError(
                f"opening the ledger {self.path}: another process, or another job of this one, works on it",
                hint="Wait until it has ended.",
            ) from error

    def _give_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self, for_work: bool) -> None:
        found = _format_of(self._database)
        if found == "" and for_work:
            self._make_tables()
        elif found != _FORMAT:
            raise _no_ledger(self.path)
        if for_work:
            self._compare_with_folder()

    def _make_tables(self) -> None:
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(f"BEGIN; {_SCHEMA} INSERT INTO facts VALUES ('format', '{_FORMAT}'); COMMIT;")
        except sqlite3.Error as error:
            raise sink_error("opening", self.path, error) from error

    def _compare_with_folder(self) -> None:
        with storing("opening", self.folder), os.scandir(self.folder) as entries:
            sizes = {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
        named = set()
        with self.transaction():
            for key, part, size_bytes in self._database.execute(
                "SELECT key, part, size_bytes FROM items WHERE state = 'done'"
            ).fetchall():
                if sizes.get(part) == size_bytes:
                    named.add(part)
                else:
                    self._database.execute("UPDATE items SET state = 'due', part = NULL WHERE key = ?", (key,))
        for name in sizes.keys() - named - {".lock"}:
            with contextlib.suppress(OSError):
                os.unlink(self.folder / name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing.

        Raises:
            SinkError: The database refuses.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise sink_error("writing", self.path, error) from error

    # -- facts of the job --

    def fact(self, name: str) -> str | None:
        """What `keep` kept."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, name: str, value: str) -> None:
        """Keep a fact of the job by name."""
        with self.transaction():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # -- items --

    def ask_for(self, items: Iterable[NewItem]) -> None:
        """These are the job's items now. What is known of them stays; others are kept aside, in case they come back."""
        with self.transaction():
            self._database.execute("UPDATE items SET position = NULL")
            self._database.executemany(
                "INSERT INTO items"
                " (key, position, request, command, request_digest, script_digest, launch_digest, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'due') ON CONFLICT (key) DO UPDATE SET position = excluded.position",
                (dataclasses.astuple(item) for item in items),
            )

    def requests(self) -> list[str]:
        """JSON texts of the requests that were asked for last, in order."""
        found = self._database.execute("SELECT request FROM items WHERE position IS NOT NULL ORDER BY position")
        return [request for (request,) in found]

    def due(self) -> list[tuple[str, str]]:
        """Key and request of each item that is to be run, in order."""
        found = self._database.execute(
            "SELECT key, request FROM items WHERE position IS NOT NULL AND state = 'due' ORDER BY position"
        )
        return found.fetchall()

    def commit(self, key: str, part: Part) -> bool:
        """An item is done, and `part` has its rows. False: it was done before; the part is removed.

        A part from elsewhere is brought into the folder first. After this the part is the ledger's own.

        Raises:
            SinkError: The part is not there or has another size, or it cannot be recorded.
        """
        name = Path(part.path).name
        home = self.folder / name
        with storing("committing", home):
            if Path(part.path).parent.resolve() != self.folder.resolve():
                shutil.move(part.path, home)
                _sync_file(home)
                sync_directory(self.folder)
            found_bytes = home.stat().st_size
        if found_bytes != part.size_bytes:
            raise SinkError(
                f"committing {home}: expected {part.size_bytes} bytes, found {found_bytes}",
                path=str(home),
                doing="committing",
                errno=None,
                is_decided=False,
            )
        with self.transaction():
            changed = self._database.execute(
                "UPDATE items SET state = 'done', part = ?, rows = ?, size_bytes = ?, digest = ?, elapsed_us = ?,"
                " metadata = ?, reason = NULL, ended_at = ? WHERE key = ? AND state != 'done'",
                (name, part.rows, part.size_bytes, part.digest, part.elapsed_us, part.metadata, time.time(), key),
            ).rowcount
        if not changed:
            home.unlink(missing_ok=True)
        return bool(changed)

    def fail(self, key: str, reason: str, *, is_death: bool, max_deaths: int) -> bool:
        """An item has failed; says whether it is quarantined for it: at once, or as its `max_deaths`-th death."""
        with self.transaction():
            self._database.execute(
                "UPDATE items SET deaths = deaths + ?, reason = ?, ended_at = ? WHERE key = ? AND state = 'due'",
                (is_death, reason, time.time(), key),
            )
            changed = self._database.execute(
                "UPDATE items SET state = 'quarantined' WHERE key = ? AND state = 'due' AND (deaths >= ? OR NOT ?)",
                (key, max_deaths, is_death),
            ).rowcount
        return bool(changed)

    def retry(self, positions: Iterable[int] | None) -> int:
        """Make quarantined items due again, as if they had never failed: those at `positions`, or all."""
        with self.transaction():
            if positions is None:
                chosen = self._database.execute("SELECT position FROM items WHERE position IS NOT NULL").fetchall()
            else:
                chosen = [(position,) for position in positions]
            return sum(
                self._database.execute(
                    "UPDATE items SET state = 'due', deaths = 0 WHERE position = ? AND state = 'quarantined'", one
                ).rowcount
                for one in chosen
            )

    def redo(self, key: str, reason: str) -> None:
        """The part of a done item is not what it was: it is due again."""
        with self.transaction():
            self._database.execute("UPDATE items SET state = 'due', reason = ? WHERE key = ?", (reason, key))

    def items(self) -> list[JobItem]:
        """All items that were asked for last, in order."""
        names = ", ".join(field.name for field in dataclasses.fields(JobItem))
        found = self._database.execute(f"SELECT {names} FROM items WHERE position IS NOT NULL ORDER BY position")
        return [JobItem(*row) for row in found]

    def parts(self) -> list[tuple[str, Path, str]]:
        """Key, part and digest of each done item, in order."""
        found = self._database.execute(
            "SELECT key, part, digest FROM items WHERE position IS NOT NULL AND state = 'done' ORDER BY position"
        )
        return [(key, self.folder / part, digest) for key, part, digest in found]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Items and rows of each state."""
        found = self._database.execute(
            "SELECT state, count(*), coalesce(sum(rows), 0) FROM items WHERE position IS NOT NULL GROUP BY state"
        )
        return {state: (items, rows) for state, items, rows in found}

    def close(self) -> None:
        """Give the database and the lock back; legal twice."""
        self._database.close()
        self._give_lock()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        database.execute("PRAGMA synchronous = FULL")
        return database
    except sqlite3.Error as error:
        raise sink_error("opening", path, error) from error


def _format_of(database: sqlite3.Connection) -> str | None:
    """The format of a ledger; "" for a database with nothing in it, None for one of somebody else."""
    (path,) = [row[2] for row in database.execute("PRAGMA database_list")][:1]
    try:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not names:
            return ""
        if not {"facts", "items"} <= names:
            return None
        found = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    except sqlite3.Error as error:
        raise sink_error("opening", Path(path), error) from error
    return None if found is None else str(found[0])


def _no_ledger(path: Path) -> UsageError:
    return UsageError(
        f"opening the ledger {path}: it is a database, but no ledger of this release",
        hint="Give another path, or use the release that made it.",
        path=str(path),
    )
