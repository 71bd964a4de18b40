"""Checks of the arguments that `check` and `verify` share."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from ..base.arguments import attribute_of, check_choice, check_kind, check_method, check_path, shown
from ..cancel import CancelToken
from ..errors import UsageError
from ..hosting.sandbox import Sandbox
from ..lake.file_settings import check_option
from ..lake.project_settings import CHOICES
from ..policy import check_count, check_timeout

_MOST_JOBS = 4096


def check_run(
    doing: str,
    *,
    pool: object,
    jobs: object,
    timeout: float | None,
    kill_above_kib: object,
    project: object,
    toolchain: object,
    options: Mapping[str, object] | None,
    settings: object,
    sandbox: object,
    cancel: object,
) -> None:
    """Refuse arguments under which no file can be elaborated.

    Raises:
        UsageError: One is of the wrong kind or out of range, or two contradict each other; the text begins with
            `doing`.
    """
    check_timeout("timeout", timeout)
    check_count(doing, "kill_above_kib", kill_above_kib)
    if jobs is not None and (type(jobs) is not int or not 1 <= jobs <= _MOST_JOBS):
        raise UsageError(
            f"{doing}: expected jobs as an integer from 1 to {_MOST_JOBS}, got {shown(jobs)}",
            hint="Give an int, as in jobs=2.",
        )
    if jobs is not None and pool is not None:
        raise UsageError(
            f"{doing}: jobs is for a pool of its own; this one has its own number of workers",
            hint="Leave out pool= or jobs=.",
        )
    check_kind(doing, "options", options, Mapping)
    check_kind(doing, "cancel", cancel, CancelToken)
    check_kind(doing, "sandbox", sandbox, Sandbox)
    check_path(doing, "project", project)
    if toolchain is None:
        raise UsageError(
            f"{doing}: expected toolchain as a path or a name, got None", hint="Leave toolchain out for the default."
        )
    check_path(doing, "toolchain", toolchain)
    for name, option in (options or {}).items():
        check_option(doing, name, option)
    check_choice(doing, "settings", settings, CHOICES)


def check_pool(doing: str, value: object) -> None:
    """Accept a pool whose many requests are iterated over, not awaited.

    Raises:
        UsageError: Anything else, also an `AsyncPool`.
    """
    check_method(doing, "pool", value, "stream_many")
    if inspect.iscoroutinefunction(attribute_of(value, "close")):
        raise UsageError(
            f"{doing}: expected pool as a Pool, got {shown(value)}",
            hint="Open a lw.Pool; an AsyncPool can share it: lw.AsyncPool.sharing(pool).",
        )
