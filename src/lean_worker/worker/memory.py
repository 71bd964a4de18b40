"""Measure of the memory that a worker has for itself; `exchange` kills a worker that has too much.

Owns what counts: private memory (USS), what would come free if the process ended. Resident memory (RSS) also counts
pages that all workers share, such as Lean's mapped `.olean` files, several gigabytes with Mathlib; it judges workers
for what they do not cost. (Pages of a file that only one worker maps count as its own, until a second worker maps
them too.) Hides where the figures come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..base.deferred import Deferred

if TYPE_CHECKING:
    import psutil
else:
    psutil = Deferred("psutil")


def private_kib(pid: int) -> int | None:
    """Private memory of a process in KiB; 0 if it has ended, None where the system does not tell.

    A worker that judges hides its memory, also from a parent of the same user. Shared pages are then those that belong
    to files, so that the figure is a little higher.
    """
    try:
        process = psutil.Process(pid)
        try:
            return int(process.memory_full_info().uss) // 1024
        except psutil.AccessDenied:
            sizes = process.memory_info()
            return int(sizes.rss - sizes.shared) // 1024 if hasattr(sizes, "shared") else None
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
    except (psutil.Error, OSError):  # no descriptor left to ask with
        return None


def exceeds(pid: int, limit_kib: int) -> int | None:
    """The private memory of a process in KiB if it is over the limit, else None.

    Private memory costs a walk over the process's page tables; it is never more than resident memory, which costs
    nothing, so that one is asked first.
    """
    try:
        if psutil.Process(pid).memory_info().rss // 1024 <= limit_kib:
            return None
    except (psutil.Error, OSError):  # no descriptor left to ask with
        return None
    used_kib = private_kib(pid)
    return used_kib if used_kib is not None and used_kib > limit_kib else None


def total_private_kib(pids: Iterable[int]) -> int | None:
    """Private memory of several processes in KiB, or None if one of them cannot be asked."""
    total = 0
    for pid in pids:
        used_kib = private_kib(pid)
        if used_kib is None:
            return None
        total += used_kib
    return total
