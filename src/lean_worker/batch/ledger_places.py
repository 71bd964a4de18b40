"""The places of the rows of done items: compared with the files there, and moved to the output once it is whole.

The facts of a ledger name the output by device, inode, size and time of change. An output that anybody changed holds no
rows any more: its items are due again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ..base.process_lock import remove_if_dead
from ..sinks.parts import PART_NAME, Directory
from .ledger_checks import PROBE_NAME, STORED_NAME
from .packs import RANGE_END, new_name, place_of, text_of

_OUTPUT = "output"
_NEXT_OUTPUT = "next output"
_IN_PLACE = "output in place"
"""The fact that the output has all items in the order in which they were asked for."""
_AT_ONCE = 1000
_MOVED_AT_ONCE = 10_000


class _Output(msgspec.Struct):
    """An output, as a ledger names it; the path is as of `os.fsencode`, in hexadecimal digits."""

    name: str
    path_hex: str
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    rows: int
    releases_parts: bool = False
    """Whether it takes the place of the parts of all items."""

    @property
    def path(self) -> Path:
        return Path(os.fsdecode(bytes.fromhex(self.path_hex)))

    def is_there(self) -> bool:
        """Whether the file is the one that was written, unchanged."""
        try:
            found = os.lstat(self.path)
        except (OSError, ValueError):
            return False
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) == (
            self.device,
            self.inode,
            self.size_bytes,
            self.mtime_ns,
        )


class Places:
    """The places of rows in a ledger's folder and in its output.

    Args:
        database: The ledger's database; changes happen in the caller's transaction.
        folder: The folder of parts.
    """

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._outputs: dict[str, _Output | None] = {}
        self._last: tuple[str, Path] | None = None

    def found(self, part: str) -> tuple[Path, int | None]:
        """Return the file and the offset of a place."""
        file, offset = place_of(part)
        if not file.endswith(".out"):
            # A million items ask for one shared file after the other.
            if self._last is None or self._last[0] != file:
                self._last = file, self._folder / file
            return self._last[1], offset
        if file not in self._outputs:
            # While rows move to an output, some are there already.
            outputs = (self._output(_OUTPUT), self._output(_NEXT_OUTPUT))
            self._outputs[file] = next((one for one in outputs if one is not None and one.name == file), None)
        found = self._outputs[file]
        return self._folder / file if found is None else found.path, offset

    def _output(self, fact: str) -> _Output | None:
        found = self._database.execute("SELECT value FROM facts WHERE name = ?", (fact,)).fetchone()
        if found is None:
            return None
        with contextlib.suppress(msgspec.DecodeError, UnicodeEncodeError, ValueError):
            output = msgspec.json.decode(str(found[0]).encode(), type=_Output)
            output.path  # noqa: B018  # a damaged one raises
            return output
        return None

    # -- at the start --

    def compare(self) -> set[str]:
        """Make items due whose rows are gone; return the names of files in the folder that no item names.

        A shared part file may have more bytes than its items: those of a run that was killed before it recorded them.
        """
        with Directory(self._folder) as folder:
            found = {name: folder.look(name) for name in os.listdir(folder.fd)}
        sizes = {name: one.st_size for name, one in found.items() if one is not None and stat.S_ISREG(one.st_mode)}
        output = self._output(_OUTPUT)
        if output is not None and output.is_there():
            sizes[output.name] = output.size_bytes
        named: set[str] = set()
        last = ""
        one = "SELECT part, size_bytes, key FROM items WHERE state = 'done' AND part > ? ORDER BY part LIMIT 1"
        while row := self._database.execute(one, (last,)).fetchone():
            part, size_bytes, key = row
            file, offset = place_of(part)
            named.add(file)
            if offset is None:
                last = part
                if sizes.get(file) != size_bytes:
                    self._database.execute("UPDATE items SET state = 'due', part = NULL WHERE key = ?", (key,))
            else:
                last = file + RANGE_END
                self._compare_ranges(file, last, sizes.get(file, -1))
        return {name for name in found if name in sizes} - named

    def _compare_ranges(self, file: str, end: str, size_bytes: int) -> None:
        where = "state = 'done' AND part > ? AND part < ?"
        (largest,) = self._database.execute(
            f"SELECT max(CAST(substr(part, -15) AS INTEGER) + size_bytes) FROM items WHERE {where}", (file, end)
        ).fetchone()
        if largest > size_bytes:
            self._database.execute(
                f"UPDATE items SET state = 'due', part = NULL WHERE {where}"
                " AND CAST(substr(part, -15) AS INTEGER) + size_bytes > ?",
                (file, end, size_bytes),
            )

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that no item names. Anything in the folder that is not of our making stays."""
        with Directory(self._folder) as folder:
            for name in names:
                if PART_NAME.fullmatch(name):
                    remove_if_dead(name, folder.fd)
                elif STORED_NAME.fullmatch(name) or PROBE_NAME.fullmatch(name):
                    with contextlib.suppress(OSError):
                        folder.unlink(name)

    # -- the output --

    def current_output(self) -> str | None:
        """Return the path of an output that has all items in order and is unchanged; None if there is none."""
        if self._database.execute("SELECT 1 FROM facts WHERE name = ?", (_IN_PLACE,)).fetchone() is None:
            return None
        output = self._output(_OUTPUT)
        if output is None or not output.is_there() or self._sums() != (output.rows, output.size_bytes):
            return None
        return str(output.path)

    def _sums(self) -> tuple[int, int]:
        """Rows and bytes of all done items."""
        sums = "coalesce(sum(rows), 0), coalesce(sum(size_bytes), 0)"
        done = "position IS NOT NULL AND state = 'done'"
        rows, size_bytes = self._database.execute(f"SELECT {sums} FROM items WHERE {done}").fetchone()
        return rows, size_bytes

    def left_behind(self) -> list[tuple[str, str, int, str, int]]:
        """Key, place, size, digest and rows of some items that nobody asks for now and whose rows are in an output."""
        found = self._database.execute(
            "SELECT key, part, size_bytes, digest, rows FROM items"
            " WHERE state = 'done' AND position IS NULL AND part GLOB '*.out:*' LIMIT ?",
            (_AT_ONCE,),
        )
        return found.fetchall()

    def announce(self, path: Path, found: os.stat_result, *, releases_parts: bool) -> None:
        """Name an output before it appears at `path`."""
        output = _Output(
            new_name("out"),
            os.fsencode(path).hex(),
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            self._sums()[0],
            releases_parts,
        )
        self._put(_NEXT_OUTPUT, msgspec.json.encode(output).decode())

    def is_announced(self) -> bool:
        """Whether an output was announced, and rows may have to move there."""
        return self._output(_NEXT_OUTPUT) is not None

    def settling(self) -> Iterator[bool]:
        """Take the announced output as the place of rows, if it has appeared: of those of an earlier output, or of all.

        Each step is for a transaction of its own, and says that another one follows. A million items in one would be
        half a gigabyte of log. After a crash the steps begin anew, and find moved what was moved.

        Without all, an item that is not done has no rows there; the ranges of the others follow each other anyway.
        """
        output = self._output(_NEXT_OUTPUT)
        if output is None or not output.is_there():
            self._drop(_NEXT_OUTPUT)
            return
        self._outputs.clear()
        position, number, offset = -1, 0, 0
        done = "SELECT position, rowid, part, size_bytes FROM items WHERE position > ? AND state = 'done'"
        while rows := self._database.execute(
            f"{done} ORDER BY position LIMIT {_MOVED_AT_ONCE}", (position,)
        ).fetchall():
            moved = []
            for position, row, part, size_bytes in rows:  # noqa: B007
                place = text_of(output.name, number, offset)
                if part != place and (output.releases_parts or place_of(part).is_output):
                    moved.append((place, row))
                number += 1
                offset += size_bytes
            if moved:
                self._database.executemany("UPDATE items SET part = ? WHERE rowid = ?", moved)
                yield True
        self._drop(_NEXT_OUTPUT)
        self._put(_OUTPUT, msgspec.json.encode(output).decode())
        if output.releases_parts:
            self._put(_IN_PLACE, "")

    def _put(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _drop(self, name: str) -> None:
        self._database.execute("DELETE FROM facts WHERE name = ?", (name,))
