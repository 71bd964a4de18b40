"""The outcomes of many requests: what each gave, how far all have come, and the iterator that has them.

Owns what a caller may believe about many requests: exactly one outcome for each that was taken, no more of them at once
than agreed, no thread left when the iteration is over. Hides threads and leases. Callers decide when to stop.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from ..base.interrupts import Droppable
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..commands import RequestT
from ..errors import Cancelled, UsageError
from ..steps import monitor
from ..steps.handlers import calls_handlers, refuse_in_handlers_of, waiting_for
from ..steps.waiting import Steps, Until, run
from .scheduler import Item, Lane, LeaseSource, Run, Runner, Scheduler

_log = logging.getLogger("lean_worker")

ResultT = TypeVar("ResultT")

_TAKEN_AT_ONCE = 2
"""The least number of requests that are taken before a finished outcome is handed out: the window can fill, and a slow
source does not hold outcomes back."""


if TYPE_CHECKING:
    # Two classes for type checkers alone, so that `ok` says which of `value` and `error` is there.

    class _Ended(Generic[RequestT, ResultT]):
        index: int
        request: RequestT
        seconds: float

        def raise_for_error(self) -> ResultT: ...

    class _Succeeded(_Ended[RequestT, ResultT]):
        ok: Literal[True]
        value: ResultT
        error: None

    class _Failed(_Ended[RequestT, ResultT]):
        ok: Literal[False]
        value: None
        error: BaseException

    Outcome = _Succeeded[RequestT, ResultT] | _Failed[RequestT, ResultT]
else:

    @dataclasses.dataclass(frozen=True)
    class Outcome(Generic[RequestT, ResultT]):
        """The end of one request of many.

        Attributes:
            index: Its number among the requests, from 0, in the order in which they were given.
            request: The request.
            value: What it gave; None if it failed.
            error: Why it failed; None if it did not.
            seconds: How long its last run took; 0.0 if it never came to one.
        """

        index: int
        request: RequestT
        value: ResultT | None
        error: BaseException | None
        seconds: float

        def __repr__(self) -> str:
            from ..notebook import short

            end = f"value={short(self.value, 400)}" if self.ok else f"error={short(self.error, 400)}"
            return f"Outcome(index={self.index}, request={short(self.request)}, {end}, seconds={self.seconds:.3f})"

        @property
        def ok(self) -> bool:
            """Whether it did not fail."""
            return self.error is None

        def raise_for_error(self) -> ResultT:
            """The value; raises `error` if there is one."""
            if self.error is not None:
                raise self.error
            return cast("ResultT", self.value)


@dataclasses.dataclass(frozen=True)
class MapProgress:
    """The progress of many requests.

    Attributes:
        done: How many have ended.
        total: How many there are; None if that is not known.
        failed: How many of `done` have failed.
        rows: Rows that all of them have handed out, those of requests in flight and of failed ones included.
    """

    done: int
    total: int | None
    failed: int
    rows: int


OnDone = Callable[[MapProgress], object]


class Outcomes(Droppable, Iterator[Outcome[RequestT, ResultT]], Generic[RequestT, ResultT]):
    """The outcomes of many requests, as an iterator; made by `Pool.map` and `Pool.stream_many`.

    Nothing runs before the first `next`. Requests are taken from their source on the thread that iterates. One thread
    at a time iterates; a second one, or the source itself, is refused with `UsageError`. Every request that was taken
    has exactly one outcome. If the source raises, what it raised comes after the outcomes of all that was taken before;
    if the pool is closed meanwhile, a `UsageError` does.

    Leave it by exhausting it, by the end of its `with` block, or with `close`: what is in flight is stopped at its next
    row, workers stay warm, and all threads have ended. A handler of the run (`on_row`, a sink, `on_done` and the like)
    may close it too, but must not iterate over it: that is refused with `UsageError`. One that is dropped before its
    end is stopped too, with a `ResourceWarning`. In a forked child it is of no use: iterating raises `UsageError`,
    closing does nothing.

    Attributes:
        total: How many requests there are; None if their source does not tell.
    """

    def __init__(
        self,
        pool: LeaseSource,
        lanes: Iterator[Lane],
        total: int | None,
        run_item: Run,
        *,
        is_plan: bool,
        ordered: bool,
        size: int,
        in_flight: int,
        retries: int,
        queue_seconds: float | None,
        cancel: CancelToken | None,
        on_done: OnDone | None,
        start: Callable[[Runner], None],
    ) -> None:
        self.total = total
        self._lanes = lanes
        self._is_plan = is_plan
        self._in_flight = in_flight
        self._source_error: Exception | None = None
        self._advanced_by: dict[str, object] = {}
        self._cancel = cancel
        # What the threads see is apart from this object: it can be dropped while they run.
        self._book = book = _Book(total, ordered, on_done)
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
            min(size, in_flight),
            retries,
            queue_seconds,
            start,
        )
        self._scheduler = book.scheduler = scheduler
        self._is_closed = False
        add_cancel_callback(cancel, scheduler.stop)

    # -- iteration --

    def __next__(self) -> Outcome[RequestT, ResultT]:
        outcome = run(self.advancing())
        if outcome is None:
            raise StopIteration
        return outcome

    def advancing(self) -> Steps[Outcome[RequestT, ResultT] | None]:
        """`next` as steps; comes to None at the end."""
        scheduler = self._scheduler
        if scheduler.is_foreign:
            raise UsageError(
                "iterating over outcomes: they belong to the process that this one was forked from",
                hint="Make a pool of its own in the forked child.",
            )
        refuse_in_handlers_of(scheduler)
        me = object()
        try:
            if self._advanced_by.setdefault("now", me) is not me:
                raise UsageError(
                    "iterating over outcomes: another call of next() has not returned",
                    hint="Iterate on one thread, and hand the outcomes on from there.",
                )
            return (yield from self._advancing())
        except BaseException:
            if self._advanced_by.get("now") is me:
                yield from self.closing()
            raise
        finally:
            if self._advanced_by.get("now") is me:
                del self._advanced_by["now"]

    def _advancing(self) -> Steps[Outcome[RequestT, ResultT] | None]:
        scheduler, book = self._scheduler, self._book
        taken = 0
        while True:
            if scheduler.is_stopping:
                self._end_what_was_not_sent()
            with scheduler.changed:
                if self._is_closed:
                    break
                if scheduler.fault is not None:
                    break
                if scheduler.is_stopping and scheduler.lanes:
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
                with waiting_for(scheduler, can_give_up=False):
                    yield Until(news, None)
        was_closed = self._is_closed
        yield from self.closing()
        error = None if was_closed else scheduler.fault or scheduler.refusal or self._source_error
        if error is not None:
            raise error
        return None

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
            lane = next(self._lanes, None)
        except Exception as error:
            self._source_error = error
            lane = None
        if lane is None:
            self._scheduler.seal()
            return
        self._book.taken += len(lane.items)
        self._scheduler.add(lane)

    def close(self) -> None:
        """Stop what is in flight and wait until all threads have ended; legal at any time, from any thread, and twice.

        Takes as long as a worker needs to come to its next row, at most `Timeouts.cancel_grace`, and as a handler needs
        to return. The call stops the run but does not wait where a wait could deadlock: in a handler of this run, in a
        handler of another run that this one waits for, and in a signal handler or a finalizer that interrupted this
        package. The threads then end by themselves, and whoever iterates or closes elsewhere waits for them. Do not
        hold a lock that a handler takes.
        """
        run(self.closing())

    def closing(self) -> Steps[None]:
        """`close` as steps."""
        self._is_closed = True
        self._scheduler.stop()
        remove_cancel_callback(self._cancel, self._scheduler.stop)
        yield from self._scheduler.joining()

    def __enter__(self) -> Outcomes[RequestT, ResultT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _dropped(self) -> None:
        if getattr(self, "_is_closed", True) or self._scheduler.is_foreign:
            return
        scheduler, cancel = self._scheduler, self._cancel

        def stop() -> None:
            scheduler.stop()
            remove_cancel_callback(cancel, scheduler.stop)

        # A finalizer may run anywhere, also where its thread holds one of the locks.
        was_alive = scheduler.is_alive
        monitor.shared().run_in_thread(stop)
        if was_alive:
            warnings.warn(
                f"outcomes were dropped before their end: {self!r}", ResourceWarning, source=self, stacklevel=2
            )

    # -- facts --

    @property
    def done(self) -> int:
        """The number of requests that have ended."""
        return self._book.done

    @property
    def failed(self) -> int:
        """The number of them that have failed."""
        return self._book.failed

    @property
    def rows(self) -> int:
        """Rows that all requests have handed out so far, live; tentative as long as their request has no outcome."""
        with self._scheduler.changed:
            return self._scheduler.rows()


def _not_sent(item: Item) -> Cancelled:
    return Cancelled(
        f"running request {item.index}: cancelled by the caller before it was sent",
        entered_worker=False,
        rows_delivered=0,
    )


class _Book:
    """Outcomes that were not handed out yet, and the counts; everything but `tell` with the scheduler's lock held."""

    scheduler: Scheduler

    def __init__(self, total: int | None, ordered: bool, on_done: OnDone | None) -> None:
        self.taken = 0
        self.handed_out = 0
        self.done = 0
        self.failed = 0
        self._total = total
        self._by_index: dict[int, Outcome[Any, Any]] | None = {} if ordered else None
        self._as_they_came: collections.deque[Outcome[Any, Any]] = collections.deque()
        self._on_done = on_done
        self._told_by: dict[str, object] = {}
        self._untold = False

    def add(self, item: Item, value: Any, error: BaseException | None, seconds: float) -> None:
        """A request ended."""
        make: Any = Outcome
        outcome: Outcome[Any, Any] = make(item.index, item.request, value, error, seconds)
        self.done += 1
        self.failed += error is not None
        if self._by_index is None:
            self._as_they_came.append(outcome)
        else:
            self._by_index[item.index] = outcome

    def is_ready(self) -> bool:
        """Whether the next outcome is there."""
        return bool(self._as_they_came) if self._by_index is None else self.handed_out in self._by_index

    def is_even(self) -> bool:
        """Whether everything that was taken has been handed out."""
        return self.taken == self.handed_out

    def hand_out(self) -> Outcome[Any, Any]:
        """The next outcome; `is_ready` said that it is there."""
        by_index = self._by_index
        outcome = self._as_they_came.popleft() if by_index is None else by_index.pop(self.handed_out)
        self.handed_out += 1
        self.scheduler.changed.notify_all()
        return outcome

    @calls_handlers
    def tell(self) -> None:
        """Tell `on_done`, never twice at once: whoever is telling already tells the latest."""
        if self._on_done is None:
            return
        self._untold = True
        me = object()
        while self._untold:
            # Taken and given back so that an interrupt can come anywhere.
            try:
                if self._told_by.setdefault("now", me) is not me:
                    return
                self._untold = False
                with self.scheduler.changed:
                    done = MapProgress(self.done, self._total, self.failed, self.scheduler.rows())
                self._on_done(done)
            except Exception:
                _log.exception("on_done raised")
            finally:
                if self._told_by.get("now") is me:
                    del self._told_by["now"]
