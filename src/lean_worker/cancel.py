"""Cancel tokens: the caller's way to stop a request from anywhere."""

from __future__ import annotations

from collections.abc import Callable

from .base.forks import Home
from .steps.waiting import Moment


class CancelToken:
    """A token that stops every request it was passed to. Cancellation is permanent.

    `cancel` takes no lock and waits for nothing. So any thread can call it, and so can a row handler, an event
    callback, a finalizer and, at any moment, a signal handler. A token can serve many requests, in sequence or at
    once. A request with a cancelled token is not sent. A token belongs to the process that made it.
    """

    def __init__(self) -> None:
        self._home = Home()
        self._moment = Moment()

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._moment.is_past

    def cancel(self) -> None:
        """Stop the requests that use this token; later calls do nothing.

        Raises:
            UsageError: The token was made before a fork, in the parent process; nothing is cancelled.
        """
        self._home.check("cancelling", "token")
        self._moment.come()

    def _subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` on cancellation; at once if that was already. It may be called twice."""
        self._moment.tell(listener)

    def _unsubscribe(self, listener: Callable[[], None]) -> None:
        self._moment.forget(listener)
