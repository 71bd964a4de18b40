"""Numbers that a decoder would round: integers in a field of floats, decimals in a pydantic model, parts of a second.

msgspec and pydantic read the integer 9007199254740993 into a float as 9007199254740992. Here that is an error, and so
is the integer 9007199254740992 that pydantic makes of 9007199254740993.0. A number with a point or an exponent means
the nearest float where a float is declared, as everywhere. A datetime, time or timedelta holds microseconds: both
libraries round or cut what is finer, even to another day, and here that is an error too. So is the key "-0" of a
mapping of decimals, which msgspec reads as the integer 0.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..base.patterns import compiled
from .records import attribute_names, is_pydantic_model, read_names, struct_names, unwrapped

_SHORTEST = 16
"""Digits of the smallest integer that a float does not hold."""

# What may stand before an integer becomes a space; all else that is no digit a letter, over which a search jumps.
_SHAPES = bytes(48 if 48 <= byte <= 57 else 32 if byte in b'[:,- \n\t\r"' else 120 for byte in range(256))
_RUN = b"0" * _SHORTEST
_INTEGER = b" " + _RUN
_DIGIT = ord("0")
_SHOWN_DIGITS = 60
_UNLIKE_PYDANTIC = rb"[0-9.]{16}|[eE][+-]?[0-9]{3}"
"""Numbers that pydantic may change: long ones, and those that are too large or too small for a float."""

_FINE = rb"[.,][0-9]{7}|[0-9][eE]-"
"""More digits after a point than a microsecond has."""
_MINUS_ZERO = rb'"(?:-|\\u002[dD])(?:0|\\u0030)"'
_FRACTION = r"[.,]([0-9]+)([DHM]?)"
# A date may be read from a text with a time of zero hours.
_TIMES = (datetime.date, datetime.time, datetime.timedelta)
_UNIT_SECONDS = {"D": 86400, "H": 3600, "M": 60, "": 1}
_HINT_FOR_ZERO = "Declare str for the key, or emit it as -0e0."
_HINT_FOR_TIMES = "Declare str for it, or emit at most 6 digits after the point: these types hold microseconds."

_read_exactly = msgspec.json.Decoder(Any, float_hook=decimal.Decimal).decode


class Rounded(ValueError):
    """A number that its declared type would round.

    Attributes:
        path: Its place in the value.
        hint: Types that hold it.
    """

    hint = "Declare int, int | float or Decimal (outside of pydantic models), or emit the number as text."

    def __init__(self, path: str, number: object, rounded: object) -> None:
        if isinstance(rounded, _TIMES):
            self.hint = _HINT_FOR_TIMES
        elif number == "-0":
            self.hint = _HINT_FOR_ZERO
        shown = str(number)
        shown = shown if len(shown) <= _SHOWN_DIGITS else f"{shown[:_SHOWN_DIGITS]}…"
        super().__init__(f"{shown} would become the {type(rounded).__name__} {rounded}")
        self.path = path


def exact(decode: Callable[[bytes], Any], classes: Iterable[type]) -> Callable[[bytes], Any]:
    """Return `decode`, which raises `Rounded` instead of rounding.

    Args:
        decode: A decoder from JSON text.
        classes: All classes of the type that it decodes.
    """
    found = set(classes)
    if any(map(_is_time, found)):
        decode = functools.partial(_checked, decode, compiled(_FINE).search)
    if decimal.Decimal in found:
        decode = functools.partial(_checked, decode, compiled(_MINUS_ZERO).search)
    if any(map(is_pydantic_model, found)):  # which may have a float wherever a type is not said
        return functools.partial(_checked, decode, compiled(_UNLIKE_PYDANTIC).search)
    if float not in found:
        return decode

    def decode_exactly(text: bytes) -> Any:
        value = decode(text)
        if len(text) >= _SHORTEST:
            shapes = text.translate(_SHAPES)
            if _INTEGER in shapes or (shapes[0] == _DIGIT and shapes.startswith(_RUN)):
                _check(value, text)
        return value

    return decode_exactly


def _is_time(kind: type) -> bool:
    # pydantic's own kinds of datetimes are no subclasses.
    return issubclass(kind, _TIMES) or (kind.__module__ == "pydantic.types" and kind.__name__.endswith("Datetime"))


def _checked(decode: Callable[[bytes], Any], is_suspect: Callable[[bytes], object], text: bytes) -> Any:
    value = decode(text)
    if is_suspect(text):
        _check(value, text)
    return value


def _check(value: Any, text: bytes) -> None:
    for path, number, rounded in _rounded(value, _read_exactly(text), "$"):
        raise Rounded(path, number, rounded)


def _rounded(value: Any, number: Any, path: str) -> Iterator[tuple[str, object, object]]:
    """All numbers in a decoded value that stand for another one: place, number in the text, and value."""
    value = unwrapped(value)
    if isinstance(value, _TIMES):
        if _is_finer(number):
            yield path, number, value
    elif isinstance(number, str):
        # pydantic reads texts as numbers too.
        if isinstance(value, (int, float, decimal.Decimal)) and is_number(number):
            meant = int(number) if number.strip().lstrip("+-").isdecimal() else decimal.Decimal(number)
            if _stands_for_another(value, meant):
                yield path, number, value
    elif isinstance(number, (int, decimal.Decimal)):
        if _stands_for_another(value, number):
            yield path, number, value
    elif isinstance(number, list):
        yield from _rounded_items(value, number, path)
    elif isinstance(number, dict):
        yield from _rounded_fields(value, number, path)


def _is_finer(time: Any) -> bool:
    """Whether what stands for a datetime, time or timedelta says more than its microseconds."""
    if isinstance(time, decimal.Decimal):
        return bool(time * 10**6 % 1)
    fractions = compiled(_FRACTION).findall(time) if isinstance(time, str) else ()
    return any(int(digits) * _UNIT_SECONDS[unit] * 10**6 % 10 ** len(digits) for digits, unit in fractions)


def _stands_for_another(value: Any, number: int | decimal.Decimal) -> bool:
    """Whether a value is what a float makes of a number; one that differs otherwise is a validator's work."""
    # pydantic reads a number with a point or an exponent by way of a float into an integer too.
    if not isinstance(value, (int, float, decimal.Decimal)) or value == number:
        return False
    if isinstance(value, float) and not isinstance(number, int):
        return math.isinf(value)
    try:
        return float(value) == float(number)
    except OverflowError:
        return math.isinf(value)


def _rounded_items(value: Any, numbers: list[Any], path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(value, (set, frozenset)):
        # In what order the items stand is not known: all numbers and times in them are compared with each other.
        found = list(_leaves_in(value))
        time = next((each for each in found if isinstance(each, _TIMES)), None)
        plain = [each for each in found if isinstance(each, (str, float))]
        for index, item in enumerate(numbers):
            for number in _leaves_in(item):
                if time is not None and isinstance(number, (str, decimal.Decimal)):
                    # A text or a float beside the times, as in a set of pairs, stands for itself, once.
                    itself = number if isinstance(number, str) else float(number)
                    if itself in plain:
                        plain.remove(itself)
                    elif _is_finer(number):
                        yield f"{path}[{index}]", number, time
                if isinstance(number, (int, decimal.Decimal)) and number not in found:
                    for each in found:
                        if _stands_for_another(each, number):
                            yield f"{path}[{index}]", number, each
        return
    if isinstance(value, msgspec.Struct):  # written as an array, perhaps after its tag
        fields = [getattr(value, name) for name in value.__struct_fields__]
        value = fields if value.__struct_config__.tag is None else [None, *fields]
    if isinstance(value, (list, tuple)):
        for index, (each, number) in enumerate(zip(value, numbers, strict=False)):
            yield from _rounded(each, number, f"{path}[{index}]")


def _leaves_in(value: Any) -> Iterator[Any]:
    """The values in a value that hold no others."""
    parts: Iterable[Any]
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = value
    elif (names := attribute_names(type(value))) is not None:
        parts = (getattr(value, name, None) for name in names)
    else:
        yield value
        return
    for part in parts:
        yield from _leaves_in(part)


def _rounded_fields(value: Any, numbers: dict[str, Any], path: str) -> Iterator[tuple[str, object, object]]:
    names: list[tuple[tuple[str, ...], str]]
    if isinstance(value, Mapping):
        # Keys that are no texts come in the order of the text, unless two of its names are one key.
        by_place = len(numbers) == len(value) and any(type(key) is not str for key in value)
        for name, (key, each) in zip(numbers if by_place else value, value.items(), strict=True):
            found = name if by_place else str(key)
            if by_place and isinstance(key, _TIMES) and _is_finer(name):
                yield f"{path}.{found}", found, key
            if by_place and isinstance(key, decimal.Decimal) and name == "-0" and not key.is_signed():
                yield f"{path}.{found}", found, key
            if isinstance(key, float):
                found = next((name for name in numbers if is_number(name) and float(name) == key), found)
                if found.lstrip("-").isdecimal() and int(found) != key:
                    yield f"{path}.{found}", int(found), key
            if found in numbers:
                yield from _rounded(each, numbers[found], f"{path}.{found}")
        return
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        names = [((written,), name) for written, name in struct_names(kind)]
    elif is_pydantic_model(kind):
        names = [(read_names(kind, name), name) for name in kind.model_fields]
    else:
        names = [((name,), name) for name in attribute_names(kind) or ()]
    for read, name in names:
        for each in read:
            if each in numbers:
                yield from _rounded(getattr(value, name, None), numbers[each], f"{path}.{each}")


def is_number(text: str) -> bool:
    """Whether a text is read as a number where one is declared."""
    try:
        float(text)
    except ValueError:
        return False
    return True
