"""Many requests on a local Ray cluster of two raylets: what is lost with a node, and what is not."""

from __future__ import annotations

import collections
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

import lean_worker as lw
from clusters import ADDRESS, SCRIPT, actor_pids, slow_script, workers_of
from fake_toolchain import make_prefix
from lean_worker.distributed.node import Node, Shipped
from lean_worker.testing import Crash, Fail, MalformedRow, Row, fake_worker
from support import FUNCTIONS, is_running, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.once, pytest.mark.filterwarnings("ignore")]

ROWS = lw.StreamingCommand("rows")


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
    assert 1 <= sum(one.started for one in snapshots.values()) <= 2  # warm workers were used again


def test_streams_keep_their_names_and_types(pool):
    two = lw.StreamingCommand("two_streams", row={"left": dict[str, int], "right": dict[str, float]})
    (outcome,) = pool.map(two, [None], capability=FUNCTIONS)
    assert outcome.raise_for_error().by_stream == {"left": [{"n": 0}, {"n": 2}], "right": [{"n": 1.0}]}
    (outcome,) = pool.map(lw.StreamingCommand("two_streams", row={"left": dict}), [None], capability=FUNCTIONS)
    assert isinstance(outcome.error, lw.DecodeError) and outcome.error.facts["stream"] == "right"


def test_values_arrive_as_they_were_written(pool, tmp_path):
    """Values that are more than plain Python values hold, and good for the types that the driver declares."""
    exact = ["0.1234567890123456789012", "1e400"]
    request = {"rows": exact, "summary": exact[0]}
    command = lw.StreamingCommand("raw_rows", row=Decimal, summary=Decimal)
    refused = [lw.StreamingCommand("raw_rows", row=Decimal, summary=bool), lw.StreamingCommand("raw_rows")]
    answers = lw.JsonCommand("raw_answer", response=Decimal)

    def seen(any_pool, folder):
        (outcome,) = any_pool.map(command, [request], capability=FUNCTIONS)
        value = outcome.raise_for_error()
        values = [*value.rows, value.summary.metadata]
        values += [one.raise_for_error() for one in any_pool.map(answers, exact, capability=FUNCTIONS)]
        errors = [next(any_pool.map(one, [request], capability=FUNCTIONS)).error for one in refused]
        items = []
        for name, each in {"good": command, "wrong": refused[0]}.items():
            job = lw.Job(tmp_path / folder / name, each, FUNCTIONS)
            job.run(any_pool, [request])
            items += [(item.state, item.rows, item.digest, item.metadata, item.reason) for item in job.items()]
        files = [path.parent.name for path in (tmp_path / folder).glob("*.parts/*.jsonl")]
        return values, [(error.text, error.rows_delivered, error.entered_worker) for error in errors], items, files

    with lw.Pool() as local:
        (tmp_path / "local").mkdir()
        expected = seen(local, "local")
    values, _, items, files = expected
    assert values == [*map(Decimal, exact), Decimal(exact[0]), *map(Decimal, exact)]
    assert [item[0] for item in items] == ["done", "quarantined"] and files == ["good.parts"]
    (tmp_path / "cluster").mkdir()
    assert seen(pool, "cluster") == expected


def test_errors_are_those_of_a_pool(pool):
    (failed,) = pool.map(lw.StreamingCommand("fail_after_rows"), [None], capability=FUNCTIONS)
    assert isinstance(failed.error, lw.CommandFailed) and "half way" in failed.error.text
    requests = [{"count": 1, "how": "SIGKILL"}, {"count": 2}]
    died, fine = pool.map(lw.StreamingCommand("rows_or_death"), requests, capability=FUNCTIONS)
    assert isinstance(died.error, lw.ChildExited) and fine.ok
    with pytest.raises(lw.UsageError, match="by a job"):
        pool.stream_many(ROWS, [{"count": 1}], capability=FUNCTIONS, sink=lambda *_: lw.sinks.CallableSink(print))
    with pytest.raises(lw.CapabilityError, match="no_such_module"):
        next(pool.map(ROWS, [None], capability=lw.PythonCapability("no_such_module:X"))).raise_for_error()


def test_events_of_requests_that_fail(pool):
    begin, end = lw.Diagnostic("scan.started", "started"), [lw.Progress("scan", 1, 2), lw.Diagnostic("stuck", "why")]
    ends = {"failed": Fail(), "crashed": Crash(), "refused": MalformedRow()}
    script = {f"rows {name}": [begin, *[Row(i) for i in range(3)], *end, last] for name, last in ends.items()}
    script |= {f"answer {name}": [begin, *end, last] for name, last in ends.items()}

    def seen(any_pool, fake):
        events, errors = collections.defaultdict(list), {}
        for name in script:
            note = lambda index, event: events[name].append(event)  # noqa: B023, E731
            options = {"capability": fake, "on_diagnostic": note, "on_progress": note}
            if name.startswith("answer"):
                (outcome,) = any_pool.map(lw.JsonCommand(name), [None], **options)
            else:
                command = lw.StreamingCommand(name)
                with any_pool.stream_many(command, [None], on_row=lambda *_: None, **options) as outcomes:
                    (outcome,) = outcomes
            errors[name] = type(outcome.error), outcome.error.rows_delivered
        return events, errors

    with fake_worker(script) as fake:
        with lw.Pool() as local:
            expected = seen(local, fake)
        events, errors = expected
        assert errors["rows failed"] == (lw.CommandFailed, 3) and errors["answer crashed"] == (lw.ChildExited, 0)
        assert events == {name: [begin, *end] for name in script}
        assert seen(pool, fake) == expected


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


def test_a_request_that_is_cancelled_after_the_node_has_sent_all_rows(pool):
    token, seen = lw.CancelToken(), []

    def ended_well():
        return sum(one.outcomes.get("ok", 0) for one in pool.snapshot().values())

    def on_row(index, row):
        seen.append(row.sequence)
        wait_until(lambda: ended_well() == before + 1)
        token.cancel()

    before = ended_well()
    requests = [{"count": 4}]  # no more batches than the node may send ahead
    with pool.stream_many(ROWS, requests, capability=FUNCTIONS, on_row=on_row, cancel=token) as outcomes:
        (outcome,) = outcomes
    assert seen == [0]  # so it is no success
    assert isinstance(outcome.error, lw.Cancelled) and outcome.error.entered_worker
    assert (outcome.error.rows_delivered, outcome.error.stream, outcome.error.sequence) == (1, "rows", 0)


@pytest.mark.lean
def test_toolchains_of_all_nodes(pool, tmp_path):
    script = tmp_path / "echo.lean"
    script.write_text(SCRIPT)
    found = pool.toolchains(lw.LeanCapability(script, toolchain="embedded"))
    assert len({one.node for one in found}) == 2 and {one.kind for one in found} == {"embedded"}
    assert len({(one.version, one.commit) for one in found}) == 1 and found[0].version


@pytest.mark.lean
def test_a_node_whose_private_directory_is_cleared_away(cluster, tmp_path, monkeypatch):
    script, echo = tmp_path / "echo.lean", lw.StreamingCommand("echo")
    script.write_text(SCRIPT)
    capability = lw.LeanCapability(script, toolchain="embedded")
    with lw.RayPool(nodes=1) as own:

        def folder():
            paths = [Path(file.path) for file in psutil.Process(*actor_pids(own)).open_files()]
            (lock,) = [path for path in paths if path.match("lean-worker-node-*/.lock")]
            return lock.parent

        def echoed():
            return next(own.map(echo, [1], capability=capability)).raise_for_error().rows

        private, (member,) = folder(), own._core._living()
        refused = f"storing echo.lean on node {member.node_id[:12]} "
        home = private / hashlib.sha256(script.read_bytes()).hexdigest()
        home.touch()  # so that the system refuses to make a directory of that name
        for call in (echoed, lambda: own.toolchains(capability)):
            with pytest.raises(lw.CapabilityError, match=f"{refused}.*File exists"):
                call()
        home.unlink()
        for _ in range(2):
            assert len(echoed()) == 2
            shutil.rmtree(private)
        private.touch()
        with pytest.raises(lw.CapabilityError, match=f"{refused}.*it is no directory"):
            echoed()
        private.unlink()
        monkeypatch.setitem(member._shares, (tmp_path / "ledger.parts").resolve(), False)
        assert lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS).run(own, [{"count": 3}]).rows == 3
        assert folder() == private  # with a lock again
    assert not private.exists()


@pytest.mark.lean
def test_a_node_with_another_lean_is_refused(pool, tmp_path, monkeypatch):
    script = tmp_path / "echo.lean"
    script.write_text(SCRIPT)
    known = lw.distributed.NodeToolchain("0" * 56, "elsewhere", "embedded", "4.0.0", "0" * 40)
    capability = lw.LeanCapability(script, toolchain="embedded")
    monkeypatch.setitem(pool._core._references, Shipped.of(capability).key(), known)
    (outcome,) = pool.map(lw.StreamingCommand("echo"), [1], capability=capability)
    assert isinstance(outcome.error, lw.errors.NodeMismatch)
    assert outcome.error.expected == known and outcome.error.actual.version != "4.0.0"


def test_poison_is_refused_on_every_node(cluster):
    import ray

    memory = ray.cluster_resources()["memory"]
    poison = {"count": 1, "how": "SIGKILL"}
    command = lw.StreamingCommand("rows_or_death")
    fast = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=2)
    with lw.RayPool(nodes=2, restarts=fast, memory_bytes_per_node=64 << 20) as pool:
        wait_until(lambda: memory - ray.available_resources()["memory"] == 2 * (64 << 20))
        outcomes = list(pool.map(command, [poison] * 6, capability=FUNCTIONS, in_flight=1))
        assert [type(one.error).__name__ for one in outcomes] == ["ChildExited"] * 2 + ["PoisonRequest"] * 4
        assert sum(one.ended["crashed"] for one in pool.snapshot().values()) == 2
    report = pool.close()  # that of the block's end
    assert report is pool.close() and report.is_complete and report.seconds > 0


def test_wrong_calls(cluster):
    for wrong in ({"nodes": 0}, {"workers_per_node": "2"}, {"memory_bytes_per_node": 0}):
        with pytest.raises(lw.UsageError, match="expected"):
            lw.RayPool(**wrong)


def test_nodes_that_are_too_few_or_too_small(cluster):
    for wrong in ({"nodes": 3}, {"workers_per_node": 64}, {"memory_bytes_per_node": 1 << 60}):
        with pytest.raises(lw.errors.ClusterTooSmall) as caught:
            lw.RayPool(**wrong)
        asked = {"cpus": wrong.get("workers_per_node", 1), "memory_bytes": wrong.get("memory_bytes_per_node", 0)}
        assert caught.value.asked == asked and str(asked) in str(caught.value)
        have = {one["node"]: one for one in caught.value.nodes}
        assert [have[node.node_id]["cpus"] for node in cluster.two] == [2, 2] and len(have) == 3
        assert all(one["memory_bytes"] > 0 and one["address"] == ADDRESS for one in have.values())


def test_what_a_killed_actor_left_is_removed_by_the_next():
    program = "from lean_worker.distributed.node import Node; import sys; node = Node('n', 1, {}); print(node._folder.path); sys.stdout.flush(); input()"
    actor = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        left = Path(actor.stdout.readline().strip())
        living = Node("here", 1, {})
        assert left.is_dir() and living._folder.path.is_dir()
    finally:
        actor.kill()
        actor.communicate()
    later = Node("here", 1, {})
    wait_until(lambda: not left.exists())
    assert living._folder.path.is_dir() and later._folder.path.is_dir()
    for node in (living, later):
        node.close()
        assert not node._folder.path.exists()


def test_a_call_may_be_cancelled_before_it_comes():
    node = Node("here", 1, {})
    try:
        for call in range(5000):
            node.cancel(call)
        assert len(node._cancelled) == 1024
        ok, error = node.lend(0, 4999, Shipped.of(FUNCTIONS))
        assert not ok and isinstance(error, lw.Cancelled)
        assert node.lend(0, 1, Shipped.of(FUNCTIONS)) == (True, None)
        node.release(0)
    finally:
        node.close()


# Ray prints what it has to report of any node to the standard output of every driver; what is meant for a test is marked.
SHIPPING = """
import sys
import lean_worker as lw

with lw.RayPool(nodes=1, address=sys.argv[1], runtime_env={"working_dir": sys.argv[2]}) as pool:
    where, echo = lw.JsonCommand("where"), lw.StreamingCommand("echo")
    (outcome,) = pool.map(where, [None], capability=lw.PythonCapability("only_there:COMMANDS"))
    print("said", *outcome.raise_for_error())
    for name in ("only_there.lean", "nowhere.lean"):
        (outcome,) = pool.map(echo, [7], capability=lw.LeanCapability(name, toolchain="embedded"))
        print("said", [row.payload for row in outcome.value.rows] if outcome.ok else repr(outcome.error))
"""


@pytest.mark.lean
def test_files_of_a_runtime_environment(cluster, tmp_path):
    package, elsewhere = tmp_path / "package", tmp_path / "elsewhere"
    package.mkdir()
    elsewhere.mkdir()
    (package / "only_there.py").write_text("COMMANDS = {'where': lambda request: [__file__]}\n")
    (package / "only_there.lean").write_text(SCRIPT)
    with pytest.raises(lw.UsageError, match="pass it to ray.init"):
        lw.RayPool(runtime_env={"working_dir": str(package)})  # this process is connected
    argv = [sys.executable, "-c", SHIPPING, cluster.address, str(package)]
    said = subprocess.run(argv, cwd=elsewhere, check=True, capture_output=True, text=True, timeout=60).stdout
    path, rows, error = [line.removeprefix("said ") for line in said.splitlines() if line.startswith("said ")]
    assert path.endswith("only_there.py") and not path.startswith(str(tmp_path))
    assert rows == "[7, 7]"
    assert error.startswith("CapabilityError(") and "reading nowhere.lean" in error


def test_other_nodes_go_on_while_an_actor_is_replaced(cluster, pool):
    """`pool` has one CPU of each node, `own` the other; a stranger gets hold of that of an actor which dies."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    stranger, seen = [], []

    class Stranger:
        def hello(self):
            return True

    def on_row(index, row):
        seen.append(row)
        if len(seen) > 1:
            return
        (dying,) = [member for member in own._core._living() if workers_of(member.ask("hello")[2])]
        there = NodeAffinitySchedulingStrategy(dying.node_id, soft=False)
        stranger.append(ray.remote(num_cpus=1)(Stranger).options(scheduling_strategy=there).remote())
        stranger.append(stranger[0].hello.remote())
        os.kill(dying.ask("hello")[2], signal.SIGKILL)

    with lw.RayPool(nodes=2) as own:
        requests = [{"count": 10_000_000}]
        with own.stream_many(ROWS, requests, capability=FUNCTIONS, on_row=on_row) as outcomes:
            (outcome,) = outcomes
        # What was seen is not shown again.
        assert isinstance(outcome.error, lw.errors.NodeLost) and outcome.error.rows_seen == len(seen) > 0
        assert [row.sequence for row in seen] == list(range(len(seen)))
        assert ray.get(stranger[1], timeout=60)
        started = time.monotonic()
        values = [one.raise_for_error().rows for one in own.map(ROWS, [{"count": 2}] * 20, capability=FUNCTIONS)]
        assert [len(rows) for rows in values] == [2] * 20
        assert time.monotonic() - started < 45  # an actor is waited for a minute
        assert len(own._core._living()) == 1 and own._core._mender is not None
        ray.kill(stranger[0])
        wait_until(lambda: len(own._core._living()) == 2, timeout=60)
        assert {member.node_id for member in own._core._living()} == {node.node_id for node in cluster.two}
        assert all(one.ok for one in own.map(ROWS, [{"count": 2}] * 20, capability=FUNCTIONS))
    assert not any("ray-mender" in thread.name for thread in threading.enumerate())


DRIVER = """
import sys
import ray
import lean_worker as lw

ray.init(address=sys.argv[1], log_to_driver=False, _node_ip_address=sys.argv[2])
capability = lw.LeanCapability(sys.argv[3], toolchain="embedded")
begun = set()

def on_row(index, row):
    begun.add(index)
    if len(begun) == 2:
        print("said", *[member.ask("hello")[2] for member in pool._core._living()], flush=True)
        sys.stdin.read()

with lw.RayPool(nodes=2) as pool:
    with pool.stream_many(lw.StreamingCommand("echo"), [1, 2], capability=capability, on_row=on_row) as outcomes:
        print("ended", *[repr(outcome.error) for outcome in outcomes], flush=True)
"""


@pytest.mark.lean
def test_nothing_survives_a_driver_that_is_killed(cluster, tmp_path):
    (tmp_path / "echo.lean").write_text(slow_script(7))
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, cluster.address, ADDRESS, str(tmp_path / "echo.lean")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        said, *actors = next(line for line in driver.stdout if line.startswith((b"said ", b"ended "))).split()
        assert said == b"said", actors
        actors = [int(pid) for pid in actors]
        assert len(actors) == 2
        workers = [pid for actor in actors for pid in workers_of(actor)]
        assert len(workers) == 2
    finally:
        driver.kill()
        driver.communicate()
    wait_until(lambda: not any(is_running(pid) for pid in actors + workers), timeout=60)


@pytest.mark.lean
def test_a_node_that_joins_late_with_another_lean(cluster, pool, tmp_path, monkeypatch):
    (tmp_path / "echo.lean").write_text(SCRIPT)
    capability = lw.LeanCapability(tmp_path / "echo.lean")
    monkeypatch.setenv("LEAN_SYSROOT", str(make_prefix(tmp_path / "other", real=True)))
    late = cluster.add_node(num_cpus=1, **cluster.options)
    monkeypatch.delenv("LEAN_SYSROOT")
    try:
        # A pool keeps to the nodes that it began with.
        assert [one.ok for one in pool.map(lw.StreamingCommand("echo"), [1] * 8, capability=capability)] == [True] * 8
        assert {member.node_id for member in pool._core._living()} == {node.node_id for node in cluster.two}
        with lw.RayPool() as new:
            kinds = {one.node: one.kind for one in new.toolchains(capability)}
            assert len(kinds) == 3 and kinds.pop(late.node_id) == "sysroot" and set(kinds.values()) == {"embedded"}
            outcomes = list(new.map(lw.StreamingCommand("echo"), [1] * 8, capability=capability))
            # Nothing has run on those that agree either.
            assert [type(one.error) for one in outcomes] == [lw.errors.NodeMismatch] * 8
            error = outcomes[0].error
            assert {one.node for one in error.toolchains} == {*kinds, late.node_id}
            assert "sysroot" in str(error) and {error.expected.kind, error.actual.kind} == {"sysroot", "embedded"}
            assert sum(one.started for one in new.snapshot().values()) == 0
    finally:
        cluster.remove_node(late)
        wait_until(lambda: not is_alive(late.node_id))


def test_no_node_is_left_until_another_joins(cluster):
    late = cluster.add_node(num_cpus=3, **cluster.options)
    with lw.RayPool(workers_per_node=3) as own:  # no other node has as many
        assert all(one.ok for one in own.map(ROWS, [{"count": 1}] * 4, capability=FUNCTIONS))
        (actor,) = actor_pids(own)
        late.kill_raylet(check_alive=False)
        wait_until(lambda: not is_running(actor))
        lost = list(own.map(ROWS, [{"count": 1}] * 4, capability=FUNCTIONS))
        assert [type(one.error) for one in lost] == [lw.errors.NodeLost] * 4
        cluster.remove_node(late)
        late = cluster.add_node(num_cpus=3, **cluster.options)
        wait_until(lambda: [member.node_id for member in own._core._living()] == [late.node_id], timeout=60)
        assert all(one.ok for one in own.map(ROWS, [{"count": 1}] * 4, capability=FUNCTIONS))
    cluster.remove_node(late)
    wait_until(lambda: not is_alive(late.node_id))


def is_alive(node_id):
    import ray

    return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())


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
    losses = pool._core._losses

    def on_done(done):
        if done.done >= 20 and not killed:
            killed.append("actor")
            kill_actor_of(cluster.two[0].node_id)
        if done.done >= 60 and len(killed) == 1:
            wait_until(lambda: pool._core._losses == losses + 1 and len(pool._core._living()) == 2, timeout=60)
            killed.append("raylet")
            orphans.extend(workers_of(pid_on(dying)))
            cluster.two[1].kill_raylet(check_alive=False)

    def pid_on(node):
        (member,) = [member for member in pool._core._living() if member.node_id == node]
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
    wait_until(lambda: pool._core._losses == losses + 2)
    assert [member.node_id for member in pool._core._living()] == [cluster.two[0].node_id]
    wait_until(lambda: not any(is_running(pid) for pid in orphans))
