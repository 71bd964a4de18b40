"""JSON text of pydantic models: pydantic writes it, and a text that is read as another value is refused.

Serializers, excluded fields, secrets and fields of subclasses make pydantic leave something out without a word. Only
models that can do so are read back. Also owns the text of a value with all of its fields, which sinks and tables store.
"""

from __future__ import annotations

import datetime
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from .frames import is_json
from .records import is_pydantic_model, jsonable, record_of, unwrapped
from .type_checks import NOT_ONCE, is_read_once
from .unwritable import Unwritable, check_all_keys, check_keys, check_numbers, check_offsets, key_text

_HINT = "Declare plain fields, without exclude, secrets and serializers that change the value; or send plain values."
_HINT_EQ = "A class of your own needs an `__eq__`, by which a value is known again; or send plain values."
_NO_KEYS = (tuple, frozenset, type(None))
"""Kinds that msgspec writes as values, and not as keys."""
_LOSSY_KEYS = ("serialization", "serialization_exclude", "serialization_exclude_if")
_TIME_KEYS = ("ser_json_timedelta", "ser_json_temporal")


def model_text(value: Any) -> bytes:
    """Return the JSON text that pydantic writes for a model, by alias, as it is read.

    Raises:
        Unwritable: The text is read as another value, or not read at all; or as `encode_value`.
    """
    model: Any = type(value)
    if is_read_once(model):
        raise Unwritable(f"pydantic reads an Iterable once, and {model.__qualname__} has a field of it", NOT_ONCE)
    check_all_keys(value)
    text: bytes = value.model_dump_json(by_alias=True).encode()
    check_offsets(value, text)
    if (b"NaN" in text or b"Infinity" in text) and not is_json(text):
        text = b"null"  # a model may be configured to write NaN
    check_numbers(value, text)
    if _may_lose(model):
        _check_read_back(value, text)
    return text


def _may_lose(model: Any) -> bool:
    is_lossy, fields = _facts(model)
    # Pydantic writes an instance of a subclass as its field's type.
    return is_lossy or any(kind.__subclasses__() for kind in fields)


@functools.lru_cache(maxsize=512)
def _facts(model: Any) -> tuple[bool, tuple[type, ...]]:
    """Whether a model may lose something, by a serializer, a secret, …; and the classes of the models in it."""
    schema = getattr(model, "__pydantic_core_schema__", None)
    if not isinstance(schema, dict):  # not built yet
        return True, ()
    is_lossy = False
    found: set[type] = set()
    for part in _parts_of_schema(schema):
        is_lossy = is_lossy or any(key in part for key in _LOSSY_KEYS) or _writes_numbers(part.get("config"))
        if part.get("type") == "model" and part["cls"] is not model:
            found.add(part["cls"])
    return is_lossy, tuple(found)


def _writes_numbers(config: Any) -> bool:
    """Whether times and durations are written as numbers, which may round them and have no time zone."""
    return isinstance(config, Mapping) and any(config.get(key, "iso8601") != "iso8601" for key in _TIME_KEYS)


def _parts_of_schema(schema: Any) -> Iterator[Mapping[str, Any]]:
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            yield part
            todo += part.values()
        elif isinstance(part, (list, tuple)):
            todo += part


def _check_read_back(value: Any, text: bytes) -> None:
    name = type(value).__qualname__
    written = f"pydantic writes {name} as {text[:80].decode('utf-8', 'replace')}"
    try:
        read = type(value).model_validate_json(text)
    except ValueError as error:
        errors: Any = getattr(error, "errors", lambda: ())()  # of pydantic
        first = f"{'.'.join(map(str, errors[0]['loc']))}: {errors[0]['msg']}" if errors else str(error)
        raise Unwritable(f"{written}, which it does not read: {first[:200]}", _HINT) from None
    if _are_equal(value, read):
        return
    try:
        expected, found = (msgspec.json.decode(_whole_text(each, _shown_secret)) for each in (value, read))
    except (TypeError, ValueError) as error:  # of a class that only its model's serializers know
        raise Unwritable(f"{written}, which is read as a value that is not equal to it: {error}", _HINT_EQ) from None
    if expected != found:
        path = _first_difference(expected, found, "$")
        raise Unwritable(f"{written}, which is read as another value at {path}", _HINT)


def _are_equal(value: Any, read: Any) -> bool:
    """Whether two models are equal; not if the `==` of something in them fails, as that of arrays does."""
    try:
        return bool(value == read)
    except Exception:
        return False


def _first_difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            if key not in one or key not in other:
                return f"{path}.{key}"
            if one[key] != other[key]:
                return _first_difference(one[key], other[key], f"{path}.{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (each, its) in enumerate(zip(one, other, strict=True)):
            if each != its:
                return _first_difference(each, its, f"{path}[{index}]")
    return path


# -- all fields --


def stored_text(value: Any) -> bytes:
    """Return the JSON text of a value in a row, with all fields of the models in it.

    Raises:
        TypeError: Something in it has no JSON form, or is a secret, which pydantic writes as asterisks.
        Unwritable: As `encode_value`.
    """
    text = _whole_text(value, _refused_secret)
    check_offsets(value, text)
    check_numbers(value, text)
    return text


def _whole_text(value: Any, secret: Callable[[Any], Any]) -> bytes:
    def write(part: Any) -> Any:
        if is_pydantic_model(type(part)):
            inner = unwrapped(part)
            form = part.model_config.get("ser_json_bytes", "utf8")
            return jsonable(with_bytes(record_of(part) if inner is part else inner, form), check_keys)
        if hasattr(part, "get_secret_value"):
            return secret(part)
        core = sys.modules.get("pydantic_core")
        if isinstance(part, bool):  # a key, of which msgspec writes none; pydantic reads it
            return key_text(part)
        if core is None or isinstance(part, _NO_KEYS):
            raise TypeError(f"{type(part).__qualname__} has no JSON form")
        written = core.to_jsonable_python(part)  # a type of pydantic's own, such as a Url
        if _is_finer(part):
            raise TypeError(f"{type(part).__qualname__} has no JSON form")
        return written

    return msgspec.json.encode(jsonable(value, check_keys), enc_hook=write)


def _is_finer(value: Any) -> bool:
    """Whether a time of a subclass, such as that of pandas, has more than the microseconds that pydantic writes."""
    if isinstance(value, datetime.datetime):
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo")
        whole: Any = datetime.datetime(*(getattr(value, name) for name in names), fold=value.fold)
    elif isinstance(value, datetime.timedelta):
        whole = datetime.timedelta(value.days, value.seconds, value.microseconds)
    else:
        return False
    return not whole == value  # noqa: SIM201  # a subclass need not have a `!=` of its own


def with_bytes(value: Any, form: str) -> Any:
    """The fields of a model with bytes as the model reads them: as text, or in hex; base64 is what msgspec writes."""
    if isinstance(value, bytes) and form != "base64":
        return value.hex() if form == "hex" else value.decode()
    if isinstance(value, Mapping):
        return {
            with_bytes(key, form) if isinstance(key, bytes) else key: with_bytes(each, form)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [with_bytes(each, form) for each in value]
    record = None if is_pydantic_model(type(value)) else record_of(value)
    return value if record is None else {name: with_bytes(each, form) for name, each in record.items()}


def _shown_secret(value: Any) -> Any:
    return value.get_secret_value()


def _refused_secret(value: Any) -> Any:
    raise TypeError(f"pydantic writes asterisks for a {type(value).__qualname__}; declare str")
