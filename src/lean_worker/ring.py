"""Shared memory for a worker's frames, made by the parent and offered to the worker.

Owns the memory, its two eventfds, and how they are passed on. Linux only, with the compiled modules on both sides; a
worker that does not take the offer keeps to its pipe, and nothing else changes. LEAN_WORKER_NO_RING=1 keeps all workers
to their pipes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from typing import Any

from . import frames, protocol

RING_BYTES = 1 << 20
_SWITCH = "LEAN_WORKER_NO_RING"
_COUNTS_BYTES = 4096
"""More than the ring's own counts need."""


class Ring:
    """One worker's ring: the parent's end of it, and what the worker needs for the other.

    Raises:
        OSError: The system refuses the memory or the descriptors.
    """

    def __init__(self) -> None:
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
            self._reader = _reader_class()(self._memory_fd, RING_BYTES, self.data_fd, self._space_fd)
            self._descriptors = undo.pop_all()

    @staticmethod
    def make() -> Ring | None:
        """A ring, or None where there can be none; the worker then writes to its pipe."""
        refused = os.environ.get(_SWITCH, "") not in ("", "0")
        if refused or sys.platform != "linux" or frames.IMPLEMENTATION != "c":
            return None
        try:
            return Ring()
        except OSError:
            return None

    @property
    def passed_fds(self) -> tuple[int, ...]:
        """What the worker has to inherit."""
        return (self._memory_fd, self.data_fd, self._space_fd)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the worker of it."""
        return {protocol.RING_VARIABLE: ",".join(map(str, (*self.passed_fds, RING_BYTES)))}

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are there to be read."""
        waiting: int = self._reader.waiting_bytes
        return waiting

    def read(self, reader: frames.FrameReader, most_bytes: int) -> int:
        """Move what is there, at most `most_bytes`, into `reader`, and say how many bytes that was.

        Raises:
            MalformedFrame: The worker has written over the ring's own counts.
        """
        count: int = self._reader.read(reader, most_bytes)
        return count

    @contextlib.contextmanager
    def asleep(self) -> Iterator[bool]:
        """While the worker has to ring `data_fd` for what it writes; False if there is something to read already."""
        try:
            yield self._reader.sleep()
        finally:
            self._reader.wake()

    def clear(self) -> None:
        """Take back what the eventfd told."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.data_fd, 8)

    def close(self) -> None:
        """Give memory and descriptors back; legal twice."""
        self._reader.close()
        self._descriptors.close()


def _reader_class() -> Any:
    # Not through `frames`: it has no pure twin.
    from . import _frames

    return _frames.RingReader
