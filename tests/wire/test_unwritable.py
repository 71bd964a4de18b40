"""What JSON text would change without a word is refused: fine times that come, and offsets and keys that are sent."""

from __future__ import annotations

import dataclasses
import datetime
import zoneinfo
from datetime import time, timedelta, timezone
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lean_worker as lw
from lean_worker.wire.json_types import decode_text, encode_value
from lean_worker.wire.model_texts import stored_text
from lean_worker.wire.records import has_distinct_keys
from lean_worker.wire.requests import encode_request
from lean_worker.wire.unwritable import Unwritable

LATE = "2026-01-01T23:59:59.9999999Z"
ODD = timezone(timedelta(hours=1, seconds=30))
MOMENT = datetime.datetime(2026, 1, 1, tzinfo=ODD)
CLASH = {1: 2, "1": 3}


class Struct(msgspec.Struct):
    at: datetime.datetime | None = None
    by_key: dict[Any, int] = {}
    share: float = 0.0


@dataclasses.dataclass
class Data:
    at: datetime.datetime | None = None
    by_key: Any = None


class Model(pydantic.BaseModel):
    at: datetime.datetime | None = None
    aware: pydantic.AwareDatetime | None = None
    wait: timedelta | None = None
    by_key: dict[Any, int] = {}


@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        (datetime.datetime, f'"{LATE}"', "$"),
        (datetime.datetime | None, '"2026-01-01T00:00:00.0000001"', "$"),
        (list[time], '["12:00:00","23:59:59.9999999"]', "$[1]"),
        (timedelta, '"PT0.1234567S"', "$"),
        (timedelta, '"PT1.12345678M"', "$"),
        (set[datetime.datetime], f'["{LATE}"]', "$[0]"),
        (dict[datetime.datetime, int], f'{{"{LATE}":1}}', f"$.{LATE}"),
        (dict[datetime.datetime, float], '{"2026-01-01T23:59:59Z":9007199254740993}', "$.2026-01-01T23:59:59Z"),
        (Struct, f'{{"at":"{LATE}"}}', "$.at"),
        (Struct, '{"at":"2026-01-01T23:59:59Z","share":9007199254740993}', "$.share"),
        (Data, f'{{"at":"{LATE}"}}', "$.at"),
        (Model, f'{{"at":"{LATE}"}}', "$.at"),
        (Model, '{"aware":"2026-01-01T23:59:59,1234567Z"}', "$.aware"),
        (Model, '{"wait":0.1234567}', "$.wait"),
    ],
)
def test_a_time_that_would_be_rounded_is_refused_by_its_place(kind, text, path):
    with pytest.raises(lw.DecodeError, match="would become the") as caught:
        decode_text(kind, text.encode(), "row")
    assert caught.value.path == path
    assert ("microseconds" in caught.value.hint) != ("9007199254740993" in text)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789", min_size=1, max_size=12), st.sampled_from("DHMS"))
def test_every_duration_arrives_or_is_refused(digits, unit):
    """Fractions say which durations are whole microseconds."""
    text = f"P1.{digits}D" if unit == "D" else f"PT1.{digits}{unit}"
    exact = Fraction(f"1.{digits}") * {"D": 86400, "H": 3600, "M": 60, "S": 1}[unit] * 10**6
    try:
        found = decode_text(timedelta, f'"{text}"'.encode(), "row")
    except lw.DecodeError:
        assert exact.denominator != 1
    else:
        assert found == timedelta(microseconds=int(exact)) and exact.denominator == 1


@pytest.mark.parametrize("text", ["2026-01-01T23:59:59.999999000Z", "2026-01-01T23:59:59.1Z"])
def test_a_time_of_microseconds_arrives(text):
    found = decode_text(list[Struct], f'[{{"at":"{text}","share":0.12345678}}]'.encode(), "row")
    assert found[0].at == datetime.datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00")


ODD_TIMES = [
    MOMENT,
    time(1, tzinfo=ODD),
    {"a": [MOMENT]},
    {MOMENT: 1},
    Struct(at=MOMENT),
    Data(at=MOMENT),
    Model(at=MOMENT),
    [Model(at=MOMENT)],
    datetime.datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=20))),
]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")  # whose offset depends on the date
ZONED = [time(1, 2, tzinfo=BERLIN), {"a": [time(1, 2, 3, 4, tzinfo=BERLIN)]}, {time(1, tzinfo=BERLIN): 1}]
CLASHES = [CLASH, {"a": [CLASH]}, Struct(by_key=CLASH), Data(by_key=CLASH), Model(by_key=CLASH), [Model(by_key=CLASH)]]


@pytest.mark.parametrize(
    ("values", "said", "hint"),
    [
        (ODD_TIMES, "the UTC offset", "whole minutes"),
        (ZONED, "the zone Europe/Berlin of 01:0", "fixed offset"),
        (CLASHES, "the keys 1 and '1' are both '1'", "keys of one type"),
        ([float("nan"), {"a": float("inf")}, {float("nan"): 1}], "has no JSON form", "no NaN and no infinity"),
        (["\ud800", {"a": "\ud800"}, {"\ud800": 1}], "surrogates", "UTF-8"),
        ([object(), {(1, 2): 3}, {None: 1}], "has no JSON form", "plain values"),
        ([memoryview(b"abcd")[::2], [memoryview(b"ab")[::-1]], {"a": memoryview(b"ab")[::-1]}], "contiguous", "bytes"),
    ],
)
def test_a_request_that_text_would_change_is_refused_with_a_hint_of_its_own(values, said, hint):
    for value in values:
        with pytest.raises(lw.UsageError, match="encoding the request of x") as caught:
            encode_request(None, value, "x")
        assert said in caught.value.text and hint in caught.value.hint, caught.value


class Holds(pydantic.BaseModel):
    value: Any


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("\ud800", "$"),
        ([1, {"a": ["x", "\udfff"]}], "$[1].a[1]"),
        ({"\ud800": 1}, "$.\\ud800"),
        (Data(by_key="x\ud800"), "$.by_key"),
        (Holds(value="\ud800"), "$.value"),
        ({"b": [Holds(value=["\ud800"])]}, "$.b[0].value[0]"),
    ],
)
def test_a_text_with_a_surrogate_is_named_with_its_place_on_both_sides(value, place):
    with pytest.raises(lw.UsageError, match="encoding the request of x") as caught:
        encode_request(None, value, "x")
    assert f"at {place} has surrogates" in caught.value.text and "UTF-8" in caught.value.hint
    with pytest.raises(Unwritable, match="has surrogates") as hosted:  # what a Python host says of an answer or a row
        encode_value(value)
    str(hosted.value).encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Fraction(1), "Fraction has no JSON form"),
        ([1, {"a": ["x", Fraction(1)]}], "Fraction at $[1].a[1] has no JSON form"),
        (Data(by_key={"b": Fraction(1)}), "Fraction at $.by_key.b has no JSON form"),
        ({"b c": [1, Fraction(1)]}, "Fraction at $.b c[1] has no JSON form"),
        ({"a": {True: 1}}, "the key True at $.a has no JSON form"),
        ([{(1, 2): Fraction(1)}], "the key (1, 2) at $[0] has no JSON form"),
    ],
)
def test_a_value_without_a_json_form_is_named_with_its_place_on_both_sides(value, said):
    with pytest.raises(lw.UsageError) as caught:
        encode_request(None, value, "x")
    assert caught.value.text.endswith(f": {said}")
    with pytest.raises(TypeError) as hosted:
        encode_value(value)
    assert str(hosted.value) == said


class Nested(pydantic.BaseModel):
    holds: list[Holds | None] = []
    more: Nested | None = None


class More(pydantic.BaseModel, extra="allow"):
    pass


class Root(pydantic.RootModel[dict[str | int, int]]):
    pass


class Computed(pydantic.BaseModel):
    n: int = 1

    @pydantic.computed_field
    @property
    def clash(self) -> dict[Any, int]:
        return CLASH


class InData(pydantic.BaseModel):
    data: Data


class Distinct(pydantic.BaseModel):
    """No value of this type has two keys of one text."""

    names: dict[str, list[int]] = {}
    numbers: dict[int, Literal["a"]] = {}
    at: datetime.datetime | None = None
    secret: pydantic.SecretStr | pydantic.HttpUrl | None = None
    more: list[Distinct] = []
    pair: tuple[float, bytes] | None = None


def test_only_types_that_can_hold_clashing_keys_are_searched_for_them():
    for value in (
        Holds(value=CLASH),
        Holds(value=[{"a": CLASH}]),
        Nested(holds=[None, Holds(value=CLASH)]),
        Nested(more=Nested(holds=[Holds(value=CLASH)])),
        More(extra=CLASH),
        Root(CLASH),
        Computed(),
        InData(data=Data(by_key=CLASH)),
    ):
        assert not has_distinct_keys(type(value)), value
        with pytest.raises(lw.UsageError, match="the keys 1 and '1' are both '1'"):
            encode_request(None, value, "x")
    assert has_distinct_keys(Distinct)
    assert encode_request(None, Distinct(names={"1": [1]}, numbers={1: "a"}, more=[Distinct()]), "x")


class Floats(NamedTuple):
    share: float
    none: None = None


@pytest.mark.parametrize(
    "wrap", [list, tuple, lambda v: {"a": [v, None]}, lambda v: {v: None}, lambda v: Floats(v), Holds]
)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_without_a_form_is_found_wherever_it_is(wrap, number):
    value = wrap([number]) if wrap in (list, tuple) else wrap(value=number) if wrap is Holds else wrap(number)
    with pytest.raises(lw.UsageError, match="has no JSON form"):
        encode_request(None, value, "x")
    assert encode_request(None, [None, 1.5, {"a": None, "b": (2.5, None)}], "x")


def test_other_times_and_keys_are_sent():
    moment = datetime.datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-1, minutes=-30)))
    for value in (moment, {moment: 1}, {1: 2, "2": 3}, {1.0: 1, "1": 2}, Model(by_key={1: 2, "2": 3}), Struct(moment)):
        assert encode_request(None, value, "x")


def test_a_row_of_hosted_python_that_text_would_change_ends_its_stream(tmp_path):
    (tmp_path / "odd_rows.py").write_text(
        "from datetime import datetime, timedelta, timezone\n"
        "MOMENT = datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30)))\n"
        "ROWS = {'keys': {1: 'a', '1': 'b'}, 'nested': {'a': [{1: 'a', '1': 'b'}]}, 'offset': {'at': MOMENT}}\n"
        "def rows(name):\n"
        "    yield {'good': 1}\n"
        "    yield ROWS[name]\n"
        "COMMANDS = {'rows': rows}\n"
    )
    capability = lw.PythonCapability("odd_rows:COMMANDS", path=[str(tmp_path)])
    with lw.Pool() as pool, pool.lease(capability) as lease:
        for name, said in (("keys", "are both '1'"), ("nested", "are both '1'"), ("offset", "the UTC offset")):
            seen = []
            with pytest.raises(lw.errors.CommandFailed, match=said):
                lease.run(lw.StreamingCommand("rows"), name, on_row=seen.append)
            assert len(seen) == 1


class Binary(pydantic.BaseModel, val_json_bytes="base64", ser_json_bytes="base64"):
    data: bytes


def test_bytes_are_base64_and_a_model_reads_them_if_it_says_so():
    for value in (b"ab", b"\xff\xfe\xfb", b""):
        assert decode_text(Binary, encode_value({"data": value}), "row").data == value
        assert decode_text(Binary, encode_value(Binary(data=value)), "row").data == value


class Nanoseconds(datetime.datetime):
    """A time as that of pandas: finer than what it was made of, and equal to no plain one."""

    __hash__ = datetime.datetime.__hash__

    def __eq__(self, other):
        return type(other) is type(self) and super().__eq__(other)


class Arbitrary(pydantic.BaseModel, arbitrary_types_allowed=True):
    value: Any


@pytest.mark.parametrize("value", [Nanoseconds(2026, 1, 1), {None: 1}, {(1, 2): 3}])
def test_a_model_s_column_holds_no_value_that_json_changes(value):
    with pytest.raises(TypeError, match="has no JSON form"):
        stored_text(Arbitrary(value=value))
    with pytest.raises(Unwritable, match="True and 'true' are both 'true' in JSON"):
        stored_text(Arbitrary(value={True: 1, "true": 2}))
    assert stored_text(Arbitrary(value={True: [{False: 1}]})) == b'{"value":{"true":[{"false":1}]}}'
    assert stored_text(Arbitrary(value=[datetime.datetime(2026, 1, 1), timedelta(1)])) == (
        b'{"value":["2026-01-01T00:00:00","P1D"]}'
    )
