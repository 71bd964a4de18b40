"""Groups of options that several commands share.

A command takes a group as one parameter, whose type is a dataclass; on the command line each field is an option.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import UsageError

_T = TypeVar("_T")
_MAY_BE_EMPTY = ("--arg", "--version")
_ARGUMENT = re.compile(
    r"\b(project|workspace|toolchain|build|timeout|env|sandbox|imports|arguments|jobs|options|max_deaths|out)"
    r"=(?:(…)|(\d+)\b|(?!\w))"
)
_OTHER_NAMES = {"imports": "import", "arguments": "arg", "options": "option", "max_deaths": "max-deaths"}
_WORDS = {
    "Give a str or a pathlib.Path.": "Give a path that is not empty.",
    "; None means no limit.": ".",
    "lw.Pool(max_workers=2)": "--workers 2",
    "an int, as in": "a whole number, as in",
    "kill_above_kib=": "--kill-above-mib",
}


def in_options(hint: str) -> str:
    """Return a hint that names Python's arguments with the options that stand for them."""
    for ours, theirs in _WORDS.items():
        hint = hint.replace(ours, theirs)
    return _ARGUMENT.sub(_as_option, hint)


def _as_option(found: re.Match[str]) -> str:
    name = f"--{_OTHER_NAMES.get(found[1], found[1])}"
    return f"{name} {found[2] or found[3]}" if found[2] or found[3] else name


def refuse_empty(command: str, arguments: Sequence[str]) -> None:
    """Refuse empty texts for files, directories and names: a variable of the shell that was not set is one.

    Raises:
        UsageError: There is one.
    """
    before = ""
    for argument in arguments:
        name, sign, value = argument.partition("=")
        is_empty_option = bool(sign) and not value and name.startswith("--") and name not in _MAY_BE_EMPTY
        if (not argument and before not in _MAY_BE_EMPTY) or is_empty_option:
            what = f"for {name or before}" if is_empty_option or before.startswith("-") else "as an argument"
            raise UsageError(
                f"reading the arguments of {command}: expected a text {what}, got an empty one",
                hint="A variable of the shell that is not set gives one.",
            )
        before = argument


def named_values(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """Return the values of an option that is given as NAME=VALUE, by name.

    Raises:
        UsageError: A text has no name or no sign; the hint shows `example`.
    """
    pairs = [text.partition("=") for text in texts]
    for text, (name, sign, _) in zip(texts, pairs, strict=True):
        if not name or not sign:
            raise UsageError(
                f"reading {option}: expected NAME=VALUE, got {text!r}", hint=f"For example {option} {example}."
            )
    return {name: value for name, _, value in pairs}


def grouped(command: Callable[..., _T]) -> Callable[..., _T]:
    """Return a command that has the fields of its groups as parameters of its own, at the groups' places."""
    hints = typing.get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[Any, tuple[str, ...]]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind))
            continue
        field_hints = typing.get_type_hints(kind, include_extras=True)
        fields = dataclasses.fields(kind)
        groups[name] = (kind, tuple(field.name for field in fields))
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field_hints[field.name]
            )
            for field in fields
        ]

    @functools.wraps(command)
    def run(**values: Any) -> _T:
        for name, (kind, fields) in groups.items():
            values[name] = kind(**{field: values.pop(field) for field in fields})
        return command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
