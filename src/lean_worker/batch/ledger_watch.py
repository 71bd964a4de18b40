"""The files of an open ledger: whether they are still what SQLite left.

SQLite keeps pages in memory and looks at the file again only if another connection says so. It does not notice that a
program has overwritten the database in place, or removed its write-ahead log. What is recorded after that is lost, and
at the end SQLite would write the rest of its log over the other program's content.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import struct
import sys
from pathlib import Path

from ..base import linux_calls
from ..base.forks import keep_for_ever

_BESIDE = ("-wal", "-shm")
_LOG_BYTES = 4 << 20
_READ_LOCK = (0x40000002, 510)
"""The bytes that readers of a database lock: the first, and how many."""


class Watch:
    """The files of a connection's database. In WAL mode the database itself changes only in checkpoints, made here.

    Args:
        database: The connection; it, and all others of this package, make no checkpoints by themselves.
        path: The database.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
        self._is_wal = mode == "wal"
        self._beside = self._look_beside()
        self._version = self._data_version()
        self._content = _content(self._path)

    def note(self) -> None:
        """Note that this connection has ended a transaction; write the log to the database once the log is large.

        Raises:
            OSError: They cannot be looked at.
            sqlite3.Error: The database refuses.
        """
        if not self._is_wal:
            return
        self._version = self._data_version()
        # Those that were seen first: they stay as long as this connection.
        self._beside = self._look_beside() | self._beside
        try:
            is_large = os.stat(f"{self._path}-wal").st_size >= _LOG_BYTES
        except FileNotFoundError:
            return  # for the next transaction to tell
        if is_large and self.why_lost() is None:
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._content = _content(self._path)

    def why_lost(self) -> str | None:
        """Return the reason why the next transaction would be lost, or None; call it before that has written.

        Raises:
            OSError: The files cannot be looked at.
            sqlite3.Error: The database refuses.
        """
        if not self._is_wal:
            return None
        beside = self._look_beside()
        for suffix, before in self._beside.items():
            if before != beside.get(suffix):
                return f"its file {self._path.name}{suffix} was removed or replaced"
        content, version = _content(self._path), self._data_version()
        if content != self._content and version == self._version:
            return "it was overwritten"
        # Another connection may have committed, as `Job.retry` does, and have written its log to the database.
        self._content, self._version = content, version
        return None

    def set_aside(self) -> Path | None:
        """Rename the log, which belongs to content that is gone: nobody is to replay it into what is there now."""
        log = Path(f"{self._path}-wal")
        aside = Path(f"{log}.{secrets.token_hex(4)}.lost")
        try:
            log.rename(aside)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.unlink(f"{self._path}-shm")
        return aside

    def close(self) -> None:
        """Close the connection without a last write to the database."""
        if sys.platform != "linux":  # such locks are Linux's
            keep_for_ever(self._database)
            return
        try:
            with open(self._path, "rb") as file:
                # SQLite checkpoints as it closes, under an exclusive lock, and does without if somebody reads. This
                # lock counts as somebody else's, also in one process.
                lock = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, *_READ_LOCK, 0)
                fcntl.fcntl(file, linux_calls.F_OFD_SETLK, lock)
                self._database.close()
        except OSError:
            keep_for_ever(self._database)

    def _data_version(self) -> int:
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _look_beside(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for suffix in _BESIDE:
            with contextlib.suppress(FileNotFoundError):
                facts = os.lstat(f"{self._path}{suffix}")
                found[suffix] = (facts.st_dev, facts.st_ino)
        return found


def _content(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
