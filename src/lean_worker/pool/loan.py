"""One place of a pool, lent: how a request on it begins, and what the pool learns of its end.

Owns the step between a lease and its pool: poison requests are refused, used-up workers are replaced before the next
request, every end is counted. Whatever counts or owns workers happens on the monitor's thread; the thread of the caller
leaves notes in the pool's `mail`, one atomic step each.
"""

from __future__ import annotations

import _thread
import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..cancel import CancelToken
from ..errors import Cancelled, LeanWorkerError, PoisonRequest, StaleLease, UsageError
from ..hosting.capability import Launch
from ..steps import monitor
from ..steps.leaving import Leaving
from ..steps.tasks import Task, on_monitor
from ..steps.waiting import Steps
from ..wire import protocol
from ..worker.exchange import Exchange
from ..worker.supervisor import Supervisor

if TYPE_CHECKING:
    from ..blocking.pool import Pool


class Place:
    """One of a pool's places, taken; touched on the monitor's thread only.

    Attributes:
        worker: Who is in it; None while that one is started or replaced.
        thread: The thread that asked for it.
        request: The request in flight, or the last one.
    """

    __slots__ = ("request", "thread", "worker")

    def __init__(self, thread: int) -> None:
        self.worker: Supervisor | None = None
        self.thread = thread
        self.request: Request | None = None


class Request:
    """A request: who serves it, and what the pool needs to know of it afterwards.

    Attributes:
        is_over: Whether the lease may begin the next one.
        is_lost: Whether nobody drives it any more, although it is not over.
        is_begun, is_counted: What of it the pool has counted; on the monitor's thread only.
    """

    __slots__ = (
        "begun_at", "command", "exchange", "identity", "is_begun", "is_counted", "is_lost", "is_over", "loan",
        "outcome", "rows_delivered", "seconds", "thread", "worker",
    )  # fmt: skip

    def __init__(self, loan: Loan, command: str) -> None:
        self.loan = loan
        self.command = command
        self.worker = loan.worker
        self.thread = _thread.get_ident()
        self.exchange: Exchange | None = None
        self.identity: Callable[[], bytes] | None = None
        self.begun_at = time.monotonic()
        self.outcome: str | None = None
        self.rows_delivered = 0
        self.seconds = 0.0
        self.is_over = self.is_lost = self.is_begun = self.is_counted = False

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


class Hold(Leaving):
    """Whoever drives a request holds this. Dropped before the end, as by an interrupt, it gives the request up."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def _dropped(self) -> None:
        request = self.request
        if not request.is_over and request.loan.is_here:
            request.is_lost = True
            monitor.shared().post(request.lose)


class Loan:
    """One place of a pool, and the worker in it, for one lease."""

    def __init__(self, pool: Pool, key: str, launch: Launch, place: Place, worker: Supervisor) -> None:
        self._pool = pool
        self._key = key
        self._launch = launch
        self._place = place
        self._is_returned = False
        self.worker = worker
        self.is_given_back = False

    @property
    def is_here(self) -> bool:
        """Whether this is the process that lent it, and no fork of it."""
        return self._pool.home.is_here

    def beginning(
        self, request: Request, wire: protocol.Request, seconds: float | None, cancel: CancelToken | None
    ) -> Steps[None]:
        """Send a request to the worker, or to the one that takes its place."""
        pool = self._pool

        def identity() -> bytes:
            digest = hashlib.blake2b(protocol.encode(wire), digest_size=16)
            digest.update(f"{self._key} {seconds}".encode())
            return digest.digest()

        self._place.request = request
        request.identity = identity
        if pool.poison.knows_any:
            try:
                pool.poison.check(identity(), request.command)
            except PoisonRequest as error:
                refused = error
                monitor.shared().post(
                    lambda: pool.observer.refuse("request_poisoned", refused, command=request.command)
                )
                raise
        if pool.may_use_up(self.worker):
            yield from on_monitor(self._replacing(cancel))
        request.worker = self.worker
        request.begun_at = time.monotonic()
        try:
            request.exchange = yield from self.worker.beginning(wire, request.command, seconds, cancel)
        except LeanWorkerError as error:
            self._note(request, error)
            raise
        pool.mail(request)

    def _replacing(self, cancel: CancelToken | None) -> Steps[None]:
        pool, place = self._pool, self._place
        if not (yield from pool.using_up(self.worker)) or self._is_returned:
            return
        place.worker = None
        try:
            yield from pool.discarding([(self.worker, "policy")])
            self.worker = yield from pool.starting(self._key, self._launch, None, cancel)
            place.worker = self.worker
        except BaseException:
            pool.free(place)
            raise
        if self._is_returned:
            yield from pool.discarding([(self.worker, "closed")])

    def end_request(self, request: Request, rows_delivered: int, error: BaseException | None) -> None:
        """A request that had begun ended; may be called again."""
        if request.is_over or not self.is_here:
            return
        request.rows_delivered = rows_delivered
        request.seconds = round(time.monotonic() - request.begun_at, 6)
        request.outcome = "ok" if error is None else type(error).__name__
        self._note(request, error)
        self._pool.mail(request)
        request.is_over = True

    def _note(self, request: Request, error: BaseException | None) -> None:
        identity = request.identity
        if (
            identity is None
            or not isinstance(error, LeanWorkerError)
            or isinstance(error, (Cancelled, UsageError))
            or request.worker.is_usable
        ):
            return
        failed = error

        def note() -> None:
            self._pool.read_mail()
            self._pool.poison.killed(identity(), failed)

        monitor.shared().call(note)

    def account(self, request: Request) -> None:
        """On the monitor's thread: count what a request has come to since the last time."""
        pool = self._pool
        if request.exchange is not None and not request.is_begun:
            request.is_begun = True
            pool.observer.request_begun(request.exchange)
        if request.outcome is None or request.is_counted or not request.is_begun:
            return
        request.is_counted = True
        assert request.exchange is not None and request.identity is not None
        worker = request.worker
        if worker.is_usable:
            pool.kinds.of(self._key).succeed()
            if pool.poison.knows_any:
                pool.poison.survived(request.identity())
        elif worker.life.request == request.exchange.number:
            worker.request_lost()  # an interrupt in the middle of its end may have left it there
        pool.observer.request_ended(
            request.outcome,
            request.exchange,
            rows_delivered=request.rows_delivered,
            command=request.command,
            generation=worker.generation,
            seconds=request.seconds,
        )

    # -- the end --

    def give_back(self) -> None:
        """Give the worker back soon, on the monitor's thread; waits for nothing. For finalizers and interrupts."""
        if self.is_here:
            Task(self._giving_back()).post()
            self.is_given_back = True

    def ending(self) -> Steps[None]:
        """Give the worker back and wait for it; the waiting can be interrupted, the rest is done."""
        if self.is_here:
            try:
                yield from on_monitor(self._giving_back(), is_shielded=True)
            finally:
                self.is_given_back = True

    def _giving_back(self) -> Steps[None]:
        if self._is_returned:
            return
        self._is_returned = True
        pool = self._pool
        pool.read_mail()
        request = self._place.request
        if request is not None and not request.is_over and request.is_lost:
            request.lose()
        elif request is not None and not request.is_over and request.exchange is not None:
            # Somebody else drives it. It ends there, and the channel is given back after that.
            request.exchange.interruption.set(
                StaleLease("the lease was released before the request ended", entered_worker=True)
            )
        try:
            yield from pool.giving_back(self._key, self._launch, self.worker, self._place)
        finally:
            pool.observer.tell("lease_released", generation=self.worker.generation)
