"""The start and the planned end of a worker.

Owns the handshake, what is asked of a worker before its first command, and how it is asked to leave. Its life between
the two is `worker`'s, the request in flight `exchange`'s.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..base.deferred import Deferred
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..errors import (
    Cancelled,
    ChildExited,
    LeanWorkerError,
    RestartLimitExceeded,
    UnexpectedMessage,
    VersionMismatch,
)
from ..hosting import host_session
from ..policy import resource_limits
from ..steps.waiting import Steps, Until
from ..toolchains.environment import TEMPORARY_DIRECTORY
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import Row
from .channel import Channel, EndOfFrames, Interruption
from .frames_at_hand import awaiting_frames
from .process import ChildProcess, Forker
from .ring import Ring
from .states import State
from .worker import START, Worker

if TYPE_CHECKING:
    from ..hosting import start_failure, temporary
else:
    temporary = Deferred("lean_worker.hosting.temporary")
    start_failure = Deferred("lean_worker.hosting.start_failure")

_HINT_NOT_A_WORKER = "Is the program a lean-worker child? Its first output has to be a handshake frame."


def starting(
    worker: Worker,
    admit: Callable[[], Steps[None]],
    cancel: CancelToken | None = None,
    forker: Forker | None = None,
) -> Steps[None]:
    """Start the process and wait for its handshake; once.

    Args:
        admit: Asked first; raises `RestartLimitExceeded` to refuse.
        cancel: Ends the start when it is cancelled.
        forker: Asked first for the process.

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
        worker.life.move(State.EXHAUSTED)
        raise
    launch = worker.launch
    ring = Ring.make() if launch.takes_ring else None
    process = ChildProcess(
        worker.monitor,
        worker.limits.stderr_tail_bytes,
        worker.on_stderr,
        resource_limits(worker.limits, worker.memory_policy),
        () if ring is None else ring.passed_fds,
        forker,
    )
    try:
        directory = temporary.make()
        worker.hold(directory)
        worker.attach(process, Channel(process, worker.limits.max_frame_bytes, ring))
        env = {TEMPORARY_DIRECTORY: str(directory), **launch.env, **({} if ring is None else ring.environment)}
        worker.life.move(State.STARTING)
        begun = time.monotonic()
        try:
            yield from process.starting(launch.argv, env, launch.cwd)
        finally:
            if process.forked_directory is not None:
                worker.hold(process.forked_directory)
        worker.spawn_seconds = time.monotonic() - begun
    except BaseException as error:
        if process.pid == 0:
            if ring is not None:
                ring.close()
            worker.discard_start(error)
        else:
            worker.watch_end()
            worker.request_over(START)
            yield from worker.ending("cancelled", error)
        raise
    worker.watch_end()

    def cancel_start() -> None:
        worker.kill(Cancelled("starting a worker: cancelled by the caller", entered_worker=False))

    add_cancel_callback(cancel, cancel_start)
    try:
        begun = time.monotonic()
        yield from _opening(worker)
        worker.import_seconds = time.monotonic() - begun
    except BaseException as error:
        worker.request_over(START)
        yield from worker.ending(_why_ended(error), error)
        raise
    finally:
        remove_cancel_callback(cancel, cancel_start)


def _why_ended(error: BaseException) -> str:
    if not isinstance(error, LeanWorkerError):
        return "start_failed" if isinstance(error, Exception) else "cancelled"
    return "cancelled" if error.by_caller else "closed" if error.pool_is_closed else "start_failed"


def _opening(worker: Worker) -> Steps[None]:
    interruption, timer = worker.deadline("start-up", worker.timeouts.startup, entered_worker=False)
    worker.interrupt_by(interruption)
    try:
        _accept_handshake(worker, (yield from awaiting_frames(worker.channel, interruption)))
        limit = protocol.ConfigureFrameLimit(worker.limits.max_frame_bytes)
        yield from worker.channel.sending(protocol.encode(limit), interruption)
        worker.opened = yield from _conversing(worker, interruption)
    except EndOfFrames as end:
        raise (yield from _losing_start(worker, end)) from None
    finally:
        timer.cancel()
    worker.idle_since = time.monotonic()
    worker.request_over(START)
    if not worker.life.move(State.IDLE):
        # The deadline, or a kill, came between the handshake and here.
        reason = interruption.error or worker.kill_reason
        raise reason or ChildExited(
            "starting a worker: it ended right after its handshake",
            exit_code=None,
            signal=None,
            cause="the hosted program ended by itself",
            stderr_tail=worker.process.stderr_tail(),
            generation=worker.generation,
            entered_worker=False,
        )


def _accept_handshake(worker: Worker, items: list[Row | Message]) -> None:
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
    worker.features = frozenset(message.features)
    worker.peer_version = message.worker_version
    if protocol.FEATURE_RING in worker.features:
        worker.channel.use_ring()


def _conversing(worker: Worker, interruption: Interruption) -> Steps[host_session.OpeningReport]:
    """Ask the worker what its launch wants asked, and wait for each answer."""
    talk = host_session.converse(worker.launch.opening, worker.launch.description)
    try:
        request = next(talk)
        while True:
            yield from worker.channel.sending(protocol.encode(request, worker.limits.max_frame_bytes), interruption)
            request = talk.send((yield from _awaiting_response(worker, interruption)))
    except StopIteration as done:
        opened: host_session.OpeningReport = done.value
        return opened


def _awaiting_response(worker: Worker, interruption: Interruption) -> Steps[protocol.Response]:
    while True:
        items = yield from awaiting_frames(worker.channel, interruption)
        for index, item in enumerate(items):
            message = None if isinstance(item, Row) else protocol.decode(item)
            if isinstance(message, protocol.Response) and index == len(items) - 1:
                return message
            if not isinstance(message, protocol.DiagnosticBody | protocol.ProgressBody):
                got = "a data row" if message is None else f"{protocol.message_type(message)!r}"
                raise UnexpectedMessage(
                    f"starting a worker: expected the one response to a request, got {got}", side="remote"
                )


def _losing_start(worker: Worker, end: EndOfFrames) -> Steps[LeanWorkerError]:
    lost = yield from worker.losing(end, "starting a worker", entered_worker=False)
    if lost.facts.get("exit_code") != protocol.EXIT_HOST_FAILED:
        return lost
    return start_failure.host_failure(worker.launch, str(lost.facts["stderr_tail"]))


def closing(worker: Worker, ended_as: str) -> Steps[None]:
    """End the worker as planned, once: ask it first if it is idle, kill it if it does not end or is not idle.

    Args:
        ended_as: "closed", "evicted" or "policy"; a worker that had died or misbehaved while it was idle is
            counted as that instead.
    """
    is_idle = worker.life.state is State.IDLE
    try:
        if is_idle and worker.process.has_ended:
            if worker.kill_reason is None:
                ended_as = "crashed"
            return
        if is_idle and worker.has_spoken_unasked:
            with contextlib.suppress(LeanWorkerError):
                yield from worker.ending_for_speaking_unasked("no request")
        if worker.life.move(State.STOPPING):
            worker.is_asked_to_end = True  # a kill meanwhile must not close the channel under this
            try:
                yield from _shutting_down(worker)
            finally:
                worker.is_asked_to_end = False
    finally:
        # Whoever is in the middle of a request uses the channel; it is given back when that has ended.
        yield from worker.ending(ended_as, None)


def _shutting_down(worker: Worker) -> Steps[None]:
    interruption, timer = worker.deadline("shutdown", worker.timeouts.shutdown, entered_worker=False)
    try:
        yield from worker.channel.sending(protocol.encode(protocol.Terminate()), interruption)
        while True:
            yield from awaiting_frames(worker.channel, interruption)
    except (EndOfFrames, LeanWorkerError):
        # A worker that has closed its pipe is about to exit; the rest is ended by force.
        yield Until(worker.reaped, worker.timeouts.shutdown)
    finally:
        timer.cancel()
