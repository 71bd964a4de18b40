"""Huge pages for a process that is forked often, on Linux.

A fork copies an entry for each page that its parent has written to, and its end gives them back one by one. So what the
parent has written goes into pages of 2 MiB where it fills them. The 2 MiB behind it get small pages: a fork gets its
first memory there, and the kernel would clear a huge page for one that needs a few KiB. Only costs depend on this; what
the system refuses is left as it is.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

_HUGE_BYTES = 2 << 20
_PAGES = _HUGE_BYTES // mmap.PAGESIZE
_LEAST_USED = _PAGES * 3 // 4
_MADV_NOHUGEPAGE, _MADV_COLLAPSE = 15, 25

_libc = ctypes.CDLL(None)


def settle() -> None:
    """Lay out this process's memory for its forks."""
    for start, end in _areas():
        # Only whole huge pages count.
        first = -(-start // _HUGE_BYTES) * _HUGE_BYTES
        size = (end - first) // _HUGE_BYTES * _HUGE_BYTES
        used = (ctypes.c_ubyte * max(0, size // mmap.PAGESIZE))()
        if size <= 0 or _libc.mincore(ctypes.c_void_p(first), ctypes.c_size_t(size), used) != 0:
            continue
        resident = bytes(used)
        behind = -(-(resident.rfind(1) + 1) // _PAGES)
        for number in range(behind):
            if resident.count(1, number * _PAGES, (number + 1) * _PAGES) >= _LEAST_USED:
                _advise(first + number * _HUGE_BYTES, _MADV_COLLAPSE)
        if 0 < behind < size // _HUGE_BYTES:
            _advise(first + behind * _HUGE_BYTES, _MADV_NOHUGEPAGE)


def _advise(address: int, advice: int) -> None:
    _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(_HUGE_BYTES), advice)


def _areas() -> Iterator[tuple[int, int]]:
    """Memory that no file backs and this process may write to."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            place, rights, _, _, inode, *path = line.split(maxsplit=5)
            if rights == "rw-p" and inode == "0" and (not path or path[0].startswith("[heap]")):
                start, end = place.split("-")
                yield int(start, 16), int(end, 16)
