"""Each kind of class keeps all its fields: in tables, in sinks, in requests, and below every other kind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from typing import Any, NamedTuple

import attrs
import msgspec
import pyarrow.parquet
import pydantic
import pytest
from typing_extensions import TypedDict

import lean_worker as lw
from lean_worker.wire.json_types import decode_text
from lean_worker.wire.requests import encode_request
from support import FUNCTIONS
from test_natural_columns import _libraries, store  # noqa: F401

# Each has a field that the text gives, one that the text leaves out, and where the class allows it a private one.


class Struct(msgspec.Struct, rename={"given": "Given"}):
    given: int
    _hidden: int
    left: int = 5


@dataclasses.dataclass
class Data:
    given: int
    _hidden: int
    left: int = 5
    later: int = dataclasses.field(init=False, default=6)


@attrs.define
class Attrs:
    given: int
    _hidden: int
    left: int = 5


class Model(pydantic.BaseModel):
    given: int = pydantic.Field(alias="Given")
    left: int = 5


class Named(NamedTuple):
    given: int
    left: int = 5


class Typed(TypedDict):
    given: int


TEXTS = {
    Struct: ('{"Given":1,"_hidden":2}', {"Given": 1, "_hidden": 2, "left": 5}),
    Data: ('{"given":1,"_hidden":2}', {"given": 1, "_hidden": 2, "left": 5, "later": 6}),
    Attrs: ('{"given":1,"_hidden":2}', {"given": 1, "_hidden": 2, "left": 5}),
    Model: ('{"Given":1}', {"Given": 1, "left": 5}),
    Named: ("[1]", {"given": 1, "left": 5}),
    Typed: ('{"given":1}', {"given": 1}),
}


def holder(kind, inner):
    """A class of a kind with another one in its fields."""
    fields = {"one": inner, "more": list[inner], "open": Any}
    if kind is Struct:
        return msgspec.defstruct("Holder", list(fields.items()))
    if kind is Data:
        return dataclasses.make_dataclass("Holder", list(fields.items()))
    if kind is Attrs:
        return attrs.make_class("Holder", {name: attrs.field(type=each) for name, each in fields.items()})
    if kind is Model:
        return pydantic.create_model("Holder", **{name: (each, ...) for name, each in fields.items()})
    return NamedTuple("Holder", list(fields.items())) if kind is Named else TypedDict("Holder", fields)


def json_of(kind, fields):
    return list(fields.values()) if kind is Named else fields


PAIRS = [
    (outer, inner)
    for outer in TEXTS
    for inner in TEXTS
    # pydantic knows nothing of Structs and attrs classes.
    if outer is not Model or inner not in (Struct, Attrs)
]


@pytest.mark.parametrize(("outer", "inner"), PAIRS, ids=lambda kind: kind.__name__)
def test_no_field_is_lost_on_any_way(tmp_path, outer, inner):
    text, fields = TEXTS[inner]
    kind = holder(outer, inner)
    parts = (text, f"[{text}]", '{"a":1}')
    whole = f"[{','.join(parts)}]" if outer is Named else f'{{"one":{parts[0]},"more":{parts[1]},"open":{parts[2]}}}'
    row = decode_text(kind, whole.encode(), "row")
    wanted = {"one": fields, "more": [fields]}
    for rows, declared in (([row, row], kind), ([row, row], None)):
        found = lw.tables.to_table(rows, "arrow", row=declared).to_pylist()
        assert [{name: each[name] for name in wanted} for each in found] == [wanted, wanted]
    assert lw.tables.to_table([row], "polars", row=kind).to_dicts()[0]["one"] == fields
    assert lw.tables.to_table([row], "pandas", row=kind)["more"][0] == [fields]
    store(lw.sinks.ParquetSink(tmp_path / "rows.parquet"), kind, [row])
    (stored,) = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert {name: stored[name] for name in wanted} == wanted and json.loads(stored["open"]) == {"a": 1}
    store(lw.sinks.SqliteSink(tmp_path / "rows.db"), kind, [row])
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        ((one, more),) = database.execute("SELECT one, more FROM rows")
    form = json_of(inner, fields)
    assert (json.loads(one), json.loads(more)) == (form, [form])
    sent = json.loads(encode_request(kind, row, "x"))
    wanted = {"one": form, "more": [form], "open": {"a": 1}}
    assert sent == json_of(outer, wanted)
    assert json.loads(encode_request(None, {"deep": [row]}, "x")) == {"deep": [sent]}


def test_a_hosted_function_s_rows_keep_all_fields():
    command = lw.JsonCommand("echo", request=Attrs, response=Attrs)
    with lw.Pool() as pool:
        assert pool.call(FUNCTIONS, command, Attrs(1, 2)) == Attrs(1, 2)


class Open(pydantic.BaseModel, extra="allow"):
    given: int


class Holding(pydantic.BaseModel):
    it: Open


@pytest.mark.parametrize("sink", [lw.sinks.ParquetSink, lw.sinks.SqliteSink])
def test_fields_that_a_model_allows_and_does_not_declare(tmp_path, sink):
    rows = [Open(given=1), Open.model_validate({"given": 2, "more": 3})]
    assert lw.tables.to_table(rows, "arrow", row=Open).to_pylist() == [
        {"given": 1, "more": None},
        {"given": 2, "more": 3},
    ]
    with pytest.raises(lw.SinkError, match="column 'more', row 1: 3 cannot be stored") as caught:
        store(sink(tmp_path / "rows"), Open, rows)
    assert (caught.value.column, caught.value.row) == ("more", 1)
    # Below another type they are part of its JSON.
    held = Holding.model_validate({"it": {"given": 2, "more": 3}})
    store(lw.sinks.ParquetSink(tmp_path / "held"), Holding, [held])
    (found,) = pyarrow.parquet.read_table(tmp_path / "held").to_pylist()
    assert json.loads(found["it"]) == {"given": 2, "more": 3}


class Tagged(msgspec.Struct, tag_field="kind", tag="tagged"):
    n: int


class Tags(msgspec.Struct):
    one: Tagged


def test_a_tag_is_a_column(tmp_path):
    tagged = {"kind": "tagged", "n": 1}
    for kind, row, wanted in ((Tagged, Tagged(1), tagged), (Tags, Tags(Tagged(1)), {"one": tagged})):
        store(lw.sinks.ParquetSink(tmp_path / "rows.parquet"), kind, [row])
        assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == [wanted]
        assert lw.tables.to_table([], "arrow", row=kind).schema == lw.tables.to_table([row], "arrow").schema
        assert lw.tables.to_table([row], "arrow").to_pylist() == [wanted]
    store(lw.sinks.SqliteSink(tmp_path / "rows.db"), Tagged, [Tagged(1)])
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        assert database.execute("SELECT kind, n FROM rows").fetchall() == [("tagged", 1)]
