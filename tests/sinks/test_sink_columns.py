"""Row types as columns: what Parquet and SQLite hold of each, and that they read back equal."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import json
import os
import sqlite3
import subprocess
import sys
from typing import Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pandas
import pyarrow as pa
import pyarrow.parquet
import pydantic
import pytest

import lean_worker as lw
from support import HOSTS, IMPORTABLE, SANITIZED

TEXTS = lw.ProcessCapability([sys.executable, str(HOSTS / "texts.py")])


@pytest.fixture(scope="module")
def pool():
    with lw.Pool() as pool:
        yield pool


def stored(pool, kind, values, sink):
    with pool.lease(TEXTS) as lease:
        texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
        return lease.run(lw.StreamingCommand("any", row=kind), texts, sink=sink)


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    data: bytes = b""


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]


@dataclasses.dataclass
class Owner:
    name: str
    pet: Cat | Dog
    data: bytes = b""


def test_a_class_beside_a_union_of_models_has_columns(pool, tmp_path):
    rows = [{"name": "a", "pet": {"kind": "cat", "data": "x"}, "data": "eHk="}, {"name": "b", "pet": {"kind": "dog"}}]
    stored(pool, Owner, rows, lw.sinks.SqliteSink(tmp_path / "rows.db", "rows"))
    stored(pool, Owner, rows, lw.sinks.ParquetSink(tmp_path / "rows.parquet"))
    expected = [("a", '{"kind":"cat","data":"x"}', b"xy"), ("b", '{"kind":"dog"}', b"")]
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert database.execute("SELECT * FROM rows").fetchall() == expected
    table = pa.parquet.read_table(tmp_path / "rows.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert table.schema.names == lw.tables.to_table([], "arrow", row=Owner).schema.names == ["name", "pet", "data"]


class Color(enum.Enum):
    RED = "red"


class Position(msgspec.Struct):
    line: int
    column: int | None = None


class Tree(msgspec.Struct):
    name: str
    children: list[Tree] = []


class Everything(msgspec.Struct, rename="camel"):
    a_str: str
    an_int: int
    a_float: float
    a_bool: bool
    some_bytes: bytes
    maybe: int | None
    number: int | float
    literal: Literal["x", "y"]
    color: Color
    when: datetime.datetime
    items: list[int]
    positions: list[Position]
    position: Position
    perhaps: Position | None
    by_name: dict[str, int]
    by_name_deep: dict[str, list[Position]]
    anything: Any
    mixed: int | str
    tree: Tree
    left_out: str | msgspec.UnsetType = msgspec.UNSET


ROW = {
    "aStr": "∀\n",
    "anInt": -7,
    "aFloat": 1,
    "aBool": True,
    "someBytes": "AAE=",
    "maybe": None,
    "number": 2,
    "literal": "x",
    "color": "red",
    "when": "2026-01-02T03:04:05Z",
    "items": [1, 2],
    "positions": [{"line": 1, "column": 2}, {"line": 3}],
    "position": {"line": 4},
    "perhaps": None,
    "byName": {"x": 1},
    "byNameDeep": {"y": [{"line": 5}]},
    "anything": {"k": [1, None]},
    "mixed": "m",
    "tree": {"name": "root", "children": [{"name": "leaf"}]},
}


def test_every_kind_in_parquet(pool, tmp_path):
    path = tmp_path / "rows.parquet"
    stored(pool, Everything, [ROW, ROW | {"maybe": 3, "mixed": 4, "perhaps": {"line": 6}}], lw.sinks.ParquetSink(path))
    table = pyarrow.parquet.read_table(path)
    position = pa.struct([pa.field("line", pa.int64(), nullable=False), pa.field("column", pa.int64())])
    types = {field.name: field.type for field in table.schema}
    assert types["position"] == position and types["positions"].value_type == position
    assert types["byName"] == pa.map_(pa.string(), pa.field("value", pa.int64(), nullable=False))
    assert [types[name] for name in ("aStr", "anInt", "aFloat", "aBool", "someBytes")] == [
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.binary(),
    ]
    assert not table.schema.field("anInt").nullable and table.schema.field("maybe").nullable
    assert table.schema.field("mixed").metadata == {b"lean_worker": b"json"}
    first, second = table.to_pylist()
    assert first == {
        "aStr": "∀\n",
        "anInt": -7,
        "aFloat": 1.0,
        "aBool": True,
        "someBytes": b"\0\1",
        "maybe": None,
        "number": 2.0,
        "literal": "x",
        "color": "red",
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "items": [1, 2],
        "positions": [{"line": 1, "column": 2}, {"line": 3, "column": None}],
        "position": {"line": 4, "column": None},
        "perhaps": None,
        "byName": [("x", 1)],
        "byNameDeep": [("y", [{"line": 5, "column": None}])],
        "anything": '{"k":[1,null]}',
        "mixed": '"m"',
        "tree": {"name": "root", "children": ['{"name":"leaf","children":[]}']},
        "leftOut": None,
    }
    assert (second["maybe"], second["mixed"], second["perhaps"]) == (3, "4", {"line": 6, "column": None})
    assert len(pandas.read_parquet(path)) == 2


def test_every_kind_in_sqlite(pool, tmp_path):
    path = tmp_path / "rows.db"
    stored(pool, Everything, [ROW], lw.sinks.SqliteSink(path, "a table"))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        (row,) = map(dict, database.execute('SELECT * FROM "a table"'))
        types = {name: kind for _, name, kind, *_ in database.execute('PRAGMA table_info("a table")')}
    assert [types[name] for name in ("aStr", "anInt", "aFloat", "aBool", "someBytes", "items")] == [
        "TEXT",
        "INTEGER",
        "REAL",
        "INTEGER",
        "BLOB",
        "TEXT",
    ]
    assert (row["aStr"], row["anInt"], row["aFloat"], row["aBool"], row["someBytes"]) == ("∀\n", -7, 1.0, 1, b"\0\1")
    assert (row["maybe"], row["color"], row["mixed"], row["leftOut"]) == (None, "red", '"m"', None)
    assert json.loads(row["positions"]) == [{"line": 1, "column": 2}, {"line": 3, "column": None}]
    assert json.loads(row["byName"]) == {"x": 1} and row["perhaps"] is None


@dataclasses.dataclass
class Data:
    i: int
    name: str | None = None


@attrs.define
class Attrs:
    i: int
    name: str | None = None


class Typed(TypedDict, total=False):
    i: int
    name: str


class Named(NamedTuple):
    i: int
    name: str | None = None


class Model(pydantic.BaseModel):
    i: int
    name: str | None = None


@pytest.mark.parametrize("kind", [Data, Attrs, Typed, Named, Model, Position])
def test_every_way_to_declare_a_row(pool, tmp_path, kind):
    if kind is Named:
        values, expected = [[1, "a"], [2]], [{"i": 1, "name": "a"}, {"i": 2, "name": None}]
    elif kind is Position:
        values, expected = [{"line": 1}], [{"line": 1, "column": None}]
    else:
        values, expected = [{"i": 1, "name": "a"}, {"i": 2}], [{"i": 1, "name": "a"}, {"i": 2, "name": None}]
    stored(pool, kind, values, lw.sinks.ParquetSink(tmp_path / "rows.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == expected
    stored(pool, kind, values, lw.sinks.SqliteSink(tmp_path / "rows.db"))
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert list(database.execute("SELECT * FROM rows")) == [tuple(row.values()) for row in expected]


@pytest.mark.parametrize("kind", [bytes, dict, int, list[int], dict[str, int]])
def test_types_without_fields_are_one_column_of_json(pool, tmp_path, kind):
    text = {bytes: '{"b":1.50,"a":1}', dict: '{"a":1}', int: "7", list[int]: "[1]", dict[str, int]: '{"a":1}'}[kind]
    stored(pool, kind, [text], lw.sinks.ParquetSink(tmp_path / "rows.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == [{"payload": text}]


def test_values_that_a_column_cannot_hold(pool, tmp_path):
    for sink, words in (
        (lw.sinks.ParquetSink(tmp_path / "x"), "column 'line'"),
        (lw.sinks.SqliteSink(tmp_path / "x"), "64 bits"),
    ):
        with pytest.raises(lw.SinkError, match=words) as caught:
            stored(pool, Position, [{"line": 1}, {"line": 2**70}], sink)
        assert caught.value.doing == "writing"
    assert os.listdir(tmp_path) == []

    class Nothing(msgspec.Struct):
        pass

    with pytest.raises(lw.UsageError, match="no fields"):
        stored(pool, Nothing, [], lw.sinks.SqliteSink(tmp_path / "x"))
    with pytest.raises(lw.UsageError, match="compression"):
        lw.sinks.ParquetSink(tmp_path / "x", compression="no such")


def test_a_type_for_the_sink_alone(pool, tmp_path):
    path = tmp_path / "rows.parquet"
    stored(pool, None, [{"line": 1, "column": 2}], {"rows": lw.sinks.ParquetSink(path, row=Position)})
    assert pyarrow.parquet.read_table(path).to_pylist() == [{"line": 1, "column": 2}]


def test_without_pyarrow_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import lean_worker as lw\n"
        "from lean_worker.sinks.sink_set import SinkSet\n"
        "lw.sinks.JsonLinesSink('x'), lw.sinks.SqliteSink('x')\n"
        "try: SinkSet(lw.sinks.ParquetSink('x'), lw.StreamingCommand('rows')).open()\n"
        "except lw.errors.MissingExtra as error: print(error)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "pip install 'lean-worker[arrow]'" in outcome.stdout, outcome.stderr


BOUNDED = """
import os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
import msgspec, pandas, psutil, pyarrow, pyarrow.parquet
import lean_worker as lw
from support import FUNCTIONS

class Wide(msgspec.Struct):
    i: int
    blob: str

seen = []
with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
    command = lw.StreamingCommand("wide", row=Wide)
    sink = lw.sinks.ParquetSink("rows.parquet", row_group_rows=10_000)
    lease.run(command, {"count": 1000, "size_bytes": 1000}, sink=sink)
    before = psutil.Process().memory_info().rss
    look = lambda progress: seen.append(psutil.Process().memory_info().rss)
    lease.run(command, {"count": 100_000, "size_bytes": 1000}, sink=sink, on_progress=look)
file = pyarrow.parquet.ParquetFile("rows.parquet")
groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
frame = pandas.read_parquet("rows.parquet")
table = file.read()
assert table["i"].to_pylist() == list(frame["i"]) == list(range(100_000))
assert all(blob == f"{i:06}" + "x" * 994 for i, blob in enumerate(table["blob"].to_pylist()))
assert list(frame["blob"]) == table["blob"].to_pylist()
print((max(seen) - before) >> 20, len(seen), max(groups), len(groups))
"""


@pytest.mark.once
def test_a_hundred_thousand_rows_in_bounded_memory(tmp_path):
    outcome = subprocess.run(
        [sys.executable, "-c", BOUNDED, IMPORTABLE], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert outcome.returncode == 0, outcome.stderr
    growth_mib, looks, rows, groups = map(int, outcome.stdout.split())
    print(f"100,000 rows of 1000 bytes: the parent grew by {growth_mib} MiB")
    assert (SANITIZED or growth_mib < 60) and looks == 100 and rows <= 10_000 and groups >= 10
