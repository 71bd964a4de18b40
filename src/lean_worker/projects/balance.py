"""Splits items that share a session into batches of about equal cost.

Owns the arithmetic only: costs in, lists of indices out, the same for the same input.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

# A group is split only if it outweighs a worker's share by more than this part of it: another batch is another session
# to open, which a slightly better balance does not pay for.
_TOLERANCE = 0.25


def pieces(group_cost: float, total_cost: float, workers: int, size: int, max_size: int | None) -> int:
    """Into how many batches a group of `size` items goes, so that no worker gets much more than its share."""
    wanted = 1
    if total_cost > 0:
        wanted = math.ceil(group_cost * workers / total_cost - _TOLERANCE)
    needed = 1 if max_size is None else -(-size // max_size)
    return max(1, needed, min(wanted, workers, size))


def split(costs: Sequence[float], count: int, max_size: int | None) -> list[list[int]]:
    """The items' indices in `count` lists: the dearest item first, each to the cheapest list that has room.

    Lists come dearest first, indices in each in ascending order. `count` lists of `max_size` must hold all items.
    """
    lists: list[list[int]] = [[] for _ in range(count)]
    totals = [0.0] * count
    # Of lists that cost the same the shorter one, so that items that cost nothing are spread too.
    open_lists = [(0.0, 0, index) for index in range(count)]
    for item in sorted(range(len(costs)), key=lambda item: (-costs[item], item)):
        cost, size, index = heapq.heappop(open_lists)
        lists[index].append(item)
        totals[index] = cost + costs[item]
        if max_size is None or size + 1 < max_size:
            heapq.heappush(open_lists, (totals[index], size + 1, index))
    order = sorted(range(count), key=lambda index: (-totals[index], index))
    return [sorted(lists[index]) for index in order if lists[index]]
