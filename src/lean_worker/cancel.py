"""The caller's way to stop a request from anywhere.

Owns the token: one flag that goes up once, and whom to tell. Hides how a waiting request is woken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class CancelToken:
    """Stops every request it was given to. Any thread may call `cancel`, also a sink; it never goes back.

    A token can serve many requests, one after the other or at once. A request that is given a cancelled token is not
    sent at all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop the requests that use this token; later calls do nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` on cancellation; at once if that was already."""
        with self._lock:
            if not self._cancelled:
                self._listeners.append(listener)
                return
        listener()

    def _unsubscribe(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
