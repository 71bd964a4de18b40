"""Dates, decimals, enumerations and bytes: stored in columns of their own kind, and read back equal."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import itertools
import sqlite3
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars
import pyarrow as pa
import pyarrow.parquet
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lean_worker as lw
from lean_worker.results import StreamSummary
from lean_worker.sinks.sink_set import SinkSet
from lean_worker.tables import to_table
from support import FUNCTIONS


@pytest.fixture(scope="module", autouse=True)
def _libraries():
    """The libraries keep threads and descriptors of their own once they were used; they are no leak of a test."""
    table = pa.table({"a": [1]})
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    pyarrow.parquet.read_table(pa.BufferReader(sink.getvalue()))
    polars.read_parquet(sink.getvalue().to_pybytes())
    polars.DataFrame({"a": [1]}).to_dicts()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Inner(msgspec.Struct):
    day: dt.date
    raw: bytes


class Natural(msgspec.Struct):
    moment: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    day: dt.date
    at: dt.time
    took: dt.timedelta
    price: decimal.Decimal
    colour: Colour
    level: Level
    raw: bytes
    number: int | float
    days: list[dt.date]
    inner: Inner
    maybe: dt.date | None = None


def store(sink, kind, rows):
    sinks = SinkSet(sink, lw.StreamingCommand("rows", row=kind))
    sinks.open()
    try:
        for start in range(0, len(rows), 1000):
            sinks._open[""].write(rows[start : start + 1000], 1)
        sinks.commit(StreamSummary(len(rows), {"rows": len(rows)}, 0, None))
    finally:
        sinks.close()


def fields(row):
    return {name: getattr(row, name) for name in row.__struct_fields__}


def plain(value):
    """A row's value as a column holds it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Inner):
        return {"day": value.day, "raw": value.raw}
    return value


def from_sql(name, stored):
    """A column of SQLite as Python reads it with the standard library."""
    readers: dict[str, Any] = {
        "moment": dt.datetime.fromisoformat,
        "local": dt.datetime.fromisoformat,
        "day": dt.date.fromisoformat,
        "maybe": dt.date.fromisoformat,
        "at": dt.time.fromisoformat,
        "took": lambda text: msgspec.convert(text, dt.timedelta),
        "price": decimal.Decimal,
        "days": lambda text: msgspec.json.decode(text, type=list[dt.date]),
        "inner": lambda text: plain(msgspec.json.decode(text, type=Inner)),
    }
    return None if stored is None else readers.get(name, lambda value: value)(stored)


def read_sqlite(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM rows")]


zones = st.integers(-12, 14).map(lambda hours: dt.timezone(dt.timedelta(hours=hours)))
# A year from the ends of the calendar, so that each moment has a UTC form.
edges = {"min_value": dt.datetime(2, 1, 1), "max_value": dt.datetime(9998, 12, 31)}
naturals = st.builds(
    Natural,
    moment=st.datetimes(**edges, timezones=zones, allow_imaginary=False),
    local=st.datetimes(**edges),
    day=st.dates(),
    at=st.times(),
    took=st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000)),
    price=st.decimals(-(10**9), 10**9, places=4),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    raw=st.binary(max_size=5),
    number=st.one_of(st.integers(-(1 << 53), 1 << 53), st.floats(allow_nan=False, allow_infinity=False)),
    days=st.lists(st.dates(), max_size=3),
    inner=st.builds(Inner, day=st.dates(), raw=st.binary(max_size=3)),
    maybe=st.none() | st.dates(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(naturals, min_size=1, max_size=4))
def test_values_read_back_equal_from_every_store(tmp_path, rows):
    # The way of real rows: through their JSON text.
    rows = msgspec.json.decode(msgspec.json.encode(rows), type=list[Natural])
    wanted = [{name: plain(value) for name, value in fields(row).items()} for row in rows]
    store(lw.sinks.ParquetSink(tmp_path / "rows.parquet"), Natural, rows)
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == wanted
    store(lw.sinks.SqliteSink(tmp_path / "rows.db"), Natural, rows)
    found = read_sqlite(tmp_path / "rows.db")
    assert [{name: from_sql(name, cell) for name, cell in row.items()} for row in found] == wanted
    frame = lw.tables.to_table(rows, "polars")
    assert frame.to_dicts() == wanted


ROW = Natural(
    moment=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    local=dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    day=dt.date(2026, 1, 2),
    at=dt.time(1, 2),
    took=dt.timedelta(days=1, microseconds=5),
    price=decimal.Decimal("12.340"),
    colour=Colour.RED,
    level=Level.HIGH,
    raw=b"\0\xff",
    number=2,
    days=[],
    inner=Inner(dt.date(1, 1, 1), b"x"),
)


def test_the_types_of_the_columns(tmp_path):
    store(lw.sinks.ParquetSink(tmp_path / "rows.parquet"), Natural, [ROW])
    types = {field.name: field.type for field in pyarrow.parquet.read_schema(tmp_path / "rows.parquet")}
    assert types["moment"] == pa.timestamp("us", "UTC") and types["local"] == pa.timestamp("us")
    assert types["day"] == pa.date32() and types["at"] == pa.time64("us") and types["took"] == pa.duration("us")
    assert types["price"] == pa.decimal128(38, 18) and types["raw"] == pa.binary()
    assert types["colour"] == pa.string() and types["level"] == pa.int64()
    assert types["days"].value_type == pa.date32() and types["inner"].field("raw").type == pa.binary()
    read = polars.read_parquet(tmp_path / "rows.parquet")
    assert read.schema["moment"] == polars.Datetime("us", "UTC") and read.schema["price"] == polars.Decimal(38, 18)
    store(lw.sinks.SqliteSink(tmp_path / "rows.db"), Natural, [ROW])
    (row,) = read_sqlite(tmp_path / "rows.db")
    assert row["moment"] == "2026-01-02 01:04:05.000000+00:00" and row["local"] == "2026-01-02 03:04:05.000006"
    assert (row["day"], row["at"], row["price"], row["raw"]) == ("2026-01-02", "01:02:00.000000", "12.340", b"\0\xff")
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        query = "SELECT datetime(moment), date(local), time(at), strftime('%Y', day) FROM rows"
        assert database.execute(query).fetchone() == ("2026-01-02 01:04:05", "2026-01-02", "01:02:00", "2026")


@dataclasses.dataclass
class Open:
    """Its type leaves open whether datetimes have a zone."""

    when: dt.datetime | None
    within: list[dt.datetime] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize("zone", [None, dt.timezone.utc])
def test_the_first_datetime_of_a_column_decides_about_its_zone(tmp_path, zone):
    path = tmp_path / "rows.parquet"
    when = dt.datetime(2026, 1, 2, tzinfo=zone)
    rows = [Open(None), Open(when, [when]), Open(when)]
    store(lw.sinks.ParquetSink(path), Open, rows)
    assert pyarrow.parquet.read_table(path).to_pylist() == [dataclasses.asdict(row) for row in rows]
    other = Open(dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc if zone is None else None))
    with pytest.raises(lw.SinkError, match="column 'when', row 3: .*time zone") as caught:
        store(lw.sinks.ParquetSink(path), Open, [*rows, other])
    assert (caught.value.column, caught.value.row) == ("when", 3)
    store(lw.sinks.ParquetSink(path), Open, [])
    assert pyarrow.parquet.read_table(path).num_rows == 0


class Within(msgspec.Struct):
    at: dt.datetime | None = None


class Places(msgspec.Struct):
    """Datetimes in all places in which a column can have them."""

    plain: dt.datetime | None = None
    listed: list[dt.datetime | None] = msgspec.field(default_factory=lambda: [None])
    named: dict[str, Within] = msgspec.field(default_factory=lambda: {"a": Within()})
    inner: Within = msgspec.field(default_factory=Within)


NAIVE = dt.datetime(2026, 1, 2, 3, 4, 5)
MOMENTS = [None, NAIVE, NAIVE.replace(tzinfo=dt.timezone.utc)]


MOMENT_SAMPLES = [[None] * place + [moment] + [None] * (3 - place) for place in range(4) for moment in MOMENTS]
MOMENT_SAMPLES += [MOMENTS[1:] * 2, [*reversed(MOMENTS[1:])] * 2]


@pytest.mark.parametrize("empty_rows", [1, 9000])
@pytest.mark.parametrize(("group_rows", "is_late"), [(100_000, False), (4096, True)])
def test_rows_without_a_datetime_decide_nothing_within_a_row_group(tmp_path, empty_rows, group_rows, is_late):
    path = tmp_path / "rows.parquet"
    for plain, listed, named, inner in itertools.product(MOMENTS, repeat=4) if empty_rows == 1 else MOMENT_SAMPLES:
        last = Places(plain, [listed], {"a": Within(named)}, Within(inner))
        sink = lw.sinks.ParquetSink(path, row_group_rows=group_rows)
        rows = [*([Places()] * empty_rows), last, Places()]
        if is_late and empty_rows > group_rows and NAIVE in (plain, listed, named, inner):
            with pytest.raises(lw.SinkError, match=f"row {empty_rows}: .*time zone"):
                store(sink, Places, rows)
        else:
            store(sink, Places, rows)
            table = pyarrow.parquet.read_table(path, schema=None)
            assert table.num_rows == len(rows)
            found = table.slice(empty_rows, 1).to_pylist(maps_as_pydicts="strict")[0]
            assert found == msgspec.to_builtins(last, builtin_types=(dt.datetime,))


@pytest.mark.parametrize("row", [Open, Places])
def test_parts_of_a_job_have_equal_columns(tmp_path, row):
    command = lw.StreamingCommand("on_streams", row=row)
    with pytest.raises(lw.UsageError, match="making a job: column '(when|plain)' of on_streams has datetimes that may"):
        lw.Job(tmp_path / "ledger", command, FUNCTIONS, parts_as="parquet")
    lw.Job(tmp_path / "ledger", command, FUNCTIONS)


class Deep(pydantic.BaseModel):
    n: int = pydantic.Field(alias="N")


class WithModels(pydantic.BaseModel):
    day: dt.date
    price: decimal.Decimal
    deep: list[Deep]
    by_name: dict[str, Deep]


def test_pydantic_models_have_the_same_columns(tmp_path):
    value = {"day": "2026-01-02", "price": "1.50", "deep": [{"N": 1}], "by_name": {"a": {"N": 2}}}
    row = WithModels.model_validate(value)
    store(lw.sinks.ParquetSink(tmp_path / "rows.parquet"), WithModels, [row])
    (found,) = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert found == {
        "day": row.day,
        "price": row.price,
        "deep": [{"N": 1}],
        "by_name": [("a", {"N": 2})],
    }
    store(lw.sinks.SqliteSink(tmp_path / "rows.db"), WithModels, [row])
    (stored,) = read_sqlite(tmp_path / "rows.db")
    assert stored == {"day": "2026-01-02", "price": "1.50", "deep": '[{"N":1}]', "by_name": '{"a":{"N":2}}'}


class Cells(msgspec.Struct, omit_defaults=True):
    number: int | float = 0
    whole: int = 0
    price: decimal.Decimal = decimal.Decimal(0)
    at: dt.time = dt.time()
    moment: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    took: dt.timedelta = dt.timedelta()


EARLIEST = dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))
BEYOND = [
    ("number", (1 << 53) + 1, "both"),
    ("whole", 1 << 63, "both"),
    ("price", decimal.Decimal("1e-19"), "parquet"),
    ("price", decimal.Decimal(10**25), "parquet"),
    ("price", decimal.Decimal("NaN"), "parquet"),
    ("at", dt.time(1, tzinfo=dt.timezone.utc), "parquet"),
    ("moment", EARLIEST, "both"),
    ("took", dt.timedelta.max, "parquet"),
]


@pytest.mark.parametrize(("name", "value", "where"), BEYOND)
def test_what_a_column_cannot_hold_names_column_row_and_value(tmp_path, name, value, where):
    rows = [Cells(), Cells(**{name: value})]
    for sink in (lw.sinks.ParquetSink(tmp_path / "x.parquet"), lw.sinks.SqliteSink(tmp_path / "x.db")):
        if where == "parquet" and isinstance(sink, lw.sinks.SqliteSink):
            store(sink, Cells, rows)
            continue
        with pytest.raises(lw.SinkError) as caught:
            store(sink, Cells, rows)
        assert (caught.value.column, caught.value.row, caught.value.doing) == (name, 1, "writing")
        assert repr(value)[:40] in caught.value.text and name in str(caught.value.hint)


@pytest.mark.parametrize("kind", [lw.sinks.SqliteSink, lw.sinks.JsonLinesSink, lw.sinks.ParquetSink])
def test_a_class_is_no_sink(kind):
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.UsageError, match="expected a sink"):
            lease.run(lw.StreamingCommand("rows"), {"count": 1}, sink=kind)


UTC_DAY = dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone.utc)
STAND_INS = {
    pydantic.AwareDatetime: (UTC_DAY, "2026-01-02 03:00:00.000000+00:00"),
    pydantic.NaiveDatetime: (dt.datetime(2026, 1, 2), "2026-01-02 00:00:00.000000"),
    pydantic.PastDatetime: (dt.datetime(2020, 1, 2), "2020-01-02 00:00:00.000000"),
    pydantic.FutureDatetime: (dt.datetime(2920, 1, 2), "2920-01-02 00:00:00.000000"),
    pydantic.PastDate: (dt.date(2020, 1, 2), "2020-01-02"),
    pydantic.FutureDate: (dt.date(2920, 1, 2), "2920-01-02"),
    pydantic.ByteSize: (1024, 1024),
    pydantic.HttpUrl: ("https://a.org/x", "https://a.org/x"),
    pydantic.PostgresDsn: ("postgres://u@a.org/x", "postgres://u@a.org/x"),
    ipaddress.IPv6Address: ("::1", "::1"),
    Path: ("a/b", "a/b"),
    pydantic.UUID4: ("2f1a2e9e-7ec5-4b6c-8d0d-3f1d6bb0a0f3", "2f1a2e9e-7ec5-4b6c-8d0d-3f1d6bb0a0f3"),
}


@pytest.mark.parametrize("kind", STAND_INS, ids=lambda kind: getattr(kind, "__name__", "UUID4"))
def test_a_pydantic_type_has_the_column_of_what_it_stands_for(kind, tmp_path):
    model = pydantic.create_model("M", one=(kind, ...), maybe=(kind | None, None), many=(list[kind], ...))
    value, in_sqlite = STAND_INS[kind]
    row = model(one=value, maybe=None, many=[value])
    store(lw.sinks.ParquetSink(tmp_path / "x.parquet"), model, [row])
    stored = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    table = to_table([row], "arrow", row=model)
    assert stored == table.to_pylist() == [{"one": value, "maybe": None, "many": [value]}]
    assert to_table([], "arrow", row=model).schema.types[:2] == table.schema.types[:2] or kind in UNDECIDED
    store(lw.sinks.SqliteSink(tmp_path / "x.db", "t"), model, [row])
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT one, maybe FROM t").fetchall() == [(in_sqlite, None)]


UNDECIDED = (pydantic.PastDatetime, pydantic.FutureDatetime)
"""Their values may have a zone or none; a table without rows says that they have."""
