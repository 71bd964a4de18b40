"""Verification for asyncio: the same verdicts, from a thread that the loop waits for."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Mapping

from ..aio.generators import iterate
from ..base.arguments import check_kind
from ..base.whole_results import WholeAsyncGenerator
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..hosting.sandbox import Sandbox
from ..lake.project_settings import SettingsChoice
from .candidate_texts import Candidate
from .candidates import DEFAULT_SANDBOX, MEMORY_KIB, STANDARD_AXIOMS, verify
from .recheck import Recheck
from .results import VerifyResult


def verify_async(
    candidates: Iterable[Candidate],
    *,
    statement: str | os.PathLike[str],
    allowed_axioms: Iterable[str] = STANDARD_AXIOMS,
    timeout: float | None = 60.0,
    kill_above_kib: int | None = MEMORY_KIB,
    pool: Pool | None = None,
    jobs: int | None = None,
    project: str | os.PathLike[str] | None = None,
    toolchain: str | os.PathLike[str] = "auto",
    options: Mapping[str, object] | None = None,
    settings: SettingsChoice = "auto",
    sandbox: Sandbox | None = DEFAULT_SANDBOX,
    recheck: Recheck = False,
    in_order: bool = False,
    cancel: CancelToken | None = None,
) -> AsyncGenerator[VerifyResult, None]:
    """Verify candidates against a statement, for `async for`; the asyncio twin of `verify`.

    The arguments, and what they raise, are those of `verify`. `candidates` is a plain iterable and is read on another
    thread. The cancellation of the task, and `aclose`, stop everything and return when nothing runs any more.
    """
    check_kind("verifying", "cancel", cancel, CancelToken)
    token = CancelToken()
    results = verify(
        candidates,
        statement=statement,
        allowed_axioms=allowed_axioms,
        timeout=timeout,
        kill_above_kib=kill_above_kib,
        pool=pool,
        jobs=jobs,
        project=project,
        toolchain=toolchain,
        options=options,
        settings=settings,
        sandbox=sandbox,
        recheck=recheck,
        in_order=in_order,
        cancel=token,
    )
    return WholeAsyncGenerator("verifying", iterate(results, token, "lean-worker-verify", cancel))
