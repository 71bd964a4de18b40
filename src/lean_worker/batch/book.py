"""Outcomes that were not handed out yet, and the counts of all."""

from __future__ import annotations

import collections
from typing import Any

from ..base.callbacks import result_of
from ..base.log import log
from ..steps.handlers import calls_handlers
from .items import Item
from .outcome import MapProgress, OnDone, Outcome
from .scheduler import Scheduler


class Book:
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
                result_of("on_done", self._on_done(done))
            except Exception:
                log.exception("on_done raised")
            finally:
                if self._told_by.get("now") is me:
                    del self._told_by["now"]
