"""Items are divided into batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_worker.projects import balance


@pytest.mark.parametrize(
    ("group", "total", "workers", "size", "max_size", "expected"),
    [
        (10, 10, 1, 10, None, 1),
        (10, 10, 4, 10, None, 4),
        (10, 10, 4, 3, None, 3),
        (51, 100, 2, 51, None, 1),
        (70, 100, 2, 70, None, 2),
        (10, 100, 4, 10, 3, 4),
        (100, 100, 4, 100, 10, 10),
        (0, 0, 4, 5, None, 1),
        (0, 0, 4, 5, 2, 3),
    ],
)
def test_a_group_is_split_only_if_it_is_more_than_a_workers_share(group, total, workers, size, max_size, expected):
    assert balance.pieces(group, total, workers, size, max_size) == expected


def test_the_dearest_go_first():
    costs = [1, 9, 2, 8, 3, 7]
    assert [sum(costs[index] for index in part) for part in balance.split(costs, 2, None)] == [15, 15]
    assert balance.split([0, 0, 0, 0], 2, None) == [[0, 2], [1, 3]]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 8), st.none() | st.integers(1, 10))
def test_every_item_goes_somewhere_once(costs, workers, max_size):
    count = balance.pieces(sum(costs), sum(costs), workers, len(costs), max_size)
    parts = balance.split(costs, count, max_size)
    assert sorted(index for part in parts for index in part) == list(range(len(costs)))
    assert all(len(part) <= (max_size or len(costs)) for part in parts)
    assert parts == balance.split(costs, count, max_size)
    totals = [sum(costs[index] for index in part) for part in parts]
    if max_size is None and len(parts) > 1:
        # The dearest list is at most one item dearer than any other.
        assert max(totals) - min(totals) <= max(costs) + 1e-6
