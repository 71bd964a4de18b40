"""Encoding of requests: from a caller's value to the JSON text that is sent to the worker."""

from __future__ import annotations

from typing import Any

from ..errors import DecodeError, UsageError
from .json_types import decode_text, encode_value, shown_type
from .unwritable import Unwritable


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
        decode_text(kind, text, "request", command=command)
    return text.decode()


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
