"""A known statement with right and wrong proofs, on which a judge is tried out before it judges candidates.

The right proof goes through a type of its own, so that every kind of object whose layout a judge knows is built once
and read once. Each wrong one is what another kernel has accepted, or what a wrong layout could let pass.
"""

from __future__ import annotations

from typing import Any

import msgspec

from . import wire

RIGHT = "a right proof"
_WRONG, _FIELD, _UNIVERSE, _RULE = (
    "a wrong proof", "a field that is not there", "a universe that falls", "a forged computation rule"
)  # fmt: skip
TRIALS: dict[str, str | None] = {
    RIGHT: None,
    _WRONG: "declTypeMismatch",
    _FIELD: "invalidProj",
    _UNIVERSE: "declTypeMismatch",
    _RULE: "differs",
}
"""The proofs, and the reason for which each has to be refused; None for the right one."""
_TRIAL, _HOLE, _BOX, _MADE, _RECURSOR, _U, _FALL = range(1, 8)
_NAMES: list[tuple[int, str | int]] = [
    (0, "lean-worker trial"), (0, "sorryAx"), (0, "lean-worker box"), (_BOX, "made"), (_BOX, "rec"), (0, "u"),
    (_BOX, "fall"),
]  # fmt: skip
_ONE, _LEVEL_U, _NEXT_U = 1, 2, 3
_LEVELS: list[tuple[int, ...]] = [
    (wire.LEVEL_SUCC, 0),
    (wire.LEVEL_PARAM, _U),
    (wire.LEVEL_SUCC, _LEVEL_U),
]


def trial_rows(name: str | None) -> list[msgspec.Raw]:
    """Rows of `theorem trial : ∀ p : Prop, p → p`, with the proof that has this name, or for None a `sorry`."""
    expressions: list[tuple[Any, ...]] = []

    def add(*entry: Any) -> int:
        expressions.append(entry)
        return len(expressions) - 1

    proposition, box = add(wire.SORT, 0), add(wire.CONST, _BOX, ())
    zero, one = add(wire.BVAR, 0), add(wire.BVAR, 1)
    claim = add(wire.FORALL, proposition, add(wire.FORALL, zero, one))
    identity = add(wire.LAM, proposition, add(wire.LAM, zero, zero))
    constants: list[wire.Constant] = []
    if name is None:
        proof = add(wire.CONST, _HOLE, ())
    elif name == _WRONG:
        proof = add(wire.LAM, proposition, zero)
    else:
        # let b : Box := Box.made (fun p h => h); b.1, where Box is a structure that holds a proof of the claim
        constants = _box(add, claim, is_forged=name == _RULE)
        made = add(wire.APP, add(wire.CONST, _MADE, ()), identity)
        proof = add(wire.LET, box, made, add(wire.PROJ, _BOX, 1 if name == _FIELD else 0, zero))
    if name == _UNIVERSE:
        # fall.{u} : Sort (u + 1) → Sort u := fun α => α
        larger, smaller = add(wire.SORT, _NEXT_U), add(wire.SORT, _LEVEL_U)
        kind, value = add(wire.FORALL, larger, smaller), add(wire.LAM, larger, zero)
        constants.append(wire.Constant("definition", _FALL, (_U,), kind, value=value, height=0, group=(_FALL,)))
        function = add(wire.FORALL, add(wire.SORT, _ONE), proposition)
        proof = add(wire.LET, function, add(wire.CONST, _FALL, (0,)), proof)
    constants.append(wire.Constant("theorem", _TRIAL, (), claim, value=proof, group=(_TRIAL,)))
    row = wire.Terms(names=_NAMES, levels=_LEVELS, expressions=expressions, constants=constants, imports=[])
    return [msgspec.Raw(msgspec.json.encode(row))]


def _box(add: Any, claim: int, *, is_forged: bool) -> list[wire.Constant]:
    """`structure Box : Type where made :: holds : claim`, with the recursor that the kernel makes, or a forged rule."""
    box, sort = add(wire.CONST, _BOX, ()), add(wire.SORT, _LEVEL_U)
    zero, one, two = add(wire.BVAR, 0), add(wire.BVAR, 1), add(wire.BVAR, 2)
    # {motive : Box → Sort u} → ((holds : claim) → motive (Box.made holds)) → (t : Box) → motive t
    motive = add(wire.FORALL, box, sort)
    minor = add(wire.FORALL, claim, add(wire.APP, one, add(wire.APP, add(wire.CONST, _MADE, ()), zero)))
    result = add(wire.FORALL, box, add(wire.APP, two, zero))
    recursor = add(wire.FORALL, motive, add(wire.FORALL, minor, result))
    # fun motive minor holds => minor holds
    computed = add(wire.APP, one, one if is_forged else zero)
    rule = add(wire.LAM, motive, add(wire.LAM, minor, add(wire.LAM, claim, computed)))
    return [
        wire.Constant(
            "inductive", _BOX, (), add(wire.SORT, _ONE), group=(_BOX,), constructors=(_MADE,), numbers=(0, 0, 0),
            flags=(False, False),
        ),
        wire.Constant("constructor", _MADE, (), add(wire.FORALL, claim, box), inductive=_BOX, numbers=(0, 0, 1)),
        wire.Constant(
            "recursor", _RECURSOR, (_U,), recursor, group=(_BOX,), numbers=(0, 0, 1, 1), flags=(False,),
            rules=(wire.Rule(_MADE, 1, rule),),
        ),
    ]  # fmt: skip
