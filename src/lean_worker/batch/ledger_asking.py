"""The items that a job asks for, compared with those of its last run.

Only differences are written: the same requests again cost one read of the ledger, and no digests. A fact says what else
than their requests determined the rows of the items that were asked for last, if it was the same for all.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError
from ..sinks.parts import refusal
from .ledger_checks import TOTAL
from .ledger_items import LateItem, NewItem

_CAUSES = "causes"
_INSERT = (
    "INSERT INTO items (key, position, request, command, request_digest, script_digest, launch_digest, state)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 'due')"
    " ON CONFLICT (key) DO UPDATE SET position = excluded.position WHERE items.position IS NULL"
)


class Asking:
    """Items as they are asked for, one after the other; the caller rolls back what is not finished.

    Equal requests are different items, told apart by how many came before: the key of an item has that number.

    Args:
        database: The ledger's database.
        path: Its path, for errors.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path
        self._position = 0
        self._repeated: dict[str, int] = {}
        self._known: list[tuple[str, str]] | None = []
        self._known_from = 0
        found = database.execute("SELECT value FROM facts WHERE name = ?", (_CAUSES,)).fetchone()
        self._causes_before = None if found is None else str(found[0])
        self._causes: set[str | None] = set()

    def take(self, items: Iterable[NewItem | LateItem]) -> None:
        """Take the next items."""
        for asked in items:
            if isinstance(asked, LateItem):
                self._causes.add(asked.causes)
                if asked.causes == self._causes_before and self._is_known(asked.request):
                    self._position += 1
                    continue
                item = asked.whole()
            else:
                self._causes.add(None)
                item = asked
            number = self._repeated.get(item.same, 0)
            while not self._place(item, number):
                number += 1
            if number or item.same in self._repeated:
                self._repeated[item.same] = number + 1
            self._position += 1

    def _is_known(self, request: str) -> bool:
        """Whether the item at this position in the last run had that request; its number was the same, too.

        The number of an item is how many equal ones come before, and all items before are those of the last run.
        """
        known = self._next_known()
        return known is not None and known[1] == request

    def _place(self, item: NewItem, number: int) -> bool:
        """Give an item its position; False if another item with its request and number has one already."""
        key = key_of(item.same, number)
        if self._known is not None:
            known = self._next_known()
            if known is not None and known[0] == key:
                return True
            if number == 0 and self._is_placed(key):
                return False
            self._begin_writing()
        if self._database.execute(_INSERT, (key, self._position, *item[1:])).rowcount == 1:
            return True
        if not self._is_placed(key):
            raise self._lost(1, 0)
        return False

    def _next_known(self) -> tuple[str, str] | None:
        """Key and request at this position in the last run, if all items so far are those of the last run."""
        if self._known is None:
            return None
        index = self._position - self._known_from
        if index >= len(self._known):
            self._known_from = self._position
            self._known = self._database.execute(
                "SELECT key, request FROM items WHERE position >= ? ORDER BY position LIMIT 1000", (self._position,)
            ).fetchall()
            index = 0
        return self._known[index] if self._known else None

    def _is_placed(self, key: str) -> bool:
        found = self._database.execute("SELECT position FROM items WHERE key = ?", (key,)).fetchone()
        return found is not None and found[0] is not None and found[0] < self._position

    def _begin_writing(self) -> None:
        """From here on the items differ: all later ones are kept aside until they are asked for."""
        self._known = None
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("UPDATE items SET position = NULL WHERE position >= ?", (self._position,))
        self._database.execute("DELETE FROM facts WHERE name = 'output in place'")
        self._database.execute("DELETE FROM facts WHERE name = ?", (_CAUSES,))

    def finish(self) -> int:
        """Write what is left, commit, and return the number of items.

        Raises:
            SinkError: The ledger has another number of items.
        """
        if self._known is not None and self._next_known() is not None:
            self._begin_writing()
        self._keep(TOTAL, str(self._position))
        if self._known is not None:
            self._keep_causes()
            return self._position
        (stored,) = self._database.execute("SELECT count(*) FROM items WHERE position IS NOT NULL").fetchone()
        if stored != self._position:
            raise self._lost(self._position, stored)
        self._keep_causes()
        self._database.execute("COMMIT")
        return self._position

    def _keep_causes(self) -> None:
        (causes,) = self._causes if len(self._causes) == 1 else (None,)
        if causes is not None and causes != self._causes_before:
            self._keep(_CAUSES, causes)

    def _keep(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _lost(self, asked: int, stored: int) -> SinkError:
        why = f"{asked} items were asked for and {stored} stored"
        return refusal("writing", self._path, why, "Remove what was added to the ledger, such as triggers.")


def key_of(same: str, number: int) -> str:
    """Return the key of an item: the digest of its rows' causes and of how many equal items came before."""
    return hashlib.sha256(f"{same}\0{number}\0".encode()).hexdigest()
