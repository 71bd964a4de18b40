"""Detection of kills for lack of memory, by the only sign that the system gives."""

from __future__ import annotations

_COUNTS = "/proc/vmstat"


def kills() -> int | None:
    """Return how many processes this system has ended for want of memory since it started; None if it does not say."""
    try:
        with open(_COUNTS, "rb") as file:
            lines = file.read().splitlines()
        for line in lines:
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count)
    except (OSError, ValueError):
        pass
    return None


def cause_of_kill(before: int | None) -> str:
    """Return, in words, why a process was killed that started after `kills` had returned `before`."""
    now = kills()
    if before is None or now is None:
        return "killed from outside; this system does not say whether it was out of memory"
    if now > before:
        return "killed, probably by the system, which was out of memory and ended a process meanwhile"
    return "killed from outside; the system was not out of memory"
