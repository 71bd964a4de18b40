"""Encoding of requests: from a caller's value to the JSON text that is sent to the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..errors import DecodeError, UsageError
from .json_types import decode_text, encode_value, refusal, shown_type
from .records import is_pydantic_model, record_of
from .unwritable import Unwritable

_SCALARS = frozenset((str, int, float, bool, type(None)))


class EncodedRequest:
    """A request of a command that was encoded before a worker was lent for it.

    Attributes:
        text: Its JSON text, of the declared type.
    """

    def __init__(self, text: str) -> None:
        self.text = text


def encode_request(kind: Any, value: object, command: str) -> str:
    """The JSON text of a request.

    Raises:
        DecodeError: The value is not of the declared request type.
        UsageError: The value has no JSON form, or is None and the type has no None.
    """
    if isinstance(value, EncodedRequest):
        return value.text
    if value is None:
        check_given(kind, value, command)
        return "null"
    try:
        text = encode_value(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"encoding the request of {command}: {type(value).__name__} has no JSON form: {_first_line(error)}",
            hint=_hint_for_unwritable(error),
            command=command,
        ) from error
    if kind is not None:
        read = decode_text(kind, text, "request", command=command)
        for path, written in _bytes_read_as_text(value, read, "$"):
            if not _takes_anything(kind, text, written):
                why = msgspec.ValidationError(f"Expected `str`, got `bytes` - at `{path}`")
                raise refusal("request", kind, text, why, command=command)
    return text.decode()


def _takes_anything(kind: Any, text: bytes, written: str) -> bool:
    """Whether a type declares nothing of the place in a text where `written` stands, as `Any` does."""
    try:
        decode_text(kind, text.replace(f'"{written}"'.encode(), b'{"\\u0000":[null]}', 1), "request")
    except DecodeError:
        return False
    return True


def _bytes_read_as_text(value: object, read: object, path: str) -> Iterator[tuple[str, str]]:
    """The places of bytes that are read as a text, and that text: JSON has them as base64, and nobody would notice."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        if isinstance(read, str):
            yield path, read
    elif isinstance(value, (list, tuple)) and isinstance(read, (list, tuple)):
        if not _SCALARS.issuperset(map(type, value)):
            for index, (each, its) in enumerate(zip(value, read, strict=False)):
                yield from _bytes_read_as_text(each, its, f"{path}[{index}]")
    elif type(value) not in _SCALARS and not is_pydantic_model(type(value)):
        fields = (value if isinstance(value, Mapping) else record_of(value)) or {}
        found = (read if isinstance(read, Mapping) else record_of(read)) or {}
        for name, each in fields.items():
            if name in found:
                yield from _bytes_read_as_text(each, found[name], f"{path}.{name}")


def check_given(kind: Any, request: object, command: str) -> None:
    """Refuse None for a request of a type without None.

    Raises:
        UsageError: It is None, and the type has none.
    """
    if request is None and kind is not None:
        try:
            decode_text(kind, b"null", "request")
        except DecodeError:
            raise UsageError(
                f"running {command}: expected a request of type {shown_type(kind)}, got None",
                hint="Give the request after the command, or declare the command without a type of requests.",
                command=command,
            ) from None


def _hint_for_unwritable(error: Exception) -> str:
    if isinstance(error, Unwritable):
        return error.hint
    if isinstance(error, UnicodeError):
        return "JSON text is UTF-8: remove the surrogates, as with text.encode(errors='replace').decode()."
    if isinstance(error, RecursionError):
        return "The value is nested too deeply, or holds itself: give a flatter one."
    return "Give plain values, or an instance of the declared request type."


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
