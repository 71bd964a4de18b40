"""Rows as tables: each value comes out as it went in, or an error names its place."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from typing import Annotated, Any, NewType

import msgspec
import pandas
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

import lean_worker as lw
from lean_worker.testing import Row

KINDS = ["arrow", "polars", "pandas"]
keys = st.sampled_from(["a", "b", "c"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=3),
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
records = st.lists(st.dictionaries(keys, json_values, min_size=1, max_size=3), min_size=1, max_size=4)


def rows_of(table, kind):
    if kind == "arrow":
        return table.to_pylist()
    if kind == "polars":
        return table.to_dicts()
    return list(table.to_dict("records"))


def same(got, wanted):
    """Equal, of the same kind; a field that is not there counts as null, an exact float as its integer."""
    import pandas

    if wanted is None:
        return got is None or got is pandas.NA or (isinstance(got, float) and math.isnan(got))
    if isinstance(wanted, dict):
        names = {*got, *wanted} if isinstance(got, dict) else ()
        return isinstance(got, dict) and all(same(got.get(name), wanted.get(name)) for name in names)
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(wanted, bool) or isinstance(got, bool):
        return type(got) in (bool, type(pandas.Series([True])[0])) and bool(got) is wanted
    return type(got) is not str and got == wanted if not isinstance(wanted, str) else got == wanted


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(records)
def test_every_json_value_comes_out_as_it_went_in_or_its_place_is_named(kind, rows):
    try:
        table = lw.tables.to_table(rows, kind)
    except lw.UsageError as error:
        assert error.facts["column"] in "abc"
        assert 0 <= error.facts["row"] < len(rows)
        return
    found = rows_of(table, kind)
    assert len(found) == len(rows)
    for got, wanted in zip(found, rows):
        assert all(same(got.get(name), wanted.get(name)) for name in {*got, *wanted}), (got, wanted)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Natural:
    when: datetime.datetime
    utc: datetime.datetime
    day: datetime.date
    at: datetime.time
    took: datetime.timedelta
    price: decimal.Decimal
    colour: Colour
    id: uuid.UUID
    raw: bytes
    tags: list[str]


NATURAL = Natural(
    datetime.datetime(2024, 5, 6, 7, 8, 9, 10),
    datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    datetime.date(2024, 5, 6),
    datetime.time(1, 2, 3, 4),
    datetime.timedelta(days=1, microseconds=5),
    decimal.Decimal("12.340"),
    Colour.RED,
    uuid.UUID(int=7),
    b"\0\xff",
    ["x"],
)


@pytest.fixture(scope="module", autouse=True)
def _libraries():
    """The libraries keep threads and descriptors of their own once they were used; they are no leak of a test."""
    for kind in KINDS:
        rows_of(lw.tables.to_table([NATURAL], kind), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_dates_decimals_enumerations_and_bytes_have_natural_columns(kind):
    (row,) = rows_of(lw.tables.to_table([NATURAL], kind), kind)
    assert row["colour"] == "red"
    assert row["id"] == str(NATURAL.id)
    for name in ("when", "utc", "day", "at", "took", "price", "raw"):
        assert row[name] == getattr(NATURAL, name), name
    assert list(row["tags"]) == ["x"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([{"b": 1}, 5], 1),
        ([1, True], 1),
        ([1, "1"], 1),
        ([0.5, 1, (1 << 53) + 1], 2),
        ([1 << 63], 0),
        ([[1], ["a"]], 1),
        ([{"x": 1}, {"x": "a"}], 1),
    ],
)
def test_values_without_a_common_kind_are_refused_by_column_and_row(kind, values, row):
    with pytest.raises(lw.UsageError) as caught:
        lw.tables.to_table([{"v": value} for value in values], kind)
    assert (caught.value.facts["column"], caught.value.facts["row"]) == ("v", row)
    assert repr(values[row]) in caught.value.text


# -- what a row has, a table has --


@dataclasses.dataclass
class Defaulted:
    a: int
    z: int = 5


class Holding(msgspec.Struct):
    one: Defaulted
    more: list[Defaulted]


class Keyed(msgspec.Struct):
    by_number: dict[int, str]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_that_the_text_did_not_have(kind):
    rows = [msgspec.json.decode(text, type=Defaulted) for text in (b'{"a":1}', b'{"a":2,"z":7}')]
    assert rows_of(lw.tables.to_table(rows, kind), kind) == [{"a": 1, "z": 5}, {"a": 2, "z": 7}]
    held = msgspec.json.decode(b'{"one":{"a":1},"more":[{"a":2}]}', type=Holding)
    (row,) = rows_of(lw.tables.to_table([held], kind), kind)
    assert row["one"] == {"a": 1, "z": 5} and list(row["more"]) == [{"a": 2, "z": 5}]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_are_no_text(kind):
    rows = [Keyed({1: "x", 2: "y"}), Keyed({1: "z"})]
    assert rows_of(lw.tables.to_table(rows, kind), kind)[0]["by_number"] == '{"1":"x","2":"y"}'
    with pytest.raises(lw.UsageError, match="same as text"):
        lw.tables.to_table([{"v": {1: "x", "1": "y"}}], kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "rows",
    [
        [{}, {}],
        [{"v": datetime.time(3, 4, 5, tzinfo=datetime.timezone.utc)}],
        [{"v": datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=10)))}],
    ],
)
def test_what_no_table_holds_is_refused(kind, rows):
    with pytest.raises(lw.UsageError, match="making a table"):
        lw.tables.to_table(rows, kind)


# -- the declared row type --


class Level(enum.IntEnum):
    LOW = 1


class Circle(msgspec.Struct, tag_field="kind", tag="circle"):
    r: float


class Square(msgspec.Struct, tag_field="kind", tag="square"):
    side: int
    r: float = 0.0


class Declared(msgspec.Struct, rename="camel"):
    a_name: str
    n: int
    x: float
    yes: bool
    raw: bytes
    when: datetime.datetime
    day: datetime.date
    price: decimal.Decimal
    level: Level
    id: uuid.UUID
    tags: list[str]
    by_name: dict[str, int]
    deep: dict[str, list[Defaulted]]
    inner: Defaulted
    anything: Any = None
    maybe: int | None = None
    shapes: list[Circle | Square] = []


DECLARED = {
    "aName": "string", "n": "int64", "x": "double", "yes": "bool", "raw": "binary", "when": "timestamp[us, tz=UTC]",
    "day": "date32[day]", "price": "decimal128(38, 18)", "level": "int64", "id": "string",
    "tags": "list<item: string>", "byName": "map<string, int64>",
    "deep": "map<string, list<item: struct<a: int64, z: int64>>>", "inner": "struct<a: int64, z: int64>",
    "anything": "null", "maybe": "int64", "shapes": "list<item: null>",
}  # fmt: skip


def types_of(table):
    return {field.name: str(field.type) for field in table.schema}


def test_a_table_of_no_rows_has_the_declared_columns():
    import polars

    assert types_of(lw.tables.to_table([], "arrow", row=Declared)) == DECLARED
    frame = lw.tables.to_table([], "polars", row=Declared)
    assert frame.columns == list(DECLARED)
    assert frame.schema["byName"] == polars.List(polars.Struct({"key": polars.String, "value": polars.Int64}))
    assert frame.schema["when"] == polars.Datetime("us", "UTC") and frame.schema["maybe"] == polars.Int64
    table = lw.tables.to_table([], row=Declared)
    assert list(table.columns) == list(DECLARED)
    assert (str(table["n"].dtype), str(table["maybe"].dtype), str(table["x"].dtype)) == ("int64", "Int64", "float64")
    for kind, names in (
        (int, ["value"]),
        (Circle, ["kind", "r"]),
        (Circle | Square, ["kind", "r", "side"]),
        (Circle | None, ["kind", "r"]),
        (Circle | Square | None, ["kind", "r", "side"]),
        (int | None, ["value"]),
        (Annotated[Circle | Square, "both"], ["kind", "r", "side"]),
        (list[str], ["value"]),
        (NewType("Metres", float), ["value"]),
        (None, []),
    ):
        assert lw.tables.to_table([], "arrow", row=kind).column_names == names


def test_the_values_do_not_change_the_declared_columns(fake_worker):
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    text = {
        "aName": "x", "n": 1, "x": 2, "yes": True, "raw": "AA==", "when": when.isoformat(), "day": "2026-01-01",
        "price": "1.500000000000000000", "level": 1, "id": str(uuid.UUID(int=1)), "tags": [], "byName": {},
        "deep": {"k": [{"a": 1}]}, "inner": {"a": 2},
    }  # fmt: skip
    other = text | {"byName": {"only here": 3}, "deep": {}}
    fake = fake_worker({"rows": [Row(text), Row(other)], "none": [], "numbers": [Row(1), Row(2)]})
    with lw.Pool() as pool, pool.lease(fake) as lease:
        done = lease.collect(lw.StreamingCommand("rows", row=Declared))
        none = lease.collect(lw.StreamingCommand("none", row=Declared))
        several = lease.collect(lw.StreamingCommand("none", row={"a": Declared, "b": Circle}))
        numbers = lease.collect(lw.StreamingCommand("numbers", row=float))
    assert types_of(done.to_arrow()) == types_of(none.to_arrow()) == DECLARED
    assert types_of(lw.tables.to_table(done.rows, "arrow")) == DECLARED  # by their class
    first, second = done.to_arrow().to_pylist()
    assert first["deep"] == [("k", [{"a": 1, "z": 5}])] and second["byName"] == [("only here", 3)]
    assert done.to_polars().to_dicts()[1]["byName"] == [{"key": "only here", "value": 3}]
    assert list(done.to_pandas()["byName"]) == [{}, {"only here": 3}]
    assert several.to_polars()["b"].columns == ["kind", "r"] and several.by_stream == {"a": [], "b": []}
    assert types_of(numbers.to_arrow()) == {"value": "double"}
    shapes = [Circle(1), Square(2)]
    assert lw.tables.to_table(shapes, "arrow", row=Circle | Square).to_pylist() == [
        {"kind": "circle", "r": 1.0, "side": None},
        {"kind": "square", "r": 0.0, "side": 2},
    ]
    assert done.by_stream == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_is_not_as_declared_is_refused(kind):
    for wrong in (Defaulted("x"), Defaulted(1.5), Defaulted(True), Defaulted(1 << 63)):
        with pytest.raises(lw.UsageError, match="column 'a', row 1: .* is not as declared"):
            lw.tables.to_table([Defaulted(1), wrong], kind)
    with pytest.raises(lw.UsageError, match="column 'r', row 0"):
        lw.tables.to_table([Circle((1 << 53) + 1)], kind)
    with pytest.raises(lw.UsageError, match="expected row as one row type"):
        lw.tables.to_table([], kind, row={"a": Circle})


@pytest.mark.parametrize("kind", KINDS)
def test_rows_as_json_text(kind):
    for row in (b'{"a":1}', msgspec.Raw(b'{"a":1}')):
        assert rows_of(lw.tables.to_table([row], kind, row=type(row)), kind) == [{"value": '{"a":1}'}]
        assert rows_of(lw.tables.to_table([{"v": msgspec.Raw(b"1")}], kind), kind) == [{"v": "1"}]
    table = lw.tables.to_table([b"\xff", None], kind, row=bytes | None)  # which are no texts
    assert rows_of(table, kind) == [{"value": b"\xff"}, {"value": None}]


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_is_not_taken_for_a_record(kind):
    with pytest.raises(lw.UsageError, match="field 'value'") as caught:
        lw.tables.to_table([5, {"value": 5}], kind)
    assert caught.value.facts["row"] == 1
    assert len(lw.tables.to_table([5, {"a": 5}], kind)) == 2


class Loose(msgspec.Struct):
    pair: tuple[int, str]
    either: int | str
    anything: Any
    many: list[int | str]
    maybe: int | str | None = None


@pytest.mark.parametrize("kind", KINDS)
def test_a_declared_type_without_a_column_is_json_text(kind):
    rows = [Loose((1, "x"), 1, {"a": 1}, [1, "y"]), Loose((2, "z"), "s", [None], [], "t")]
    assert rows_of(lw.tables.to_table(rows, kind), kind) == [
        {"pair": '[1,"x"]', "either": "1", "anything": '{"a":1}', "many": ["1", '"y"'], "maybe": None},
        {"pair": '[2,"z"]', "either": '"s"', "anything": "[null]", "many": [], "maybe": "t"},
    ]


class Ordered(TypedDict):
    z: int
    a: str
    m: float


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_a_typed_dict_are_in_the_declared_order(kind):
    for rows in ([], [{"m": 1.0, "a": "x", "z": 1}]):
        table = lw.tables.to_table(rows, kind, row=Ordered)
        assert list(table.column_names if kind == "arrow" else table.columns) == ["z", "a", "m"]


class RootList(pydantic.RootModel[list[int]]):
    pass


class Inner(pydantic.BaseModel):
    a: int


class RootModel(pydantic.RootModel[Inner]):
    pass


class WithRoots(msgspec.Struct):
    numbers: RootList
    inner: RootModel
    many: list[RootModel]


@pytest.mark.parametrize(
    ("rows", "kind", "expected"),
    [
        ([RootList([1]), RootList([2, 3])], RootList, [{"value": [1]}, {"value": [2, 3]}]),
        ([RootModel(Inner(a=1))], RootModel, [{"a": 1}]),
        (
            [WithRoots(RootList([1]), RootModel(Inner(a=2)), [RootModel(Inner(a=3))])],
            WithRoots,
            [{"numbers": [1], "inner": {"a": 2}, "many": [{"a": 3}]}],
        ),
        ([{"": 1, "a.b": 2}], None, [{"": 1, "a.b": 2}]),
        ([{"v": {b"a": 1, datetime.date(2026, 1, 2): 2}}], None, [{"v": {"YQ==": 1, "2026-01-02": 2}}]),
        ([{b"\xff": 1, 5: 2}, {5: 3}], None, [{"/w==": 1, "5": 2}, {"/w==": None, "5": 3}]),
    ],
)
@pytest.mark.parametrize("library", KINDS)
def test_names_and_values_are_those_of_the_rows_json(rows, kind, expected, library):
    table = lw.tables.to_table(rows, library, row=kind)
    found = {"arrow": "to_pylist", "polars": "to_dicts"}.get(library)
    assert (getattr(table, found)() if found else table.to_dict("records")) == expected


class Long(msgspec.Struct):
    v: list[datetime.timedelta]


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("rows", "column", "row"),
    [
        ([Long([]), Long([datetime.timedelta(0), datetime.timedelta.max])], "v", 1),
        ([{"a": 1, "v": 1}, {"a": 2, "v": nested(2000)}], "v", 1),
        ([{"a": 1}, None], "value", 1),
        ([{"v": pandas.Timestamp("2026-01-01 00:00:00.000000001")}], "v", 0),
        ([{"v": pandas.Timedelta("1500ns")}], "v", 0),
        ([None, Inner(a=1)], "value", 0),
    ],
)
@pytest.mark.parametrize("library", KINDS)
def test_a_value_beyond_a_table_is_named_with_its_row(rows, column, row, library):
    with pytest.raises(lw.UsageError) as caught:
        lw.tables.to_table(rows, library)
    assert (caught.value.column, caught.value.row) == (column, row)


class Right(msgspec.Struct):
    n: int


class Wrong(msgspec.Struct):
    m: str


@pytest.mark.parametrize("rows", [[Wrong("a")], [Right(1), Wrong("a")], [Right(1), "x"], [Right(1), 5]])
def test_rows_of_another_class_than_the_declared_one_are_refused(rows):
    with pytest.raises(lw.UsageError, match="expected rows of Right, got "):
        lw.tables.to_table(rows, "arrow", row=Right)
    for kind in (Right, Right | None):
        assert lw.tables.to_table([Right(1), {"n": 2}], "arrow", row=kind).to_pylist() == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("rows", [[None], [Right(1), None], [None, None]])
def test_a_null_row_is_no_row_whose_fields_are_null(rows):
    with pytest.raises(lw.UsageError, match="row . is null"):
        lw.tables.to_table(rows, "arrow", row=Right | None)


@pytest.mark.parametrize("row", [Right(1), {"n": 1}, lw.DataRow("rows", 0, {"n": 1}, b'{"n":1}')])
@pytest.mark.parametrize("kind", [int, str | None, list[int], NewType("Metres", float)])
def test_records_are_no_rows_of_a_type_without_fields(row, kind):
    with pytest.raises(lw.UsageError, match="expected rows of .*, got .* in row 0"):
        lw.tables.to_table([row], "arrow", row=kind)


class Word(enum.Enum):
    ONE = "one"
    TWO = "two"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keys", "values", "texts"),
    [
        (Word, [{Word.ONE: None}, {}, {Word.TWO: 1}], ['{"one":null}', "{}", '{"two":1}']),
        (int, [{1: 2}, {}], ['{"1":2}', "{}"]),
        (datetime.date, [{datetime.date(2020, 1, 1): 2}], ['{"2020-01-01":2}']),
        (int, [], []),
    ],
)
def test_keys_of_one_row_are_not_those_of_another(kind, keys, values, texts):
    """A struct would have the keys of all rows, and no difference between a missing one and one that is null."""
    row = msgspec.defstruct("Keyed", [("v", dict[keys, int | None])])
    table = lw.tables.to_table([row(value) for value in values], kind, row=row)
    column = table["v"]
    assert (column.to_pylist() if kind == "arrow" else column.to_list()) == texts
    within = msgspec.defstruct("Within", [("v", list[dict[keys, int | None]])])
    table = lw.tables.to_table([within(values)], kind, row=within)
    (cell,) = table["v"].to_pylist() if kind == "arrow" else table["v"].to_list()
    assert list(cell) == texts
