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
_ARGUMENT = re.compile(r"\b(project|workspace|toolchain|build|timeout|env|sandbox|imports|arguments)=(?!\w)")
_OTHER_NAMES = {"imports": "import", "arguments": "arg"}


def in_options(hint: str) -> str:
    """Return a hint that names Python's arguments with the options that stand for them."""
    return _ARGUMENT.sub(lambda found: f"--{_OTHER_NAMES.get(found[1], found[1])}", hint)


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
