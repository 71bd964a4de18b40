"""A number arrives as it was, or an error names its place: integers in fields of floats, decimals in models."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

import lean_worker as lw
from lean_worker.testing import Answer, Row
from lean_worker.wire.json_types import decode_text
from lean_worker.wire.requests import encode_request

N = (1 << 53) + 1
Metres = NewType("Metres", float)


class Struct(msgspec.Struct, rename="camel"):
    the_x: float = 0.0
    many: list[float] = []
    either: int | float = 0
    by_number: dict[float, float] = {}


class Array(msgspec.Struct, array_like=True, tag="array"):
    x: float


@dataclasses.dataclass
class Data:
    struct: Struct
    maybe: float | None = None


class Named(NamedTuple):
    x: float


class Typed(TypedDict):
    x: float


class Model(pydantic.BaseModel):
    x: float = pydantic.Field(0, validation_alias="ex")
    price: Decimal = Decimal(0)
    more: dict[str, list[float]] = {}


class Anything(pydantic.BaseModel):
    value: Any = None
    listed: list = []


class Root(pydantic.RootModel[list[float]]):
    pass


class Doubled(pydantic.BaseModel):
    """Its own validator may change a number."""

    x: float
    other: int

    @pydantic.field_validator("x")
    @classmethod
    def double(cls, x):
        return 2 * x + 3


class Held(msgspec.Struct):
    model: Model


WRONG = [
    (float, N, "$"),
    (Metres, -N, "$"),
    (list[float], [0, 1.5, N], "$[2]"),
    (set[float], [N], "$[0]"),
    (tuple[int, float], [N, N], "$[1]"),
    (dict[str, float], {"a b": N}, "$.a b"),
    (Struct, {"theX": N}, "$.theX"),
    (Struct, {"many": [1, 10**30 + 1]}, "$.many[1]"),
    (Struct, {"byNumber": {str(N): 1}}, f"$.byNumber.{N}"),
    (Array, ["array", N], "$[1]"),
    (Data, {"struct": {"theX": N}}, "$.struct.theX"),
    (Data, {"struct": {}, "maybe": N}, "$.maybe"),
    (Named, [N], "$[0]"),
    (Typed, {"x": N}, "$.x"),
    (Struct | int, {"theX": N}, "$.theX"),
    (Model, {"ex": N}, "$.ex"),
    (Model, {"more": {"a": [N]}}, "$.more.a[0]"),
    (Root, [1, N], "$[1]"),
    (Held, {"model": {"ex": N}}, "$.model.ex"),
    (Model, '{"price":0.12345678901234567890123}', "$.price"),
    (Held, '{"model":{"price":0.12345678901234567890123}}', "$.model.price"),
    (Model, '{"ex":1e400}', "$.ex"),
    (Model, f'{{"more":{{"a":[{"9" * 400}]}}}}', "$.more.a[0]"),
    (Model, '{"ex":-1E+0400}', "$.ex"),
    (Anything, '{"value":1e400}', "$.value"),
    (Anything, '{"value":{"a":[0,-1e999]}}', "$.value.a[1]"),
    (Anything, '{"listed":[1e400]}', "$.listed[0]"),
]


@pytest.mark.parametrize("first", ["", '[0.123456789,"08:39:28"],', '[1e300,"08:39:28"],'])
def test_a_time_in_a_set_that_would_be_cut_is_refused(first):
    text = f'[{first}[0.5,"08:39:28.1234567"]]'
    with pytest.raises(lw.DecodeError, match=r"28\.1234567 would become the time"):
        decode_text(set[tuple[float, datetime.time]], text.encode(), "row")


class Word(enum.Enum):
    ONE = "one"


class Count(enum.Enum):
    ONE = 1


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (dict[Word, float], f'{{"one":{N}}}'),
        (dict[Count, float], f'{{"1":{N}}}'),
        (dict[bytes, float], f'{{"YQ==":{N}}}'),
        (dict[Word, dict[str, list[float]]], f'{{"one":{{"a":[{N}]}}}}'),
        (dict[str, dict[Word, datetime.datetime]], '{"a":{"one":"2020-01-01T00:00:00.1234567Z"}}'),
        (dict[Word, datetime.timedelta], '{"one":"PT0.1234567S"}'),
        (set[float], f"[{N - 1},{N}]"),
    ],
)
def test_below_any_key_and_beside_its_neighbour_a_rounded_value_is_refused(kind, text):
    with pytest.raises(lw.DecodeError, match="would become the"):
        decode_text(kind, text.encode(), "row")


@pytest.mark.parametrize(("kind", "value", "path"), WRONG)
def test_a_number_that_would_be_rounded_is_refused_by_its_place(kind, value, path):
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(lw.DecodeError, match="[0-9…] would become the") as caught:
        decode_text(kind, text.encode(), "row")
    assert caught.value.path == path and "int | float" in caught.value.hint


RIGHT = [
    (float, "9007199254740992"),
    (float, f"{10**22}"),
    (float, "1234567890123456789.0"),
    (float, "0.12345678901234567890123"),
    (float, "1.5e-300"),
    (int, str(N)),
    (Any, str(N)),
    (Decimal, "0.12345678901234567890123"),
    (Struct, f'{{"either":{N}}}'),
    (dict[str, float | str], f'{{"a":"{N}"}}'),
    (Model, '{"price":"0.12345678901234567890123"}'),
    (Model, f'{{"price":{N}}}'),
    (Doubled, f'{{"x":{N - 1},"other":{N}}}'),
    (Anything, f'{{"value":[{N},"{N}e400"]}}'),
    # What stands beside a time in a set, in an order that nobody knows, is not taken for it.
    (set[tuple[float, datetime.time]], '[[0.123456789,"08:39:28"],[1.5,"08:39:29"]]'),
    (frozenset[tuple[str, datetime.timedelta]], '[["08:39:28.1234567","PT1S"]]'),
]


@pytest.mark.parametrize(("kind", "text"), RIGHT)
def test_what_is_exact_arrives(kind, text):
    value = decode_text(kind, text.encode(), "row")
    if isinstance(value, (int, float, Decimal)):
        assert value == type(value)(text)


numbers = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.integers(-(1 << 12), 1 << 12).map(lambda near: near + (1 << 53)),
    st.floats(allow_nan=False, allow_infinity=False),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(numbers, max_size=4), st.text(max_size=20))
@example([float(1 << 60)], "9" * 20)
def test_every_number_arrives_or_is_refused(values, text):
    """Python's own reader says which integers a float holds."""
    wanted = json.loads(json.dumps(values))
    is_exact = all(isinstance(each, float) or float(each) == each for each in wanted)
    source = json.dumps({"many": values, "other": text}).encode()
    try:
        found = decode_text(Struct, source, "row")
    except lw.DecodeError as error:
        assert not is_exact and error.path.startswith("$.many[")
    else:
        assert is_exact and found.many == wanted


T = TypeVar("T")
Number = TypeVar("Number", bound=float)


class Generically(msgspec.Struct, Generic[T], frozen=True):
    it: T


@attrs.frozen
class ByAttrs(Generic[T]):
    it: T


class Bound(msgspec.Struct, Generic[Number], frozen=True):
    it: Number


# A type around another one, and what stands before and behind the other one's text.
AROUND = [
    (lambda kind: list[kind], "[", "]"),
    (lambda kind: dict[str, kind], '{"a":', "}"),
    (lambda kind: tuple[int, kind], "[1,", "]"),
    (lambda kind: tuple[kind, ...], "[", "]"),
    (lambda kind: frozenset[kind], "[", "]"),
    (lambda kind: Optional[kind], "", ""),  # noqa: UP045
    (lambda kind: Annotated[kind, "a note"], "", ""),
    (lambda kind: NewType("New", kind), "", ""),
    (lambda kind: Generically[kind], '{"it":', "}"),
    (lambda kind: ByAttrs[kind], '{"it":', "}"),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([(float, "", ""), (Bound, '{"it":', "}")]), st.lists(st.sampled_from(AROUND), max_size=4))
def test_no_type_around_a_float_lets_a_number_be_rounded(innermost, around):
    kind, before, behind = innermost
    for wrap, left, right in around:
        kind, before, behind = wrap(kind), left + before, behind + right
    try:
        lw.JsonCommand("c", response=kind)
    except lw.UsageError:
        assume(False)  # such as a set of lists
    with pytest.raises(lw.DecodeError, match="would become the float"):
        decode_text(kind, f"{before}{N}{behind}".encode(), "row")
    decode_text(kind, f"{before}{N - 1}{behind}".encode(), "row")


def test_rows_answers_summaries_and_requests(fake_worker):
    fake = fake_worker(
        {"rows": [Row({"theX": 1}), Row({"theX": N}), Row({"theX": 2})], "answer": [Answer(N)]},
    )
    with lw.Pool() as pool, pool.lease(fake) as lease:
        with pytest.raises(lw.DecodeError) as caught:
            lease.collect(lw.StreamingCommand("rows", row=Struct))
        assert (caught.value.sequence, caught.value.stream, caught.value.path) == (1, "rows", "$.theX")
        assert str(N) in caught.value.text
        with pytest.raises(lw.DecodeError):
            lease.call(lw.JsonCommand("answer", response=float))
        assert lease.call(lw.JsonCommand("answer", response=int | float)) == N
    with pytest.raises(lw.DecodeError):
        encode_request(Struct, {"theX": N}, "x")
    assert decimal.Decimal(encode_request(Struct, {"theX": N - 1}, "x").partition(":")[2][:-1]) == N - 1


class ByDecimal(msgspec.Struct):
    prices: dict[Decimal, int] = {}
    text: str = ""


@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        (dict[Decimal, int], b'{"-0":1}', "$.-0"),
        (dict[Decimal | None, int], b'{"-0":1}', "$.-0"),
        (dict[Decimal, int], rb'{"1":2,"\u002d0":1}', "$.-0"),
        (list[ByDecimal], b'[{"prices":{"1":1,"-0":2}}]', "$[0].prices.-0"),
        (dict[Decimal, dict[Decimal, int]], b'{"-1":{"-0":1}}', "$.-1.-0"),
    ],
    ids=str,
)
def test_a_key_that_is_a_decimal_keeps_its_sign_or_is_an_error(kind, text, path):
    with pytest.raises(lw.DecodeError, match="-0 would become the Decimal 0") as caught:
        decode_text(kind, text, "row")
    assert caught.value.path == path and "-0e0" in caught.value.hint
    keys = decode_text(dict[Decimal, int], b'{"-0e0":1,"1.10":2,"1E+5":3}', "row")
    assert [str(key) for key in keys] == ["-0", "1.10", "1E+5"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (dict[str, Decimal], b'{"-0":"-0"}'),
        (dict[Decimal, Decimal], b'{"1":"-0"}'),
        (ByDecimal, b'{"prices":{"-0.0":1},"text":"-0"}'),
        (tuple[ByDecimal, dict[float, int]], b'[{"prices":{},"text":""},{"-0.0":1}]'),
    ],
    ids=str,
)
def test_other_zeros_beside_decimals_arrive_as_they_were(kind, text):
    assert msgspec.json.encode(decode_text(kind, text, "row")) == text


def test_a_request_with_a_negative_zero_for_a_key_is_an_error_before_it_is_sent():
    with pytest.raises(lw.DecodeError) as caught:
        encode_request(dict[Decimal, int], {Decimal("-0"): 1}, "ask")
    assert (caught.value.path, caught.value.entered_worker) == ("$.-0", False)
    assert encode_request(list[Decimal], [Decimal("-0")], "ask") == '["-0"]'


SPELLINGS = [
    *("9007199254740993", "9007199254740993.0", "9007199254740993e0", "0.9007199254740993e16", "9007199254740.993e3"),
    *("12345678901234567.0", "1.00000000000000000001", "1e-400", "4.9e-324", "1e400", "-1e400", "1e22", "0.1", "1.5"),
    *("1.0", "-0", "123456789012345678901234567890", "-9007199254740993", "3.00", "2.5e-3", "1e5"),
    *("+9007199254740993", " 9007199254740993 "),  # read in texts only
]


@pytest.mark.parametrize("as_text", [False, True], ids=["number", "text"])
@pytest.mark.parametrize("is_strict", [False, True], ids=["lax", "strict"])
@pytest.mark.parametrize("kind", [int, int | None, int | str, Literal[9007199254740992, 1], Decimal, float], ids=str)
def test_a_pydantic_model_has_the_number_that_stands_there(kind, is_strict, as_text):
    """It reads a number with a point by way of a float, and texts as numbers."""

    class Found(pydantic.BaseModel, strict=is_strict):
        one: kind
        several: list[kind] = []
        by_name: dict[str, kind] = {}

    for spelling in SPELLINGS:
        text = f'"{spelling}"' if as_text else spelling
        try:
            found = decode_text(
                Found, f'{{"one":{text},"several":[{text}],"by_name":{{"a":{text}}}}}'.encode(), "row", command="x"
            )
        except lw.DecodeError:
            continue
        for value in (found.one, found.several[0], found.by_name["a"]):
            meant = Decimal(spelling)
            if isinstance(value, str):
                assert value == spelling
            elif isinstance(value, float) and "." in spelling + spelling.replace("e", "."):
                assert value == float(spelling) and math.isfinite(value)
            else:
                assert value == meant, (spelling, value)


def test_a_date_of_a_text_with_a_time_of_less_than_a_microsecond_is_refused():
    class Day(pydantic.BaseModel):
        day: datetime.date

    assert decode_text(Day, b'{"day":"2026-01-01T00:00:00.0000000"}', "row", command="x").day.year == 2026
    with pytest.raises(lw.DecodeError, match="would become the date 2026-01-01"):
        decode_text(Day, b'{"day":"2026-01-01T00:00:00.0000001"}', "row", command="x")
