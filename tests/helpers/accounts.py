"""The caller's own books of a pool's requests: every request has one outcome, by our count and by the pool's."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable

import lean_worker as lw

NOT_BEGUN = "not begun"


class Accounts:
    """Outcomes of requests, counted by those who made them and by what the pool told. Threads may share it."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.told: collections.Counter[str] = collections.Counter()
        self.committed_rows = 0
        self._lock = threading.Lock()

    def on_event(self, event: lw.metrics.PoolEvent) -> None:
        """For `Pool(on_event=…)`."""
        if event.kind == "request_ended":
            self.told[event.facts["outcome"]] += 1

    def request(self, pool: lw.Pool, capability: lw.Capability, run: Callable[[lw.Lease], int]) -> str:
        """Lease a worker, let `run` make one request with it, and book how that ended; `run` returns its rows."""
        rows = 0
        try:
            with pool.lease(capability) as lease:
                rows = run(lease)
            outcome = "ok"
        except lw.LeanWorkerError as error:
            # A worker that was killed between the grant and the request never had it.
            outcome = type(error).__name__ if error.facts.get("entered_worker") else NOT_BEGUN
        except SinkFailed as error:
            outcome = type(error).__name__
        with self._lock:
            self.outcomes[outcome] += 1
            self.committed_rows += rows
        return outcome

    def begun(self) -> dict[str, int]:
        """Outcomes of the requests that entered a worker."""
        return {name: count for name, count in self.outcomes.items() if name != NOT_BEGUN}

    def close(self, pool: lw.Pool, case: object) -> lw.metrics.PoolSnapshot:
        """Close the pool and check that its books and ours agree, to the last request."""
        pool.close()
        snapshot = pool.snapshot()
        assert dict(snapshot.outcomes) == self.begun(), (case, snapshot.outcomes, self.begun())
        assert snapshot.events_dropped or dict(self.told) == self.begun(), (case, self.told, self.begun())
        assert snapshot.requests == sum(self.begun().values()), case
        assert (snapshot.leased, snapshot.idle, snapshot.queued) == (0, 0, 0), case
        return snapshot


class SinkFailed(Exception):
    """Raised by a caller's own sink."""


def check_gapless(rows: Iterable[lw.DataRow], case: object = None) -> None:
    """Sequences count from 0 in each stream, without a gap."""
    due: collections.Counter[str] = collections.Counter()
    for row in rows:
        assert row.sequence == due[row.stream], (case, row)
        due[row.stream] += 1
