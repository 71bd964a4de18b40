"""The judge's side of a verification: opens a judge for a statement, and asks it about candidates."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from ..base.signal_names import signal_name
from ..blocking.lease import Lease
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import JsonCommand
from ..errors import (
    CapabilityError,
    ChildExited,
    CommandFailed,
    LeanWorkerError,
    RequestTimeout,
    StaleLease,
    UsageError,
)
from ..hosting.launch import Capability

_MEMORY_BYTES = 1 << 32
_BACKSTOP_SECONDS = 30.0
_MOST_STALE = 3
"""Number of judges in a row that may die while they are idle, before that is told."""


class Decision(msgspec.Struct, frozen=True):
    """A judge's decision, on the wire; see `VerifyResult`."""

    verdict: str
    axioms: dict[str, tuple[str, ...]] = {}
    declaration: str | None = None
    aspect: str | None = None
    goal: str | None = None
    axiom: str | None = None
    reason: str | None = None
    detail: str | None = None


class Judged(msgspec.Struct, frozen=True):
    """The end of a judgement, on the wire."""

    decision: Decision | None = None
    goals: int | None = None
    unprovable: str | None = None
    bad_data: str | None = None
    timed_out: bool = False
    signal: int | None = None
    exit_code: int | None = None
    cpu_seconds: float = 0.0

    @property
    def failure(self) -> str:
        """The reason for no decision, in words."""
        if self.timed_out:
            return "it did not end in time"
        return self.bad_data or (signal_name(self.signal) if self.signal else f"exit code {self.exit_code}")


class _Named(msgspec.Struct, frozen=True):
    """The part of a module's rows that the parent reads: enough to tell a judge which modules to import."""

    names: list[tuple[int, str | int]] = []
    imports: list[tuple[int, tuple[bool, ...]]] | None = None


_JUDGE: JsonCommand[Any, Judged] = JsonCommand("judge", response=Judged)


class Bench:
    """A judge, and the statement that it compares candidates with; for one thread, in a `with` block.

    Args:
        pool: Where the judge's worker comes from.
        capability: The judge.
        statement: The statement's rows.
        axioms: The parts of the allowed axioms' names.
        timeout: Seconds for each judgement; None for no limit.
        cancel: Stops a running judgement.

    Entering the block raises what `open` raises.
    """

    def __init__(
        self,
        pool: Pool,
        capability: Capability,
        statement: list[bytes],
        axioms: list[list[str | int]],
        timeout: float | None,
        cancel: CancelToken | None,
    ) -> None:
        self._pool = pool
        self._capability = capability
        self._statement = [msgspec.Raw(row) for row in statement]
        self._axioms = axioms
        self._timeout = timeout
        self._cancel = cancel
        self._imports = told_imports(statement)
        self._lease: Lease | None = None
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        try:
            self.open()
        except BaseException:
            self._close()  # `__exit__` is not called
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._close()

    def _close(self) -> None:
        self._lease = None
        self._held.close()

    def open(self) -> None:
        """Import what the statement imports, and judge the statement itself, before any candidate runs.

        Raises:
            UsageError: The statement has no goal, a goal that rests on a `sorry`, or declares what cannot be replayed.
            CapabilityError: This Lean's kernel cannot be asked.
            RequestTimeout: The judgement did not end in time.
            ChildExited: The judge was ended; another try may succeed.
        """
        try:
            judged = self._again_if_stale(lambda: self._ask(None))
        except CommandFailed as error:
            raise CapabilityError(f"verifying: {error.facts.get('message', error.text)}") from error
        _check_ended(judged, self._timeout)
        if judged.goals == 0:
            raise UsageError(
                "verifying: the statement has no goal", hint="State a theorem whose proof is `sorry` for each goal."
            )
        if judged.unprovable is not None:
            raise UsageError(
                f"verifying: what the goal {judged.unprovable} says rests on a `sorry`",
                hint="Only proofs of theorems may be left out; give all definitions their values.",
            )
        decision = judged.decision
        if decision is None:
            raise UsageError(
                f"verifying: the statement cannot be judged: {judged.failure}",
                hint="Check the statement by itself first, with lw.check.",
            )
        if decision.verdict not in ("proved", "forbidden_axiom"):
            what = f"{decision.declaration}: {decision.reason or decision.aspect}: {decision.detail}"
            raise UsageError(
                f"verifying: the statement cannot be replayed: {what}",
                hint="Check the statement by itself first, with lw.check.",
            )

    def judge(self, terms: list[bytes]) -> Judged:
        """Judge one candidate.

        Args:
            terms: The candidate's rows.

        Raises:
            LeanWorkerError: The worker failed; the next candidate gets another one.
        """
        rows = [msgspec.Raw(row) for row in terms]

        def ask() -> Judged:
            if self._lease is None:
                self.open()
            return self._ask(rows)

        try:
            return self._again_if_stale(ask)
        except LeanWorkerError:
            self._close()
            raise

    def _again_if_stale(self, ask: Callable[[], Judged]) -> Judged:
        """Ask, and again with another judge if the one at hand died while it was idle: nothing was sent to it."""
        for _ in range(_MOST_STALE):
            try:
                return ask()
            except StaleLease:
                self._close()
        return ask()

    def _ask(self, candidate: list[msgspec.Raw] | None) -> Judged:
        request = {
            "imports": self._imports,
            "job": {
                "statement": self._statement,
                "candidate": candidate,
                "allowed": self._axioms,
                "timeout": self._timeout,
                "memory_bytes": _MEMORY_BYTES,
            },
        }
        lease = self._lease
        if lease is None:
            lease = self._lease = self._held.enter_context(self._pool.lease(self._capability, cancel=self._cancel))
        backstop = None if self._timeout is None else self._timeout + _BACKSTOP_SECONDS
        return lease.call(_JUDGE, request, timeout=backstop, cancel=self._cancel)


def _check_ended(judged: Judged, timeout: float | None) -> None:
    """Tell a judgement of the statement that came to no end from one that says something about it."""
    if judged.timed_out:
        raise RequestTimeout(
            f"verifying: the judgement of the statement had no end within {timeout or 0:g} seconds",
            kind="request",
            timeout=timeout,
            entered_worker=True,
            hint="Raise timeout=, which holds for the statement and its imports too.",
        )
    if judged.decision is None and judged.bad_data is None and (judged.signal or judged.exit_code is not None):
        raise ChildExited(
            f"verifying: the judge of the statement ended without an answer: {judged.failure}",
            signal=None if judged.signal is None else signal_name(judged.signal),
            exit_code=judged.exit_code,
            entered_worker=True,
            hint="Try again; if it ends so each time, check the statement by itself, with lw.check.",
        )


def told_imports(rows: list[bytes]) -> list[tuple[list[str | int], tuple[bool, ...]]]:
    """The imports that the rows of a compiled module name: the parts of each name, and how it is imported."""
    names: list[tuple[int, str | int]] = [(0, "")]
    imports: list[tuple[int, tuple[bool, ...]]] = []
    for row in rows:
        told = msgspec.json.decode(row, type=_Named)
        names += told.names
        imports = told.imports if told.imports is not None else imports

    def parts(number: int) -> list[str | int]:
        found: list[str | int] = []
        while number:
            number, part = names[number]
            found.append(part)
        return found[::-1]

    return [(parts(number), flags) for number, flags in imports]
