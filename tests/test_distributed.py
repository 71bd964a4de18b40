"""Many requests on a local Ray cluster of two raylets: what is lost with a node, and what is not."""

from __future__ import annotations

import collections
import hashlib
import os
import signal

import psutil
import pytest

import lean_worker as lw
from lean_worker.ledger import Ledger
from lean_worker.ray_node import Shipped
from support import FUNCTIONS, is_running, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.once, pytest.mark.filterwarnings("ignore")]

ADDRESS = "127.0.0.2"  # loopback; 127.0.0.1 is replaced by Ray
ROWS = lw.StreamingCommand("rows")
SCRIPT = """prelude
import LeanWorker
open LeanWorker

def echo : Command where
  name := "echo"
  run request := do
    row "rows" request
    row "rows" request
    return ""

def main : IO Unit := serve (List.cons echo List.nil)
"""


def slow_script():
    """`echo` with ten thousand rows a request, so that nodes die while others have work left."""
    levels = ['def rows0 (request : String) : IO Unit := do\n  row "rows" request\n']
    for level in range(1, 5):
        calls = f"  rows{level - 1} request\n" * 10
        levels.append(f"def rows{level} (request : String) : IO Unit := do\n{calls}")
    text = SCRIPT.replace('    row "rows" request\n' * 2, "    rows4 request\n")
    return text.replace("def echo", "\n".join(levels) + "\ndef echo", 1)


@pytest.fixture(scope="module")
def cluster():
    """One head without CPUs, so that no actor dies with the cluster's own store; tests add raylets."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    options = {"object_store_memory": 80 << 20, "node_ip_address": ADDRESS}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **options})
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


def actor_pids(pool):
    return [member.ask("hello")[2] for member in pool._living()]


def workers_of(pid):
    return [child.pid for child in psutil.Process(pid).children() if "lean_worker.child" in " ".join(child.cmdline())]


def test_map_and_stream_many(pool):
    counts = [{"count": n} for n in range(20)]
    for outcome in pool.map(ROWS, counts, capability=FUNCTIONS):
        assert [row.payload["i"] for row in outcome.raise_for_error().rows] == list(range(outcome.request["count"]))
    seen = collections.defaultdict(list)
    with pool.stream_many(
        ROWS, counts, capability=FUNCTIONS, on_row=lambda index, row: seen[index].append(row.sequence)
    ) as outcomes:
        assert [outcome.raise_for_error().total_rows for outcome in outcomes] == list(range(20))
    assert all(seen[n] == list(range(n)) for n in range(20))
    snapshots = pool.snapshot()
    assert len(snapshots) == 2 and sum(one.requests for one in snapshots.values()) == 40
    assert sum(one.started for one in snapshots.values()) == 2  # warm workers were used again


def test_errors_are_those_of_a_pool(pool):
    (failed,) = pool.map(lw.StreamingCommand("fail_after_rows"), [None], capability=FUNCTIONS)
    assert isinstance(failed.error, lw.CommandFailed) and "half way" in failed.error.text
    requests = [{"count": 1, "how": "SIGKILL"}, {"count": 2}]
    died, fine = pool.map(lw.StreamingCommand("rows_or_death"), requests, capability=FUNCTIONS)
    assert isinstance(died.error, lw.ChildExited) and fine.ok
    with pytest.raises(lw.CapabilityError, match="no_such_module"):
        next(pool.map(ROWS, [None], capability=lw.PythonCapability("no_such_module:X"))).raise_for_error()


def test_cancel_reaches_the_worker(pool, tmp_path):
    token = lw.CancelToken()
    with pool.stream_many(
        lw.StreamingCommand("rows"),
        [{"count": 10_000_000}],
        capability=FUNCTIONS,
        on_row=lambda index, row: token.cancel(),
        cancel=token,
    ) as outcomes:
        (outcome,) = outcomes
    assert isinstance(outcome.error, lw.Cancelled)
    assert outcome.error.rows_delivered < 1_000_000


@pytest.mark.parametrize("shared", [True, False])
def test_a_job_with_shared_and_separate_folders(pool, tmp_path, monkeypatch, shared):
    if not shared:
        for member in pool._living():
            monkeypatch.setitem(member._shares, (tmp_path / "ledger.parts").resolve(), False)
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    report = job.run(pool, [{"count": n} for n in (3, 0, 2)])
    assert (report.done, report.rows) == (3, 5)
    with lw.Pool() as local:
        lw.Job(tmp_path / "other", ROWS, FUNCTIONS, out=tmp_path / "same").run(local, [{"count": n} for n in (3, 0, 2)])
    assert (tmp_path / "out").read_bytes() == (tmp_path / "same").read_bytes()


@pytest.mark.lean
def test_toolchains_of_all_nodes(pool, tmp_path):
    script = tmp_path / "echo.lean"
    script.write_text(SCRIPT)
    found = pool.toolchains(lw.LeanCapability(script, toolchain="embedded"))
    assert len({one.node for one in found}) == 2 and {one.kind for one in found} == {"embedded"}
    assert len({(one.version, one.commit) for one in found}) == 1 and found[0].version


@pytest.mark.lean
def test_a_node_with_another_lean_is_refused(pool, tmp_path, monkeypatch):
    script = tmp_path / "echo.lean"
    script.write_text(SCRIPT)
    known = lw.NodeToolchain("0" * 56, "elsewhere", "embedded", "4.0.0", "0" * 40)
    capability = lw.LeanCapability(script, toolchain="embedded")
    monkeypatch.setitem(pool._references, Shipped.of(capability).key(), known)
    (outcome,) = pool.map(lw.StreamingCommand("echo"), [1], capability=capability)
    assert isinstance(outcome.error, lw.NodeMismatch)
    assert outcome.error.expected == known and outcome.error.actual.version != "4.0.0"


def test_poison_is_refused_on_every_node(cluster):
    poison = {"count": 1, "how": "SIGKILL"}
    command = lw.StreamingCommand("rows_or_death")
    fast = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=2)
    with lw.RayPool(nodes=2, restarts=fast) as pool:
        outcomes = list(pool.map(command, [poison] * 6, capability=FUNCTIONS, in_flight=1))
        assert [type(one.error).__name__ for one in outcomes] == ["ChildExited"] * 2 + ["PoisonRequest"] * 4
        assert sum(one.ended["crashed"] for one in pool.snapshot().values()) == 2


@pytest.mark.lean
def test_a_job_of_the_command_line(cluster, tmp_path):
    from test_cli import cli

    (tmp_path / "echo.lean").write_text(SCRIPT)
    (tmp_path / "requests").write_text("1\n2\n")
    paths = ["--requests", str(tmp_path / "requests"), "--out", str(tmp_path / "rows"), "--toolchain", "embedded"]
    job = ["job", "run", str(tmp_path / "ledger"), str(tmp_path / "echo.lean"), "echo", *paths]
    outcome = cli(*job, "--ray", cluster.address)
    assert outcome.returncode == 0, outcome.stderr
    assert "2 of 2 items done" in outcome.stderr and outcome.stderr.count("workers started") == 2
    assert (tmp_path / "rows").read_text() == "1\n1\n2\n2\n"
    with Ledger(tmp_path / "ledger", for_work=False) as ledger:
        paths = [path for _, path, _ in ledger.parts()]
    assert [path.read_text() for path in paths] == ["1\n1\n", "2\n2\n"]


def test_wrong_calls(cluster):
    for wrong in ({"nodes": 0}, {"workers_per_node": "2"}, {"nodes": 3}, {"workers_per_node": 64}):
        with pytest.raises(lw.UsageError):
            lw.RayPool(**wrong)


@pytest.mark.lean
def test_killing_an_actor_and_a_raylet_loses_nothing_and_doubles_nothing(pool, cluster, tmp_path):
    script = tmp_path / "echo.lean"
    script.write_text(slow_script())
    capability = lw.LeanCapability(script, toolchain="embedded")
    requests = [{"item": n} for n in range(200)]
    echo = lw.StreamingCommand("echo")
    with lw.Pool() as local:
        lw.Job(tmp_path / "local", echo, capability, out=tmp_path / "expected").run(local, requests)
    orphans, killed = [], []
    dying = cluster.two[1].node_id
    losses = pool._losses

    def on_done(done):
        if done.done >= 20 and not killed:
            killed.append("actor")
            kill_actor_of(cluster.two[0].node_id)
        # When its successor serves: then all requests in flight are on the node that dies, or on that one.
        if done.done >= 60 and len(killed) == 1 and pool._losses > losses:
            killed.append("raylet")
            orphans.extend(workers_of(pid_on(dying)))
            cluster.two[1].kill_raylet(check_alive=False)

    def pid_on(node):
        (member,) = [member for member in pool._living() if member.node_id == node]
        return member.ask("hello")[2]

    def kill_actor_of(node):
        pid = pid_on(node)
        orphans.extend(workers_of(pid))
        os.kill(pid, signal.SIGKILL)

    job = lw.Job(tmp_path / "ledger", echo, capability, out=tmp_path / "rows")
    report = job.run(pool, requests, on_done=on_done)
    assert killed == ["actor", "raylet"] and len(orphans) == 2
    assert (report.done, report.rows, report.ran) == (200, 2_000_000, 200)
    digests = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("rows", "expected")}
    assert len(digests) == 1
    assert pool._losses == losses + 2 and [member.node_id for member in pool._living()] == [cluster.two[0].node_id]
    wait_until(lambda: not any(is_running(pid) for pid in orphans))
