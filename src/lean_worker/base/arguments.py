"""Checks of arguments: a wrong call raises `UsageError` at the call.

Each check names the operation and the argument. It also refuses text and paths that the system cannot accept (with a
NUL, without an encoding, too long).
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from .deferred import Deferred

if TYPE_CHECKING:
    import inspect
else:
    inspect = Deferred("inspect")  # a worker starts without it

_LONGEST_PATH = 4096
_LONGEST_NAME = 255
_BUILT_IN = (str, bytes, int, float, bool, list, tuple, dict)
_NAMES: dict[Any, str] = {Mapping: "a dict"}
_EXAMPLES = {
    "launch": "lw.LeanCapability('Extract.lean') or lw.PythonCapability('module:COMMANDS')",
    "snapshot": "an open lw.Pool",
    "stream_many": "an open lw.Pool",
}

_QUOTED_CHARACTERS = 300

_NOT_AWAITED = "Nothing would await it; a plain function can start a task, or put its arguments into a queue."
_NOT_ITERATED = "Nothing would iterate over it; remove the yield."

_GENERATOR = "a generator"

_T = TypeVar("_T")


def check_kind(doing: str, name: str, value: object, kind: type | tuple[type, ...], *, hint: str | None = None) -> None:
    """Accept None, or an instance of `kind`; `hint` says what else to do, if it is not simply to give one.

    Raises:
        UsageError: Anything else.
    """
    if value is not None and not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(each.__name__ for each in kinds)
        raise UsageError(f"{doing}: expected {name} as {expected}, got {shown(value)}", hint=hint or _hint_for(kinds))


def check_callable(doing: str, *, is_awaited: bool = False, is_iterated: bool = False, **values: object) -> None:
    """Accept functions whose body a call runs, and None.

    Args:
        doing: What is being done.
        is_awaited: Whether the caller awaits what they return: then they may be coroutine functions.
        is_iterated: Whether the caller iterates over what they return: then they may be generator functions.
        **values: The functions by the names of their arguments.

    Raises:
        UsageError: One of the values is no function, or its body would never run.
    """
    for name, value in values.items():
        if value is None:
            continue
        if not callable(value):
            raise UsageError(
                f"{doing}: expected {name} as a function, got {shown(value)}",
                hint=f"Give a function, as in {name}=print.",
            )
        kind = _kind_of_function(value)
        if (kind == "a coroutine function" and not is_awaited) or kind == "an asynchronous generator function":
            raise UsageError(
                f"{doing}: expected {name} as a plain function, got {kind}",
                hint=_NOT_AWAITED,
            )
        if kind == "a generator function" and not is_iterated:
            raise UsageError(
                f"{doing}: expected {name} as a plain function, got {kind}",
                hint=_NOT_ITERATED,
            )


def _kind_of_function(function: object) -> str | None:
    """Name a kind of function whose call alone runs nothing of its body; None for all others."""
    while isinstance(function, functools.partial):
        function = function.func
    for each in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(each):
            return "a coroutine function"
        if inspect.isasyncgenfunction(each):
            return "an asynchronous generator function"
        if inspect.isgeneratorfunction(each):
            return "a generator function"
    return None


def result_of(name: str, result: _T, *, is_iterated: bool = False) -> _T:
    """Return what the caller's function `name` returned, unless its body has not run.

    `check_callable` cannot see that in a lambda that calls a coroutine function. Callers that make a call for each row
    ask only about results other than None.

    Args:
        name: The name of the argument that is the function.
        result: The value that it returned.
        is_iterated: Whether the caller iterates over the result: then it may be a generator.

    Raises:
        UsageError: The result is a coroutine or a generator; it is closed.
    """
    kind = _never_runs(type(result))  # type: ignore[arg-type]
    if kind is None or (is_iterated and kind == _GENERATOR):
        return result
    close = getattr(result, "close", None)  # else Python warns that nothing awaited it
    if close is not None:
        close()
    raise UsageError(
        f"calling {name}: expected a plain function, got one that returns {kind}",
        hint=_NOT_ITERATED if kind == _GENERATOR else _NOT_AWAITED,
    )


@functools.lru_cache(maxsize=512)
def _never_runs(kind: type) -> str | None:
    """Name a kind of result whose body runs only when it is awaited or iterated over; None for all others."""
    if issubclass(kind, Coroutine):
        return "a coroutine"
    if issubclass(kind, AsyncGenerator):
        return "an asynchronous generator"
    return _GENERATOR if issubclass(kind, Generator) else None


def check_method(doing: str, name: str, value: object, method: str) -> None:
    """Accept anything with a method of that name.

    Raises:
        UsageError: It has none.
    """
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        raise UsageError(
            f"{doing}: expected {name} as something with a method {method}(), got {shown(value)}",
            hint=f"Give {_EXAMPLES.get(method, f'an object with a method {method}()')}.",
        )


def check_text(doing: str, name: str, value: object, *, is_empty_good: bool = False) -> None:
    """Accept text that can be handed to a program.

    Raises:
        UsageError: It is no str, empty, has a NUL, or has no encoding.
    """
    if not isinstance(value, str) or not (value or is_empty_good):
        raise UsageError(
            f"{doing}: expected {name} as a non-empty string, got {shown(value)}",
            hint=f"Give {name} as text that is not empty.",
        )
    _check_system_text(doing, name, value)


def check_path(doing: str, name: str, value: object) -> None:
    """Accept None, and a path that the system can take.

    Raises:
        UsageError: It is no str and no `os.PathLike` of one, empty, has a NUL, or has no encoding.
    """
    if value is None:
        return
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str) or not path:
        raise UsageError(
            f"{doing}: expected {name} as a path, got {shown(value)}", hint="Give a str or a pathlib.Path."
        )
    _check_system_text(doing, name, path)
    if len(os.fsencode(path)) >= _LONGEST_PATH or any(
        len(part) > _LONGEST_NAME for part in os.fsencode(path).split(b"/")
    ):
        raise UsageError(f"{doing}: {name} is longer than a path can be: {shown(path)}", hint="Use a shorter path.")


def check_items(doing: str, name: str, value: object, *, are_paths: bool = False) -> None:
    """Accept a sequence of texts or, if `are_paths`, of paths; not one alone.

    Raises:
        UsageError: It is none, or one of them cannot be handed to a program.
    """
    what = "paths" if are_paths else "strings"
    if isinstance(value, (str, bytes, os.PathLike, Mapping)) or not hasattr(value, "__len__"):
        raise UsageError(
            f"{doing}: expected {name} as a sequence of {what}, got {shown(value)}",
            hint=f"Give a list, as in {_listed(value, is_split=not are_paths or name == 'argv')}."
            if isinstance(value, (str, os.PathLike))
            else f"Give a list of {what}.",
        )
    items: Iterable[object] = value  # type: ignore[assignment]
    for item in items:
        if are_paths and item is not None:
            check_path(doing, f"an item of {name}", item)
        else:
            check_text(doing, f"an item of {name}", item, is_empty_good=True)


def check_environment(doing: str, value: object) -> None:
    """Accept a mapping from names of environment variables to texts.

    Raises:
        UsageError: It is none, or the system cannot take one of its items.
    """
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{doing}: expected env as a mapping from names to strings, got {shown(value)}",
            hint="Give a dict, as in env={'NAME': 'value'}.",
        )
    for name, text in value.items():
        check_text(doing, "the name of an environment variable", name)
        if "=" in name:
            raise UsageError(
                f"{doing}: expected the name of an environment variable without =, got {shown(name)}",
                hint="Give the name as the key, and the text as the value.",
            )
        check_text(doing, f"the environment variable {name}", text, is_empty_good=True)


def _listed(value: object, is_split: bool) -> str:
    """A list of a text, or of its words as a shell splits them."""
    try:
        return (
            shown(shlex.split(value)) if is_split and isinstance(value, str) and value.strip() else f"[{shown(value)}]"
        )
    except ValueError:  # a quotation mark without another
        return f"[{shown(value)}]"


def _hint_for(kinds: tuple[type, ...]) -> str:
    names = [_NAMES.get(each) or (each.__name__ if each in _BUILT_IN else f"lw.{each.__name__}(…)") for each in kinds]
    return f"Give {' or '.join(names)}, or leave it out."


def shown(value: object) -> str:
    """`repr`, short enough for an error and safe to print."""
    try:
        text: Any = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:199]}…"


def _check_system_text(doing: str, name: str, text: str) -> None:
    if "\0" in text:
        raise UsageError(f"{doing}: expected {name} without a NUL, got {shown(text)}", hint="Remove the character \\0.")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(
            f"{doing}: {name} has no encoding: {shown(text)}",
            hint="Remove the surrogates, as with text.encode(errors='replace').decode().",
        ) from None


def shortened(text: str) -> str:
    """The beginning of a text that a peer chose: an error's own text stays short, whatever was sent."""
    return text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
