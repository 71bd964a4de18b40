"""Sinks: all rows or none, in each way in which a request or a store can fail."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading

import msgspec
import pyarrow.parquet
import pytest

import lean_worker as lw
from lean_worker import sinks
from lean_worker.results import StreamSummary
from lean_worker.sinks.sink_set import SinkSet
from support import FUNCTIONS, HOSTS, IMPORTABLE


class Row(msgspec.Struct):
    i: int
    name: str = ""


ROWS = lw.StreamingCommand("rows", row=Row)
TEXTS = lw.ProcessCapability([sys.executable, str(HOSTS / "texts.py")])


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2) as pool:
        yield pool


@pytest.fixture
def lease(pool):
    with pool.lease(FUNCTIONS) as lease:
        yield lease


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_table(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [{"i": i, "name": name} for i, name in database.execute("SELECT i, name FROM rows ORDER BY rowid")]


def read_parquet(path):
    return pyarrow.parquet.read_table(path).to_pylist()


KINDS = {
    "json_lines": (lw.sinks.JsonLinesSink, "rows.jsonl", read_lines),
    "sqlite": (lw.sinks.SqliteSink, "rows.db", read_table),
    "parquet": (lw.sinks.ParquetSink, "rows.parquet", read_parquet),
}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    make, name, read = KINDS[request.param]
    return make, tmp_path / name, read


def rows_of(count):
    return [{"i": i, "name": f"Fixture.decl_{i}"} for i in range(count)]


def worker_pid(lease):
    return lease.call(lw.JsonCommand("about_me"))["pid"]


def test_all_rows_after_success(lease, kind):
    make, path, read = kind
    summary = lease.run(ROWS, {"count": 5000}, sink=make(path))
    assert (summary.total_rows, summary.metadata) == (5000, {"emitted": 5000})
    assert read(path) == rows_of(5000)
    lease.run(ROWS, {"count": 3}, sink=make(path))
    assert read(path) == rows_of(3)
    lease.run(ROWS, {"count": 0}, sink=make(path))
    assert read(path) == []
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("old", [False, True])
def test_a_failure_changes_nothing_and_the_worker_stays(lease, kind, old):
    make, path, read = kind
    pid = worker_pid(lease)
    if old:
        lease.run(ROWS, {"count": 3}, sink=make(path))
    with pytest.raises(lw.CommandFailed, match="half way"):
        lease.run(lw.StreamingCommand("fail_after_rows", row=Row), sink=make(path))
    cancel = lw.CancelToken()
    threading.Timer(0.05, cancel.cancel).start()
    with pytest.raises(lw.Cancelled):
        lease.run(lw.StreamingCommand("endless", row=Row), sink=make(path), cancel=cancel)
    assert os.listdir(path.parent) == ([path.name] if old else [])
    assert not old or read(path) == rows_of(3)
    assert worker_pid(lease) == pid


def test_a_worker_that_dies_or_hangs_changes_nothing(pool, kind):
    make, path, _ = kind
    with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.ChildExited):
        lease.run(lw.StreamingCommand("die", row=Row), {"how": "SIGKILL", "rows": 100}, sink=make(path))
    with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.RequestTimeout):
        lease.run(lw.StreamingCommand("row_then_hang", row=Row), sink=make(path), timeout=0.2)
    assert os.listdir(path.parent) == []


def test_a_wrong_row_changes_nothing(lease, tmp_path):
    command = lw.StreamingCommand("wrong_type", row=Row)
    for make, name, _ in list(KINDS.values())[1:]:
        with pytest.raises(lw.DecodeError) as caught:
            lease.run(command, sink=make(tmp_path / name))
        assert (caught.value.stream, caught.value.sequence) == ("rows", 1)
    # JSON lines hold texts, whatever their type.
    lease.run(command, sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"))
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_lines_are_the_texts_themselves(pool, tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = [
        '{"b":1.50e+00,"a":123456789012345678901234567890}',
        '{"é": "∀\\n"}',
        '[1,\n  {"x":\r\n 2}\n]',
        "null",
        '"a\\r"',
    ]
    with pool.lease(TEXTS) as lease:
        lease.run(lw.StreamingCommand("any"), texts, sink=lw.sinks.JsonLinesSink(path))
    assert path.read_text() == "".join(text.replace("\n", "").replace("\r", "") + "\n" for text in texts)


@pytest.mark.parametrize("text", ["{", "01", "1 2", "[1,]", '"\t"'])
def test_what_is_no_json_is_refused(pool, tmp_path, text):
    with pool.lease(TEXTS) as lease, pytest.raises(lw.LeanWorkerError) as caught:
        lease.run(lw.StreamingCommand("any"), ["1", text, "2"], sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"))
    assert isinstance(caught.value, (lw.ProtocolError, lw.DecodeError))
    assert os.listdir(tmp_path) == []


# -- appending --


def test_append(lease, tmp_path):
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.db"
    for count in (2, 3):
        lease.run(ROWS, {"count": count}, sink=lw.sinks.JsonLinesSink(lines, mode="append"))
        lease.run(ROWS, {"count": count}, sink=lw.sinks.SqliteSink(table, mode="append"))
    assert read_lines(lines) == read_table(table) == rows_of(2) + rows_of(3)
    lines.write_text('{"i":9}')  # no line end
    lease.run(ROWS, {"count": 1}, sink=lw.sinks.JsonLinesSink(lines, mode="append"))
    assert read_lines(lines) == [{"i": 9}, *rows_of(1)]


def test_an_append_does_not_lose_what_another_wrote_meanwhile(lease, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("1\n")

    def write(row):
        path.write_text("1\n2\n")

    command = lw.StreamingCommand("two_streams")
    with pytest.raises(lw.SinkError, match="somebody else changed it"):
        lease.run(command, sink={"left": lw.sinks.JsonLinesSink(path, mode="append"), "right": write})
    assert path.read_text() == "1\n2\n"
    assert os.listdir(tmp_path) == ["rows.jsonl"]


class AtMoment:
    """Does something at one of the moments at which this thread calls or returns while it opens a sink."""

    def __init__(self, number, does):
        self.left = number
        self._does = does

    def _on_event(self, frame, event, argument):
        self.left -= 1
        if self.left == 0:
            self._does()

    def __enter__(self):
        sys.setprofile(self._on_event)

    def __exit__(self, *_):
        sys.setprofile(None)


@pytest.mark.parametrize("how", ["replaces", "continues"])
def test_an_append_is_told_of_another_one_at_any_moment_while_it_opens(tmp_path, how):
    path, other = tmp_path / "rows.jsonl", tmp_path / "other"

    def append():
        if how == "continues":
            with open(path, "a") as file:
                file.write("2\n")
        else:
            other.write_text(f"{path.read_text()}2\n")
            os.replace(other, path)

    outcomes = []
    for number in itertools.count(1):
        path.write_text("1\n")
        moment = AtMoment(number, append)
        opened = SinkSet(sinks.JsonLinesSink(path, mode="append"), lw.StreamingCommand("rows"))
        try:
            with moment:
                opened.open()
            if moment.left > 0:
                break  # it has seen all
            opened._open[""].write([msgspec.Raw(b"3")], 1)
            opened.commit(StreamSummary(1, {"rows": 1}, 0, None))
            outcomes.append((number, path.read_text() == "1\n2\n3\n"))
        except lw.SinkError as error:
            assert "somebody else changed it" in str(error)
            outcomes.append((number, path.read_text() == "1\n2\n"))
        finally:
            opened.close()
    assert len(outcomes) > 20 and all(is_right for _, is_right in outcomes), outcomes
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_an_append_does_not_replace_a_file_that_came_meanwhile(lease, tmp_path):
    path = tmp_path / "rows.jsonl"
    command = lw.StreamingCommand("two_streams")
    with pytest.raises(lw.SinkError, match="somebody else changed it"):
        lease.run(
            command,
            sink={"left": lw.sinks.JsonLinesSink(path, mode="append"), "right": lambda row: path.write_text("1\n")},
        )
    assert path.read_text() == "1\n"
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_replacing_a_table_keeps_its_indexes_and_the_other_tables(lease, tmp_path):
    path = tmp_path / "rows.db"
    lease.run(ROWS, {"count": 2}, sink=lw.sinks.SqliteSink(path))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE INDEX by_name ON rows(name); CREATE TABLE mine(x); INSERT INTO mine VALUES (7);")
    lease.run(ROWS, {"count": 4}, sink=lw.sinks.SqliteSink(path))
    with contextlib.closing(sqlite3.connect(path)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        assert names == {"rows", "by_name", "mine"} and list(database.execute("SELECT x FROM mine")) == [(7,)]
    assert read_table(path) == rows_of(4)


def test_names_and_modes_of_files(lease, tmp_path):
    real, link = tmp_path / ("é" * 120 + ".jsonl"), tmp_path / "link"
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to(real.name)
    lease.run(ROWS, {"count": 1}, sink=lw.sinks.JsonLinesSink(link))
    assert link.is_symlink() and read_lines(real) == rows_of(1)
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        lease.run(ROWS, {"count": 1}, sink=lw.sinks.JsonLinesSink(tmp_path / "new"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


# -- several sinks --

TWO = lw.StreamingCommand("two_streams")


def test_streams_to_their_own_sinks(lease, tmp_path):
    left, right = tmp_path / "left.jsonl", tmp_path / "there" / "right.parquet"
    right.parent.mkdir()
    seen = []
    lease.run(
        TWO, sink={"left": lw.sinks.JsonLinesSink(left), "right": lw.sinks.ParquetSink(right), "third": seen.append}
    )
    assert read_lines(left) == [{"n": 0}, {"n": 2}]
    assert read_parquet(right) == [{"stream": "right", "sequence": 0, "payload": '{"n":1}'}]
    lease.run(TWO, sink={"left": seen.append, "right": None})
    assert [row.payload for row in seen] == [{"n": 0}, {"n": 2}]
    lease.run(TWO, sink=lw.sinks.JsonLinesSink(left, with_stream=True))
    assert [(line["stream"], line["row"]["n"]) for line in read_lines(left)] == [("left", 0), ("right", 1), ("left", 2)]
    assert sorted(os.listdir(tmp_path)) == ["left.jsonl", "there"] and os.listdir(right.parent) == ["right.parquet"]


def test_tables_of_one_database_are_one_transaction(lease, tmp_path):
    path = tmp_path / "rows.db"
    lease.run(TWO, sink={"left": lw.sinks.SqliteSink(path, "left"), "right": lw.sinks.SqliteSink(path, "right")})
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert list(database.execute("SELECT payload FROM left")) == [('{"n":0}',), ('{"n":2}',)]
        assert list(database.execute("SELECT payload FROM right")) == [('{"n":1}',)]
        assert len(list(database.execute("SELECT name FROM sqlite_master"))) == 2
    assert os.listdir(tmp_path) == ["rows.db"]


def test_one_that_cannot_commit_calls_all_off(lease, tmp_path):
    path, lines = tmp_path / "rows.db", tmp_path / "left.jsonl"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE right (other)")
    lines.write_text("old\n")
    events = []
    watcher = lw.sinks.CallableSink(
        events.append, lambda summary: events.append("commit"), lambda: events.append("abort")
    )
    choice = {
        "left": lw.sinks.JsonLinesSink(lines),
        "right": lw.sinks.SqliteSink(path, "right", mode="append"),
        "none": watcher,
    }
    with pytest.raises(lw.SinkError, match="no column named") as caught:
        lease.run(TWO, sink=choice)
    assert (caught.value.doing, caught.value.is_decided, caught.value.path) == ("committing", False, str(path))
    assert "ADD COLUMN" in caught.value.hint
    assert lines.read_text() == "old\n" and sorted(os.listdir(tmp_path)) == ["left.jsonl", "rows.db"]
    assert events == ["commit", "abort"]

    def refuse(summary):
        raise KeyError("no")

    choice = {
        "left": lw.sinks.JsonLinesSink(lines),
        "right": lw.sinks.CallableSink(events.append, refuse, lambda: events.append("off")),
    }
    with pytest.raises(KeyError):
        lease.run(TWO, sink=choice)
    assert events[-1] == "off" and lines.read_text() == "old\n"
    assert worker_pid(lease)


def test_wrong_choices(lease, tmp_path):
    path = tmp_path / "rows.jsonl"
    cases = [
        ({"left": lw.sinks.JsonLinesSink(path)}, "the stream 'right', which has no sink"),
        ({"left": lw.sinks.JsonLinesSink(path), "right": lw.sinks.JsonLinesSink(path)}, "two sinks write to"),
        (str(path), "A path is no sink"),
        ({}, "empty mapping"),
    ]
    for choice, words in cases:
        with pytest.raises(lw.UsageError, match=words):
            lease.run(TWO, sink=choice)
    with pytest.raises(lw.UsageError, match="either on_row or sink"):
        lease.run(TWO)
    with pytest.raises(lw.UsageError, match="either on_row or sink"):
        lease.run(TWO, sink=print, on_row=print)
    with pytest.raises(lw.UsageError, match="expected mode"):
        lw.sinks.JsonLinesSink(path, mode="x")
    with pytest.raises(lw.UsageError, match="table's name"):
        lw.sinks.SqliteSink(path, "")
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/3"):
        for kind in (lw.sinks.JsonLinesSink, lw.sinks.SqliteSink, lw.sinks.ParquetSink):
            with pytest.raises(lw.UsageError, match="stands for an open one"):
                kind(name)
    for name in (":memory:", "file:rows.db?mode=memory"):
        with pytest.raises(lw.UsageError, match="expected the name of a file"):
            lw.sinks.SqliteSink(name)
    for kind in (lw.sinks.JsonLinesSink, lw.sinks.SqliteSink, lw.sinks.ParquetSink):
        with pytest.raises(lw.UsageError, match="that of a directory"):
            kind("rows/")
        with pytest.raises(lw.UsageError, match="that of a directory"):
            kind(tmp_path)
    with pytest.raises(lw.UsageError, match="row_group_rows"):
        lw.sinks.ParquetSink(path, row_group_rows=0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("by_stream", [False, True])
def test_no_row_reaches_a_function_after_a_cancel(lease, by_stream):
    cancel, seen = lw.CancelToken(), []

    def on_row(row):
        seen.append(row)
        if len(seen) == 3:
            cancel.cancel()

    with pytest.raises(lw.Cancelled):
        lease.run(ROWS, {"count": 1000}, sink={"rows": on_row} if by_stream else on_row, cancel=cancel)
    assert len(seen) == 3


# -- stores that refuse --


def test_places_that_cannot_be_written(lease, kind, tmp_path):
    make, path, _ = kind
    pid = worker_pid(lease)
    (tmp_path / "file").write_text("")
    later = make(tmp_path / "directory")
    (tmp_path / "directory").mkdir()
    places = [("none/x", errno.ENOENT), ("file/x", errno.ENOTDIR), ("directory", errno.EINVAL)]
    for place, number in places:
        with pytest.raises(lw.SinkError) as caught:
            lease.run(ROWS, {"count": 1}, sink=later if place == "directory" else make(tmp_path / place))
        assert caught.value.doing == "opening" and caught.value.is_decided is False
        assert caught.value.errno in (number, None)  # SQLite has words only
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]
    assert worker_pid(lease) == pid


def test_a_directory_without_permission(lease, kind, tmp_path):
    make, path, _ = kind
    is_root = os.geteuid() == 0
    tmp_path.chmod(0o555)
    if is_root:
        os.seteuid(65534)
    try:
        with pytest.raises(lw.SinkError) as caught:
            lease.run(ROWS, {"count": 1}, sink=make(path))
    finally:
        if is_root:
            os.seteuid(0)
        tmp_path.chmod(0o755)
    assert caught.value.errno == errno.EACCES
    assert os.listdir(tmp_path) == []


FULL_DISK = """
import json, os, resource, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
import lean_worker as lw
from test_sinks import KINDS, ROWS, FUNCTIONS, worker_pid
make, name, read = KINDS[sys.argv[2]]
with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
    lease.run(ROWS, {"count": 10}, sink=make(name))
    before, pid = read(__import__("pathlib").Path(name)), worker_pid(lease)
    # No file of this process may grow any further: what a full disk does to it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    try:
        lease.run(ROWS, {"count": 200_000}, sink=make(name))
    except lw.SinkError as error:
        told = {"doing": error.doing, "errno": error.errno, "text": error.text}
    print(json.dumps(told | {
        "same": read(__import__("pathlib").Path(name)) == before, "files": os.listdir("."), "warm": worker_pid(lease) == pid
    }))
"""


@pytest.mark.once
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(kind, tmp_path):
    command = [sys.executable, "-c", FULL_DISK, IMPORTABLE, kind]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    assert told["same"] and told["warm"] and told["files"] == [KINDS[kind][1]]
    assert told["doing"] == "writing" and (told["errno"] == errno.EFBIG or kind == "sqlite"), told


def test_what_is_no_database(lease, tmp_path):
    path = tmp_path / "rows.db"
    path.write_text("no database " * 100)
    with pytest.raises(lw.SinkError, match="not a database"):
        lease.run(ROWS, {"count": 1}, sink=lw.sinks.SqliteSink(path))
    assert os.listdir(tmp_path) == ["rows.db"]


# -- leftovers --

HOLDER = """
import sys, time
from pathlib import Path
from lean_worker.sinks.parts import PartFile
part = PartFile(Path(sys.argv[1]), "0123456789abcdef", 1)
print(part.path, flush=True)
sys.stdin.read()
"""


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(lease, tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "other.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        part = process.stdout.readline().strip()
        mine = tmp_path / ".notes.part"  # not of our making
        mine.write_text("")
        lease.run(ROWS, {"count": 1}, sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"))
        assert os.path.exists(part)
        process.kill()
        process.wait()
        assert os.path.exists(part)
        lease.run(ROWS, {"count": 1}, sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"))
        assert sorted(os.listdir(tmp_path)) == [".notes.part", "rows.jsonl"]
    sinks.recover(tmp_path)
    with pytest.raises(lw.SinkError, match="No such file"):
        sinks.recover(tmp_path / "none")


DIES_DECIDED = """
import os, signal, sys
from pathlib import Path
import sink_crashes
from lean_worker.sinks import commit

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

commit._perform = die  # after the decision, before the first action
sink_crashes.store(Path(sys.argv[1]), b"2")
"""


@pytest.mark.parametrize("how", ["finished", "called off", "without a directory"])
def test_a_commit_that_was_decided(tmp_path, how):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    outcome = subprocess.run([sys.executable, "-c", DIES_DECIDED, str(tmp_path)], env=with_tests())
    assert outcome.returncode == -signal.SIGKILL
    assert not (one / "a.jsonl").exists() and any(name.endswith(".commit") for name in os.listdir(two))
    if how == "called off":
        with contextlib.closing(sqlite3.connect(one / "c.db")) as database:
            database.execute("CREATE TABLE c (other)")
    if how == "without a directory":
        shutil.rmtree(two)
        sinks.recover(one)
        assert (one / "a.jsonl").read_text() == "2\n" * 3
        return
    sinks.recover(two)  # from the pointer to the journal
    assert how == "called off" or (two / "b.jsonl").read_text() == (one / "a.jsonl").read_text()
    sinks.recover(one)
    found = sorted(os.listdir(one) + os.listdir(two))
    assert found == (["c.db"] if how == "called off" else ["a.jsonl", "b.jsonl", "c.db"])


def with_tests():
    return os.environ | {"PYTHONPATH": os.pathsep.join([IMPORTABLE, os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize("ending", [".gz", ".jsonl.zst", ".csv", ".parquet", ".db", ".jsonl", ".PARQUET", ".tar.xz"])
@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lw.sinks.JsonLinesSink, [".jsonl"]),
        (lw.sinks.ParquetSink, [".parquet", ".PARQUET"]),
        (lw.sinks.SqliteSink, [".db"]),
        (
            lambda path: lw.Job(f"{path}.ledger", lw.StreamingCommand("c"), lw.LeanCapability("a.lean"), out=path),
            [".jsonl"],
        ),
    ],
    ids=["lines", "parquet", "sqlite", "job"],
)
def test_no_file_has_the_name_of_another_format(tmp_path, ending, make, own):
    path = tmp_path / f"rows{ending}"
    if ending in own:
        make(path)
        return
    with pytest.raises(lw.UsageError, match=path.name) as caught:
        make(path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
