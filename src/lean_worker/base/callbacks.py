"""Checks of functions that callers give, and of their results.

A function that could never work is refused at the call that gives it.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, TypeVar

from ..errors import UsageError
from .arguments import shown
from .deferred import Deferred

if TYPE_CHECKING:
    import inspect
else:
    inspect = Deferred("inspect")  # a worker starts without it

_NOT_AWAITED = "Nothing would await it; a plain function can start a task, or put its arguments into a queue."
_NOT_ITERATED = "Nothing would iterate over it; remove the yield."

_GENERATOR = "a generator"

_T = TypeVar("_T")


def check_callable(
    doing: str, *given: str, is_awaited: bool = False, is_iterated: bool = False, **values: object
) -> None:
    """Accept functions that can be called with `given` arguments and whose body that call runs, and None.

    Args:
        doing: What is being done.
        *given: The names of the arguments that the functions will be called with, by position.
        is_awaited: Whether the caller awaits what they return: then they may be coroutine functions.
        is_iterated: Whether the caller iterates over what they return: then they may be generator functions.
        **values: The functions by the names of their arguments.

    Raises:
        UsageError: One of the values is no function, takes other arguments, or its body would never run.
    """
    call = f"({', '.join(given)})"
    for name, value in values.items():
        if value is None:
            continue
        if not callable(value):
            raise UsageError(
                f"{doing}: expected {name} as a function, got {shown(value)}",
                hint=f"Give a function that can be called as {name}{call}.",
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
        reason = _refusal(value, len(given))
        if reason is not None:
            raise UsageError(
                f"{doing}: expected {name} as a function that can be called as {name}{call}, got one that does not "
                f"take these arguments: {reason}",
                hint=f"Its parameters are by position: {', '.join(given) or 'none'}.",
            )


def _refusal(function: Callable[..., object], count: int) -> str | None:
    """Say why a function cannot be called with so many arguments; None if it can, or nobody knows."""
    try:
        signature = inspect.signature(function)
    except Exception:  # some that are written in C have none, and odd objects compute theirs
        return None
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return str(error)
    return None


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
