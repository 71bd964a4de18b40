"""Keys of mappings: a type of them gives back each key as it was, or is refused where a command is declared."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import typing
import uuid
from typing import Any, Literal, Union

import attrs
import msgspec
import pydantic
import pytest

import lean_worker as lw
from lean_worker.wire.json_types import decode_text
from lean_worker.wire.requests import encode_request


class Number(enum.Enum):
    ONE = 1


class Text(enum.Enum):
    A = "a"


class Digit(enum.Enum):
    ONE = "1"


class Level(enum.IntEnum):
    ONE = 1


SAMPLES: dict[Any, list[Any]] = {
    str: ["a", "1", "true", "None", "2020-01-01", "1.5", "P1D"],
    int: [0, 1, 5, 1577836800],
    float: [1.5, 2.0],
    bool: [True, False],
    decimal.Decimal: [decimal.Decimal("1"), decimal.Decimal("1.50")],
    datetime.date: [datetime.date(2020, 1, 1)],
    datetime.datetime: [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, 1, 2, 3)],
    datetime.timedelta: [datetime.timedelta(days=1)],
    uuid.UUID: [uuid.UUID(int=1)],
    bytes: [b"a", b"aa"],
    Number: [Number.ONE],
    Text: [Text.A],
    Digit: [Digit.ONE],
    Level: [Level.ONE],
    Literal["a", "b"]: ["a"],
    Literal["1"]: ["1"],
    Literal[1]: [1],
    Literal[1, "1"]: [1, "1"],
    None: [None],
    tuple[int, int]: [(1, 2)],
}
# The JSON text of `None` is no key: it is refused when it is sent, wherever it is declared beside other keys.
NO_KEY = (type(None),)


def owners(keys: Any) -> dict[str, tuple[Any, Any]]:
    """Types with a mapping of these keys, and for each a function from a mapping to its value."""
    kind = dict[keys, int]  # type: ignore[valid-type]

    class Model(pydantic.BaseModel):
        found: kind  # type: ignore[valid-type]

    return {
        "mapping": (kind, lambda mapping: mapping),
        "list": (list[kind], lambda mapping: [mapping]),  # type: ignore[valid-type]
        "dataclass": of_field(dataclasses.make_dataclass("Data", [("found", kind)])),
        "attrs": of_field(attrs.make_class("Attrs", {"found": attrs.field(type=kind)})),
        "struct": of_field(msgspec.defstruct("Struct", [("found", kind)])),
        "model": (Model, lambda mapping: Model.model_construct(found=mapping)),
    }


def of_field(kind: Any) -> tuple[Any, Any]:
    return kind, lambda mapping: kind(found=mapping)


def keys_of(value: Any) -> list[Any]:
    found = value[0] if isinstance(value, list) else getattr(value, "found", value)
    return list(found)


def is_accepted(kind: Any) -> bool:
    try:
        lw.JsonCommand("ask", kind, kind)
    except lw.UsageError as error:
        assert error.hint and ("key" in str(error) or "unions" in str(error) or "hash" in str(error))
        return False
    return True


PAIRS = [Union[pair] for pair in itertools.combinations(SAMPLES, 2)]  # noqa: UP007


@pytest.mark.parametrize("keys", [*SAMPLES, *PAIRS], ids=str)
def test_a_key_comes_back_as_it_was_or_its_type_is_refused(keys: Any) -> None:
    members = typing.get_args(keys) if typing.get_origin(keys) is Union else (keys,)
    samples = [sample for member in members for sample in SAMPLES[None if member is type(None) else member]]
    for name, (kind, make) in owners(keys).items():
        if not is_accepted(kind):
            continue
        read = 0
        for sample in samples:
            try:
                text = encode_request(kind, make({sample: 0}), "ask")
            except lw.LeanWorkerError:
                assert isinstance(sample, NO_KEY), (name, sample)
                continue
            (key,) = keys_of(decode_text(kind, text.encode(), "response", command="ask"))
            assert (key, type(key)) == (sample, type(sample)), name
            read += 1
        assert read, name


@pytest.mark.parametrize("keys", [str, int, float, bytes, uuid.UUID, Text, Level, datetime.date, int | None], ids=str)
def test_keys_of_one_type_are_no_reason_to_refuse(keys: Any) -> None:
    assert all(is_accepted(kind) for kind, _ in owners(keys).values())


def test_the_error_says_what_to_use() -> None:
    with pytest.raises(lw.UsageError, match="keys of several types") as caught:
        lw.JsonCommand("ask", dict[int | str, int])
    assert caught.value.hint == "Use keys of one type."
