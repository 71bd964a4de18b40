"""Declared types, each library's anywhere within another's; and values that JSON cannot hold."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lean_worker as lw
from lean_worker.wire import decode, json_types


class Model(pydantic.BaseModel):
    count: int = pydantic.Field(alias="Count")


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: str


class Struct(msgspec.Struct, rename="camel"):
    inner_model: Model
    many: list[Model] = []


@dataclasses.dataclass
class Data:
    models: dict[str, Model]
    struct: Struct | None = None


@attrs.define
class Attrs:
    data: Data
    model: Model | None = None


class Named(NamedTuple):
    a: int
    model: Model


class Typed(TypedDict):
    attrs: Attrs
    models: tuple[Model, ...]


class Outer(pydantic.BaseModel):
    animals: list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]]


def model(count):
    return Model(Count=count)


VALUES = [
    (Model, model(1)),
    (list[Model], [model(1), model(2)]),
    (Model | None, None),
    (Model | None, model(3)),
    (dict[str, list[Model]], {"a": [model(1)]}),
    (Struct, Struct(model(1), [model(2)])),
    (Data, Data({"x": model(1)}, Struct(model(2)))),
    (Attrs, Attrs(Data({}), model(4))),
    (Named, Named(1, model(2))),
    (Typed, {"attrs": Attrs(Data({"k": model(1)})), "models": (model(1), model(2))}),
    (Cat | Dog, Dog(kind="dog", name="Rex")),
    (list[Cat | Dog | int], [Cat(kind="cat", lives=9), 3]),
    (Annotated[Cat | Dog, pydantic.Field(discriminator="kind")], Cat(kind="cat", lives=7)),
    (Outer, Outer(animals=[Cat(kind="cat", lives=9), Dog(kind="dog", name="Rex")])),
    (dict[str, Cat | Dog], {"one": Cat(kind="cat", lives=1)}),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_a_type_of_any_library_is_read_anywhere_and_written_as_it_is_read(kind, value):
    lw.JsonCommand("c", request=kind, response=kind)
    text = decode.encode_request(kind, value, "c")
    assert decode.decode_text(kind, text.encode(), "answer") == value


def test_a_mismatch_within_a_nested_model_names_its_place():
    with pytest.raises(lw.DecodeError) as caught:
        decode.decode_text(Data, b'{"models":{"x":{"Count":"many"}}}', "row")
    assert "valid integer" in caught.value.text
    assert caught.value.facts["path"].startswith("$.models")


class Plain:
    """Says nothing of its form."""

    def __init__(self, a: int) -> None:
        self.a = a


@pytest.mark.parametrize(
    "kind", [Plain, list[Plain], dict[str, Plain | None], complex, Cat | Struct, type("Sub", (Plain,), {})]
)
@pytest.mark.parametrize(
    "declare", [lambda k: lw.JsonCommand("c", response=k), lambda k: lw.StreamingCommand("c", row=k)]
)
def test_a_type_that_cannot_be_read_is_refused_when_the_command_is_declared(kind, declare):
    with pytest.raises(lw.UsageError) as caught:
        declare(kind)
    assert "of c" in caught.value.text
    assert caught.value.hint


def test_a_name_that_is_not_defined_yet_is_left_for_later():
    @dataclasses.dataclass
    class Node:
        next: Later | None  # noqa: F821

    lw.JsonCommand("c", response=Node)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_request_arrives_as_it_was(value):
    assert msgspec.json.decode(decode.encode_request(None, value, "c")) == value


@st.composite
def values_with_a_hole(draw):
    """A value that holds a number without a JSON form, and something around it."""
    value = draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    if draw(st.booleans()):
        value = pydantic.create_model("P", f=(object, ...))(f=[value])
    for wrap in draw(
        st.lists(
            st.sampled_from(
                [
                    lambda v: [None, v],
                    lambda v: {"k": v},
                    lambda v: (v,),
                    lambda v: dataclasses.make_dataclass("D", ["f"])(v),
                    lambda v: msgspec.defstruct("S", ["f"])(v),
                    lambda v: attrs.make_class("A", ["f"])(v),
                ]
            ),
            max_size=4,
        )
    ):
        value = wrap(value)
    return value


@given(values_with_a_hole())
def test_a_number_without_a_json_form_is_refused_and_named(value):
    with pytest.raises(lw.UsageError, match=r"(nan|inf) at \$"):
        decode.encode_request(None, value, "c")


def test_null_beside_numbers_is_no_reason_to_refuse():
    assert json_types.encode_value({"a": None, "b": [1.5]}) == b'{"a":null,"b":[1.5]}'
