"""Copy of tables from the databases of parts into the target database, in one transaction.

A row in a separate table, written in the same transaction, records that a commit was done. After the copy, the target
must contain exactly the delivered rows: a trigger, a constraint that ignores or replaces, or a column of another type
can drop or change rows without an error.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

from ..base.arguments import shown
from ..base.forks import Descriptor, Owner, keep_for_ever
from ..errors import ResourceExhausted, SinkError
from ..hosting.sandbox import is_granted
from .confined import within_rights
from .journal import MergeRecord, TableRecord, decoded
from .parts import Directory, refusal, storing

DONE_TABLE = "_lean_worker_commits"
_BUSY_SECONDS = 60.0
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_MOST_ATTACHED = 10
"""SQLite's own limit, if nothing else was chosen when it was built."""
_GATHERED = "gathered"
_ROW_IDS = ("rowid", "_rowid_", "oid")  # a column with one of these names takes it away
_LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def quoted(name: str) -> str:
    """`name` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def connected(path: Path, mode: str = "rwc", busy_seconds: float = _BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
    """A database, closed at the end, but not in a forked child: there its end would undo what the parent does.

    Args:
        path: The database.
        mode: As SQLite's URI has it.
        busy_seconds: How long to wait for another program that holds it; nothing interrupts that.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    owner = Owner()
    database = sqlite3.connect(_uri(path, f"mode={mode}"), uri=True, timeout=busy_seconds, isolation_level=None)
    try:
        # The schema may be of somebody who may call less than this process.
        database.execute("PRAGMA trusted_schema = OFF")
        if is_granted(os.path.realpath(path.parent)):
            database.execute("PRAGMA temp_store = MEMORY")  # a confined thread can write nowhere else
        yield database
    finally:
        if owner.is_here:
            database.close()
        else:
            keep_for_ever(database)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote_from_bytes(os.fsencode(path))}?{options}"


def why_no_table(database: sqlite3.Connection, name: str) -> str | None:
    """Tell why rows cannot go to what has that name in a database; None if they can, or if nothing has it."""
    found = database.execute(
        "SELECT type FROM main.sqlite_master WHERE name = ? COLLATE NOCASE AND type != 'index'", (name,)
    ).fetchone()
    return None if found is None or found[0] == "table" else f"{name!r} is a {found[0]} there, and no table"


def why_foreign_journal(target: Path, found: os.stat_result | None, *, is_open: bool = False) -> str | None:
    """Return the reason not to trust a journal beside a database, or None.

    With `is_open` this process has the database open, and may have made such files itself (WAL mode does).

    SQLite replays such files into the database, no matter who wrote them. A journal can name another file, its
    super-journal, which SQLite then deletes, wherever it is. Users who may write to the database may write journals,
    but sandboxed code may not: the parent does not do for it what it may not do itself.
    """
    is_for_all = found is not None and found.st_mode & 0o022
    known = {os.geteuid()} if found is None else {os.geteuid(), found.st_uid}
    for suffix in ("-journal", "-wal", "-shm"):
        try:
            beside = os.lstat(f"{target}{suffix}")
        except FileNotFoundError:
            continue
        name = f"{target.name}{suffix}"
        if not is_for_all and (not stat.S_ISREG(beside.st_mode) or beside.st_uid not in known):
            return f"the file {name} beside it is no regular file, or belongs to another user"
        if is_open:
            continue
        if is_granted(os.path.realpath(target.parent)):
            return f"the file {name} beside it may be of sandboxed code, which may write to this directory"
        if suffix == "-journal" and _names_super_journal(f"{target}{suffix}"):
            return f"the file {name} beside it names another file, which SQLite would delete"
    return None


def _names_super_journal(path: str) -> bool:
    """Whether a journal ends as one does that belongs to a transaction over several databases."""
    try:
        with Descriptor(os.open, path, _LOOK) as journal:
            end = max(0, os.fstat(journal.fd).st_size - len(_JOURNAL_MAGIC))
            return os.pread(journal.fd, len(_JOURNAL_MAGIC), end) == _JOURNAL_MAGIC
    except FileNotFoundError:
        return False  # whoever wrote it has finished
    except OSError:
        return True  # it cannot be told


def merge(directory: Directory, record: MergeRecord, group: str | None) -> None:
    """Do what a record says, all or nothing; nothing if a transaction of `group` has done it before.

    Raises:
        SinkError: The database refuses, or it would not have the rows that were delivered.
    """
    target = directory.path / decoded(record.target)
    with storing("committing", target):
        within_rights(directory.path, lambda: _merge(directory, target, record, group))


def _merge(directory: Directory, target: Path, record: MergeRecord, group: str | None) -> None:
    owner = Owner()
    with storing("committing", target):
        before = _check_target(directory, target)
        try:
            with connected(target) as database:
                database.execute("PRAGMA schema_version").fetchone()
                after = _check_target(directory, target, is_open=True)
                if before is not None and after is not None and not os.path.samestat(before, after):
                    raise refusal("committing", target, "it was replaced meanwhile", "Run the request again.")
                _merge_into(database, directory, target, record, group)
        except BaseException:
            if before is None and owner.is_here:
                _remove_empty(directory, target)
            raise


def _remove_empty(directory: Directory, target: Path) -> None:
    """Remove the database without content that opening it has made."""
    with contextlib.suppress(OSError):
        found = directory.look(target.name)
        if found is not None and stat.S_ISREG(found.st_mode) and not found.st_size:
            directory.unlink(target.name)


def _check_target(directory: Directory, target: Path, *, is_open: bool = False) -> os.stat_result | None:
    found = directory.look(target.name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise refusal("committing", target, "it is no regular file any more", "Find out who replaced it.")
    why = why_foreign_journal(target, found, is_open=is_open)
    if why is not None:
        raise refusal("committing", target, why, "Find out who made that file, and remove it.")
    return found


def is_merged(directory: Directory, record: MergeRecord, group: str) -> bool | None:
    """Whether a transaction of `group` has done it; None if the database cannot be asked."""
    target = directory.path / decoded(record.target)
    try:
        if _check_target(directory, target) is None:
            return False
        return within_rights(directory.path, lambda: _has_note(target, group))
    except sqlite3.Error as error:
        return False if "no such table" in str(error) else None
    except Exception:
        return None


def _has_note(target: Path, group: str) -> bool:
    with connected(target, "rw") as database:
        found = database.execute(f"SELECT 1 FROM main.{DONE_TABLE} WHERE id = ?", (group,)).fetchone()
        return found is not None


def forget(directory: Directory, record: MergeRecord, group: str) -> None:
    """The commit is over: remove the note of it, as far as that can be done."""
    target = directory.path / decoded(record.target)

    def delete() -> None:
        with connected(target, "rw") as database:
            database.execute(f"DELETE FROM main.{DONE_TABLE} WHERE id = ?", (group,))

    with contextlib.suppress(sqlite3.Error, OSError, ResourceExhausted):
        within_rights(directory.path, delete)


def _is_noted(database: sqlite3.Connection, group: str) -> bool:
    has_table = database.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (DONE_TABLE,)).fetchone()
    return bool(has_table and database.execute(f"SELECT 1 FROM main.{DONE_TABLE} WHERE id = ?", (group,)).fetchone())


def _merge_into(
    database: sqlite3.Connection, directory: Directory, target: Path, record: MergeRecord, group: str | None
) -> None:
    if group is not None and _is_noted(database, group):
        return
    owner = Owner()
    schemas = _attach(database, directory, target, record)  # which cannot be done within a transaction
    database.execute("BEGIN IMMEDIATE")
    try:
        if group is not None:
            database.execute(f"CREATE TABLE IF NOT EXISTS main.{DONE_TABLE} (id TEXT PRIMARY KEY)")
            database.execute(f"INSERT INTO main.{DONE_TABLE} VALUES (?)", (group,))
        for table in record.tables:
            _Storing(database, target, table, schemas[table.part]).store()
        database.execute("COMMIT")
    except BaseException:
        if owner.is_here and database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _attach(database: sqlite3.Connection, directory: Directory, target: Path, record: MergeRecord) -> dict[str, str]:
    """Attach the databases of the parts; return the schema in which the tables of each are, by its name."""
    parts = list(dict.fromkeys(table.part for table in record.tables))
    schemas: dict[str, str] = {}
    for part in parts:
        found = directory.look(decoded(part))
        sizes = {(table.size_bytes, table.mtime_ns) for table in record.tables if table.part == part}
        if found is None or sizes != {(found.st_size, found.st_mtime_ns)}:
            why = f"the file {decoded(part)} with its rows was removed or changed meanwhile"
            raise refusal("committing", target, why, "Run the request again.")
        schema = f"part{len(schemas)}"
        # Immutable: no journal that somebody puts beside it is looked at.
        database.execute(f"ATTACH ? AS {schema}", (_uri(directory.path / decoded(part), "mode=ro&immutable=1"),))
        if len(parts) > _MOST_ATTACHED and len(schemas) >= _MOST_ATTACHED - 2:
            if _GATHERED not in schemas.values():
                database.execute(f"ATTACH '' AS {_GATHERED}")  # a temporary one
            for table in record.tables:
                if table.part == part:
                    _copy(database, table.name, schema)
            database.execute(f"DETACH {schema}")
            schema = _GATHERED
        schemas[part] = schema
    return schemas


def _copy(database: sqlite3.Connection, name: str, schema: str) -> None:
    """Copy a table of a part to those that are gathered."""
    definition = _definition(database, schema, name)
    database.execute(definition.replace("CREATE TABLE ", f"CREATE TABLE {_GATHERED}.", 1))
    database.execute(f"INSERT INTO {_GATHERED}.{quoted(name)} SELECT * FROM {schema}.{quoted(name)}")


def _definition(database: sqlite3.Connection, schema: str, name: str) -> str:
    (sql,) = database.execute(
        f"SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()
    return str(sql)


class _Storing:
    """One table of a part into the table of that name, compared with what was delivered."""

    def __init__(self, database: sqlite3.Connection, target: Path, table: TableRecord, part: str) -> None:
        self._database = database
        self._target = target
        self._table = table
        self._name = quoted(table.name)
        self._part = f"{part}.{self._name}"
        self._main = f"main.{self._name}"
        self._schema = part
        self._wanted = self._columns(part)
        self._listed = ", ".join(quoted(name) for name in self._wanted)

    def _columns(self, schema: str) -> dict[str, str]:
        """The declared type of each column by its name."""
        return {row[1]: row[2] for row in self._database.execute(f"PRAGMA {schema}.table_info({self._name})")}

    def _without_null(self, schema: str) -> set[str]:
        """The columns that refuse NULL."""
        return {row[1] for row in self._database.execute(f"PRAGMA {schema}.table_info({self._name})") if row[3]}

    def _row_id(self, schema: str) -> str | None:
        """The name of the rows' number, which is the order in which they came; None if columns have all its names."""
        found = self._database.execute(f"PRAGMA {schema}.table_xinfo({self._name})")
        columns = {str(row[1]).casefold() for row in found}
        return next((name for name in _ROW_IDS if name not in columns), None)

    def _may_keep(self, there: dict[str, str]) -> bool:
        """Whether a table that is emptied can hold any rows that the part can."""
        same = list(there) == list(self._wanted)
        same = same and list(map(_affinity, there.values())) == list(self._wanted.values())
        return same and self._without_null("main") <= self._without_null(self._schema)

    def _count(self, table: str, where: str = "") -> int:
        (count,) = self._database.execute(f"SELECT count(*) FROM {table} {where}").fetchone()
        return int(count)

    def store(self) -> None:
        """Store it.

        Raises:
            SinkError: The table would have other rows than those that were delivered.
            sqlite3.Error: The database refuses.
        """
        why = why_no_table(self._database, self._table.name)
        if why is not None:
            raise refusal("committing", self._target, why, "Give the sink the name of a table.")
        self._expect(self._count(self._part), "its part has")
        there = self._columns("main")
        if there and self._table.replace:
            if self._may_keep(there):
                self._database.execute(f"DELETE FROM {self._main}")  # its indexes stay
                left = self._count(self._main)
                if left:
                    self._refuse(f"{left} of its old rows cannot be deleted; a trigger keeps them")
            else:
                self._database.execute(f"DROP TABLE {self._main}")
                there = {}
        if missing := there and set(map(str.casefold, self._wanted)) - set(map(str.casefold, there)):
            name = next(name for name in self._wanted if name.casefold() in missing)
            add = f"ALTER TABLE {self._name} ADD COLUMN {quoted(name)}"
            why = f"table {self._table.name!r} has no column named {name}"
            raise refusal("committing", self._target, why, f"Add it with {add}, or give the sink another table.")
        if not there:
            self._database.execute(_definition(self._database, self._schema, self._table.name))
        before = self._before() if there and not self._table.replace else (0, None)
        number = self._row_id(self._schema)
        order = f"ORDER BY {number}" if number else ""  # SQLite reads a table in that order anyway
        inserted = self._database.execute(
            f"INSERT INTO {self._main} ({self._listed}) SELECT {self._listed} FROM {self._part} {order}"
        ).rowcount
        self._expect(inserted, "the database took")
        if before is not None:
            self._expect(self._count(self._main) - before[0], "the table has")
        if there and self._may_change_values(there):
            self._compare(there, None if before is None else before[1])

    def _expect(self, found: int, what: str) -> None:
        if found != self._table.rows:
            self._refuse(f"{self._table.rows} rows were delivered and {what} {found}")

    def _refuse(self, why: str) -> None:
        hint = "Look at the table's triggers and constraints (.schema in the sqlite3 program); nothing was stored."
        raise refusal("committing", self._target, f"table {self._table.name!r}: {why}", hint)

    def _before(self) -> tuple[int, int | None] | None:
        """Number of rows and the last row's id before; None where nothing but the statement itself can take rows away.

        Counting a large table takes a while, so that it is done only where a row can go amiss.
        """
        has_unique = any(row[2] for row in self._database.execute(f"PRAGMA main.index_list({self._name})"))
        has_key = self._has_key()
        if not (has_unique or has_key or self._has_triggers() or self._may_change_values(self._columns("main"))):
            return None
        last = None
        number = self._row_id("main")
        if not has_key and not self._is_virtual() and number:  # no column of ours is the row's id, and there is one
            (last,) = self._database.execute(f"SELECT max({number}) FROM {self._main}").fetchone()
            last = last or 0
        return self._count(self._main), last

    def _has_key(self) -> bool:
        return any(row[5] for row in self._database.execute(f"PRAGMA main.table_info({self._name})"))

    def _is_virtual(self) -> bool:
        (sql,) = self._database.execute(
            "SELECT sql FROM main.sqlite_master WHERE name = ? COLLATE NOCASE AND type = 'table'", (self._table.name,)
        ).fetchone()
        return str(sql).upper().startswith("CREATE VIRTUAL")

    def _has_triggers(self) -> bool:
        found = self._database.execute(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE",
            (self._table.name,),
        ).fetchone()
        return found is not None

    def _may_change_values(self, there: dict[str, str]) -> bool:
        """Whether the table can hold other values than it was given: by a trigger, or by the types of its columns."""
        types = {name.casefold(): _affinity(declared) for name, declared in there.items()}
        return self._has_triggers() or any(
            types.get(name.casefold()) != declared for name, declared in self._wanted.items()
        )

    def _compare(self, there: dict[str, str], last: int | None) -> None:
        """The rows that came are those of the part, value by value and with their types."""
        values = ", ".join(f"{quoted(name)} COLLATE BINARY, typeof({quoted(name)})" for name in self._wanted)
        width = 2 * len(self._wanted)
        numbers = ", ".join(map(str, range(1, width + 1)))
        is_exact = self._table.replace or last is not None
        counted = ", count(*)" if is_exact else ""
        grouped = f"GROUP BY {numbers}"
        where = f"WHERE {self._row_id('main')} > {last}" if last is not None and not self._table.replace else ""
        different = self._count(
            f"(SELECT {values}{counted} FROM {self._part} {grouped}"
            f" EXCEPT SELECT {values}{counted} FROM {self._main} {where} {grouped})"
        )
        if different:
            self._refuse_changed_cell(there, last)
            self._refuse(
                f"{different} of the delivered rows were changed in the table, by a trigger or a column of another type"
            )

    def _refuse_changed_cell(self, there: dict[str, str], last: int | None) -> None:
        """Refuse the first value that a column of another type changed; do nothing if that cannot be told.

        Rows are inserted in their order, and so are the ids behind the last one, where nothing else chooses them.
        """
        ours, theirs = self._row_id(self._schema), self._row_id("main")
        if last is None or ours is None or self._has_triggers() or self._has_key() or self._is_virtual():
            return
        types = {name.casefold(): declared for name, declared in there.items()}
        for name, wanted in self._wanted.items():
            declared = types[name.casefold()]
            cell = quoted(name)
            found = self._database.execute(
                f"SELECT p.{ours} - 1, p.{cell}, m.{cell} FROM {self._part} p JOIN {self._main} m"
                f" ON m.{theirs} = {last} + p.{ours} WHERE typeof(p.{cell}) != typeof(m.{cell})"
                f" OR p.{cell} IS NOT m.{cell} COLLATE BINARY ORDER BY p.{ours} LIMIT 1"
            ).fetchone()
            if found is not None:
                row, given, kept = found
                types_of_both = f"{declared or 'nothing'}, and the rows as {wanted or 'nothing'}"
                raise SinkError(
                    f"committing {self._target}: table {self._table.name!r}, column {name!r}, row {row}: {shown(given)}"
                    f" would become {shown(kept)}, as the table declares the column as {types_of_both}",
                    hint="Declare the field as what the column holds, or name another table; nothing was stored.",
                    path=str(self._target),
                    doing="committing",
                    errno=None,
                    column=name,
                    row=row,
                    is_decided=False,
                )


def _affinity(declared: str) -> str:
    """Return the affinity of a declared type: how SQLite converts the values of such a column."""
    declared = declared.upper()
    for affinity, words in (("INTEGER", ("INT",)), ("TEXT", ("CHAR", "CLOB", "TEXT")), ("BLOB", ("BLOB",))):
        if any(word in declared for word in words):
            return affinity
    if not declared:
        return "BLOB"
    return "REAL" if any(word in declared for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"
