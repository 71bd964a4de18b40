"""`check` for asyncio: the same files, verdicts and arguments, without blocking the loop."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..hosting.sandbox import Sandbox
from ..lake.project_settings import SettingsChoice
from .files import Source, check
from .results import CheckMessage, CheckResult


def check_async(
    files: Iterable[Source],
    *,
    pool: Pool | None = None,
    jobs: int | None = None,
    timeout: float | None = 60.0,
    kill_above_kib: int | None = None,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    options: Mapping[str, object] | None = None,
    native_libraries: Sequence[str | os.PathLike[str]] = (),
    settings: SettingsChoice = "auto",
    reject_sorry: bool = False,
    reuse_imports: bool = True,
    first_accepted: Callable[[str], Hashable] | None = None,
    sandbox: Sandbox | None = None,
    in_order: bool = False,
    on_message: Callable[[CheckMessage], object] | None = None,
) -> AsyncGenerator[CheckResult, None]:
    """Elaborate Lean files in parallel and iterate over the outcomes with `async for`.

    Nothing runs before the first step. `files` and the callbacks are used on other threads. The cancellation of the
    task that waits, and `aclose`, stop the files that run. Both return when those have stopped. The loop closes a
    generator that is dropped.

    Args:
        files: As of `check`, like all other arguments; instead of `cancel=`, cancel the task.
        pool: A `Pool`; not an `AsyncPool`.

    Raises:
        UsageError, CapabilityError, MissingExtra, RestartLimitExceeded, QueueTimeout, MemoryBudgetExceeded: As of
            `check`.
    """
    stop = CancelToken()
    outcomes = check(
        files,
        pool=pool,
        jobs=jobs,
        timeout=timeout,
        kill_above_kib=kill_above_kib,
        project=project,
        toolchain=toolchain,
        options=options,
        native_libraries=native_libraries,
        settings=settings,
        reject_sorry=reject_sorry,
        reuse_imports=reuse_imports,
        first_accepted=first_accepted,
        sandbox=sandbox,
        in_order=in_order,
        on_message=on_message,
        cancel=stop,
    )
    return _stepping(outcomes, stop)


async def _stepping(
    outcomes: Generator[CheckResult, None, None], stop: CancelToken
) -> AsyncGenerator[CheckResult, None]:
    loop = asyncio.get_running_loop()
    # One thread: a generator is used by one at a time, and closed after the step that runs.
    with ThreadPoolExecutor(1, "lean-worker-check") as thread:
        try:
            while (checked := await loop.run_in_executor(thread, functools.partial(next, outcomes, None))) is not None:
                yield checked
        finally:
            stop.cancel()
            thread.submit(outcomes.close)
            # The end of the block waits for it; until then the loop goes on.
            await _ended(loop, thread)


async def _ended(loop: asyncio.AbstractEventLoop, thread: ThreadPoolExecutor) -> None:
    """Wait until the thread has nothing to do, also if the task is cancelled meanwhile."""
    idle = loop.run_in_executor(thread, lambda: None)
    cancelled: asyncio.CancelledError | None = None
    while not idle.done():
        try:
            await asyncio.shield(idle)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
