"""Calls of a pool that lend a worker for one request: what they may be given, and when another worker is asked.

Owns the rule that such a call, whose caller holds no lease, does not fail with the end of a worker that was lent to it
and was sent nothing. `blocking.pool.Pool` and `aio.pool.AsyncPool` follow it.
"""

from __future__ import annotations

from typing import Any

from ..base.arguments import check_kind
from ..cancel import CancelToken
from ..commands import Command, check_command
from ..errors import RequestLost
from ..policy import DefaultTimeout, Timeout, check_timeout
from ..worker.options import OnDiagnostic, OnProgress, RequestOptions
from .pool import check_capability

_MOST_WORKERS = 3


class Attempts:
    """The workers that one call has asked for."""

    def __init__(self) -> None:
        self._lost = 0

    def may_go_on(self, error: RequestLost) -> bool:
        """Whether the call may take another lease after this end of a worker.

        A worker can die after it has answered, and be lent before anybody has noticed. It was sent nothing then. One
        that dies each time is told to the caller.
        """
        self._lost += 1
        was_never_there = error.entered_worker is False and not (error.by_caller or error.is_late)
        return was_never_there and self._lost < _MOST_WORKERS


def check_one_shot(
    capability: object,
    command: object,
    kind: type[Command[Any, Any]],
    lease_timeout: Timeout,
    timeout: Timeout,
    cancel: CancelToken | None,
    on_diagnostic: OnDiagnostic | None,
    on_progress: OnProgress | None,
) -> None:
    """Refuse what is no argument of `Pool.call`, before a worker is started for it.

    Raises:
        UsageError: One of them is none.
    """
    check_capability(capability)
    check_command(command, kind)
    for name, seconds in {"lease_timeout": lease_timeout, "timeout": timeout}.items():
        if not isinstance(seconds, DefaultTimeout):
            check_timeout(name, seconds)
    assert isinstance(command, kind)
    check_kind(f"running {command.name}", "cancel", cancel, CancelToken)
    RequestOptions(timeout, cancel, on_diagnostic, on_progress)
