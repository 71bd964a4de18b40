"""One worker's life: start, handshake, one request at a time, an end that is always accounted for.

Owns a worker's time limits, and its one way out. Hides the process, its channel, and who won when a response, a
deadline and a kill come at once (`state` decides). The request in flight is `exchange`'s. Callers decide what rows and
messages mean. After any failure the worker is either idle or ended, never in between.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from ..base.forks import Home, after_fork_in_child, foreign
from ..cancel import CancelToken
from ..errors import (
    Cancelled,
    ChildExited,
    LeanWorkerError,
    MalformedFrame,
    ProtocolError,
    RequestTimeout,
    RestartLimitExceeded,
    StaleLease,
    UnexpectedMessage,
    UsageError,
    VersionMismatch,
)
from ..hosting import host_session as opening
from ..hosting import temporary as scratch
from ..hosting.capability import Launch
from ..hosting.start_failure import host_failure
from ..policy import Limits, MemoryPolicy, Timeouts, resource_limits
from ..steps import monitor
from ..steps.waiting import Moment, Steps, Until, firmly
from ..toolchains.environment import TEMPORARY_DIRECTORY
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import Row
from .channel import Channel, EndOfFrames, Inactive, Interruption
from .exchange import EXIT_SECONDS, Exchange, counted_as
from .process import ChildProcess
from .ring import Ring
from .states import IN_FLIGHT, Life, State

_GONE_SECONDS = 10.0
"""A killed process can stay for a while only if the kernel holds it in a device wait."""


class Supervisor:
    """One worker. One caller at a time uses it, any thread may `kill` it; useless in a forked child.

    It is started and closed by steps on the monitor's thread (`tasks`). There is one end, on that thread as well: when
    the process was reaped and no request uses the channel any more, everything is given back.

    Args:
        launch: What to start.
        timeouts: Its time limits.
        limits: Its size limits.
        memory_policy: Its memory limits.
        generation: Which worker of its kind this is, from 0; named in every failure.
        on_stderr: Called with each piece of its stderr, on the monitor's thread; must be short.

    Attributes:
        life: Its state.
        features: What its handshake offers.
        opened: What it said before its first command, as far as it was asked.
        requests: How many requests it was sent.
        idle_since: When its last request ended, on the clock of `time.monotonic`.
        end_reason: In words, why it ended; None before.
        ended_as: One of `observe.REASONS`; None before the end.
        reaped: When its process had ended: it takes up no place any more.
        gone: When all that it held was given back and `ended_as` says why.
    """

    def __init__(
        self,
        launch: Launch,
        timeouts: Timeouts,
        limits: Limits,
        memory_policy: MemoryPolicy,
        generation: int,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> None:
        self._launch = launch
        self._timeouts = timeouts
        self._limits = limits
        self._memory_policy = memory_policy
        self._on_stderr = on_stderr
        self.generation = generation
        self.life = Life()
        self.features: frozenset[str] = frozenset()
        self.opened = opening.Opened()
        self.requests = 0
        self.idle_since = 0.0
        self.end_reason: str | None = None
        self.ended_as: str | None = None
        self.reaped = Moment()
        self.gone = Moment()
        self._home = Home()
        self._exchange: Exchange | None = None
        self._scratch: Path | None = None
        self._process: ChildProcess | None = None
        self._channel: Channel | None = None
        self._over_request = 0
        self._wanted_end: tuple[str, BaseException | None, LeanWorkerError | None] | None = None
        _alive.add(self)

    @property
    def pid(self) -> int:
        """For memory samples; never shown to callers. 0 before the start."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it can never serve again."""
        return self.life.state not in _LIVING or self._process is None or self.process.has_ended

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent: idle, and the process still there."""
        return self.life.state is State.IDLE and self._process is not None and not self.process.has_ended

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or waited for one when it died."""
        return self.life.state is State.IDLE

    @property
    def has_spoken_unasked(self) -> bool:
        """Whether an idle worker has sent bytes that no request is there for, or has closed its pipe."""
        return self._channel is not None and not self.channel.is_quiet()

    @property
    def why_gone(self) -> str:
        """In words, why a worker that is gone is gone."""
        if self.end_reason is not None:
            return self.end_reason
        killed = None if self._process is None else self.process.kill_reason
        return "its process ended while it was idle" if killed is None else killed.text

    @property
    def process(self) -> ChildProcess:
        """The process of a worker that was started."""
        assert self._process is not None
        return self._process

    @property
    def channel(self) -> Channel:
        """The frames of a worker that was started."""
        assert self._channel is not None
        return self._channel

    # -- start --

    def starting(self, admit: Callable[[], Steps[None]], cancel: CancelToken | None = None) -> Steps[None]:
        """Start the process and wait for its handshake; once.

        Args:
            admit: Asked first; raises `RestartLimitExceeded` to refuse.
            cancel: Ends the start when it is cancelled.

        Raises:
            RestartLimitExceeded: Too many of its kind have failed lately.
            CapabilityError: The program cannot be started, it says that it cannot host what it should, or it refuses
                what `Launch.opening` asks of it.
            ChildExited: It ended before it was ready.
            RequestTimeout: It was not ready within `Timeouts.startup`.
            DecodeError: Its metadata have another shape.
            ProtocolError: What came was no handshake of protocol 10, or no answer to what was asked.
            Cancelled: The token was cancelled.
        """
        try:
            yield from admit()
        except RestartLimitExceeded:
            self.life.move(State.EXHAUSTED)
            raise
        launch = self._launch
        ring = Ring.make() if launch.takes_ring else None
        process = ChildProcess(
            self._limits.stderr_tail_bytes,
            self._on_stderr,
            resource_limits(self._limits, self._memory_policy),
            () if ring is None else ring.passed_fds,
        )
        try:
            self._scratch = scratch.make()
            self._channel = Channel(process, self._limits.max_frame_bytes, ring)
            self._process = process
            env = {TEMPORARY_DIRECTORY: str(self._scratch), **launch.env, **({} if ring is None else ring.environment)}
            self.life.move(State.STARTING)
            yield from process.starting(launch.argv, env, launch.cwd)
        except BaseException as error:
            if process.pid == 0:
                self._process = None
                if ring is not None:
                    ring.close()
                self._give_back()
                self._settle_end("start_failed", error)
            else:
                process.ended.tell(self._process_ended)
                yield from self._ending("cancelled", error)
            raise
        process.ended.tell(self._process_ended)
        if cancel is not None:
            cancel._subscribe(self._cancel_start)
        try:
            yield from self._opening()
        except BaseException as error:
            is_unwanted = isinstance(error, Cancelled) or not isinstance(error, Exception)
            yield from self._ending("cancelled" if is_unwanted else "start_failed", error)
            raise
        finally:
            if cancel is not None:
                cancel._unsubscribe(self._cancel_start)

    def _cancel_start(self) -> None:
        self.kill(Cancelled("starting a worker: cancelled by the caller", entered_worker=False))

    def _opening(self) -> Steps[None]:
        interruption, timer = self._deadline("start-up", self._timeouts.startup, entered_worker=False)
        try:
            self._accept_handshake((yield from self.channel.receiving(interruption)))
            limit = protocol.ConfigureFrameLimit(self._limits.max_frame_bytes)
            yield from self.channel.sending(protocol.encode(limit), interruption)
            self.opened = yield from self._conversing(interruption)
        except EndOfFrames as end:
            raise (yield from self._losing_start(end)) from None
        finally:
            timer.cancel()
        self.idle_since = time.monotonic()
        if not self.life.move(State.IDLE):
            # The deadline, or a kill, came between the handshake and here.
            reason = interruption.error or self.process.kill_reason
            raise reason or ChildExited(
                "starting a worker: it ended right after its handshake",
                exit_code=None,
                signal=None,
                cause="the hosted program ended by itself",
                stderr_tail=self.process.stderr_tail(),
                generation=self.generation,
                entered_worker=False,
            )

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
        if protocol.FEATURE_RING in self.features:
            self.channel.use_ring()

    def _conversing(self, interruption: Interruption) -> Steps[opening.Opened]:
        """Ask the worker what its launch wants asked, and wait for each answer."""
        talk = opening.converse(self._launch.opening, self._launch.description)
        try:
            request = next(talk)
            while True:
                yield from self.channel.sending(protocol.encode(request, self._limits.max_frame_bytes), interruption)
                request = talk.send((yield from self._awaiting_response(interruption)))
        except StopIteration as done:
            opened: opening.Opened = done.value
            return opened

    def _awaiting_response(self, interruption: Interruption) -> Steps[protocol.Response]:
        while True:
            items = yield from self.channel.receiving(interruption)
            for index, item in enumerate(items):
                message = None if isinstance(item, Row) else protocol.decode(item)
                if isinstance(message, protocol.Response) and index == len(items) - 1:
                    return message
                if not isinstance(message, protocol.DiagnosticBody | protocol.ProgressBody):
                    got = "a data row" if message is None else f"{protocol.message_type(message)!r}"
                    raise UnexpectedMessage(
                        f"starting a worker: expected the one response to a request, got {got}", side="remote"
                    )

    def _losing_start(self, end: EndOfFrames) -> Steps[LeanWorkerError]:
        lost = yield from self._losing(end, "starting a worker", entered_worker=False)
        if not isinstance(lost, ChildExited) or lost.facts["exit_code"] != protocol.EXIT_HOST_FAILED:
            return lost
        return host_failure(self._launch, str(lost.facts["stderr_tail"]))

    # -- one request --

    def beginning(
        self, request: protocol.Request, operation: str, timeout: float | None, cancel: CancelToken | None
    ) -> Steps[Exchange]:
        """Send a request; the exchange is over when it was finished, abandoned, or raised.

        Raises:
            UsageError: The worker is not idle.
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
                generation=self.generation,
                entered_worker=False,
                rows_delivered=0,
            )
        self._home.check(f"running {operation}", "lease")
        frame = protocol.encode(request, self._limits.max_frame_bytes)
        # First of all: from here on the channel stays open until this request is over.
        number = self.life.begin_request()
        if number is None:
            raise UsageError(f"running {operation}: the worker is {self.life.state.value}, not idle", command=operation)
        if self.has_spoken_unasked:
            # What it sent belongs to no request; taken for an answer to this one it would be a lie.
            yield from self._ending_for_speaking_unasked(operation)
        self.requests += 1
        self._exchange = exchange = Exchange(self, number, operation, timeout, cancel)
        try:
            if self.life.state is State.KILLING:
                # Killed in this moment, before there was an exchange to interrupt.
                raise self.process.kill_reason or Cancelled("the worker was killed", entered_worker=False)
            yield from exchange._sending(frame)
        except BaseException as error:
            # Part of the request may be in the pipe: this worker cannot be asked anything else.
            yield from exchange.failing(error)
            raise
        if isinstance(request, protocol.RunDataStream):
            self.life.move(State.STREAMING)
        return exchange

    def _ending_for_speaking_unasked(self, operation: str) -> Steps[None]:
        error: LeanWorkerError
        try:
            yield from self.channel.receiving(self.channel.interruption(), 0)
        except EndOfFrames as end:
            error = yield from self._losing(end, f"running {operation}", entered_worker=False)
        except ProtocolError as broken:
            error = broken
        except Inactive:
            if self.channel.is_quiet():
                return  # it was only a late wake
            error = UnexpectedMessage(_SPOKE_UNASKED.format(operation), side="remote")
        else:
            error = UnexpectedMessage(_SPOKE_UNASKED.format(operation), side="remote")
        error.add_facts(command=operation, generation=self.generation, entered_worker=False, rows_delivered=0)
        self.request_over(self.life.request)
        yield from self._ending(counted_as(error), error)
        raise error

    # -- end --

    def closing(self, ended_as: str) -> Steps[None]:
        """End the worker as planned, once: ask it first if it is idle, kill it if it does not end or is not idle.

        Args:
            ended_as: "closed", "evicted" or "policy"; a worker that had died or misbehaved while it was idle is
                counted as that instead.
        """
        is_idle = self.life.state is State.IDLE
        try:
            if is_idle and self.process.has_ended:
                if self.process.kill_reason is None:
                    ended_as = "crashed"
                return
            if is_idle and self.has_spoken_unasked:
                with contextlib.suppress(LeanWorkerError):
                    yield from self._ending_for_speaking_unasked("no request")
            if self.life.move(State.STOPPING):
                yield from self._shutting_down()
        finally:
            # Whoever is in the middle of a request uses the channel; it is given back when that has ended.
            yield from self._ending(ended_as, None)

    def _shutting_down(self) -> Steps[None]:
        interruption, timer = self._deadline("shutdown", self._timeouts.shutdown, entered_worker=False)
        try:
            yield from self.channel.sending(protocol.encode(protocol.Terminate()), interruption)
            while True:
                yield from self.channel.receiving(interruption)
        except (EndOfFrames, LeanWorkerError):
            # A worker that has closed its pipe is about to exit; the rest is ended by force.
            yield Until(self.reaped, self._timeouts.shutdown)
        finally:
            timer.cancel()

    def kill(self, reason: LeanWorkerError) -> bool:
        """End the worker now, from any thread; a request in flight fails with `reason`. Whether it was there to kill.

        Whoever uses the worker does the rest; `being_gone` waits for the reaping.
        """
        if not self.life.move(State.KILLING):
            return False
        self.process.kill(reason)
        exchange = self._exchange
        if exchange is not None:
            exchange.interruption.set(reason)
        return True

    def being_gone(self) -> Steps[None]:
        """After `kill`: until the process is reaped."""
        yield Until(self.reaped, EXIT_SECONDS)

    def _ending(self, ended_as: str, reason: BaseException | None) -> Steps[None]:
        """The one way out: nothing of the worker is left, and it is said why."""
        killed = None if self._process is None else self.process.kill_reason
        monitor.shared().post(lambda: self._end(ended_as, reason, killed))
        in_use = self.life.request > self._over_request
        yield from firmly(Until(self.reaped if in_use else self.gone, _GONE_SECONDS))

    def request_over(self, number: int) -> None:
        """The request of that number, if it is the last one, uses the channel no more."""
        self._over_request = max(self._over_request, number)

    def request_lost(self, reason: BaseException | None = None) -> None:
        """On the monitor's thread: nobody drives the request in flight any more. End the worker if it had begun."""
        if self.life.request > self._over_request or self.life.state in IN_FLIGHT:
            self.request_over(self.life.request)
            self._end("cancelled" if reason is None else counted_as(reason), reason, self.process.kill_reason)

    # -- end, on the monitor's thread --

    def _end(self, ended_as: str, reason: BaseException | None, killed: LeanWorkerError | None) -> None:
        """See that the process ends, and that all is given back after that. The first reason is the one that counts."""
        if self._wanted_end is None:
            self._wanted_end = (ended_as, reason, killed)
        if self.process.has_ended:
            self.life.move(State.REAPING)
        self.life.move(State.KILLING)
        self.process.kill(StaleLease("the worker was closed", entered_worker=True))
        if self.reaped.is_past:
            self._finish()

    def _process_ended(self) -> None:
        """The process was reaped, whatever the reason."""
        if not self._home.is_here or self.reaped.is_past:
            return
        is_idle = self.life.move_idle(State.REAPING)
        killed = self.process.kill_reason
        in_use = self.life.request > self._over_request
        if self._wanted_end is None and (is_idle or (self.life.state is State.KILLING and not in_use)):
            self._wanted_end = ("crashed" if killed is None else counted_as(killed), None, killed)
        self.reaped.come()
        self._finish()

    def _finish(self) -> None:
        # Whoever is in the middle of a request reads what was left in the pipe, and says then what it made of it.
        if self._wanted_end is None or self.life.request > self._over_request:
            return
        if not (self.life.move(State.REAPING) or self.life.state is State.REAPING):
            return  # ended before
        ended_as, reason, killed = self._wanted_end
        self._give_back()
        self._settle_end(ended_as, killed if reason is None else reason)

    def _give_back(self) -> None:
        channel, process = self._channel, self._process
        if channel is not None:
            channel.close()
        if process is not None:
            process.close_pipes()
        directory, self._scratch = self._scratch, None
        if directory is not None:
            scratch.remove(directory)
        self._exchange = None

    def _settle_end(self, ended_as: str, reason: BaseException | None) -> None:
        if reason is None:
            self.end_reason = "its process ended while it was idle" if ended_as == "crashed" else "it was closed"
        else:
            self.end_reason = str(getattr(reason, "text", None) or repr(reason))
        self.ended_as = ended_as
        self.life.move(State.KILLING)
        self.life.move(State.REAPING)
        self.life.end(planned=ended_as in ("closed", "evicted", "policy"))
        self.reaped.come()
        self.gone.come()

    def _leave_to_parent(self) -> None:
        """In a forked child, right after the fork: give back what the child need not hold, and refuse all use."""
        exchange = self._exchange
        if exchange is not None:
            error = foreign("going on with a request", "lease")
            exchange.interruption.error = error
            exchange.interruption.flag.set()
        if self._channel is not None:
            self.channel.leave_to_parent()
        if self._process is not None:
            self.process.leave_to_parent()
        self.reaped.come()
        self.gone.come()

    # -- shared pieces --

    def _deadline(
        self, operation: str, timeout: float | None, *, entered_worker: bool, kind: str = "", request: int | None = None
    ) -> tuple[Interruption, monitor.Timer]:
        """A limit that holds whatever the caller's thread does: the monitor kills the group and ends the wait."""
        interruption = self.channel.interruption()
        started = time.monotonic()

        def expire() -> None:
            elapsed = time.monotonic() - started
            error = self._timed_out(operation, kind or operation, timeout, elapsed, entered_worker=entered_worker)
            if self.life.move(State.KILLING) if request is None else self.life.kill_request(request):
                self.process.kill(error)
                interruption.set(error)

        if timeout is None:
            return interruption, monitor.Timer(0.0, expire)
        return interruption, monitor.shared().call_at(started + timeout, expire)

    def _timed_out(
        self, operation: str, kind: str, timeout: float | None, elapsed: float, *, entered_worker: bool
    ) -> RequestTimeout:
        what = "no frame came for" if kind == "inactivity" else "no end within"
        return RequestTimeout(
            f"running {operation}: {what} {timeout:g} seconds; the worker was killed",
            hint="Raise the time limit if the work is that long.",
            command=operation,
            kind=kind,
            timeout=timeout,
            elapsed=round(elapsed, 6),
            generation=self.generation,
            entered_worker=entered_worker,
            stderr_tail=self.process.stderr_tail(),
        )

    def _losing(self, end: EndOfFrames, doing: str, *, entered_worker: bool) -> Steps[LeanWorkerError]:
        """The error for a child whose pipe has ended: why we killed it, or how it ended itself."""
        if not (yield Until(self.reaped, EXIT_SECONDS)):
            self.process.kill(
                MalformedFrame(f"{doing}: the worker closed its frame pipe but did not end", side="remote")
            )
            yield Until(self.reaped, EXIT_SECONDS)
        if self.process.kill_reason is not None:
            return self.process.kill_reason
        report = self.process.report()
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


_SPOKE_UNASKED = "running {}: the worker had sent something before it was asked anything; it was ended"
_HINT_NOT_A_WORKER = "Is the program a lean-worker child? Its first output has to be a handshake frame."


_LIVING = IN_FLIGHT | {State.IDLE}
_alive: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for worker in list(_alive):
        worker._leave_to_parent()


after_fork_in_child(_leave_all_to_parent)
