"""The types that a command may declare, and their way from and to JSON text.

Owns which types are understood: dataclasses, msgspec Structs, TypedDicts, NamedTuples, attrs classes, pydantic models
and plain types, each anywhere within another. msgspec reads them straight from the text; pydantic models are left to
pydantic's own validator. A type that cannot be read is refused when its command is declared. No value changes on its
way: a value that JSON cannot hold is refused. orjson writes plain values; msgspec reads and writes all others.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson

from ..errors import UsageError
from .exact_numbers import exact
from .frames import is_json
from .model_texts import model_text, stored_text
from .records import is_pydantic_model, jsonable, unsendable_fields
from .unwritable import check_keys, check_numbers, check_offsets

_HINT = "Use a dataclass, msgspec Struct, TypedDict, NamedTuple, attrs class, pydantic model or plain type."


def text_decoder(kind: Any) -> Callable[[bytes], Any]:
    """A function from JSON text to a value of type `kind` (None: plain Python values).

    Raises:
        UsageError: `kind` is a type that has no JSON form here.
    """
    try:
        return _cached_decoder(kind)
    except TypeError:
        return _make_decoder(kind)  # an annotation that cannot be hashed cannot be remembered


def check_type(what: str, kind: Any) -> None:
    """Refuse a type that cannot be read from JSON; a name in it that is not defined yet is left for its first use.

    Raises:
        UsageError: `kind` is such a type; the text begins with `what`.
    """
    if kind is None or kind is bytes:
        return
    try:
        text_decoder(kind)
    except NameError:
        return
    except UsageError as error:
        raise UsageError(f"{what}: {error.text}", hint=error.hint) from error


def check_request_type(what: str, kind: Any) -> None:
    """Refuse what `check_type` refuses, and a pydantic model that does not read what it writes.

    Raises:
        UsageError: `kind` is such a type; the text begins with `what`.
    """
    check_type(what, kind)
    for model in _classes_in(kind, of_models=True):
        for expected, name, why, hint in unsendable_fields(model) if is_pydantic_model(model) else ():
            raise UsageError(
                f"{what}: expected {expected}, got the field {name!r} of {_named(model)}, {why}",
                hint=hint,
            )


def _make_decoder(kind: Any) -> Callable[[bytes], Any]:
    return exact(_make_plain_decoder(kind), _classes_in(kind, of_models=True))


def _make_plain_decoder(kind: Any) -> Callable[[bytes], Any]:
    if is_pydantic_model(kind):
        return _strict_json(kind.model_validate_json)
    if kind is not None:
        _check_classes(kind)
    try:
        return msgspec.json.Decoder(Any if kind is None else kind, dec_hook=_read_model).decode
    except TypeError as error:
        # Unions of several models are beyond msgspec; pydantic knows them, and nothing of Structs and attrs classes.
        validate = _adapter(kind) if any(map(is_pydantic_model, _classes_in(kind))) else None
        if validate is None:
            raise UsageError(
                f"declaring a type: {_named(kind)} cannot be read from JSON: {error}", hint=_HINT
            ) from error
        return _strict_json(validate)


def _read_model(kind: type, value: Any) -> Any:
    """Decode a value for a class that msgspec does not support (msgspec's `dec_hook`)."""
    if is_pydantic_model(kind):
        return kind.model_validate(value)  # type: ignore[attr-defined]
    raise TypeError(f"{_named(kind)} does not describe its fields")


def _adapter(kind: Any) -> Callable[[bytes], Any] | None:
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_json
    except (pydantic.PydanticSchemaGenerationError, pydantic.PydanticUserError):
        return None


def _strict_json(validate: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """`validate` without what pydantic reads beyond JSON: NaN and infinities."""

    def decode(text: bytes) -> Any:
        if (b"NaN" in text or b"Infinity" in text) and not is_json(text):
            raise ValueError("not JSON: a NaN or an infinity has no JSON form")
        return validate(text)

    return decode


_cached_decoder = functools.lru_cache(maxsize=512)(_make_decoder)


def _classes_in(kind: Any, *, of_models: bool = False) -> Iterator[type]:
    """All classes in an annotation, also in the fields of other classes; `of_models`: of pydantic models too."""
    seen: set[int] = set()
    todo = [kind]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        todo += typing.get_args(one)
        if not isinstance(one, type):  # perhaps a NewType, or a `type` statement
            todo += [getattr(one, name) for name in ("__supertype__", "__value__") if hasattr(one, name)]
        if isinstance(one, type):
            yield one
            if is_pydantic_model(one):
                todo += [field.annotation for field in one.model_fields.values() if of_models]  # type: ignore[attr-defined]
            elif one.__module__ != "builtins":
                try:
                    todo += typing.get_type_hints(one).values()
                except (NameError, TypeError):
                    continue


def _check_classes(kind: Any) -> None:
    """Refuse plain classes, which msgspec would only refuse at their first value."""
    for one in _classes_in(kind):
        if _is_custom(one):
            raise UsageError(
                f"declaring a type: {_named(one)} cannot be read from JSON: the class does not describe its fields",
                hint=_HINT,
            )


def _is_custom(kind: type) -> bool:
    if kind is msgspec.UnsetType or is_pydantic_model(kind):
        return False
    try:
        return isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CustomType)
    except TypeError as error:
        # Such as an enumeration of strings and numbers, or a union of two models in a field of another class.
        raise UsageError(f"declaring a type: {_named(kind)} cannot be read from JSON: {error}", hint=_HINT) from error


def _named(kind: Any) -> str:
    return getattr(kind, "__qualname__", None) or str(kind)


# -- to JSON text --


def encode_value(value: object) -> bytes:
    """The JSON text of a value.

    pydantic models are written by alias, as they are read.

    Raises:
        Unwritable: A number in it is NaN or infinite, a UTC offset has seconds, two keys of a mapping have the same
            JSON text, or a pydantic model is written as another value.
        TypeError: It holds something without a JSON form.
    """
    if is_pydantic_model(type(value)):
        return model_text(value)
    text = _encoded(value)
    check_numbers(value, text)
    return text


_BUILT_IN = (dict, list, str, int, float, bool, type(None))
_PASS_ON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def _encoded(value: object) -> bytes:
    """The value as both libraries write it: orjson is twice as fast, and declines what only msgspec writes."""
    plain = _plain_text(value)
    if plain is not None:
        return plain
    text = msgspec.json.encode(jsonable(value, check_keys), enc_hook=_write_model)
    check_offsets(value, text)
    return text


def _plain_text(value: object) -> bytes | None:
    if type(value) in _BUILT_IN:
        try:
            return orjson.dumps(value, None, _PASS_ON)
        except orjson.JSONEncodeError:
            pass  # an integer of more than 64 bits, a date, a Struct, a key that is no text, …
    return None


def encode_stored(value: object) -> bytes:
    """The JSON text of a value in a row, with all fields of the pydantic models in it.

    Raises:
        Unwritable, TypeError: As `encode_value`; also for a secret, which pydantic writes as asterisks.
    """
    plain = _plain_text(value)
    if plain is None:
        return stored_text(value)
    check_numbers(value, plain)
    return plain


def _write_model(value: Any) -> Any:
    if is_pydantic_model(type(value)):
        return msgspec.Raw(model_text(value))
    raise TypeError(f"{type(value).__qualname__} has no JSON form")
