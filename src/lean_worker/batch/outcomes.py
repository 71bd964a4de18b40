"""The core of many requests: what each gave, how far all have come, and the steps that hand the outcomes out.

Owns what a caller may believe about many requests: exactly one outcome for each that was taken, no more of them at once
than agreed, no thread left when the iteration is over. Hides threads and leases. `blocking.many.Outcomes` and
`aio.many.AsyncOutcomes` drive it; callers decide when to stop.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Generic

from ..base.interrupts import Droppable
from ..cancel import add_cancel_callback, remove_cancel_callback
from ..commands import RequestT
from ..errors import Cancelled, UsageError
from ..steps.handlers import calls_handlers, refuse_in_handlers_of, waiting_for
from ..steps.waiting import Steps, Until
from .book import Book
from .items import Dispatcher, Item, ItemGroup, Run
from .lease_source import LeaseSource
from .options import BatchOptions
from .outcome import Outcome, ResultT
from .scheduler import Scheduler

_TAKEN_AT_ONCE = 2
"""The least number of requests that are taken before a finished outcome is handed out: the window can fill, and a slow
source does not hold outcomes back."""
_PAUSE_SECONDS = 0.1
"""Seconds without an outcome after which a caller of `advancing` is told, once, that there is a pause."""


class OutcomesCore(Droppable, Generic[RequestT, ResultT]):
    """The steps of `Outcomes` and of `AsyncOutcomes`, and the state that both show.

    A core that is dropped before its end stops the run, with a `ResourceWarning`.

    Args:
        pool: Where leases come from.
        groups: The requests.
        total: How many there are; None if their source does not tell.
        run_item: Runs one of them.
        is_plan: Whether groups are the batches of a plan.
        ordered: Whether outcomes come in the order of the requests.
        in_flight: Most requests that are taken, or of a plan: started, and not handed out.
        options: The rest of what the caller asked for.
        start: Starts a dispatcher.

    Attributes:
        total: How many requests there are; None if their source does not tell.
    """

    def __init__(
        self,
        pool: LeaseSource,
        groups: Iterator[ItemGroup],
        total: int | None,
        run_item: Run,
        *,
        is_plan: bool,
        ordered: bool,
        in_flight: int,
        options: BatchOptions,
        start: Callable[[Scheduler, Dispatcher], None],
    ) -> None:
        self.total = total
        self._monitor = pool.monitor
        self._groups = groups
        self._is_plan = is_plan
        self._in_flight = in_flight
        self._source_error: Exception | None = None
        self._advanced_by: dict[str, object] = {}
        self._cancel = options.cancel
        # What the threads see is apart from this object: it can be dropped while they run.
        self._book = book = Book(total, ordered, options.on_done)
        # Outcomes of a plan that wait for their turn are held beyond the limit, or the turn might never come.
        is_bounded = not (is_plan and ordered)

        def may_start() -> bool:
            return not is_bounded or scheduler.started - book.handed_out < in_flight

        scheduler = Scheduler(
            pool,
            run_item,
            book.add,
            book.tell,
            may_start,
            min(pool.max_workers, in_flight),
            options.retries,
            start,
        )
        self._scheduler = book.scheduler = scheduler
        self._is_closed = False
        self._is_stopped = False
        self._is_complete = False
        self._is_begun = False
        self._may_just_end = False
        add_cancel_callback(options.cancel, scheduler.stop)

    # -- iteration --

    def advancing(self, on_pause: Callable[[], object] | None = None) -> Steps[Outcome[RequestT, ResultT] | None]:
        """Wait for the next outcome; None at the end.

        Args:
            on_pause: Called once, if there is none for a tenth of a second; what it raises ends the run.

        Raises:
            UsageError: It was stopped before its end, by a failure, the end of its `with` block or a close. Only a loop
                in progress is told once, after a close, that there are no more outcomes.
            Cancelled: It was stopped otherwise before all requests were taken.
            BaseException: What the source of the requests, the pool, or `on_pause` raises.
        """
        scheduler = self._scheduler
        if scheduler.is_foreign:
            raise UsageError(
                "iterating over outcomes: they belong to the process that this one was forked from",
                hint="Make a pool of its own in the forked child.",
            )
        refuse_in_handlers_of(scheduler)
        self._is_begun = True
        me = object()
        try:
            if self._advanced_by.setdefault("now", me) is not me:
                raise UsageError(
                    "iterating over outcomes: another call of next() has not returned",
                    hint="Iterate on one thread, and hand the outcomes on from there.",
                )
            return (yield from self._advancing(on_pause))
        except BaseException:
            if self._advanced_by.get("now") is me:
                yield from self._ending()
            raise
        finally:
            if self._advanced_by.get("now") is me:
                del self._advanced_by["now"]

    def refuse_self_wait(self) -> None:
        """Refuse to wait on a thread that holds all workers of the pool itself; for `advancing`, where it blocks.

        Raises:
            UsageError: That is so.
        """
        self._scheduler.pool.refuse_self_wait("running many requests")

    def _advancing(self, on_pause: Callable[[], object] | None) -> Steps[Outcome[RequestT, ResultT] | None]:
        scheduler, book = self._scheduler, self._book
        taken = 0
        pause_at = time.monotonic() + _PAUSE_SECONDS
        while True:
            if scheduler.is_stopping:
                self._end_what_was_not_sent()
            with scheduler.changed:
                if self._is_closed:
                    break
                if scheduler.fault is not None:
                    break
                if scheduler.is_stopping and scheduler.groups:
                    continue  # stopped since it was looked at above
                is_ready = book.is_ready()
                wants_more = not scheduler.is_sealed and self._wants_more()
                if is_ready and (taken >= _TAKEN_AT_ONCE or not wants_more):
                    return book.hand_out()
                is_over = scheduler.is_sealed or scheduler.is_stopping or scheduler.refusal is not None
                if not wants_more and is_over and book.is_even():
                    break
                news = scheduler.changed.next
            if wants_more:
                self._take_one()
                taken += 1
            else:
                left = None if on_pause is None else max(0.0, pause_at - time.monotonic())
                with waiting_for(scheduler, can_give_up=False):
                    yield Until(news, left)
                if on_pause is not None and time.monotonic() >= pause_at:
                    on_pause()
                    on_pause = None
        was_closed = self._is_closed
        yield from self._ending()
        if was_closed:
            self._say_why_closed()
            return None
        error = scheduler.fault or scheduler.refusal or self._source_error or self._left_over()
        if error is not None:
            try:
                raise error
            finally:
                del error  # no cycle of an error, its traceback, and this frame
        self._is_complete = True
        return None

    def _say_why_closed(self) -> None:
        if not self._may_just_end:
            self.check_not_stopped()
        self._may_just_end = False

    def check_not_stopped(self) -> None:
        """Refuse to iterate over outcomes whose run was stopped: they would look like all there are.

        Raises:
            UsageError: It was closed, or has failed, before its end.
        """
        if self._is_closed and not self._is_complete:
            raise UsageError(
                "iterating over outcomes: the run was closed, or failed, before its end",
                hint="Iterate within the `with` block, and start another run for the rest.",
            )

    def _left_over(self) -> Cancelled | None:
        """The error for requests that no outcome speaks of, since the run was stopped before they were taken."""
        taken = self._book.taken
        if self._scheduler.is_sealed or taken == self.total:
            return None
        of = "" if self.total is None else f" of {self.total}"
        by_token = self._cancel is not None and self._cancel.is_cancelled
        how = "cancelled by the caller" if by_token else "stopped by the end of its tasks or of the interpreter"
        return Cancelled(
            f"running many requests: {how}, after {taken}{of} were taken",
            hint="The outcomes so far are of those; the rest were not sent.",
            entered_worker=False,
        )

    def _wants_more(self) -> bool:
        scheduler = self._scheduler
        if scheduler.is_stopping or scheduler.refusal is not None:
            return False
        if self._is_plan:
            # Some to choose from: a warm worker goes on with what it hosts.
            return scheduler.unreserved() < scheduler.size
        return self._book.taken - self._book.handed_out < self._in_flight

    def _end_what_was_not_sent(self) -> None:
        with self._scheduler.changed:
            for item in self._scheduler.take_back():
                self._book.add(item, None, _not_sent(item), 0.0)
        self._book.tell()

    @calls_handlers
    def _take_one(self) -> None:
        try:
            group = next(self._groups, None)
        except Exception as error:
            self._source_error = error
            group = None
        if group is None:
            self._scheduler.seal()
            return
        self._book.taken += len(group.items)
        self._scheduler.add(group)

    def closing(self, *, is_left: bool = False) -> Steps[None]:
        """See `Outcomes.close`.

        Args:
            is_left: Whether the `with` block ends; what takes outcomes later must not seem to have them all.
        """
        is_waited_for = "now" in self._advanced_by
        if not self._is_closed:
            self._may_just_end = self._is_begun and (is_waited_for or not is_left)
        elif is_left:
            self._may_just_end = self._may_just_end and is_waited_for
        yield from self._ending()

    def _ending(self) -> Steps[None]:
        self._is_complete = self._is_complete or self._book.handed_out == self.total
        self._is_closed = True
        self._scheduler.stop()
        remove_cancel_callback(self._cancel, self._scheduler.stop)
        self._is_stopped = True
        yield from self._scheduler.joining()

    def __repr__(self) -> str:
        return f"<Outcomes: {self.done} of {'?' if self.total is None else self.total} done, {self.failed} failed>"

    def _dropped(self) -> None:
        # An interrupt may have come before the attributes were set, or within `closing`.
        if getattr(self, "_is_stopped", True) or self._scheduler.is_foreign:
            return
        scheduler, cancel = self._scheduler, self._cancel

        def stop() -> None:
            scheduler.stop()
            remove_cancel_callback(cancel, scheduler.stop)

        # A finalizer may run anywhere, also where its thread holds one of the locks.
        was_alive = scheduler.is_alive
        self._monitor.run_in_thread(stop)
        if was_alive and not self._is_closed:
            warnings.warn(
                f"outcomes were dropped before their end: {self!r}", ResourceWarning, source=self, stacklevel=2
            )

    # -- facts --

    @property
    def is_ready(self) -> bool:
        """See `Outcomes.is_ready`."""
        with self._scheduler.changed:
            return self._book.is_ready()

    @property
    def done(self) -> int:
        """See `Outcomes.done`."""
        return self._book.done

    @property
    def failed(self) -> int:
        """See `Outcomes.failed`."""
        return self._book.failed

    @property
    def rows(self) -> int:
        """See `Outcomes.rows`."""
        with self._scheduler.changed:
            return self._scheduler.rows()


def _not_sent(item: Item) -> Cancelled:
    return Cancelled(
        f"running request {item.index}: cancelled by the caller before it was sent",
        entered_worker=False,
        rows_delivered=0,
    )
