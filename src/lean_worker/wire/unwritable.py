"""Values that JSON text would not hold: numbers, texts, offsets, keys that a writer changes or loses without a word."""

from __future__ import annotations

import builtins
import datetime
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..base.arguments import shortened, shown
from ..base.patterns import compiled
from .records import attribute_names, has_distinct_keys, is_pydantic_model

_MINUTE = datetime.timedelta(minutes=1)
_SCALARS = frozenset((str, int, float, bool, bytes, type(None)))
_DISTINCT = frozenset((str, int, uuid.UUID))
"""Types of keys that have different texts if they differ."""
_SURROGATE = "[\ud800-\udfff]"
_OFFSET = rb':[0-9]{2}(?:[.][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"'
"""The seconds of a datetime or time, and its offset from UTC; begins with a sign that is quick to find."""


class Unwritable(ValueError):
    """A value without a JSON form of its own.

    Attributes:
        hint: A value that has one.
    """

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


def check_numbers(value: object, text: bytes) -> None:
    """Refuse a value with a number that its JSON text does not have.

    Raises:
        Unwritable: A number in it is NaN or infinite; says where it is.
    """
    # A null also stands for what cannot be written. Most stand for None, so that a quick look comes first.
    if b"null" in text and not _is_finite(value):
        for path, number in _leaves_in(value, "$", (float,)):
            if not math.isfinite(number):
                hint = "JSON has no NaN and no infinity: send None, or a text."
                raise Unwritable(f"{number} at {path} has no JSON form", hint)


def check_offsets(value: object, text: bytes) -> None:
    """Refuse a value with a time whose JSON text says another time.

    Raises:
        Unwritable: A UTC offset in it has seconds, or a time has a zone whose offset depends on the date; says where.
    """
    if compiled(_OFFSET).search(text):
        for path, time in _leaves_in(value, "$", (datetime.datetime, datetime.time)):
            offset = time.utcoffset()
            if offset is None and time.tzinfo is not None:
                hint = "JSON has offsets and no zones: send a datetime, or a time with a timezone of a fixed offset."
                raise Unwritable(f"the zone {time.tzinfo} of {time} at {path} has no JSON form", hint)
            if offset is not None and offset % _MINUTE:
                hint = "JSON has offsets of whole minutes: convert it first, as with .astimezone(datetime.UTC)."
                raise Unwritable(f"the UTC offset {offset} of {time} at {path} has no JSON form", hint)


def check_texts(value: object, error: ValueError) -> None:
    """Say which text of a value that a writer has refused is none in UTF-8, if one is.

    Raises:
        Unwritable: A text in it has a surrogate; says where it is.
    """
    for path, text in _leaves_in(value, "$", (str,)):
        if compiled(_SURROGATE).search(text):
            hint = "JSON text is UTF-8: remove the surrogates, as with text.encode(errors='replace').decode()."
            raise Unwritable(f"the text {shown(text)} at {_shown_place(path)} has surrogates", hint) from error


def _named(kind: type) -> str:
    """The name of a class, with its module if the name alone means one of Python's own: `numpy.bool`."""
    name = kind.__qualname__
    return f"{kind.__module__}.{name}" if hasattr(builtins, name) and kind.__module__ != "builtins" else name


def unwritten(value: object, write: Callable[[object], object]) -> str | None:
    """Say which part of a value a writer refuses, and where it is; None if it is no part, but the value itself.

    Args:
        value: What the writer has refused with a TypeError.
        write: The writer.
    """
    path, found = "$", value
    while True:
        for key in found if isinstance(found, Mapping) else ():
            if _is_refused({key: None}, write):
                return f"the key {shown(key)} at {_shown_place(path)} has no JSON form"
        for place, each in _parts_of(found, path):
            if _is_refused(each, write):
                path, found = place, each
                break
        else:
            return None if found is value else f"{_named(type(found))} at {_shown_place(path)} has no JSON form"


def _is_refused(value: object, write: Callable[[object], object]) -> bool:
    try:
        write(value)
    except TypeError:
        return True
    except (ValueError, RecursionError, BufferError):
        pass  # another refusal
    return False


def _shown_place(path: str) -> str:
    return shortened(path).encode(errors="backslashreplace").decode()


def check_keys(value: Mapping[Any, Any]) -> None:
    """Refuse a mapping of which two keys have the same JSON text.

    Raises:
        Unwritable: Two of them have.
    """
    kinds = set(map(type, value))
    if len(kinds) < 2 and kinds <= _DISTINCT:
        return
    seen: dict[str, object] = {}
    for key in value:
        if isinstance(key, float) and not math.isfinite(key):
            raise Unwritable(
                f"the key {key} has no JSON form", "JSON has no NaN and no infinity: give a text as the key."
            )
        text = key_text(key)
        if text in seen:
            hint = "Keys are texts in JSON: give the mapping keys of one type."
            raise Unwritable(f"the keys {seen[text]!r} and {key!r} are both {text!r} in JSON", hint)
        seen[text] = key


def check_all_keys(value: object) -> None:
    """Refuse what `check_keys` refuses, anywhere in a value.

    Raises:
        Unwritable: There is such a mapping.
    """
    kind: Any = type(value)
    if kind is dict or isinstance(value, Mapping):
        check_keys(value)  # type: ignore[arg-type]
    elif is_pydantic_model(kind) and has_distinct_keys(kind):
        return
    for each in _values_in(value):
        if type(each) not in _SCALARS:
            check_all_keys(each)


def key_text(key: object) -> str:
    """The text that a key of a mapping has in JSON."""
    if isinstance(key, bool):  # only pydantic writes it
        return "true" if key else "false"
    try:
        (text,) = msgspec.json.decode(msgspec.json.encode({key: None}))
    except TypeError:  # only pydantic writes it, or nothing
        return str(key)
    return str(text)


def _is_finite(value: object) -> bool:
    """Whether no number in a value is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (dict, Mapping)):
        for key in value:
            if type(key) not in _DISTINCT and not _is_finite(key):
                return False
    for each in _values_in(value):
        kind = type(each)
        if kind is float:
            if not math.isfinite(each):  # type: ignore[arg-type]
                return False
        elif kind not in _SCALARS and not _is_finite(each):
            return False
    return True


def _leaves_in(value: Any, path: str, kinds: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """All values of some kinds in a value, also as keys, with their place."""
    if isinstance(value, kinds):
        yield path, value
        return
    if isinstance(value, Mapping):
        for key in value:
            if isinstance(key, kinds):
                yield f"{path}.{key}", key
    for place, each in _parts_of(value, path):
        yield from _leaves_in(each, place, kinds)


def _values_in(value: Any) -> Iterable[object]:
    """The values that a value holds, without their place, which takes much longer to write."""
    if type(value) is dict or isinstance(value, Mapping):
        values: Iterable[object] = value.values()
        return values
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    return (each for _, each in _parts_of(value, ""))


def _parts_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values that a value holds, with their place."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield f"{path}.{key}", each
    elif isinstance(value, (list, tuple, set, frozenset)):
        names = getattr(value, "_fields", None)
        for index, each in enumerate(value):
            yield (f"{path}.{names[index]}" if names else f"{path}[{index}]"), each
    else:
        names = attribute_names(type(value)) or ()
        for name in (*names, *((is_pydantic_model(type(value)) and value.model_extra) or ())):
            yield f"{path}.{name}", getattr(value, name, None)
