"""The rows about the proofs of source files, and the command that streams them.

In JSON, Parquet and SQLite a field's name is written in camel case, as in `rows`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..commands import StreamingCommand
from .rows import Place


class Option(msgspec.Struct, frozen=True):
    """A Lean option that holds from the beginning of a file: its name, and a truth value, a number or a text."""

    name: str
    value: bool | int | str


class GoalsRequest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A request of `GOALS`: a source file.

    Attributes:
        file: The name that rows and errors have for the file.
        text: The text of the file, with its header.
        settings: Lean options, as of `set_option`. One that no imported module declares, or with a value of another
            kind, is refused; one that begins with `weak.` is ignored if it is not there.
        width: Width of printed terms and goals, in columns.
        with_steps: Whether there are rows for tactic steps.
        with_expr: Whether the types of goals and hypotheses are given as a structure too.
        version: Any text; of a job's items, another one makes the item due again.
        module: The module that the file is, whose name is a part of the names of private declarations and of nameless
            instances; None for a file of no module.
    """

    file: str
    text: str
    settings: tuple[Option, ...] = ()
    width: int | None = None
    with_steps: bool = True
    with_expr: bool = False
    version: str = ""
    module: str | None = None


class Hypothesis(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of a local context.

    Attributes:
        name: Its name as Lean shows it; one that cannot be written ends in a dagger.
        id: Lean's own name for it, the same in all goals of a proof; `expr` uses it.
        type: Its type as text.
        value: The value of a `let` variable; None for others.
        is_instance: Whether it is an instance argument.
        expr: Its type as a structure, as of `Declaration.expr`; None if it was not asked for.
    """

    name: str
    id: str
    type: str
    value: str | None = None
    is_instance: bool = False
    expr: Any = None


class Goal(msgspec.Struct, frozen=True, rename="camel"):
    """Something to be proved, in its local context.

    Attributes:
        id: Lean's own name for the goal, the same in all rows of a proof; None for a `sorry` that is a term.
        case_name: The name after `case`; None if it has none.
        hypotheses: The local context, in order, without what Lean hides.
        target: The statement to be proved, as text; None for a goal that Lean cannot print.
        expr: The target as a structure, as of `Declaration.expr`; None if it was not asked for.
        text: The whole goal as Lean shows it; for one that Lean cannot print, the reason.
    """

    id: str | None
    case_name: str | None
    hypotheses: list[Hypothesis]
    target: str | None
    expr: Any
    text: str


class GoalRow(msgspec.Struct, frozen=True, rename="camel"):
    """A tactic step, a `sorry`, or the goals that a proof leaves open.

    Attributes:
        file: The file, as it was given.
        kind: "step", "sorry" or "unsolved".
        declaration: The declaration that is being proved; None outside of declarations.
        syntax_kind: Lean's name for this kind of syntax, such as "Lean.Parser.Tactic.intro"; None for "unsolved".
        text: The source of the step or the `sorry`, or of the macro's call that made the `sorry`; None for "unsolved".
        place: Its range in the file; for "unsolved" that of Lean's error message.
        before: The goals before the step, the goal that the `sorry` stands for, or the goals that are left.
        after: The goals after the step; None for other rows.
        has_error: Whether Lean reports an error that begins in the step, or could not parse it to its end; None for
            other rows.
        number: Number of the step in its file, from 0, in Lean's order; None for other rows.
        parent: Number of the step that this one, or the `sorry`, is a part of; None at the top of a proof, for
            "unsolved", and without rows for steps.
        is_undone: Whether Lean gave up an attempt that the step or `sorry` is a part of, such as an alternative of
            `first` that failed: nothing of it is in the proof. None for "unsolved".
    """

    file: str
    kind: str
    declaration: str | None
    syntax_kind: str | None
    text: str | None
    place: Place
    before: list[Goal]
    after: list[Goal] | None = None
    has_error: bool | None = None
    number: int | None = None
    parent: int | None = None
    is_undone: bool | None = None


GOALS: StreamingCommand[GoalsRequest, GoalRow, int] = StreamingCommand(
    "goals", request=GoalsRequest, row=GoalRow, summary=int
)
"""The tactic steps, `sorry`s and open goals of a source file, as Lean gets to them; the summary is their number."""
