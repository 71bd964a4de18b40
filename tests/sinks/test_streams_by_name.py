"""Commands with several streams: each row has its stream's type, and no store forgets which stream it came on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import re
import sqlite3

import msgspec
import pyarrow.parquet
import pytest

import lean_worker as lw
from support import FUNCTIONS


class Left(msgspec.Struct):
    n: int


class Right(msgspec.Struct):
    n: float


TYPES = {"left": Left, "right": Right}
COMMAND = lw.StreamingCommand("two_streams", row=TYPES)
ROWS = [Left(0), Right(1.0), Left(2)]


@pytest.fixture(scope="module", autouse=True)
def _libraries():
    """pyarrow keeps threads of its own once it was used; they are no leak of a test."""
    lw.tables.to_table([Left(1)], "arrow").to_pylist()
    lw.tables.to_table([Left(1)], "polars").to_dicts()


@pytest.fixture(scope="module")
def pool():
    with lw.Pool() as pool:
        yield pool


@pytest.fixture
def lease(pool):
    with pool.lease(FUNCTIONS) as lease:
        yield lease


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_row_has_the_type_of_its_stream(pool, lease):
    with lease.stream(COMMAND) as rows:
        assert [(row, rows.last()[0]) for row in rows] == list(zip(ROWS, ["left", "right", "left"]))
    done = lease.collect(COMMAND)
    assert done.rows == ROWS and done.by_stream == {"left": [Left(0), Left(2)], "right": [Right(1.0)]}
    assert done.to_arrow()["right"].to_pylist() == [{"n": 1.0}]
    assert done.to_polars()["left"].to_dicts() == [{"n": 0}, {"n": 2}]
    assert len(done.to_pandas()["left"]) == 2
    assert done.to_polars("left").equals(done.to_polars()["left"]) and len(done.to_pandas(stream="right")) == 1
    for wrong, expected in (
        (done, "'left', 'right'"),
        (lease.collect(lw.StreamingCommand("two_streams")), "Leave it out"),
    ):
        with pytest.raises(lw.UsageError, match="expected stream as one of") as caught:
            wrong.to_arrow("middle")
        assert expected in str(caught.value)
    seen = []
    lease.run(COMMAND, on_row=seen.append)
    lease.run(COMMAND, sink=seen.append)
    assert seen == ROWS * 2
    mixed = lw.StreamingCommand("two_streams", row={"left": bytes, "right": None, "third": Left})
    done = lease.collect(mixed)
    assert done.rows[0] == b'{"n":0}' and done.rows[1].stream == "right" and done.by_stream["third"] == []


def test_in_map_and_in_asyncio_as_well(pool):
    (outcome,) = pool.map(COMMAND, [None], capability=FUNCTIONS)
    assert outcome.value.by_stream == {"left": [Left(0), Left(2)], "right": [Right(1.0)]}

    async def collect():
        async with lw.aio.AsyncPool() as pool, await pool.lease(FUNCTIONS) as lease:
            return await lease.collect(COMMAND)

    assert asyncio.run(collect()).by_stream["right"] == [Right(1.0)]


def test_a_command_stays_a_value():
    same = lw.StreamingCommand("two_streams", row=dict(TYPES))
    assert same == COMMAND and hash(same) == hash(COMMAND) and pickle.loads(pickle.dumps(COMMAND)) == COMMAND
    assert lw.StreamingCommand("two_streams", row={"left": Right, "right": Left}) != COMMAND
    assert dict(COMMAND.row) == TYPES


class Plain:
    pass


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "empty mapping"),
        ({"": Left}, "non-empty text"),
        ({1: Left}, "non-empty text"),
        ({"a": Plain}, "stream 'a'"),
    ],
)
def test_wrong_mappings_are_refused_when_the_command_is_declared(row, words):
    with pytest.raises(lw.UsageError, match=words):
        lw.StreamingCommand("x", row=row)


def test_a_wrong_row_and_a_stream_that_is_not_declared(lease):
    with pytest.raises(lw.DecodeError, match="on the stream 'right'") as caught:
        lease.collect(lw.StreamingCommand("two_streams", row={"left": Left}))
    assert (caught.value.facts["stream"], caught.value.facts["sequence"]) == ("right", 0)
    with pytest.raises(lw.DecodeError) as caught:
        lease.collect(lw.StreamingCommand("two_streams", row={"left": Left, "right": str}))
    assert caught.value.facts["stream"] == "right"
    assert lease.collect(COMMAND).rows == ROWS  # the worker stayed


@pytest.mark.parametrize("suffix", ["db", "parquet"])
@pytest.mark.parametrize("by_mapping", [False, True])
def test_a_value_without_a_place_is_of_the_stream_that_the_error_names(lease, tmp_path, suffix, by_mapping):
    kind = lw.sinks.SqliteSink if suffix == "db" else lw.sinks.ParquetSink
    command = lw.StreamingCommand("on_streams", row={"left": Left, "right": Left})
    sink = kind(tmp_path / f"rows.{suffix}")
    if by_mapping:
        sink = {name: kind(tmp_path / f"{name}.{suffix}") for name in ("left", "right")}
    with pytest.raises(lw.SinkError, match="column 'n', row 0: ") as caught:
        lease.run(command, [["left", {"n": 1}], ["right", {"n": 1 << 70}]], sink=sink)
    assert (caught.value.stream, caught.value.command) == ("right", "on_streams")
    assert "stream right" in str(caught.value)


@pytest.mark.parametrize("kind", ["arrow", "polars", "pandas"])
def test_a_table_that_cannot_be_made_is_of_the_stream_that_the_error_names(lease, kind):
    found = lease.collect(
        lw.StreamingCommand("on_streams", row={"left": Left, "right": Left}),
        [["left", {"n": 1}], ["right", {"n": 1 << 70}]],
    )
    with pytest.raises(lw.UsageError, match="column 'n', row 0: ") as caught:
        getattr(found, f"to_{kind}")()
    assert caught.value.stream == "right" and "stream right" in str(caught.value)


def test_one_table_or_file_a_stream(lease, tmp_path):
    lease.run(COMMAND, sink=lw.sinks.SqliteSink(tmp_path / "rows.db"))
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert database.execute("SELECT n FROM left ORDER BY rowid").fetchall() == [(0,), (2,)]
        assert database.execute("SELECT n, typeof(n) FROM right").fetchall() == [(1.0, "real")]
    lease.run(COMMAND, sink=lw.sinks.ParquetSink(tmp_path / "rows.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "rows.left.parquet").to_pylist() == [{"n": 0}, {"n": 2}]
    lease.run(COMMAND, sink=lw.sinks.JsonLinesSink(tmp_path / "rows.jsonl"))
    assert lines_of(tmp_path / "rows.right.jsonl") == [{"n": 1}]
    lease.run(COMMAND, sink=lw.sinks.JsonLinesSink(tmp_path / "all.jsonl", with_stream=True))
    assert [line["stream"] for line in lines_of(tmp_path / "all.jsonl")] == ["left", "right", "left"]
    names = ["all.jsonl", "rows.db", *(f"rows.{name}.{kind}" for name in TYPES for kind in ("jsonl", "parquet"))]
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    seen = []
    lease.run(COMMAND, sink={"left": seen.append, "right": lw.sinks.ParquetSink(tmp_path / "r.parquet")})
    assert seen == [Left(0), Left(2)]
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").to_pylist() == [{"n": 1.0}]


class OneSink(lw.sinks.Sink):
    def row_type(self, command):
        return bytes

    def open(self, command, group, number):
        raise AssertionError


@pytest.mark.parametrize("make", [lw.sinks.JsonLinesSink, lw.sinks.ParquetSink, lw.sinks.SqliteSink, lambda _: print])
@pytest.mark.parametrize("only", [Left, Right, None, bytes])
def test_a_row_on_a_stream_that_is_not_declared(lease, tmp_path, make, only):
    """Whether or not it would fit the declared type: the stream is what is wrong."""
    command = lw.StreamingCommand("two_streams", row={"left": only})
    with pytest.raises(lw.DecodeError, match=re.escape("expected a stream of ['left'], got a row on the stream")):
        lease.run(command, sink=make(tmp_path / "rows"))
    assert os.listdir(tmp_path) == []


def test_names_are_not_lost_without_a_word(lease, tmp_path):
    path = tmp_path / "rows"
    undeclared = lw.StreamingCommand("two_streams")
    one_type = lw.StreamingCommand("two_streams", row=Right)
    cases = [
        (undeclared, lw.sinks.JsonLinesSink(path), "without their streams' names"),
        (one_type, lw.sinks.SqliteSink(path), "without their streams' names"),
        (one_type, lw.sinks.ParquetSink(path), "without their streams' names"),
        (COMMAND, lw.sinks.SqliteSink(path, "rows"), "one table 'rows'"),
        (COMMAND, OneSink(), "no place of its own"),
        (COMMAND, {"left": print, "other": print}, "'other'; declared are"),
        (lw.StreamingCommand("two_streams", row={"a/b": Left}), lw.sinks.JsonLinesSink(path), "part of a file's name"),
        (lw.StreamingCommand("x", row={"a": Left, "A": Left}), lw.sinks.SqliteSink(path), "two sinks write to"),
    ]
    for command, sink, words in cases:
        with pytest.raises(lw.UsageError, match=words) as caught:
            lease.run(command, sink=sink)
        assert caught.value.hint or "declared are" in words
    assert os.listdir(tmp_path) == []
    with pytest.raises(lw.UsageError, match="declares several streams"):
        lw.Job(path, COMMAND, FUNCTIONS)
    # A column says it where no type is declared.
    lease.run(undeclared, sink=lw.sinks.ParquetSink(path))
    assert pyarrow.parquet.read_table(path)["stream"].to_pylist() == ["left", "right", "left"]
    rows = lease.collect(undeclared).to_arrow()
    assert rows.to_pylist()[1] == {"stream": "right", "n": 1}
    with pytest.raises(lw.UsageError, match="field 'stream'"):
        lw.tables.to_table([lw.DataRow(name, 0, {"stream": 1}, b"") for name in "ab"], "arrow")


def test_rows_of_one_declared_type_on_several_streams(pool, tmp_path):
    one = lw.StreamingCommand("two_streams", row=Left)
    done = pool.collect(FUNCTIONS, lw.StreamingCommand("two_streams", row=Right))
    for make in (done.to_arrow, done.to_polars, done.to_pandas):
        with pytest.raises(lw.UsageError, match=r"streams \['left', 'right'\]"):
            make()
    assert len(done.rows) == 3
    for options in ({"out": tmp_path / "rows.jsonl"}, {"parts_as": "parquet"}):
        job = lw.Job(tmp_path / f"{next(iter(options))}.ledger", one, FUNCTIONS, **options)
        with pytest.raises(lw.UsageError, match="came on the streams") as caught:
            job.run(pool, [None])
        assert "with_stream=True" in caught.value.hint and not (tmp_path / "rows.jsonl").exists()
    job = lw.Job(tmp_path / "named.ledger", one, FUNCTIONS, out=tmp_path / "rows.jsonl", with_stream=True)
    assert job.run(pool, [None, None]).rows == 6
    row = {"stream": "right", "row": {"n": 1}}
    assert [line for line in lines_of(tmp_path / "rows.jsonl") if line["stream"] == "right"] == [row, row]


@pytest.mark.parametrize("count", [9, 10, 11, 12, 40])
def test_a_database_takes_more_streams_than_sqlite_attaches_databases(lease, tmp_path, count):
    """Each table's rows stay in their order, whatever is copied where on the way."""
    names = [f"s{number}" for number in range(count)]
    command = lw.StreamingCommand("on_streams", row=dict.fromkeys(names, Left))
    sent = [(name, {"n": (7 * number) % 5}) for number in range(5) for name in names]
    path = tmp_path / "rows.db"
    for times in (1, 2):
        lease.run(command, sent, sink=lw.sinks.SqliteSink(path, mode="append"))
        with contextlib.closing(sqlite3.connect(path)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE name LIKE 's%'")]
            assert sorted(tables) == sorted(names)
            for name in names:
                rows = [n for (n,) in database.execute(f"SELECT n FROM {name} ORDER BY rowid")]
                assert rows == [0, 2, 4, 1, 3] * times
    assert os.listdir(tmp_path) == ["rows.db"]
