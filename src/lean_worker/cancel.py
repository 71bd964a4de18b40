"""Cancel tokens: the caller's way to stop a request from anywhere."""

from __future__ import annotations

from collections.abc import Callable

from .base.forks import Owner
from .base.misuse import Unique
from .steps.waiting import Event


class CancelToken(Unique):
    """A token that stops every request it was passed to. Cancellation is permanent.

    `cancel` takes no lock and waits for nothing. So any thread can call it, and so can a row handler, an event
    callback, a finalizer and, at any moment, a signal handler. A token can serve many requests, in sequence or at
    once. A request with a cancelled token is not sent. A token belongs to the process that made it.
    """

    def __init__(self) -> None:
        self._owner = Owner()
        self._event = Event()

    def __repr__(self) -> str:
        return f"<CancelToken: {'cancelled' if self.is_cancelled else 'not cancelled'}>"

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set

    def cancel(self) -> None:
        """Stop the requests that use this token; later calls do nothing.

        Raises:
            UsageError: The token was made before a fork, in the parent process; nothing is cancelled.
        """
        self._owner.check("cancelling", "token")
        self._event.set()


def add_cancel_callback(token: CancelToken | None, callback: Callable[[], object]) -> None:
    """Call `callback` on the thread that cancels `token`; at once if that was already. It may be called twice."""
    if token is not None:
        token._event.add_callback(callback)


def remove_cancel_callback(token: CancelToken | None, callback: Callable[[], object]) -> None:
    """Do not call `callback`; does nothing if it was called, or never added."""
    if token is not None:
        token._event.remove_callback(callback)
