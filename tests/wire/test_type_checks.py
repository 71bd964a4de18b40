"""Types of which some values would be read never, or as something else: refused when the command is declared."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import re
import typing
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import annotated_types
import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

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


class AnyModel(pydantic.BaseModel):
    inner: list[pydantic.BaseModel]


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
    Annotated[int, pydantic.Field(ge=3)],
    list[pydantic.PositiveInt],
    dict[str, Annotated[str, pydantic.StringConstraints(min_length=3)]],
    pydantic.UUID4,
    typing.NewType("Positive", Annotated[int, annotated_types.Gt(0)]),  # type: ignore[valid-newtype]
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
        (set[Any], "[[1]]", "unhashable"),
        (Any, r'"\ud800"', "surrogate"),
        (dict[str, set[Any]], '{"a":[[1]]}', "unhashable"),
        (list[Limited], '[{"a":0}]', "greater than 0"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_a_decode_error(kind, text, said):
    with pytest.raises(lw.DecodeError, match=said):
        json_types.decode_text(kind, text.encode(), "answer")
