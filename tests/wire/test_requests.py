"""Requests: what their declared type makes of a value, and the same text for the same value."""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import os
import subprocess
import sys
from typing import Any

import msgspec
import pydantic
import pytest

import lean_worker as lw
from lean_worker.wire.requests import encode_request


class Named(msgspec.Struct, rename="camel"):
    my_text: str
    data: bytes = b""


@dataclasses.dataclass
class Lists:
    texts: list[str]
    anything: Any = None


@dataclasses.dataclass
class Swap:
    data: Any
    name: str


class Texts(pydantic.BaseModel):
    text: str


class Blob(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        (str, b"abc", "$"),
        (str | int, bytearray(b"abc"), "$"),
        (list[str], ["a", memoryview(b"b")], "$[1]"),
        (Named, Named(b"a", b"b"), "$.myText"),
        (Named, {"myText": b"a"}, "$.myText"),
        (list[Lists], [Lists(["x", b"y"])], "$[0].texts[1]"),
        (dict[str, tuple[str, ...]], {"k": ("a", b"b")}, "$[...][1]"),
        (Texts, {"text": b"x"}, "$"),
        (list[Texts], [{"text": b"x"}], "$[0]"),
        (set[str], {b"ab"}, "$[0]"),
        (list[str], {b"ab"}, "$[0]"),
        (dict[str, str], {1: b"ab"}, "$[...]"),
        (dict[str, str], {datetime.date(2020, 1, 1): b"ab"}, "$[...]"),
        (dict[str, int], {b"ab": 1}, "$"),
        (Swap, Swap(b"ab", b"ab"), "$.name"),
        (Swap, Swap("YWI=", b"ab"), "$.name"),
    ],
)
def test_bytes_are_no_text(kind, value, path):
    """Their base64 would be one, and nobody would notice."""
    with pytest.raises(lw.DecodeError, match="got `bytes`") as caught:
        encode_request(kind, value, "command")
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (bytes, b"abc", '"YWJj"'),
        (Any, b"abc", '"YWJj"'),
        (None, b"abc", '"YWJj"'),
        (Named, Named("a", b"b"), '{"myText":"a","data":"Yg=="}'),
        (Lists, Lists(["a"], {"deep": [b"x"]}), '{"texts":["a"],"anything":{"deep":["eA=="]}}'),
        (Swap, Swap(b"", ""), '{"data":"","name":""}'),
        (Swap, Swap(b"ab", "YWI="), '{"data":"YWI=","name":"YWI="}'),
        (dict, {"": b""}, '{"":""}'),
        (dict[str, Any], {"YWI=": b"ab"}, '{"YWI=":"YWI="}'),
        (dict[int, bytes], {1: b"ab"}, '{"1":"YWI="}'),
        (dict[bytes, int], {b"ab": 1}, '{"YWI=":1}'),
        (tuple[datetime.datetime, bytes], (datetime.datetime(2020, 1, 1), b"ab"), '["2020-01-01T00:00:00","YWI="]'),
        (Blob, {"data": b"ab"}, '{"data":"YWI="}'),
        (list[Blob], [Blob(data=b"ab")], '[{"data":"YWI="}]'),
    ],
)
def test_bytes_are_sent_where_they_are_declared_or_nothing_is(kind, value, text):
    assert encode_request(kind, value, "command") == text


SETS = """
import dataclasses, msgspec
from lean_worker.wire.json_types import encode_value
class Struct(msgspec.Struct, frozen=True, rename="camel"):
    my_names: frozenset[str]
class Array(msgspec.Struct, array_like=True):
    names: set[str]
@dataclasses.dataclass(frozen=True)
class Data:
    names: frozenset[str]
names = frozenset("abcdefghij")
deep = frozenset([Struct(names), Struct(frozenset("xyz")), Data(names)])
values = [names, {"a": set(names)}, Struct(names), Array(set(names)), Data(names), [deep], {(1, "a"), (2, "b"), ("x",)}]
print(*map(encode_value, values))
"""


def test_a_set_is_the_same_text_in_each_process():
    """A job knows its items by the texts of their requests."""
    told = set()
    for seed in range(3):
        env = {**os.environ, "PYTHONHASHSEED": str(seed)}
        told.add(subprocess.run([sys.executable, "-c", SETS], env=env, stdout=subprocess.PIPE, check=True).stdout)
    assert len(told) == 1 and b'["a","b","c","d"' in next(iter(told))


# -- models that pydantic does not read as it writes them --


def test_models_that_are_read_as_something_else_are_refused():
    by_name = pydantic.ConfigDict(validate_by_alias=False, validate_by_name=True)
    refused = [pydantic.create_model("Renamed", __config__=by_name, x=(int, pydantic.Field(7, alias="al")))]
    for form in ("base64", "hex"):
        for key in ("ser_json_bytes", "val_json_bytes"):
            config = pydantic.ConfigDict(**{key: form})
            refused.append(pydantic.create_model("Bytes", __config__=config, x=(list[bytes], ...)))
    for model in refused:
        with pytest.raises(lw.UsageError, match="got the field 'x'"):
            lw.JsonCommand("echo", request=model)
    both = pydantic.ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    lw.JsonCommand("echo", request=pydantic.create_model("Bytes", __config__=both, x=(bytes, ...)))


@pytest.mark.skipif(
    "exclude_if" not in inspect.signature(pydantic.Field).parameters, reason="pydantic has no exclude_if before 2.12"
)
def test_a_field_that_is_left_out_is_not_read_as_its_default():
    class Row(pydantic.BaseModel):
        n: int
        tags: list[str] | None = pydantic.Field(None, exclude_if=lambda value: not value)

    assert encode_request(Row, Row(n=3), "command") == '{"n":3}'
    with pytest.raises(lw.UsageError, match=r"read as another value at \$\.tags"):
        encode_request(Row, Row(n=3, tags=[]), "command")
