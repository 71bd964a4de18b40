"""The goals of a statement: its theorems whose proof is `sorry`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
    parts = _parts(table, constants)

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
            if part is not None and part.value is not None and (part.kind != "theorem" or part.name in parts):
                todo |= table.mentioned([part.value]) - seen
        return False

    return [
        name
        for name, constant in constants.items()
        if constant.kind == "theorem" and name not in parts and is_open(constant)
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


def _parts(table: Table, constants: Mapping[int, wire.Constant]) -> set[int]:
    """The theorems that the elaborator set apart from another declaration, such as `t._proof_1`.

    They are called so, below another declaration, and something mentions them. A person can call a theorem `_t` or
    `t._x`, and that is a goal. The part of a public declaration can be private.
    """
    called = {name for name, constant in constants.items() if constant.kind == "theorem" and _is_set_apart(table, name)}
    if not called:
        return called
    declared = {_public(table.parts(name)): name for name in constants}
    mentioned: set[int] = set()
    for name, constant in constants.items():
        roots = [constant.type] if constant.value is None else [constant.type, constant.value]
        mentioned |= table.mentioned(roots) - {name}
    found = set()
    for name in called & mentioned:
        parts = _public(table.parts(name))
        if any(declared.get(parts[:count], name) != name for count in range(1, len(parts))):
            found.add(name)
    return found


def _is_set_apart(table: Table, name: int) -> bool:
    last = table.names[name][1]
    return isinstance(last, int) or last.startswith("_")


def _public(parts: Sequence[str | int]) -> tuple[str | int, ...]:
    """The name without the part in front that makes it private: `_private`, the module's name and a number."""
    if parts and parts[0] == "_private":
        for place, part in enumerate(parts):
            if isinstance(part, int) and place + 1 < len(parts):
                return tuple(parts[place + 1 :])
    return tuple(parts)
