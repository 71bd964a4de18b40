"""Decides whether declarations prove a statement: compares them with it, and replays them through Lean's kernel.

Owns what "proves" means. The statement, the imported modules and Lean's kernel are trusted; the candidate's rows are
not, and no code of a candidate ever runs here. The declarations that a candidate's goals rest on are added to the
environment of the imports, each after what it rests on itself, and the kernel checks each. The rest of the candidate is
not looked at, except for names that the kernel knows: it can change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from . import wire
from .export import Export
from .goals import HOLE, Module, goals_of
from .terms import Table, constants_needed

# Names with which the kernel computes, whatever they are declared to be. With Lean's own `Init` imported they are
# taken; in a prelude world a candidate could define them otherwise, and the kernel would then prove False.
# Source: src/kernel/{type_checker,inductive,quot,environment}.cpp of Lean 4.
_RESERVED_TEXT = """
    Nat Nat.zero Nat.succ Nat.rec Nat.casesOn Nat.add Nat.sub Nat.mul Nat.div Nat.mod Nat.gcd Nat.pow Nat.log2 Nat.beq
    Nat.ble Nat.land Nat.lor Nat.xor Nat.shiftLeft Nat.shiftRight Nat.pred Bool Bool.true Bool.false Bool.rec String
    String.mk String.ofList String.ofByteArray String.rec Char Char.mk Char.ofNat Char.rec List List.nil List.cons
    List.rec Eq Eq.refl Eq.rec Quot Quot.mk Quot.lift Quot.ind Quot.rec Quot.sound eagerReduce dontcare Lean.reduceBool
    Lean.reduceNat Lean.trustCompiler Lean.ofReduceBool Lean.ofReduceNat UInt8 UInt16 UInt32 UInt64 USize Fin BitVec
    ByteArray Array
"""
RESERVED = tuple(tuple(name.split(".")) for name in _RESERVED_TEXT.split())
# The kernel makes names of its own that begin so: for free variables, and for copies of nested inductive types.
_KERNEL_PREFIXES = ("_nested", "_kernel_fresh", "_ind_fresh", "_nested_fresh")
# What the kernel calls the recursors of an inductive type.
_RECURSOR = re.compile(r"rec(_\d+)?\Z")
# The kernel runs compiled code for these, instead of unfolding them.
_NATIVE = (("Lean", "reduceBool"), ("Lean", "reduceNat"))
_SHOWN_CHARACTERS = 2000
# Fields that have to be the statement's, and their names in verdicts; of a theorem the proof may differ.
_ASPECTS = (("kind", "kind"), ("levels", "universe parameters"), ("type", "type"), ("unsafe", "safety"))
_OTHER_ASPECTS = (
    ("value", "value"),
    ("constructors", "constructors"),
    ("group", "group"),
    ("inductive", "type of the constructor"),
    ("numbers", "counts"),
    ("flags", "flags"),
    ("rules", "rules"),
)


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a judgement.

    Attributes:
        verdict: "proved", "statement_changed", "forbidden_axiom" or "not_replayed".
        axioms: For each goal the axioms that its proof rests on.
        declaration: The declaration that the verdict is about.
        aspect: Of a changed statement: "missing", "kind", "universe parameters", "type", "value", "imports" or another
            part of a declaration.
        goal: The goal that rests on the changed declaration or the axiom.
        axiom: The forbidden axiom.
        reason: The constructor of `Lean.Kernel.Exception`, or the rule that was broken.
        detail: More of it, in words.
    """

    verdict: str
    axioms: dict[str, list[str]] = {}
    declaration: str | None = None
    aspect: str | None = None
    goal: str | None = None
    axiom: str | None = None
    reason: str | None = None
    detail: str | None = None


class Refusal(Exception):
    """The candidate does not prove the statement."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision


class Imported:
    """The environment of the imports, and what is known of it.

    Attributes:
        looked_up: Names that were asked for since the last `forget`.
    """

    def __init__(self, table: Table, heap: Any, memory: Any) -> None:
        self._table = table
        self._heap = heap
        self._memory = memory
        self._known: dict[int, tuple[wire.Constant | None, frozenset[int]]] = {}
        self.looked_up: list[int] = []

    def find(self, name: int) -> tuple[wire.Constant | None, frozenset[int]]:
        """The declaration with this name and what it rests on; None if the imports have none."""
        found = self._known.get(name)
        if found is None:
            constant = self.read(name)
            if constant is None:
                return None, frozenset()
            found = self._known[name] = constant, frozenset(constants_needed(self._table, constant))
            self.looked_up.append(name)
        return found

    def read(self, name: int) -> wire.Constant | None:
        """The declaration as the environment has it now."""
        self._heap.extend(self._table.names, self._table.levels, self._table.expressions, ())
        address = self._heap.find(name)
        if address is None:
            return None
        export = Export(self._memory)
        export.row.constants.append(export.constant(address))
        reader = self._table.reader()
        reader.read(export.row)
        return reader.constants[name]


class Judge:
    """Judges one candidate. Used once, in a process that ends afterwards.

    Args:
        table: Where statement and candidate were read.
        heap: Lean, with the imports loaded.
        imported: The environment of the imports.
        statement: The trusted statement.
        candidate: The stranger's declarations.
        allowed: Numbers of the names of the axioms that a proof may rest on.
    """

    def __init__(
        self, table: Table, heap: Any, imported: Imported, statement: Module, candidate: Module, allowed: Iterable[int]
    ) -> None:
        self._table = table
        self._heap = heap
        self._imported = imported
        self._statement = statement
        self._candidate = candidate
        self._allowed = frozenset(allowed)
        self._compared: set[int] = set()
        self._members_of: dict[int, list[int]] = {}
        self._member_sets: dict[int, frozenset[int]] = {}
        # By the types they are declared with, and by the prefix of their names.
        self._recursors: dict[tuple[int, ...], list[int]] = {}
        self._called_recursors: dict[int, list[int]] = {}
        for name, constant in candidate.constants.items():
            prefix, part = table.names[name]
            if constant.kind == "recursor":
                self._recursors.setdefault(constant.group, []).append(name)
            if isinstance(part, str) and _RECURSOR.match(part):
                self._called_recursors.setdefault(prefix, []).append(name)

    def decide(self) -> Decision:
        """Return the decision; raises nothing but what is a fault of ours."""
        try:
            self._check_imports()
            self._check_names()
            goals = goals_of(self._table, self._statement)
            for goal in goals:
                self._compare(goal, goal)
            order = self._order(goals)
            # Before anything is replayed: what rests on the compiler would have the kernel run compiled code.
            axioms = {self._text(goal): self._axioms(goal) for goal in goals}
            self._replay(order)
            self._check_environment(order)
        except Refusal as refusal:
            return refusal.decision
        return Decision("proved", axioms={goal: sorted(map(self._text, found)) for goal, found in axioms.items()})

    def _text(self, name: int) -> str:
        text = self._table.text(name)
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"

    # -- the statement --

    def _check_imports(self) -> None:
        def shown(module: Module) -> str:
            return ", ".join(self._text(name) for name, _ in module.imports) or "nothing"

        mine, asked = self._candidate, self._statement
        if mine.imports != asked.imports or mine.is_module != asked.is_module:
            detail = f"the statement imports {shown(asked)}; the candidate imports {shown(mine)}"
            if mine.is_module != asked.is_module and shown(mine) == shown(asked):
                detail = "one of statement and candidate has a `module` header, the other has none"
            raise Refusal(Decision("statement_changed", aspect="imports", detail=detail))

    def _check_names(self) -> None:
        constants, stated, names = self._candidate.constants, self._statement.constants, self._table.names
        reserved = {self._table.named(*parts) for parts in RESERVED}
        for name, mine in constants.items():
            if name not in reserved:
                first = name
                while names[first][0]:
                    first = names[first][0]
                if not str(names[first][1]).startswith(_KERNEL_PREFIXES):
                    continue
            if stated.get(name) != mine:
                raise self._not_replayed(
                    name, "reservedName", "the kernel computes with this name, whatever it is declared to be"
                )
            self._compare(name, name)

    def _compare(self, name: int, goal: int) -> None:
        """This declaration of the statement, and all that gives it its meaning there, must be the candidate's too.

        Two declarations that are equal mean the same only if what they mention means the same.

        Raises:
            Refusal: Something differs.
        """
        asked = self._statement.constants
        todo = [] if name in self._compared else [name]
        self._compared.add(name)
        while todo:
            one = asked[todo.pop()]
            self._compare_one(goal, one, self._candidate.constants.get(one.name))
            if one.kind == "theorem":
                one = msgspec.structs.replace(one, value=None, kind="axiom")  # any proof says the same
            needs = (constants_needed(self._table, one) & asked.keys()) - self._compared
            todo += needs
            self._compared |= needs

    def _compare_one(self, goal: int, asked: wire.Constant, mine: wire.Constant | None) -> None:
        aspects = _ASPECTS if asked.kind == "theorem" else _ASPECTS + _OTHER_ASPECTS
        aspect = "missing" if mine is None else None
        for field, words in aspects:
            if aspect is None and getattr(asked, field) != getattr(mine, field):
                aspect = words
        if aspect is not None:
            name = self._text(asked.name)
            raise Refusal(Decision("statement_changed", declaration=name, aspect=aspect, goal=self._text(goal)))

    # -- replaying --

    def _order(self, goals: Iterable[int]) -> list[int]:
        """Names to add, each after what it rests on; inductive types are named by the first of their group."""
        constants = self._candidate.constants
        order: list[int] = []
        state: dict[int, str] = {}
        todo = [(goal, goal, False) for goal in goals]
        while todo:
            name, user, is_done = todo.pop()
            constant = constants.get(name)
            if constant is None:
                if self._imported.find(name)[0] is None:
                    raise self._not_replayed(user, "unknownConstant", f"{self._text(name)} is not declared")
                continue
            head = self._head(constant)
            if is_done:
                if state[head] == "open":
                    state[head] = "done"
                    order.append(head)
                continue
            if state.get(head) == "done":
                continue
            if state.get(head) == "open":
                if constant.kind in ("inductive", "constructor", "recursor"):
                    continue  # within its own type
                raise self._not_replayed(name, "cycle", "it rests on itself")
            state[head] = "open"
            todo.append((head, head, True))
            members = self._members(head)
            for member in members:
                if constants[member].kind == "recursor":
                    continue  # made by the kernel, and compared with that
                todo += [(other, member, False) for other in constants_needed(self._table, constants[member])]
        return order

    def _head(self, constant: wire.Constant) -> int:
        """The name under which a declaration is added.

        Raises:
            Refusal: It is said to belong to a type that does not name it.
        """
        constants = self._candidate.constants
        if constant.kind not in ("inductive", "constructor", "recursor"):
            return constant.name
        of = constant
        if constant.kind == "constructor":
            of = constants.get(constant.inductive or 0, constant)
        if constant.kind == "recursor" and constant.group:
            of = constants.get(constant.group[0], constant)
        if of.kind != "inductive" or not of.group:
            raise self._not_replayed(constant.name, "orphan", "it belongs to no type of the candidate")
        head = of.group[0]
        members = self._member_sets.get(head)
        if members is None:
            members = self._member_sets[head] = frozenset(self._members(head))
        if constant.name not in members:
            raise self._not_replayed(constant.name, "orphan", "its type does not name it")
        return head

    def _members(self, head: int) -> list[int]:
        """Names of everything that is declared together with `head`."""
        found = self._members_of.get(head)
        if found is None:
            found = self._members_of[head] = self._collect_members(head)
        return found

    def _collect_members(self, head: int) -> list[int]:
        constants = self._candidate.constants
        first = constants.get(head)
        if first is None:
            raise self._not_replayed(head, "orphan", "the first type of its group is missing")
        if first.kind != "inductive":
            return [head]
        found: list[int] = []
        for name in first.group:
            one = constants.get(name)
            if one is None or one.kind != "inductive" or one.group != first.group:
                raise self._not_replayed(name, "orphan", "it is no type of its group")
            found.append(name)
            for made in one.constructors:
                constructor = constants.get(made)
                if constructor is None or constructor.kind != "constructor" or constructor.inductive != name:
                    raise self._not_replayed(made, "orphan", "it is no constructor of its type")
                found.append(made)
        recursors = self._recursors.get(first.group, [])
        for name in first.group:
            # Older kernels put recursors into the environment without asking whether there is something of that name.
            for called in self._called_recursors.get(name, ()):
                if called not in recursors:
                    raise self._not_replayed(called, "orphan", "it has the name of a recursor and is none")
        return found + recursors

    def _replay(self, order: list[int]) -> None:
        from .. import kernel_library  # the compiled side is loaded by whoever judges

        constants = self._candidate.constants
        members = {head: self._members(head) for head in order}
        needed: list[int] = []
        for names in members.values():
            for name in names:
                constant = constants[name]
                if constant.unsafe:
                    raise self._not_replayed(name, "unsafe", "a goal rests on an unsafe or partial declaration")
                needed.append(constant.type)
                if constant.value is not None:
                    needed.append(constant.value)
        table = self._table
        self._heap.extend(table.names, table.levels, table.expressions, needed)
        for head in order:
            try:
                self._add(constants[head])
            except kernel_library.KernelRefused as refused:
                raise self._not_replayed(head, refused.kind, self._words(refused)) from refused
            for name in members[head]:
                if constants[name].kind in ("inductive", "constructor", "recursor"):
                    self._compare_with_kernel(constants[name])

    def _check_environment(self, order: Iterable[int]) -> None:
        """The environment must hold what was compared with the statement, and nothing else under its names."""
        for head in order:
            one = self._candidate.constants[head]
            if one.kind != "inductive" and not self._heap.holds(head, one.type, one.value):
                raise self._not_replayed(head, "differs", "the kernel's environment has something else of this name")

    def _words(self, refused: Any) -> str:
        return refused.text if refused.kind == "other" else ""

    def _add(self, constant: wire.Constant) -> None:
        heap = self._heap
        name, levels, kind = constant.name, constant.levels, constant.type
        if constant.kind == "axiom":
            heap.add_axiom(name, levels, kind)
        elif constant.kind == "definition":
            heap.add_definition(name, levels, kind, constant.value, constant.height)
        elif constant.kind == "theorem":
            heap.add_theorem(name, levels, kind, constant.value)
        elif constant.kind == "opaque":
            heap.add_opaque(name, levels, kind, constant.value)
        elif constant.kind == "inductive":
            constants = self._candidate.constants
            types = []
            for member in constant.group:
                one = constants[member]
                types.append((member, one.type, [(made, constants[made].type) for made in one.constructors]))
            heap.add_inductive(levels, constant.numbers[0] if constant.numbers else 0, types)
        else:
            raise self._not_replayed(name, "quotient", "a candidate may not declare quotients")

    def _compare_with_kernel(self, mine: wire.Constant) -> None:
        made = self._imported.read(mine.name)
        if made != mine:
            raise self._not_replayed(mine.name, "differs", "it is not what the kernel makes of its type")

    def _not_replayed(self, name: int, reason: str, detail: str) -> Refusal:
        return Refusal(Decision("not_replayed", declaration=self._text(name), reason=reason, detail=detail or None))

    # -- axioms --

    def _axioms(self, goal: int) -> set[int]:
        """The axioms that a goal rests on.

        An axiom of the candidate's own is forbidden whatever it is called, unless the statement declares the same one.
        """
        constants = self._candidate.constants
        native = {self._table.named(*parts) for parts in _NATIVE}
        hole = self._table.named(HOLE)
        seen = {goal}
        allowed: set[int] = set()
        forbidden: list[Decision] = []
        todo = [(goal, goal)]
        while todo:
            name, user = todo.pop()
            own = constants.get(name)
            if own is None:
                constant, needs = self._imported.find(name)
                if constant is None:
                    raise self._not_replayed(user, "unknownConstant", f"{self._text(name)} is not declared")
            else:
                constant, needs = own, frozenset(constants_needed(self._table, own))
            if name in native:
                forbidden.append(
                    Decision(
                        "forbidden_axiom",
                        axiom="Lean.trustCompiler",
                        declaration=self._text(user),
                        goal=self._text(goal),
                        detail="the kernel would run compiled code",
                    )
                )
            elif constant.kind == "axiom":
                # A world of its own may declare `sorryAx` itself: a hole is no axiom.
                is_stated = own is not None and name != hole and self._statement.constants.get(name) == own
                if is_stated:
                    self._compare(name, goal)
                if is_stated or (own is None and name in self._allowed):
                    allowed.add(name)
                else:
                    forbidden.append(
                        Decision(
                            "forbidden_axiom",
                            axiom=self._text(name),
                            declaration=self._text(user),
                            goal=self._text(goal),
                            detail=None if own is None else "an axiom of the candidate's own",
                        )
                    )
            # What an imported declaration rests on is blamed on the last declaration of the candidate.
            todo += [(other, name if own is not None else user) for other in sorted(needs - seen)]
            seen |= needs
        if forbidden:
            # `sorry` says most about a candidate: what it is made of may rest on further axioms.
            raise Refusal(next((one for one in forbidden if one.axiom == HOLE), forbidden[0]))
        return allowed
