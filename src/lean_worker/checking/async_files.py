"""`check` for asyncio: the same files, verdicts and arguments, without blocking the loop."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Mapping, Sequence

from ..aio.generators import iterate
from ..base.whole_results import WholeAsyncGenerator
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..hosting.sandbox import Sandbox
from ..lake.project_settings import SettingsChoice
from .files import check
from .results import CheckMessage, CheckResult
from .sources import Source


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
    return WholeAsyncGenerator("checking files", iterate(outcomes, stop, "lean-worker-check"))
