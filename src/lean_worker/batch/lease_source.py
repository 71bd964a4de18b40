"""The core of a pool, as those see it who send many requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from ..base.time_limit import DEFAULT, Timeout

if TYPE_CHECKING:
    from collections.abc import Container

    from ..cancel import CancelToken
    from ..hosting.launch import Capability
    from ..policy import Timeouts
    from ..pool.lease import LeaseCore
    from ..steps.monitor import Monitor
    from ..steps.waiting import Steps


class LeaseSource(Protocol):
    """The core of a pool, as far as a scheduler uses it."""

    @property
    def max_workers(self) -> int:
        """The largest number of workers."""
        ...

    @property
    def timeouts(self) -> Timeouts:
        """Time limits of the workers and of the queue."""
        ...

    @property
    def monitor(self) -> Monitor:
        """The monitor that does the bookkeeping."""
        ...

    def check_open(self, doing: str) -> None:
        """Refuse a pool that is closed, or was made before a fork."""
        ...

    def granting(
        self, capability: Capability, timeout: Timeout = DEFAULT, cancel: CancelToken | None = None
    ) -> Steps[LeaseCore]:
        """See `Pool.lease`."""
        ...

    def refuse_self_wait(self, doing: str) -> None:
        """Refuse to wait for a worker on this thread if it holds all of them and would wait for itself."""
        ...

    def is_wanted_by_others(self, own: Container[CancelToken | None]) -> bool:
        """Return True if a caller waits for a place who did not come with one of the tokens `own`."""
        ...


LeaseSourceT = TypeVar("LeaseSourceT", bound=LeaseSource)
