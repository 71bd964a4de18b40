"""Dispatchers at work: each holds a lease while there is work for it, and sends one item after the other to its worker.

A dispatcher is steps; a thread drives them, or a task.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..base import threads
from ..base.log import log
from ..cancel import CancelToken
from ..errors import QueueTimeout
from ..pool.lease import LeaseCore
from ..steps.handlers import work_for
from ..steps.waiting import Steps, Until, run
from .items import Dispatcher, Item, ItemGroup, is_same
from .scheduler import Scheduler, is_refusal

_SLICE_SECONDS = 0.5
"""The least seconds that a lease is kept, if there is work for it, when others wait for the place."""
_PAUSE_SECONDS = 1.0
"""Seconds for which a dispatcher without a lease leaves the work to those that have one, before it asks again."""


class Dispatching:
    """The steps of one dispatcher.

    Args:
        scheduler: Where its items come from.
        dispatcher: Its state, which the scheduler sees.
    """

    def __init__(self, scheduler: Scheduler, dispatcher: Dispatcher) -> None:
        self._scheduler = scheduler
        self._state = dispatcher

    def serving(self) -> Steps[None]:
        """Take items and run them until there are none. Call `Scheduler.stop` before interrupting its waits."""
        scheduler = self._scheduler
        try:
            while (begun := (yield from self._taking_item())) is not None:
                scheduler.call_off_waits()
                yield from scheduler.running(*begun)
        except BaseException as error:  # a fault of this module must not leave the caller waiting
            if not scheduler.is_stopping:
                log.exception("what serves many requests failed")
                with scheduler.changed:
                    scheduler.fault = error
                    scheduler.changed.notify_all()
        finally:
            try:
                yield from self._releasing()
            finally:
                self._state.ended.set()

    def _taking_item(self) -> Steps[tuple[LeaseCore, ItemGroup, Item] | None]:
        """Wait for an item, and for a worker to run it on; None when there will be none."""
        scheduler = self._scheduler
        while True:
            with scheduler.changed:
                group = scheduler.pick(self._state)
                if group is not None and self._fits(group):
                    assert self._state.lease is not None
                    return self._state.lease, group, scheduler.claim(group)
                if group is None and scheduler.is_over():
                    return None
                is_idle = group is None and self._state.lease is None
                scheduler.idle += is_idle
                news = scheduler.changed.next
            if is_idle:
                try:
                    yield Until(news, None)
                finally:
                    with scheduler.changed:
                        scheduler.idle -= 1
                continue
            yield from self._releasing()
            if group is not None:
                yield from self._taking_lease(group)

    def _fits(self, group: ItemGroup) -> bool:
        """Whether the lease at hand may run the group's next item, in fairness to others too."""
        if (
            self._state.lease is None
            or self._state.lease.is_stale
            or not is_same(self._state.capability, group.capability)
        ):
            return False
        if time.monotonic() - self._state.leased_at < _SLICE_SECONDS:
            return True
        return not self._scheduler.is_wanted_by_others()

    def _taking_lease(self, group: ItemGroup) -> Steps[None]:
        """Get a worker for a group; if that fails, leave the group to others or give its next item the error."""
        scheduler = self._scheduler
        wait = CancelToken()
        with scheduler.changed:
            if scheduler.is_over():
                return
            self._state.wait, self._state.capability = wait, group.capability
        lease = None
        try:
            lease = yield from scheduler.pool.granting(group.capability, cancel=wait)
        except QueueTimeout as error:
            # Who waits in the queue, as this thread did, is no hope to those who waited in vain.
            if not wait.is_cancelled:
                yield from self._handling_refusal(group, error, or_wait=False)
        except Exception as error:
            if not wait.is_cancelled:
                yield from self._handling_refusal(group, error, or_wait=True)
        finally:
            with scheduler.changed:
                self._state.wait = None
                self._state.lease = lease
                self._state.leased_at = time.monotonic()
                if lease is not None:
                    scheduler.prefer_oldest(self._state)

    def _handling_refusal(self, group: ItemGroup, error: Exception, *, or_wait: bool) -> Steps[None]:
        pause = self._refused(group, error, or_wait=or_wait)
        if pause is None:
            self._scheduler.tell()
        else:
            yield from self._scheduler.changed.waiting_for(*pause)

    def _refused(self, group: ItemGroup, error: Exception, *, or_wait: bool) -> tuple[Callable[[], bool], float] | None:
        """Tell what to wait for, and how long, before a lease is asked for again; None if for nothing."""
        scheduler = self._scheduler
        with scheduler.changed:
            self._state.wait = None
            if scheduler.is_over() or group.owner is not self._state or not group.items:
                return None
            if scheduler.others_hold(self._state, group.capability, or_wait=or_wait):
                group.owner = None
                scheduler.changed.notify_all()
                return (
                    lambda: (
                        scheduler.is_over() or not scheduler.others_hold(self._state, group.capability, or_wait=or_wait)
                    ),
                    _PAUSE_SECONDS,
                )
            pause = scheduler.pause_after(error)
            if pause is not None:
                group.owner = None
                return scheduler.is_over, pause
            scheduler.note_closed(error)
            item = scheduler.claim(group)
            if not is_refusal(error) and scheduler.may_send_again(item, error):
                scheduler.put_back(group, item)
                return None
            scheduler.end(item, None, error, 0.0)
            return None

    def _releasing(self) -> Steps[None]:
        with self._scheduler.changed:
            lease, self._state.lease = self._state.lease, None
            self._scheduler.changed.notify_all()
        if lease is not None:
            yield from lease.releasing()


def start_thread(scheduler: Scheduler, dispatcher: Dispatcher) -> None:
    """Drive a dispatcher on a thread of its own."""

    def drive() -> None:
        if dispatcher.claim():
            dispatcher.thread = threading.current_thread()  # also if an interrupt has cut off the assignment below
            work_for(scheduler)
            run(Dispatching(scheduler, dispatcher).serving())

    dispatcher.thread = threads.start(drive, dispatcher.name)
