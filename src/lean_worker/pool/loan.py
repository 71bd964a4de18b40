"""One place of a pool, lent: how a request on it begins, and what the pool learns of its end.

Owns the step between a lease and its pool: poison requests are refused, used-up workers are replaced before the next
request, every end is counted. Whatever counts or owns workers happens on the monitor's thread; the thread of the caller
leaves notes in the pool's `mail`, one atomic step each.
"""

from __future__ import annotations

import _thread
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..base.asyncio_tasks import current_task
from ..base.deferred import Deferred
from ..base.interrupts import Leaving
from ..cancel import CancelToken
from ..errors import LeanWorkerError, PoisonRequest, StaleLease, UsageError
from ..steps.monitor import Monitor
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Steps
from ..wire import protocol
from ..wire.frames import RowCursor
from ..worker.exchange import Exchange, beginning
from ..worker.worker import Worker, doing
from .places import Place
from .workers import Workers

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Deferred("hashlib")


def released(command: str | None) -> UsageError:
    """Return the error for the use of a lease that was released."""
    return UsageError(
        f"{doing(command)}: this lease was released",
        hint="Take a new lease, and use it inside of its with block.",
        command=command,
    )


def _released_early() -> StaleLease:
    reason = "the lease was released before the request ended"
    hint = "Release a lease after its requests have ended."
    return StaleLease(reason, hint=hint, reason=reason, entered_worker=True)


class Request:
    """A request: who serves it, and what the pool needs to know of it afterwards.

    Attributes:
        command: The command's name; None for a change of workers.
        is_over: Whether the lease may begin the next one.
        is_lost: Whether nobody drives it any more, although it is not over.
        has_stream: Whether its rows are in the caller's stream, whose finalizer stops it.
        is_first: Whether it is its worker's first one.
        is_survived: Whether its worker was there after it; what becomes of that later is not its doing.
        is_begun, is_counted: What of it the pool has counted; on the monitor's thread only.
    """

    __slots__ = (
        "_rows", "_rows_seen", "begun_at", "command", "exchange", "has_stream", "identity", "is_begun", "is_counted",
        "is_first", "is_lost", "is_over", "is_survived", "loan", "outcome", "seconds", "task", "thread", "worker",
    )  # fmt: skip

    def __init__(self, loan: Loan, command: str | None) -> None:
        self.loan = loan
        self.command = command
        self.worker = loan.worker
        self.thread = _thread.get_ident()
        self.task = current_task()
        self.exchange: Exchange | None = None
        self.identity: Callable[[], bytes] | None = None
        self.begun_at = time.monotonic()
        self.outcome: str | None = None
        self._rows: weakref.ref[RowCursor] | None = None
        self._rows_seen = 0
        self.seconds = 0.0
        self.is_over = self.is_lost = self.is_begun = self.is_counted = self.is_first = self.has_stream = False
        self.is_survived = False

    def delivers(self, rows: RowCursor) -> None:
        """From now on these are what `rows_delivered` counts."""
        self._rows = weakref.ref(rows)

    def end_rows(self, count: int) -> None:
        """The request has handed out `count` rows, and will hand out no more."""
        self._rows_seen = count
        self._rows = None

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
        return 0 if self.exchange is None else self.exchange.received_bytes

    @property
    def backpressure_us(self) -> int:
        """Time in which its worker waited for its caller to read, in microseconds; an upper bound."""
        return 0 if self.exchange is None else self.exchange.backpressure_us

    def account(self) -> None:
        """On the monitor's thread: count what it has come to since the last time."""
        self.loan.account(self)

    def lose(self) -> None:
        """On the monitor's thread: the frames that drove it are gone. See that its worker is idle or ends."""
        if self.is_over:
            return
        exchange = self.exchange
        if exchange is not None:
            exchange.is_over = True
            exchange.let_go()
        if self.outcome is None:
            self.outcome = "KeyboardInterrupt"
        self.worker.request_lost()
        self.is_over = True
        self.loan.account(self)

    def give_up(self) -> None:
        """On the monitor's thread: its lease is given back. Somebody else who drives it ends it, soon."""
        if self.is_over:
            return
        if self.is_lost:
            self.lose()
        elif self.exchange is not None:
            self.exchange.interruption.set(_released_early())


class Hold(Leaving):
    """Whoever drives a request holds this. Dropped before the end, as by an interrupt, it gives the request up."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def _dropped(self) -> None:
        request: Request | None = getattr(self, "request", None)  # an interrupt may have come before it was set
        if request is None or request.is_over or not request.loan.is_here:
            return
        if not request.has_stream:  # with which this is collected in a reference cycle, in either order
            request.is_lost = True
            request.loan.monitor.post(request.lose)


class Loan:
    """One place of a pool, and the worker in it, for one lease.

    Args:
        workers: Those of the pool.
        pool: Kept alive as long as the loan, as a pool that is dropped is closed.
        place: The place.
        worker: Who is in it.
    """

    def __init__(self, workers: Workers, pool: object, place: Place, worker: Worker) -> None:
        self._workers = workers
        self._pool = pool
        self._place = place
        self._is_returned = False
        self.worker = worker
        self.is_given_back = False

    @property
    def description(self) -> str:
        """The hosted program, in words."""
        return self.worker.launch.description

    @property
    def monitor(self) -> Monitor:
        """The monitor that does the bookkeeping of the pool."""
        return self._workers.monitor

    @property
    def is_here(self) -> bool:
        """Whether this is the process that lent it, and no fork of it."""
        return self._workers.owner.is_here

    def beginning(
        self, request: Request, wire: protocol.Request, seconds: float | None, cancel: CancelToken | None
    ) -> Steps[None]:
        """Send a request to the worker, or to the one that takes its place."""
        workers, command, key = self._workers, request.command, self.worker.key
        assert command is not None  # a change of workers sends nothing

        def identity() -> bytes:
            digest = hashlib.blake2b(protocol.encode(wire), digest_size=16)
            digest.update(f"{key} {seconds}".encode())
            return digest.digest()

        self._place.request = request
        request.identity = identity
        # In this order: whoever takes the worker back sees the request, or this sees that it was taken back.
        self._check_lent(command)
        if workers.poison.knows_any:
            try:
                workers.poison.check(identity(), command)
            except PoisonRequest as error:
                refused = error
                self.monitor.post(lambda: workers.observer.refuse("request_poisoned", refused, command=command))
                raise
        if workers.may_use_up(self.worker):
            yield from on_monitor(self.monitor, self._replacing(command, cancel))
        request.worker = self.worker
        request.is_first = self.worker.requests == 0
        request.begun_at = time.monotonic()
        try:
            request.exchange = yield from beginning(self.worker, wire, command, seconds, cancel)
        except LeanWorkerError as error:
            self._note(request, error)
            raise
        workers.mail(request)

    def check_usable(self, command: str | None) -> None:
        """Refuse to go on with a lease that was given back, or whose worker has ended.

        Raises:
            UsageError: The lease was given back.
            StaleLease: The worker has ended.
        """
        self._check_lent(command)
        if not self.worker.is_usable:
            raise self.worker.gone_before(command)

    def _check_lent(self, command: str | None) -> None:
        if self._is_returned:
            raise released(command)

    def _replacing(self, command: str, cancel: CancelToken | None) -> Steps[None]:
        if (yield from self._workers.using_up(self.worker)):
            yield from self._changing(command, "policy", cancel)

    def cycling(self, cancel: CancelToken | None) -> Steps[None]:
        """End the worker and start another one in its place; no request is in flight.

        Raises:
            UsageError: The lease is given back.
            StaleLease: The worker has ended before, and somebody else may have its place.
            LeanWorkerError: As of `Pool.lease`, if the new worker cannot start.
        """
        yield from on_monitor(self.monitor, self._cycling(cancel))

    def _cycling(self, cancel: CancelToken | None) -> Steps[None]:
        self._workers.read_mail()
        yield from self._changing(None, "closed", cancel)

    def _changing(self, command: str | None, why: str, cancel: CancelToken | None) -> Steps[None]:
        workers, place = self._workers, self._place
        self._check_lent(command)
        if place not in workers.places:  # the worker ended meanwhile, and its place is free
            raise self.worker.gone_before(command)
        place.worker = None
        try:
            yield from workers.discarding([(self.worker, why)])
            self._check_lent(command)
            self.worker = yield from workers.starting(self.worker.launch, None, cancel)
            place.worker = self.worker
            workers.tell_room()
            workers.observer.cold_opens += 1
        except BaseException:
            workers.free(place)
            raise
        if self._is_returned:
            yield from workers.discarding([(self.worker, "closed")])

    def end_request(self, request: Request, rows_delivered: int, error: BaseException | None) -> None:
        """A request that had begun ended; may be called again."""
        if request.is_over or not self.is_here:
            return
        request.end_rows(rows_delivered)
        request.seconds = round(time.monotonic() - request.begun_at, 6)
        request.is_survived = error is None or request.worker.is_usable
        request.outcome = "ok" if error is None else type(error).__name__
        self._note(request, error)
        self._workers.mail(request)
        request.is_over = True

    def _note(self, request: Request, error: BaseException | None) -> None:
        identity = request.identity
        if identity is None or not isinstance(error, LeanWorkerError) or error.by_caller or request.worker.is_usable:
            return
        if error.entered_worker is False:
            return  # whatever ended the worker, this request did not
        failed = error

        def note() -> None:
            self._workers.read_mail()
            self._workers.poison.killed(identity(), failed)

        self.monitor.call(note)

    def account(self, request: Request) -> None:
        """On the monitor's thread: count what a request has come to since the last time."""
        workers = self._workers
        if request.exchange is not None and not request.is_begun:
            request.is_begun = True
            workers.observer.request_begun(request)
        if request.outcome is None or request.is_counted or not request.is_begun:
            return
        request.is_counted = True
        assert request.exchange is not None and request.identity is not None
        worker = request.worker
        if request.is_survived:
            workers.histories.of(worker.key).succeed()
            if workers.poison.knows_any:
                workers.poison.survived(request.identity())
        if not worker.is_usable and worker.life.request == request.exchange.number:
            worker.request_lost()  # an interrupt in the middle of its end may have left it there
        if request.outcome == "ok":
            workers.observer.took("first_command" if request.is_first else "warm_command", request.seconds)
        workers.observer.request_ended(
            request.outcome,
            request,
            rows_delivered=request.rows_delivered,
            command=request.command,
            generation=worker.generation,
            seconds=request.seconds,
        )

    # -- the end --

    def give_back(self) -> None:
        """Give the worker back soon, on the monitor's thread; waits for nothing. For finalizers and interrupts."""
        if self.is_here:
            Task(self.monitor, self._giving_back()).post()
            self.is_given_back = True

    def ending(self) -> Steps[None]:
        """Give the worker back and wait for it; the waiting can be interrupted, the rest is done."""
        if self.is_here:
            yield from on_monitor(self.monitor, self._giving_back(), is_shielded=True)
            # Not after an interrupt, which may have come before the monitor was asked: whoever drops it asks again.
            self.is_given_back = True

    def _giving_back(self) -> Steps[None]:
        if self._is_returned:
            return
        self._is_returned = self._place.is_leaving = True
        workers = self._workers
        workers.read_mail()
        request = self._place.request
        if request is not None and not request.is_over:
            request.give_up()
            # It may be about to begin: kept, the worker would serve two leases.
            self.worker.kill(_released_early())
        try:
            yield from workers.giving_back(self.worker, self._place)
        finally:
            self._place.request = None  # no cycle through which a pool that is dropped waits for the collector
            workers.observer.tell("lease_released", generation=self.worker.generation)
