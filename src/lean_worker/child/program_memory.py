"""Measures the memory of a program that runs, with all processes that it started.

What counts is memory that no file backs, also where it was moved to swap: it is what the program takes from others.
Lean maps `.olean` files, gigabytes with Mathlib, and all processes share those pages. A fork counts what it shares with
the process that it came from too. Only Linux tells; elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import os
import re

from ..base import process_tree

_SIZES = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s*([0-9]+) kB$", re.MULTILINE)


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
        used_kib = sum(map(_kib_of, own))
        return used_kib if used_kib > self._limit_kib else None


def _kib_of(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
        return sum(map(int, _SIZES.findall(file.read())))
    return 0  # it is gone
