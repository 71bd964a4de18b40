"""A Ray cluster for the tests of each module."""

from __future__ import annotations

import os

import psutil
import pytest

import lean_worker as lw
from clusters import ADDRESS
from support import HOSTS


@pytest.fixture(scope="module")
def cluster():
    """One head without CPUs, so that no actor dies with the cluster's own store; tests add raylets."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    options = {"object_store_memory": 80 << 20, "node_ip_address": ADDRESS}
    # A node that answers nothing is dead after five looks; Ray's own three seconds between them would be waited out.
    # Ray's own niceness of 15 leaves an actor 3 % of a processor that others want: its workers would not start in time.
    settings = {"health_check_period_ms": 300, "worker_niceness": 0}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": settings, **options}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HOSTS), prepend=os.pathsep)  # for `row_types`
        cluster.two = [cluster.add_node(num_cpus=2, **options) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, _node_ip_address=ADDRESS)
    cluster.options = options
    yield cluster
    started = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    ray.shutdown()
    cluster.shutdown()
    for process in started:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            process.kill()
    psutil.wait_procs(started, timeout=10)


@pytest.fixture(scope="module")
def pool(cluster):
    with lw.RayPool(nodes=2, workers_per_node=1) as pool:
        yield pool
