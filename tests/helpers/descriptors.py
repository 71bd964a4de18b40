"""A process that has hardly any descriptors left."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """For the block, this process can open `count` more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The limit is about numbers, not about how many are open: fill the gaps first.
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    fillers: list[int] = []
    with contextlib.suppress(OSError):
        while True:
            filler = os.dup(0)
            if filler > highest:
                os.close(filler)
                break
            fillers.append(filler)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
