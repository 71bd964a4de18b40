"""The verdict on one candidate, as data."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from ..base.counts import counted
from ..checking.results import CheckMessage
from ..errors import LeanWorkerError


class ProofVerdict(str, enum.Enum):
    """The verdict on a candidate; exactly one for each."""

    PROVED = "proved"
    """Lean's kernel accepted declarations that prove every goal of the statement, from allowed axioms."""
    NOT_PROVED = "not_proved"
    """Lean reported errors, or wrote no module; `messages` has what it said."""
    STATEMENT_CHANGED = "statement_changed"
    """A goal, or a declaration that it depends on, is missing or is not the statement's."""
    FORBIDDEN_AXIOM = "forbidden_axiom"
    """A proof rests on an axiom that is not allowed, such as `sorryAx` or one of the candidate's own."""
    NOT_REPLAYED = "not_replayed"
    """Lean's kernel, or a rule about what may be replayed, refused a declaration that the elaborator let through."""
    TIMED_OUT = "timed_out"
    """Elaboration or judgement did not end in time."""
    LOST = "lost"
    """A process ended in another way, or its data were not those of a module: nothing is known of the candidate."""


@dataclasses.dataclass(frozen=True)
class VerifyResult:
    """The verdict on one candidate.

    Attributes:
        index: The candidate's number, from 0, in the order in which candidates were given.
        name: Its name: the path, or the name of a pair.
        verdict: The verdict. Everything but PROVED means "not accepted".
        axioms: With PROVED, the axioms that each goal rests on.
        declaration: The declaration that the verdict is about: the one that differs, uses the axiom, or was refused.
        aspect: With STATEMENT_CHANGED, what differs: "missing", "kind", "universe parameters", "type", "value",
            "imports" or another part of a declaration.
        goal: The goal that rests on `declaration`.
        axiom: With FORBIDDEN_AXIOM, the axiom.
        reason: With NOT_REPLAYED, the constructor of Lean's `Kernel.Exception`, or "reservedName", "unsafe", "orphan",
            "cycle", "differs" or "quotient" for a rule of ours, or "recheck" if leanchecker refused what the judge had
            accepted.
        detail: More about it, in words.
        rechecked: Whether leanchecker accepted it too.
        messages: Lean's messages about the candidate. They are claims of a process that ran the candidate's code.
        seconds: Seconds that the candidate's elaboration took.
        cpu_seconds: Processor time of its elaboration.
        judge_cpu_seconds: Processor time of the judgement.
        error: The failure of a worker, if there was one.
    """

    index: int
    name: str
    verdict: ProofVerdict
    axioms: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    declaration: str | None = None
    aspect: str | None = None
    goal: str | None = None
    axiom: str | None = None
    reason: str | None = None
    detail: str | None = None
    rechecked: bool = False
    messages: tuple[CheckMessage, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    judge_cpu_seconds: float = 0.0
    error: LeanWorkerError | None = None

    def __repr__(self) -> str:
        from ..notebook import short

        told = ("axiom", "declaration", "aspect", "goal", "reason", "detail")
        facts = [f"{name}={short(value)}" for name in told if (value := getattr(self, name)) is not None]
        messages = [counted(len(self.messages), "messages")] if self.messages else []
        return f"VerifyResult({', '.join([short(self.name), self.verdict.value, *facts, *messages])})"

    @property
    def is_proved(self) -> bool:
        """Whether the verdict is PROVED."""
        return self.verdict is ProofVerdict.PROVED
