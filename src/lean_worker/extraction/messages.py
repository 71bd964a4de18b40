"""Messages of source files, as rows."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from ..base.callbacks import result_of
from ..base.counts import counted
from ..batch.outcome import MapProgress, OnDone
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..checking.files import check
from ..checking.results import CheckResult, Verdict
from ..checking.sources import told_name
from ..errors import Cancelled, JobIncomplete
from .rows import SourceMessage

_UNFINISHED = (Verdict.UNCHECKED, Verdict.TIMED_OUT, Verdict.LOST)


def of_files(
    names: Sequence[str],
    paths: Sequence[str],
    pool: Pool,
    project: Path | None,
    toolchain: str | os.PathLike[str],
    timeout: float,
    cancel: CancelToken | None,
    on_done: OnDone | None,
) -> list[SourceMessage]:
    """The messages of all files, in their order.

    Args:
        names: The names that rows and errors have for the files.
        paths: Where they are.

    Raises:
        JobIncomplete: Lean did not come to an end with some.
        Cancelled: The token was cancelled.
    """
    rows: list[SourceMessage] = []
    unfinished: list[CheckResult] = []
    outcomes = check(
        paths, pool=pool, timeout=timeout, project=project, toolchain=toolchain, in_order=True, cancel=cancel
    )
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            outcome = dataclasses.replace(outcome, file=told_name(names[outcome.index]))
            rows += _rows(outcome)
            if outcome.verdict in _UNFINISHED:
                unfinished.append(outcome)
            if on_done is not None:
                result_of("on_done", on_done(MapProgress(outcome.index + 1, len(paths), len(unfinished), len(rows))))
    if cancel is not None and cancel.is_cancelled:
        raise Cancelled("extracting messages: it was cancelled; nothing was written", rows_delivered=len(rows))
    if unfinished:
        first = unfinished[0]
        raise JobIncomplete(
            f"extracting messages: of {counted(len(paths), 'files')} {len(unfinished)} were not checked to their end, "
            f"first {first.file}: {first.verdict.value}: {first.cause}",
            hint=first.hint or "Leave them out, or give them more time.",
            total=len(paths),
            done=len(paths) - len(unfinished),
            due=0,
            quarantined=[outcome.index for outcome in unfinished],
        )
    return rows


def _rows(outcome: CheckResult) -> list[SourceMessage]:
    return [
        SourceMessage(
            outcome.file,
            message.severity,
            None if message.kind in ("", "[anonymous]") else message.kind,
            message.position.line,
            message.position.column,
            None if message.end is None else message.end.line,
            None if message.end is None else message.end.column,
            message.data,
        )
        for message in outcome.messages
    ]
