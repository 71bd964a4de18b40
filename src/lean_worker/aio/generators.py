"""Driver that takes the steps of a blocking generator on a thread of its own, so that a loop can iterate over it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback

_T = TypeVar("_T")


async def iterate(
    results: Generator[_T, None, None], stop: CancelToken, name: str, cancel: CancelToken | None = None
) -> AsyncGenerator[_T, None]:
    """Iterate over `results`, of which none is None.

    However the iteration ends, the generator is closed then and no code of it runs any more.

    Args:
        results: The generator. `stop` makes it end early.
        stop: Cancelled when nobody takes results any more.
        name: Name of the thread.
        cancel: The caller's token, if there is one; stops the results too.
    """
    add_cancel_callback(cancel, stop.cancel)
    loop = asyncio.get_running_loop()
    # One thread: a generator belongs to one thread at a time.
    thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        while (result := await loop.run_in_executor(thread, next, results, None)) is not None:
            yield result
    finally:
        stop.cancel()
        closing = thread.submit(results.close)
        try:
            await _end_of(closing)
        finally:
            thread.shutdown()
            remove_cancel_callback(cancel, stop.cancel)


async def _end_of(closing: concurrent.futures.Future[None]) -> None:
    """Wait for the end also if the task is cancelled meanwhile, however often."""
    waiting = asyncio.wrap_future(closing)
    interruption: asyncio.CancelledError | None = None
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        try:
            raise interruption
        finally:
            del interruption  # no cycle of an error, its traceback, and this frame
