"""Commands: a name, and the types of its request and its answer.

Commands hold no connection, compare by value, and can be shared by threads and processes. `None` for a type means "any
JSON value".
"""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

from .base.arguments import shown
from .errors import UsageError
from .wire.json_types import check_type

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
RowT = TypeVar("RowT")
SummaryT = TypeVar("SummaryT")


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise UsageError(f"declaring a command: expected its name as a non-empty string, got {shown(name)}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"declaring a command: its name has no encoding: {shown(name)}") from None


def _check_types(command: Any, *fields: str) -> None:
    for field in fields:
        check_type(f"declaring the {field} type of {command.name}", getattr(command, field))


@dataclasses.dataclass(frozen=True)
class JsonCommand(Generic[RequestT, ResponseT]):
    """A command that answers one value.

    Args:
        name: The name under which the hosted code serves it.
        request: Type of the request: dataclass, msgspec Struct, TypedDict, NamedTuple, attrs class, pydantic model,
            or any annotation made of those and of plain JSON types. None takes any value with a JSON form.
        response: Type of the answer, likewise. None gives plain Python values.

    Raises:
        UsageError: The name is not a non-empty string, or a type cannot be read from JSON.
    """

    name: str
    request: type[RequestT] | Any = None
    response: type[ResponseT] | Any = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_types(self, "request", "response")


@dataclasses.dataclass(frozen=True)
class StreamingCommand(Generic[RequestT, RowT, SummaryT]):
    """A command that emits rows and ends with a summary.

    Args:
        name: The name under which the hosted code serves it.
        request: Type of the request, as for `JsonCommand`.
        row: Type of each row, likewise. None gives `DataRow` values (stream, sequence, payload, text); `bytes` gives
            the JSON text of each row, checked and not decoded.
        summary: Type of the summary's metadata, likewise. None gives plain Python values.

    Raises:
        UsageError: The name is not a non-empty string, or a type cannot be read from JSON.
    """

    name: str
    request: type[RequestT] | Any = None
    row: type[RowT] | Any = None
    summary: type[SummaryT] | Any = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_types(self, "request", "row", "summary")
