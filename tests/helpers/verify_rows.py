"""Declarations as rows that no elaborator made: what crafted modules could hold."""

from __future__ import annotations

import msgspec

from lean_worker.child.verification import wire

IMPORT_FLAGS = (False, True, False)
MODULE = "LeanWorker.Library"


class Rows:
    """Builds the rows of one module; things are numbered as `wire` says."""

    def __init__(self) -> None:
        self.names: list[tuple[int, str | int]] = []
        self.levels: list[tuple] = []
        self.expressions: list[tuple] = []
        self.constants: list[wire.Constant] = []
        self._known: dict[tuple, int] = {}

    def _number(self, things, first, entry) -> int:
        key = (id(things), entry)
        if key not in self._known:
            things.append(entry)
            self._known[key] = len(things) - 1 + first
        return self._known[key]

    def name(self, text: str) -> int:
        number = 0
        for part in text.split("."):
            number = self._number(self.names, 1, (number, part))
        return number

    def level(self, *entry) -> int:
        return self._number(self.levels, 1, entry) if entry else 0

    def param(self, name: str) -> int:
        return self.level(wire.LEVEL_PARAM, self.name(name))

    def add(self, *entry) -> int:
        return self._number(self.expressions, 0, entry)

    def var(self, index: int) -> int:
        return self.add(wire.BVAR, index)

    def sort(self, level: int = 0) -> int:
        return self.add(wire.SORT, level)

    def const(self, name: str, *levels: int) -> int:
        return self.add(wire.CONST, self.name(name), levels)

    def app(self, function: int, *arguments: int) -> int:
        for argument in arguments:
            function = self.add(wire.APP, function, argument)
        return function

    def arrow(self, domain: int, body: int) -> int:
        return self.add(wire.FORALL, domain, body)

    def fun(self, domain: int, body: int) -> int:
        return self.add(wire.LAM, domain, body)

    def declare(self, kind: str, name: str, type_: int, value: int | None = None, levels=(), **facts) -> None:
        number = self.name(name)
        group = facts.pop("group", (name,) if kind in ("definition", "theorem", "opaque", "inductive") else ())
        for key in ("constructors",):
            if key in facts:
                facts[key] = tuple(map(self.name, facts[key]))
        if "inductive" in facts:
            facts["inductive"] = self.name(facts["inductive"])
        self.constants.append(
            wire.Constant(
                kind=kind,
                name=number,
                levels=tuple(map(self.name, levels)),
                type=type_,
                value=value,
                group=tuple(map(self.name, group)),
                **facts,
            )
        )

    def goal(self, value: int) -> None:
        """`theorem goal : False := value`."""
        self.declare("theorem", "goal", self.const("False"), value)

    def terms(self) -> wire.Terms:
        imports = [wire.Import(self.name(MODULE), IMPORT_FLAGS)]
        return wire.Terms(self.names, self.levels, self.expressions, self.constants, imports)

    def encoded(self) -> list[bytes]:
        return [msgspec.json.encode(self.terms())]


def open_statement(proposition: str) -> Rows:
    """`theorem goal : proposition := sorry`."""
    rows = Rows()
    hole = rows.app(rows.const("sorryAx", 0), rows.const(proposition), rows.const("Bool.true"))
    rows.declare("theorem", "goal", rows.const(proposition), hole)
    return rows


def enumeration(rows: Rows, name: str, **changed) -> None:
    """`inductive name | mk`, with the recursor that the kernel makes, or with parts changed."""
    type_one = rows.level(wire.LEVEL_SUCC, 0)
    this, made = rows.const(name), rows.const(f"{name}.mk")
    rows.declare(
        "inductive", name, rows.sort(type_one), numbers=(0, 0, 0), flags=(False, False), constructors=(f"{name}.mk",)
    )
    rows.declare("constructor", f"{name}.mk", this, inductive=name, numbers=(0, 0, 0))
    motive = rows.arrow(this, rows.sort(rows.param("u")))
    # {motive : name → Sort u} → motive mk → (t : name) → motive t
    recursor = rows.arrow(
        motive,
        rows.arrow(rows.app(rows.var(0), made), rows.arrow(this, rows.app(rows.var(2), rows.var(0)))),
    )
    rule = rows.fun(motive, rows.fun(rows.app(rows.var(0), made), rows.var(0)))
    facts = {
        "type_": recursor,
        "levels": ("u",),
        "group": (name,),
        "numbers": (0, 0, 1, 1),
        "flags": (False,),
        "rules": (wire.Rule(rows.name(f"{name}.mk"), 0, rule),),
    }
    facts.update(changed)
    rows.declare("recursor", f"{name}.rec", facts.pop("type_"), **facts)
