"""Number of processors that this process may use."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """Return how many processors the system lets this process use; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
