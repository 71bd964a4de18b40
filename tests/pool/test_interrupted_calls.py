"""An interrupt at each moment of a call of a pool: no worker stays lent, and nothing waits."""

import gc
import random
import sys
import time
import warnings
from pathlib import Path

import pytest

import lean_worker as lw
from each_moment import Interrupt
from lean_worker.wire import frames
from support import FUNCTIONS, wait_until

ECHO = lw.JsonCommand("echo")
PACKAGE = Path(lw.__file__).parent
FILES = {str(file) for folder in ("base", "blocking", "pool", "steps") for file in (PACKAGE / folder).glob("*.py")}
# The finalizers of the pure twins swallow an interrupt that comes within them, and Python says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


# Not where objects of callers are looked at, which may raise anything then; nor in the pure twin of what is compiled.
HANDLER_FILES = {
    str(file)
    for folder in ("base", "blocking", "pool", "steps", "worker", "wire")
    for file in (PACKAGE / folder).rglob("*.py")
    if file.name not in ("arguments.py", "callbacks.py", "deferred.py") and file.parent.name != "frames_py"
}


def prewarm(pool):
    pool.prewarm(FUNCTIONS, 2)


def lease_and_call(pool):
    with pool.lease(FUNCTIONS) as one, pool.lease(FUNCTIONS) as other:
        assert (one.call(ECHO, 1), other.call(ECHO, 2)) == (1, 2)


@pytest.mark.parametrize(("call", "most_skipped", "is_kept"), [(prewarm, 1, True), (lease_and_call, 5, False)])
def test_an_interrupt_at_any_moment_leaves_no_worker_lent(call, most_skipped, is_kept):
    timeouts = lw.Timeouts(cancel_grace=0.2, queue=10)
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with warnings.catch_warnings(), lw.Pool(2, timeouts=timeouts, restarts=restarts) as pool:
        warnings.simplefilter("ignore", ResourceWarning)
        call(pool)
        number, is_over = 0, False
        while not is_over:
            number += random.randint(1, most_skipped)
            started = time.monotonic()
            kept = None
            try:
                with Interrupt(number, FILES) as interrupt:
                    call(pool)
            except KeyboardInterrupt as error:
                # An interactive Python keeps it with all frames, and with them a lease that was not entered yet.
                kept = error if is_kept else None
            assert time.monotonic() - started < 10, f"the interrupt at moment {number} came to nothing for long"
            is_over = interrupt.left > 0
            gc.collect(0)
            wait_until(lambda: pool.snapshot().leased == 0, 20)
            del kept
        assert number > 20
        call(pool)


ROWS = lw.StreamingCommand("rows")
CALLS = {
    "call": lambda lease: lease.call(ECHO, 1),
    "collect": lambda lease: lease.collect(ROWS, {"count": 3000}),
    "run": lambda lease: lease.run(ROWS, {"count": 500}, on_row=lambda row: None),
    "stream": lambda lease: list(lease.stream(ROWS, {"count": 500})),
}


@pytest.mark.skipif(frames.IMPLEMENTATION != "c", reason="the pure twins of finalizers and waits swallow some")
@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError])
@pytest.mark.parametrize("name", CALLS)
def test_what_a_signal_handler_raises_comes_out(name, kind, monkeypatch):
    """As a time limit by SIGALRM does: a call that swallowed it would go on for ever, or look like one in time."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.5, queue=10), restarts=restarts) as pool:
        number, is_over = 0, False
        while not is_over:
            number += random.randint(1, 25)
            told.clear()
            caught = None
            with pool.lease(FUNCTIONS) as lease:
                try:
                    with Interrupt(number, HANDLER_FILES, kind) as interrupt:
                        CALLS[name](lease)
                except kind as error:
                    caught = type(error)
            is_over = interrupt.left > 0
            # A finalizer cannot raise; Python says so then.
            assert is_over or caught is kind or kind in told, f"what was raised at moment {number} was swallowed"
        assert number > 20
