"""Columns follow from the declared type: the same in a table of some rows, in one of none, and in Parquet."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import random
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pytest

from lean_worker.sinks.parquet import arrow_schema
from lean_worker.tables import to_table
from lean_worker.wire.columns import Layout


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: float


class Inner(msgspec.Struct):
    n: int
    of: tuple[int, int] = (0, 0)


PLAIN = [
    (int, 5),
    (float, 2.5),
    (int | float, 2.5),
    (bool, True),
    (str, "x"),
    (bytes, b"x"),
    (Literal["a", "b"], "a"),
    (Level, Level.LOW),
    (Annotated[dt.datetime, msgspec.Meta(tz=True)], dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)),
    (Annotated[dt.datetime, msgspec.Meta(tz=False)], dt.datetime(2026, 1, 2)),
    (dt.date, dt.date(2026, 1, 2)),
    (dt.time, dt.time(1, 2)),
    (dt.timedelta, dt.timedelta(1)),
    (decimal.Decimal, decimal.Decimal("1.5")),
    (uuid.UUID, uuid.UUID(int=1)),
    (Point, Point(1, 2.5)),
    (Inner, Inner(1)),
    (tuple[int, float], (1, 2.0)),
    (tuple[float, float], (1.0, 2.0)),
    (tuple[str, int], ("x", 1)),
    (dict[int, str], {1: "x"}),
]


def within(kind, value, choice):
    """A type around another one, and a value of it."""
    if choice == "list":
        return list[kind], [value, value]
    if choice == "tuple":
        return tuple[kind, ...], (value,)
    if choice == "pair":
        return tuple[kind, kind], (value, value)
    if choice == "mixed":
        return tuple[kind, list[kind]], (value, [value])
    if choice == "perhaps":
        return tuple[kind | None, kind], (None, value)
    if choice == "map":
        return dict[str, kind], {"k": value}
    return kind | None, value


@pytest.fixture(scope="module", autouse=True)
def _libraries():
    """The libraries keep threads and descriptors of their own once they were used; they are no leak of a test."""
    for kind in ("arrow", "polars"):
        to_table(
            [{"a": 1, "b": [1], "c": decimal.Decimal(1), "d": dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)}], kind
        )


CHOICES = ["list", "tuple", "pair", "mixed", "perhaps", "map", "optional"]


def unified(kind: pa.DataType) -> Any:
    """A type of Arrow without names of items and without what may be null, which tables do not tell."""
    if pa.types.is_list(kind):
        return ["list", unified(kind.value_type)]
    if pa.types.is_map(kind):
        return ["map", unified(kind.item_type)]
    if pa.types.is_struct(kind):
        return {kind.field(at).name: unified(kind.field(at).type) for at in range(kind.num_fields)}
    return str(kind)


@pytest.mark.parametrize("seed", range(4))
def test_columns_do_not_depend_on_the_rows(seed):
    chance = random.Random(seed)
    fields, values = [], {}
    for number, (kind, value) in enumerate(PLAIN * 3):
        for _ in range(chance.randint(0, 3)):
            kind, value = within(kind, value, chance.choice(CHOICES))
        fields.append((f"c{number}", kind))
        values[f"c{number}"] = value
    row = msgspec.defstruct("Row", fields)
    rows = [row(**values)]
    declared = {field.name: unified(field.type) for field in arrow_schema(Layout(row).columns)}
    for given in (rows, []):
        table = to_table(given, "arrow", row=row)
        assert {field.name: unified(field.type) for field in table.schema} == declared, fields
    assert to_table(rows, "polars", row=row).schema == to_table([], "polars", row=row).schema
