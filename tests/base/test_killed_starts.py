"""A worker that is killed while it starts, and whose pipe somebody else holds open: the start ends, its place is free.

Its pipe tells nothing then. A forked child of this process does the same, if the fork comes while a worker is started.
"""

from __future__ import annotations

import os
import signal
import threading

import psutil
import pytest

import lean_worker as lw
from fakes import fake
from lean_worker.steps import monitor
from lean_worker.testing import Hang
from many_requests import NO_LIMITS
from support import send_signal, wait_until

pytestmark = [pytest.mark.supervision, pytest.mark.timeout(120)]

SILENT = fake({}, startup=[Hang()])
ROUNDS = 5


def children():
    return {child.pid for child in psutil.Process().children()}


class Start:
    """A lease that is asked for on a thread of its own, and the worker that starts for it."""

    def __init__(self, pool, capability):
        before = children()
        self.token = lw.CancelToken()
        self.pool = pool
        self.error = None
        self._thread = threading.Thread(target=self._lease, args=(capability,), daemon=True)
        self._thread.start()
        wait_until(lambda: children() - before)
        (self.pid,) = children() - before
        # Held here, the pipe does not end when the worker does.
        self.held = os.open(f"/proc/{self.pid}/fd/1", os.O_WRONLY)

    def _lease(self, capability):
        try:
            self.pool.lease(capability, cancel=self.token).release()
        except BaseException as error:
            self.error = error

    def end(self):
        self._thread.join(30)
        os.close(self.held)
        assert not self._thread.is_alive(), "the start does not end"
        return self.error


def watched():
    """The number of descriptors that the monitor watches."""
    call = monitor.shared().submit(lambda: len(monitor.shared()._watched))
    call.done.wait(10)
    return call.result()


WAYS = {
    "cancelled": (lambda start: start.token.cancel(), lw.Cancelled),
    "killed from outside": (lambda start: send_signal(start.pid, signal.SIGKILL), lw.ChildExited),
    "too late": (lambda start: None, lw.RequestTimeout),
    "the pool closes": (lambda start: start.pool.close(drain=0), lw.LeanWorkerError),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_start_ends_whoever_holds_its_pipe(way):
    act, expected = WAYS[way]
    startup, before = (0.3 if way == "too late" else 30), watched()
    for _ in range(ROUNDS):
        with lw.Pool(1, timeouts=lw.Timeouts(startup=startup), restarts=NO_LIMITS) as pool:
            start = Start(pool, SILENT)
            act(start)
            assert isinstance(start.end(), expected)
            wait_until(lambda: pool.snapshot().leased == 0)
        wait_until(lambda: watched() == before)
