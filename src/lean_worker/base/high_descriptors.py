"""Descriptors above the standard three, closed in programs that are started.

A process can run with descriptors 0, 1 and 2 closed. A pipe with one of those numbers would be mistaken for standard
input or output, by a stray print in this process or by a child that puts its own standard streams there.
"""

from __future__ import annotations

import fcntl
import os

_FIRST = 3


def lifted(descriptor: int) -> int:
    """Return `descriptor`, or a duplicate above the standard three in its place; the original is then closed.

    Raises:
        OSError: No descriptor is left; `descriptor` is closed.
    """
    if descriptor >= _FIRST:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    finally:
        os.close(descriptor)


def pipe() -> tuple[int, int]:
    """Return the reading and the writing end of a new pipe.

    Raises:
        OSError: No descriptor is left.
    """
    read_end, write_end = os.pipe()
    try:
        read_end = lifted(read_end)
    except OSError:
        os.close(write_end)
        raise
    try:
        return read_end, lifted(write_end)
    except OSError:
        os.close(read_end)
        raise


def nonblocking_pipe() -> tuple[int, int]:
    """Return the reading and the writing end of a new pipe; neither blocks.

    Raises:
        OSError: No descriptor is left.
    """
    ends = pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
