"""The goals of a statement: its theorems whose proof is `sorry`."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from . import wire
from .terms import Table, constants_needed

HOLE = "sorryAx"


class Module(msgspec.Struct, frozen=True):
    """The rows that were read of one module."""

    constants: dict[int, wire.Constant]
    imports: tuple[tuple[int, tuple[bool, ...]], ...]
    is_module: bool


def goals_of(table: Table, statement: Module) -> list[int]:
    """The statement's goals: its theorems whose proof is `sorry`.

    That is a proof that mentions `sorryAx` itself, or through a declaration of the statement that the elaborator set
    apart.
    """
    hole = table.named(HOLE)
    constants = statement.constants

    def is_open(constant: wire.Constant) -> bool:
        seen: set[int] = set()
        todo = table.mentioned([constant.value or 0])
        while todo:
            name = todo.pop()
            if name == hole:
                return True
            seen.add(name)
            part = constants.get(name)
            # A lemma with a hole of its own is a goal by itself.
            if (
                part is not None
                and part.value is not None
                and (part.kind != "theorem" or _is_auxiliary(table, constants, part.name))
            ):
                todo |= table.mentioned([part.value]) - seen
        return False

    return [
        name
        for name, constant in constants.items()
        if constant.kind == "theorem" and not _is_auxiliary(table, constants, name) and is_open(constant)
    ]


def unprovable_goal(table: Table, statement: Module, goals: Collection[int]) -> int | None:
    """A goal that nobody can prove, since what it says rests on a `sorry`; None if there is none."""
    hole = table.named(HOLE)
    constants = statement.constants
    for goal in goals:
        seen: set[int] = set()
        todo = table.mentioned([constants[goal].type])
        while todo:
            name = todo.pop()
            if name == hole:
                return goal
            seen.add(name)
            if name in constants and name not in goals:
                todo |= constants_needed(table, constants[name]) - seen
    return None


def _is_auxiliary(table: Table, constants: Collection[int], name: int) -> bool:
    """Return whether a theorem is a part that the elaborator set apart from another declaration, such as `t._proof_1`.

    A person can call a theorem `_t` as well, and that is a goal.
    """
    prefix, part = table.names[name]
    if isinstance(part, str) and not part.startswith("_"):
        return False
    while prefix:
        if prefix in constants:
            return True
        prefix = table.names[prefix][0]
    return False
