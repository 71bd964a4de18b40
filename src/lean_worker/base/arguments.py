"""Checks of arguments: a wrong call raises `UsageError` at the call.

Each check names the operation and the argument. It also refuses text and paths that the system cannot accept (with a
NUL, without an encoding, too long).
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import AsyncIterable, Iterable, KeysView, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any

from ..errors import UsageError

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


def check_kind(doing: str, name: str, value: object, kind: type | tuple[type, ...], *, hint: str | None = None) -> None:
    """Accept None, or an instance of `kind`; `hint` says what else to do, if it is not simply to give one.

    Raises:
        UsageError: Anything else.
    """
    if value is not None and not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(each.__name__ for each in kinds)
        raise UsageError(f"{doing}: expected {name} as {expected}, got {shown(value)}", hint=hint or _hint_for(kinds))


def check_method(doing: str, name: str, value: object, method: str) -> None:
    """Accept anything with a method of that name.

    Raises:
        UsageError: It has none.
    """
    if isinstance(value, type) or not callable(attribute_of(value, method)):
        raise UsageError(
            f"{doing}: expected {name} as something with a method {method}(), got {shown(value)}",
            hint=f"Give {_EXAMPLES.get(method, f'an object with a method {method}()')}.",
        )


def attribute_of(value: object, name: str) -> object:
    """An attribute, or None: what an object that is no such thing raises is no answer."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def check_flag(doing: str, **values: object) -> None:
    """Accept True and False.

    Raises:
        UsageError: Anything else, also a text such as "no", which counts as true.
    """
    for name, value in values.items():
        if value is not True and value is not False:
            raise UsageError(
                f"{doing}: expected {name} as True or False, got {shown(value)}",
                hint=f"Write {name}=True or {name}=False.",
            )


def check_choice(doing: str, name: str, value: object, choices: Sequence[str]) -> None:
    """Accept one of some words.

    Raises:
        UsageError: Anything else.
    """
    if not isinstance(value, str) or value not in choices:
        raise UsageError(
            f"{doing}: expected {name} as one of {', '.join(choices)}, got {shown(value)}",
            hint=f"Write {name}={choices[0]!r}, or another of these words.",
        )


def check_several(doing: str, name: str, value: object, what: str) -> None:
    """Accept an iterable of several things, `what`, that still has them.

    Raises:
        UsageError: It is one thing alone, a mapping, which would give its keys only, or a generator that has ended.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike)):
        raise UsageError(
            f"{doing}: expected {name} as several {what}, got one: {shown(value)}",
            hint=f"Put it into a list: {name}=[…].",
        )
    if isinstance(value, Mapping):
        raise UsageError(
            f"{doing}: expected {name} as several {what}, got a mapping: {shown(value)}",
            hint=f"Give list(….items()) for pairs, or a list of {what}, even of one.",
        )
    if isinstance(value, type) or not isinstance(value, Iterable):
        is_asynchronous = isinstance(value, AsyncIterable) and not isinstance(value, type)
        raise UsageError(
            f"{doing}: expected {name} as an iterable of {what}, got {shown(value)}",
            hint="Collect them first: [each async for each in …]."
            if is_asynchronous
            else f"Give a list of {what}, even of one.",
        )
    if isinstance(value, types.GeneratorType) and value.gi_frame is None:
        raise UsageError(
            f"{doing}: expected {name} as {what} to come, got a generator that has ended: {shown(value)}",
            hint="A generator gives its items once; make a new one, or keep a list.",
        )


def check_text(doing: str, name: str, value: object, *, is_empty_good: bool = False) -> None:
    """Accept text that can be handed to a program.

    Raises:
        UsageError: It is no str, empty, has a NUL, or has no encoding.
    """
    if not isinstance(value, str) or not (value or is_empty_good):
        raise UsageError(
            f"{doing}: expected {name} as a {'' if is_empty_good else 'non-empty '}string, got {shown(value)}",
            hint=f"Give {name} as text{'' if is_empty_good else ' that is not empty'}.",
        )
    _check_system_text(doing, name, value)


def check_unicode(doing: str, name: str, text: str) -> None:
    """Accept text that has a form in UTF-8.

    Raises:
        UsageError: It has a surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{doing}: expected {name} as Unicode text, got a surrogate at character {error.start}: "
            f"{shown(text[max(0, error.start - 20) : error.start + 20])}",
            hint="Remove the surrogates, as with text.encode(errors='replace').decode().",
        ) from None


def check_sent_text(doing: str, name: str, value: object, *, is_empty_good: bool = False) -> None:
    """Accept text that goes into a message to a worker, which is UTF-8.

    Raises:
        UsageError: As of `check_text`, or it has a surrogate.
    """
    check_text(doing, name, value, is_empty_good=is_empty_good)
    check_unicode(doing, name, str(value))


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
        UsageError: It is none, such as a set, which has no order, or one of them cannot be handed to a program.
    """
    what = "paths" if are_paths else "strings"
    is_one = isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike))
    # A set has no order, except for the views of a mapping; an array of NumPy has no truth.
    is_several = isinstance(value, (Sequence, KeysView, ValuesView)) or (are_paths and isinstance(value, AbstractSet))
    if is_one or isinstance(value, type) or not is_several:
        raise UsageError(
            f"{doing}: expected {name} as a sequence of {what}, got {shown(value)}",
            hint=f"Give a list, as in {_listed(value, is_split=not are_paths or name == 'argv')}."
            if isinstance(value, (str, os.PathLike))
            else f"Give a list of {what}{', in the order that counts' if isinstance(value, AbstractSet) else ''}.",
        )
    items: Iterable[object] = value  # type: ignore[assignment]
    for item in items:
        if are_paths and item is not None:
            check_path(doing, f"an item of {name}", item)
        else:
            check_text(doing, f"an item of {name}", item, is_empty_good=True)


def texts_of(argv: object) -> object:
    """Return the arguments of a program with paths as texts, which `check_items` takes; anything else as it is."""
    if isinstance(argv, (str, bytes, Mapping)) or not isinstance(argv, Sequence):
        return argv
    return [os.fspath(item) if isinstance(item, os.PathLike) else item for item in argv]


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
    if is_split and isinstance(value, str) and value.strip():
        import shlex  # no worker needs it

        with contextlib.suppress(ValueError):  # a quotation mark without another
            return shown(shlex.split(value))
    return f"[{shown(value)}]"


def _hint_for(kinds: tuple[type, ...]) -> str:
    names = [_NAMES.get(each) or (each.__name__ if each in _BUILT_IN else f"{_public_name(each)}(…)") for each in kinds]
    return f"Give {' or '.join(names)}, or leave it out."


def _public_name(kind: type) -> str:
    """The name of a class as users of the package write it: some stand in one of its modules."""
    package, _, rest = kind.__module__.partition(".")
    at_top = getattr(sys.modules.get(package), "__all__", ())
    return f"lw.{kind.__name__}" if kind.__name__ in at_top else f"lw.{rest.partition('.')[0]}.{kind.__name__}"


def shown(value: object) -> str:
    """`repr`, short enough for an error, on one line, and safe to print."""
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    if not text.isprintable():
        text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
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
