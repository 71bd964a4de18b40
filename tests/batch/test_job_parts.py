"""Part files that items share: what is in them, when they are removed, damage, crashes, and ledgers of the first format."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import random
import sqlite3
import time

import pytest

import lean_worker as lw
from job_crashes import crash_everywhere
from lean_worker.batch.job_items import HostedOnce, items_of
from lean_worker.batch.ledger import Ledger
from support import FUNCTIONS, HOSTS, TESTS

ROWS = lw.StreamingCommand("rows")


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2) as pool:
        yield pool


def requests_for(*counts):
    return [{"count": count} for count in counts]


def lines_for(*counts):
    return "".join(f'{{"i":{i},"name":"Fixture.decl_{i}"}}\n' for count in counts for i in range(count))


def parts_of(job):
    return sorted(path for path in os.listdir(f"{job.path}.parts") if path != ".lock")


def test_small_items_share_a_file_and_large_ones_do_not(pool, tmp_path):
    counts = [*range(40)] * 5 + [4000]
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out", keep_parts=True)
    report = job.run(pool, requests_for(*counts))
    assert report.is_complete and report.rows == sum(counts)
    assert (tmp_path / "out").read_text() == lines_for(*counts)
    assert len(parts_of(job)) == len(job.parts()) == 2
    assert sum(path.stat().st_size for path in job.parts()) == len(lines_for(*counts))


def test_lines_that_name_their_streams_are_in_parts_of_both_kinds(pool, tmp_path):
    command, counts = lw.StreamingCommand("alternating"), (3, 0, 4000, 1)
    job = lw.Job(tmp_path / "ledger", command, FUNCTIONS, out=tmp_path / "out", keep_parts=True, with_stream=True)
    assert job.run(pool, requests_for(*counts)).rows == 4004
    streams = ("left", "right")
    expected = [f'{{"stream":"{streams[n % 2]}","row":{{"n":{n}}}}}' for count in counts for n in range(count)]
    assert (tmp_path / "out").read_text().splitlines() == expected
    endings = sorted(name.partition(".")[2] for name in parts_of(job))
    assert endings == ["jsonl", "stream.jsonl"]  # of the small items together, and of the large one
    (tmp_path / "out").unlink()
    assert job.run(pool).ran == 0 and (tmp_path / "out").read_text().splitlines() == expected
    # Without the names these are other items, of which one stream is all that there may be.
    job = lw.Job(tmp_path / "ledger", command, FUNCTIONS, out=tmp_path / "out")
    with pytest.raises(lw.UsageError, match="came on the streams") as caught:
        job.run(pool, requests_for(*counts))
    assert "with_stream=True" in caught.value.hint and caught.value.facts["streams"] == list(streams)
    assert (tmp_path / "out").read_text().splitlines() == expected
    assert job.run(pool, requests_for(0, 1)).rows == 1 and (tmp_path / "out").read_text() == '{"n":0}\n'


@pytest.mark.parametrize("wrong", ["first", "late"])
def test_requests_that_are_no_json_are_not_asked_for(pool, tmp_path, wrong):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    requests = [object()] if wrong == "first" else [*requests_for(*[1] * 1500), object()]
    with pytest.raises(lw.UsageError):
        job.run(pool, requests)
    assert job.path.exists() == (wrong == "late")
    assert job.run(pool, requests_for(2)).rows == 2 and len(job.items()) == 1


def test_parts_go_when_the_output_is_complete(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    assert job.run(pool, requests_for(3, 0, 4000)).rows == 4003
    assert parts_of(job) == [] and job.parts() == [tmp_path / "out"]
    changed_at = (tmp_path / "out").stat().st_mtime_ns
    assert job.run(pool, requests_for(3, 0, 4000)).ran == 0
    assert (tmp_path / "out").stat().st_mtime_ns == changed_at  # it is there, and not written again
    # Rows in the output are what later runs go on with, in any order.
    assert job.run(pool, requests_for(1, 4000, 3, 0)).ran == 1
    assert (tmp_path / "out").read_text() == lines_for(1, 4000, 3, 0)
    elsewhere = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "elsewhere")
    assert elsewhere.run(pool, requests_for(0, 3)).ran == 0
    assert (tmp_path / "elsewhere").read_text() == lines_for(0, 3)
    (tmp_path / "out").unlink()
    # What is not asked for now was copied before, so that it can come back.
    assert job.run(pool, requests_for(1, 4000, 3, 0)).ran == 0
    assert (tmp_path / "out").read_text() == lines_for(1, 4000, 3, 0)


@pytest.mark.parametrize("how", ["removed", "replaced", "shorter", "same size"])
def test_an_output_that_was_changed_has_no_rows_any_more(pool, tmp_path, how):
    out = tmp_path / "out"
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out)
    job.run(pool, requests_for(3, 4))
    text = out.read_text()
    if how == "removed":
        out.unlink()
    elif how == "replaced":
        out.write_text("of somebody else\n")
    elif how == "shorter":
        os.truncate(out, 5)
    else:
        out.write_text(text[::-1])
    assert job.run(pool).ran == 2 and out.read_text() == lines_for(3, 4)


@pytest.mark.parametrize("how", ["removed", "shorter", "same size", "longer"])
def test_a_shared_file_that_was_damaged(pool, tmp_path, how):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out", keep_parts=True)
    counts = (1, 2, 3, 4)
    job.run(pool, requests_for(*counts))
    (part,) = job.parts()
    content = part.read_bytes()
    if how == "removed":
        part.unlink()
    elif how == "shorter":
        os.truncate(part, len(content) - 1)
    elif how == "same size":
        part.write_bytes(content.replace(b"decl_3", b"decl_9"))
    else:
        part.write_bytes(content + b'{"half a r')
    (tmp_path / "out").unlink()
    if how == "same size":
        with pytest.raises(lw.SinkError, match="not what was committed"):
            job.run(pool)
        assert not (tmp_path / "out").exists()
    expected = {"removed": 4, "shorter": 1, "same size": 1, "longer": 0}
    assert job.run(pool).ran == expected[how]
    assert (tmp_path / "out").read_text() == lines_for(*counts)


def test_a_ledger_of_the_first_format(monkeypatch, tmp_path):
    """The release that knew no shared files wrote it: four items, one in quarantine, and one that was left out later."""
    written = json.loads((TESTS / "data" / "ledger-format-1.json").read_text())
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript("\n".join(written["sql"]))
    (tmp_path / "ledger.parts").mkdir()
    for name, text in written["parts"].items():
        (tmp_path / "ledger.parts" / name).write_text(text)
    # What a path of its own contains is part of an item's identity, and elsewhere here; the environment is not.
    monkeypatch.setenv("PYTHONPATH", str(HOSTS))
    capability = lw.PythonCapability("functions:COMMANDS")
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("rows_or_death"), capability, out=tmp_path / "out")
    assert [(item.state, item.rows) for item in job.items()] == [
        ("done", 3),
        ("quarantined", None),
        ("done", 0),
        ("done", 3),
        ("done", 2),
    ]
    assert format_of(job) == "1" and len(parts_of(job)) == 5  # it was read, and nothing more
    requests, (first, *_) = [{"count": count} for count in (3, 0, 3, 2)], job.parts()
    with lw.Pool(max_workers=1) as pool:
        assert job.run(pool, requests).ran == 0
        assert (tmp_path / "out").read_text() == rows_of(3, 0, 3, 2)
        assert format_of(job) == "2" and not first.exists()
        assert job.run(pool, [{"count": 4}, *requests, {"count": 1}]).ran == 1  # the one that is new
        assert (tmp_path / "out").read_text() == rows_of(4, 3, 0, 3, 2, 1)
        report = job.run(pool, [{"die": True}])
        assert (report.ran, report.out, len(report.quarantined)) == (0, None, 1)


def test_parts_of_the_first_format_that_are_gone(pool, tmp_path):
    first = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
    first.run(pool, requests_for(3, 2))  # without an output each item has a file, as all had
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger")) as database, database:
        database.executescript("DROP INDEX items_by_part; UPDATE facts SET value = '1' WHERE name = 'format'")
    first.parts()[0].unlink()
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    assert job.run(pool, requests_for(3, 2, 1)).ran == 2  # what was lost, and what is new
    assert (tmp_path / "out").read_text() == lines_for(3, 2, 1) and parts_of(job) == []
    assert format_of(job) == "2"


def format_of(job):
    with contextlib.closing(sqlite3.connect(job.path)) as database:
        return database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()[0]


def rows_of(*counts):
    return "".join(f'{{"i":{i}}}\n' for count in counts for i in range(count))


def test_requests_of_a_generator_that_raises_are_not_asked_for(pool, tmp_path):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    job.run(pool, requests_for(1, 2))

    def asked():
        yield from requests_for(*[1] * 3000)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        job.run(pool, asked())
    assert job.report().total == 2 and job.run(pool).ran == 0


def test_many_equal_requests_in_any_order(pool, tmp_path):
    """Equal requests are numbered; a list that changes asks for exactly the items that are new."""
    choose = random.Random(7)
    done = {}
    with Ledger(tmp_path / "ledger", for_work=True) as ledger:
        for _ in range(12):
            asked = [choose.randrange(4) for _ in range(choose.randrange(12))]
            assert ledger.ask_for(items_for(asked)) == len(asked) == ledger.count()
            assert [int(request) for request in ledger.requests()] == asked
            known = {value: done.get(value, 0) for value in range(4)}
            due = [int(request) for _, request in ledger.due()]
            assert sorted(due) == sorted(
                value for value in range(4) for _ in range(max(0, asked.count(value) - known[value]))
            )
            for key, request in list(ledger.due()):
                ledger.add(key, lw.batch.ledger.Part("", 0, 0, EMPTY, 0, "null", b""))
                done[int(request)] = done.get(int(request), 0) + 1
            ledger.flush()


def test_items_that_are_known_by_their_requests_are_those_that_are_known_by_their_keys(tmp_path):
    """The short way, without digests, gives each request the item that the long way gives it."""
    choose = random.Random(11)
    with Ledger(tmp_path / "short", for_work=True) as short, Ledger(tmp_path / "long", for_work=True) as long:
        asked: list[int] = []
        for _ in range(60):
            version = choose.choice(["", "", "", "other"])
            if choose.random() < 0.3:
                asked = [choose.randrange(3) for _ in range(choose.randrange(9))]
            elif choose.random() < 0.6:  # the same, but for an end of it
                asked = asked[: choose.randrange(len(asked) + 1)] + [choose.randrange(3) for _ in range(3)]
            items = list(items_of(ROWS, HostedOnce(FUNCTIONS, "asking"), asked, version))
            whole = [item.whole() for item in items]
            long.ask_for(whole)
            short.ask_for(items if choose.random() < 0.8 else whole)
            assert [int(request) for request in short.requests()] == asked
            assert [*short.due()] == [*long.due()]


def test_more_items_than_are_read_at_once(tmp_path):
    with Ledger(tmp_path / "ledger", for_work=True) as ledger:
        for asked in ([*range(2500)], [*range(2499), 2600], [*range(2501)], [7] * 2003, [*range(1000)]):
            assert ledger.ask_for(items_for(asked)) == len(asked) == ledger.count("due")
            assert [int(request) for request in ledger.requests()] == asked
            assert [int(request) for _, request in ledger.due()] == asked


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def items_for(asked):
    for value in asked:
        yield lw.batch.ledger.NewItem(f"{value:064x}", str(value), "rows", "", "", "")


def test_items_that_have_ended_are_done_while_another_one_runs(pool, tmp_path):
    gate = tmp_path / "gate"
    job = lw.Job(tmp_path / "ledger", lw.StreamingCommand("row_then_gate"), FUNCTIONS, out=tmp_path / "out")
    (tmp_path / "open").touch()
    requests = [*[{"gate": str(tmp_path / "open")}] * 3, {"gate": str(gate)}]
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(job.run, pool, requests)
        try:
            while not running.done():
                with contextlib.suppress(lw.UsageError):  # there is no ledger yet
                    if job.report().done == 3:
                        break
                time.sleep(0.01)
            assert not running.done()
        finally:
            gate.touch()
        assert running.result().done == 4


@pytest.mark.parametrize("before", [0, 5])
def test_a_crash_at_any_step(tmp_path, before):
    # Some of the steps; `job_crashes.py` takes all.
    every = 9
    assert crash_everywhere(tmp_path, before, 1 + os.getpid() % every, every) > 30
