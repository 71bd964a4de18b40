"""Declared types, each library's anywhere within another's; and values that JSON cannot hold."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import uuid
from typing import Annotated, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

import lean_worker as lw
from lean_worker.wire import columns, json_types, protocol, requests
from support import FUNCTIONS


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
    text = requests.encode_request(kind, value, "c")
    assert json_types.decode_text(kind, text.encode(), "answer") == value


def test_a_mismatch_within_a_nested_model_names_its_place():
    with pytest.raises(lw.DecodeError) as caught:
        json_types.decode_text(Data, b'{"models":{"x":{"Count":"many"}}}', "row")
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
    for read in (lambda: json_types.decode_text(Node, b"{}", "row"), lambda: columns.Layout(Node)):
        with pytest.raises(lw.UsageError, match="'Later' is not defined"):
            read()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_request_arrives_as_it_was(value):
    assert msgspec.json.decode(requests.encode_request(None, value, "c")) == value


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
        requests.encode_request(None, value, "c")


def test_null_beside_numbers_is_no_reason_to_refuse():
    assert json_types.encode_value({"a": None, "b": [1.5]}) == b'{"a":null,"b":[1.5]}'


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Text(str):
    pass


exotic = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers((1 << 63) - 2, (1 << 64) + 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from([Colour.RED, Level.HIGH, uuid.UUID(int=5), b"\0"]),
    st.datetimes(),
    st.dates(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(Struct, st.just(model(1)), st.just([])),
    st.builds(Named, st.integers(), st.just(model(2))),
)
keys_of_dicts = st.text() | st.just(Colour.RED) | st.integers(-3, 3)
trees = st.recursive(
    exotic,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys_of_dicts, inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(trees)
def test_both_libraries_write_the_same_value(value):
    """orjson writes what it writes exactly as msgspec does; spellings of a number may differ, its value may not."""
    expected = msgspec.json.encode(value, enc_hook=json_types._write_model)
    found = json_types.encode_value(value)
    assert repr(msgspec.json.decode(found)) == repr(msgspec.json.decode(expected))


@pytest.mark.parametrize(
    "value", [Text("é"), [Text("sub")], {"a": Text("b")}, "\ud800", {"a": "\udfff"}, {1.5: object()}]
)
def test_what_msgspec_refuses_is_refused(value):
    """orjson must not let pass what depends on the rest of the value."""
    with pytest.raises((TypeError, ValueError)):
        msgspec.json.encode(value)
    with pytest.raises((TypeError, ValueError)):
        json_types.encode_value(value)
    with pytest.raises(lw.UsageError, match="no JSON form"):
        requests.encode_request(None, value, "c")


@given(st.text(max_size=5), st.sampled_from([1, 5000]))
def test_a_body_is_the_same_for_a_short_and_a_long_text(part, times):
    text = json.dumps(part * times, ensure_ascii=False)
    for wire in (
        protocol.RunJsonCommand("x", text),
        protocol.RunDataStream("x", text, True),
        protocol.JsonResult(text),
    ):
        body = protocol._body_of(wire)
        assert msgspec.json.decode(body) == msgspec.json.decode(msgspec.json.encode(wire))


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**40])
def test_integers_beyond_64_bits_stay_exact_both_ways(number):
    text = json_types.encode_value({"n": [number]})
    assert text == b'{"n":[%d]}' % number
    assert json_types.text_decoder(None)(text) == {"n": [number]}


def test_a_hosted_function_that_answers_what_json_cannot_hold():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        assert lease.call(lw.JsonCommand("echo"), {"n": 10**30}) == {"n": 10**30}
        for name in ("answer_nan", "rows_of_nan"):
            command = lw.JsonCommand(name) if name == "answer_nan" else lw.StreamingCommand(name)
            run = lease.call if name == "answer_nan" else lease.collect
            with pytest.raises(lw.CommandFailed, match=r"nan at \$\.x has no JSON form"):
                run(command)


class _Both(enum.Enum):
    TEXT = "x"
    NUMBER = 1


@pytest.mark.parametrize("kind", [_Both, list[_Both], dict[str, _Both]])
def test_what_msgspec_cannot_describe_is_refused_when_it_is_declared(kind):
    with pytest.raises(lw.UsageError, match="cannot be read from JSON"):
        lw.StreamingCommand("x", row=kind)


UNTYPED = attrs.make_class("Untyped", {"a": attrs.field(), "b": attrs.field(type=int)})


@pytest.mark.parametrize("kind", [UNTYPED, list[UNTYPED], dict[str, UNTYPED | None], type("Sub", (UNTYPED,), {})])
def test_an_attrs_class_without_annotations_is_told_of_its_field(kind):
    with pytest.raises(lw.UsageError, match="the field 'a' of .* has no annotation"):
        lw.JsonCommand("x", request=kind)


# -- a pydantic model as a request: written and read under one name --


def aliased(**options):
    return pydantic.create_model("Aliased", n=(int, pydantic.Field(**options)))


class ByName(pydantic.BaseModel, populate_by_name=True):
    n: int = pydantic.Field(validation_alias="other")


class Generated(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    the_n: int


ONE_WAY = [
    {"validation_alias": "N"},
    {"serialization_alias": "N"},
    {"alias": "A", "serialization_alias": "N"},
    {"validation_alias": pydantic.AliasChoices("N", "m")},
    {"validation_alias": pydantic.AliasPath("m", 0)},
    {"validation_alias": "N", "default": 1},
]


@pytest.mark.parametrize("options", ONE_WAY, ids=str)
def test_a_request_that_its_receiver_could_not_read_is_refused_when_declared(options):
    model = aliased(**options)
    around = dataclasses.make_dataclass("Around", [("models", list[model])])
    for kind in (model, list[model], dict[str, model] | None, around, pydantic.create_model("Outer", it=(model, ...))):
        for declare in (lw.JsonCommand, lw.StreamingCommand):
            with pytest.raises(lw.UsageError, match="one name for both directions, got the field 'n'") as caught:
                declare("x", request=kind)
            assert "alias=" in caught.value.hint
        assert lw.JsonCommand("x", response=kind) and lw.StreamingCommand("x", row=kind, summary=kind)


@pytest.mark.parametrize(
    "kind", [aliased(alias="N"), aliased(validation_alias=pydantic.AliasChoices("m", "n")), ByName]
)
def test_a_request_with_one_name_is_sent(kind):
    value = kind.model_validate({"N": 3, "m": 3, "other": 3})
    with lw.Pool() as pool:
        assert pool.call(FUNCTIONS, lw.JsonCommand("echo", request=kind, response=kind), value) == value


class Revealed(pydantic.BaseModel):
    key: pydantic.SecretStr

    @pydantic.field_serializer("key")
    def reveal(self, key):
        return key.get_secret_value()


def test_a_secret_is_not_sent_as_asterisks():
    for kind in (pydantic.SecretStr, pydantic.SecretBytes | None):
        with pytest.raises(lw.UsageError, match="got the field 'key' .* asterisks"):
            lw.JsonCommand("echo", request=pydantic.create_model("Masked", key=(kind, None)))
    with lw.Pool() as pool:
        command = lw.JsonCommand("echo", request=Revealed)
        assert pool.call(FUNCTIONS, command, Revealed(key="x")) == {"key": "x"}


def test_generated_aliases_are_one_name():
    command = lw.JsonCommand("echo", request=Generated)
    with lw.Pool() as pool:
        assert pool.call(FUNCTIONS, command, Generated(theN=3)) == {"theN": 3}


def test_an_answer_without_a_text_is_called_so():
    with pytest.raises(lw.errors.DecodeError, match="got no text"):
        json_types.decode_text(None, b"", "response")
