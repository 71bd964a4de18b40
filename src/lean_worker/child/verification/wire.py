"""The rows in which declarations cross from the candidate's side to the judge.

Each row is one `Terms`: a piece of the list of names, levels, expressions or constants. Things are numbered in the
order in which they are told, from 1 for names and levels (0 is the anonymous name, and level zero) and from 0 for
expressions; every number must have been told before it is used. Binder names, binder kinds and `mdata` mean nothing to
the kernel and are left out, so that equal numbers mean "the same to the kernel".
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

# Kinds of levels and expressions: the numbers of Lean's own constructors.
LEVEL_SUCC, LEVEL_MAX, LEVEL_IMAX, LEVEL_PARAM = 1, 2, 3, 4
BVAR, SORT, CONST, APP, LAM, FORALL, LET, NATURAL, PROJ, STRING = 0, 3, 4, 5, 6, 7, 8, 9, 11, 12

Kind = Literal["axiom", "definition", "theorem", "opaque", "quotient", "inductive", "constructor", "recursor"]


class Rule(msgspec.Struct, array_like=True, frozen=True):
    """A computation rule of a recursor."""

    constructor: int
    fields: int
    value: int


class Constant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A declaration.

    Attributes:
        kind: Its kind.
        name: Number of its name.
        levels: Numbers of its universe parameters' names.
        type: Number of its type.
        value: Number of its value, for definitions, theorems and opaque constants.
        unsafe: Whether it is `unsafe` or `partial`.
        height: Of a definition: None if it is opaque to unfolding, -1 for an abbreviation, else a number that tells the
            kernel what to unfold first. It has no meaning.
        group: Numbers of the names that were declared together with it (Lean's `all`).
        constructors: Of an inductive type.
        inductive: The type of a constructor.
        numbers: Counts that the kernel computes: parameters, indices, fields and the like.
        flags: Facts that the kernel computes: recursive, reflexive, `K`.
        rules: Of a recursor.
    """

    kind: Kind
    name: int
    levels: tuple[int, ...]
    type: int
    value: int | None = None
    unsafe: bool = False
    height: int | None = None
    group: tuple[int, ...] = ()
    constructors: tuple[int, ...] = ()
    inductive: int | None = None
    numbers: tuple[int, ...] = ()
    flags: tuple[bool, ...] = ()
    rules: tuple[Rule, ...] = ()


class Import(msgspec.Struct, array_like=True, frozen=True):
    """An import: the module's name and Lean's flags (`all`, exported, `meta`)."""

    module: int
    flags: tuple[bool, ...]


class Terms(msgspec.Struct, omit_defaults=True):
    """A piece of a module.

    Attributes:
        names: `[prefix, part]`, where the part is a text or a number.
        levels: `[kind, …]`.
        expressions: `[kind, …]`; a natural number is written as a text of hexadecimal digits.
        constants: Declarations.
        imports: All imports, in order; told once, in the last row.
        is_module: Whether the file has a `module` header; told in the last row.
    """

    names: list[tuple[int, str | int]] = []
    levels: list[tuple[int, ...]] = []
    expressions: list[tuple[Any, ...]] = []
    constants: list[Constant] = []
    imports: list[Import] | None = None
    is_module: bool = False
