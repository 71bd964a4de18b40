"""Steps of a scripted worker, as values, and their JSON form on the way to the worker.

A script in JSON is a list of steps; each step is its name and its fields.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

from ..base.arguments import shown
from ..errors import UsageError
from ..events import Diagnostic, Progress
from ..wire.json_types import encode_value
from ..wire.unwritable import Unwritable

_NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Row(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        payload: Any value with a JSON form.
        stream: Name of its stream.
        sequence: None for the one that is due; another number makes a gap or a repetition.
    """

    payload: Any
    stream: str = "rows"
    sequence: _NotNegative | None = None


class Rows(msgspec.Struct, frozen=True):
    """Many rows, as fast as the caller takes them: `{"i": 0}`, `{"i": 1}`, …

    Attributes:
        count: How many; None for rows until the caller cancels.
        size_bytes: Length of a text "blob" that each row carries besides; 0 for none.
        stream: Name of their stream.
    """

    count: _NotNegative | None
    size_bytes: _NotNegative = 0
    stream: str = "rows"


class MalformedRow(msgspec.Struct, frozen=True):
    """A row whose payload is `text`, which is not checked to be JSON."""

    text: str = "{not json}"
    stream: str = "rows"


class Sleep(msgspec.Struct, frozen=True):
    """Do nothing for some seconds; a cancel is noticed by the next row, diagnostic or progress."""

    seconds: Annotated[float, msgspec.Meta(ge=0)]


class Gate(msgspec.Struct, frozen=True):
    """Do nothing until the test calls `FakeWorker.open_gate(name)`: a wait without a clock."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$", max_length=200)] = "gate"


class Receive(msgspec.Struct, frozen=True):
    """Wait for the next frame from the pool, and drop it. The first one after the handshake sets the frame limit."""


class Hang(msgspec.Struct, frozen=True):
    """Do nothing for ever, and ignore a cancel."""


class Crash(msgspec.Struct, frozen=True):
    """Die of a signal.

    Attributes:
        signal: Its name, such as "SIGSEGV".
    """

    signal: str = "SIGKILL"

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str) or not self.signal.startswith("SIG") or not hasattr(signal, self.signal):
            raise UsageError(
                f"scripting a crash: {shown(self.signal)} is not the name of a signal", hint='Give one as in "SIGSEGV".'
            )


class Exit(msgspec.Struct, frozen=True):
    """End the process with an exit code, even if a request is still running."""

    code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0


class StderrFlood(msgspec.Struct, frozen=True):
    """Write `size_bytes` bytes to standard error, in lines."""

    size_bytes: _NotNegative


class Print(msgspec.Struct, frozen=True):
    """A stray print of hosted code: `text` to descriptor 1, which in a worker is standard error."""

    text: str


class RawBytes(msgspec.Struct, frozen=True):
    """Bytes put into the protocol's pipe as they are, between frames."""

    data: bytes


class RawMessage(msgspec.Struct, frozen=True):
    """Any frame that is no row, as it may not be.

    Attributes:
        type: The message's type.
        body: Its body, any value with a JSON form.
        version: The protocol version that the frame names.
    """

    type: str
    body: Any
    version: int = 10


class Handshake(msgspec.Struct, frozen=True):
    """The worker's first frame. One is sent at the end of the start-up steps if none of them was one.

    Attributes:
        protocol_version: The version that it names.
        features: What it says it can do; without "cancel" a stopped request is killed instead of asked.
    """

    protocol_version: int = 10
    features: Sequence[str] = ("cancel",)


class Summary(msgspec.Struct, frozen=True):
    """The success of a stream. One is sent at the end of a stream's script if no step ended the request.

    Attributes:
        metadata: The command's own summary.
        total_rows: None for the truth.
        per_stream_counts: None for the truth.
        elapsed_us: How long the command says it ran, in microseconds.
    """

    metadata: Any = None
    total_rows: int | None = None
    per_stream_counts: Mapping[str, int] | None = None
    elapsed_us: int = 1000


class Answer(msgspec.Struct, frozen=True):
    """The success of a JSON command; `None` is answered at the end of its script if no step ended the request."""

    value: Any = None


class Fail(msgspec.Struct, frozen=True):
    """The hosted code's own failure.

    Attributes:
        code: Stable dotted name.
        message: Text for people.
        status: A number from 1 to 255 in the place of both, as compiled exports give it.
    """

    code: str = "test.failed"
    message: str = "failed as scripted"
    status: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None


if TYPE_CHECKING:
    _Step: TypeAlias = "Step"
else:
    _Step = Any  # of which it is a member itself


class Cut(msgspec.Struct, frozen=True):
    """Send a step's frame in two parts, and do something between them.

    Attributes:
        step: A step that sends.
        at_bytes: Length of the first part. A frame's first four bytes are its length.
        between: Steps between the parts.
    """

    step: _Step
    at_bytes: _NotNegative
    between: Sequence[_Step] = ()


class CloseOutput(msgspec.Struct, frozen=True):
    """Close the pipe that frames go into, and live on."""


class CloseInput(msgspec.Struct, frozen=True):
    """Close the pipe that requests come from, and live on."""


Step: TypeAlias = (
    Row
    | Rows
    | MalformedRow
    | Sleep
    | Gate
    | Receive
    | Hang
    | Crash
    | Exit
    | StderrFlood
    | Print
    | RawBytes
    | RawMessage
    | Handshake
    | Summary
    | Answer
    | Fail
    | Cut
    | CloseOutput
    | CloseInput
    | Diagnostic
    | Progress
)


class Attempts:
    """Another script each time it is played, over all workers of the fake: the first, the second, …; the last stays.

    Args:
        *scripts: One or more scripts.
    """

    def __init__(self, *scripts: Script) -> None:
        if not scripts:
            raise UsageError(
                "scripting a worker: Attempts needs one script or more", hint="Give the script of the first attempt."
            )
        self.scripts = scripts


class ByRequest:
    """Another script for another request.

    Args:
        *cases: Pairs of a request's value and the script for it; requests are compared as JSON values,
            numbers by their size: 1 is 1.0, and not true.
        otherwise: The script for every other request.
    """

    def __init__(self, *cases: tuple[Any, Script], otherwise: Script = ()) -> None:
        for case in cases:
            if not isinstance(case, tuple) or len(case) != 2:
                raise UsageError(
                    f"scripting a worker: expected each case as a pair of a request and a script, got {shown(case)}",
                    hint="Give ByRequest((request, [Row(1)]), otherwise=[…]).",
                )
        self.cases = cases
        self.otherwise = otherwise


Script: TypeAlias = "Sequence[Step] | Attempts | ByRequest"

_SENDING = (Row, MalformedRow, RawMessage, Handshake, Summary, Answer, Fail, Diagnostic, Progress)
_VALUES = {Row: ("payload",), RawMessage: ("body",), Summary: ("metadata",), Answer: ("value",)}
"""The fields that take any value with a JSON form."""
STEPS: dict[str, type[msgspec.Struct]] = {kind.__name__: kind for kind in Step.__args__}


class ScriptPlan:
    """Turns scripts into their JSON form; numbers the `Attempts` in them, each of which has a count of its own.

    Attributes:
        gates: Names of all gates in them.
    """

    def __init__(self) -> None:
        self._attempts = 0
        self.gates: set[str] = set()

    def of(self, script: Script, where: str) -> dict[str, Any]:
        """The JSON form of `script`.

        Raises:
            UsageError: Something in it is not a step, has a wrong value, or has no JSON form; `where` says of what.
        """
        if isinstance(script, Attempts):
            number, self._attempts = self._attempts, self._attempts + 1
            return {"attempts": [self.of(each, where) for each in script.scripts], "number": number}
        if isinstance(script, ByRequest):
            return {
                "cases": [[_request_form(value, where), self.of(each, where)] for value, each in script.cases],
                "otherwise": self.of(script.otherwise, where),
            }
        if isinstance(script, (str, bytes, Mapping)) or not isinstance(script, Sequence):
            raise UsageError(
                f"scripting {where}: expected a sequence of steps, Attempts or ByRequest, got {shown(script)}",
                hint="Give a list, as in [Row(1), Answer(2)].",
            )
        return {"steps": [self._step(step, where) for step in script]}

    def _step(self, step: object, where: str) -> list[Any]:
        form = _step_form(step, where)
        for each in [step, *getattr(step, "between", ())]:
            if isinstance(each, Gate):
                self.gates.add(each.name)
        return form


def _step_form(step: object, where: str) -> list[Any]:
    name = type(step).__name__
    if not isinstance(step, msgspec.Struct) or STEPS.get(name) is not type(step):
        raise UsageError(
            f"scripting {where}: {shown(step)} is not a step",
            hint=f"Steps are {', '.join(STEPS)}; see lean_worker.testing.",
        )
    try:
        _check_texts(step)
        parts: dict[str, Any] = {}
        if isinstance(step, Cut):
            if not isinstance(step.step, _SENDING):
                raise TypeError(f"{type(step.step).__name__} is not a step that sends")
            parts["step"] = _step_form(step.step, where)
            parts["between"] = [_step_form(each, where) for each in step.between]
            step = msgspec.structs.replace(step, step=None, between=())
        values = {field: _plain(getattr(step, field)) for field in _VALUES.get(type(step), ())}
        form = msgspec.to_builtins(msgspec.structs.replace(step, **values))
        msgspec.convert(form, type(step))
        encode_value(form)
    except (TypeError, ValueError, RecursionError) as error:
        is_field = isinstance(error, msgspec.ValidationError)
        raise UsageError(
            f"scripting {where}: {shown(step)} cannot be played: {error}",
            hint=f"Give {name} what lean_worker.testing says of it." if is_field else _hint_of(error),
        ) from error
    return [name, {**form, **parts}]


def _request_form(value: object, where: str) -> Any:
    try:
        return _plain(value)
    except (TypeError, ValueError, RecursionError) as error:
        text = f"scripting {where}: no request is {shown(value)}: {error}"
        raise UsageError(text, hint=_hint_of(error)) from error


def _plain(value: object) -> Any:
    """The value as a host of functions would send it, in plain Python values; refused where that refuses it."""
    return msgspec.json.decode(encode_value(value))


def _hint_of(error: Exception) -> str:
    return error.hint if isinstance(error, Unwritable) else "Give values with a JSON form."


def _check_texts(step: object) -> None:
    """Refuse bytes for text and text for bytes, which would be taken for base64.

    Raises:
        msgspec.ValidationError: There are some.
    """
    for field in msgspec.inspect.type_info(type(step)).fields:  # type: ignore[attr-defined]
        value = getattr(step, field.name)
        expected = (
            str
            if isinstance(field.type, msgspec.inspect.StrType)
            else bytes
            if isinstance(field.type, msgspec.inspect.BytesType)
            else object
        )
        if not isinstance(value, expected):
            kind = type(value).__name__
            raise msgspec.ValidationError(f"Expected `{expected.__name__}`, got `{kind}` - at `$.{field.name}`")
