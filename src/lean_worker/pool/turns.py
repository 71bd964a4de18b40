"""Turns of a lease: one request at a time, without a lock."""

from __future__ import annotations

from .loan import Request


class _Turn:
    __slots__ = ("next", "request")

    def __init__(self, request: Request | None) -> None:
        self.request = request
        self.next: dict[int, _Turn] = {}


class Turns:
    """Turns that the requests of a lease take, each after the last one, in one atomic step."""

    __slots__ = ("_turn",)

    def __init__(self) -> None:
        self._turn = _Turn(None)

    @property
    def last(self) -> Request | None:
        """The request that took the latest turn; None before the first."""
        turn = self._turn
        while turn.next:
            turn = turn.next[0]
        self._turn = turn
        return turn.request

    def take(self, request: Request) -> Request | None:
        """Take a turn; returns the request that has it instead, or None."""
        while True:
            last = self.last
            turn = self._turn
            if turn.request is not last:
                continue
            if last is not None and not last.is_over:
                return last
            mine = _Turn(request)
            if turn.next.setdefault(0, mine) is mine:
                self._turn = mine
                return None
