"""An interrupt at each moment of what starts and ends the threads of many requests: no thread is left, and none is stuck."""

import contextlib
import gc
import threading
import warnings
from pathlib import Path

import pytest

import lean_worker as lw
from each_moment import Interrupt
from lean_worker.base import threads
from support import FUNCTIONS, wait_until

ECHO = lw.JsonCommand("echo")
PACKAGE = Path(lw.__file__).parent
# The finalizers of the pure twins swallow an interrupt that comes within them, and Python says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
FILES = {
    threading.__file__,
    *(
        str(PACKAGE / name)
        for name in ("base/threads.py", "batch/dispatching.py", "batch/outcomes.py", "batch/scheduler.py")
    ),
}


def of_many_requests():
    return [thread for thread in threading.enumerate() if thread.name.startswith("lean-worker-map")]


def at_each_moment(call):
    """Run `call` with an interrupt at its first moment, its second, and so on, until it ends without; return how many."""
    number = 0
    while True:
        number += 1
        with contextlib.suppress(KeyboardInterrupt), Interrupt(number, FILES) as interrupt:
            call()
        if interrupt.left > 0:
            return number
        gc.collect(0)
        wait_until(lambda: not of_many_requests(), 20)


def test_no_interrupt_leaves_a_thread():
    def many():
        for outcome in pool.map(ECHO, range(4), capability=FUNCTIONS):
            assert outcome.value == outcome.request

    with warnings.catch_warnings(), lw.Pool(2) as pool:
        warnings.simplefilter("ignore", ResourceWarning)
        many()
        assert at_each_moment(many) > 50
        many()


def test_no_interrupt_leaves_a_thread_of_outcomes_that_are_closed():
    with warnings.catch_warnings(), lw.Pool(2) as pool:
        warnings.simplefilter("ignore", ResourceWarning)

        number, is_over = 0, False
        while not is_over:
            number += 1
            outcomes = pool.map(ECHO, range(50), capability=FUNCTIONS)
            next(outcomes)
            with contextlib.suppress(KeyboardInterrupt), Interrupt(number, FILES) as interrupt:
                outcomes.close()
            is_over = interrupt.left > 0
            del outcomes
            wait_until(lambda: not of_many_requests(), 20)
        assert number > 5


def test_an_interrupted_start_leaves_no_thread_that_never_runs():
    def start():
        threads.start(lambda: None, "lean-worker-map-of-a-test").join()

    assert at_each_moment(start) > 10
