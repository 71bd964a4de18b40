"""The record of what a job has done: one SQLite database, and a folder of parts beside it.

Owns which items there are, what became of each, and the one moment in which an item counts as done: the transaction
that names the place of its rows. A part that no record names is removed; a record whose rows are gone is due again
(`ledger_places`). A ledger that somebody else could have written is refused (`ledger_checks`). Hides SQL. Callers run
items, anywhere, and bring the parts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..base.forks import Descriptor, Owner, keep_for_ever
from ..base.process_lock import is_named
from ..base.trusted_files import path_of, why_untrusted_directory
from ..errors import UsageError
from ..hosting.sandbox import is_granted
from ..sinks.parts import Directory, refusal, sink_error, storing
from .ledger_asking import Asking
from .ledger_checks import (
    FORMAT,
    FORMATS,
    STORED_NAME,
    TOTAL,
    empty,
    format_of,
    no_ledger,
    refuse_damage,
    refuse_untrusted,
    unreadable,
    untrusted,
)
from .ledger_items import DONE as DONE
from .ledger_items import DUE as DUE
from .ledger_items import ITEM_COLUMNS, LateItem, NewItem
from .ledger_items import QUARANTINED as QUARANTINED
from .ledger_items import JobItem as JobItem
from .ledger_items import Part as Part
from .ledger_places import Places
from .ledger_watch import Watch
from .packs import OpenPack

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
_PLACES_INDEX = "CREATE INDEX IF NOT EXISTS items_by_part ON items (part) WHERE state = 'done'"
_CACHE_KIB = 16 << 10
_READ_AT_ONCE = 1000
_ADDED_AT_ONCE = 1000
_ADDED_BYTES = 1 << 22
_ADDED_SECONDS = 0.1
_DONE = (
    "UPDATE items SET state = 'done', part = ?, rows = ?, size_bytes = ?, digest = ?, elapsed_us = ?,"
    " metadata = ?, reason = NULL, ended_at = ? WHERE key = ? AND state != 'done'"
)


class Ledger:
    """A ledger, open. One thread uses it. Use it in a `with` block, or call `close`.

    Args:
        path: The database; made if it is not there and `for_work` is set.
        for_work: Whether items will be run: only one process at a time may, and what dead ones left is removed.
        facts: What it keeps from the first on, if it is made; as of `keep`.

    Attributes:
        folder: Where the parts are.

    Raises:
        UsageError: It is not there, it is no ledger, or another process works on it.
        RecoveryError: It is damaged; or, `for_work`, somebody else could have written it, or its folder.
        SinkError: It cannot be opened.

    In a forked child it is closed: nothing that is called there reaches the database.
    """

    def __init__(self, path: str | os.PathLike[str], *, for_work: bool, facts: Mapping[str, str] | None = None) -> None:
        self._owner = Owner()
        self._lock: Descriptor | None = None
        self._added: list[tuple[str, Part, bytes]] = []
        self._added_bytes = 0
        self._flushed_at = 0.0
        self._file: os.stat_result | None = None
        self._watch: Watch | None = None
        self._is_lost = False
        given = path_of("opening a ledger", path)
        with storing("opening", given):
            self.path = Path(os.path.realpath(given))
            self.folder = self.path.with_name(self.path.name + ".parts")
            self._pack = OpenPack(self.folder)
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
                    self._open(for_work, facts or {})
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
                if format_of(database, self.path) not in ("", *FORMATS):
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

    def _open(self, for_work: bool, facts: Mapping[str, str]) -> None:
        found = format_of(self._database, self.path)
        if found == "" and for_work:
            self._make_tables(facts)
        elif found == "":
            raise empty(self.path)
        elif found not in FORMATS:
            raise no_ledger(self.path)
        self._places = Places(self._database, self.folder)
        refuse_damage(self._database, self.path, self.folder)
        if for_work:
            if found != FORMAT:
                self._take_to_this_format()
            self._settle()

    def _settle(self) -> None:
        """Let rows be in an output that was announced and has appeared, and remove what no item names then."""
        steps = self._places.settling()
        more = self._places.is_announced()
        while more:
            with self.transaction():
                more = next(steps, False)
        with self.transaction():
            litter = self._places.compare()
        self._places.remove(litter)

    def _make_tables(self, facts: Mapping[str, str]) -> None:
        """In one transaction: whoever is killed meanwhile leaves an empty database."""
        self._database.execute("PRAGMA journal_mode = WAL")
        all_facts = itertools.chain([("format", FORMAT)], facts.items())
        self._database.executescript(f"BEGIN; {_SCHEMA} {_PLACES_INDEX};")
        try:
            self._database.executemany("INSERT INTO facts VALUES (?, ?)", all_facts)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _take_to_this_format(self) -> None:
        """A first-format ledger has each item's rows in a file of their own, which this format has, too."""
        with self.transaction():
            self._database.execute(_PLACES_INDEX)
            self._database.execute("INSERT OR REPLACE INTO facts VALUES ('format', ?)", (FORMAT,))

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

    def check_in_place(self) -> None:
        """Notice that somebody removed, replaced or overwrote the database, or the lock: nobody reads what comes then.

        Raises:
            SinkError: Somebody did.
        """
        self._refuse_moved()
        if self._watch is None:
            return
        with storing("writing", self.path):
            try:
                why = self._watch.why_lost()
            except FileNotFoundError:
                self._refuse_moved()
                raise
        if why is not None:
            self._refuse_moved()  # since the look above
            self._refuse_lost(why)

    def _refuse_moved(self) -> None:
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

    def _refuse_lost(self, why: str) -> None:
        assert self._watch is not None
        self._is_lost = True
        aside = self._watch.set_aside()
        kept = "" if aside is None else f"; its last records are in {aside.name}"
        hint = "Find out which program writes there; take the ledger from a copy, or run the job anew without it."
        raise refusal("writing", self.path, f"{why} meanwhile by another program{kept}", hint)

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

    def has_requests(self) -> bool:
        """Whether requests were ever stored, were they none; not if the first run was interrupted before."""
        return self.fact(TOTAL) is not None or self.count() > 0

    def ask_for(self, items: Iterable[NewItem | LateItem]) -> int:
        """These are the job's items now. What is known of them stays; others are kept aside, in case they come back.

        Only differences to the items of the last run are written. Returns the number of items.

        Raises:
            SinkError: The database refuses, or has not as many afterwards.
        """
        asking = Asking(self._database, self.path)
        iterator = iter(items)
        try:
            while True:
                # Outside: what a caller's iterator raises is no failure of the database.
                chunk = list(itertools.islice(iterator, _READ_AT_ONCE))
                with self._asking("writing"):
                    if not chunk:
                        self.check_in_place()
                        count = asking.finish()
                        self._note_content()
                        return count
                    asking.take(chunk)
        except BaseException:
            if self._owner.is_here and self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def requests(self) -> Iterator[str]:
        """JSON texts of the requests that were asked for last, in order; also while others are asked for."""
        with self._asking("reading"), contextlib.closing(_connect(self.path)) as before:
            before.execute("BEGIN")
            for (request,) in before.execute("SELECT request FROM items WHERE position >= 0 ORDER BY position"):
                yield request

    def count(self, state: str | None = None) -> int:
        """The number of items that were asked for last, in one state or in any."""
        condition = "" if state is None else " AND state = ?"
        values = () if state is None else (state,)
        found = self._select(f"SELECT count(*) FROM items WHERE position IS NOT NULL{condition}", *values)
        return int(found[0][0])

    def rows(self) -> int:
        """The number of rows of all done items."""
        found = self._select("SELECT sum(rows) FROM items WHERE position IS NOT NULL AND state = 'done'")
        return int(found[0][0] or 0)

    def due(self) -> Iterator[tuple[str, str]]:
        """Key and request of each item that is to be run, in order; each once, also if it fails meanwhile."""
        with self._asking("reading"):
            found = self._by_position("key, request", "state = 'due'")
        return ((key, request) for _, key, request in found)

    def _by_position(self, columns: str, condition: str) -> Iterator[Any]:
        """Rows of position and columns, in order, a bounded number of them in memory."""
        last = -1
        sql = f"SELECT position, {columns} FROM items WHERE position > ? AND {condition} ORDER BY position LIMIT ?"
        while found := self._select(sql, last, _READ_AT_ONCE):
            last = found[-1][0]
            yield from found

    # -- what became of them --

    def add(self, key: str, part: Part) -> None:
        """An item is done: at once if its part is a file, at the next `flush` if its rows are in memory.

        Items that end quickly one after the other are flushed together: here, with the first that ends a tenth of a
        second after the last flush. When no item ends for as long, the caller calls `flush`.

        Raises:
            SinkError: As `commit`.
        """
        content = part.content
        if content is None:
            self.commit(key, part)
            return
        self._added.append((key, part, content))
        self._added_bytes += len(content)
        is_large = len(self._added) >= _ADDED_AT_ONCE or self._added_bytes >= _ADDED_BYTES
        if is_large or time.monotonic() - self._flushed_at >= _ADDED_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Sync the rows of all added items to the disk, and then record in one transaction that they are done.

        Raises:
            SinkError: They cannot be stored; none of these items is done.
        """
        added, self._added, self._added_bytes = self._added, [], 0
        if not added:
            return
        with self._asking("writing"):
            places = self._pack.add([content for _, _, content in added])
        now = time.time()
        with self.transaction():
            self._database.executemany(
                _DONE,
                (
                    (place, part.rows, part.size_bytes, part.digest, part.elapsed_us, part.metadata, now, key)
                    for place, (key, part, _) in zip(places, added, strict=True)
                ),
            )
            (stored,) = self._database.execute(
                "SELECT count(*) FROM items WHERE state = 'done' AND part BETWEEN ? AND ?", (places[0], places[-1])
            ).fetchone()
            if stored != len(added):
                for place, (key, _, _) in zip(places, added, strict=True):
                    self._check_done(key, place, may_be_another=True)
        self._flushed_at = time.monotonic()

    def _check_done(self, key: str, place: str, *, may_be_another: bool) -> str:
        there = self._database.execute("SELECT state, part FROM items WHERE key = ?", (key,)).fetchone()
        if there is None or there[0] != DONE or (there[1] != place and not may_be_another):
            why = f"the item {key!r} is not there" if there is None else f"the item {key!r} did not become done"
            raise refusal("committing", self.path, why, "Remove what was added to the ledger, such as triggers.")
        return str(there[1])

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
                _DONE,
                (name, part.rows, part.size_bytes, part.digest, part.elapsed_us, part.metadata, time.time(), key),
            ).rowcount
            there = self._check_done(key, name, may_be_another=not changed)
        if not changed and there != name:
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
            again = "UPDATE items SET state = 'due', deaths = 0 WHERE state = 'quarantined' AND position"
            ((count,),) = self._database.execute("SELECT count(*) FROM items WHERE position IS NOT NULL")
            unknown = [position for position in positions or () if not 0 <= position < count]
            if unknown:
                raise UsageError(
                    f"retrying items of {self.path}: there is no item {', '.join(map(str, unknown))}; "
                    + (f"items have the numbers 0 to {count - 1}" if count else "the job has no items"),
                    hint="Job.items() has the numbers.",
                )
            if positions is None:
                return self._database.execute(f"{again} IS NOT NULL").rowcount
            return sum(self._database.execute(f"{again} = ?", (position,)).rowcount for position in positions)

    def redo(self, key: str, reason: str) -> None:
        """The part of a done item is not what it was: it is due again."""
        with self.transaction():
            self._database.execute("UPDATE items SET state = 'due', reason = ? WHERE key = ?", (reason, key))

    def items(self, state: str | None = None) -> list[JobItem]:
        """Items that were asked for last, in order: all, or those in one state."""
        condition = "position IS NOT NULL" if state is None else "position IS NOT NULL AND state = ?"
        values = () if state is None else (state,)
        found = self._select(f"SELECT {ITEM_COLUMNS} FROM items WHERE {condition} ORDER BY position", *values)
        return [JobItem(*row) for row in found]

    def parts(self) -> list[tuple[str, Path, str]]:
        """Key, file and digest of the rows of each done item, in order; small items have one file together."""
        return [(key, path, digest) for key, path, _, _, digest, _ in self.done()]

    def done(self) -> Iterator[tuple[str, Path, int | None, int, str, int]]:
        """Key, file, offset (None: the whole file), size, digest and number of rows of each done item, in order."""
        columns = "key, part, size_bytes, digest, rows"
        for _, key, part, size_bytes, digest, rows in self._by_position(columns, "state = 'done'"):
            path, offset = self._places.found(part)
            yield key, path, offset, size_bytes, digest, rows

    # -- the output --

    def output(self) -> str | None:
        """Return the output that was written last, if it has all items, in order, and was not changed since."""
        with self._asking("reading"):
            return self._places.current_output()

    def left_behind(self) -> list[tuple[str, Path, int | None, int, str, int]]:
        """As `done`, for some items that nobody asks for now and whose rows are in an output, which may be replaced."""
        with self._asking("reading"):
            left = self._places.left_behind()
            return [(key, *self._places.found(part), size, digest, rows) for key, part, size, digest, rows in left]

    def move(self, contents: dict[str, bytes], lost: Iterable[str]) -> None:
        """Move rows of done items, by their keys, to a shared part file; items whose rows are lost are due again.

        Raises:
            SinkError: They cannot be stored.
        """
        with self._asking("writing"):
            places = self._pack.add(list(contents.values())) if contents else []
        with self.transaction():
            moved = zip(places, contents, strict=True)
            self._database.executemany("UPDATE items SET part = ? WHERE key = ?", moved)
            due = "UPDATE items SET state = 'due', part = NULL WHERE key = ?"
            self._database.executemany(due, [(key,) for key in lost])

    def output_is_ready(self, path: Path, found: os.stat_result, *, releases_parts: bool) -> None:
        """Say before the rename that an output, all done items in order, is about to appear.

        Args:
            releases_parts: The rows of all items are in it from then on, and parts are removed; otherwise the rows that
                were in an earlier output are.
        """
        with self.transaction():
            self._places.announce(path, found, releases_parts=releases_parts)

    def output_is_there(self) -> None:
        """Say that the output has appeared."""
        self._settle()

    def close(self) -> None:
        """Give the database and the lock back; legal twice. What was added and not flushed is not done."""
        self._pack.close()
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
            database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except BaseException:
            database.close()
            raise
        return database
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
