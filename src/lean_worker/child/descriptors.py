"""The child's descriptors: the protocol moves to private ones, so that no print of hosted code can corrupt it."""

from __future__ import annotations

import fcntl
import os

from ..wire.protocol import RING_VARIABLE

_FIRST_PRIVATE = 3


def claim_protocol_pipes() -> tuple[int, int]:
    """Move the protocol away from fd 0 and 1 and give those to the hosted code.

    Afterwards fd 0 reads as empty and fd 1 is fd 2, so that a stray print ends up in the worker's stderr. The private
    descriptors are not inherited by programs that the hosted code starts.

    Returns:
        The descriptors to read requests from and to write frames to.
    """
    requests_fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE)
    frames_fd = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    os.dup2(2, 1)
    return requests_fd, frames_fd


def claim_ring() -> tuple[int, int, int, int] | None:
    """Descriptors and size of the ring that the parent offers, hidden from programs that the hosted code starts."""
    offer = os.environ.pop(RING_VARIABLE, "")
    if not offer:
        return None
    memory_fd, data_fd, space_fd, size_bytes = map(int, offer.split(","))
    for descriptor in (memory_fd, data_fd, space_fd):
        os.set_inheritable(descriptor, False)
    return memory_fd, size_bytes, data_fd, space_fd
