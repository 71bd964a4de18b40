"""How long things may take, and how large a frame may be.

Owns the limits, their defaults and their ranges. Values are frozen and checked when made. All times are seconds.
"""

from __future__ import annotations

import dataclasses

from .errors import UsageError
from .frames import DEFAULT_FRAME_BYTES, MAX_FRAME_BYTES, MIN_FRAME_BYTES

_MAX_SECONDS = 10 * 365 * 86_400.0


def check_timeout(what: str, seconds: float | None) -> None:
    """Accept None (no limit) or a finite number of seconds, 0 or more.

    Raises:
        UsageError: Anything else.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _MAX_SECONDS:
        raise UsageError(
            f"checking the time limit {what}: expected 0 to {_MAX_SECONDS:.0f} seconds or None, got {seconds!r}",
            hint="None means no limit.",
        )


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """Time limits of one worker, in seconds; None means no limit.

    Attributes:
        startup: From starting the process to its handshake; covers Lean's start and the imports of the script.
        request: From sending a request to its end, also while the caller's own sink runs. Each call may give another.
        write: For the worker to take a request in; only a stuck worker needs long.
        cancel_grace: How long a worker may take to stop by itself once asked to; it is killed after that.
        shutdown: How long an idle worker may take to end once asked to; it is killed after that.
        queue: How long `Pool.lease` waits for a worker to come free.
    """

    startup: float | None = 120.0
    request: float | None = 600.0
    write: float | None = 30.0
    cancel_grace: float | None = 2.0
    shutdown: float | None = 2.0
    queue: float | None = 600.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_timeout(field.name, getattr(self, field.name))


@dataclasses.dataclass(frozen=True)
class Limits:
    """Size limits of one worker.

    Attributes:
        max_frame_bytes: Largest JSON body of one frame in either direction, 64 KiB to 256 MiB.
        stderr_tail_bytes: How much of the worker's latest stderr is kept for errors.
    """

    max_frame_bytes: int = DEFAULT_FRAME_BYTES
    stderr_tail_bytes: int = 65_536

    def __post_init__(self) -> None:
        if type(self.max_frame_bytes) is not int or not MIN_FRAME_BYTES <= self.max_frame_bytes <= MAX_FRAME_BYTES:
            raise UsageError(
                f"checking limits: expected max_frame_bytes from {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES}, "
                f"got {self.max_frame_bytes!r}"
            )
        if type(self.stderr_tail_bytes) is not int or not 0 <= self.stderr_tail_bytes <= 1 << 26:
            raise UsageError(
                f"checking limits: expected stderr_tail_bytes from 0 to {1 << 26}, got {self.stderr_tail_bytes!r}"
            )
