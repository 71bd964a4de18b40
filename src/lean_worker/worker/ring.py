"""Shared memory for a worker's frames, made by the parent and offered to the worker.

Owns the memory, its two wake-up pipes, and how they are passed on. Linux only, with the compiled modules on both sides;
a worker that does not take the offer keeps to its pipe, and nothing else changes. LEAN_WORKER_NO_RING=1 keeps all
workers to their pipes.

The two sides share the memory and no open file description. The ends of a pipe have one each, so that hosted code
cannot change the flags of ours; an eventfd has one for both sides, and the side that clears its O_NONBLOCK can make the
other one block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from contextlib import AbstractContextManager
from typing import Any

from ..base import high_descriptors, linux_calls
from ..wire import frames, protocol

RING_BYTES = 1 << 20
_SWITCH = "LEAN_WORKER_NO_RING"
_COUNTS_BYTES = 4096
"""More than the ring's own counts need."""
_WAKE_BYTES = 4096


class Ring:
    """One worker's ring: the parent's end of it, and what the worker needs for the other.

    Attributes:
        data_fd: Readable when there are bytes for a reader that sleeps, and when the worker has closed its end.
        passed_fds: Descriptors that the worker has to inherit.
        environment: The variable that offers them to the worker.

    Raises:
        OSError: The system refuses the memory or the descriptors.
    """

    def __init__(self) -> None:
        with contextlib.ExitStack() as undo:

            def kept(descriptor: int) -> int:
                undo.callback(os.close, descriptor)
                return descriptor

            passed = undo.enter_context(contextlib.ExitStack())
            memory_fd = high_descriptors.lifted(linux_calls.memory_file("lean-worker", takes_seals=True))
            passed.callback(os.close, memory_fd)
            os.ftruncate(memory_fd, _COUNTS_BYTES + RING_BYTES)
            # A worker that could make it smaller could make its parent fault.
            seals = linux_calls.F_SEAL_SHRINK | linux_calls.F_SEAL_GROW | linux_calls.F_SEAL_SEAL
            fcntl.fcntl(memory_fd, linux_calls.F_ADD_SEALS, seals)
            self.data_fd, data_end = high_descriptors.nonblocking_pipe()
            kept(self.data_fd)
            passed.callback(os.close, data_end)
            # Both ends stay open here: a write never meets a pipe that nobody reads, and so no SIGPIPE.
            space_end, space_fd = map(kept, high_descriptors.nonblocking_pipe())
            for descriptor in (self.data_fd, space_fd):
                # One page of the user's quota is enough for wakes.
                with contextlib.suppress(OSError):
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _WAKE_BYTES)
            self._reader = _reader_class()(memory_fd, RING_BYTES, space_fd)
            self.passed_fds: tuple[int, ...] = (memory_fd, data_end, space_end)
            self.environment = {protocol.RING_VARIABLE: ",".join(map(str, (*self.passed_fds, RING_BYTES)))}
            self._passed = passed.pop_all()
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

    def hand_over(self) -> None:
        """Close what only the worker needs; it has started, and from now on `data_fd` shows its end. Legal twice."""
        self._passed.close()

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

    def asleep(self) -> AbstractContextManager[bool]:
        """While the worker has to wake `data_fd` for what it writes; False if there is something to read already."""
        sleeping: AbstractContextManager[bool] = self._reader
        return sleeping

    def clear(self) -> bool:
        """Take back what the wake-up pipe told, or a part of it; False once the worker has closed its end."""
        try:
            return bool(os.read(self.data_fd, _WAKE_BYTES))
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Give memory and descriptors back; legal twice."""
        self._reader.close()
        self._passed.close()
        self._descriptors.close()


def _reader_class() -> Any:
    # Not through `frames`: it has no pure twin.
    from .. import _frames

    return _frames.RingReader
