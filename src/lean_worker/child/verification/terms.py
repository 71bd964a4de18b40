"""Names, levels, expressions and declarations, each held once, so that equal things have equal numbers.

Owns the reading of rows that a stranger may have written: every number is checked before it is used. Rows of the
statement, of the candidate and of trusted imports are read into one table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import wire

# Lean keeps the number of loose variables in 20 bits, and ends the process beyond that.
MAX_VARIABLE = (1 << 20) - 2
MAX_DIGITS = 1 << 16
"""Hexadecimal digits of a numeral."""
_HEXADECIMAL = frozenset("0123456789abcdef")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'!?")


class BadData(ValueError):
    """Rows that are not of the form of `wire`."""


class Table:
    """All things that were read. Entries are tuples as in `wire`, with the table's own numbers."""

    def __init__(self) -> None:
        self.names: list[tuple[int, str | int]] = [(0, "")]
        self.levels: list[tuple[int, ...]] = [(0,)]
        self.expressions: list[tuple[Any, ...]] = []
        self._name_of: dict[tuple[int, str | int], int] = {}
        self._level_of: dict[tuple[int, ...], int] = {}
        self._expression_of: dict[tuple[Any, ...], int] = {}

    def name(self, prefix: int, part: str | int) -> int:
        """Number of a name."""
        key = (prefix, part)
        number = self._name_of.get(key)
        if number is None:
            number = self._name_of[key] = len(self.names)
            self.names.append(key)
        return number

    def level(self, key: tuple[int, ...]) -> int:
        """Number of a level whose parts have numbers of this table."""
        number = self._level_of.get(key)
        if number is None:
            number = self._level_of[key] = len(self.levels)
            self.levels.append(key)
        return number

    def expression(self, key: tuple[Any, ...]) -> int:
        """Number of an expression whose parts have numbers of this table."""
        number = self._expression_of.get(key)
        if number is None:
            number = self._expression_of[key] = len(self.expressions)
            self.expressions.append(key)
        return number

    def named(self, *parts: str | int) -> int:
        """Number of the name with these parts."""
        number = 0
        for part in parts:
            number = self.name(number, part)
        return number

    def parts(self, name: int) -> tuple[str | int, ...]:
        """The parts of a name."""
        found: list[str | int] = []
        while name:
            name, part = self.names[name]
            found.append(part)
        return tuple(reversed(found))

    def text(self, name: int) -> str:
        """A name as people write it."""
        shown = []
        for part in self.parts(name):
            plain = isinstance(part, int) or (
                part != "" and not part[0].isdigit() and all(c in _PLAIN or ord(c) > 127 for c in part)
            )
            shown.append(str(part) if plain else f"«{part}»")
        return ".".join(shown)

    def reader(self) -> Reader:
        """A reader for the rows of one module."""
        return Reader(self)

    def mentioned(self, roots: Iterable[int]) -> set[int]:
        """Numbers of the names of all constants in these expressions."""
        seen: set[int] = set()
        found: set[int] = set()
        todo = list(roots)
        expressions = self.expressions
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            entry = expressions[at]
            kind = entry[0]
            if kind == wire.CONST:
                found.add(entry[1])
            elif kind in (wire.APP, wire.LAM, wire.FORALL, wire.LET):
                todo += entry[1:]
            elif kind == wire.PROJ:
                found.add(entry[1])
                todo.append(entry[3])
            elif kind == wire.NATURAL:
                found.add(self.named("Nat"))
            elif kind == wire.STRING:
                found.add(self.named("String"))
        return found


class Reader:
    """Reads the rows of one module into a table.

    Attributes:
        constants: The declarations, by the number of their name.
        imports: The imports, once they were told.
        is_module: Whether the file has a `module` header.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._names = [0]
        self._levels = [0]
        self._expressions: list[int] = []
        self.constants: dict[int, wire.Constant] = {}
        self.imports: tuple[tuple[int, tuple[bool, ...]], ...] | None = None
        self.is_module = False

    def read(self, row: wire.Terms) -> None:
        """Read one row.

        Raises:
            BadData: A number was not told before, a kind is unknown, or a declaration comes twice.
        """
        try:
            for prefix, part in row.names:
                self._names.append(self._table.name(self._name(prefix), self._part(part)))
            for level in row.levels:
                self._levels.append(self._level_entry(level))
            for expression in row.expressions:
                self._expressions.append(self._expression_entry(expression))
            for constant in row.constants:
                self._constant(constant)
        except (ValueError, TypeError, IndexError) as error:
            raise error if isinstance(error, BadData) else BadData(f"rows of the wrong form: {error}") from error
        if row.imports is not None:
            self.imports = tuple((self._name(one.module), one.flags) for one in row.imports)
            self.is_module = row.is_module

    @staticmethod
    def _part(part: str | int) -> str | int:
        if isinstance(part, int) and not 0 <= part < 1 << 62:
            raise BadData("a name with a number out of range")
        return part

    @staticmethod
    def _told(things: list[int], number: object, what: str) -> int:
        if type(number) is not int or not 0 <= number < len(things):
            raise BadData(f"{what} {number!r} was not told before")
        return things[number]

    def _name(self, number: object) -> int:
        return self._told(self._names, number, "name")

    def _level(self, number: object) -> int:
        return self._told(self._levels, number, "level")

    def _expression(self, number: object) -> int:
        return self._told(self._expressions, number, "expression")

    def _level_entry(self, told: tuple[int, ...]) -> int:
        kind, *parts = told
        if type(kind) is not int:
            raise BadData(f"a level of kind {kind!r}")
        if kind in (wire.LEVEL_MAX, wire.LEVEL_IMAX):
            first, second = parts
            key: tuple[int, ...] = (kind, self._level(first), self._level(second))
        elif kind == wire.LEVEL_SUCC:
            (only,) = parts
            key = (kind, self._level(only))
        elif kind == wire.LEVEL_PARAM:
            (only,) = parts
            key = (kind, self._name(only))
        else:
            raise BadData(f"a level of kind {kind!r}")
        return self._table.level(key)

    def _expression_entry(self, told: tuple[Any, ...]) -> int:
        kind, *parts = told
        # Not a number that only equals one: equal keys must build the same.
        if type(kind) is not int:
            raise BadData(f"an expression of kind {kind!r}")
        key: tuple[Any, ...]
        if kind == wire.APP or kind == wire.LAM or kind == wire.FORALL:
            first, second = parts
            key = (kind, self._expression(first), self._expression(second))
        elif kind == wire.CONST:
            name, levels = parts
            if type(levels) is not tuple and type(levels) is not list:
                raise BadData("universe levels that are no list")
            key = (kind, self._name(name), tuple(self._level(level) for level in levels))
        elif kind == wire.BVAR:
            (index,) = parts
            if type(index) is not int or not 0 <= index <= MAX_VARIABLE:
                raise BadData(f"bound variable {index!r}; at most {MAX_VARIABLE}")
            key = (kind, index)
        elif kind == wire.SORT:
            (level,) = parts
            key = (kind, self._level(level))
        elif kind == wire.LET:
            type_, value, body = parts
            key = (kind, self._expression(type_), self._expression(value), self._expression(body))
        elif kind == wire.PROJ:
            name, index, struct = parts
            if type(index) is not int or not 0 <= index < 1 << 32:
                raise BadData(f"field {index!r} of a structure")
            key = (kind, self._name(name), index, self._expression(struct))
        elif kind == wire.NATURAL:
            (digits,) = parts
            if type(digits) is not str or not _HEXADECIMAL.issuperset(digits) or not 1 <= len(digits) <= MAX_DIGITS:
                raise BadData("a numeral that is not one, or too long")
            key = (kind, int(digits, 16))
        elif kind == wire.STRING:
            (text,) = parts
            if type(text) is not str:
                raise BadData("a string that is not one")
            key = (kind, text)
        else:
            raise BadData(f"an expression of kind {kind!r}")
        return self._table.expression(key)

    def _constant(self, told: wire.Constant) -> None:
        name = self._name(told.name)
        if name in self.constants:
            raise BadData(f"{self._table.text(name)} is declared twice")
        if (told.value is not None) != (told.kind in ("definition", "theorem", "opaque")):
            raise BadData(f"{self._table.text(name)}: a value where none belongs, or none where one belongs")
        if min(told.numbers, default=0) < 0:
            raise BadData(f"{self._table.text(name)}: a count below zero")
        self.constants[name] = wire.Constant(
            kind=told.kind,
            name=name,
            levels=self._all_names(told.levels),
            type=self._expression(told.type),
            value=None if told.value is None else self._expression(told.value),
            unsafe=told.unsafe,
            height=told.height if told.height is None or -1 <= told.height < 1 << 32 else 0,
            group=self._all_names(told.group),
            constructors=self._all_names(told.constructors),
            inductive=None if told.inductive is None else self._name(told.inductive),
            numbers=told.numbers,
            flags=told.flags,
            rules=tuple(
                wire.Rule(self._name(rule.constructor), rule.fields, self._expression(rule.value))
                for rule in told.rules
            ),
        )

    def _all_names(self, numbers: Iterable[int]) -> tuple[int, ...]:
        return tuple(self._name(number) for number in numbers)


def constants_needed(table: Table, constant: wire.Constant) -> set[int]:
    """Numbers of the names that a declaration rests on, without its own."""
    roots = [constant.type, *(rule.value for rule in constant.rules)]
    if constant.value is not None:
        roots.append(constant.value)
    found = table.mentioned(roots)
    found.update(constant.constructors)
    if constant.kind in ("inductive", "recursor"):
        found.update(constant.group)
    if constant.inductive is not None:
        found.add(constant.inductive)
    found.discard(constant.name)
    return found
