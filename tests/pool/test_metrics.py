"""Prometheus metrics: names, labels and values are those of the snapshot, and of the documented list."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import lean_worker as lw
from lean_worker.metrics import PoolCollector
from lean_worker.testing import Answer, Attempts, Crash, Rows
from test_guides import DOCS


def scrape(registry):
    """All samples by name and labels, as Prometheus reads them."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


@pytest.fixture
def worked(fake_worker):
    """Two pools that have seen success, a crash, an unknown command and a refusal; and what a scrape says of them."""
    fake = fake_worker({"rows": Attempts([Rows(100)], [Crash()]), "ask": [Answer(1)]})
    registry = CollectorRegistry()
    with lw.Pool(2) as busy, lw.Pool(3) as other:
        registry.register(PoolCollector({"busy": busy, "other": other}))
        with busy.lease(fake) as lease, busy.lease(fake):
            with pytest.raises(lw.errors.PoolFull):
                busy.lease(fake, timeout=0)
            lease.collect(lw.StreamingCommand("rows"))
            with pytest.raises(lw.errors.UnknownCommand):
                lease.call(lw.JsonCommand("nothing"))
            with pytest.raises(lw.ChildExited):
                lease.collect(lw.StreamingCommand("rows"))
            yield busy.snapshot(), scrape(registry)


def test_values_are_those_of_the_snapshot(worked):
    snapshot, samples = worked

    def value(name, pool="busy", **labels):
        return samples[(f"lean_worker_{name}", *sorted({"pool": pool, **labels}.items()))]

    assert (value("workers_limit"), value("workers_limit", pool="other")) == (2, 3)
    assert value("workers", state="leased") == 1 and value("workers", pool="other", state="idle") == 0
    assert value("workers_started_total") == snapshot.started == 2
    assert value("workers_ended_total", reason="crashed") == 1 and value("workers_ended_total", reason="memory") == 0
    assert value("requests_started_total") == 3
    assert {name: value("requests_ended_total", outcome=name) for name in snapshot.outcomes} == snapshot.outcomes
    assert value("refusals_total", error="PoolFull") == 1
    assert value("rows_delivered_total") == 100
    assert value("received_bytes_total") == snapshot.received_bytes > 100
    assert value("backpressure_seconds_total") == snapshot.backpressure_us / 1e6
    if snapshot.memory_kib is not None:
        assert value("workers_private_memory_bytes") > 1 << 20


def test_the_page_lists_exactly_what_there_is(worked):
    _, samples = worked
    listed = set(re.findall(r"^\| `(lean_worker_\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert {name for name, *_ in samples} == listed
    used = set(re.findall(r"^    .*", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert {name for line in used for name in re.findall(r"lean_worker_\w+", line)} - {"lean_worker"} <= listed


def test_registering_takes_no_snapshot_and_a_closed_pool_keeps_its_counts():
    registry = CollectorRegistry()
    with lw.Pool() as pool:
        registry.register(PoolCollector(pool))
    assert scrape(registry)["lean_worker_workers_limit", ("pool", "default")] == 1

    class Broken:
        def snapshot(self):
            raise AssertionError("asked")

    CollectorRegistry(auto_describe=True).register(PoolCollector(Broken()))


def test_a_missing_library_is_named():
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "import lean_worker as lw\n"
        "try: lw.metrics.PoolCollector(lw.Pool())\n"
        "except lw.errors.MissingExtra as error: print(error.hint)\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout == "pip install 'lean-worker[metrics]'\n"
