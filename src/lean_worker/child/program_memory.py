"""Measures the memory of a program that runs, with all processes that it started; see `base.unbacked_memory`."""

from __future__ import annotations

import os

from ..base import process_tree
from ..base.unbacked_memory import unbacked_kib


class ProgramMemory:
    """The memory of what is started below this process from now on, against a limit.

    Args:
        limit_kib: The most that it may have, in KiB.
    """

    def __init__(self, limit_kib: int) -> None:
        self._limit_kib = limit_kib
        self._others = frozenset(process_tree.descendants(os.getpid()))

    def excess_kib(self) -> int | None:
        """Return its memory in KiB if that is more than the limit, else None."""
        own = (pid for pid in process_tree.descendants(os.getpid()) if pid not in self._others)
        used_kib = sum(map(unbacked_kib, own))
        return used_kib if used_kib > self._limit_kib else None
