"""Commands: a name, and the types of its request and its answer.

Commands hold no connection, compare by value, and can be shared by threads and processes. `None` for a type means "any
JSON value".
"""

# The types of `self` below say what a command gives when types are left out; the checkers agree on what they mean.
# pyright: reportInvalidTypeVarUse=false

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .base.arguments import check_kind, shown
from .errors import UsageError
from .events import DataRow
from .results import Collected
from .results import RowT as RowT
from .results import SummaryT as SummaryT
from .wire.json_types import check_request_type, check_type
from .wire.requests import EncodedRequest, check_given, encode_request
from .wire.row_types import RowTypes, check_row_types

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ValueT = TypeVar("ValueT")


def _exact_name(name: object) -> str:
    """Return the name of a command as a plain str, also for a class derived from it, such as an Enum's or NumPy's.

    Raises:
        UsageError: It is no text, empty, or has no encoding.
    """
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"declaring a command: expected its name as a non-empty string, got {shown(name)}",
            hint="The name comes first, as in lw.JsonCommand('count').",
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"declaring a command: its name has no encoding: {shown(name)}", hint="Use a name without surrogates."
        ) from None
    return str.__str__(name)


def _check_types(command: Any, *fields: str) -> None:
    for field in fields:
        check = check_request_type if field == "request" else check_type
        check(f"declaring the {field} type of {command.name}", getattr(command, field))


class Command(Generic[RequestT, ValueT]):
    """A command of either kind; `Pool.map` runs it for many requests, and each outcome has a value of its type.

    That value is the response of a `JsonCommand`, and the `Collected` rows of a `StreamingCommand`.
    """

    name: str


@dataclasses.dataclass(frozen=True)
class JsonCommand(Command[RequestT, ResponseT]):
    """A command that answers one value.

    Args:
        name: The name under which the hosted code serves it.
        request: Type of the request: dataclass, msgspec Struct, TypedDict, NamedTuple, attrs class, pydantic model,
            or any annotation made of those and of plain JSON types. None takes any value with a JSON form.
        response: Type of the answer, likewise. None gives plain Python values.

    Raises:
        UsageError: The name is not a non-empty string, a type cannot be read from JSON, or the request type has a
            pydantic model with a field that is written under another name than it is read.
    """

    name: str
    request: type[RequestT] | Any = None
    response: type[ResponseT] | Any = None

    if TYPE_CHECKING:
        # A type that is no class, such as `list[A] | None` or a Literal, is Any to mypy: say `JsonCommand[…]` at the
        # name then. One overload for each way to leave types out, the more exact first.

        @overload
        def __init__(
            self: JsonCommand[RequestT, ResponseT], name: str, request: type[RequestT], response: type[ResponseT]
        ) -> None: ...

        @overload
        def __init__(
            self: JsonCommand[RequestT, Any], name: str, request: type[RequestT], response: Any = None
        ) -> None: ...

        @overload
        def __init__(self: JsonCommand[Any, ResponseT], name: str, request: Any, response: type[ResponseT]) -> None: ...

        @overload
        def __init__(
            self: JsonCommand[Any, ResponseT], name: str, request: Any = None, *, response: type[ResponseT]
        ) -> None: ...

        @overload
        def __init__(self: JsonCommand[Any, Any], name: str, request: Any = None, response: Any = None) -> None: ...

        def __init__(self, name: str, request: Any = None, response: Any = None) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _exact_name(self.name))
        _check_types(self, "request", "response")


@dataclasses.dataclass(frozen=True)
class StreamingCommand(Command[RequestT, Collected[RowT, SummaryT]], Generic[RequestT, RowT, SummaryT]):
    """A command that emits rows and ends with a summary.

    Args:
        name: The name under which the hosted code serves it.
        request: Type of the request, as for `JsonCommand`.
        row: Type of each row, likewise. None gives `DataRow` values (stream, sequence, payload, text); `bytes` gives
            the JSON text of each row, checked and not decoded. A mapping such as `{"declarations": A, "edges": B}`
            gives each stream its own type; a row on another stream raises `DecodeError`.
        summary: Type of the summary's metadata, likewise. None gives plain Python values.

    Raises:
        UsageError: The name is not a non-empty string, a type cannot be read from JSON, or `row` is a mapping that is
            empty or has other keys than names of streams.
    """

    name: str
    request: type[RequestT] | Any = None
    row: type[RowT] | Any = None
    summary: type[SummaryT] | Any = None

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: StreamingCommand[RequestT, RowT, SummaryT],
            name: str,
            request: type[RequestT],
            row: type[RowT],
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, RowT, Any],
            name: str,
            request: type[RequestT],
            row: type[RowT],
            summary: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, DataRow, SummaryT],
            name: str,
            request: type[RequestT],
            row: None,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, DataRow, SummaryT],
            name: str,
            request: type[RequestT],
            *,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, DataRow, Any],
            name: str,
            request: type[RequestT],
            row: None = None,
            summary: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, Any, SummaryT],
            name: str,
            request: type[RequestT],
            row: Any,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[RequestT, Any, Any],
            name: str,
            request: type[RequestT],
            row: Any,
            summary: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, RowT, SummaryT],
            name: str,
            request: Any,
            row: type[RowT],
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, RowT, Any], name: str, request: Any, row: type[RowT], summary: Any = None
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, RowT, SummaryT],
            name: str,
            request: Any = None,
            *,
            row: type[RowT],
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, RowT, Any],
            name: str,
            request: Any = None,
            *,
            row: type[RowT],
            summary: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, DataRow, SummaryT],
            name: str,
            request: Any,
            row: None,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, DataRow, SummaryT],
            name: str,
            request: Any = None,
            *,
            row: None = None,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, DataRow, Any],
            name: str,
            request: Any = None,
            row: None = None,
            summary: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, Any, SummaryT], name: str, request: Any, row: Any, summary: type[SummaryT]
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, Any, SummaryT],
            name: str,
            request: Any = None,
            *,
            row: Any,
            summary: type[SummaryT],
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, Any, Any], name: str, request: Any = None, *, row: Any, summary: Any = None
        ) -> None: ...

        @overload
        def __init__(
            self: StreamingCommand[Any, Any, Any], name: str, request: Any = None, row: Any = None, summary: Any = None
        ) -> None: ...

        def __init__(self, name: str, request: Any = None, row: Any = None, summary: Any = None) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _exact_name(self.name))
        if isinstance(self.row, Mapping):
            check_row_types(self.name, self.row)
            if not isinstance(self.row, RowTypes):
                object.__setattr__(self, "row", RowTypes(self.row))
            _check_types(self, "request", "summary")
        else:
            _check_types(self, "request", "row", "summary")


_OTHER_METHODS: dict[type, str] = {
    JsonCommand: "It emits rows: run it with collect, run or stream.",
    StreamingCommand: "It answers one value: run it with call.",
}


def _name_shown(command: object) -> str:
    return shown(command) if isinstance(command, str) and command else "name"


def check_request(command: Command[Any, Any], request: object) -> None:
    """Refuse a missing request, before anything is started for it.

    Raises:
        UsageError: The request is None, and the command's type of requests has no None.
    """
    check_given(getattr(command, "request", None), request, command.name)


def encoded(command: Command[Any, Any], request: object) -> Any:
    """Return a request that a lease sends as it is, after all checks that need no worker.

    Raises:
        DecodeError, UsageError: As `encode_request`.
    """
    return EncodedRequest(encode_request(getattr(command, "request", None), request, command.name))


def check_command(command: object, kind: type) -> None:
    """Refuse what is no command of that kind.

    Raises:
        UsageError: It is none.
    """
    is_other = isinstance(command, Command)
    hint = _OTHER_METHODS[kind] if is_other else f"Declare it: lw.{kind.__name__}({_name_shown(command)})."
    check_kind("running a command", "command", command, kind, hint=hint)
    if command is None:
        raise UsageError(
            f"running a command: expected command as {kind.__name__}, got None",
            hint=f"Declare it: lw.{kind.__name__}(name).",
        )
