"""Results of checked files: verdicts, and Lean's messages with their places."""

from __future__ import annotations

import dataclasses
import enum
from typing import Literal

import msgspec

from ..base.counts import counted
from ..errors import LeanWorkerError
from ..lake.file_settings import FileSettings


class CheckPosition(msgspec.Struct, frozen=True):
    """A place in a file as Lean counts: lines from 1, columns in code points from 0."""

    line: int
    column: int


class CheckMessage(msgspec.Struct, frozen=True, rename={"position": "pos", "end": "endPos", "file": "fileName"}):
    """One message of Lean.

    Attributes:
        severity: "information", "warning" or "error".
        position: Where it begins.
        end: Where what it is about ends; None if Lean does not say.
        data: Its text.
        kind: What Lean calls this kind of message, such as "hasSorry"; "[anonymous]" for most.
        file: The file's name, as it was given to `check`; of `verify` the candidate's name.
        caption: A title in front of the text, mostly empty.
    """

    severity: Literal["information", "warning", "error"]
    position: CheckPosition
    data: str
    file: str
    end: CheckPosition | None = None
    kind: str = ""
    caption: str = ""

    @property
    def is_sorry(self) -> bool:
        """Whether it says that a declaration uses `sorry`."""
        return self.kind == "hasSorry" or (
            self.severity == "warning" and self.data.startswith("declaration uses") and "sorry" in self.data
        )


class Verdict(str, enum.Enum):
    """The finding of a check; exactly one for each file."""

    ACCEPTED = "accepted"
    """Lean read the file to its end and had no error to report; warnings do not count."""
    REJECTED = "rejected"
    """Lean reported an error; or, if so wished, a `sorry`, or a declaration rests on one that Lean did not report."""
    TIMED_OUT = "timed out"
    """Lean had not come to an end within the time limit, and was killed: nothing is known of the file."""
    UNCHECKED = "unchecked"
    """This Lean cannot check the file, as it imports a module or is to use an option that this Lean does not have; or
    nobody can tell whether it hides a `sorry`, as what Lean has made of it cannot be looked through. Nothing is known
    of the file; `cause` and `hint` say more."""
    LOST = "lost"
    """Lean ended in another way, such as a crash, or could not load the project's libraries, or the worker ended:
    nothing is known of the file."""


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The result of one file.

    Attributes:
        index: Its number among the files, from 0, in the order in which they were given.
        file: Its name: the path, or the name of a snippet, as given.
        verdict: The verdict.
        messages: Lean's messages, in its order; of a file that timed out or was lost those that came before.
        seconds: How long Lean took.
        cause: For UNCHECKED, TIMED_OUT and LOST what happened, in words, and for REJECTED that it was for a `sorry`
            alone; None otherwise.
        exit_code: Lean's exit code, if it ended by itself.
        signal: Name of the signal that ended Lean, if one did.
        output: What was written besides messages, such as a panic or a stack trace; at most 200 lines.
        error: The failure of the worker, if it was one.
        settings: The project's options and libraries with which Lean ran, and who named them; `settings.source` is
            "lake", "lakefile" or "none".
        ran_as: The process in which Lean ran: "held", a fork of a process that has imported the file's modules already;
            "fork", a fork of one that has only started; "process", a new one. None if it is not known.
        import_seconds: How long the file waited for its imports, part of `seconds`; None if that is not known, as for
            a new process.
        hint: An action that can help; None for most verdicts.
    """

    index: int
    file: str
    verdict: Verdict
    messages: tuple[CheckMessage, ...]
    seconds: float
    cause: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    output: str = ""
    error: LeanWorkerError | None = None
    settings: FileSettings = dataclasses.field(default_factory=FileSettings)
    ran_as: Literal["held", "fork", "process"] | None = None
    import_seconds: float | None = None
    hint: str | None = None

    def __repr__(self) -> str:
        from ..notebook import few, short

        facts = [short(self.file), self.verdict.value, f"{self.seconds:.2f} s"]
        if self.messages:
            shown = [
                f"{each.position.line}:{each.position.column}: {each.severity}: {each.data}"
                for each in self.messages[:4]
            ]
            facts.append(f"{counted(len(self.messages), 'messages')}: {few(shown)}")
        if self.cause is not None:
            facts.append(f"cause={short(self.cause, 300)}")
        return f"CheckResult({', '.join(facts)})"

    def _repr_html_(self) -> str:
        from ..notebook import table

        facts = [("verdict", self.verdict.value), ("seconds", round(self.seconds, 3)), ("cause", self.cause)]
        rows = [
            {"line": each.position.line, "column": each.position.column, "severity": each.severity, "text": each.data}
            for each in self.messages
        ]
        is_bad = self.verdict is not Verdict.ACCEPTED
        return table(self.file, facts, note=f"hint: {self.hint}" if self.hint else None, alarm=is_bad, rows=rows)

    @property
    def elaboration_seconds(self) -> float | None:
        """The rest of `seconds`; None if that is not known."""
        return None if self.import_seconds is None else max(0.0, self.seconds - self.import_seconds)

    @property
    def errors(self) -> tuple[CheckMessage, ...]:
        """The messages of severity "error"."""
        return tuple(message for message in self.messages if message.severity == "error")

    @property
    def uses_sorry(self) -> bool:
        """Whether Lean said of a declaration that it uses `sorry`.

        A file can keep Lean from saying so. Ask with `reject_sorry=True` for verdicts that do not go by this alone.
        """
        return any(message.is_sorry for message in self.messages)
