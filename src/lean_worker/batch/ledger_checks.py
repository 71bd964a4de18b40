"""The checks that a ledger must pass to be believed.

Owns what no release writes into one, and that nobody else could have written it: a ledger says what code is run, and
names files that are read and removed. Hides SQL. Callers open it.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from pathlib import Path

from ..base.trusted_files import why_untrusted
from ..errors import RecoveryError, SinkError, UsageError
from ..sinks.parts import is_no_database, sink_error
from ..sinks.tables import why_foreign_journal
from .packs import PLACE_GLOBS

STORED_NAME = re.compile(r"[0-9a-f]{24}\.((stream\.)?jsonl|parquet)")
"""The names of parts in a ledger's folder."""

PROBE_NAME = re.compile(r"\.[0-9a-f]{16}\.probe")
"""The names of files there by which it is found out whether a node shares the folder."""

FORMAT = "2"
FORMATS = ("1", FORMAT)
"""The formats that can be read; the first has each item's rows in a file of their own."""
TOTAL = "total"
"""The fact that has the number of items."""

_PLACES = " OR ".join(f"part GLOB '{glob}'" for glob in PLACE_GLOBS)
_DAMAGES = (
    ("typeof(state) != 'text' OR state NOT IN ('due', 'done', 'quarantined')", "has no state that there is"),
    (
        "typeof(key) != 'text' OR typeof(request) != 'text' OR typeof(deaths) != 'integer'"
        " OR typeof(position) NOT IN ('integer', 'null') OR typeof(command) != 'text'",
        "is not whole",
    ),
    (
        "state = 'done' AND (typeof(rows) != 'integer' OR rows < 0 OR typeof(size_bytes) != 'integer' OR size_bytes < 0"
        " OR typeof(digest) != 'text' OR typeof(elapsed_us) != 'integer' OR typeof(metadata) != 'text')",
        "is done, and its record is not whole",
    ),
    (
        f"state = 'done' AND (typeof(part) != 'text' OR NOT ({_PLACES}))",
        "is done, and its part has no name that we give",
    ),
)
"""Conditions of rows that no release writes, and what is said of such a row."""
_FIND_DAMAGE = (
    "SELECT key, position, state, CASE "
    + " ".join(f"WHEN {condition} THEN {number}" for number, (condition, _) in enumerate(_DAMAGES))
    + " END AS damage FROM items WHERE damage IS NOT NULL LIMIT 1"
)
_FIND_SAME_PLACE = (
    "SELECT key, position FROM items WHERE state = 'done' AND part ="
    " (SELECT part FROM items WHERE state = 'done' GROUP BY part HAVING count(*) > 1 LIMIT 1)"
)
_COLUMNS = {"key", "position", "request", "command", "state", "deaths", "part", "rows", "size_bytes", "digest"}


def refuse_untrusted(path: Path) -> None:
    """Refuse a ledger that somebody else could have written.

    Raises:
        RecoveryError: Somebody could.
        OSError: It cannot be looked at.
    """
    path = Path(os.path.realpath(path))
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        found = None
    why = None if found is None else why_untrusted(found)
    why = why or why_foreign_journal(path, found)
    if why is not None:
        raise untrusted(path, why)


def unreadable(path: Path, error: sqlite3.Error) -> SinkError:
    """The error for a ledger that SQLite does not open."""
    failure = sink_error("opening", path, error)
    return _error(path, "damaged", str(error), failure.hint or "") if is_no_database(error) else failure


def untrusted(path: Path, why: str) -> RecoveryError:
    """The error for a ledger, or a folder of parts, that somebody else could have written."""
    return _error(
        path,
        "untrusted",
        f"somebody else could have written it: {why}",
        f"If you know that it is yours: chmod go-w {shlex.quote(str(path))}; else give another path.",
    )


def _error(path: Path, reason: str, why: str, hint: str) -> RecoveryError:
    return RecoveryError(
        f"opening the ledger {path}: {why}",
        hint=hint,
        path=str(path),
        doing="opening",
        reason=reason,
        errno=None,
        is_decided=False,
    )


def refuse_damage(database: sqlite3.Connection, path: Path, folder: Path) -> None:
    """Refuse what we cannot have written: a row that is neither due nor done would be missing without a word.

    Raises:
        RecoveryError: The ledger has such a row, or not the items that were asked for.
        sqlite3.Error: It cannot be read.
    """
    database.execute("BEGIN")
    try:
        why = _why_damaged(database)
    finally:
        database.execute("COMMIT")
    if why is not None:
        both = shlex.join([str(path), str(folder)])
        hint = f"Take the ledger from a copy; or run the job anew after: rm -r {both}"
        raise _error(path, "damaged", why, hint)


def _why_damaged(database: sqlite3.Connection) -> str | None:
    # In one scan: a ledger may have millions of items.
    found = database.execute(_FIND_DAMAGE).fetchone()
    if found is not None:
        return f"the item {found[0]!r} (position {found[1]!r}, state {found[2]!r}) {_DAMAGES[found[3]][1]}"
    twice = database.execute(_FIND_SAME_PLACE).fetchone()
    if twice is not None:
        return f"the item {twice[0]!r} (position {twice[1]!r}, state 'done') has the same part as another one"
    positions = "count(*), coalesce(min(position), 0), coalesce(max(position) + 1, 0)"
    items, first, end = database.execute(f"SELECT {positions} FROM items WHERE position IS NOT NULL").fetchone()
    is_double = database.execute(
        "SELECT 1 FROM items WHERE position IS NOT NULL GROUP BY position HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    total = database.execute("SELECT value FROM facts WHERE name = ?", (TOTAL,)).fetchone()
    if is_double or (first, end) != (0, items) or (total is not None and str(items) != total[0]):
        return f"it has {items} items, of {end if total is None else total[0]} that were asked for"
    return None


def format_of(database: sqlite3.Connection, path: Path) -> str | None:
    """The format of a ledger; "" for a database with nothing in it, None for one of somebody else."""
    try:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not names:
            return ""
        if not {"facts", "items"} <= names:
            return None
        if not {row[1] for row in database.execute("PRAGMA table_info(items)")} >= _COLUMNS:
            return None
        found = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return None if found is None else str(found[0])


def empty(path: Path) -> UsageError:
    """The error for a database with nothing in it."""
    return UsageError(
        f"opening the ledger {path}: nothing is stored in it yet",
        hint="If a run was interrupted there, it was before its requests were stored: run it again, with all of them.",
        path=str(path),
    )


def no_ledger(path: Path) -> UsageError:
    """The error for a database of somebody else."""
    return UsageError(
        f"opening the ledger {path}: it is a database, but no ledger of this release",
        hint="Give another path, or use the release that made it.",
        path=str(path),
    )
