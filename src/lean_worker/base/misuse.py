"""Bases of objects that are easily taken for others: using them in the other way raises `UsageError`, which says how.

Python itself would raise `TypeError` or `AttributeError`, which names neither the way that is right nor its twin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ..errors import UsageError

_SET_FIRST = ("_core", "_event", "_owner")
_ELSEWHERE = "Give the other process the capability and the command, and let it make a lw.Pool of its own."
_HINTS = {"CancelToken": "Pass on this very token; another process needs a token of its own."}


class Unique:
    """Base of objects that stand for something running: they are neither copied nor sent to other processes."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            if name in _SET_FIRST:
                raise UsageError(
                    f"using {kind}: its base was not initialised",
                    hint="Call super().__init__() first in the __init__ of the subclass.",
                )
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")

        def __reduce_ex__(self, protocol: int) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"copying or pickling {name}: it stands for something in this process",
                hint=_HINTS.get(name, _ELSEWHERE),
            )


class Blocking(Unique):
    """Base of objects for `with` and `for`; their twins for asyncio are other objects."""

    __slots__ = ()

    if not TYPE_CHECKING:  # so that checkers still refuse it

        def __aenter__(self) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"entering {name}: it is for `with`, got `async with`",
                hint="Write `with`; lw.AsyncPool and what it makes are for asyncio.",
            )

        def __aexit__(self, *_: object) -> NoReturn:
            raise AssertionError("it was never entered")


class BlockingIterator(Blocking):
    """Base of objects for `for` too."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __aiter__(self) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"iterating over {name}: it is for `for`, got `async for`",
                hint="Write `for`; lw.AsyncPool and what it makes are for asyncio.",
            )


class Asynchronous(Unique):
    """Base of objects for `async with`."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"entering {name}: it is for `async with`, got `with`",
                hint="Write `async with`; lw.Pool and what it makes are for threads.",
            )

        def __exit__(self, *_: object) -> NoReturn:
            raise AssertionError("it was never entered")


class AsynchronousIterator(Asynchronous):
    """Base of objects for `async for` too."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"iterating over {name}: it is for `async for`, got `for`",
                hint="Write `async for`; lw.Pool and what it makes are for threads.",
            )

        def __await__(self) -> NoReturn:
            name = type(self).__name__
            raise UsageError(
                f"awaiting {name}: it is for `async for` or `async with`, got `await`",
                hint="Write `async for … in …`, without await.",
            )


def check_made(value: object, kind: type | tuple[type, ...], name: str, how: str) -> None:
    """Refuse to make something by its class that only this package can make.

    Raises:
        UsageError: `value`, which only this package has, is no `kind`.
    """
    if not isinstance(value, kind):
        raise UsageError(f"making a {name}: it is made by the package, got {type(value).__name__}", hint=how)
