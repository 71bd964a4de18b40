"""Things that an interrupt must not cut in two."""

from __future__ import annotations

import signal
import time

import pytest

from lean_worker.base.interrupts import Taken


def test_one_at_a_time_takes_a_place():
    places: dict[int, str] = {}
    left = []
    with Taken(places, "one") as holder:
        assert holder == "one"
        with Taken(places, "two", lambda: left.append("two")) as other:
            assert other == "one"
        assert left == ["two"]
        assert places == {0: "one"}
    assert places == {}


def test_a_place_is_given_back_after_an_error_and_only_by_its_holder():
    places: dict[int, str] = {}
    with pytest.raises(KeyError), Taken(places, "one"):
        raise KeyError
    assert places == {}
    with Taken(places, "one"):
        places[0] = "two"
    assert places == {0: "two"}


@pytest.mark.compiled
def test_no_interrupt_leaves_a_place_taken():
    places: dict[int, object] = {}
    me = object()
    armed: list[bool] = []

    def interrupt(*_: object) -> None:
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        hits, end = 0, time.monotonic() + 60
        while hits < 1000 and time.monotonic() < end:
            try:
                armed.append(True)
                while True:
                    with Taken(places, me) as holder:
                        assert holder is me
            except KeyboardInterrupt:
                hits += 1
            assert not places
        assert hits == 1000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
