"""The memory of a process that no file backs, also where it was moved to swap: what it takes from all others.

Lean maps `.olean` files, gigabytes with Mathlib, and all processes share those pages: they do not count. Only Linux
tells.
"""

from __future__ import annotations

import contextlib
import re

_OWN_SIZES = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s*([0-9]+) kB$", re.MULTILINE)
_SIZES = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s*([0-9]+) kB$", re.MULTILINE)


def unbacked_kib(pid: int) -> int:
    """Return the memory of a process that no file backs, in KiB; 0 if it is gone, or where the system does not tell.

    A fork counts what it shares with the process that it came from.
    """
    return _sum_kib(f"/proc/{pid}/status", _SIZES)


def unbacked_share_kib(pid: int) -> int:
    """Return the same with its share of what it has in common with other processes: exact, by a walk over its pages."""
    return _sum_kib(f"/proc/{pid}/smaps_rollup", _OWN_SIZES)


def _sum_kib(file: str, sizes: re.Pattern[bytes]) -> int:
    with contextlib.suppress(OSError), open(file, "rb") as opened:
        return sum(map(int, sizes.findall(opened.read())))
    return 0
