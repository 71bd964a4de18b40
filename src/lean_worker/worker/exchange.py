"""One request in flight: its limits, its waits, and exactly one end.

Owns what ends a request besides its response (deadline, memory, a token, a caller who leaves), and that the worker is
idle or ended afterwards. Callers decide what rows and messages mean.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..base.forks import Owner, foreign
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..errors import (
    Cancelled,
    FrameTooLarge,
    LeanWorkerError,
    MemoryLimitExceeded,
    ProtocolError,
)
from ..steps.monitor import Monitor
from ..steps.waiting import Steps, Until
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import FrameReader, Row
from . import memory
from .channel import EndOfFrames, Inactive
from .frames_at_hand import awaiting_frames
from .states import IN_FLIGHT, State
from .worker import EXIT_SECONDS, NOT_TAKEN_IN, Worker, counted_as


class Exchange:
    """One request in flight. Made by `beginning`; used by the caller that made it.

    It ends exactly once: by `finishing`, `failing` or `abandoning`, or by an exception of `reading_more`.

    Attributes:
        interruption: Its `error` is set at once when the request must not go on: deadline passed, out of memory,
            killed or cancelled. Whoever delivers rows looks at it before each.
        is_over: Whether it has ended.
    """

    def __init__(
        self, worker: Worker, number: int, operation: str, timeout: float | None, cancel: CancelToken | None
    ) -> None:
        self._worker = worker
        self._number = number
        self._operation = operation
        self._cancel = cancel
        self.is_over = False
        self._owner = Owner()
        channel = worker.channel
        self._received_before = channel.received_bytes
        self._backpressure_before = channel.backpressure_us
        self.interruption, self._timer = worker.deadline(
            operation, timeout, entered_worker=True, kind="request", request=number
        )
        if worker.memory_policy.kill_above_kib is not None:
            self._watch_memory(worker.memory_policy.kill_above_kib)
        add_cancel_callback(cancel, self._cancelled)

    @property
    def monitor(self) -> Monitor:
        """The monitor that does the bookkeeping of its worker."""
        return self._worker.monitor

    @property
    def received_bytes(self) -> int:
        """Bytes of frames read for it so far."""
        return self._worker.channel.received_bytes - self._received_before

    @property
    def backpressure_us(self) -> int:
        """Time in which the worker waited for its caller to read, in microseconds; an upper bound."""
        return self._worker.channel.backpressure_us - self._backpressure_before

    def _cancelled(self) -> None:
        error = Cancelled(
            f"running {self._operation}: cancelled by the caller",
            command=self._operation,
            generation=self._worker.generation,
            entered_worker=True,
        )
        self.interruption.set(error)

    def _watch_memory(self, limit_kib: int) -> None:
        worker = self._worker
        watch = worker.monitor

        def look() -> None:
            if self.is_over:
                return
            used_kib = memory.exceeds(worker.pid, limit_kib, with_programs=not worker.launch.bounds_programs)
            if used_kib is None:
                watch.call_at(time.monotonic() + worker.memory_policy.sample_interval, look)
                return
            error = MemoryLimitExceeded(
                f"running {self._operation}: the memory of the worker and its programs grew to {used_kib} KiB, "
                f"at most {limit_kib} KiB are allowed; the worker was killed",
                hint="Raise MemoryPolicy(kill_above_kib=…), or ask for less at once.",
                command=self._operation,
                used_kib=used_kib,
                limit_kib=limit_kib,
                generation=worker.generation,
                entered_worker=True,
                stderr_tail=worker.process.stderr_tail(),
            )
            if worker.life.kill_request(self._number, error):
                worker.process.kill(error)
                self.interruption.set(error)

        watch.call_at(time.monotonic() + worker.memory_policy.sample_interval, look)

    def sending(self, frame: bytes) -> Steps[None]:
        """Write the request, within `Timeouts.write`; see `beginning`."""
        worker = self._worker
        interruption, timer = worker.deadline(
            self._operation, worker.timeouts.write, entered_worker=False, kind="write", request=self._number
        )
        try:
            yield from worker.channel.sending(frame, interruption)
        except EndOfFrames as end:
            doing = f"running {self._operation}"
            raise (yield from worker.losing(end, doing, entered_worker=False, missing=NOT_TAKEN_IN)) from None
        finally:
            timer.cancel()

    @property
    def reader(self) -> FrameReader:
        """The source of its rows, for a `RowCursor`."""
        return self._worker.channel.reader

    def has_more(self) -> bool:
        """Whether a whole frame is at hand; it is taken. What is no frame is left for the next request to find."""
        try:
            return bool(self.reader.take(1))
        except ProtocolError:
            return False

    @property
    def is_here(self) -> bool:
        """Whether this is the process that sent it, and no fork of it."""
        return self._owner.is_here

    @property
    def number(self) -> int:
        """Number of the request on its worker, from 1."""
        return self._number

    def check(self) -> None:
        """Refuse to go on; whoever takes frames asks before each look at what is at hand.

        Raises:
            UsageError: This is a forked child of the process that sent the request.
            RequestTimeout, MemoryLimitExceeded, Cancelled: The request was interrupted. After `Cancelled` call
                `abandoning`.
        """
        if not self._owner.is_here:
            raise foreign(f"running {self._operation}", "stream")
        self.interruption.check()

    def seconds_to_linger(self, rows: int) -> float | None:
        """Return how long to let rows come before `read_at_once`; None: they do not flow, and `reading_more` waits.

        Args:
            rows: How many the last read brought.
        """
        return self._worker.channel.seconds_to_linger(rows)

    def read_at_once(self) -> bool:
        """Read what has come into `reader`; False if there is nothing, or something else to see by `reading_more`.

        Raises:
            ProtocolError: As of `reading_more`; the worker is not ended yet.
        """
        return self._worker.channel.read_at_once()

    def reading_more(self, since: float | None) -> Steps[float]:
        """Read more bytes into `reader`, which has no whole frame.

        Args:
            since: What the last call came to, if there was no whole frame after that either; else None.

        Raises:
            LeanWorkerError: As of `check`.
            RequestTimeout: No whole frame came within `Timeouts.inactivity`; the worker is ended.
            ChildExited: The worker ended; it is reaped.
            ProtocolError: Bytes came where none may come; the worker is ended.
        """
        worker = self._worker
        inactivity = worker.timeouts.inactivity if worker.life.state is State.STREAMING else None
        now = time.monotonic()
        since = now if since is None else since
        try:
            left = None if inactivity is None else since + inactivity - now
            if left is not None and left <= 0 and since != now:
                raise Inactive  # although it was kept awake
            yield from worker.channel.reading_more(self.interruption, left)
            return since
        except EndOfFrames as end:
            error = yield from worker.losing(end, f"running {self._operation}", entered_worker=True)
        except Inactive:
            assert inactivity is not None
            error = worker.timed_out(self._operation, "inactivity", inactivity, inactivity, entered_worker=True)
        except ProtocolError as broken:
            error = broken
        try:
            yield from self.failing(error)
            raise error
        finally:
            del error  # no cycle of an error, its traceback, and this frame

    def finishing(self) -> Steps[None]:
        """The terminal response was read: the worker is idle again, unless a limit struck in that moment."""
        self._settle()
        worker = self._worker
        worker.idle_since = time.monotonic()
        worker.request_over(self._number)
        if not worker.life.end_request(self._number):
            killed = worker.kill_reason
            yield from worker.ending("cancelled" if killed is None else counted_as(killed), killed)

    def failing(self, reason: BaseException) -> Steps[None]:
        """End the worker for `reason`: it is gone, or cannot be trusted any more."""
        self._settle()
        self._worker.request_over(self._number)
        yield from self._worker.ending(counted_as(reason), reason)

    def abandoning(self, reason: BaseException, undelivered: Sequence[Row | Message]) -> Steps[None]:
        """The caller wants no more of this request: let the worker stop it and stay warm, or end the worker.

        A worker that offers `cancel` stops at its next row; what it had sent until then is read and dropped. One that
        does not, or that takes longer than `Timeouts.cancel_grace`, is killed. Does nothing if the request is over.

        Args:
            reason: Why; said by the lease if the worker has to be ended.
            undelivered: Frames that the caller took and did not look at; the response may be among them.
        """
        if self.is_over or not self._owner.is_here:
            return
        self._settle()
        worker = self._worker
        stopped = False
        why = counted_as(reason)
        try:
            in_flight = worker.life.state in IN_FLIGHT
            stopped = in_flight and (
                _has_response(undelivered)
                or _has_response(self.reader.take())
                or (yield from self._stopping_at_next_row())
            )
        except EndOfFrames:
            if (yield Until(worker.reaped, EXIT_SECONDS)) and worker.kill_reason is None:
                why = "crashed"
        except LeanWorkerError:
            pass  # not in time: ended below
        finally:
            worker.idle_since = time.monotonic()
            worker.request_over(self._number)
            if not (stopped and worker.life.end_request(self._number)):
                yield from worker.ending(why, reason)

    def _stopping_at_next_row(self) -> Steps[bool]:
        worker = self._worker
        if protocol.FEATURE_CANCEL not in worker.features:
            return False
        grace, timer = worker.deadline(
            "cancel", worker.timeouts.cancel_grace, entered_worker=True, request=self._number
        )
        try:
            yield from worker.channel.sending(protocol.encode(protocol.Cancel()), grace)
            while not _has_response((yield from awaiting_frames(worker.channel, grace))):
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
        remove_cancel_callback(self._cancel, self._cancelled)


def beginning(
    worker: Worker, request: protocol.Request, operation: str, timeout: float | None, cancel: CancelToken | None
) -> Steps[Exchange]:
    """Send a request; the exchange is over when it was finished, abandoned, or raised.

    Raises:
        StaleLease: The worker has ended, or is being ended; nothing was sent.
        UnexpectedMessage: The worker sent something although nothing was asked; nothing was sent, it is ended.
        Cancelled: The token was cancelled already; nothing was sent and the worker is as before.
        RequestTimeout: The worker did not take the request in; it is ended.
        ChildExited: The worker is gone.
        FrameTooLarge: The request is larger than the frame limit; nothing was sent.
    """
    if cancel is not None and cancel.is_cancelled:
        raise Cancelled(
            f"running {operation}: its token was cancelled before the request was sent",
            command=operation,
            generation=worker.generation,
            entered_worker=False,
            rows_delivered=0,
        )
    worker.owner.check(f"running {operation}", "lease")
    frame = _frame_of(worker, request, operation)
    # First of all: from here on the channel stays open until this request is over.
    number = worker.life.begin_request()
    if number is None:
        # It ended, or is being ended, since the caller looked.
        raise worker.gone_before(operation)
    if worker.has_spoken_unasked:
        # What it sent belongs to no request; taken for an answer to this one it would be a lie.
        yield from worker.ending_for_speaking_unasked(operation)
    worker.requests += 1
    worker.process.begin_stderr()
    exchange = Exchange(worker, number, operation, timeout, cancel)
    worker.interrupt_by(exchange.interruption)
    try:
        if worker.life.state is State.KILLING:
            # Killed in this moment, before there was an exchange to interrupt.
            raise worker.kill_reason or Cancelled("the worker was killed", entered_worker=False)
        yield from exchange.sending(frame)
    except BaseException as error:
        # Part of the request may be in the pipe: this worker cannot be asked anything else.
        yield from exchange.failing(error)
        raise
    if isinstance(request, protocol.RunDataStream):
        worker.life.move(State.STREAMING)
    return exchange


def _has_response(items: Sequence[Row | Message]) -> bool:
    return any(isinstance(item, Message) and item.type == "response" for item in items)


def _frame_of(worker: Worker, request: protocol.Request, operation: str) -> bytes:
    try:
        return protocol.encode(request, worker.limits.max_frame_bytes)
    except FrameTooLarge as error:
        length, limit = error.facts["length_bytes"], error.facts["limit_bytes"]
        raise FrameTooLarge(
            f"running {operation}: the request takes {length} bytes in a frame, which exceeds the limit of {limit}",
            hint="Raise Limits(max_frame_bytes=…) of the pool, or send less at once.",
            side="local",
            length_bytes=length,
            limit_bytes=limit,
            command=operation,
            generation=worker.generation,
            entered_worker=False,
            rows_delivered=0,
        ) from error
