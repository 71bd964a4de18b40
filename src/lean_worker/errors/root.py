"""The base of all errors: its attributes, its text, and what a class says about the worker and a retry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

_SHOWN_STDERR_CHARACTERS = 4096
_SHOWN_STDERR_LINES = 40


Retry = Literal["safe", "if idempotent", "no"]


class LeanWorkerError(Exception):
    """Base of every error that lean-worker raises.

    Args:
        text: What was being done, what was expected and what came.
        hint: What the caller can do about it, as one sentence; shown on a line of its own.
        **facts: The figures behind the text, with units in their names. Each becomes an attribute.

    Attributes:
        text: What was being done, what was expected and what came.
        hint: What the caller can do about it; None if there is nothing to say.
        ends_worker: Whether the worker that had the request has ended; None if it depends.
        retry: Whether the same request may be sent again: "safe" if it never ran, "if idempotent" if it may have run,
            "no" if it would fail again or the caller wanted its end. Errors of one class may differ: one that says
            `entered_worker=False` is "safe" where its class says "if idempotent".
        by_request: Whether the request or its data are at fault, so that it fails on every worker.
        by_caller: Whether the caller's own act ended it: nobody's failure.
        by_pool: Whether a rule of the pool refused a worker, so that nothing was tried.
        by_node: Whether the machine below the worker is gone, which is no fault of the request.
        by_protocol: Whether one side broke the wire protocol, so that nothing more can be read from the worker.
        concerns_all: Whether others would fail now for the same reason: the call is wrong, or no worker is to be had.
        is_late: Whether a time limit of the request or of the start of its worker passed.
        pool_is_closed: Whether the pool was closed, so that it lends no worker any more.
        retry_after: Seconds after which another attempt can succeed; infinite if waiting alone does not help.
        ended_as: The reason under which a pool counts a worker that ended for this error in the middle of a request.
        report_code: Last part of the code under which `check_capability` reports it.
        report_subject: The module or file that such a report names; None for the subject that was looked at.
        command: The command's name, if one was run.
        stream: Stream of the last row that was delivered; of an error about one value, that value's stream.
        sequence: The row's sequence number, from 0.
        rows_delivered: Rows that were delivered before; tentative, whatever they were.
        generation: Number of the worker among those of its kind, from 0.
        entered_worker: Whether the request entered a worker; None if no request was at hand.
    """

    ends_worker: ClassVar[bool | None] = False
    by_caller: ClassVar[bool] = False
    by_pool: ClassVar[bool] = False
    by_node: ClassVar[bool] = False
    by_protocol: ClassVar[bool] = False
    concerns_all: ClassVar[bool] = False
    is_late: ClassVar[bool] = False
    ended_as: ClassVar[str] = "cancelled"
    _retry_unsent: ClassVar[Retry | None] = None
    retry: Retry = "no"
    by_request: bool = False
    pool_is_closed: bool = False
    retry_after: float = math.inf
    report_code: str = "start_failed"
    report_subject: str | None = None

    text: str
    hint: str | None
    command: str | None = None
    stream: str | None = None
    sequence: int | None = None
    rows_delivered: int = 0
    generation: int | None = None
    entered_worker: bool | None = None

    def __init__(self, text: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self._facts = facts
        self._settle()

    def _settle(self) -> None:
        """Make attributes of the facts, and draw from them what the class alone cannot say."""
        self.__dict__.update({name: value for name, value in self._facts.items() if value is not None})
        if self._retry_unsent is not None and self._facts.get("entered_worker") is False:
            self.retry = self._retry_unsent

    @property
    def facts(self) -> Mapping[str, object]:
        """The known facts of the failure, by name."""
        return MappingProxyType(self._facts)

    def add_facts(self, **facts: object) -> None:
        """Add what an outer layer knows (which command, how many rows); a fact that stands already is kept."""
        for name, value in facts.items():
            self._facts.setdefault(name, value)
        self._settle()

    def __str__(self) -> str:
        lines = [self.text]
        where = _where(self._facts)
        if where:
            lines.append(where)
        traceback = self._facts.get("traceback")
        if traceback:
            lines.append("traceback in the worker:\n" + _indent(str(traceback)))
        stderr_tail = self._facts.get("stderr_tail")
        if stderr_tail:
            lines.append("last lines of the worker's stderr:\n" + _indent(str(stderr_tail)))
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from ..notebook import table

        note = f"hint: {self.hint}" if self.hint else None
        return table(f"{type(self).__name__}: {self.text}", self._facts.items(), note=note, alarm=True)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.text, self.hint, dict(self._facts)))


def _rebuild(kind: type[LeanWorkerError], text: str, hint: str | None, facts: dict[str, object]) -> LeanWorkerError:
    return kind(text, hint=hint, **facts)


def _where(facts: Mapping[str, object]) -> str:
    """The facts that locate a failure, on one line and in one order."""
    names = ("command", "stream", "sequence", "path", "rows_delivered", "generation", "entered_worker")
    return ", ".join(f"{name} {facts[name]}" for name in names if facts.get(name) is not None)


def _indent(text: str) -> str:
    """The end of `text`, short enough for a terminal; the whole tail stays in the facts."""
    lines = text[-_SHOWN_STDERR_CHARACTERS:].rstrip("\n").splitlines()
    return "\n".join("  " + line for line in lines[-_SHOWN_STDERR_LINES:])
