"""The time for which a reader lets rows come while they flow, before it looks again.

To wake a reader costs 10 to 25 µs of processor time, more than the row itself, and a second worker could use them. So
after a look that found rows in quick succession the reader lets a few more come. A single row, and each row of a slow
stream, is read at once.
"""

from __future__ import annotations

FLOW_SECONDS = 250e-6
"""Rows that come further apart are read at once, each."""
LEAST_SECONDS = 200e-6
MOST_SECONDS = 450e-6
"""With what the system adds to a sleep, a row waits for half a millisecond at most."""
_ROWS = 8
_LARGE_READ_BYTES = 1 << 17


class Pace:
    """The pace at which the frames of one child come, as the last look found it."""

    __slots__ = ("_seconds", "_size_bytes")

    def __init__(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Take note of a look that found nothing."""
        self._size_bytes = 0
        self._seconds = 0.0

    def read(self, size_bytes: int, seconds: float) -> None:
        """Take note of a look that found `size_bytes`, `seconds` after the look before."""
        self._size_bytes = size_bytes
        self._seconds = seconds

    def linger_seconds(self, rows: int, room_bytes: int) -> float | None:
        """Return how long after the last look the next one is due; None: as soon as anything comes.

        Until then about eight more rows come, or 128 KiB, within the bounds above. 0.0: more may be there already.

        Args:
            rows: How many the last look found.
            room_bytes: How much the child can write before it waits for its reader. In that time it is to fill a
                quarter, so that neither waits when the system lets the reader sleep for longer.
        """
        seconds, size_bytes = self._seconds, self._size_bytes
        large_bytes = min(_LARGE_READ_BYTES, room_bytes // 2)
        if size_bytes >= large_bytes:
            return 0.0
        if not size_bytes or seconds >= FLOW_SECONDS * rows:
            return None
        seconds_a_byte = seconds / size_bytes
        enough = min(MOST_SECONDS, _ROWS * seconds / rows, large_bytes * seconds_a_byte)
        return min(max(LEAST_SECONDS, enough), room_bytes // 4 * seconds_a_byte)
