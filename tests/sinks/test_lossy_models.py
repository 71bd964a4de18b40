"""Models that pydantic writes as another value: a value arrives whole, or an error names it, wherever it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import json
import os
import pathlib
import sqlite3
import zoneinfo
from collections.abc import Generator, Iterable
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pyarrow.parquet
import pydantic
import pytest

import lean_worker as lw
from lean_worker.tables import to_table
from lean_worker.wire.json_types import decode_text, encode_stored
from lean_worker.wire.requests import encode_request
from support import FUNCTIONS


class Secret(pydantic.BaseModel):
    s: pydantic.SecretStr


class InSecret(pydantic.BaseModel):
    inner: Secret | None


class Secrets(pydantic.BaseModel):
    by_name: dict[str, list[pydantic.SecretBytes]]


class ShownSecret(pydantic.BaseModel):
    s: pydantic.SecretStr

    @pydantic.field_serializer("s")
    def shown(self, value):
        return value.get_secret_value()


class Excluded(pydantic.BaseModel):
    a: int
    hidden: int = pydantic.Field(default=3, exclude=True)


class InExcluded(pydantic.BaseModel):
    inner: list[Excluded]


class Rounds(pydantic.BaseModel):
    a: float

    @pydantic.field_serializer("a")
    def rounded(self, value):
        return round(value)


class Seconds(pydantic.BaseModel, ser_json_timedelta="float"):
    a: datetime.timedelta


class InSeconds(pydantic.BaseModel):
    inner: list[Seconds]


class Deep(pydantic.BaseModel):
    many: list[Annotated[float, pydantic.PlainSerializer(lambda value: f"{value:.1f}")]]


class Part(pydantic.BaseModel):
    a: int
    b: int

    @pydantic.model_serializer
    def only_a(self):
        return {"a": self.a}


class Base(pydantic.BaseModel):
    x: int


class Derived(Base):
    y: int = 7


class HoldsBase(pydantic.BaseModel):
    child: Base


class Computed(pydantic.BaseModel):
    a: int
    _private: int = 5

    @pydantic.computed_field
    @property
    def double(self) -> int:
        return 2 * self.a


class Level(enum.Enum):
    LOW = 1
    FIRST = 1  # noqa: PIE796
    HIGH = 2


class Plain(pydantic.BaseModel):
    url: pydantic.HttpUrl
    level: Level
    names: set[str] = set()
    more: Any = None


@attrs.define
class Converted:
    a: int = attrs.field(converter=int)
    later: int = attrs.field(init=False, default=9)


@dataclasses.dataclass
class Later:
    a: int
    b: int = dataclasses.field(init=False, default=9)
    mixed: dict[str, int | str] = dataclasses.field(default_factory=dict)


SECRET_ROWS = [
    (Secret, '{"s":"deep"}', "s"),
    (InSecret, '{"inner":{"s":"deep"}}', "inner"),
    (Secrets, '{"by_name":{"a":["deep"]}}', "by_name"),
    (ShownSecret, '{"s":"deep"}', "s"),
]


class Roots(pydantic.BaseModel):
    numbers: pydantic.RootModel[list[int]]
    one: pydantic.RootModel[int]
    inner: pydantic.RootModel[dict[str, pydantic.RootModel[int]]]


ROOTS = '{"numbers":[1,2],"one":5,"inner":{"a":1}}'
WHOLE_ROWS = [
    (Roots, ROOTS, {"numbers": [1, 2], "one": 5, "inner": [("a", 1)]}),
    (pydantic.RootModel[Roots], ROOTS, {"numbers": [1, 2], "one": 5, "inner": [("a", 1)]}),
    # the row's text, its columns in Parquet and in a table
    (Excluded, '{"a":1,"hidden":2}', {"a": 1, "hidden": 2}),
    (InExcluded, '{"inner":[{"a":1,"hidden":2}]}', {"inner": [{"a": 1, "hidden": 2}]}),
    (Rounds, '{"a":1.25}', {"a": 1.25}),
    (Deep, '{"many":[1.25]}', {"many": [1.25]}),
    (Part, '{"a":1,"b":2}', {"a": 1, "b": 2}),
    (HoldsBase, '{"child":{"x":1}}', {"child": {"x": 1}}),
    (Computed, '{"a":1}', {"a": 1, "double": 2}),
    (Converted, '{"a":1,"later":5}', {"a": 1, "later": 5}),
    (Later, '{"a":1,"b":5,"mixed":{"k":1,"j":"x"}}', {"a": 1, "b": 5, "mixed": [("k", "1"), ("j", '"x"')]}),
]


class Version:
    """A class of a user's own, which pydantic reads and writes by the user's functions."""

    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Version) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __str__(self):
        return self.text


class NeverEqual(Version):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def by_functions(kind):
    read = pydantic.PlainValidator(lambda value: value if isinstance(value, kind) else kind(value))
    return Annotated[kind, read, pydantic.PlainSerializer(str, return_type=str)]


class Own(pydantic.BaseModel):
    version: by_functions(Version)
    by_name: dict[str, list[by_functions(Version)]]


class OwnNeverEqual(pydantic.BaseModel):
    version: by_functions(NeverEqual)


class OwnLost(pydantic.BaseModel):
    version: by_functions(Version)

    @pydantic.field_serializer("version")
    def first(self, value):
        return str(value)[:1]


class Places(pydantic.BaseModel):
    pure: pathlib.PurePosixPath
    any_kind: list[os.PathLike[str]]
    zone: zoneinfo.ZoneInfo


LONG = datetime.timedelta(days=99999, seconds=1, microseconds=999999)  # more than a float of seconds holds
LOSSY_REQUESTS = [
    (Secret(s="deep"), "$.s"),
    (InSecret(inner=Secret(s="deep")), "$.inner.s"),
    (Secrets(by_name={"a": [b"deep"]}), "$.by_name.a[0]"),
    (Excluded(a=1, hidden=2), "$.hidden"),
    (InExcluded(inner=[Excluded(a=1), Excluded(a=1, hidden=2)]), "$.inner[1].hidden"),
    (Rounds(a=1.25), "$.a"),
    (Seconds(a=LONG), "$.a"),
    (InSeconds(inner=[Seconds(a=datetime.timedelta(1)), Seconds(a=LONG)]), "$.inner[1].a"),
    (Deep(many=[1.0, 1.25]), "$.many[1]"),
    (Part(a=1, b=2), "b: Field required"),
    (HoldsBase(child=Derived(x=1)), "$.child.y"),
    (OwnNeverEqual(version="1"), "not equal to it"),
    (OwnLost(version="12"), "not equal to it"),
]
WHOLE_REQUESTS = [
    (ShownSecret(s="deep"), '{"s":"deep"}'),
    (Excluded(a=1), '{"a":1}'),
    (Rounds(a=2.0), '{"a":2}'),
    (Seconds(a=datetime.timedelta(seconds=1.5)), '{"a":1.5}'),
    (HoldsBase(child=Base(x=1)), '{"child":{"x":1}}'),
    (Computed(a=1), '{"a":1,"double":2}'),
    (Own(version="1.2", by_name={"a": ["3"]}), '{"version":"1.2","by_name":{"a":["3"]}}'),
    (OwnLost(version="1"), '{"version":"1"}'),
    (Places(pure="/a", any_kind=["b"], zone="UTC"), '{"pure":"/a","any_kind":["b"],"zone":"UTC"}'),
    (
        Plain(url="http://a.b/", level=Level.FIRST, names={"a"}),
        '{"url":"http://a.b/","level":1,"names":["a"],"more":null}',
    ),
]


@pytest.fixture(scope="module")
def lease():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        yield lease


def raw(text):
    return {"rows": [text], "summary": "null"}


def command(kind):
    return lw.StreamingCommand("raw_rows", row=kind)


@pytest.mark.parametrize(("kind", "text", "column"), SECRET_ROWS)
def test_a_secret_is_stored_nowhere_as_asterisks(kind, text, column, lease, tmp_path):
    for sink in (lw.sinks.SqliteSink(tmp_path / "a.db"), lw.sinks.ParquetSink(tmp_path / "a.parquet")):
        with pytest.raises(lw.SinkError, match="asterisks") as stored:
            lease.run(command(kind), raw(text), sink=sink)
        assert (stored.value.column, stored.value.row) == (column, 0)
    done = lease.collect(command(kind), raw(text))
    for make in (done.to_polars, done.to_arrow, done.to_pandas, lambda: to_table(done.rows, "arrow")):
        with pytest.raises(lw.UsageError, match="asterisks") as made:
            make()
        assert (made.value.facts["column"], made.value.facts["row"]) == (column, 0)
    lines = tmp_path / "a.jsonl"
    lease.run(command(kind), raw(text), sink=lw.sinks.JsonLinesSink(lines))
    assert lines.read_text() == f"{text}\n" and [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(("kind", "text", "columns"), WHOLE_ROWS)
def test_all_fields_of_a_row_are_stored(kind, text, columns, lease, tmp_path):
    lease.run(command(kind), raw(text), sink=lw.sinks.SqliteSink(tmp_path / "a.db"))
    lease.run(command(kind), raw(text), sink=lw.sinks.ParquetSink(tmp_path / "a.parquet"))
    database = sqlite3.connect(tmp_path / "a.db")
    found = database.execute(f"SELECT {', '.join(columns)} FROM rows").fetchone()
    database.close()
    nested = {name: json.loads(text)[name] for name, each in columns.items() if isinstance(each, (list, dict))}
    assert {**dict(zip(columns, found)), **{name: json.loads(found[list(columns).index(name)]) for name in nested}} == {
        **columns,
        **nested,
    }
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist() == [columns]
    done = lease.collect(command(kind), raw(text))
    assert done.to_arrow().to_pylist() == [columns]
    assert done.to_polars().columns == list(done.to_pandas().columns) == list(columns)


@pytest.mark.parametrize(("value", "place"), LOSSY_REQUESTS)
def test_a_request_that_pydantic_writes_as_another_value_is_refused(value, place):
    class Holds(msgspec.Struct):
        value: Any

    kind = type(value)
    for sent in (value, [value], {"a": [value]}, Holds(value)):
        with pytest.raises(lw.UsageError, match="encoding the request of x") as caught:
            encode_request(None, sent, "x")
        assert place in caught.value.text and "deep" not in caught.value.text, caught.value.text
    if kind not in (Secret, InSecret, Secrets):  # which cannot be declared
        with pytest.raises(lw.UsageError, match="encoding the request of x"):
            encode_request(lw.JsonCommand("x", request=kind).request, value, "x")


@pytest.mark.parametrize(("value", "text"), WHOLE_REQUESTS)
def test_a_request_that_is_read_back_is_sent(value, text):
    kind = type(value)
    assert encode_request(lw.JsonCommand("x", request=kind).request, value, "x") == text
    assert encode_request(None, [value], "x") == f"[{text}]"
    assert decode_text(kind, text.encode(), "request") == value


def test_a_request_type_that_can_never_be_sent_is_refused_when_it_is_declared():
    class Never(pydantic.BaseModel):
        hidden: int = pydantic.Field(exclude=True)

    class Text(pydantic.BaseModel):
        value: pydantic.Json

    class Typed(pydantic.BaseModel):
        value: pydantic.Json[list[int]]

    class Strict(pydantic.BaseModel, extra="forbid"):
        @pydantic.computed_field
        @property
        def double(self) -> int:
            return 2

    for kind, said in (
        (Never, "never written"),
        (Text, "(Json)"),
        (Typed, "(Json)"),
        (Strict, "computed"),
        (Secrets, "aster"),
    ):
        with pytest.raises(lw.UsageError, match="expected fields that are sent as they are") as caught:
            lw.JsonCommand("x", request=list[kind])
        assert said in caught.value.text and caught.value.hint


ONCE = [Iterable[int], Iterable, Generator[int, None, None], Iterable[int] | None, list[Iterable[int]]]
ONCE += [
    Annotated[Iterable[int], pydantic.BeforeValidator(list)],
    pydantic.create_model("Inner", each=(Iterable[int], ...)),
]


@pytest.mark.parametrize("field", ONCE, ids=str)
def test_a_model_with_an_iterator_that_is_empty_the_second_time_is_refused(field):
    """Pydantic makes one of each Iterable: a request that is sent again would be another one."""
    model = pydantic.create_model("Model", values=(field, ...))
    for kind in (model, list[model], dataclasses.make_dataclass("Holds", [("inner", model)])):
        for declare in (
            lambda kind: lw.JsonCommand("x", request=kind),
            lambda kind: lw.JsonCommand("x", response=kind),
            lambda kind: lw.StreamingCommand("x", row=dict[str, kind]),
        ):
            with pytest.raises(lw.UsageError, match="reads an Iterable once") as caught:
                declare(kind)
            assert "list[" in caught.value.hint


def test_a_model_that_makes_a_list_of_an_iterable_is_taken():
    class Model(pydantic.BaseModel):
        values: Annotated[Iterable[int], pydantic.AfterValidator(list)]

        @pydantic.model_validator(mode="after")
        def same(self):
            return self

    command = lw.JsonCommand("x", request=Model, response=Model)
    assert decode_text(command.response, b'{"values":[1,2]}', "response").values == [1, 2]


def test_a_request_with_an_iterator_is_refused_without_a_declaration_too():
    value = pydantic.create_model("Model", values=(Iterable[int], ...))(values=[1])
    for _ in range(2):
        with pytest.raises(lw.UsageError, match="reads an Iterable once"):
            encode_request(None, {"value": value}, "x")
    assert list(value.values) == [1]


class Texts(pydantic.BaseModel):
    one: bytes
    many: list[bytes] = []
    named: dict[str, bytes] = {}


class Base64(pydantic.BaseModel, ser_json_bytes="base64", val_json_bytes="base64"):
    one: bytes


class Hexadecimal(pydantic.BaseModel, ser_json_bytes="hex", val_json_bytes="hex"):
    one: bytes


class Both(pydantic.BaseModel):
    texts: Texts
    numbers: Hexadecimal
    root: pydantic.RootModel[list[Texts]]


@pytest.mark.parametrize(
    "value",
    [
        Texts(one=b"abc", many=[b"", b"x"], named={"k": b"y"}),
        Base64(one=b"\xff\xfe\xfb"),
        Hexadecimal(one=b"\xff"),
        Both(
            texts=Texts(one=b"a"), numbers=Hexadecimal(one=b"a"), root=pydantic.RootModel[list[Texts]]([Texts(one=b"")])
        ),
    ],
    ids=repr,
)
def test_a_model_reads_what_is_stored_of_it_as_json(value):
    assert type(value).model_validate_json(encode_stored(value)) == value


class Raw(pydantic.BaseModel):
    raw: bytes


class Binary(pydantic.BaseModel):
    many: list[bytes]
    by_name: dict[str, tuple[bytes, ...]]
    inner: Raw


class BinaryInBase64(Binary, ser_json_bytes="base64", val_json_bytes="base64"):
    pass


@pytest.mark.parametrize("kind", [Binary, BinaryInBase64])
def test_bytes_in_a_column_of_json_are_spelt_as_the_model_spells_them(lease, tmp_path, kind):
    row = '{"many":["ei0p","YQ=="],"by_name":{"k":["ei0p"]},"inner":{"raw":"ei0p"}}'
    sink = lw.sinks.SqliteSink(tmp_path / "rows.db")
    lease.run(command(kind), raw(row), sink=sink)
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        (cells,) = database.execute("select many, by_name, inner from rows").fetchall()
    assert list(cells) == ['["ei0p","YQ=="]', '{"k":["ei0p"]}', '{"raw":"ei0p"}']


class Huge(enum.Enum):
    SMALL = 1
    HUGE = 2**70


class HoldsHuge(pydantic.BaseModel):
    member: Huge
    number: Literal[1, 1180591620717411303424]


def test_a_member_that_no_column_holds_makes_a_column_of_texts(lease, tmp_path):
    text = '{"member":1,"number":1}'
    asked = command(HoldsHuge)
    found = lease.collect(asked, raw(text))
    assert found.to_arrow().to_pylist() == [{"member": 1, "number": 1}]
    for sink in (lw.sinks.ParquetSink(tmp_path / "rows.parquet"), lw.sinks.SqliteSink(tmp_path / "rows.db", "rows")):
        lease.run(asked, raw(text), sink=sink)
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == [{"member": "1", "number": "1"}]
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as opened:
        assert opened.execute("SELECT member, number FROM rows").fetchall() == [("1", "1")]
