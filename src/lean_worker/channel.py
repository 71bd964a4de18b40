"""Frames between us and one child: bytes in and out of its pipes, with waits that can be ended from outside.

Owns waiting. A wait has no clock of its own: whoever sets a limit (a deadline on the monitor's thread, a cancel token
on any thread) does it through an `Interruption`, which ends the wait at once. Hides descriptors, partial reads and
writes. Knows frames but no conversation.
"""

from __future__ import annotations

import contextlib
import os

from .envelope import Message
from .errors import LeanWorkerError
from .frames import FrameReader, Row
from .process import ChildProcess

_READ_BYTES = 1 << 18
_TAKE_ITEMS = 4096


class EndOfFrames(Exception):
    """The child's frame pipe has ended; `inside_frame` says that a frame was cut off."""

    def __init__(self, inside_frame: bool) -> None:
        super().__init__(inside_frame)
        self.inside_frame = inside_frame


class Interruption:
    """At most one reason why the waits of one request must end; any thread may give it."""

    __slots__ = ("_wake_fd", "error")

    def __init__(self, wake_fd: int) -> None:
        self._wake_fd = wake_fd
        self.error: LeanWorkerError | None = None

    def set(self, error: LeanWorkerError) -> None:
        """End the waits with `error`; the first reason stays."""
        if self.error is None:
            self.error = error
        # The pipe is never full for long, and one byte in it is enough; after `close` nobody waits any more.
        with contextlib.suppress(OSError):
            os.write(self._wake_fd, b"\0")


class Channel:
    """The frames of one child; one thread at a time sends and receives, any thread may interrupt.

    Args:
        process: The child.
        limit_bytes: Largest frame body that is accepted.
    """

    def __init__(self, process: ChildProcess, limit_bytes: int) -> None:
        self._process = process
        self._reader = FrameReader(limit_bytes)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def interruption(self) -> Interruption:
        """A new way to end this channel's waits."""
        return Interruption(self._wake_write)

    def send(self, frame: bytes, interruption: Interruption) -> None:
        """Write `frame` as a whole.

        Raises:
            LeanWorkerError: The interruption's reason; part of the frame may have been written.
            EndOfFrames: The child reads no more.
        """
        rest = memoryview(frame)
        while rest:
            if interruption.error is not None:
                raise interruption.error
            try:
                rest = rest[os.write(self._process.requests_fd, rest) :]
            except BlockingIOError:
                self._process.wait_writable(self._wake_read, None)
                self._clear_wake()
            except OSError as error:
                raise EndOfFrames(inside_frame=False) from error

    def receive(self, interruption: Interruption) -> list[Row | Message]:
        """Wait for at least one frame and return all that are at hand, in order.

        Raises:
            LeanWorkerError: The interruption's reason.
            ProtocolError: The next frame is none.
            EndOfFrames: The child will send no more.
        """
        while True:
            if interruption.error is not None:
                raise interruption.error
            items = self._reader.take(_TAKE_ITEMS)
            if items:
                return items
            self._process.wait_readable(self._wake_read, None)
            self._clear_wake()
            try:
                data = os.read(self._process.frames_fd, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise EndOfFrames(inside_frame=self._reader.pending_bytes > 0) from error
            if not data:
                raise EndOfFrames(inside_frame=self._reader.pending_bytes > 0)
            self._reader.feed(data)

    def _clear_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def close(self) -> None:
        """Give the waking pipe back; the process is closed by its owner."""
        os.close(self._wake_read)
        os.close(self._wake_write)
