"""One of a pool's places, taken: who is in it, who asked for it, and what the pool knows of its request.

Holds facts only. `workers` takes and frees places, `loan` begins and ends the requests in them.
"""

from __future__ import annotations

from typing import Protocol

from ..worker.worker import Worker


class InFlight(Protocol):
    """The part of a request that the workers use; see `loan.Request`."""

    @property
    def thread(self) -> int:
        """The thread that drives it."""
        ...

    @property
    def task(self) -> int | None:
        """The task of asyncio that began it, on that thread; None for none."""
        ...

    @property
    def worker(self) -> Worker:
        """The worker that serves it."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether nobody drives it any more."""
        ...

    def account(self) -> None:
        """On the monitor's thread: count what it has come to since the last time."""
        ...

    def give_up(self) -> None:
        """On the monitor's thread: see that it ends, as its lease is given back."""
        ...


class Place:
    """One of a pool's places, taken; touched on the monitor's thread only.

    Attributes:
        worker: Who is in it; None while that one is started or replaced.
        thread: The thread that asked for it.
        needs_others: Whether whoever asked for it takes others meanwhile.
        request: The request in flight, or the last one.
        is_leaving: Whether whoever asked for it is giving it back.
    """

    __slots__ = ("is_leaving", "needs_others", "request", "thread", "worker")

    def __init__(self, thread: int, needs_others: bool) -> None:
        self.worker: Worker | None = None
        self.thread = thread
        self.needs_others = needs_others
        self.request: InFlight | None = None
        self.is_leaving = False
