"""The record of what a job has done: one SQLite database, and a folder of parts beside it.

Owns which items there are, what became of each, and the one moment in which an item counts as done: the transaction
that names its part. A part that no record names is removed; a record whose part is gone or has another size is due
again. A ledger that somebody else could have written is refused (`ledger_checks`). Hides SQL. Callers run items,
anywhere, and bring the parts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..base.forks import Descriptor, Owner, keep_for_ever
from ..base.process_lock import is_named, remove_if_dead
from ..base.trusted_files import path_of, why_untrusted_directory
from ..errors import UsageError
from ..hosting.sandbox import is_granted
from ..sinks.parts import PART_NAME, Directory, refusal, sink_error, storing
from .ledger_checks import (
    FORMAT,
    PROBE_NAME,
    STORED_NAME,
    TOTAL,
    format_of,
    no_ledger,
    refuse_damage,
    refuse_untrusted,
    untrusted,
)
from .ledger_watch import Watch

DUE, DONE, QUARANTINED = "due", "done", "quarantined"

_BUSY_SECONDS = 60.0
_LOCK_NAME = ".lock"
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
    """The record of one item of a job.

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
        RecoveryError: It is damaged; or, `for_work`, somebody else could have written it, or its folder.
        SinkError: It cannot be opened.

    In a forked child it is closed: nothing that is called there reaches the database.
    """

    def __init__(self, path: str | os.PathLike[str], *, for_work: bool) -> None:
        self._owner = Owner()
        self._lock: Descriptor | None = None
        self._file: os.stat_result | None = None
        self._watch: Watch | None = None
        self._is_lost = False
        given = path_of("opening a ledger", path)
        with storing("opening", given):
            self.path = Path(os.path.realpath(given))
            self.folder = self.path.with_name(self.path.name + ".parts")
            if not for_work and not self.path.is_file():
                raise UsageError(
                    f"opening the ledger {self.path}: there is none", hint="A job makes it when it is run."
                )
            if for_work:
                self._refuse_what_is_none()
                self._take_lock()
            try:
                self._database = _connect(self.path)
                try:
                    self._open(for_work)
                    self._file = self.path.stat()
                    # Checkpoints are left to whoever runs the job, who looks out for those of strangers.
                    self._database.execute("PRAGMA wal_autocheckpoint = 0")
                    self._watch = Watch(self._database, self.path) if for_work else None
                except BaseException:
                    self._close_database()
                    raise
            except BaseException:
                self._give_lock()
                raise

    def _refuse_what_is_none(self) -> None:
        """Refuse what is no ledger: it is not touched, and no folder is made for it."""
        if is_granted(str(self.path.parent)):
            raise untrusted(self.path, "sandboxed code may write into its directory")
        refuse_untrusted(self.path)
        if self.path.exists():
            with contextlib.closing(_connect(self.path)) as database:
                if format_of(database, self.path) not in ("", FORMAT):
                    raise no_ledger(self.path)

    def _take_lock(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o755)
        found = os.lstat(self.folder)
        why = why_untrusted_directory(found)
        if why is not None:
            raise untrusted(self.folder, why)
        with Directory(self.folder) as folder:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._lock = Descriptor(os.open, _LOCK_NAME, flags, 0o600, dir_fd=folder.fd)
        try:
            fcntl.flock(self._lock.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._give_lock()
            raise UsageError(
                f"opening the ledger {self.path}: another process, or another job of this one, works on it",
                hint="Wait until it has ended.",
            ) from error
        except BaseException:
            self._give_lock()
            raise

    def _give_lock(self) -> None:
        if self._lock is not None:
            if self._owner.is_here:
                self._lock.unlock()
            self._lock.close()

    def _close_database(self) -> None:
        if not self._owner.is_here:
            keep_for_ever(self._database)
        elif self._watch is not None and self._is_lost:
            self._watch.close()
        else:
            self._database.close()

    def _open(self, for_work: bool) -> None:
        found = format_of(self._database, self.path)
        if found == "" and for_work:
            self._make_tables()
        elif found != FORMAT:
            raise no_ledger(self.path)
        refuse_damage(self._database, self.path, self.folder)
        if for_work:
            self._compare_with_folder()

    def _make_tables(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(f"BEGIN; {_SCHEMA} INSERT INTO facts VALUES ('format', '{FORMAT}'); COMMIT;")

    def _compare_with_folder(self) -> None:
        with Directory(self.folder) as folder:
            found = {name: folder.look(name) for name in os.listdir(folder.fd)}
        sizes = {name: one.st_size for name, one in found.items() if one is not None and stat.S_ISREG(one.st_mode)}
        named = set()
        with self.transaction():
            for key, part, size_bytes in self._database.execute(
                "SELECT key, part, size_bytes FROM items WHERE state = 'done'"
            ).fetchall():
                if part in sizes and sizes[part] == size_bytes:
                    named.add(part)
                else:
                    self._database.execute("UPDATE items SET state = 'due', part = NULL WHERE key = ?", (key,))
        self._remove_litter(sizes.keys() - named)

    def _remove_litter(self, names: Iterable[str]) -> None:
        """Parts that no record names. Anything else there is not of our making."""
        with Directory(self.folder) as folder:
            for name in names:
                if PART_NAME.fullmatch(name):
                    remove_if_dead(name, folder.fd)
                elif STORED_NAME.fullmatch(name) or PROBE_NAME.fullmatch(name):
                    with contextlib.suppress(OSError):
                        folder.unlink(name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing.

        Raises:
            UsageError: This is a forked child of the process that opened it.
            SinkError: The database refuses, or its file was removed, replaced or overwritten.
        """
        with self._asking("writing"):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self.check_in_place()
                yield
                self.check_in_place()
                self._database.execute("COMMIT")
            except BaseException:
                if self._owner.is_here and self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._note_content()

    def _note_content(self) -> None:
        if self._watch is not None:
            self._watch.note()

    def _refuse_lost(self) -> None:
        why = None if self._watch is None else self._watch.why_lost()
        if why is None or self._watch is None:
            return
        self._is_lost = True
        aside = self._watch.set_aside()
        kept = "" if aside is None else f"; its last records are in {aside.name}"
        hint = "Find out which program writes there; take the ledger from a copy, or run the job anew without it."
        raise refusal("writing", self.path, f"{why} meanwhile by another program{kept}", hint)

    def check_in_place(self) -> None:
        """Notice that somebody removed, replaced or overwrote the database, or the lock: nobody reads what comes then.

        Raises:
            SinkError: Somebody did.
        """
        with storing("writing", self.path):
            try:
                is_there = self._file is None or os.path.samestat(self._file, os.stat(self.path))
                is_locked = self._lock is None or is_named(self._lock.fd, self.folder / _LOCK_NAME)
            except (FileNotFoundError, NotADirectoryError):
                is_there = is_locked = False
        if not is_there or not is_locked:
            what = "it" if not is_there else f"its folder {self.folder}"
            hint = "Find out which program removes or moves files there, and run the job again."
            raise refusal("writing", self.path, f"{what} was removed or replaced meanwhile", hint)
        with storing("writing", self.path):
            self._refuse_lost()

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        if not self._owner.is_here:
            raise UsageError(
                f"{doing} the ledger {self.path}: it belongs to the process that this one was forked from",
                hint="Open it again in this process.",
            )
        with storing(doing, self.path):
            yield

    def _select(self, sql: str, *values: Any) -> list[Any]:
        with self._asking("reading"):
            return self._database.execute(sql, values).fetchall()

    # -- facts of the job --

    def fact(self, name: str) -> str | None:
        """Return what `keep` kept."""
        found = self._select("SELECT value FROM facts WHERE name = ?", name)
        return str(found[0][0]) if found else None

    def keep(self, name: str, value: str) -> None:
        """Keep a fact of the job by name."""
        with self.transaction():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # -- items --

    def ask_for(self, items: Iterable[NewItem]) -> None:
        """These are the job's items now. What is known of them stays; others are kept aside, in case they come back.

        Raises:
            SinkError: The database refuses, or has not as many afterwards.
        """
        items = list(items)
        with self.transaction():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (TOTAL, str(len(items))))
            self._database.execute("UPDATE items SET position = NULL")
            self._database.executemany(
                "INSERT INTO items"
                " (key, position, request, command, request_digest, script_digest, launch_digest, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'due') ON CONFLICT (key) DO UPDATE SET position = excluded.position",
                (dataclasses.astuple(item) for item in items),
            )
            (stored,) = self._database.execute("SELECT count(*) FROM items WHERE position IS NOT NULL").fetchone()
            if stored != len(items):
                why = f"{len(items)} items were asked for and {stored} stored"
                raise refusal("writing", self.path, why, "Remove what was added to the ledger, such as triggers.")

    def requests(self) -> list[str]:
        """JSON texts of the requests that were asked for last, in order."""
        found = self._select("SELECT request FROM items WHERE position IS NOT NULL ORDER BY position")
        return [request for (request,) in found]

    def due(self) -> list[tuple[str, str]]:
        """Key and request of each item that is to be run, in order."""
        return self._select(
            "SELECT key, request FROM items WHERE position IS NOT NULL AND state = 'due' ORDER BY position"
        )

    def commit(self, key: str, part: Part) -> bool:
        """An item is done, and `part` has its rows. False: it was done before; the part is removed.

        A part from elsewhere is brought into the folder first. After this the part is the ledger's own.

        Raises:
            SinkError: The part is not there, has another size or is no part; there is no such item; or it cannot be
                recorded.
        """
        name = Path(part.path).name
        home = self.folder / name
        if not STORED_NAME.fullmatch(name):
            raise refusal("committing", home, "that is no name of a part", "Use what `run_item` made.")
        with storing("committing", home), Directory(self.folder) as folder:
            if Path(part.path).parent.resolve() != self.folder.resolve():
                shutil.move(part.path, home)
                _sync_file(home)
                folder.sync()
            found = folder.look(name)
        if found is None:
            raise sink_error("committing", home, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if not stat.S_ISREG(found.st_mode) or found.st_size != part.size_bytes:
            why = f"expected a file of {part.size_bytes} bytes, found {found.st_size} bytes"
            raise refusal("committing", home, why, "Find out which program changes files there, and run the job again.")
        with self.transaction():
            changed = self._database.execute(
                "UPDATE items SET state = 'done', part = ?, rows = ?, size_bytes = ?, digest = ?, elapsed_us = ?,"
                " metadata = ?, reason = NULL, ended_at = ? WHERE key = ? AND state != 'done'",
                (name, part.rows, part.size_bytes, part.digest, part.elapsed_us, part.metadata, time.time(), key),
            ).rowcount
            there = self._database.execute("SELECT state, part FROM items WHERE key = ?", (key,)).fetchone()
            if there is None or there[0] != DONE or (changed and there[1] != name):
                why = f"the item {key!r} is not there" if there is None else f"the item {key!r} did not become done"
                raise refusal("committing", self.path, why, "Remove what was added to the ledger, such as triggers.")
        if not changed and there[1] != name:
            with storing("committing", home):
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

    def retry(self, positions: Collection[int] | None) -> int:
        """Make quarantined items due again, as if they had never failed: those at `positions`, or all.

        Raises:
            UsageError: There is no item at one of the positions; then nothing is changed.
        """
        with self.transaction():
            ((count,),) = self._database.execute("SELECT count(*) FROM items WHERE position IS NOT NULL")
            unknown = [position for position in positions or () if not 0 <= position < count]
            if unknown:
                raise UsageError(
                    f"retrying items of {self.path}: there is no item {', '.join(map(str, unknown))}; "
                    + (f"items have the numbers 0 to {count - 1}" if count else "the job has no items"),
                    hint="Job.items() has the numbers.",
                )
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
        found = self._select(f"SELECT {names} FROM items WHERE position IS NOT NULL ORDER BY position")
        return [JobItem(*row) for row in found]

    def parts(self) -> list[tuple[str, Path, str]]:
        """Key, part and digest of each done item, in order."""
        return [(key, path, digest) for key, path, digest, _ in self.done()]

    def done(self) -> list[tuple[str, Path, str, int]]:
        """Key, part, digest and number of rows of each done item, in order."""
        found = self._select(
            "SELECT key, part, digest, rows FROM items WHERE position IS NOT NULL AND state = 'done' ORDER BY position"
        )
        return [(key, self.folder / part, digest, rows) for key, part, digest, rows in found]

    def close(self) -> None:
        """Give the database and the lock back; legal twice."""
        self._close_database()
        self._give_lock()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _sync_file(path: Path) -> None:
    with Descriptor(os.open, path, os.O_RDONLY | os.O_CLOEXEC) as file:
        os.fsync(file.fd)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")
        except BaseException:
            database.close()
            raise
        return database
    except sqlite3.Error as error:
        raise sink_error("opening", path, error) from error
