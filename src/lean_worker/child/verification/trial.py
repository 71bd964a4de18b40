"""A known statement with a right and a wrong proof, on which a judge is tried out before it judges candidates."""

from __future__ import annotations

from typing import Any

import msgspec

from . import wire


def trial_rows(is_right: bool | None) -> list[msgspec.Raw]:
    """Rows of `theorem trial : ∀ p : Prop, p → p`, whose proof is right or wrong, or for None a `sorry`."""
    # 0: Prop, 1: #0, 2: #1, 3: p → p, 4: ∀ p, p → p, 5: fun h => h, 6: fun p h => h, 7: sorryAx, 8: fun p => p
    expressions: list[tuple[Any, ...]] = [
        (wire.SORT, 0),
        (wire.BVAR, 0),
        (wire.BVAR, 1),
        (wire.FORALL, 1, 2),
        (wire.FORALL, 0, 3),
        (wire.LAM, 1, 1),
        (wire.LAM, 0, 5),
        (wire.CONST, 2, ()),
        (wire.LAM, 0, 1),
    ]
    value = {None: 7, True: 6, False: 8}[is_right]
    constant = wire.Constant("theorem", 1, (), 4, value=value, group=(1,))
    names: list[tuple[int, str | int]] = [(0, "lean-worker trial"), (0, "sorryAx")]
    row = wire.Terms(names=names, expressions=expressions, constants=[constant], imports=[])
    return [msgspec.Raw(msgspec.json.encode(row))]
