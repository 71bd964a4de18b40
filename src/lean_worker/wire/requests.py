"""Encoding of requests: from a caller's value to the JSON text that is sent to the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import DecodeError, UsageError
from .json_types import decode_text, encode_value, refusal, shown_type
from .records import is_pydantic_model, record_of
from .unwritable import Unwritable

_SCALARS = frozenset((str, int, float, bool, type(None)))
_BYTES = (bytes, bytearray, memoryview)
_GOT_BYTES = "got `bytes`"
"""Words of msgspec."""


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
        refused, why = f"{type(value).__name__} has no JSON form", _first_line(error)
        raise UsageError(
            f"encoding the request of {command}: {refused if why == refused else f'{refused}: {why}'}",
            hint=_hint_for_unwritable(error),
            command=command,
        ) from error
    if kind is not None:
        decode_text(kind, text, "request", command=command, entered_worker=False)
        if _holds_bytes(value):
            _refuse_bytes_for_text(kind, value, text, command)
    return text.decode()


def _holds_bytes(value: object) -> bool:
    if isinstance(value, _BYTES):
        return True
    if type(value) in _SCALARS:
        return False
    if isinstance(value, Mapping):
        return any(map(_holds_bytes, value)) or any(map(_holds_bytes, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return not _SCALARS.issuperset(map(type, value)) and any(map(_holds_bytes, value))
    record = None if is_pydantic_model(type(value)) else record_of(value)
    return record is not None and any(map(_holds_bytes, record.values()))


def _refuse_bytes_for_text(kind: Any, value: object, text: bytes, command: str) -> None:
    """Refuse bytes where a text is declared: JSON has them as base64, which is one, and nobody would notice.

    msgspec converts the value itself, and not its JSON: bytes stay bytes there. What it cannot do so is let pass.

    Raises:
        DecodeError: There are such bytes.
    """
    for with_texts in (False, True):  # keys: as they are, and as texts; the first wrong one hides what is below it
        try:
            plain = msgspec.to_builtins(value, builtin_types=_BYTES, str_keys=with_texts, enc_hook=_plain_model)
            msgspec.convert(plain, kind, builtin_types=_BYTES, str_keys=with_texts, dec_hook=_without_bytes)
        except msgspec.ValidationError as error:
            if _GOT_BYTES in str(error):
                raise refusal("request", kind, text, error, command=command, entered_worker=False) from None
        except (TypeError, ValueError, RecursionError):
            continue


def _plain_model(value: object) -> object:
    if is_pydantic_model(type(value)):
        return msgspec.json.decode(encode_value(value))
    raise TypeError


def _without_bytes(kind: Any, value: object) -> None:
    """Refuse bytes that stand for fields of a model, unless it reads them as they are sent."""
    if is_pydantic_model(kind) and kind.model_config.get("val_json_bytes") != "base64" and _holds_bytes(value):
        raise ValueError(f"Expected `str`, {_GOT_BYTES}")


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
    return "Give plain values, as numpy's .tolist() makes them, or an instance of the declared request type."


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
