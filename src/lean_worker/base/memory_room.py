"""A look whether this process would be given more memory, before code that does not bear a refusal asks for it.

Threads that find no memory for their first steps hang whoever starts them, and the JSON libraries end the process with
a memory fault. Only a limit on address space makes such a refusal likely: without one, Linux grants what it may lack.
"""

from __future__ import annotations

import mmap
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_DATA, getrlimit

_LEAST_BYTES = 4 << 20
_OBJECTS_PER_TEXT = 4
"""Bytes of objects for each byte of JSON text: a string with one wide character takes so many."""


def is_limited() -> bool:
    """Whether the address space of this process has a limit."""
    return getrlimit(RLIMIT_AS)[0] != RLIM_INFINITY or getrlimit(RLIMIT_DATA)[0] != RLIM_INFINITY


def check_room(size_bytes: int) -> None:
    """Find room for `size_bytes`; nothing of it is touched, or kept.

    Raises:
        MemoryError: There is none.
    """
    try:
        mmap.mmap(-1, size_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise MemoryError(f"no room for {size_bytes} bytes: {error}") from error


def check_room_for_values(text_bytes: int) -> None:
    """Find room for the values of a JSON text of that size, if the address space is limited.

    Raises:
        MemoryError: There is none.
    """
    if text_bytes and is_limited():
        check_room(max(_LEAST_BYTES, _OBJECTS_PER_TEXT * text_bytes))
