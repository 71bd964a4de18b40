"""Measure of the memory that a worker has for itself; `exchange` kills a worker that has too much.

Owns what counts: private memory (USS), what would come free if the process ended, and the memory of programs that the
worker started. Resident memory (RSS) also counts
pages that all workers share, such as Lean's mapped `.olean` files, several gigabytes with Mathlib; it judges workers
for what they do not cost. (Pages of a file that only one worker maps count as its own, until a second worker maps
them too.) Hides where the figures come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..base import process_tree
from ..base.deferred import Deferred
from ..base.unbacked_memory import unbacked_kib, unbacked_share_kib

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


def exceeds(pid: int, limit_kib: int, *, with_programs: bool) -> int | None:
    """The memory of a worker in KiB if it is over the limit, else None.

    Private memory costs a walk over the process's page tables; it is never more than resident memory, which costs
    nothing, so that one is asked first.

    Args:
        pid: The worker.
        limit_kib: The most that it may have.
        with_programs: Whether the processes that it started count too (Linux), with the memory that no file backs.
    """
    programs = process_tree.descendants(pid) if with_programs else []
    try:
        if psutil.Process(pid).memory_info().rss // 1024 + sum(map(unbacked_kib, programs)) <= limit_kib:
            return None
    except (psutil.Error, OSError):  # no descriptor left to ask with
        return None
    own_kib = private_kib(pid)
    if own_kib is None:
        return None
    used_kib = own_kib + sum(map(unbacked_share_kib, programs))
    return used_kib if used_kib > limit_kib else None


def total_private_kib(pids: Iterable[int]) -> int | None:
    """Private memory of several processes in KiB, or None if one of them cannot be asked."""
    total = 0
    for pid in pids:
        used_kib = private_kib(pid)
        if used_kib is None:
            return None
        total += used_kib
    return total
