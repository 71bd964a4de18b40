"""The reports of a pool: events, snapshots, and its snapshot as Prometheus metrics (extra `metrics`).

`docs/metrics.md` lists names, labels and units. Each scrape takes one snapshot of each pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .base.arguments import check_method, check_text
from .errors import MissingExtra
from .pool.close_report import CloseReport
from .pool.observer import HolderSnapshot, PoolEvent, PoolSnapshot, Timing
from .pool.snapshot_server import serve_snapshot

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["CloseReport", "HolderSnapshot", "PoolCollector", "PoolEvent", "PoolSnapshot", "Timing", "serve_snapshot"]


class Watched(Protocol):
    """Protocol of a metrics source: a `Pool`."""

    def snapshot(self) -> PoolSnapshot:
        """The figures now."""
        ...


class PoolCollector:
    """A Prometheus collector for pools: `REGISTRY.register(PoolCollector(pool))`.

    Args:
        pools: One pool, whose label is `pool="default"`, or a mapping from labels to pools.

    The collector keeps each pool until it is unregistered; a closed pool keeps its last counts. Any thread may scrape.

    Raises:
        UsageError: What should be a pool has no snapshot, or a label is no text.
        MissingExtra: prometheus-client is not installed.
    """

    def __init__(self, pools: Watched | Mapping[str, Watched]) -> None:
        named = pools if isinstance(pools, Mapping) else {"default": pools}
        for label, pool in named.items():
            check_text("collecting metrics", "a label", label)
            check_method("collecting metrics", f"the pool of {label}", pool, "snapshot")
        try:
            from prometheus_client import core
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "collecting metrics: prometheus-client is not installed",
                hint="pip install 'lean-worker[metrics]'",
                extra="metrics",
            ) from error
        self._core = core
        self._pools = dict(named)

    def describe(self) -> list[Metric]:
        """Return nothing, because registering must not take a snapshot."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family for each name, over all pools."""
        snapshots = {label: pool.snapshot() for label, pool in self._pools.items()}
        for name, text, read in _GAUGES:
            yield self._family(self._core.GaugeMetricFamily, name, text, None, snapshots, read)
        for name, text, label, read in _COUNTERS:
            yield self._family(self._core.CounterMetricFamily, name, text, label, snapshots, read)
        yield self._family(
            self._core.GaugeMetricFamily, "workers", "Workers now, by state.", "state", snapshots, _states_of
        )
        versions = "Living workers, by the version that their handshake reports."
        yield self._family(
            self._core.GaugeMetricFamily,
            "workers_by_version",
            versions,
            "version",
            snapshots,
            lambda s: s.peer_versions,
        )
        yield self._timings(snapshots)

    def _timings(self, snapshots: Mapping[str, PoolSnapshot]) -> Any:
        family = self._core.SummaryMetricFamily(
            "lean_worker_stage_seconds", "Time of starts and successful commands, by stage.", labels=["pool", "stage"]
        )
        for pool, snapshot in snapshots.items():
            for stage, timing in snapshot.timings.items():
                family.add_metric([pool, stage], timing.count, timing.seconds)
        return family

    def _family(
        self, kind: Any, name: str, text: str, label: str | None, snapshots: Mapping[str, PoolSnapshot], read: Any
    ) -> Any:
        labels = ["pool"] if label is None else ["pool", label]
        family = kind(f"lean_worker_{name}", text, labels=labels)
        for pool, snapshot in snapshots.items():
            value = read(snapshot)
            if isinstance(value, Mapping):
                for key, count in value.items():
                    family.add_metric([pool, key], count)
            elif value is not None:
                family.add_metric([pool], value)
        return family


def _states_of(snapshot: PoolSnapshot) -> dict[str, int]:
    return {"leased": snapshot.leased, "idle": snapshot.idle}


def _holder_memory_of(snapshot: PoolSnapshot) -> int | None:
    known = [holder.memory_kib for holder in snapshot.holders if holder.memory_kib is not None]
    return sum(known) * 1024 if len(known) == len(snapshot.holders) else None


_GAUGES: tuple[tuple[str, str, Any], ...] = (
    ("workers_limit", "Workers that there may be at once.", lambda s: s.max_workers),
    ("queued_callers", "Callers that wait for a worker now.", lambda s: s.queued),
    (
        "workers_private_memory_bytes",
        "Private memory (USS) of all workers now.",
        lambda s: None if s.memory_kib is None else s.memory_kib * 1024,
    ),
    ("holders", "Processes that keep imports for others.", lambda s: len(s.holders)),
    ("holders_private_memory_bytes", "Private memory (USS) of all holders now.", _holder_memory_of),
)
_COUNTERS: tuple[tuple[str, str, str | None, Any], ...] = (
    ("workers_started", "Workers that came up.", None, lambda s: s.started),
    ("workers_forked", "Workers that were forked from a holder.", None, lambda s: s.forked),
    ("workers_ended", "Workers that ended, by reason.", "reason", lambda s: s.ended),
    ("requests_started", "Requests that entered a worker.", None, lambda s: s.requests),
    ("requests_ended", "Requests that ended, by outcome.", "outcome", lambda s: s.outcomes),
    ("refusals", "Leases and requests that were refused, by error.", "error", lambda s: s.refused),
    ("key_hits", "Leases that got a warm worker of their key.", None, lambda s: s.key_hits),
    ("key_misses", "Leases for which there was no warm worker of their key.", None, lambda s: s.key_misses),
    ("cold_opens", "Workers that started while a lease or a request waited.", None, lambda s: s.cold_opens),
    ("rows_delivered", "Rows handed to callers, tentative ones included.", None, lambda s: s.rows_delivered),
    ("received_bytes", "Bytes of all frames read from workers.", None, lambda s: s.received_bytes),
    (
        "backpressure_seconds",
        "Time in which workers waited for their caller to read.",
        None,
        lambda s: s.backpressure_us / 1e6,
    ),
    ("events_dropped", "Events for which the callbacks were too slow.", None, lambda s: s.events_dropped),
)
