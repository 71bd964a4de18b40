"""A process deletes only what it created, and a commit that would store nothing is an error."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import shutil
import sqlite3
import sys

import msgspec
import pyarrow.parquet
import pytest

import lean_worker as lw
from lean_worker.base import removal
from lean_worker.batch.ledger import Ledger, NewItem
from lean_worker.hosting import temporary
from lean_worker.pool.snapshot_server import SnapshotServer
from storing import ROWS, Stored, files, store
from support import FUNCTIONS

MAKERS = {"jsonl": lw.sinks.JsonLinesSink, "db": lw.sinks.SqliteSink, "parquet": lw.sinks.ParquetSink}


class Row(msgspec.Struct):
    i: int
    name: str = ""


TYPED = lw.StreamingCommand("rows", row=Row)


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=1) as pool:
        yield pool


@pytest.fixture(params=MAKERS)
def kind(request, tmp_path):
    return MAKERS[request.param], tmp_path / "out" / f"rows.{request.param}"


def rows_in(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [{"i": i, "name": name} for i, name in database.execute("SELECT i, name FROM rows ORDER BY rowid")]


def in_child(function):
    """Run in a forked child, which ends as programs end: with its frames unwound and its finalizers run."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            function()
            code = 0
        except SystemExit:
            code = 0
            raise
        finally:
            gc.collect()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# -- parts that somebody else touches --


def removed(part):
    part.unlink()


def replaced(part):
    shutil.copy(part, part.with_name("copy"))
    os.replace(part.with_name("copy"), part)


def cut(part):
    os.truncate(part, part.stat().st_size // 2)


def extended(part):
    with part.open("ab") as file:
        file.write(b'{"i":0}\n')


def written(choice):
    """Whether the part is written as rows come, and not as a whole at the end, as SQLite does."""
    return not isinstance(choice["a"], lw.sinks.SqliteSink)


def linked(part):
    os.link(part, part.with_name("second"))


def moved_away(part):
    part.parent.rename(part.parent.with_name("elsewhere"))
    part.parent.mkdir()


@pytest.mark.parametrize("harm", [removed, replaced, cut, extended, linked, moved_away])
@pytest.mark.parametrize("moment", ["before it is whole", "after it"])
@pytest.mark.parametrize("name", MAKERS)
def test_a_part_that_somebody_touched_is_noticed(tmp_path, name, moment, harm):
    directory = tmp_path / "out"
    directory.mkdir()
    target = directory / f"rows.{name}"
    store({"a": MAKERS[name](target)}, b"0")
    before = target.read_bytes()
    others = []

    def on_commit(summary):  # when all other sinks have their rows on the disk
        if moment == "after it":
            harm(next(directory.glob(".rows.*.part")))

    choice = {"a": MAKERS[name](target), "b": lw.sinks.CallableSink(others.append, on_commit)}
    # Enough rows for some to be written when they come.
    with Stored(choice, b'"%01000d"' % 1, 1000 if moment != "after it" else 1) as stored:
        if moment != "after it":
            harm(next(directory.glob(".rows.*.part")))
        if not written(choice) and moment != "after it" and harm in (cut, extended):
            with contextlib.suppress(lw.SinkError):
                stored.commit()
        else:
            with pytest.raises(lw.SinkError, match="meanwhile|magic bytes") as caught:
                stored.commit()
            assert caught.value.path == str(target) and caught.value.is_decided is False
    if harm is moved_away:
        assert os.listdir(directory) == [] and (tmp_path / "elsewhere" / target.name).read_bytes() == before
    elif written(choice) or harm not in (cut, extended):
        assert target.read_bytes() == before
        assert {path.name for path in directory.iterdir()} <= {target.name, "second", *other_parts(directory)}


def other_parts(directory):
    """A file that was put in a part's place is not ours to remove."""
    return {path.name for path in directory.glob(".rows.*.part")}


def test_a_part_that_a_row_handler_removes(pool, tmp_path):
    target = tmp_path / "rows.jsonl"
    target.write_text("old\n")

    def on_row(row):
        for part in tmp_path.glob(".rows.*.part"):
            part.unlink()

    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.SinkError, match="removed or replaced meanwhile"):
            lease.run(
                lw.StreamingCommand("two_streams"), sink={"left": lw.sinks.JsonLinesSink(target), "right": on_row}
            )
        assert lease.run(lw.StreamingCommand("rows"), {"count": 1}, sink=lw.sinks.JsonLinesSink(target)).total_rows == 1
    assert len(target.read_text().splitlines()) == 1 and os.listdir(tmp_path) == ["rows.jsonl"]


# -- forked children --


@pytest.mark.parametrize("how", ["unwinds", "commits", "drops"])
def test_a_forked_child_leaves_its_parents_part_alone(kind, how):
    make, target = kind
    target.parent.mkdir()
    ended = []
    choice = {"a": make(target), "b": lw.sinks.CallableSink(print, abort=lambda: ended.append("abort"))}
    stored = Stored({"a": choice["a"]}, b"[1]", 5000)
    watcher = lw.sinks.CallableSink(ended.append, abort=lambda: ended.append("abort"))
    watched = Stored({"b": watcher}, b"[1]")

    def child():
        if how == "commits":
            with pytest.raises(lw.UsageError, match="forked from"):
                stored.commit()
        if how == "drops":
            stored.sinks._open.clear()
            gc.collect()
        stored.sinks.close()
        watched.sinks.close()
        assert ended == [b"[1]"]

    names = os.listdir(target.parent)
    for _ in range(2):
        in_child(child)
        assert os.listdir(target.parent) == names
    stored.commit()
    stored.sinks.close()
    watched.sinks.close()
    assert os.listdir(target.parent) == [target.name] and ended == [b"[1]", "abort"]
    if target.suffix == ".jsonl":
        assert target.read_bytes() == b"[1]\n" * 5000
    elif target.suffix == ".parquet":
        assert pyarrow.parquet.read_table(target).num_rows == 5000
    else:
        with contextlib.closing(sqlite3.connect(target)) as database:
            assert database.execute("SELECT count(*) FROM rows").fetchone() == (5000,)


FORKS = """
import os, sys, random
sys.path[:0] = sys.argv[1].split(os.pathsep)
import lean_worker as lw
from test_sink_forks import MAKERS, TYPED, FUNCTIONS
from pathlib import Path
choose = random.Random(int(sys.argv[3]))
directory = Path(sys.argv[2])
parent = os.getpid()
with lw.Pool(max_workers=1) as pool, pool.lease(FUNCTIONS) as lease:
    for name, make in MAKERS.items():
        at = {choose.randrange(2) for _ in range(2)}
        seen = 0
        def on_row(row):
            global seen
            seen += 1
            if seen - 1 in at:
                pid = os.fork()
                if not pid:
                    sys.exit(0)  # unwinds through the run, and runs what runs at an end
                os.waitpid(pid, 0)
        sink = {"left": make(directory / name), "right": on_row, "third": on_row}
        summary = lease.run(lw.StreamingCommand("two_streams"), sink=sink)
        assert os.getpid() == parent
print("stored", sorted(os.listdir(directory)))
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_row_handler_that_forks(tmp_path, seed):
    import subprocess

    from support import IMPORTABLE

    command = [sys.executable, "-c", FORKS, IMPORTABLE, str(tmp_path), str(seed)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert f"stored {sorted(MAKERS)}" in outcome.stdout, outcome.stdout + outcome.stderr
    assert pyarrow.parquet.read_table(tmp_path / "parquet").num_rows == 2
    assert (tmp_path / "jsonl").read_text() == '{"n":0}\n{"n":2}\n'


def test_a_lock_ends_with_its_process_and_not_with_its_children(tmp_path):
    """A forked child that lives on must not keep a dead parent's part."""
    read, write = os.pipe()
    is_forked, forked = os.pipe()
    pid = os.fork()
    if not pid:
        stored = Stored(files(tmp_path, "a"), b"1")
        if not os.fork():
            os.write(forked, b"f")
            os.close(write)
            os.read(read, 1)  # lives until the test closes its end
            os._exit(0)
        os._exit(0 if stored else 1)
    os.waitpid(pid, 0)
    assert os.read(is_forked, 1) == b"f"
    try:
        assert len(os.listdir(tmp_path)) == 1
        lw.sinks.recover(tmp_path)
        assert os.listdir(tmp_path) == []
    finally:
        for fd in (write, read, is_forked, forked):
            os.close(fd)


def test_a_forked_child_leaves_its_parents_ledger_alone(tmp_path):
    item = NewItem("k", "null", "rows", "", "", "")
    with Ledger(tmp_path / "ledger", for_work=True) as ledger:
        ledger.ask_for([item])

        def child():
            for use in (ledger.due, ledger.items, lambda: ledger.keep("a", "b")):
                with pytest.raises(lw.UsageError, match="forked from"):
                    use()
            ledger.close()

        in_child(child)
        ledger.keep("a", "b")
        assert [request for _, request in ledger.due()] == ["null"] and ledger.fact("a") == "b"
        with pytest.raises(lw.UsageError, match="works on it"):
            Ledger(tmp_path / "ledger", for_work=True)
    # Nor does a child that lives on keep the lock.
    read, write = os.pipe()
    with Ledger(tmp_path / "ledger", for_work=True):
        pid = os.fork()
        if not pid:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    Ledger(tmp_path / "ledger", for_work=True).close()
    os.close(write)
    os.waitpid(pid, 0)
    os.close(read)


def test_a_forked_child_leaves_temporary_directories_and_sockets_alone(tmp_path):
    class Nothing:
        def snapshot(self):
            raise AssertionError

    pool = Nothing()
    directory = temporary.TemporaryDirectory("lean-worker-test")
    server = SnapshotServer(pool, tmp_path / "socket", 0)
    try:

        def child():
            directory.remove()
            server.close()
            server._post_end()

        in_child(child)
        assert directory.path.is_dir() and (tmp_path / "socket").exists()
    finally:
        server.close()
        directory.remove()
    assert not directory.path.exists() and not (tmp_path / "socket").exists()


def test_a_socket_that_somebody_else_put_there_stays(tmp_path):
    class Nothing:
        pass

    pool = Nothing()
    server = SnapshotServer(pool, tmp_path / "socket", 0)
    (tmp_path / "socket").rename(tmp_path / "other")
    (tmp_path / "socket").write_text("of somebody else")
    server.close()
    assert (tmp_path / "socket").read_text() == "of somebody else"


# -- temporary directories --


def test_a_directory_of_any_depth_and_mode_is_removed(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    (top / "shut").mkdir()
    (top / "shut" / "in").mkdir()
    (top / "shut").chmod(0)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    (top / "link").symlink_to(precious)
    removal.remove(top)
    assert not top.exists() and (precious / "file").exists()
    removal.remove(tmp_path / "none")
    (tmp_path / "link").symlink_to(precious)
    removal.remove(tmp_path / "link")
    assert (precious / "file").exists()


# -- a model: any order of stores, forks, harms and crashes --


@pytest.mark.parametrize("seed", range(4))
def test_success_means_stored(tmp_path, seed):
    """Whatever is done to parts in between: a store that returns has stored, one that raises has changed nothing."""
    choose = random.Random(seed)
    directory = tmp_path / "out"
    directory.mkdir()
    wanted = {}
    for number in range(15):
        names = "".join(choose.sample("abc", choose.randint(1, 3)))
        text = str(number).encode()
        with Stored(files(directory, names), text, choose.randint(3, 4)) as stored:
            act = choose.choice(["nothing", "fork", "harm", "recover"])
            if act == "fork":
                in_child(stored.sinks.close)
            elif act == "recover":
                in_child(lambda: lw.sinks.recover(directory))
            elif act == "harm":
                part = choose.choice(sorted(directory.glob(".*.part")))
                choose.choice([removed, replaced, extended, linked])(part)
            try:
                stored.commit()
                assert act != "harm"
                wanted |= dict.fromkeys(names, text)
            except lw.SinkError:
                assert act == "harm"
        for path in directory.iterdir():
            if path.name not in wanted:  # what was put there in place of a part
                assert act == "harm" or path.name == "second"
                path.unlink()
        assert {name: (directory / name).read_bytes().splitlines()[-1] for name in wanted} == wanted
    assert ROWS.name == "rows"
