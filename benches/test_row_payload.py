"""The groups of `row_payload.py` and the stages of `codec.py` under pytest-benchmark, for a look at a single one:

python -m pytest benches/test_row_payload.py -k "data_plane and binary" --benchmark-warmup=on
"""

from __future__ import annotations

import codec
import msgspec
import pytest
import row_payload
import workloads

GROUPS = [
    pytest.param(workload, run, id=f"{group}/{name}")
    for group, workload, variants in row_payload.groups()
    for name, run in variants.items()
]
STAGES = [
    pytest.param(once, id=f"{stage}/{make.__name__}/{name}")
    for make in workloads.ALL
    for stage, variants in codec.stages(make()).items()
    for name, once in variants.items()
]


@pytest.mark.parametrize(("workload", "run"), GROUPS)
def test_row_payload(benchmark, workload, run):
    rows = benchmark(lambda: list(run(workload.rows)))
    expected = [msgspec.json.decode(text, type=workload.kind) for _, _, text in workload.rows]
    assert rows == expected


@pytest.mark.parametrize("once", STAGES)
def test_codec(benchmark, once):
    benchmark(once)  # checks its own result
