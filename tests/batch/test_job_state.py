"""A job's state does not change silently: damage, strangers, misspelt commands and outputs that were complete."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

import lean_worker as lw
from lean_worker.batch.ledger import Ledger, Part
from lean_worker.batch.ledger_watch import Watch
from lean_worker.testing import Gate, Row
from support import FUNCTIONS, IMPORTABLE, wait_until
from test_cli import cli

ROWS = lw.StreamingCommand("rows")
DIE = lw.StreamingCommand("rows_or_death")
REFUSES = lw.StreamingCommand("fail_after_rows")
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def pool():
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(max_workers=2, restarts=restarts) as pool:
        yield pool


@pytest.fixture
def done(pool, tmp_path):
    """A job that is complete, with its output."""
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=tmp_path / "out")
    job.run(pool, [{"count": count} for count in (1, 2, 3)]).raise_for_error()
    return job


def lines(*counts):
    return "".join(f'{{"i":{i},"name":"Fixture.decl_{i}"}}\n' for count in counts for i in range(count))


def change(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript(sql)


def test_a_run_that_fails_leaves_nothing_on_the_callers_token(tmp_path):
    token = lw.CancelToken()
    with lw.Pool() as pool:

        def requests():
            yield {"count": 1}
            pool.close()

        job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
        with pytest.raises(lw.UsageError, match="the pool is closed"):
            job.run(pool, requests(), cancel=token)
    assert not token._event._callbacks


DAMAGES = [
    "UPDATE items SET state = 'lost' WHERE position = 1",
    "UPDATE items SET state = 'Done' WHERE position = 1",
    "UPDATE items SET state = x'646f6e65' WHERE position = 1",
    "UPDATE items SET state = 'new' WHERE position = 0",
    "DELETE FROM items WHERE position = 1",
    "DELETE FROM items WHERE position = 2",
    "DELETE FROM items",
    "UPDATE items SET position = NULL WHERE position = 2",
    "UPDATE items SET position = 7 WHERE position = 2",
    "UPDATE items SET position = 1 WHERE position = 2",
    "UPDATE items SET position = 'two' WHERE position = 2",
    "UPDATE items SET part = NULL, size_bytes = NULL WHERE position = 1",
    "UPDATE items SET rows = 'many' WHERE position = 1",
    "UPDATE items SET rows = -1 WHERE position = 1",
    "UPDATE items SET digest = NULL WHERE position = 1",
    "UPDATE items SET part = '../precious' WHERE position = 1",
    "UPDATE items SET part = (SELECT part FROM items WHERE position = 0) WHERE position = 1",
    "UPDATE items SET deaths = 'none' WHERE position = 1",
    "UPDATE items SET request = x'00' WHERE position = 1",
]


@pytest.mark.parametrize("sql", DAMAGES)
def test_a_damaged_ledger_is_told(pool, done, tmp_path, sql):
    (tmp_path / "precious").write_text("precious")
    change(done.path, sql)
    for use in (done.items, done.report, done.parts, done.retry, lambda: done.run(pool)):
        with pytest.raises(lw.errors.RecoveryError) as caught:
            use()
        assert (caught.value.reason, caught.value.path) == ("damaged", str(done.path))
        assert "rm -r" in caught.value.hint
    assert done.out.read_text() == lines(1, 2, 3) and (tmp_path / "precious").exists()
    if sql is not DAMAGES[0]:
        return
    outcome = cli("job", "show", str(done.path))
    assert outcome.returncode == 1 and "opening the ledger" in outcome.stderr and "Traceback" not in outcome.stderr


def test_a_trigger_in_a_ledger_does_not_hide_what_was_done(pool, done):
    change(done.path, "CREATE TRIGGER t BEFORE UPDATE OF state ON items BEGIN SELECT RAISE(IGNORE); END;")
    other = lw.Job(done.path, ROWS, FUNCTIONS, version="2")
    with pytest.raises(lw.SinkError, match="did not become done"):
        other.run(pool)
    change(done.path, "DROP TRIGGER t; CREATE TRIGGER t BEFORE INSERT ON items BEGIN SELECT RAISE(IGNORE); END;")
    with pytest.raises(lw.SinkError, match="asked for and 0 stored"):
        lw.Job(done.path, ROWS, FUNCTIONS, version="3").run(pool)


def test_an_item_that_is_not_there_is_not_committed(done, tmp_path):
    with Ledger(done.path, for_work=True) as ledger:
        path = ledger.folder / f"{'0' * 24}.jsonl"
        path.write_text("1\n")
        with pytest.raises(lw.SinkError, match="is not there"):
            ledger.commit("none", Part(str(path), 1, 2, "", 0, "null"))
        stranger = tmp_path / "precious"
        stranger.write_text("1\n")
        key = ledger.parts()[0][0]
        with pytest.raises(lw.SinkError, match="no name of a part"):
            ledger.commit(key, Part(str(stranger), 1, 2, "", 0, "null"))
        # The same part once more is what is there already.
        assert not ledger.commit(key, Part(str(path), 1, 2, "", 0, "null"))  # it is done: one part is enough
        assert not path.exists() and done.out.exists() and stranger.exists()


def test_a_row_count_that_does_not_belong_to_its_part(pool, done):
    change(done.path, "UPDATE items SET rows = 9 WHERE position = 1")
    with pytest.raises(lw.SinkError, match="not what was committed"):
        done.run(pool)
    assert done.run(pool).rows == 6


# -- strangers --


def test_a_folder_of_somebody_else_is_not_cleaned(pool, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    part = victim / f"{'0' * 24}.jsonl"
    part.write_text("precious")
    (tmp_path / "ledger.parts").symlink_to(victim)
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
    with pytest.raises(lw.errors.RecoveryError, match="no directory") as caught:
        job.run(pool, [{"count": 1}])
    assert caught.value.reason == "untrusted" and os.listdir(victim) == [part.name]
    (tmp_path / "ledger.parts").unlink()
    (tmp_path / "ledger.parts").mkdir()
    (tmp_path / "ledger.parts").chmod(0o777)
    with pytest.raises(lw.errors.RecoveryError, match="others can write to it"):
        job.run(pool, [{"count": 1}])
    (tmp_path / "ledger.parts").chmod(0o755)
    (tmp_path / "ledger.parts" / ".lock").symlink_to(part)
    with pytest.raises(lw.SinkError, match="symbolic links"):
        job.run(pool, [{"count": 1}])
    assert part.read_text() == "precious"


@pytest.mark.parametrize("how", ["mode", "link", "owner", "journal"])
def test_a_ledger_of_somebody_else_runs_nothing(pool, done, tmp_path, how):
    if how in ("owner", "journal") and not IS_ROOT:
        pytest.skip("making files of other users takes root")
    if how == "mode":
        done.path.chmod(0o666)
    elif how == "link":
        os.link(done.path, tmp_path / "second")
    elif how == "owner":
        os.chown(done.path, 65534, 65534)
    else:
        beside = done.path.with_name("ledger-journal")
        beside.write_text("")
        os.chown(beside, 65534, 65534)
    with pytest.raises(lw.errors.RecoveryError, match="somebody else could have written it") as caught:
        done.run(pool)
    assert caught.value.reason == "untrusted"
    if how != "mode":
        return
    outcome = cli("job", "resume", str(done.path))
    assert outcome.returncode == 1 and "somebody else could have written it" in outcome.stderr


# -- outputs --


def test_a_misspelt_command_replaces_nothing(pool, done):
    job = lw.Job(done.path, lw.StreamingCommand("rowz"), FUNCTIONS, out=done.out)
    with pytest.raises(lw.errors.UnknownCommand, match="rowz"):
        job.run(pool, [{"count": count} for count in range(50)])
    assert done.out.read_text() == lines(1, 2, 3)
    report = job.report()
    assert (report.done, report.due, report.quarantined) == (0, 50, [])
    assert done.run(pool, [{"count": count} for count in (1, 2, 3)]).ran == 0


def test_a_misspelt_command_on_the_command_line(tmp_path):
    requests, out = tmp_path / "requests", tmp_path / "out"
    requests.write_text('{"count":1}\n{"count":2}\n')
    out.write_text("old\n")
    arguments = ["--requests", str(requests), "--out", str(out)]
    outcome = cli("job", "run", str(tmp_path / "ledger"), "python:functions:COMMANDS", "rowz", *arguments)
    assert outcome.returncode != 0 and "rowz" in outcome.stderr and out.read_text() == "old\n"
    outcome = cli("run", "python:functions:COMMANDS", "rowz", "--out", str(out))
    assert outcome.returncode != 0 and "rowz" in outcome.stderr and out.read_text() == "old\n"
    refusing = ["python:functions:COMMANDS", "fail_after_rows", *arguments]
    outcome = cli("job", "run", str(tmp_path / "other"), *refusing)
    assert outcome.returncode == 1 and out.read_text() == "old\n" and "was not replaced" in outcome.stderr
    outcome = cli("job", "run", str(tmp_path / "other"), *refusing, "--allow-incomplete")
    assert outcome.returncode == 1 and out.read_text() == ""


def test_a_complete_output_is_not_replaced_by_an_incomplete_one(pool, done, tmp_path):
    poison = {"how": "SIGKILL", "count": 1}
    requests = [{"count": 1}, poison]
    kept = done.out.read_text()
    job = lw.Job(tmp_path / "other", DIE, FUNCTIONS, out=done.out, max_deaths=1)
    report = job.run(pool, requests)
    assert (report.out, report.done, len(report.quarantined)) == (None, 1, 1) and done.out.read_text() == kept
    # Where nothing is there is something to gain, and nothing to lose.
    done.out.unlink()
    assert job.run(pool).out == str(done.out) and done.out.read_text() == '{"i":0}\n'
    # It may be replaced by one that is no less complete, which this job can tell of its own only.
    assert job.run(pool, [*requests, {"count": 2}]).out == str(done.out)
    assert done.out.read_text() == '{"i":0}\n' * 2 + '{"i":1}\n'
    assert job.run(pool, requests).out is None
    assert lw.Job(tmp_path / "other", DIE, FUNCTIONS, out=done.out, allow_incomplete=True).run(pool).out
    assert done.out.read_text() == '{"i":0}\n'
    done.out.write_text("of somebody else\n")
    assert job.run(pool).out is None
    assert done.run(pool).out == str(done.out) and done.out.read_text() == kept  # complete


@pytest.mark.parametrize("where", ["ledger", "link", "ledger-wal", "ledger.parts/out"])
def test_an_output_does_not_replace_the_ledger(pool, done, tmp_path, where):
    out = tmp_path / where
    if where == "link":
        out.symlink_to(done.path)
    job = lw.Job(done.path, ROWS, FUNCTIONS, out=out)
    with pytest.raises(lw.UsageError, match="one of its own files"):
        job.run(pool)
    assert job.report().is_complete and done.run(pool).ran == 0


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("is_there", [False, pytest.param(True, marks=pytest.mark.skipif(IS_ROOT, reason="root may"))])
def test_an_output_that_cannot_be_written_is_refused_before_the_first_item(pool, tmp_path, is_there, ending):
    folder = tmp_path / "folder"
    if is_there:
        folder.mkdir(mode=0o500)
    out = folder / f"out.{ending}"
    if ending == "jsonl":
        with pytest.raises(lw.SinkError, match="opening"):
            lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS, out=out).run(pool, [{"count": 1}])
    (tmp_path / "requests").write_text('{"count":1}\n')
    arguments = ["ledger", "python:functions:COMMANDS", "rows", "--requests", "requests", "--out", str(out)]
    outcome = cli("job", "run", *arguments, cwd=tmp_path)
    assert outcome.returncode == 1 and str(folder) in outcome.stderr, outcome.stderr
    assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced", "folder"])
def test_a_ledger_that_vanishes_meanwhile_is_told(pool, tmp_path, how):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)

    def vanish(progress):
        if progress.done != 2:
            return
        if how == "removed":
            job.path.unlink()
        elif how == "renamed":
            job.path.rename(tmp_path / "other")
        elif how == "replaced":
            shutil.copy(job.path, tmp_path / "other")
            (tmp_path / "other").rename(job.path)
        else:
            # Another item may be at work there: its part comes and goes.
            unfinished = shutil.ignore_patterns("*.part")
            shutil.copytree(tmp_path / "ledger.parts", tmp_path / "other", ignore=unfinished)
            (tmp_path / "ledger.parts").rename(tmp_path / "before")
            (tmp_path / "other").rename(tmp_path / "ledger.parts")

    requests = [{"count": count} for count in (1, 2, 3)]
    with pytest.raises(lw.SinkError, match="removed or replaced" if how != "folder" else None):
        job.run(pool, requests, on_done=vanish)
    assert job.run(pool, requests).is_complete and len(job.parts()) == 3


def test_a_ledger_that_is_replaced_at_any_moment_is_told(tmp_path):
    said = set()
    for attempt in range(60):
        path, other = tmp_path / f"ledger{attempt}", tmp_path / f"other{attempt}"
        with contextlib.suppress(lw.SinkError), Ledger(path, for_work=True) as ledger:
            ledger.keep("fact", "0")
            shutil.copy(path, other)
            replacing = threading.Timer(random.uniform(0, 0.02), other.rename, [path])
            replacing.start()
            try:
                for number in range(10_000):
                    ledger.keep("fact", str(number))
            except lw.SinkError as error:
                said.add(error.text.partition(": ")[2].partition(" meanwhile")[0])
            replacing.join()
    assert said == {"it was removed or replaced"}


@pytest.mark.parametrize("how", ["an older state", "another database", "text", "log removed", "log replaced"])
def test_a_ledger_that_is_overwritten_meanwhile_is_told(pool, tmp_path, how):
    """In place, under its own inode: SQLite does not look at a file again that nobody else may write to."""
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
    requests = [{"count": count} for count in range(1, 7)]
    job.run(pool, requests[:3])
    older = job.path.read_bytes()
    other = tmp_path / "other"
    change(other, "CREATE TABLE mine (x); INSERT INTO mine VALUES (1);")
    written = {"an older state": older, "another database": other.read_bytes(), "text": b"no database\n" * 1000}
    log = job.path.with_name("ledger-wal")

    def overwrite(progress):
        if progress.done != 2:
            return
        if how in written:
            with open(job.path, "r+b") as file:
                file.truncate()
                file.write(written[how])
        elif how == "log removed":
            log.unlink()
        else:
            shutil.copy(log, other)
            other.rename(log)

    with pytest.raises(lw.SinkError, match="meanwhile by another program|removed or replaced"):
        job.run(pool, requests, on_done=overwrite)
    if how in written:
        assert job.path.read_bytes() == written[how], "what the other program wrote stays"
    if how in ("another database", "text"):
        with pytest.raises((lw.UsageError, lw.SinkError)):
            job.run(pool, requests)
        assert job.path.read_bytes() == written[how]
        job.path.unlink()
    assert job.run(pool, requests).is_complete and len(job.parts()) == 6


@pytest.mark.parametrize("does", ["retry", "report"])
def test_others_may_use_a_ledger_while_it_works(pool, tmp_path, does):
    job = lw.Job(tmp_path / "ledger", ROWS, FUNCTIONS)
    script = (
        "import sqlite3, sys, lean_worker as lw\nfrom support import FUNCTIONS\n"
        f"job = lw.Job({str(job.path)!r}, lw.StreamingCommand('rows'), FUNCTIONS)\n"
        f"print(job.{does}())\n"
        "database = sqlite3.connect(sys.argv[1], timeout=60)\n"
        "with database:\n    database.execute(\"INSERT OR REPLACE INTO facts VALUES ('mine', '1')\")\n"
    )
    environment = {**os.environ, "PYTHONPATH": IMPORTABLE}

    def use(progress):
        if progress.done == 2:
            subprocess.run([sys.executable, "-c", script, job.path], check=True, env=environment, timeout=60)

    assert job.run(pool, [{"count": count} for count in range(1, 7)], on_done=use).is_complete


def test_what_another_connection_wrote_is_no_loss(tmp_path):
    path = tmp_path / "database"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("CREATE TABLE mine (x)")
        watch = Watch(database, path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("INSERT INTO mine VALUES (1)")
            other.execute("PRAGMA wal_checkpoint(FULL)")
        assert watch.why_lost() is None
        database.execute("INSERT INTO mine VALUES (randomblob(5000000))")
        before = path.stat().st_size
        watch.note()  # makes a checkpoint of so large a log
        assert watch.why_lost() is None and path.stat().st_size > before + 4_000_000
        os.utime(path, (1, 1))
        assert watch.why_lost() == "it was overwritten"


def test_no_requests_replace_nothing(pool, done):
    used = iter([{"count": 1}])
    list(used)
    with pytest.raises(lw.UsageError, match="there are no requests"):
        done.run(pool, used)
    assert done.out.read_text() == lines(1, 2, 3) and done.report().total == 3
    job = lw.Job(done.path, ROWS, FUNCTIONS, out=done.out, allow_incomplete=True)
    assert job.run(pool, []).total == 0 and done.out.read_text() == ""
    assert lw.Job(done.path, ROWS, FUNCTIONS, out=done.out).run(pool, []).total == 0


def test_parts_that_vanish_while_the_output_is_written(pool, done):
    done.keep_parts = True
    requests = [{"count": count} for count in (1, 3000, 3001)]
    done.run(pool, requests)
    parts = done.parts()
    parts[1].unlink()
    assert done.run(pool).ran == 1
    shutil.rmtree(parts[1].parent)
    assert done.run(pool).ran == 2 and done.out.read_text() == lines(1, 3000, 3001)  # the output has the first
    done.out.unlink()
    assert done.run(pool).ran == 1 and done.out.read_text() == lines(1, 3000, 3001)


@pytest.mark.parametrize("seed", range(2))
def test_any_damage(pool, tmp_path, seed):
    """A model: whatever value stands in a ledger, a run either tells or ends with the whole output."""
    choose = random.Random(seed)
    path, out = tmp_path / "ledger", tmp_path / "out"
    job = lw.Job(path, ROWS, FUNCTIONS, out=out)
    job.run(pool, [{"count": count} for count in (1, 2, 3)])
    whole, outcomes = path.read_bytes(), set()
    columns = ["key", "position", "request", "state", "deaths", "part", "rows", "size_bytes", "digest", "elapsed_us"]
    values = ["NULL", "''", "0", "1", "-1", "1e9", "'done'", "'due'", "x'00'", "'../out'", "position", "part", "state"]
    for _ in range(15):
        column, value = choose.choice(columns), choose.choice(values)
        path.write_bytes(whole)
        try:
            change(path, f"UPDATE items SET {column} = {value} WHERE position = {choose.randrange(3)}")
        except sqlite3.Error:
            continue  # SQLite itself refuses
        out.write_text("old\n")
        try:
            report = job.run(pool)
            expected = lines(1, 2, 3) if column != "request" else None
            assert report.total == 3
            assert report.out is None or expected is None or out.read_text() == expected, (column, value)
            outcomes.add("whole")
        except lw.errors.RecoveryError:
            assert out.read_text() == "old\n"
            outcomes.add("told")
        except lw.LeanWorkerError:
            assert out.read_text() == "old\n"
    assert "told" in outcomes


@pytest.mark.parametrize("lie", ["", "digest", "size", "cut", "nothing"])
def test_a_part_from_a_node_is_the_one_that_was_written_there(tmp_path, lie):
    from lean_worker.distributed.lease import _brought_home

    text = b'{"i":0}\n' * 1000
    part = Part("/there", 1000, len(text), hashlib.sha256(text).hexdigest(), 1, "null")
    if lie == "digest":
        part = dataclasses.replace(part, digest="0" * 64)
    if lie == "size":
        part = dataclasses.replace(part, size_bytes=1)
    answers = [("bytes", text[:5]), ("bytes", text[5:]), ("part", part)]
    if lie == "cut":
        answers.pop(1)
    if lie == "nothing":
        answers.pop()
    home = tmp_path / f"{'0' * 24}.jsonl"
    if lie:
        with pytest.raises(lw.SinkError, match="not those of the part"):
            _brought_home(iter(answers), home)
        assert os.listdir(tmp_path) == []
    else:
        assert _brought_home(iter(answers), home).path == str(home) and home.read_bytes() == text
        assert os.listdir(tmp_path) == [home.name]


def test_a_ledger_is_made_as_a_whole_with_its_first_facts_or_not_at_all(tmp_path):
    class Interrupted(dict):
        def items(self):
            yield from super().items()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ledger(tmp_path / "ledger", for_work=True, facts=Interrupted(a="1"))
    with pytest.raises(lw.UsageError, match="nothing is stored in it yet"):
        Ledger(tmp_path / "ledger", for_work=False)
    Ledger(tmp_path / "ledger", for_work=True, facts={"a": "2"}).close()
    with Ledger(tmp_path / "ledger", for_work=False) as ledger:
        assert (ledger.fact("a"), ledger.has_requests()) == ("2", False)
    with Ledger(tmp_path / "ledger", for_work=True, facts={"a": "3"}) as ledger:
        ledger.ask_for([])
        assert (ledger.fact("a"), ledger.has_requests()) == ("2", True)


# -- the pool is closed meanwhile --


def run_until(job, has_come_so_far):
    """Run the job's item until that is so, close the pool, and return the run's errors."""
    pool, errors = lw.Pool(), []

    def run():
        try:
            job.run(pool, [1])
        except lw.LeanWorkerError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: has_come_so_far(pool))
    pool.close(drain=0)
    thread.join()
    return errors


@pytest.mark.parametrize("when", ["starting", "running"])
def test_closing_the_pool_is_no_death_of_the_item(tmp_path, fake_worker, when):
    is_running = when == "running"
    fake = fake_worker({"rows": [Row(1), *([Gate()] if is_running else [])]}, startup=[] if is_running else [Gate()])
    job = lw.Job(tmp_path / "ledger", ROWS, fake, out=tmp_path / "out", max_deaths=1)
    for number in (1, 2):
        errors = run_until(
            job,
            lambda pool, number=number: (
                len(fake.requests) == number if is_running else any(each.pid for each in list(pool._core.workers))
            ),
        )
        assert [error.pool_is_closed for error in errors] == [True]
        assert [(item.state, item.deaths) for item in job.items()] == [("due", 0)]
    fake.open_gate()
    with lw.Pool() as pool:
        assert job.run(pool, [1]).ran == 1


def test_a_closed_pool_makes_no_ledger(tmp_path):
    with lw.Pool() as pool:
        pass
    job = lw.Job(tmp_path / "job.db", lw.StreamingCommand("rows"), FUNCTIONS)
    with pytest.raises(lw.UsageError, match="running the job .*: the pool is closed"):
        job.run(pool, [1])
    assert not any(tmp_path.iterdir())
