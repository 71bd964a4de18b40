"""Writes the declarations of a compiled module as rows of data.

Loads nothing of Lean and runs nothing of the module. Whoever made the module may have put anything into it; what comes
out is data of the shapes of `wire`, or `BadModule`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import wire
from .objects import BadModule, Image

_PIECE = 2000
_NATURAL_BITS = 1 << 18
# What may be told for each byte of a module. Modules share objects, such as texts and lists, and rows do not: a small
# module could stand for more rows than any memory holds.
_BUDGET_FACTOR = 16
_LEAST_BUDGET_BYTES = 1 << 20
_WORD_BYTES = 8
_LOOK_EVERY = 4096
_SIZES = {0: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3, 8: 4, 9: 1, 10: 2, 11: 3}
_PARTS: dict[int, slice] = {
    5: slice(0, 2),
    6: slice(1, 3),
    7: slice(1, 3),
    8: slice(1, 4),
    10: slice(1, 2),
    11: slice(2, 3),
}
_KINDS: tuple[tuple[wire.Kind, int], ...] = (
    ("axiom", 1),
    ("definition", 4),
    ("theorem", 3),
    ("opaque", 3),
    ("quotient", 1),
    ("inductive", 6),
    ("constructor", 5),
    ("recursor", 7),
)
_SAFE = 1
_IMPORT_FLAGS = 3


def export(parts: Sequence[bytes], deadline: float | None = None) -> Iterator[wire.Terms]:
    """Yield the rows of the module whose files are `parts`.

    Args:
        parts: As of `objects.Image`.
        deadline: When to give up, by `time.monotonic`; None for no limit.

    Raises:
        BadModule: The bytes are not those of a module that can be read, or reading them took too long.
    """
    yield from Export(Image(parts), deadline).rows()


class Export:
    """Tells each thing once, after the things it is made of, without recursion."""

    def __init__(self, image: Image, deadline: float | None = None) -> None:
        self.image = image
        self._deadline = deadline
        self._steps = 0
        self._budget = max(_LEAST_BUDGET_BYTES, _BUDGET_FACTOR * image.size)
        self._known: tuple[dict[int, int], dict[int, int], dict[int, int]] = ({1: 0}, {1: 0}, {})
        self._made: tuple[dict[Any, int], dict[Any, int], dict[Any, int]] = ({}, {}, {})
        self._counts = [1, 1, 0]
        self.row = wire.Terms()

    # -- rows --

    def rows(self) -> Iterator[wire.Terms]:
        """Yield all rows of the module."""
        image = self.image
        count = image.field_count(image.root)
        if not 5 <= count <= 16:
            raise BadModule(f"a module of {count} fields")
        imports, _, constants, *_ = image.fields(image.root, 0, count)
        told: set[int] = set()
        for address in image.array(constants):
            self._look_at_clock()
            constant = self.constant(address)
            if constant.name in told:
                raise BadModule("a declaration that comes twice")
            told.add(constant.name)
            self.row.constants.append(constant)
            if len(self.row.expressions) >= _PIECE or len(self.row.constants) >= _PIECE:
                yield self._taken()
        self.row.imports = [self._import(address) for address in image.array(imports)]
        self.row.is_module = bool(image.byte(image.root, 8 * count))
        yield self._taken()

    def _taken(self) -> wire.Terms:
        row, self.row = self.row, wire.Terms()
        return row

    def _import(self, address: int) -> wire.Import:
        (module,) = self.image.fields(address, 0, 1)
        flags = tuple(bool(self.image.byte(address, 8 + i)) for i in range(_IMPORT_FLAGS))
        return wire.Import(self.name(module), flags)

    # -- names, levels, expressions --

    def _tell(
        self, sort: int, address: int, parts: Callable[[int], Sequence[int]], form: Callable[[int], Any], into: str
    ) -> int:
        """Tell what is at `address`; `parts` are addresses to tell before, `form` is what the row says of it.

        A form that is a number stands for a thing told already.
        """
        known, made = self._known[sort], self._made[sort]
        todo = [address]
        entered: set[int] = set()
        while todo:
            here = todo[-1]
            if here in known:
                todo.pop()
                continue
            missing = [part for part in parts(here) if part not in known]
            if missing:
                if here in entered:
                    raise BadModule("a thing that contains itself")
                entered.add(here)
                todo.extend(missing)
                continue
            self._look_at_clock()
            told = form(here)
            if isinstance(told, int):
                known[here] = told
            else:
                number = made.get(told)
                if number is None:
                    number = made[told] = self._counts[sort]
                    self._counts[sort] += 1
                    getattr(self.row, into).append(told)
                known[here] = number
            todo.pop()
        return known[address]

    def _look_at_clock(self) -> None:
        self._steps += 1
        if self._deadline is not None and self._steps % _LOOK_EVERY == 0 and time.monotonic() > self._deadline:
            raise BadModule("reading its declarations took too long")

    def _spend(self, count: int) -> None:
        self._budget -= count
        if self._budget < 0:
            raise BadModule("its declarations are far larger than the module")

    def _text(self, address: int) -> str:
        text = self.image.string(address)
        self._spend(len(text))
        return text

    def _items(self, address: int) -> list[int]:
        items = self.image.list(address)
        self._spend(_WORD_BYTES * len(items))
        return items

    def name(self, address: int) -> int:
        """Number of a name."""
        return self._known[0].get(address) or self._tell(0, address, self._name_parts, self._name_form, "names")

    def _name_parts(self, address: int) -> Sequence[int]:
        return self.image.fields(address, self.image.tag(address), 2)[:1]

    def _name_form(self, address: int) -> tuple[int, str | int]:
        tag = self.image.tag(address)
        prefix, part = self.image.fields(address, tag, 2)
        if tag == 1:
            return self._known[0][prefix], self._text(part)
        if tag == 2:
            return self._known[0][prefix], self._small(part)
        raise BadModule("no name where one belongs")

    def _small(self, address: int) -> int:
        value = self.image.natural(address)
        if value >= 1 << 62:
            raise BadModule("a count that is too large")
        return value

    def names(self, address: int) -> tuple[int, ...]:
        """Numbers of a list of names."""
        return tuple(self.name(item) for item in self._items(address))

    def level(self, address: int) -> int:
        """Number of a level."""
        return self._tell(1, address, self._level_parts, self._level_form, "levels")

    def _level_parts(self, address: int) -> Sequence[int]:
        tag = self.image.tag(address)
        if tag == 0:
            return ()
        if tag in (wire.LEVEL_SUCC, wire.LEVEL_MAX, wire.LEVEL_IMAX):
            return self.image.fields(address, tag, 1 if tag == wire.LEVEL_SUCC else 2)
        return ()

    def _level_form(self, address: int) -> Any:
        tag = self.image.tag(address)
        if tag == 0:
            return 0
        if tag == wire.LEVEL_PARAM:
            return tag, self.name(self.image.fields(address, tag, 1)[0])
        if tag in (wire.LEVEL_SUCC, wire.LEVEL_MAX, wire.LEVEL_IMAX):
            return (tag, *(self._known[1][part] for part in self._level_parts(address)))
        raise BadModule("a level that has a hole")

    def expression(self, address: int) -> int:
        """Number of an expression."""
        return self._tell(2, address, self._expression_parts, self._expression_form, "expressions")

    def _expression_fields(self, address: int) -> tuple[int, tuple[int, ...]]:
        tag = -1 if address & 1 else self.image.tag(address)
        if tag not in _SIZES:
            raise BadModule(f"an expression of kind {tag}")
        return tag, self.image.fields(address, tag, _SIZES[tag])

    def _expression_parts(self, address: int) -> Sequence[int]:
        tag, fields = self._expression_fields(address)
        return fields[_PARTS[tag]] if tag in _PARTS else ()

    def _expression_form(self, address: int) -> Any:
        tag, fields = self._expression_fields(address)
        known = self._known[2]
        if tag == wire.BVAR:
            return tag, self._small(fields[0])
        if tag == wire.SORT:
            return tag, self.level(fields[0])
        if tag == wire.CONST:
            return tag, self.name(fields[0]), tuple(self.level(level) for level in self._items(fields[1]))
        if tag == 9:
            literal = self.image.tag(fields[0])
            (value,) = self.image.fields(fields[0], literal, 1)
            if literal == 1:
                return wire.STRING, self._text(value)
            number = self.image.natural(value)
            if number.bit_length() > _NATURAL_BITS:
                raise BadModule(f"a numeral of more than {_NATURAL_BITS} bits")
            self._spend(number.bit_length() // 4)
            return wire.NATURAL, f"{number:x}"  # decimal digits take time that grows with the square of their number
        if tag == 10:
            return known[fields[1]]
        if tag == wire.PROJ:
            return tag, self.name(fields[0]), self._small(fields[1]), known[fields[2]]
        return (tag, *(known[part] for part in fields[_PARTS[tag]]))

    # -- constants --

    def constant(self, address: int) -> wire.Constant:
        """A declaration as data."""
        image = self.image
        tag = image.tag(address)
        if address & 1 or tag >= len(_KINDS):
            raise BadModule("a declaration of an unknown kind")
        kind, count = _KINDS[tag]
        (body,) = image.fields(address, tag, 1)
        common, *fields = image.fields(body, 0, count)
        name, levels, type_ = image.fields(common, 0, 3)
        facts: dict[str, Any] = {}

        def flag(index: int) -> bool:
            return bool(image.byte(body, 8 * count + index))

        if kind == "axiom":
            facts["unsafe"] = flag(0)
        elif kind == "definition":
            safety = image.byte(body, 8 * count)
            facts.update(value=self.expression(fields[0]), unsafe=safety != _SAFE, group=self.names(fields[2]))
            facts["height"] = self._height(fields[1])
        elif kind == "theorem":
            facts.update(value=self.expression(fields[0]), group=self.names(fields[1]))
        elif kind == "opaque":
            facts.update(value=self.expression(fields[0]), group=self.names(fields[1]), unsafe=flag(0))
        elif kind == "inductive":
            facts.update(
                numbers=(self._small(fields[0]), self._small(fields[1]), self._small(fields[4])),
                group=self.names(fields[2]),
                constructors=self.names(fields[3]),
                flags=(flag(0), flag(2)),
                unsafe=flag(1),
            )
        elif kind == "constructor":
            facts.update(
                inductive=self.name(fields[0]), numbers=tuple(self._small(item) for item in fields[1:]), unsafe=flag(0)
            )
        elif kind == "recursor":
            facts.update(
                group=self.names(fields[0]),
                numbers=tuple(self._small(item) for item in fields[1:5]),
                rules=tuple(self._rule(rule) for rule in self._items(fields[5])),
                flags=(flag(0),),
                unsafe=flag(1),
            )
        elif kind == "quotient":
            facts["numbers"] = (image.byte(body, 8 * count),)
        return wire.Constant(
            kind=kind,
            name=self.name(name),
            levels=self.names(levels),
            type=self.expression(type_),
            **facts,
        )

    def _height(self, address: int) -> int | None:
        if address & 1:
            return None if address == 1 else -1
        return self.image.word32(address, 0)

    def _rule(self, address: int) -> wire.Rule:
        constructor, fields, value = self.image.fields(address, 0, 3)
        return wire.Rule(self.name(constructor), self._small(fields), self.expression(value))
