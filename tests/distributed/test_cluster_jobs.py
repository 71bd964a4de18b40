"""Jobs on a Ray cluster: each row once, of one state of what is hosted, whatever becomes of the nodes."""

from __future__ import annotations

import importlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pyarrow.parquet
import pytest

import lean_worker as lw
from clusters import SCRIPT, WithModule, actor_pids, workers_of
from lean_worker.batch.job_items import HostedOnce
from lean_worker.batch.ledger import Ledger
from lean_worker.distributed.node import Node, Shipped, ShippedOnce
from support import FUNCTIONS, HOSTS, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.once, pytest.mark.filterwarnings("ignore")]

ROWS = lw.StreamingCommand("rows")


@pytest.fixture(params=["shared", "separate"])
def folders(request, pool, tmp_path, monkeypatch):
    if request.param == "separate":
        for member in pool._core._living():
            monkeypatch.setitem(member._shares, (tmp_path / "ledger.parts").resolve(), False)


def test_a_job_with_shared_and_separate_folders(pool, tmp_path, folders):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    report = job.run(pool, [{"count": n} for n in (3, 0, 2)])
    assert (report.done, report.rows) == (3, 5)
    with lw.Pool() as local:
        lw.Job(tmp_path / "other", ROWS, FUNCTIONS, out=tmp_path / "same").run(local, [{"count": n} for n in (3, 0, 2)])
    assert (tmp_path / "out").read_bytes() == (tmp_path / "same").read_bytes()


@pytest.mark.lean
def test_a_script_that_is_edited_while_a_job_runs(pool, tmp_path):
    script, out = tmp_path / "echo.lean", tmp_path / "out"
    capability = lw.LeanCapability(script, toolchain="embedded")
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("echo"), capability, out=out, keep_parts=True)
    once = SCRIPT.replace('    row "rows" request\n', "", 1)
    script.write_text(SCRIPT)

    def on_done(done):
        if done.done == 3:
            script.write_text(once)
            for actor in actor_pids(pool):  # whose next workers would host the other script
                for worker in workers_of(actor):
                    os.kill(worker, signal.SIGKILL)

    with pytest.raises(lw.CapabilityError, match="changed while the job ran"):
        job.run(pool, range(24), on_done=on_done)
    assert not out.exists()
    done = [item.rows for item in job.items() if item.state == "done"]
    assert 3 <= len(done) < 24 and set(done) == {2}
    assert job.run(pool, range(24)).ran == 24
    assert out.read_text().splitlines() == [str(n) for n in range(24)]
    script.write_text(SCRIPT)
    assert job.run(pool, range(24)).ran == 24 - len(done)  # what was done by the first script is done


def test_modules_that_change_on_a_node_while_a_job_runs(tmp_path):
    """A node's worker is replaced without the driver: by itself, and under a lease."""
    module = tmp_path / "module"
    module.write_text("1")
    capability = WithModule(FUNCTIONS, module)
    hosted = HostedOnce(capability, "running a job")
    shipped = ShippedOnce(hosted).shipped()
    node = Node("here", 1, {})
    try:
        assert node.lend(0, 1, shipped) == (True, None)
        node.release(0)
        module.write_text("2")
        ok, error = node.lend(0, 2, shipped)
        assert not ok and isinstance(error, lw.CapabilityError) and "changed while the job ran" in str(error)
        with pytest.raises(lw.CapabilityError, match="changed while the job ran"):
            ShippedOnce(hosted).shipped()
        later = ShippedOnce(HostedOnce(capability, "running a job")).shipped()
        for each in (later, Shipped.of(capability)):
            assert node.lend(0, 3, each) == (True, None)
            node.release(0)
    finally:
        node.close()


@pytest.mark.lean
def test_a_job_of_the_command_line(cluster, tmp_path):
    from test_cli import cli

    (tmp_path / "echo.lean").write_text(SCRIPT)
    (tmp_path / "requests").write_text("1\n2\n")
    paths = ["--requests", str(tmp_path / "requests"), "--out", str(tmp_path / "rows"), "--toolchain", "embedded"]
    job = ["job", "run", str(tmp_path / "ledger"), str(tmp_path / "echo.lean"), "echo", *paths]
    outcome = cli(*job, "--ray", cluster.address)
    assert outcome.returncode == 0, outcome.stderr
    assert "2 of 2 items done" in outcome.stderr and outcome.stderr.count(" started, ") == 2
    assert (tmp_path / "rows").read_text() == "1\n1\n2\n2\n"
    with Ledger(tmp_path / "ledger", for_work=False) as ledger:
        assert {path for _, path, _ in ledger.parts()} == {tmp_path / "rows"}


@pytest.fixture
def typed_rows(monkeypatch):
    monkeypatch.syspath_prepend(HOSTS)
    return lw.StreamingCommand("rows", row=importlib.import_module("row_types").Declaration)


def test_a_job_with_parquet_parts(pool, tmp_path, folders, typed_rows):
    job = lw.Job(tmp_path / "ledger", typed_rows, FUNCTIONS, parts_as="parquet")
    report = job.run(pool, [{"count": n} for n in (3, 0, 2)])
    assert (report.done, report.rows) == (3, 5)
    tables = [pyarrow.parquet.read_table(path) for path in job.parts()]
    assert [table.num_rows for table in tables] == [3, 0, 2]
    with lw.Pool() as local:
        alone = lw.Job(tmp_path / "alone", typed_rows, FUNCTIONS, parts_as="parquet")
        alone.run(local, [{"count": 3}])
    assert {str(table.schema) for table in tables} == {str(pyarrow.parquet.read_schema(*alone.parts()))}
    assert tables[0].to_pylist() == [{"i": n, "name": f"Fixture.decl_{n}"} for n in range(3)]
    assert job.run(pool).ran == 0

    class Unsent(msgspec.Struct):
        i: int

    command = lw.StreamingCommand("rows", row=Unsent)
    with pytest.raises(lw.UsageError, match="sending a command's row type"):
        lw.Job(tmp_path / "unsent", command, FUNCTIONS, parts_as="parquet").run(pool, [{"count": 1}])


def test_committed_parts_are_read_with_ray_data(pool, tmp_path, typed_rows):
    import ray.data

    lines = lw.Job(tmp_path / "lines", ROWS, FUNCTIONS)
    columns = lw.Job(tmp_path / "columns", typed_rows, FUNCTIONS, parts_as="parquet")
    for job in (lines, columns):
        job.run(pool, [{"count": n} for n in (3, 0, 2)])
    for dataset in (
        ray.data.read_json([str(path) for path in lines.parts()], lines=True, override_num_blocks=1),
        ray.data.read_parquet([str(path) for path in columns.parts()], override_num_blocks=1),
    ):
        assert sorted(row["i"] for row in dataset.take_all()) == [0, 0, 1, 1, 2]


def test_an_item_that_ends_its_nodes_is_quarantined(pool, tmp_path):
    losses = pool._core._losses
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("perform"), FUNCTIONS, max_deaths=1)
    report = job.run(pool, [{"rows": 1}, {"then": "end parent"}, {"rows": 2}])
    (left_out,) = report.quarantined
    assert (left_out.position, left_out.deaths, report.rows) == (1, 1, 3) and "NodeLost" in left_out.reason
    wait_until(lambda: pool._core._losses == losses + 4 and len(pool._core._living()) == 2, timeout=60)


def test_a_node_that_is_lost_while_a_job_stops_is_not_held_against_its_item(cluster, tmp_path):
    gate, token = tmp_path / "gate", lw.CancelToken()
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("row_then_gate"), FUNCTIONS, max_deaths=1)
    with lw.RayPool(nodes=1) as own, ThreadPoolExecutor() as threads:
        running = threads.submit(job.run, own, [{"gate": str(gate)}], cancel=token)
        wait_until((tmp_path / "gate.reached").exists, timeout=60)
        (actor,) = actor_pids(own)
        os.kill(actor, signal.SIGSTOP)  # so that it does not answer the token
        token.cancel()
        os.kill(actor, signal.SIGKILL)
        with pytest.raises(lw.Cancelled):
            running.result()
        assert [(item.state, item.deaths) for item in job.items()] == [("due", 0)]
        gate.touch()
        assert job.run(own).rows == 2
