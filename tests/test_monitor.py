"""The watching thread: timers come in time and in order, and leave nothing behind."""

from __future__ import annotations

import threading
import time

from lean_worker.steps import monitor


def test_timers_come_in_order_and_cancelled_ones_do_not():
    seen = []
    done = threading.Event()
    now = time.monotonic()
    watch = monitor.shared()
    watch.call_at(now + 0.06, done.set)
    watch.call_at(now + 0.04, lambda: seen.append("second"))
    watch.call_at(now + 0.05, lambda: seen.append("never")).cancel()
    watch.call_at(now + 0.02, lambda: seen.append("first"))
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
    assert "a callback failed" in caplog.text
