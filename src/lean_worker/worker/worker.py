"""One worker: its process, its channel, its state, its time limits, and its one way out.

Hides who won when a response, a deadline and a kill come at once (`states` decides). A supervisor starts and closes it,
an exchange sends it one request at a time; after any failure it is either idle or ended, never in between.
"""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..base.deferred import Deferred
from ..base.forks import Owner, after_fork_in_child, foreign
from ..errors import (
    ChildExited,
    LeanWorkerError,
    MalformedFrame,
    ProtocolError,
    RequestTimeout,
    StaleLease,
    UnexpectedMessage,
)
from ..hosting.host_session import OpeningReport
from ..hosting.launch import Launch
from ..policy import Limits, MemoryPolicy, Timeouts
from ..steps.monitor import Monitor, Timer
from ..steps.waiting import Event, Steps, Until, firmly
from .channel import Channel, EndOfFrames, Inactive, Interruption
from .process import ChildProcess
from .states import IN_FLIGHT, Life, State

if TYPE_CHECKING:
    from pathlib import Path

    from ..hosting import temporary
else:
    temporary = Deferred("lean_worker.hosting.temporary")

START = 0
"""The number under which the start uses the channel; requests are numbered from 1."""
EXIT_SECONDS = 2.0
"""The seconds that a child whose frame pipe has ended may take to end itself before it is killed."""
_GONE_SECONDS = 10.0
"""A killed process can stay for a while only if the kernel holds it in a device wait."""


def doing(command: str | None) -> str:
    """Return the words for what a lease is asked to do; None for a change of workers."""
    return "cycling a lease" if command is None else f"running {command}"


class Worker:
    """One worker. One caller at a time uses it, any thread may `kill` it; useless in a forked child.

    There is one end, on the monitor's thread: when the process was reaped and nobody uses the channel any more,
    everything is given back. The start uses it first, as request 0, and then one request after another.

    Args:
        launch: What it hosts.
        timeouts: Its time limits.
        limits: Its size limits.
        memory_policy: Its memory limits.
        generation: Which worker of its kind this is, from 0; named in every failure.
        monitor: Who watches it and does its bookkeeping.
        on_stderr: Called with each piece of its stderr, and with nothing at its end, on the monitor's thread; must be
            short.

    Attributes:
        key: Of its launch: workers with one key can take each other's place.
        life: Its state.
        features: What its handshake offers.
        peer_version: The version of the program's worker side, as its handshake says; "" before.
        spawn_seconds: Time until its process was there; 0.0 before.
        import_seconds: Time from then until it was ready for its first command: its program, its imports and what
            `Launch.opening` asks; 0.0 before.
        opened: What it said before its first command, as far as it was asked.
        requests: How many requests it was sent.
        idle_since: When its last request ended, on the clock of `time.monotonic`.
        end_reason: In words, why it ended; None before.
        ended_as: One of `observer.REASONS`; None before the end.
        reaped: When its process had ended: it takes up no place any more.
        gone: When all that it held was given back and `ended_as` says why.
        is_asked_to_end: Whether somebody uses the channel to ask it to end.
    """

    def __init__(
        self,
        launch: Launch,
        timeouts: Timeouts,
        limits: Limits,
        memory_policy: MemoryPolicy,
        generation: int,
        monitor: Monitor,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> None:
        self.launch = launch
        self.key = launch.key()
        self.timeouts = timeouts
        self.limits = limits
        self.memory_policy = memory_policy
        self.on_stderr = on_stderr
        self.generation = generation
        self.monitor = monitor
        self.life = Life()
        self.features: frozenset[str] = frozenset()
        self.peer_version = ""
        self.spawn_seconds = 0.0
        self.import_seconds = 0.0
        self.opened = OpeningReport()
        self.requests = 0
        self.idle_since = 0.0
        self.end_reason: str | None = None
        self.ended_as: str | None = None
        self.reaped = Event()
        self.gone = Event()
        self.is_asked_to_end = False
        self.owner = Owner()
        self._interruption: Interruption | None = None
        self._directory: Path | None = None
        self._process: ChildProcess | None = None
        self._channel: Channel | None = None
        self._over_request = START - 1
        self._wanted_end: tuple[str, str | None] | None = None
        _alive.add(self)

    @property
    def pid(self) -> int:
        """For memory samples; never shown to callers. 0 before the start."""
        process = self._process  # once: a start that fails on another thread takes it back
        return 0 if process is None else process.pid

    @property
    def directory(self) -> Path | None:
        """Its temporary directory; None before the start and after the end."""
        return self._directory

    @property
    def is_gone(self) -> bool:
        """Whether it can never serve again."""
        return self.life.state not in _LIVING or self._process is None or self.process.has_ended

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent: idle, and the process still there."""
        return self.life.state is State.IDLE and self._process is not None and not self.process.has_ended

    @property
    def was_killed(self) -> bool:
        """Whether its process ended by SIGKILL."""
        process = self._process
        return process is not None and process.ended.is_set and process.report().signal == "SIGKILL"

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
        killed = self.kill_reason
        return self._ended_idle() if killed is None else killed.text

    def gone_before(self, command: str | None) -> StaleLease:
        """Return the error for a request that comes after the end of this worker; None for a change of workers."""
        why = self.why_gone
        return StaleLease(
            f"{doing(command)}: the worker of this lease (generation {self.generation}) is gone: {why}",
            hint="Take a new lease from the pool.",
            command=command,
            reason=why,
            generation=self.generation,
            entered_worker=False,
            rows_delivered=0,
        )

    @property
    def kill_reason(self) -> LeanWorkerError | None:
        """The reason for which we killed it, a copy to be raised; None if we did not. See `Interruption.error`.

        Known as soon as its state is killing, also where another thread is about to kill the process.
        """
        if (why := self.life.why) is not None:
            return copy.copy(why)
        process = self._process
        return None if process is None else process.kill_reason

    def _ended_idle(self) -> str:
        how = f": {self.process.report()}" if self._process is not None and self.process.ended.is_set else ""
        return f"its process ended while it was idle{how}"

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

    # -- what a start gives it --

    def hold(self, directory: Path) -> None:
        """Own a temporary directory, which goes with the worker, instead of the one that it has."""
        unused, self._directory = self._directory, directory
        if unused is not None:
            temporary.remove(unused)

    def attach(self, process: ChildProcess, channel: Channel) -> None:
        """Own a process that is about to be started, and its frames."""
        self._channel = channel
        self._process = process

    def watch_end(self) -> None:
        """Notice the end of its process from now on."""
        self.process.ended.add_callback(self._process_ended)

    def discard_start(self, error: BaseException) -> None:
        """No process came of the start: give back what was made for it."""
        self._process = None
        self._give_back()
        self._settle_end("start_failed", _words(error))

    # -- one request --

    def interrupt_by(self, interruption: Interruption) -> None:
        """Say what a kill interrupts."""
        self._interruption = interruption

    def ending_for_speaking_unasked(self, operation: str) -> Steps[None]:
        """End it because it has sent what nobody asked for, and raise that; return if it was only a late wake."""
        error: LeanWorkerError
        try:
            channel = self.channel
            if not channel.reader.take(1):
                yield from channel.reading_more(channel.interruption(), 0)
                if not channel.reader.take(1):
                    raise Inactive
        except EndOfFrames as end:
            error = yield from self.losing(end, f"running {operation}", entered_worker=False, missing=NOT_TAKEN_IN)
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
        try:
            yield from self.ending(counted_as(error), error)
            raise error
        finally:
            del error  # no cycle of an error, its traceback, and this frame

    def kill(self, reason: LeanWorkerError) -> bool:
        """End the worker now, from any thread; a request in flight fails with `reason`. Whether it was there to kill.

        Whoever uses the worker does the rest; `being_gone` waits for the reaping.
        """
        if not self.life.move(State.KILLING, reason):
            return False
        self.process.kill(reason)
        interruption = self._interruption
        if interruption is not None:
            interruption.set(reason)
        return True

    def being_gone(self) -> Steps[None]:
        """After `kill`: until the process is reaped."""
        yield Until(self.reaped, EXIT_SECONDS)

    def being_settled(self) -> Steps[None]:
        """After its end: until it is known why, or only until it is reaped if a caller still reads what it has left."""
        yield Until(self.reaped if self._is_in_use else self.gone, EXIT_SECONDS)

    def ending(self, ended_as: str, reason: BaseException | None) -> Steps[None]:
        """The one way out: nothing of the worker is left, and it is said why."""
        killed = self.kill_reason
        self.monitor.post(lambda: self._end(ended_as, reason, killed))
        yield from firmly(Until(self.reaped if self._is_in_use else self.gone, _GONE_SECONDS))

    def request_over(self, number: int) -> None:
        """The request of that number, if it is the last one, uses the channel no more; `START` for the start."""
        self._over_request = max(self._over_request, number)

    @property
    def _is_in_use(self) -> bool:
        """Whether somebody may be waiting for the channel: closed under a wait, it would never end the wait."""
        return self.life.request > self._over_request

    def request_lost(self, reason: BaseException | None = None) -> None:
        """On the monitor's thread: nobody drives the request in flight any more. End the worker if it had begun."""
        if self._is_in_use or self.life.state in IN_FLIGHT:
            self.request_over(self.life.request)
            self._end("cancelled" if reason is None else counted_as(reason), reason, self.kill_reason)

    # -- end, on the monitor's thread --

    def _end(self, ended_as: str, reason: BaseException | None, killed: LeanWorkerError | None) -> None:
        """See that the process ends, and that all is given back after that. The first reason is the one that counts."""
        if self._wanted_end is None:
            # The words, and not the error: a worker holds no frames of those who used it.
            self._wanted_end = (ended_as, _words(reason or killed))
        if self.process.has_ended:
            self.life.move(State.REAPING)
        closed = StaleLease("the worker was closed", entered_worker=True)
        self.life.move(State.KILLING, closed)
        self.process.kill(closed)
        if self.reaped.is_set:
            self._finish()

    def _process_ended(self) -> None:
        """The process was reaped, whatever the reason."""
        if not self.owner.is_here or self.reaped.is_set:
            return
        is_idle = self.life.move_idle(State.REAPING)
        killed = self.kill_reason
        if self._wanted_end is None and (is_idle or (self.life.state is State.KILLING and not self._is_in_use)):
            self._wanted_end = ("crashed" if killed is None else counted_as(killed), _words(killed))
        self.reaped.set()
        self._finish()

    def _finish(self) -> None:
        # Whoever is in the middle of a request reads what was left in the pipe, and says then what it made of it.
        if self._wanted_end is None or self._is_in_use or self.is_asked_to_end:
            return
        if not (self.life.move(State.REAPING) or self.life.state is State.REAPING):
            return  # ended before
        self._give_back()
        self._settle_end(*self._wanted_end)

    def _give_back(self) -> None:
        channel, process = self._channel, self._process
        if channel is not None:
            channel.close()
        if process is not None:
            process.close_pipes()
        directory, self._directory = self._directory, None
        if directory is not None:
            temporary.remove(directory)
        self._interruption = None

    def _settle_end(self, ended_as: str, why: str | None) -> None:
        if why is None:
            why = self._ended_idle() if ended_as == "crashed" else "it was closed"
        self.end_reason = why
        self.ended_as = ended_as
        self.life.move(State.KILLING)
        self.life.move(State.REAPING)
        self.life.end(planned=ended_as in ("closed", "evicted", "policy"))
        self.reaped.set()
        self.gone.set()

    def _leave_to_parent(self) -> None:
        """In a forked child, right after the fork: give back what the child need not hold, and refuse all use."""
        interruption = self._interruption
        if interruption is not None:
            interruption.note(foreign("going on with a request", "lease"))
        if self._channel is not None:
            self.channel.leave_to_parent()
        if self._process is not None:
            self.process.leave_to_parent()
        self.reaped.set()
        self.gone.set()

    # -- limits and losses --

    def deadline(
        self, operation: str, timeout: float | None, *, entered_worker: bool, kind: str = "", request: int | None = None
    ) -> tuple[Interruption, Timer]:
        """A limit that holds whatever the caller's thread does: the monitor kills the group and ends the wait."""
        interruption = self.channel.interruption()
        started = time.monotonic()

        def expire() -> None:
            elapsed = time.monotonic() - started
            error = self.timed_out(operation, kind or operation, timeout, elapsed, entered_worker=entered_worker)
            if self.life.move(State.KILLING, error) if request is None else self.life.kill_request(request, error):
                self.process.kill(error)
                interruption.set(error)

        if timeout is None:
            return interruption, Timer(0.0, expire)
        return interruption, self.monitor.call_at(started + timeout, expire)

    def timed_out(
        self, operation: str, kind: str, timeout: float | None, elapsed: float, *, entered_worker: bool
    ) -> RequestTimeout:
        """The error for a limit that has passed; `kind` is the limit's name."""
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

    def losing(
        self, end: EndOfFrames, doing: str, *, entered_worker: bool, missing: str = "it answered"
    ) -> Steps[LeanWorkerError]:
        """The error for a child whose pipe has ended before what is `missing`: why we killed it, or how it ended."""
        if not (yield Until(self.reaped, EXIT_SECONDS)):
            self.process.kill(
                MalformedFrame(f"{doing}: the worker closed its frame pipe but did not end", side="remote")
            )
            yield Until(self.reaped, EXIT_SECONDS)
        if (killed := self.kill_reason) is not None:
            return killed
        report = self.process.report()
        cut = ", in the middle of a frame" if end.inside_frame else ""
        return ChildExited(
            f"{doing}: the worker ended with {report}{cut} before {missing}",
            exit_code=report.exit_code,
            signal=report.signal,
            cause=report.cause,
            stderr_tail=report.stderr_tail,
            generation=self.generation,
            entered_worker=entered_worker,
        )


def counted_as(reason: BaseException) -> str:
    """Return what a worker that ends for `reason` in the middle of a request is counted as."""
    # Whatever else ends a request in the middle is the caller's own wish.
    return reason.ended_as if isinstance(reason, LeanWorkerError) else LeanWorkerError.ended_as


def _words(reason: BaseException | None) -> str | None:
    if reason is None:
        return None
    return str(getattr(reason, "text", None) or _LEAVING.get(type(reason).__name__) or repr(reason))


NOT_TAKEN_IN = "it took the request in"
_SPOKE_UNASKED = "running {}: the worker had sent something before it was asked anything; it was ended"
# By name, as asyncio is not imported here.
_LEAVING = {
    "CancelledError": "the task of asyncio that used it was cancelled",
    "GeneratorExit": "its caller left the stream",
    "KeyboardInterrupt": "its caller was interrupted",
}
_LIVING = IN_FLIGHT | {State.IDLE}
_alive: weakref.WeakSet[Worker] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for worker in list(_alive):
        worker._leave_to_parent()


after_fork_in_child(_leave_all_to_parent)
