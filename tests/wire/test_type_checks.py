"""Types of which some values would be read never, or as something else: refused when the command is declared."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import re
import subprocess
import sys
import typing
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import annotated_types
import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
import typing_extensions

import lean_worker as lw
from lean_worker.wire import json_types, requests

T = TypeVar("T")
OVER = 2**53 + 1


class Plain(Generic[T]):
    """Says nothing of its form."""


class Unhashable(msgspec.Struct):
    a: int


class Frozen(msgspec.Struct, frozen=True):
    a: int


@dataclasses.dataclass
class WithPlain:
    a: Plain[int]


class WithIterable(msgspec.Struct):
    a: collections.abc.Iterable[int]


@dataclasses.dataclass
class WithField:
    a: int = pydantic.Field(default=1)


@attrs.define
class WithConstraint:
    a: Annotated[int, annotated_types.Gt(0)]


class Listed(TypedDict):
    a: list[Annotated[int, pydantic.Field(gt=0)]]


@pydantic.dataclasses.dataclass
class Aliased:
    a: int = pydantic.Field(alias="A")


@pydantic.dataclasses.dataclass
class Validated:
    a: int

    @pydantic.field_validator("a")
    def _one_more(cls, value):
        return value + 1


class Arbitrary(pydantic.BaseModel, arbitrary_types_allowed=True):
    structs: list[Unhashable]


class Holder(pydantic.BaseModel):
    inner: Arbitrary


class Raising(type):
    def __getattr__(cls, name):
        raise RuntimeError(name)


class Raises(metaclass=Raising):
    pass


class AnyModel(pydantic.BaseModel):
    inner: list[pydantic.BaseModel]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    data: bytes = b""


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"


def beside_models(kind):
    """Three classes with a field of a type beside a union of models, which msgspec does not read."""
    fields = [("value", kind), ("pet", Cat | Dog)]
    return [
        dataclasses.make_dataclass("Owner", fields),
        NamedTuple("Owner", fields),
        typing_extensions.TypedDict("Owner", dict(fields)),
    ]


REFUSED = [
    Plain[int],
    WithPlain,
    list[WithIterable],
    collections.abc.Callable[[int], int],
    type[int],
    collections.abc.Iterator[int],
    collections.abc.Hashable,
    collections.deque[int],
    collections.OrderedDict[str, int],
    collections.Counter[str],
    re.Pattern[str],
    dict[bool, int],
    dict[None, int],
    dict[tuple[int, int], int],
    dict[str, dict[Frozen, int]],
    set[list[int]],
    set[Unhashable],
    frozenset[tuple[int, dict[str, int]]],
    msgspec.Struct,
    pydantic.BaseModel,
    list[pydantic.BaseModel],
    WithField,
    WithConstraint,
    Listed,
    Aliased,
    list[Validated],
    Arbitrary,
    Holder | None,
    AnyModel,
    Raises,
    Annotated[int, pydantic.Field(ge=3)],
    list[pydantic.PositiveInt],
    dict[str, Annotated[str, pydantic.StringConstraints(min_length=3)]],
    pydantic.UUID4,
    typing.NewType("Positive", Annotated[int, annotated_types.Gt(0)]),  # type: ignore[valid-newtype]
    *beside_models(str | bytes),
    *beside_models(list[datetime.date | str | None]),
    *beside_models(list[int] | tuple[int, ...]),
    *beside_models(dict[str, Annotated[int, msgspec.Meta(gt=3)]]),
    *beside_models(complex),
    dataclasses.make_dataclass("Owner", [("pet", Cat | Dog), ("later", int, dataclasses.field(init=False, default=1))]),
    *([TypedDict("Owner", {"pet": Cat | Dog})] if sys.version_info < (3, 12) else []),  # which pydantic refuses
]


@pytest.mark.parametrize("kind", REFUSED, ids=str)
@pytest.mark.parametrize(
    "declare",
    [
        lambda kind: lw.JsonCommand("c", request=kind),
        lambda kind: lw.JsonCommand("c", response=kind),
        lambda kind: lw.StreamingCommand("c", row={"rows": kind}),
    ],
    ids=["request", "response", "row"],
)
def test_a_type_that_no_reader_honours_is_refused_when_the_command_is_declared(kind, declare):
    with pytest.raises(lw.UsageError) as caught:
        declare(kind)
    assert "of c" in caught.value.text or "of stream 'rows' of c" in caught.value.text
    assert caught.value.hint


class Limited(pydantic.BaseModel):
    a: Annotated[int, annotated_types.Gt(0)]
    b: set[tuple[int, ...]] = set()


@pydantic.dataclasses.dataclass
class Simple:
    a: int
    b: Annotated[int, pydantic.Field(description="a number")] = 2


class Strict(pydantic.BaseModel, strict=True):
    at: datetime.datetime
    data: bytes
    pair: tuple[int, str]


STRICT = Strict(at=datetime.datetime(2026, 1, 2), data=b"a", pair=(1, "x"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Limited, Limited(a=1)),
        (list[Limited], [Limited(a=1, b={(1, 2)})]),
        (Simple, Simple(1)),
        (Annotated[int, "a note"], 5),
        (Annotated[int, msgspec.Meta(ge=3)], 5),
        (set[Frozen], {Frozen(1)}),
        (dict[int | None, int], {1: 2}),
        (list[Strict], [STRICT]),
        (dict[str, Strict | None], {"a": STRICT}),
        (set[Any], {1, "a"}),
    ],
    ids=str,
)
def test_what_a_reader_honours_arrives_as_it_was(kind, value):
    lw.JsonCommand("c", request=kind, response=kind)
    text = requests.encode_request(kind, value, "c")
    assert json_types.decode_text(kind, text.encode(), "answer") == value


BESIDE = [
    (bytes, b"\xfb\xff"),
    (dict[bytes, list[bytes]], {b"ab": [b"", b"abc"]}),
    (frozenset[bytes] | None, frozenset([b"a"])),
    (datetime.timedelta, datetime.timedelta(days=-1, microseconds=1)),
    (dict[int, decimal.Decimal], {-1: decimal.Decimal("1.10")}),
    (tuple[datetime.date, float, uuid.UUID], (datetime.date(2026, 1, 2), 1 / 3, uuid.UUID(int=4))),
    (int | str, "1"),
    (list[Cat], [Cat(data=b"abc")]),
]


@pytest.mark.parametrize(("kind", "value"), BESIDE, ids=str)
def test_what_stands_beside_a_union_of_models_arrives_as_it_was(kind, value):
    for owner in beside_models(kind):
        sent = owner(value=value, pet=Cat(data=b"abc"))
        text = requests.encode_request(owner, sent, "c")
        assert json_types.decode_text(owner, text.encode(), "answer") == sent


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, '"5"'),
        (int, "true"),
        (int, "5.0"),
        (bool, '"yes"'),
        (float, '"1.5"'),
        (datetime.date, "5"),
        (bytes, '"a"'),
    ],
    ids=str,
)
def test_what_stands_beside_a_union_of_models_is_read_strictly(kind, text):
    dataclass, _, typed_dict = beside_models(kind)
    for owner in (dataclass, typed_dict):
        with pytest.raises(lw.DecodeError):
            json_types.decode_text(owner, f'{{"value":{text},"pet":{{"kind":"cat"}}}}'.encode(), "answer")


def test_a_class_within_a_model_and_beside_it_is_read_as_each_writes_it():
    blob = dataclasses.make_dataclass("Blob", [("data", bytes)])
    model = pydantic.create_model("Model", blob=blob)
    (owner, *_) = beside_models(tuple[blob, model])
    sent = owner(value=(blob(b"abcd"), model(blob=blob(b"abcd"))), pet=Dog())
    text = requests.encode_request(owner, sent, "c")
    assert json_types.decode_text(owner, text.encode(), "answer") == sent


AGED = dataclasses.make_dataclass("Aged", [("age", int), ("name", str, "x")])


@pytest.mark.parametrize("other", [AGED, dict[str, int], pydantic.dataclasses.dataclass(AGED), AGED | None])
@pytest.mark.parametrize("wrap", [lambda kind: kind, lambda kind: list[kind], lambda kind: dict[str, kind]])
def test_a_model_and_another_object_in_a_union_are_not_told_apart(other, wrap):
    model = pydantic.create_model("Person", age=int, name=(str | None, None))
    (owner, *_) = beside_models(wrap(other | model))
    for kind in (wrap(other | model), wrap(model | other), owner):
        with pytest.raises(lw.UsageError, match="apart"):
            lw.JsonCommand("ask", request=kind)


class Pair(NamedTuple):
    first: int
    second: int


class Level(enum.IntEnum):
    LOW = 7


@pytest.mark.parametrize(
    "kind",
    [
        tuple[int, int] | Pair,
        list[int] | Pair,
        Level | float,
        Level | decimal.Decimal,
        pydantic.RootModel[list[int]] | Pair,
        pydantic.RootModel[str] | Literal["x"],
        pydantic.RootModel[int | None] | None,
        dict[None, int],
        dict[bool, int],
    ],
    ids=str,
)
def test_what_pydantic_would_read_as_something_else_is_refused(kind):
    for owner in (kind | Cat | Dog, list[kind | Cat | Dog], beside_models(kind)[0]):
        with pytest.raises(lw.UsageError, match="apart|no texts in JSON"):
            lw.JsonCommand("ask", request=owner)


CRASHING = """
import dataclasses, gc
from typing import Annotated, NewType
from msgspec import Meta
import lean_worker as lw

pattern = [Annotated[str, Meta(pattern="a")], NewType("Name", Annotated[str, Meta(pattern="a")])]
bound = [Annotated[int, Meta(ge=0)], Annotated[bytes, Meta(max_length=3)], Annotated[dict[str, int], Meta(min_length=1)]]
kinds = [left | right for left in pattern for right in (list[int], set[int], dict[str, int], tuple[int, ...])]
kinds += [left | right for left in [*pattern, *bound] for right in (tuple[int, str], tuple[()])]
kinds += [Annotated[int | tuple[int, int], Meta(ge=0)]]
kinds += [list[kind] for kind in kinds] + [dataclasses.make_dataclass("Owner", [("value", kind)]) for kind in kinds]
for kind in kinds:
    try:
        lw.JsonCommand("ask", response=kind)
    except lw.UsageError as error:
        assert error.hint and "union" in error.text, error
    else:
        raise AssertionError(kind)
for kind in (bound[0] | list[int], bound[0] | tuple[int, ...], pattern[0] | int, pattern[0] | None, int | tuple[int, int]):
    lw.JsonCommand("ask", response=kind)
gc.collect()
print(len(kinds))
"""


def test_unions_of_which_msgspec_would_end_the_process_are_refused():
    done = subprocess.run([sys.executable, "-c", CRASHING], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert int(done.stdout) > 50


class Ordered(msgspec.Struct, array_like=True, omit_defaults=True):
    inner: Simple
    a: int = 2
    b: int = 3


def test_an_item_of_an_array_keeps_its_place():
    sent = Ordered(Simple(1), 2, 7)
    text = requests.encode_request(Ordered, sent, "c")
    assert json_types.decode_text(Ordered, text.encode(), "answer") == sent


@dataclasses.dataclass
class Generically(Generic[T]):
    item: T
    number: float


class Picky(msgspec.Struct):
    a: int

    def __post_init__(self):
        raise KeyError(self.a)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Generically[int], f'{{"item":1,"number":{OVER}}}', "would become the float"),
        (list[Generically[str]], f'[{{"item":"","number":{OVER}}}]', "would become the float"),
        (Picky, '{"a":1}', "KeyError: 1"),
        (list[Picky], '[{"a":1}]', "KeyError: 1"),
        (set[Any], "[[1]]", "hashable"),
        (Any, r'"\ud800"', "surrogate"),
        (dict[str, set[Any]], '{"a":[[1]]}', "hashable"),
        (list[Limited], '[{"a":0}]', "greater than 0"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_a_decode_error(kind, text, said):
    with pytest.raises(lw.DecodeError, match=said):
        json_types.decode_text(kind, text.encode(), "answer")
