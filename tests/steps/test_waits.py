"""Steps, and what drives them: interruptions go in where the steps wait, and clean-up may wait in its turn."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import threading
import time
import weakref

import pytest

from lean_worker.aio import driver
from lean_worker.steps.waiting import Changes, Event, Pause, Ready, Until, firmly, offload, run


def driven_by_a_thread(steps):
    return run(steps)


def driven_by_a_loop(steps):
    return asyncio.run(driver.drive(steps))


@pytest.fixture(params=[driven_by_a_thread, driven_by_a_loop])
def drive(request):
    return request.param


def test_what_a_wait_comes_to(drive):
    read, write = os.pipe()
    past = Event()
    past.set()

    def steps():
        nothing = yield Ready({read: select.POLLIN}, 0)
        late = yield Ready({read: select.POLLIN}, 0.02)
        os.write(write, b"x")
        ready = yield Ready({read: select.POLLIN, write: select.POLLOUT}, None)
        yield Pause(0.0001)
        timed_out = yield Until(Event(), 0.02)
        done = yield Until(past, None)
        value = yield from offload(lambda: 7)
        return nothing, late, sorted(ready), timed_out, done, value

    try:
        assert drive(steps()) == ([], [], sorted([read, write]), False, True, 7)
    finally:
        os.close(read)
        os.close(write)


def test_what_the_steps_raise_comes_out(drive):
    def steps():
        yield Pause()
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        drive(steps())

    def failing():
        yield from offload(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        drive(failing())


def test_a_moment_on_another_thread_ends_the_wait(drive):
    moment = Event()
    thread = threading.Timer(0.05, moment.set)
    thread.start()

    def steps():
        return (yield Until(moment, None))

    assert drive(steps()) is True
    thread.join()
    assert not moment._callbacks


def test_a_moment_tells_each_listener_once():
    for _ in range(200):
        moment = Event()
        told = []
        threads = [threading.Thread(target=moment.set) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(20):
            moment.add_callback(lambda number=number, told=told: told.append(number))
        for thread in threads:
            thread.join()
        assert sorted(told) == list(range(20))
    moment.remove_callback(print)


def test_an_interrupt_of_a_thread_goes_in_where_the_steps_wait():
    log = []

    def steps():
        try:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            yield Until(Event(), 30)
        except BaseException as error:
            log.append(type(error))
            log.append((yield Until(Event(), 0.01)))
            raise

    with pytest.raises(KeyboardInterrupt):
        run(steps())
    assert log == [KeyboardInterrupt, False]


def test_what_is_done_firmly_is_done_before_the_interruption_is_raised():
    moment = Event()
    log = []

    def steps():
        try:
            yield from firmly(Until(moment, 30))
        finally:
            log.append(moment.is_set)

    async def main():
        task = asyncio.ensure_future(driver.drive(steps()))
        for _ in range(5):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        moment.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == [True]


def test_an_offloaded_call_runs_once_however_often_it_is_interrupted():
    go = threading.Event()
    ran = []

    def call():
        ran.append(threading.current_thread())
        go.wait(30)

    async def main():
        task = asyncio.ensure_future(driver.drive(offload(call)))
        while not ran:
            await asyncio.sleep(0.001)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.001)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(ran) == 1 and ran[0] is not threading.main_thread()


def test_changes_are_waited_for(drive):
    changes = Changes()
    numbers = []

    def change():
        for number in range(3):
            time.sleep(0.01)
            with changes:
                numbers.append(number)
                changes.notify_all()

    thread = threading.Thread(target=change)
    thread.start()
    drive(changes.waiting_for(lambda: len(numbers) == 3, 30))
    assert numbers == [0, 1, 2]
    thread.join()
    drive(changes.waiting_for(lambda: False, 0.01))


def test_an_error_leaves_no_cycle_behind():
    class Held:
        pass

    def steps():
        held = Held()
        seen.append(weakref.ref(held))
        yield Pause()
        raise KeyError

    seen = []
    gc.disable()
    try:
        with pytest.raises(KeyError):
            run(steps())
        assert seen[0]() is None
    finally:
        gc.enable()
