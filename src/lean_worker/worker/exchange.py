"""One request in flight: its limits, its waits, and exactly one end.

Owns what ends a request besides its response (deadline, memory, a token, a caller who leaves), and that the worker is
idle or ended afterwards. Part of the supervisor, in a file of its own. Callers decide what rows and messages mean.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.forks import Home, foreign
from ..cancel import CancelToken
from ..errors import (
    Cancelled,
    ChildExited,
    LeanWorkerError,
    MemoryLimitExceeded,
    ProtocolError,
    RequestTimeout,
    StaleLease,
)
from ..steps import monitor
from ..steps.waiting import Steps, Until
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import FrameReader, Row, RowCursor
from . import memory
from .channel import EndOfFrames, Inactive
from .states import IN_FLIGHT, State

if TYPE_CHECKING:
    from .supervisor import Supervisor

EXIT_SECONDS = 2.0
"""How long a child whose frame pipe has ended may take to end itself before it is killed."""

_WHY: tuple[tuple[type[BaseException], str], ...] = (
    (RequestTimeout, "timeout"),
    (MemoryLimitExceeded, "memory"),
    (ProtocolError, "protocol"),
    (ChildExited, "crashed"),
    (StaleLease, "closed"),
)
"""What each failure is counted as; any other end in the middle of a request is the caller's own wish."""


class Exchange:
    """One request in flight. Made by `Supervisor.beginning`; used by the caller that made it.

    It ends exactly once: by `finishing`, `failing` or `abandoning`, or by an exception of `receiving`.

    Attributes:
        interruption: Its `error` is set at once when the request must not go on: deadline passed, out of memory,
            killed or cancelled. Whoever delivers rows looks at it before each.
        is_over: Whether it has ended.
    """

    def __init__(
        self, supervisor: Supervisor, number: int, operation: str, timeout: float | None, cancel: CancelToken | None
    ) -> None:
        self._supervisor = supervisor
        self._number = number
        self._operation = operation
        self._cancel = cancel
        self.is_over = False
        self._home = Home()
        self._rows: weakref.ref[RowCursor] | None = None
        self._rows_seen = 0
        channel = supervisor.channel
        self._received_before = channel.received_bytes
        self._backpressure_before = channel.backpressure_us
        self.interruption, self._timer = supervisor._deadline(
            operation, timeout, entered_worker=True, kind="request", request=number
        )
        if supervisor._memory_policy.kill_above_kib is not None:
            self._watch_memory(supervisor._memory_policy.kill_above_kib)
        if cancel is not None:
            cancel._subscribe(self._cancelled)

    def delivers(self, rows: RowCursor) -> None:
        """From now on these are what `rows_delivered` counts."""
        self._rows = weakref.ref(rows)

    @property
    def rows_delivered(self) -> int:
        """Rows handed to its caller so far; never goes back, also if the caller has dropped them."""
        rows = None if self._rows is None else self._rows()
        if rows is not None:
            self._rows_seen = rows.rows_delivered
        return self._rows_seen

    @property
    def received_bytes(self) -> int:
        """Bytes of frames read for it so far."""
        return self._supervisor.channel.received_bytes - self._received_before

    @property
    def backpressure_us(self) -> int:
        """Time in which the worker waited for its caller to read, in microseconds; an upper bound."""
        return self._supervisor.channel.backpressure_us - self._backpressure_before

    def _cancelled(self) -> None:
        error = Cancelled(
            f"running {self._operation}: cancelled by the caller",
            command=self._operation,
            generation=self._supervisor.generation,
            entered_worker=True,
        )
        self.interruption.set(error)

    def _watch_memory(self, limit_kib: int) -> None:
        supervisor = self._supervisor
        watch = monitor.shared()

        def look() -> None:
            if self.is_over:
                return
            used_kib = memory.exceeds(supervisor.pid, limit_kib)
            if used_kib is None:
                watch.call_at(time.monotonic() + supervisor._memory_policy.sample_interval, look)
                return
            error = MemoryLimitExceeded(
                f"running {self._operation}: the worker's private memory grew to {used_kib} KiB, "
                f"at most {limit_kib} KiB are allowed; the worker was killed",
                hint="Raise MemoryPolicy(kill_above_kib=…), or ask for less at once.",
                command=self._operation,
                used_kib=used_kib,
                limit_kib=limit_kib,
                generation=supervisor.generation,
                entered_worker=True,
                stderr_tail=supervisor.process.stderr_tail(),
            )
            if supervisor.life.kill_request(self._number):
                supervisor.process.kill(error)
                self.interruption.set(error)

        watch.call_at(time.monotonic() + supervisor._memory_policy.sample_interval, look)

    def _sending(self, frame: bytes) -> Steps[None]:
        supervisor = self._supervisor
        interruption, timer = supervisor._deadline(
            self._operation, supervisor._timeouts.write, entered_worker=False, kind="write", request=self._number
        )
        try:
            yield from supervisor.channel.sending(frame, interruption)
        except EndOfFrames as end:
            raise (yield from supervisor._losing(end, f"running {self._operation}", entered_worker=False)) from None
        finally:
            timer.cancel()

    @property
    def reader(self) -> FrameReader:
        """Where its rows come from, for a `RowCursor`."""
        return self._supervisor.channel.reader

    def has_more(self) -> bool:
        """Whether a whole frame is at hand; it is taken. What is no frame is left for the next request to find."""
        try:
            return bool(self.reader.take(1))
        except ProtocolError:
            return False

    @property
    def is_here(self) -> bool:
        """Whether this is the process that sent it, and no fork of it."""
        return self._home.is_here

    @property
    def number(self) -> int:
        """Number of the request on its worker, from 1."""
        return self._number

    def receiving(self, rows: RowCursor | None = None) -> Steps[list[Row | Message]]:
        """Wait for rows and messages; all that are at hand, in order, at least one.

        With `rows` one message, or [] when `rows` has rows to hand out.

        Raises:
            RequestTimeout, MemoryLimitExceeded, Cancelled: The request was interrupted. After `Cancelled` call
                `abandoning`.
            ChildExited: The worker ended; it is reaped.
            ProtocolError: The worker sent what is no frame; it is ended.
        """
        if not self._home.is_here:
            raise foreign(f"running {self._operation}", "stream")
        supervisor = self._supervisor
        is_streaming = supervisor.life.state is State.STREAMING
        inactivity = supervisor._timeouts.inactivity if is_streaming else None
        try:
            return (yield from supervisor.channel.receiving(self.interruption, inactivity, rows))
        except EndOfFrames as end:
            error = yield from supervisor._losing(end, f"running {self._operation}", entered_worker=True)
        except Inactive:
            assert inactivity is not None
            error = supervisor._timed_out(self._operation, "inactivity", inactivity, inactivity, entered_worker=True)
        except ProtocolError as broken:
            error = broken
        yield from self.failing(error)
        raise error

    def finishing(self) -> Steps[None]:
        """The terminal response was read: the worker is idle again, unless a limit struck in that moment."""
        self._settle()
        supervisor = self._supervisor
        supervisor.idle_since = time.monotonic()
        supervisor.request_over(self._number)
        if not supervisor.life.end_request(self._number):
            killed = supervisor.process.kill_reason
            yield from supervisor._ending("cancelled" if killed is None else counted_as(killed), killed)

    def failing(self, reason: BaseException) -> Steps[None]:
        """End the worker for `reason`: it is gone, or cannot be trusted any more."""
        self._settle()
        self._supervisor.request_over(self._number)
        yield from self._supervisor._ending(counted_as(reason), reason)

    def abandoning(self, reason: BaseException, undelivered: Sequence[Row | Message]) -> Steps[None]:
        """The caller wants no more of this request: let the worker stop it and stay warm, or end the worker.

        A worker that offers `cancel` stops at its next row; what it had sent until then is read and dropped. One that
        does not, or that takes longer than `Timeouts.cancel_grace`, is killed. Does nothing if the request is over.

        Args:
            reason: Why; said by the lease if the worker has to be ended.
            undelivered: What `receiving` came to and the caller did not look at; the response may be among it.
        """
        if self.is_over or not self._home.is_here:
            return
        self._settle()
        supervisor = self._supervisor
        stopped = False
        why = counted_as(reason)
        try:
            in_flight = supervisor.life.state in IN_FLIGHT
            stopped = in_flight and (
                _has_response(undelivered)
                or _has_response(self.reader.take())
                or (yield from self._stopping_at_next_row())
            )
        except EndOfFrames:
            if (yield Until(supervisor.reaped, EXIT_SECONDS)) and supervisor.process.kill_reason is None:
                why = "crashed"
        except LeanWorkerError:
            pass  # not in time: ended below
        finally:
            supervisor.idle_since = time.monotonic()
            supervisor.request_over(self._number)
            if not (stopped and supervisor.life.end_request(self._number)):
                yield from supervisor._ending(why, reason)

    def _stopping_at_next_row(self) -> Steps[bool]:
        supervisor = self._supervisor
        if protocol.FEATURE_CANCEL not in supervisor.features:
            return False
        grace, timer = supervisor._deadline(
            "cancel", supervisor._timeouts.cancel_grace, entered_worker=True, request=self._number
        )
        try:
            yield from supervisor.channel.sending(protocol.encode(protocol.Cancel()), grace)
            while not _has_response((yield from supervisor.channel.receiving(grace))):
                pass
            return True
        finally:
            timer.cancel()

    def _settle(self) -> None:
        self.is_over = True
        self.let_go()

    def let_go(self) -> None:
        """Cancel its limits; legal twice."""
        self._timer.cancel()
        if self._cancel is not None:
            self._cancel._unsubscribe(self._cancelled)


def counted_as(reason: BaseException) -> str:
    """What a worker that ends for `reason` in the middle of a request is counted as."""
    return next((name for kind, name in _WHY if isinstance(reason, kind)), "cancelled")


def _has_response(items: Sequence[Row | Message]) -> bool:
    return any(isinstance(item, Message) and item.type == "response" for item in items)
