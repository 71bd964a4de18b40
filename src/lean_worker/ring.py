"""Shared memory for a worker's frames, made by the parent and offered to the worker.

Owns the memory, its two eventfds, and how they are passed on. Linux only, with the compiled modules on both sides; a
worker that does not take the offer keeps to its pipe, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys

from . import frames, protocol

RING_BYTES = 1 << 20
_COUNTS_BYTES = 4096
"""More than the ring's own counts need."""


class Ring:
    """One worker's ring: the parent's end of it, and what the worker needs for the other.

    Raises:
        OSError: The system refuses the memory or the descriptors.
    """

    def __init__(self) -> None:
        from ._frames import RingReader

        with contextlib.ExitStack() as undo:
            self._memory_fd = os.memfd_create("lean-worker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            undo.callback(os.close, self._memory_fd)
            os.ftruncate(self._memory_fd, _COUNTS_BYTES + RING_BYTES)
            # A worker that could make it smaller could make its parent fault.
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self._memory_fd, fcntl.F_ADD_SEALS, seals)
            self.data_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            undo.callback(os.close, self.data_fd)
            self._space_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            undo.callback(os.close, self._space_fd)
            self.reader = RingReader(self._memory_fd, RING_BYTES, self.data_fd, self._space_fd)
            self._descriptors = undo.pop_all()

    @staticmethod
    def is_possible() -> bool:
        """Whether this side can have one."""
        return sys.platform == "linux" and frames.IMPLEMENTATION == "c"

    @property
    def passed_fds(self) -> tuple[int, ...]:
        """What the worker has to inherit."""
        return (self._memory_fd, self.data_fd, self._space_fd)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the worker of it."""
        return {protocol.RING_VARIABLE: ",".join(map(str, (*self.passed_fds, RING_BYTES)))}

    def clear(self) -> None:
        """Take back what the eventfd told."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.data_fd, 8)

    def close(self) -> None:
        """Give memory and descriptors back; legal twice."""
        self.reader.close()
        self._descriptors.close()
