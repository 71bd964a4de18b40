"""The watching thread: timers come in time and in order, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time

import pytest

from lean_worker.steps import monitor
from lean_worker.steps.tasks import Task
from lean_worker.steps.waiting import Pause, Ready
from support import wait_until


def test_timers_come_in_order_and_cancelled_ones_do_not():
    seen = []
    done = threading.Event()
    watch = monitor.shared()

    def start():
        # On the monitor's thread: none is due before all are there, however long this takes.
        now = time.monotonic()
        watch.call_at(now + 0.06, done.set)
        watch.call_at(now + 0.04, lambda: seen.append("second"))
        watch.call_at(now + 0.05, lambda: seen.append("never")).cancel()
        watch.call_at(now + 0.02, lambda: seen.append("first"))

    watch.post(start)
    assert done.wait(20)
    assert seen == ["first", "second"]


def test_cancelled_timers_do_not_pile_up():
    watch = monitor.shared()
    for _ in range(10_000):
        watch.call_at(time.monotonic() + 3600, lambda: None).cancel()
    assert len(watch._timers) < 1000


def test_a_failing_callback_does_not_end_the_watch(caplog):
    watch = monitor.shared()
    watch.post(lambda: 1 / 0)
    assert watch.call(lambda: "still here") == "still here"
    wait_until(lambda: "a callback failed" in caplog.text)  # it is said on a thread of its own


def test_a_number_that_was_closed_while_it_was_watched_can_be_watched_again():
    watch = monitor.shared()
    told = []
    first, second = os.pipe()
    watch.call(lambda: watch.watch(first, lambda: told.append("first")))
    third, fourth = os.pipe()
    os.dup2(third, first)  # closed by its owner without a word; the number is another file's
    watch.call(lambda: watch.watch(first, lambda: told.append("second") or watch.unwatch(first)))
    wait_until(lambda: told == ["first"])  # it looks for itself
    os.write(fourth, b"x")
    wait_until(lambda: told == ["first", "second"])
    for descriptor in (first, second, third, fourth):
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="epoll is of Linux")
def test_steps_are_told_of_a_wait_that_cannot_begin():
    good, end = os.pipe()
    told = []
    with contextlib.ExitStack() as stack:
        deep = good
        for _ in range(8):  # deeper than an epoll may be nested: it is not ready, and cannot be watched
            outer = stack.enter_context(select.epoll())
            try:
                outer.register(deep, select.EPOLLIN)
            except OSError:
                break
            deep = outer.fileno()

        def steps():
            try:
                yield Ready({good: select.POLLIN, deep: select.POLLIN}, None)
            except OSError as error:
                told.append(error)
                yield Pause()
            finally:
                told.append("cleaned up")
            return "the end"

        watch = monitor.shared()
        task = Task(watch, steps())
        task.start()
        assert task.done.wait(20)
        assert task.result() == "the end"
        assert [type(what) for what in told] == [OSError, str]
        assert good not in watch.call(lambda: dict(watch._watched))
    os.close(good)
    os.close(end)
