"""The steps of `prewarm`: as many workers as are missing are started, each in a place that it waits for."""

from __future__ import annotations

from ..errors import LeanWorkerError
from ..hosting.launch import Launch
from ..steps.monitor import Monitor
from ..steps.tasks import Task
from ..steps.waiting import Steps, Until
from ..worker.worker import Worker
from .place_queue import PlaceQueue, Ticket
from .places import Place
from .prewarms import Prewarm, Prewarms
from .workers import Workers

_ABANDONED_SECONDS = 15.0
"""As of `tasks`: seconds that an interrupted caller waits for workers it does not want any more."""


class Prewarming:
    """One call of `prewarm`; its steps are driven on the monitor's thread.

    Args:
        monitor: Who drives the steps.
        workers: The workers of the pool.
        queue: Where places are waited for.
        prewarms: The calls of the pool.
        launch: What the workers host.
        count: How many of them are to be warm.
        seconds: Time for all places and starts; None is without limit.
        started: When the call began, by `time.monotonic`.
        thread: The thread that called.
        is_blocking: Whether nothing else runs on that thread meanwhile.
    """

    def __init__(
        self,
        monitor: Monitor,
        workers: Workers,
        queue: PlaceQueue,
        prewarms: Prewarms,
        *,
        launch: Launch,
        count: int,
        seconds: float | None,
        started: float,
        thread: int,
        is_blocking: bool,
    ) -> None:
        self._monitor = monitor
        self._workers = workers
        self._queue = queue
        self._prewarms = prewarms
        self._launch = launch
        self._call = Prewarm(launch.key(), count)
        self._seconds = seconds
        self._started = started
        self._thread = thread
        self._is_blocking = is_blocking

    def serving(self) -> Steps[None]:
        """Start workers until none is missing.

        Raises:
            LeanWorkerError: A place did not come free in time, or a worker did not start: the first such failure.
        """
        call = self._call
        self._prewarms.enter(call)
        adds: list[Task[None]] = []
        try:
            while missing := self._prewarms.missing(call):
                adds = [Task(self._monitor, self._adding()) for _ in range(missing)]
                for add in adds:
                    add.post()
                for add in adds:
                    yield Until(add.done, None)
                failures: list[BaseException] = []
                for add in adds:
                    try:
                        add.result()
                    except LeanWorkerError as error:
                        self._workers.observer.refuse("lease_refused", error, capability=self._launch.description)
                        failures.append(error)
                    except Exception as error:
                        failures.append(error)
                if failures:
                    try:
                        raise failures[0]
                    finally:
                        failures.clear()  # no cycle of an error, its traceback, and this frame
            self._workers.put_last(call.key)
        except BaseException:
            for add in adds:
                add.abandon()
            for add in adds:
                yield Until(add.settled, _ABANDONED_SECONDS)
            raise
        finally:
            self._prewarms.leave(call)
            self._queue.call_next()

    def _adding(self) -> Steps[None]:
        """Start one worker, unless there are enough meanwhile."""
        call = self._call
        gone: list[tuple[Worker, str]] = []
        ticket = Ticket(None, needs_others=False, prewarm=call)

        def take() -> Place | None:
            if not self._prewarms.missing(call):
                return None
            place = self._workers.take_place_for_new(call.key, self._thread, self._queue.max_workers, gone)
            self._prewarms.begin_start(call)
            return place

        place = yield from self._queue.waiting_for_turn(
            ticket, take, self._seconds, self._started, self._thread, self._is_blocking
        )
        if place is None:
            return
        try:
            yield from self._workers.discarding(gone)
            end = None if self._seconds is None else self._started + self._seconds
            worker = place.worker = yield from self._workers.starting(self._launch, end, None)
        except BaseException:
            call.starting -= 1
            self._workers.free(place)
            raise
        call.starting -= 1
        yield from self._workers.giving_back(worker, place)
        call.spent += not worker.is_usable and not self._workers.is_closed
