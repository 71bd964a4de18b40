"""Commands for the tests of the asyncio surface, and waits that let the loop go on."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

import lean_worker as lw
from support import FUNCTIONS, HOSTS

ECHO = lw.JsonCommand("echo")
ABOUT = lw.JsonCommand("about_me")
HANG = lw.JsonCommand("hang")
ROWS = lw.StreamingCommand("rows")
ENDLESS = lw.StreamingCommand("endless")
GATE = lw.StreamingCommand("row_then_gate")
OTHER = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"LEAN_WORKER_TEST_KEY": "other"})
SLOW_START = lw.ProcessCapability([sys.executable, "-c", "import time; time.sleep(600)"])


async def until(condition):
    """Like `wait_until`, and the loop goes on."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.002)


async def cancelled(task):
    """Cancel a task and see it end so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_clear(pool):
    """Nobody waits, nothing is lent."""
    snapshot = pool.snapshot()
    return (snapshot.queued, snapshot.leased) == (0, 0)


async def granted_lease(pool):
    """A lease, when it is there; what a task can be made of."""
    return await pool.lease(FUNCTIONS)
