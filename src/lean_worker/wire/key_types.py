"""Types of the keys of mappings: which are texts in JSON, and which unions of them one text may be two members of.

A key is a text in JSON whatever its type is. Of `int | str` the text "1" is read as a text, so that the key 1 would
come back as "1"; msgspec and pydantic take such a type.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..base.deferred import Deferred
from .exact_numbers import is_number

if TYPE_CHECKING:
    import msgspec.inspect as shapes
else:
    shapes = Deferred("msgspec.inspect")

Problem = tuple[str, str]
"""Description of a mistake in the type of keys, and a hint."""

NO_TEXTS = (
    "a mapping has keys that are no texts in JSON",
    "Use keys that are texts in JSON: str, int, float, an Enum, a UUID, a date or a datetime.",
)
_TWO_KINDS = ("a mapping has keys of several types, of which one text in JSON may be two", "Use keys of one type.")
_NUMBERS = (
    "pydantic finds no number of a Literal or an enumeration by a key of a mapping, which is a text",
    "Use an IntEnum, or texts.",
)

# pydantic writes "1,2" for a tuple, and reads it no more.
_NO_KEYS_OF_MODELS = (
    *("none", "tuple", "list", "set", "frozenset", "dict"),
    *("model", "dataclass", "dataclass-args", "typed-dict", "call"),
)


@functools.cache
def _no_keys() -> tuple[type, ...]:
    """The shapes that are no texts in JSON."""
    return (
        shapes.BoolType,
        shapes.NoneType,
        shapes.RawType,
        shapes.TupleType,
        shapes.VarTupleType,
        shapes.ListType,
        shapes.SetType,
        shapes.FrozenSetType,
        shapes.DictType,
        shapes.StructType,
        shapes.DataclassType,
        shapes.TypedDictType,
        shapes.NamedTupleType,
        shapes.CustomType,
    )


def problem_of(members: list[Any]) -> Problem | None:
    """Say what is wrong with keys whose type has these members, as msgspec describes them; None if nothing is."""
    members = [member for member in members if not isinstance(member, shapes.NoneType)]
    if not members or any(isinstance(member, _no_keys()) for member in members):
        return NO_TEXTS
    has_text = any(isinstance(member, shapes.StrType) for member in members)
    has_decimal = any(isinstance(member, shapes.DecimalType) for member in members)
    values = [value for member in members for value in _values(member)]
    texts = [value for value in values if isinstance(value, str)]
    has_number = len(texts) < len(values) or any(
        isinstance(member, (shapes.IntType, shapes.FloatType)) for member in members
    )
    if has_text and not all(isinstance(member, shapes.StrType) or _is_of_texts(member) for member in members):
        return _TWO_KINDS
    if has_decimal and has_number:
        return _TWO_KINDS
    if len({str(value) for value in values}) < len(set(values)):
        return _TWO_KINDS
    if (has_number or has_decimal) and any(map(is_number, texts)):
        return _TWO_KINDS
    return None


def _values(member: Any) -> Iterator[Any]:
    """The values of a Literal or an enumeration."""
    if isinstance(member, shapes.LiteralType):
        yield from member.values
    elif isinstance(member, shapes.EnumType):
        yield from (each.value for each in member.cls)


def _is_of_texts(member: Any) -> bool:
    return isinstance(member, shapes.LiteralType) and all(isinstance(value, str) for value in member.values)


def problem_of_model(keys: Any) -> Problem | None:
    """Say what is wrong with keys that pydantic describes by this schema; None if nothing is.

    It tries the members of a union in an order of its own, reads "1" as `True` and a number of seconds as a date, and
    writes `None` as "None". So a union is right only if all its members are texts.
    """
    kind = keys.get("type")
    if kind in _NO_KEYS_OF_MODELS:
        return NO_TEXTS
    if kind == "nullable":
        inner = keys["schema"]
        return _TWO_KINDS if inner.get("type") == "bytes" or _is_text(inner) else problem_of_model(inner)
    if kind == "literal":
        return None if _is_text(keys) else _NUMBERS
    if kind == "enum" and "sub_type" not in keys:
        return None if all(isinstance(each.value, str) for each in keys["members"]) else _NUMBERS
    if kind not in ("union", "tagged-union"):
        return None
    choices = keys["choices"].values() if isinstance(keys["choices"], dict) else keys["choices"]
    members = [each[0] if isinstance(each, tuple) else each for each in choices]
    return None if all(map(_is_text, members)) else _TWO_KINDS


def _is_text(schema: Any) -> bool:
    if schema.get("type") == "literal":
        return all(isinstance(each, str) and not isinstance(each, enum.Enum) for each in schema["expected"])
    return bool(schema.get("type") == "str")
