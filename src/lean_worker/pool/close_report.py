"""The report of a pool's end."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Iterable, Mapping

from ..steps.waiting import Steps
from ..worker.worker import Worker


@dataclasses.dataclass(frozen=True)
class CloseReport:
    """The end of a pool.

    Attributes:
        ended: Workers that ended while it closed, by reason; see `PoolSnapshot.ended`.
        killed: How many of its workers had to be killed: they were lent still, or did not end when asked.
        seconds: Time that it took.
        is_complete: Whether all workers have ended. False if the closing goes on without the caller (see `Pool.close`),
            and in a forked child, which ends nothing.
    """

    ended: Mapping[str, int]
    killed: int
    seconds: float
    is_complete: bool

    def _repr_html_(self) -> str:
        from ..notebook import table

        facts = [("ended", self.ended), ("killed", self.killed or None), ("seconds", round(self.seconds, 3))]
        note = None if self.is_complete else "Not all workers have ended yet."
        count = sum(self.ended.values())
        return table(
            f"{count:,} {'worker' if count == 1 else 'workers'} ended", facts, note=note, alarm=not self.is_complete
        )


NOTHING_ENDED = CloseReport({}, 0, 0.0, False)


class Closing:
    """A pool that is being closed, by one caller or several.

    Args:
        workers: Those that live when the closing begins.
    """

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = list(workers)
        self._begun = time.monotonic()
        self._report: CloseReport | None = None

    def settling(self) -> Steps[None]:
        """Wait until it is known why each worker has ended; their processes have ended."""
        for worker in self._workers:
            yield from worker.being_settled()

    def report(self) -> CloseReport:
        """The report, made when this is first called: after the last worker has ended."""
        if self._report is None:
            # A caller who still reads what a killed worker has left settles its end later, as "closed".
            ended = collections.Counter(worker.ended_as or "closed" for worker in self._workers)
            killed = sum(worker.was_killed for worker in self._workers)
            self._report = CloseReport(dict(ended), killed, round(time.monotonic() - self._begun, 6), True)
            self._workers = []
        return self._report
