"""Requests as items, the groups of them that run on one worker, and the dispatchers that take a group each."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ..cancel import CancelToken
from ..hosting.launch import Capability
from ..pool.lease import LeaseCore
from ..steps.waiting import Event, Steps

Run = Callable[[LeaseCore, "Item", CancelToken], Steps[Any]]
"""Runs one item on a lease and comes to its value; the token stops it."""


class Item:
    """One request, from when it was taken until its end.

    Attributes:
        index: Its number among all.
        request: What is asked.
        rows: How many rows its run has handed out so far, for whoever looks on.
    """

    __slots__ = ("index", "request", "retries", "rows", "sends")

    def __init__(self, index: int, request: Any) -> None:
        self.index = index
        self.request = request
        self.sends = 0
        self.retries = 0
        self.rows: Callable[[], int] = no_rows


def no_rows() -> int:
    """Return 0: no row was handed out."""
    return 0


class ItemGroup:
    """Items that run in order on one worker."""

    def __init__(self, capability: Capability, items: Iterable[Item]) -> None:
        self.capability = capability
        self.items = collections.deque(items)
        self.owner: Dispatcher | None = None


class Dispatcher:
    """A server of groups, one item at a time, and the lease it holds.

    Attributes:
        name: For the thread or the task that drives it.
        thread: The thread that drives it, if one of its own does.
        ended: When it serves no more.
        leave: Called before somebody waits for its end: ends it here if whoever drives it never will.
        lease: What it holds; None without a worker.
        leased_at: When it took that, on the clock of `time.monotonic`.
        capability: What that worker, or the one it waits for, hosts.
        wait: Ends its waiting for a lease; None when it does not wait for one.
        group: The group it reserved last; still its own if the group says so too.
    """

    def __init__(self, number: int) -> None:
        self.leased_at = 0.0
        self.lease: LeaseCore | None = None
        self.capability: Capability | None = None
        self.wait: CancelToken | None = None
        self.group: ItemGroup | None = None
        self.name = f"lean-worker-map-{number}"
        self.thread: threading.Thread | None = None
        self.ended = Event()
        self.leave: Callable[[], None] | None = None
        self._unclaimed = [None]

    def claim(self) -> bool:
        """Return True to the first who asks: to whoever drives the dispatcher, or to whoever failed to start that."""
        with contextlib.suppress(IndexError):
            self._unclaimed.pop()
            return True
        return False


def is_same(one: Capability | None, other: Capability | None) -> bool:
    """Whether a worker that hosts one capability can serve the other."""
    return one is other or one == other
