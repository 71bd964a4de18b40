"""`msgspec.Raw` in declared types: where it is read, and where it would be read never."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import attrs
import msgspec
import pytest
from typing_extensions import NamedTuple, NotRequired, TypedDict

import lean_worker as lw
from lean_worker.wire import json_types

T = TypeVar("T")
Named = NewType("Named", msgspec.Raw)


class Field(TypedDict):
    a: msgspec.Raw


class NamedField(TypedDict):
    a: Annotated[Named, msgspec.Meta(title="a value")]


class GenericField(TypedDict, Generic[T]):
    a: T


class OptionalField(TypedDict):
    a: NotRequired[msgspec.Raw]


class GenericStruct(msgspec.Struct, Generic[T]):
    a: T


class Sparse(msgspec.Struct):
    a: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@dataclasses.dataclass
class Data:
    a: msgspec.Raw


@attrs.define
class Attrs:
    a: msgspec.Raw


class Pair(NamedTuple):
    a: msgspec.Raw


class Holder(msgspec.Struct):
    inner: Field


NEVER_READ = [
    Field,
    NamedField,
    GenericField[msgspec.Raw],
    Field | None,
    list[Field],
    Holder,
    msgspec.Raw | None,
    msgspec.Raw | int,
    msgspec.Raw | Literal["a"],
    list[Annotated[msgspec.Raw, msgspec.Meta(title="a value")] | None],
    dict[str, msgspec.Raw | None],
    GenericStruct[msgspec.Raw | None],
    tuple[GenericStruct[int], GenericStruct[msgspec.Raw | None]],
    set[msgspec.Raw],
    dict[msgspec.Raw, int],
]


@pytest.mark.parametrize("kind", NEVER_READ, ids=str)
def test_where_no_value_is_read_it_is_refused_when_declared(kind):
    for declare in (
        lambda: lw.StreamingCommand("ask", row=kind),
        lambda: lw.StreamingCommand("ask", summary=kind),
        lambda: lw.JsonCommand("ask", request=kind),
        lambda: lw.JsonCommand("ask", response=kind),
    ):
        with pytest.raises(lw.UsageError, match=r"msgspec\.Raw|no texts in JSON|without a hash: raw") as caught:
            declare()
        assert caught.value.hint


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (msgspec.Raw, b'{"b":1}'),
        (Named, b"null"),
        (list[msgspec.Raw], b'[{"b":1}]'),
        (list[msgspec.Raw] | None, b"[1]"),
        (tuple[msgspec.Raw, ...], b"[1]"),
        (dict[str, msgspec.Raw], b'{"b":null}'),
        (GenericStruct[msgspec.Raw], b'{"a":[1]}'),
        (GenericField[list[msgspec.Raw]], b'{"a":[1]}'),
        (OptionalField, b'{"a":1}'),
        (Sparse, b'{"a":1}'),
        (Data, b'{"a":1}'),
        (Attrs, b'{"a":1}'),
        (Pair, b"[{}]"),
        (msgspec.Raw | Any, b'{"a":1}'),
    ],
    ids=str,
)
def test_elsewhere_it_is_read_as_it_stands(kind, text):
    lw.StreamingCommand("ask", row=kind)
    assert msgspec.json.encode(json_types.decode_text(kind, text, "row")) == text
