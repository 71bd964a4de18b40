"""Paths that no system takes, and resources that have run out: documented errors, and nothing left behind."""

from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import threading

import pyarrow.parquet
import pytest

import lean_worker as lw
from lean_worker import sinks
from lean_worker.batch.ledger import Ledger
from lean_worker.hosting import temporary
from lean_worker.pool.snapshot_server import read_snapshot, runtime_directory, serve_snapshot
from storing import files, store
from support import FUNCTIONS

pyarrow.array([1])  # loads what it loads lazily, as long as this user can read it
ROWS = lw.StreamingCommand("rows")

NO_PATHS = {
    "nul": "a" + chr(0) + "b",
    "surrogate": chr(0xD800),
    "bytes": b"bytes",
    "number": 3,
    "none": None,
    "object": object(),
    "list": ["list"],
}
HARD_PATHS = [
    "",
    ".",
    "/",
    "x" * 300,
    "y/" * 3000 + "z",
    "none/file",
    "file/inside",
    "directory",
    "loop",
    "fifo",
    "socket",
    "/dev/null",
    "/dev/full",
    "/proc/self/status",
    "/proc/1/nothing",
    "read-only/file",
]
USES = {
    "lines": lambda path: store({"a": lw.sinks.JsonLinesSink(path)}, b"1"),
    "append": lambda path: store({"a": lw.sinks.JsonLinesSink(path, mode="append")}, b"1"),
    "table": lambda path: store({"a": lw.sinks.SqliteSink(path)}, b"1"),
    "parquet": lambda path: store({"a": lw.sinks.ParquetSink(path)}, b"1"),
    "recover": sinks.recover,
    "ledger": lambda path: Ledger(path, for_work=True).close(),
    "items": lambda path: lw.Job(path, ROWS, FUNCTIONS).items(),
    "job": lambda path: lw.Job(path, ROWS, FUNCTIONS, out=path).report(),
}


class Pool:
    def snapshot(self):
        raise AssertionError


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    (tmp_path / "read-only").mkdir()
    (tmp_path / "read-only").chmod(0o555)
    return tmp_path


@pytest.mark.parametrize("use", [*USES, "out", "serve"])
@pytest.mark.parametrize("what", NO_PATHS)
def test_what_is_no_path(place, use, what):
    path = NO_PATHS[what]
    if path is None and use in ("out", "serve"):
        return  # that is: nowhere, or in the usual place
    uses = {
        **USES,
        "out": lambda path: lw.Job("ledger", ROWS, FUNCTIONS, out=path),
        "serve": lambda path: serve_snapshot(Pool(), path),
    }
    before = sorted(os.listdir(place))
    with pytest.raises(lw.UsageError, match="is no path"):
        uses[use](path)
    assert sorted(os.listdir(place)) == before


@pytest.mark.parametrize("user", ["this", "another"])
@pytest.mark.parametrize("use", USES)
def test_paths_that_are_hard_to_write_to(place, use, user):
    """Also as an ordinary user, whom the system refuses more than root."""
    before = sorted(os.listdir(place))
    is_root = os.geteuid() == 0
    if user == "another":
        if not is_root:
            return  # this one is ordinary
        os.seteuid(65534)
    try:
        for path in HARD_PATHS:
            if path == "read-only/file" and is_root and user == "this":
                continue
            try:
                USES[use](path)
                assert use == "recover", (use, path)  # where nothing is, nothing is to be done
            except (lw.SinkError, lw.UsageError) as error:
                assert error.text and "Traceback" not in error.text
    finally:
        if user == "another":
            os.seteuid(0)
    assert sorted(os.listdir(place)) == before


def test_names_of_sockets(place):
    pool = Pool()
    for path in ("x" * 200, "none/socket", "file", "socket", ""):
        with pytest.raises(lw.UsageError, match="cannot listen" if path else "it is empty"):
            serve_snapshot(pool, path)
    assert (place / "socket").is_socket() and (place / "file").is_file()
    odd = os.fsdecode(bytes([115, 255, 10]))
    with serve_snapshot(pool, odd):
        assert (place / odd).is_socket()
    assert not (place / odd).exists()


def test_a_runtime_directory_that_cannot_be_made(place, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    for make in (lambda path: path.write_text(""), lambda path: path.symlink_to(place / "directory")):
        make(place / "lean-worker")
        with pytest.raises(lw.UsageError, match="no private directory"):
            runtime_directory()
        (place / "lean-worker").unlink()


ANSWERS = [b"[" * 200_000, b"{}", b"[]", bytes([255]), b'{"pid":"x"}', b'{"pid":1,"snapshot":{}}', b"x" * (1 << 20)]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_a_server_that_answers_anything(place, answer):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("liar")
    listener.listen(1)

    def serve():
        client, _ = listener.accept()
        with client:
            try:
                client.sendall(answer)
                while len(answer) == 1 << 20:
                    client.sendall(answer)  # without an end
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert read_snapshot(place / "liar") is None
    finally:
        thread.join()
        listener.close()


def test_names_of_any_bytes(tmp_path):
    place = tmp_path / os.fsdecode(bytes([100, 255]))
    place.mkdir()
    with lw.Pool() as pool:
        job = lw.Job(place / os.fsdecode(bytes([108, 254])), ROWS, FUNCTIONS, out=place / os.fsdecode(bytes([111, 10])))
        assert job.run(pool, [{"count": 2}, {"count": 1}]).rows == 3 and len(job.out.read_text().splitlines()) == 3
        assert job.run(pool).ran == 0 and job.parts() == [job.out]


def use_all(place):
    """One of each; some are refused."""
    made = {
        "lines": lambda: store(files(place, "ab"), b"1"),
        "table": lambda: store({"a": lw.sinks.SqliteSink(place / "rows.db")}, b"1"),
        "parquet": lambda: store({"a": lw.sinks.ParquetSink(place / "rows.parquet")}, b"1"),
        "ledger": lambda: Ledger(place / "ledger", for_work=True).close(),
        "recover": lambda: sinks.recover(place),
        "socket": lambda: serve_snapshot(Pool(), place / "pool").close(),
        "temporary": lambda: temporary.remove(temporary.make()),
    }
    for name, function in made.items():
        try:
            function()
            yield name, None
        except lw.LeanWorkerError as error:
            yield name, error


def test_each_number_of_free_descriptors(tmp_path):
    """From none to enough: each use succeeds or raises its own error, and gives back what it had taken."""
    place = tmp_path / "out"
    place.mkdir()
    assert [name for name, error in use_all(place) if error] == []
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    succeeded = set()
    names = sorted(os.listdir(place))
    before = sorted(map(int, os.listdir("/proc/self/fd")))
    highest = max(before[:-1])
    taken = [os.dup(0) for _ in range(max(0, highest + 2 - len(before)))]  # no holes below
    highest = max([highest, *taken])
    try:
        for free in range(16):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + free, hard))
            try:
                outcomes = list(use_all(place))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for name, error in outcomes:
                if error is None:
                    succeeded.add(name)
                else:
                    told = error.facts.get("errno")
                    assert told in (errno.EMFILE, None), (name, free, error)
            # SQLite removes the files beside a database at its next end.
            assert {name for name in os.listdir(place) if not name.startswith("ledger-")} == set(names), free
    finally:
        for fd in taken:
            os.close(fd)
    assert succeeded == {name for name, _ in use_all(place)} and sorted(os.listdir(place)) == names
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= len(before)
