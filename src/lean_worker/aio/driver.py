"""Driver that runs steps on an asyncio loop without blocking a thread.

Descriptors become readers of the loop for the time of one wait, so nothing is read while nobody takes rows. An `Event`
on another thread wakes the loop from there. The driver decides nothing: it raises the cancellation of a task where the
steps wait, and the steps clean up.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 (asyncio imports it late, when no descriptor may be left)
import contextlib
import math
import select
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..base import threads
from ..base.forks import Owner, keep_for_ever
from ..base.system_errors import no_memory
from ..steps.tasks import Abandoned
from ..steps.waiting import LONGEST_WAIT_SECONDS, Event, Offload, Pause, Ready, Steps, Until, Wait, run

_T = TypeVar("_T")

_driven: set[Steps[Any]] = set()
"""The steps of all `drive`s that have not ended.

A task that is dropped in a cycle, as with a loop that is closed over it, is finalized together with all that it refers
to, in any order. Steps that the collector closed itself could not wait while they clean up. Held here they are no
garbage, and are told by `drive`, which is. So nothing that steps refer to may refer to a task, but weakly.
"""
_owner = Owner()
keep_for_ever(_driven)  # also when the interpreter takes its modules apart


async def drive(steps: Steps[_T], on_interruption: Callable[[], None] | None = None) -> _T:
    """Drive `steps` on the running loop; `on_interruption` is called before they are interrupted.

    A cancel scope of anyio cancels a task again and again, at each of its waits. The steps are interrupted once, and
    what they do after that is shielded: it is bounded by the pool's own time limits.

    A task that is thrown away while it waits, as by a loop that is closed over it, cannot wait on the loop any more:
    what is left to do is done on the thread that throws it away. At the end of the interpreter nothing is done: no
    other thread runs any more, and the process takes all with it.

    Raises:
        RuntimeError: No loop runs on this thread. In a coroutine's forked child asyncio knows of none; steps that wait
            for nothing there are done all the same, such as those that refuse what belongs to the parent.
        ResourceExhausted: The steps came to a MemoryError.
        BaseException: What the steps raise.
    """
    values: list[_T] = []
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if not isinstance(sys.exc_info()[1].__context__, GeneratorExit):  # type: ignore[union-attr]
            if _owner.is_here or not _is_begun_and_over(steps, values):
                raise
            return values[0]
        if sys.is_finalizing():
            raise GeneratorExit from None
        return run(steps)
    _driven.add(steps)
    error: BaseException | None = None
    result: Any = None
    shield: contextlib.AbstractContextManager[object] | None = None
    try:
        while True:
            try:
                while True:
                    wait = steps.send(result) if error is None else steps.throw(error)
                    error = None
                    result = await _WAITS[type(wait)](loop, wait)
            except StopIteration as end:
                value: _T = end.value
                return value
            except BaseException as interruption:
                if steps.gi_frame is None:  # type: ignore[attr-defined]
                    if isinstance(interruption, MemoryError):
                        raise no_memory("calling lean-worker") from interruption
                    raise  # by the steps themselves
                if on_interruption is not None:
                    on_interruption()
                if shield is None and _is_of_scope(interruption):
                    shield = _shielding_scope()
                    shield.__enter__()
                if isinstance(interruption, GeneratorExit):
                    if not sys.is_finalizing():
                        # Thrown into generators, GeneratorExit closes the inner ones, which then must not wait.
                        with contextlib.suppress(Abandoned):
                            run(steps, Abandoned())
                    raise
                error = interruption
                result = None
    finally:
        error = None  # no cycle of an error, its traceback, and this frame
        if not sys.is_finalizing():
            _driven.discard(steps)
        if shield is not None:
            shield.__exit__(None, None, None)


def _is_begun_and_over(steps: Steps[_T], values: list[_T]) -> bool:
    """Drive steps to their first wait, and no further; whether they end before, with what goes into `values`."""
    try:
        steps.send(None)
    except StopIteration as end:
        values.append(end.value)
        return True
    with contextlib.suppress(Abandoned):
        run(steps, Abandoned())
    return False


async def drive_end(steps: Steps[_T]) -> _T:
    """Drive `steps` that end something, and whose waits are bounded, also in a cancel scope that is cancelled already.

    A later cancellation interrupts them as it does in `drive`.
    """
    with shielded():
        return await drive(steps)


def shielded() -> contextlib.AbstractContextManager[object]:
    """Return a block whose waits a cancel scope that is cancelled already does not interrupt."""
    return _shielding_scope() if _is_in_cancelled_scope() else contextlib.nullcontext()


def _is_of_scope(error: BaseException) -> bool:
    text = error.args[0] if isinstance(error, asyncio.CancelledError) and error.args else None
    return isinstance(text, str) and text.startswith("Cancelled via cancel scope") and "anyio" in sys.modules


def _is_in_cancelled_scope() -> bool:
    anyio = sys.modules.get("anyio")  # a caller who uses it has loaded it
    if anyio is None:
        return False
    try:
        return bool(anyio.current_effective_deadline() == -math.inf)
    except Exception:  # no task of its own, or another version
        return False


def _shielding_scope() -> contextlib.AbstractContextManager[object]:
    scope: contextlib.AbstractContextManager[object] = sys.modules["anyio"].CancelScope(shield=True)
    return scope


async def _ready(loop: asyncio.AbstractEventLoop, wait: Ready) -> list[int]:
    if wait.timeout is not None and wait.timeout <= 0:
        return wait.look()
    end = None if wait.timeout is None else loop.time() + wait.timeout
    while True:
        woken = loop.create_future()
        timer = None if end is None else loop.call_at(end, _wake, woken)
        for descriptor, mask in wait.events.items():
            (loop.add_writer if mask & select.POLLOUT else loop.add_reader)(descriptor, _wake, woken)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its readers are gone with it
                for descriptor, mask in wait.events.items():
                    (loop.remove_writer if mask & select.POLLOUT else loop.remove_reader)(descriptor)
        ready = wait.look()
        if ready or (end is not None and loop.time() >= end):
            return ready


async def _until(loop: asyncio.AbstractEventLoop, wait: Until) -> bool:
    event: Event = wait.event
    end = None if wait.timeout is None else loop.time() + wait.timeout
    while True:
        left = LONGEST_WAIT_SECONDS if end is None else min(end - loop.time(), LONGEST_WAIT_SECONDS)
        if event.is_set or left <= 0:
            return event.is_set
        woken = loop.create_future()
        # The loop holds the task by this timer, since the event does not.
        timer = loop.call_later(left, _wake, woken)
        told = _teller(woken)
        event.add_callback(told)
        try:
            await woken
        finally:
            event.remove_callback(told)
            timer.cancel()


def _teller(woken: asyncio.Future[None]) -> Callable[[], None]:
    """Return a function that wakes whoever waits for `woken`, from any thread, without holding it. See `_driven`."""
    waiting = weakref.ref(woken)

    def told() -> None:
        future = waiting()
        if future is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_wake, future)

    return told


async def _pause(loop: asyncio.AbstractEventLoop, wait: Pause) -> None:
    # A turn of the loop takes about as long as a thread would linger, and serves the other tasks meanwhile.
    await asyncio.sleep(0)


async def _offload(loop: asyncio.AbstractEventLoop, wait: Offload) -> None:
    # Asked for again after an interruption, the call is not run again.
    try:
        threads.check_room()
        loop.run_in_executor(None, wait.call.run)
    except RuntimeError:  # there is no room for a thread; or the loop is about to end, and has no executor any more
        wait.call.run()
    await _until(loop, Until(wait.call.done, None))


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


_WAITS: dict[type[Wait], Callable[[asyncio.AbstractEventLoop, Any], Awaitable[Any]]] = {
    Ready: _ready,
    Until: _until,
    Pause: _pause,
    Offload: _offload,
}
