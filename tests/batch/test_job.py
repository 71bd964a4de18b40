"""Jobs: what is sent again and what is not, poison, damage, and that two runs make the output of one."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sqlite3
import threading

import msgspec
import pyarrow.parquet
import pytest

import lean_worker as lw
from lean_worker.batch.job import run_item
from lean_worker.batch.job_items import HostedOnce
from lean_worker.batch.ledger import Ledger
from lean_worker.pool.cores import core_of
from support import FUNCTIONS, HOSTS

ROWS = lw.StreamingCommand("rows")
FAST = lw.RestartPolicy(max_restarts=None, backoff=0)


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2, restarts=FAST) as pool:
        yield pool


def requests_for(*counts):
    return [{"count": count} for count in counts]


def lines_for(*counts):
    return "".join(f'{{"i":{i},"name":"Fixture.decl_{i}"}}\n' for count in counts for i in range(count))


def parts_of(path):
    return {name for name in os.listdir(f"{path}.parts") if name != ".lock"}


def test_all_rows_in_the_order_of_the_requests(pool, tmp_path):
    out = tmp_path / "rows.jsonl"
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out)
    report = job.run(pool, requests_for(300, 1, 0, 20, 1))
    assert (report.total, report.done, report.due, report.rows, report.ran) == (5, 5, 0, 322, 5)
    assert report.is_complete and report.raise_for_error() is report and report.out == str(out)
    assert out.read_text() == lines_for(300, 1, 0, 20, 1)
    items = job.items()
    assert [item.rows for item in items] == [300, 1, 0, 20, 1] and {item.state for item in items} == {"done"}
    assert items[1].digest == items[4].digest != items[0].digest
    assert [json.loads(item.metadata) for item in items] == [{"emitted": n} for n in (300, 1, 0, 20, 1)]
    assert (items[1].request, items[1].command) == ('{"count":1}', "rows") and len(items[1].request_digest) == 64
    again = job.run(pool)
    assert (again.ran, again.done, job.report().done) == (0, 5, 5)
    assert sorted(os.listdir(tmp_path)) == ["ledger", "ledger.parts", "rows.jsonl"]


def test_only_what_is_new_is_sent(pool, tmp_path):
    out = tmp_path / "rows.jsonl"
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out)
    job.run(pool, requests_for(1, 2, 3))
    assert job.run(pool, requests_for(3, 4, 1, 1)).ran == 2  # 4, and the second 1
    assert out.read_text() == lines_for(3, 4, 1, 1)
    # What is no longer asked for is kept for the case that it comes back.
    assert job.run(pool, requests_for(2, 1)).ran == 0
    assert out.read_text() == lines_for(2, 1)


class Declaration(msgspec.Struct):
    i: int
    name: str


class Less(msgspec.Struct):
    i: int


def test_parquet_parts(pool, tmp_path):
    command = lw.StreamingCommand("rows", row=Declaration)
    job = lw.Job(tmp_path / "ledger", command, FUNCTIONS, parts_as="parquet")
    report = job.run(pool, requests_for(3, 0, 2))
    assert (report.done, report.rows, report.out) == (3, 5, None)
    assert {path.name for path in job.parts()} == parts_of(tmp_path / "ledger")
    tables = [pyarrow.parquet.read_table(path) for path in job.parts()]
    assert [table.to_pylist() for table in tables] == [
        [{"i": i, "name": f"Fixture.decl_{i}"} for i in range(count)] for count in (3, 0, 2)
    ]
    for item, path in zip(job.items(), job.parts(), strict=True):
        assert item.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert job.run(pool).ran == 0
    # Other columns, or another format, is another item: all parts can be read as one table.
    less = lw.Job(tmp_path / "ledger", lw.StreamingCommand("rows", row=Less), FUNCTIONS, parts_as="parquet")
    assert (less.run(pool).ran, less.run(pool).ran) == (3, 0)
    assert {tuple(pyarrow.parquet.read_schema(path).names) for path in less.parts()} == {("i",)}
    lines = lw.Job(tmp_path / "ledger", command, FUNCTIONS)
    assert lines.run(pool).ran == 3
    assert "".join(path.read_text() for path in lines.parts()) == lines_for(3, 0, 2)


def test_rows_that_parquet_cannot_hold_are_their_item_s_fault(pool, tmp_path):
    command = lw.StreamingCommand("raw_rows", row=Declaration)
    job = lw.Job(tmp_path / "ledger", command, FUNCTIONS, parts_as="parquet")
    texts = ('{"i":1,"name":"a"}', '{"i":36893488147419103232,"name":"b"}', '{"i":"one","name":"c"}')
    report = job.run(pool, [{"rows": [text], "summary": "null"} for text in texts])
    assert report.done == 1 and len(job.parts()) == 1
    assert [item.position for item in report.quarantined] == [1, 2]
    assert "SinkError" in report.quarantined[0].reason and "DecodeError" in report.quarantined[1].reason
    assert len(parts_of(tmp_path / "ledger")) == 1


def test_formats_that_there_are_not(tmp_path):
    for wrong in ({"parts_as": "csv"}, {"parts_as": "parquet", "out": tmp_path / "out.parquet"}):
        with pytest.raises(lw.UsageError, match="making a job"):
            lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, **wrong)


def test_what_makes_an_item_due_again(pool, tmp_path):
    path = tmp_path / "ledger"

    def ran(command=ROWS, capability=FUNCTIONS, **options):
        return lw.Job(path, command, capability, **options).run(pool, requests_for(1)).ran

    assert [ran(), ran()] == [1, 0]
    assert [ran(version="2"), ran(version="2")] == [1, 0]
    other = lw.PythonCapability("functions:COMMANDS", path=[HOSTS], env={"SOME": "thing"})
    assert [ran(capability=other), ran(capability=other), ran()] == [1, 0, 0]
    assert [ran(lw.StreamingCommand("rows_or_death")), ran(lw.StreamingCommand("rows_or_death"))] == [1, 0]
    assert lw.Job(path, ROWS, FUNCTIONS).items()[0].command == "rows_or_death"


@pytest.mark.lean
def test_a_changed_script_makes_items_due(tmp_path):
    script = tmp_path / "squares.lean"
    text = """prelude
import LeanWorker
open LeanWorker
def squares : Command where
  name := "squares"
  run _request := do
    row "rows" "1"
    return ""
def main : IO Unit := serve (List.cons squares List.nil)
"""
    script.write_text(text)
    capability = lw.LeanCapability(script, toolchain="embedded")
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("squares"), capability, out=tmp_path / "out")
    with lw.Pool() as pool:
        assert [job.run(pool, [None]).ran, job.run(pool).ran] == [1, 0]
        assert (tmp_path / "out").read_text() == "1\n"
        (before,) = job.items()
        script.write_text(text.replace('"1"', '"2"'))
        assert [job.run(pool).ran, job.run(pool).ran] == [1, 0]
        assert (tmp_path / "out").read_text() == "2\n"
    (after,) = job.items()
    assert before.script_digest != after.script_digest and before.launch_digest == after.launch_digest


# -- poison --

DIE = lw.StreamingCommand("rows_or_death")


def test_poison_is_put_in_quarantine_and_can_be_tried_again(pool, tmp_path):
    out = tmp_path / "rows.jsonl"
    job = lw.Job(tmp_path / "ledger", DIE, FUNCTIONS, out=out, max_deaths=2)
    poison = {"how": "SIGKILL", "count": 3}
    report = job.run(pool, [{"count": 2}, poison, {"count": 2}, {"count": 2}])
    assert (report.done, report.due, report.rows, report.is_complete) == (3, 0, 6, False)
    (item,) = report.quarantined
    assert (item.position, item.deaths, item.state) == (1, 2, "quarantined")
    assert item.reason.startswith("ChildExited: ") and "SIGKILL" in item.reason
    assert out.read_text() == '{"i":0}\n{"i":1}\n' * 3
    with pytest.raises(lw.errors.JobIncomplete, match="item 1: ChildExited") as caught:
        report.raise_for_error()
    assert (caught.value.total, caught.value.done, caught.value.quarantined) == (4, 3, [1])
    assert job.run(pool).ran == 0  # skipped
    for unknown in ([1, 99], [-1], [1, 2**70]):
        with pytest.raises(lw.UsageError, match=f"there is no item {unknown[-1]}"):
            job.retry(unknown)
    assert (job.retry([0, 1, 2]), job.retry(), job.report().due) == (1, 0, 1)
    with lw.Pool(restarts=FAST) as fresh:
        assert job.run(fresh).quarantined[0].deaths == 2


def test_deaths_are_counted_over_runs(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", DIE, FUNCTIONS, max_deaths=2)
    with Ledger(job.path, for_work=True) as ledger:
        hosted = HostedOnce(job.capability, "asking")
        job._ask_for(ledger, job._items_of([{"how": "SIGABRT", "count": 1}], hosted), hosted)
        ((key, _),) = ledger.due()
        assert not ledger.fail(key, "before", is_death=True, max_deaths=2)
    report = job.run(pool)
    assert (report.ran, report.quarantined[0].deaths) == (1, 2)


def test_a_refusal_is_put_in_quarantine_at_once(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("fail_after_rows"), FUNCTIONS, out=tmp_path / "out")
    report = job.run(pool, [None])
    assert (report.quarantined[0].deaths, report.quarantined[0].reason) == (
        0,
        "CommandFailed: running fail_after_rows: the hosted code failed: RuntimeError: half way",
    )
    assert parts_of(job.path) == set() and (tmp_path / "out").read_text() == ""


def test_an_item_that_takes_too_long_ends_a_worker(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("row_then_hang"), FUNCTIONS, max_deaths=1)
    report = job.run(pool, [None], timeout=0.2)
    assert "0.2 seconds" in report.quarantined[0].reason


# -- what ends a run --


def test_a_cancelled_run_goes_on_later(pool, tmp_path):
    out = tmp_path / "rows.jsonl"
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out)
    cancel = lw.CancelToken()

    def on_done(done):
        if done.done == 3:
            cancel.cancel()

    with pytest.raises(lw.Cancelled):
        job.run(pool, requests_for(*range(1, 200)), cancel=cancel, on_done=on_done)
    report = job.report()
    assert report.done < 199 and report.due == 199 - report.done and not out.exists()
    assert report.done == 0 or parts_of(job.path)
    report = job.run(pool)
    assert report.is_complete and out.read_text() == lines_for(*range(1, 200))
    assert parts_of(job.path) == set()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seconds", [None, 0.0005, 0.002, 0.008])
def test_a_token_that_is_cancelled_before_an_outcome_ends_the_run(pool, tmp_path, seconds):
    token = lw.CancelToken()
    job = lw.Job(tmp_path / "job", ROWS, FUNCTIONS, out=tmp_path / "out.jsonl")
    if seconds is None:
        token.cancel()
    else:
        threading.Timer(seconds, token.cancel).start()
    with pytest.raises(lw.Cancelled):
        job.run(pool, [{"count": 3}] * 200, cancel=token)
    assert job.run(pool, [{"count": 3}] * 200).is_complete


def test_what_is_no_fault_of_an_item_ends_the_run(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", ROWS, lw.PythonCapability("no_such_module:COMMANDS"))
    with pytest.raises(lw.CapabilityError, match="no_such_module"):
        job.run(pool, requests_for(1, 2))
    assert (job.report().due, job.items()[0].deaths) == (2, 0)
    with pytest.raises(lw.UsageError, match="no requests were given"):
        lw.Job(tmp_path / "other", ROWS, FUNCTIONS).run(pool)
    with pytest.raises(lw.UsageError, match="there is none"):
        lw.Job(tmp_path / "third", ROWS, FUNCTIONS).items()
    with pytest.raises(lw.UsageError, match="max_deaths"):
        lw.Job(tmp_path / "third", ROWS, FUNCTIONS, max_deaths=0)
    with pytest.raises(lw.SinkError, match="No such file"):
        lw.Job(tmp_path / "no" / "where", ROWS, FUNCTIONS).run(pool, requests_for(1))
    (tmp_path / "text").write_text("no database " * 100)
    for work in (lambda job: job.items(), lambda job: job.run(pool, requests_for(1))):
        with pytest.raises(lw.errors.RecoveryError, match="not a database") as caught:
            work(lw.Job(tmp_path / "text", ROWS, FUNCTIONS))
        assert caught.value.reason == "damaged" and "Give another path" in caught.value.hint
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x (y)").connection.close()
    before = (tmp_path / "empty.db").read_bytes()
    for work in (lambda job: job.items(), lambda job: job.run(pool, requests_for(1))):
        with pytest.raises(lw.UsageError, match="no ledger of this release"):
            work(lw.Job(tmp_path / "empty.db", ROWS, FUNCTIONS))
    assert (tmp_path / "empty.db").read_bytes() == before and not (tmp_path / "empty.db.parts").exists()


def test_one_at_a_time_works_on_a_ledger(pool, tmp_path):
    gate = tmp_path / "gate"
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("row_then_gate"), FUNCTIONS)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(job.run(pool, [{"gate": str(gate)}])))
    thread.start()
    try:
        while not reports:
            try:
                if job.report().due:
                    break
            except lw.LeanWorkerError:
                pass  # not made yet
        with pytest.raises(lw.UsageError, match="works on it"):
            job.run(pool, [])
    finally:
        gate.touch()
        thread.join()
    assert reports[0].is_complete


# -- parts --


def test_parts_that_were_lost_or_damaged_are_made_again(pool, tmp_path):
    out = tmp_path / "rows.jsonl"
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out, keep_parts=True)
    large = (3000, 3001, 3002)  # each has a part of its own
    job.run(pool, requests_for(*large))
    stray = tmp_path / "ledger.parts" / f"{'0' * 24}.jsonl"
    stray.write_text("1\n")
    not_ours = stray.with_name("notes.jsonl")
    not_ours.write_text("of somebody else")
    with Ledger(job.path, for_work=True) as ledger:
        (_, first, _), (_, second, _), _ = ledger.parts()
    assert not stray.exists() and not_ours.exists()
    not_ours.unlink()
    first.unlink()
    with second.open("ab") as part:
        part.write(b"1\n")
    assert job.run(pool).ran == 2
    assert out.read_text() == lines_for(*large)
    with Ledger(job.path, for_work=True) as ledger:
        third = ledger.parts()[2][1]
    third.write_bytes(third.read_bytes()[::-1])  # as large as before
    out.write_text("old\n")
    with pytest.raises(lw.SinkError, match="not what was committed"):
        job.run(pool)
    assert out.read_text() == "old\n"
    assert job.run(pool).ran == 1 and out.read_text() == lines_for(*large)


def test_a_part_that_was_made_elsewhere_is_committed_once(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Ledger(job.path, for_work=True) as ledger:
        hosted = HostedOnce(job.capability, "asking")
        job._ask_for(ledger, job._items_of(requests_for(4), hosted), hosted)
        ((key, request),) = ledger.due()
        with pool.lease(FUNCTIONS) as lease:
            parts = [run_item(core_of(lease), ROWS, request, elsewhere) for _ in range(2)]
        assert [ledger.commit(key, part) for part in parts] == [True, False]
        assert os.listdir(elsewhere) == [] and len(parts_of(job.path)) == 1
        with pytest.raises(lw.SinkError, match="No such file"):
            ledger.commit(key, parts[0])
    assert job.run(pool).ran == 0 and (tmp_path / "out").read_text() == lines_for(4)


@pytest.mark.parametrize("wrong", [("rows", FUNCTIONS), (lw.JsonCommand("echo"), FUNCTIONS), (ROWS, "functions")])
def test_a_job_of_the_wrong_kind_is_refused_when_it_is_made(tmp_path, wrong):
    with pytest.raises(lw.UsageError, match="expected"):
        lw.Job(tmp_path / "job", *wrong)


@pytest.mark.parametrize("at", [0, 2, 1500])
@pytest.mark.parametrize(("wrong", "error"), [({"count": "x"}, lw.DecodeError), ({"count": {1j}}, lw.UsageError)])
def test_a_wrong_request_of_a_job_says_its_place_in_the_list(pool, tmp_path, at, wrong, error):
    requests = [*requests_for(*([0] * at)), wrong, {"count": 0}]
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("rows", request=dict[str, int]), FUNCTIONS)
    with pytest.raises(error, match=rf"^reading request {at} of the job \(from 0\): ") as caught:
        job.run(pool, requests)
    assert repr(pickle.loads(pickle.dumps(caught.value))) == repr(caught.value)
    assert f"request {at} of the job" in repr(caught.value)


def test_relative_paths_are_those_of_the_directory_in_which_the_job_was_made(pool, tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    job = lw.Job("job.ledger", ROWS, FUNCTIONS, out="rows.jsonl", keep_parts=True)
    report = job.run(pool, requests_for(1, 2, 3), on_done=lambda progress: os.chdir(tmp_path / "second"))
    assert (report.done, report.out) == (3, str(tmp_path / "first" / "rows.jsonl"))
    assert len(job.items()) == 3 and job.run(pool).ran == 0
    assert not list((tmp_path / "second").iterdir())
    found = {path.name for path in (tmp_path / "first").iterdir()}
    assert found == {"job.ledger", "job.ledger.parts", "rows.jsonl"}
