"""What a cluster costs: the same requests on a local `Pool` and on a `RayPool`, interleaved, as ratios.

    python benches/ray_overhead.py [ROUNDS]

Starts two raylets on this machine. Prints one line of JSON: medians and ranges over the rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

import lean_worker as lw

ADDRESS = "127.0.0.2"
HOST = """
import time

def rows(request):
    for n in range(request["rows"]):
        yield {"n": n, "name": "Some.declaration"}

def work(request):
    end = time.monotonic() + request["seconds"]
    while time.monotonic() < end:
        pass
    return 1

COMMANDS = {"rows": rows, "work": work}
"""
ROWS = lw.StreamingCommand("rows", row=bytes)
WORK = lw.JsonCommand("work")
SMALL, LARGE, BUSY = 150, 200_000, 40


def seconds_for(pool, capability, what):
    counted = 0

    def count(index, row):
        nonlocal counted
        counted += 1

    started = time.perf_counter()
    if what == "requests":
        outcomes = list(pool.map(ROWS, [{"rows": 1}] * SMALL, capability=capability))
        assert all(outcome.ok for outcome in outcomes)
    elif what == "rows":
        with pool.stream_many(ROWS, [{"rows": LARGE}], capability=capability, on_row=count) as outcomes:
            assert all(outcome.ok for outcome in outcomes) and counted == LARGE
    else:
        values = [outcome.value for outcome in pool.map(WORK, [{"seconds": 0.05}] * BUSY, capability=capability)]
        assert values == [1] * BUSY
    return time.perf_counter() - started


def shown(values):
    return {"median": round(statistics.median(values), 3), "range": [round(min(values), 3), round(max(values), 3)]}


def main(rounds):
    options = {"object_store_memory": 80 << 20, "node_ip_address": ADDRESS}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **options})
    with tempfile.TemporaryDirectory() as folder:
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=2, **options)
            ray.init(address=cluster.address, log_to_driver=False, _node_ip_address=ADDRESS)
            Path(folder, "bench_host.py").write_text(HOST)
            capability = lw.PythonCapability("bench_host:COMMANDS", path=[folder])
            with lw.Pool() as local, lw.RayPool(nodes=1) as one, lw.RayPool(nodes=2) as two:
                taken = {}
                for round_number in range(rounds + 1):
                    for name, pool in (("local", local), ("one", one), ("two", two)):
                        for what in ("requests", "rows", "work"):
                            seconds = seconds_for(pool, capability, what)
                            if round_number:  # the first starts workers
                                taken.setdefault((what, name), []).append(seconds)
        finally:
            ray.shutdown()
            cluster.shutdown()
    ratio = lambda what, a, b: [x / y for x, y in zip(taken[what, a], taken[what, b], strict=True)]  # noqa: E731
    print(
        json.dumps(
            {
                "per request, Ray / local": shown(ratio("requests", "one", "local")),
                "per row, Ray / local": shown(ratio("rows", "one", "local")),
                "us per request": {n: shown([s / SMALL * 1e6 for s in taken["requests", n]]) for n in ("local", "one")},
                "us per row": {n: shown([s / LARGE * 1e6 for s in taken["rows", n]]) for n in ("local", "one")},
                "requests of 50 ms, one node / two": shown(ratio("work", "one", "two")),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
