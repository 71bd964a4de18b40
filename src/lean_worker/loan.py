"""One place of a pool, lent: how a request on it begins, and what the pool learns of its end.

Owns the step between a lease and its pool: poison requests are refused, used-up workers are replaced before the next
request, every end is counted. Part of the pool, in a file of its own.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import protocol
from .cancel import CancelToken
from .capability import Launch
from .errors import Cancelled, LeanWorkerError, PoisonRequest, UsageError
from .lease import Request
from .supervisor import Supervisor
from .waits import Steps

if TYPE_CHECKING:
    from .pool import Pool


class Loan:
    """One place of a pool, and the worker in it, for one lease."""

    def __init__(self, pool: Pool, key: str, launch: Launch, worker: Supervisor) -> None:
        self._pool = pool
        self._key = key
        self._launch = launch
        self.worker = worker

    def beginning(
        self, wire: protocol.Request, name: str, seconds: float | None, cancel: CancelToken | None
    ) -> Steps[Request]:
        """See `lease.Loan.beginning`."""
        pool = self._pool

        def identity() -> bytes:
            digest = hashlib.blake2b(protocol.encode(wire), digest_size=16)
            digest.update(f"{self._key} {seconds}".encode())
            return digest.digest()

        if pool._poison.knows_any:
            try:
                with pool._lock:
                    pool._poison.check(identity(), name)
            except PoisonRequest as error:
                pool._observer.refuse("request_poisoned", error, command=name)
                raise
        if (yield from pool._using_up(self.worker)):
            yield from pool._discarding([(self.worker, "policy")])
            self.worker = yield from pool._starting(self._key, self._launch, None, cancel)
        begun_at = time.monotonic()
        try:
            exchange = yield from self.worker.beginning(wire, name, seconds, cancel)
        except LeanWorkerError as error:
            self._note(identity, error)
            raise
        pool._observer.request_begun(exchange)
        return Request(self.worker, exchange, name, identity, begun_at)

    def end_request(self, request: Request, rows_delivered: int, error: BaseException | None) -> None:
        """See `lease.Loan.end_request`."""
        self._note(request.identity, error)
        self._pool._observer.request_ended(
            "ok" if error is None else type(error).__name__,
            request.exchange,
            rows_delivered=rows_delivered,
            command=request.command,
            generation=request.worker.generation,
            seconds=round(time.monotonic() - request.begun_at, 6),
        )

    def _note(self, identity: Callable[[], bytes], error: BaseException | None) -> None:
        pool = self._pool
        worker = self.worker
        if not worker.is_usable:
            if isinstance(error, LeanWorkerError) and not isinstance(error, (Cancelled, UsageError)):
                with pool._lock:
                    pool._poison.killed(identity(), error)
            pool._account(worker)
            return
        with pool._lock:
            pool._kinds.of(self._key).succeed()
            if pool._poison.knows_any:
                pool._poison.survived(identity())

    def ending(self) -> Steps[None]:
        """See `lease.Loan.ending`."""
        pool = self._pool
        try:
            yield from pool._giving_back(self._key, self._launch, self.worker)
        finally:
            pool._observer.tell("lease_released", generation=self.worker.generation)
