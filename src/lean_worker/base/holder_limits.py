"""Number of holders that this process may keep: processes with imports that others are forked from.

The user's environment decides, or else memory and processors.
"""

from __future__ import annotations

import os

OFF_VARIABLE = "LEAN_WORKER_NO_HOLDERS"
MOST_VARIABLE = "LEAN_WORKER_MOST_HOLDERS"
_MOST_HOLDERS = 16
_HOLDER_KIB = 128 * 1024


def is_off() -> bool:
    """Return True if the environment refuses holders."""
    return os.environ.get(OFF_VARIABLE, "") not in ("", "0")


def most_holders() -> int:
    """Return how many holders this process may keep at once; 0 for none."""
    wish = os.environ.get(MOST_VARIABLE, "")
    if wish.isdecimal():
        return int(wish)
    try:
        with open("/proc/meminfo") as lines:
            free_kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return 1
    # Of a quarter of the memory, a part for each worker that there may be.
    share_kib = free_kib // 4 // (os.cpu_count() or 1)
    return max(1, min(_MOST_HOLDERS, share_kib // _HOLDER_KIB))
