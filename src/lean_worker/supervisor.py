"""One worker's life: start, handshake, one request at a time, orderly end.

Owns which state a worker is in, its deadlines, and what is done when a request does not end by itself. Hides the
process and its channel. Callers decide what rows and messages mean. After any failure the worker is either idle or
ended, never in between.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence

from . import monitor, protocol
from .cancel import CancelToken
from .capability import Launch
from .channel import Channel, EndOfFrames, Interruption
from .envelope import Message
from .errors import (
    Cancelled,
    CapabilityError,
    ChildExited,
    LeanWorkerError,
    MalformedFrame,
    ProtocolError,
    RequestTimeout,
    UnexpectedMessage,
    UsageError,
    VersionMismatch,
)
from .frames import Row
from .policy import Limits, Timeouts
from .process import ChildProcess

_EXIT_SECONDS = 2.0
"""How long a child whose frame pipe has ended may take to end itself before it is killed."""


class State(enum.Enum):
    """What a worker is doing."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    ENDED = "ended"


_TRANSITIONS = {
    State.STARTING: {State.IDLE, State.ENDED},
    State.IDLE: {State.BUSY, State.ENDED},
    State.BUSY: {State.IDLE, State.ENDED},
    State.ENDED: set(),
}


class Supervisor:
    """One live worker. One thread at a time uses it; it does not survive a fork in the forked child.

    Args:
        launch: What to start.
        timeouts: Its time limits.
        limits: Its size limits.
        generation: Which worker of its kind this is, from 0; named in every failure.

    Raises:
        CapabilityError: The program cannot be started, or it says that it cannot host what it should.
        ChildExited: It ended before its handshake.
        RequestTimeout: No handshake came within `timeouts.startup`.
        ProtocolError: What came was no handshake of protocol 10.
    """

    def __init__(self, launch: Launch, timeouts: Timeouts, limits: Limits, generation: int) -> None:
        self._launch = launch
        self._timeouts = timeouts
        self._limits = limits
        self.generation = generation
        self.state = State.STARTING
        self.end_reason: str | None = None
        self.features: frozenset[str] = frozenset()
        self._process = ChildProcess(launch.argv, launch.env, launch.cwd, limits.stderr_tail_bytes)
        self._channel = Channel(self._process, limits.max_frame_bytes)
        try:
            self._open()
        except BaseException as error:
            self._end(error)
            raise

    @property
    def pid(self) -> int:
        """For memory samples; never shown to callers."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it can never serve again."""
        return self.state is State.ENDED or self._process.has_ended

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent: idle, and the process still there."""
        return self.state is State.IDLE and not self._process.has_ended

    # -- start --

    def _open(self) -> None:
        interruption, timer = self._deadline("start-up", self._timeouts.startup, entered_worker=False)
        try:
            self._accept_handshake(self._channel.receive(interruption))
            limit = protocol.ConfigureFrameLimit(self._limits.max_frame_bytes)
            self._channel.send(protocol.encode(limit), interruption)
        except EndOfFrames as end:
            raise self._start_failure(end) from None
        finally:
            timer.cancel()
        self._move(State.IDLE)

    def _accept_handshake(self, items: list[Row | Message]) -> None:
        first = items[0]
        message = None if isinstance(first, Row) else protocol.decode(first)
        if not isinstance(message, protocol.Handshake) or len(items) > 1:
            got = "a data row" if isinstance(first, Row) else f"a {first.type!r} message"
            if isinstance(message, protocol.Handshake):
                got = "more frames than one"
            raise UnexpectedMessage(
                f"starting a worker: expected its handshake, got {got}", side="remote", hint=_HINT_NOT_A_WORKER
            )
        if message.protocol_version != protocol.PROTOCOL_VERSION:
            raise VersionMismatch(
                f"starting a worker: expected protocol version {protocol.PROTOCOL_VERSION}, "
                f"its handshake says {message.protocol_version}",
                hint="Use the same release of lean-worker on both sides.",
                side="remote",
                expected=protocol.PROTOCOL_VERSION,
                received=message.protocol_version,
            )
        self.features = frozenset(message.features)

    def _start_failure(self, end: EndOfFrames) -> LeanWorkerError:
        lost = self._lost(end, "starting a worker", entered_worker=False)
        if not isinstance(lost, ChildExited) or lost.facts["exit_code"] != protocol.EXIT_HOST_FAILED:
            return lost
        return CapabilityError(
            f"starting a worker: {self._launch.description} cannot be hosted",
            hint="The worker's own words are above.",
            stderr_tail=lost.facts["stderr_tail"],
            exit_code=protocol.EXIT_HOST_FAILED,
        )

    # -- one request --

    def begin(
        self, request: protocol.Request, operation: str, timeout: float | None, cancel: CancelToken | None
    ) -> Exchange:
        """Send a request; the exchange is over when it was finished, abandoned, or raised.

        Raises:
            Cancelled: The token was cancelled already; nothing was sent and the worker is as before.
            RequestTimeout: The worker did not take the request in; it is ended.
            ChildExited: The worker is gone.
            FrameTooLarge: The request is larger than the frame limit; nothing was sent.
        """
        if self.state is not State.IDLE:
            raise UsageError(f"running {operation}: the worker is {self.state.value}, not idle", command=operation)
        if cancel is not None and cancel.is_cancelled:
            raise Cancelled(
                f"running {operation}: its token was cancelled before the request was sent",
                command=operation,
                generation=self.generation,
                entered_worker=False,
                rows_delivered=0,
            )
        frame = protocol.encode(request, self._limits.max_frame_bytes)
        self._move(State.BUSY)
        exchange = Exchange(self, operation, timeout, cancel)
        try:
            exchange._send(frame)
        except BaseException as error:
            # Part of the request may be in the pipe: this worker cannot be asked anything else.
            exchange._settle()
            self._end(error)
            raise
        return exchange

    # -- end --

    def close(self) -> None:
        """Ask an idle worker to end, kill one that does not or is not idle; legal at any time and twice."""
        if self.state is State.IDLE and not self._process.has_ended:
            interruption, timer = self._deadline("shutdown", self._timeouts.shutdown, entered_worker=False)
            try:
                self._channel.send(protocol.encode(protocol.Terminate()), interruption)
                while True:
                    self._channel.receive(interruption)
            except (EndOfFrames, LeanWorkerError):
                # A worker that has closed its pipe is about to exit; the rest is ended by force.
                self._process.wait(self._timeouts.shutdown)
            finally:
                timer.cancel()
        self._end(None)

    def kill(self, reason: LeanWorkerError) -> None:
        """End the worker now, from any thread; a request in flight fails with `reason`."""
        self._process.kill(reason)
        self._process.wait(_EXIT_SECONDS)

    def _end(self, reason: BaseException | None) -> None:
        if self.state is State.ENDED:
            return
        self._move(State.ENDED)
        self.end_reason = "it was closed" if reason is None else str(getattr(reason, "text", None) or repr(reason))
        self._process.close()
        self._channel.close()

    # -- shared pieces --

    def _move(self, state: State) -> None:
        if state not in _TRANSITIONS[self.state]:
            raise AssertionError(f"worker cannot go from {self.state.value} to {state.value}")
        self.state = state

    def _deadline(
        self, operation: str, timeout: float | None, *, entered_worker: bool
    ) -> tuple[Interruption, monitor.Timer]:
        """A limit that holds whatever the caller's thread does: the monitor kills the group and ends the wait."""
        interruption = self._channel.interruption()
        started = time.monotonic()

        def expire() -> None:
            error = RequestTimeout(
                f"running {operation}: no end within {timeout:g} seconds; the worker was killed",
                hint="Raise the time limit if the work is that long.",
                command=operation,
                timeout=timeout,
                elapsed=round(time.monotonic() - started, 6),
                generation=self.generation,
                entered_worker=entered_worker,
                stderr_tail=self._process.stderr_tail(),
            )
            self._process.kill(error)
            interruption.set(error)

        if timeout is None:
            return interruption, monitor.Timer(0.0, expire)
        return interruption, monitor.shared().call_at(started + timeout, expire)

    def _lost(self, end: EndOfFrames, doing: str, *, entered_worker: bool) -> LeanWorkerError:
        """The error for a child whose pipe has ended: why we killed it, or how it ended itself."""
        if not self._process.wait(_EXIT_SECONDS):
            self._process.kill(
                MalformedFrame(f"{doing}: the worker closed its frame pipe but did not end", side="remote")
            )
            self._process.wait(_EXIT_SECONDS)
        if self._process.kill_reason is not None:
            return self._process.kill_reason
        report = self._process.report()
        cut = ", in the middle of a frame" if end.inside_frame else ""
        return ChildExited(
            f"{doing}: the worker ended with {report}{cut} before it answered",
            exit_code=report.exit_code,
            signal=report.signal,
            cause=report.cause,
            stderr_tail=report.stderr_tail,
            generation=self.generation,
            entered_worker=entered_worker,
        )


def _has_response(items: Sequence[Row | Message]) -> bool:
    return any(isinstance(item, Message) and item.type == "response" for item in items)


_HINT_NOT_A_WORKER = "Is the program a lean-worker child? Its first output has to be a handshake frame."


class Exchange:
    """One request in flight. Made by `Supervisor.begin`; used by the thread that made it.

    Attributes:
        interruption: Its `error` is set at once when the request must not go on: deadline passed or cancelled. Whoever
            delivers rows looks at it before each.
    """

    def __init__(
        self, supervisor: Supervisor, operation: str, timeout: float | None, cancel: CancelToken | None
    ) -> None:
        self._supervisor = supervisor
        self._operation = operation
        self._cancel = cancel
        self.interruption, self._timer = supervisor._deadline(operation, timeout, entered_worker=True)
        if cancel is not None:
            cancel._subscribe(self._cancelled)

    def _cancelled(self) -> None:
        error = Cancelled(
            f"running {self._operation}: cancelled by the caller",
            command=self._operation,
            generation=self._supervisor.generation,
            entered_worker=True,
        )
        self.interruption.set(error)

    def _send(self, frame: bytes) -> None:
        supervisor = self._supervisor
        interruption, timer = supervisor._deadline(self._operation, supervisor._timeouts.write, entered_worker=False)
        try:
            supervisor._channel.send(frame, interruption)
        except EndOfFrames as end:
            raise supervisor._lost(end, f"running {self._operation}", entered_worker=False) from None
        finally:
            timer.cancel()

    def receive(self) -> list[Row | Message]:
        """Wait for rows and messages; all that are at hand, in order, at least one.

        Raises:
            RequestTimeout, Cancelled: The request was interrupted. After `Cancelled` call `abandon`.
            ChildExited: The worker ended; it is reaped.
            ProtocolError: The worker sent what is no frame; it is ended.
        """
        supervisor = self._supervisor
        try:
            return supervisor._channel.receive(self.interruption)
        except EndOfFrames as end:
            error = supervisor._lost(end, f"running {self._operation}", entered_worker=True)
            self.fail(error)
            raise error from None
        except ProtocolError as error:
            self.fail(error)
            raise

    def finish(self) -> None:
        """The terminal response was read: the worker is idle again, unless its deadline struck in that moment."""
        self._settle()
        if self._supervisor._process.kill_reason is None:
            self._supervisor._move(State.IDLE)
        else:
            self._supervisor._end(self._supervisor._process.kill_reason)

    def fail(self, reason: LeanWorkerError) -> None:
        """End the worker for `reason`: it is gone, or cannot be trusted any more."""
        self._settle()
        self._supervisor._end(reason)

    def abandon(self, reason: BaseException, undelivered: Sequence[Row | Message]) -> None:
        """The caller wants no more of this request: let the worker stop it and stay warm, or end the worker.

        A worker that offers `cancel` stops at its next row; what it had sent until then is read and dropped. One that
        does not, or that takes longer than `Timeouts.cancel_grace`, is killed.

        Args:
            reason: Why; said by the lease if the worker has to be ended.
            undelivered: What `receive` returned and the caller did not look at; the response may be among it.
        """
        supervisor = self._supervisor
        if supervisor.state is not State.BUSY:
            return
        self._settle()
        try:
            killed = supervisor._process.kill_reason is not None
            if not killed and (_has_response(undelivered) or self._stop_at_next_row()):
                supervisor._move(State.IDLE)
        except (LeanWorkerError, EndOfFrames):
            pass  # not in time, or not at all: ended below
        finally:
            if supervisor.state is State.BUSY:
                supervisor._end(reason)

    def _stop_at_next_row(self) -> bool:
        supervisor = self._supervisor
        if protocol.FEATURE_CANCEL not in supervisor.features:
            return False
        grace, timer = supervisor._deadline("cancel", supervisor._timeouts.cancel_grace, entered_worker=True)
        try:
            supervisor._channel.send(protocol.encode(protocol.Cancel()), grace)
            while not _has_response(supervisor._channel.receive(grace)):
                pass
            return True
        finally:
            timer.cancel()

    def _settle(self) -> None:
        self._timer.cancel()
        if self._cancel is not None:
            self._cancel._unsubscribe(self._cancelled)
