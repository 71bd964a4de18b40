"""Frames between us and one child: bytes in and out of its pipes, with waits that can be ended from outside.

Owns what is waited for, when bytes move, and the measure of the time in which the child had to wait for us. A wait has
no clock of its own but the one for inactivity: whoever sets another limit (a deadline on the monitor's thread, a cancel
token on any thread) does it through an `Interruption`, which ends the wait at once. Hides descriptors, partial reads
and writes. Knows frames but no conversation.
"""

from __future__ import annotations

import array
import contextlib
import copy
import fcntl
import operator
import os
import termios
import time
from collections.abc import Callable

from ..base import high_descriptors
from ..base.forks import Descriptor, Owner
from ..base.pipe_writes import write_without_signal
from ..base.system_errors import PassingOver, is_of_system
from ..errors import LeanWorkerError, UnexpectedMessage
from ..steps.waiting import Pause, Steps
from ..wire.frames import Flag, FrameReader
from .pace import LEAST_SECONDS, Pace
from .process import ChildProcess
from .ring import RING_BYTES, Ring

_READ_BYTES = 1 << 18
_MOST_LEFT_BYTES = 1 << 26
_NOTICED_AWAY_SECONDS = 0.001
_PAUSE = Pause()
_LINGER = Pause(LEAST_SECONDS)


class EndOfFrames(Exception):
    """The child's frame pipe has ended; `inside_frame` says that a frame was cut off."""

    def __init__(self, inside_frame: bool) -> None:
        super().__init__(inside_frame)
        self.inside_frame = inside_frame


class Inactive(Exception):
    """Nothing came for as long as the caller was ready to wait."""


class Interruption:
    """At most one reason why the waits of one request must end; any thread may give it.

    Attributes:
        flag: Set when there is one.
    """

    __slots__ = ("_error", "_wake", "flag")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._error: LeanWorkerError | None = None
        self.flag = Flag()

    @property
    def error(self) -> LeanWorkerError | None:
        """The reason, or None; a copy, to be raised.

        The worker holds the reason. Raised, it would hold the frames that it went through, and they the request.
        """
        return copy.copy(self._error)

    def set(self, error: LeanWorkerError) -> None:
        """End the waits with `error`; the first reason stays."""
        self.note(error)
        self._wake()

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self._error is None:
            return
        error = self.error
        assert error is not None, "the first reason stays"
        try:
            raise error
        finally:
            del error  # no cycle of an error, its traceback, and this frame

    def note(self, error: LeanWorkerError) -> None:
        """Have the next wait end with `error`, and wake nobody."""
        if self._error is None:
            self._error = error
        self.flag.set()


class _Waker:
    """A pipe that ends waits. Whoever writes to it holds it, so that it is never closed under a writer."""

    __slots__ = ("_owner", "_read", "_write")

    def __init__(self) -> None:
        self._owner = Owner()
        self._read, self._write = (Descriptor(operator.index, end) for end in high_descriptors.nonblocking_pipe())

    @property
    def read_fd(self) -> int:
        return self._read.fd

    def wake(self) -> None:
        # The pipe is full only of wakes that nobody has looked at yet.
        with contextlib.suppress(BlockingIOError):
            if self._owner.is_here:
                os.write(self._write.fd, b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read.fd, 4096)


class Channel:
    """The frames of one child; one caller at a time sends and receives, any thread may interrupt.

    What it holds of rows that nobody has taken yet is bounded in bytes: the pipe or the ring (1 MiB where the system
    grants it), one read of 256 KiB, and one frame of the largest size that is allowed.

    Args:
        process: The child.
        limit_bytes: Largest frame body that is accepted.
        ring: Offered to the child; closed with the channel.

    Attributes:
        reader: Holds what was read and not taken.
        received_bytes: Bytes read from the child so far.
        backpressure_us: Time in which the child could not write because nobody read, as far as can be told from here:
            the time between two reads when the pipe is at least half full after it. (A full pipe can hold half its size
            in bytes: rows of a little more than half a page leave the rest of each page empty.)
    """

    def __init__(self, process: ChildProcess, limit_bytes: int, ring: Ring | None = None) -> None:
        self._process = process
        self._offered_ring = ring
        self._ring: Ring | None = None
        self._has_strayed = False
        self.reader = FrameReader(limit_bytes)
        self._waker: _Waker | None = _Waker()
        self._last_bytes: int | None = None
        # Whoever inherited the worker's pipes may hold them open for ever.
        process.ended.add_callback(self._wake)
        self._left_at: float | None = None
        self._pace = Pace()
        self.received_bytes = 0
        self.backpressure_us = 0

    def use_ring(self) -> None:
        """The child has said in its handshake that all further frames come through the ring.

        Raises:
            UnexpectedMessage: It was offered none.
        """
        if self._offered_ring is None:
            raise UnexpectedMessage("starting a worker: it took a ring that it was not offered", side="remote")
        self._ring = self._offered_ring
        self._ring.hand_over()

    @property
    def _room_bytes(self) -> int:
        """Bytes that the child can write before it has to wait."""
        return self._process.pipe_bytes if self._ring is None else RING_BYTES

    def interruption(self) -> Interruption:
        """A new way to end this channel's waits."""
        return Interruption(self._wake)

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            waker.wake()

    @property
    def _wake_read(self) -> int:
        waker = self._waker
        assert waker is not None, "a closed channel waits for nothing"
        return waker.read_fd

    def sending(self, frame: bytes, interruption: Interruption) -> Steps[None]:
        """Write `frame` as a whole.

        Raises:
            LeanWorkerError: The interruption's reason; part of the frame may have been written.
            EndOfFrames: The child reads no more.
        """
        rest = memoryview(frame)
        while rest:
            interruption.check()
            if self._process.ended.is_set:
                raise EndOfFrames(inside_frame=False)
            try:
                rest = rest[write_without_signal(self._process.requests_fd, rest) :]
            except BlockingIOError:
                yield self._process.writable(self._wake_read)
                self._clear_wake()
            except OSError as error:
                if not is_of_system(error):
                    raise
                raise EndOfFrames(inside_frame=False) from error
        self._left_at = None

    def reading_more(self, interruption: Interruption, timeout: float | None = None) -> Steps[None]:
        """Wait for bytes and read them; the caller looks then whether a whole frame is at hand in `reader`.

        Comes back without bytes when it was woken for nothing.

        Args:
            interruption: What may end the wait.
            timeout: Seconds to wait; None for no limit.

        Raises:
            LeanWorkerError: The interruption's reason.
            ProtocolError: Bytes came where none may come.
            EndOfFrames: The child will send no more.
            Inactive: Nothing came within `timeout`.
        """
        interruption.check()
        if self._has_strayed:
            raise UnexpectedMessage("reading a worker's frames: bytes came by the pipe, past its ring", side="remote")
        started_at = self._come_back()
        if self._pace.linger_seconds(1, self._room_bytes):
            yield _LINGER
        if self._process.ended.is_set:
            count = self._read_last()
        elif self._ring is None:
            count = yield from self._reading_pipe(timeout)
        else:
            count = yield from self._reading_ring(self._ring, timeout)
        self._leave(started_at, count)

    def seconds_to_linger(self, rows: int) -> float | None:
        """Return how long to let frames come before `read_at_once`; None: they do not flow, and `reading_more` waits.

        Args:
            rows: What the last read brought.
        """
        seconds = self._pace.linger_seconds(rows, self._room_bytes)
        if seconds is None or self._left_at is None:
            return None
        return max(self._left_at + seconds - time.monotonic(), 0.0) if seconds else seconds

    def read_at_once(self) -> bool:
        """Read what has come while rows flow; False if there is nothing, or something else to see.

        Does not wait, and says nothing of the child's end: `reading_more` does both.

        Raises:
            MalformedFrame: The worker has written over the ring's own counts.
        """
        self._pace.stop()
        if self._has_strayed or self._process.ended.is_set:
            return False
        started_at = self._come_back()
        count = 0
        if self._ring is not None:
            count = self._ring.read(self.reader, _READ_BYTES)
        else:
            count = self._read_if_ready(_READ_BYTES)
        if count:
            self._leave(started_at, count)
        return count > 0

    def _read_if_ready(self, most_bytes: int) -> int:
        """Read what is in the pipe; 0 if there is nothing, or something else to see."""
        with PassingOver():
            return self.reader.read(self._process.frames_fd, most_bytes)
        return 0

    def _come_back(self) -> float:
        """The caller looks for more; comes to the time."""
        now = time.monotonic()
        if self._left_at is not None:
            self._measure_backpressure(now - self._left_at)
        return now

    def _leave(self, started_at: float, count: int) -> None:
        """The caller goes with `count` bytes more."""
        self.received_bytes += count
        now = time.monotonic()
        self._pace.read(count, now - (self._left_at or started_at))
        self._left_at = now

    def _read_last(self) -> int:
        """Read on after the child was reaped: what it left behind, and nothing that anybody has added since.

        A process that the child started may hold the pipe or the ring open, and even write to them.
        """
        ring = self._ring
        if self._last_bytes is None:
            self._last_bytes = min(self._waiting_in_pipe() if ring is None else ring.waiting_bytes, _MOST_LEFT_BYTES)
        most = min(self._last_bytes, _READ_BYTES)
        count = 0
        if most and ring is not None:
            count = ring.read(self.reader, most)
        elif most:
            count = self._read_if_ready(most)
        if not count:
            raise EndOfFrames(inside_frame=self.reader.pending_bytes > 0)
        self._last_bytes -= count
        return count

    def _reading_pipe(self, timeout: float | None) -> Steps[int]:
        ready = yield self._process.readable((self._wake_read,), timeout)
        if not ready:
            raise Inactive
        if self._wake_read in ready:
            self._clear_wake()
        try:
            count = self.reader.read(self._process.frames_fd, _READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError as error:
            if not is_of_system(error):
                raise
            raise EndOfFrames(inside_frame=self.reader.pending_bytes > 0) from error
        if not count:
            raise EndOfFrames(inside_frame=self.reader.pending_bytes > 0)
        return count

    def _reading_ring(self, ring: Ring, timeout: float | None) -> Steps[int]:
        """The pipe only tells of the child's end now; what was in the ring by then is read first."""
        count = ring.read(self.reader, _READ_BYTES)
        if count:
            yield _PAUSE  # a worker that is always ahead would keep a loop to itself
            return count
        with ring.asleep() as is_empty:
            if not is_empty:
                return 0
            ready = yield self._process.readable((ring.data_fd, self._wake_read), timeout)
        if not ready:
            raise Inactive
        if self._wake_read in ready:
            self._clear_wake()
        is_closed = ring.data_fd in ready and not ring.clear()
        if self._process.frames_fd not in ready and not is_closed:
            return ring.read(self.reader, _READ_BYTES)
        stray = b""
        with PassingOver():
            stray = os.read(self._process.frames_fd, _READ_BYTES)
        count = ring.read(self.reader, RING_BYTES)
        if stray:
            self._has_strayed = True  # raised at the next read: the frames from before are whole
        elif not count:
            raise EndOfFrames(inside_frame=self.reader.pending_bytes > 0)
        return count

    def is_quiet(self) -> bool:
        """Whether the child has sent nothing that was not taken; between requests it has nothing to say."""
        if self.reader.pending_bytes or (self._ring is not None and self._ring.waiting_bytes):
            return False
        ready = self._process.readable((self._wake_read,), 0).look()
        if ready == [self._wake_read]:
            self._clear_wake()  # it was for a request that had ended by then
            return True
        return not ready

    def _measure_backpressure(self, away: float) -> None:
        if away < _NOTICED_AWAY_SECONDS:
            return
        if self._ring is not None:
            waiting_bytes, room_bytes = self._ring.waiting_bytes, RING_BYTES
        else:
            waiting_bytes, room_bytes = self._waiting_in_pipe(), self._process.pipe_bytes
        if 2 * waiting_bytes >= room_bytes:
            self.backpressure_us += int(away * 1e6)

    def _waiting_in_pipe(self) -> int:
        waiting = array.array("i", [0])
        with PassingOver():
            fcntl.ioctl(self._process.frames_fd, termios.FIONREAD, waiting)
        return waiting[0]

    def _clear_wake(self) -> None:
        waker = self._waker
        if waker is not None:
            waker.clear()

    def close(self) -> None:
        """Give the waking pipe and the ring back, when nobody waits any more; the process is closed by its owner."""
        self._process.ended.remove_callback(self._wake)
        self._waker = None
        if self._offered_ring is not None:
            self._offered_ring.close()

    def leave_to_parent(self) -> None:
        """In a forked child, right after the fork: hold nothing open, and leave the ring's memory as it is."""
        self._waker = None
        if self._offered_ring is not None:
            self._offered_ring.close()
