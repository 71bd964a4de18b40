"""The task of asyncio that runs now, for code that must not load asyncio."""

from __future__ import annotations

import sys


def current_task() -> int | None:
    """The identity of the running task of asyncio, while it lasts; None where no loop runs."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        task = asyncio.current_task()
    except (AttributeError, RuntimeError):  # half imported, or no loop runs on this thread
        return None
    return None if task is None else id(task)
