"""Finds the declarations of a compiled module that have `sorryAx` in them.

That constant stands wherever Lean has put `sorry`, or gone on after an error. A file can silence the message about
either; it cannot make a module with that constant and without its name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..wire.file_messages import ModuleFindings
from .compiled_module import NoModule, parts_in
from .verification import wire
from .verification.export import export
from .verification.objects import MAX_IMAGE_BYTES, BadModule

_SORRY = "sorryAx"
_MOST_NAMES = 5
_MOST_NAME_PARTS = 32
_MOST_NAME_LETTERS = 200
# Less than what the parent allows beside a file's own time.
_READING_SECONDS = 20.0
_OF_EXPRESSIONS = (wire.APP, wire.LAM, wire.FORALL, wire.LET)


def search(directory: str | None) -> ModuleFindings:
    """Look through the module that Lean has compiled, after it has ended with exit code 0.

    Args:
        directory: The directory that it has written into; None if there is none.
    """
    if directory is None:
        return ModuleFindings(is_missing=True)
    try:
        parts = [data for _, data in parts_in(directory, MAX_IMAGE_BYTES)]
        # Nearly always all: whatever has the constant has its name. Comments, texts and macros can have it too.
        if not any(_SORRY.encode() in part for part in parts):
            return ModuleFindings()
        found = _declarations(parts, time.monotonic() + _READING_SECONDS)
    except NoModule:
        return ModuleFindings(is_missing=True)
    except (BadModule, OSError) as error:
        return ModuleFindings(unreadable=str(error))
    return ModuleFindings(with_sorry=found[:_MOST_NAMES], more=max(0, len(found) - _MOST_NAMES))


def _declarations(parts: Sequence[bytes], deadline: float) -> list[str]:
    names: list[tuple[int, str | int]] = [(0, "")]
    sorries: set[int] = set()
    has_sorry = bytearray()
    found: list[int] = []
    for row in export(parts, deadline):
        for name in row.names:
            if name == (0, _SORRY):
                sorries.add(len(names))
            names.append(name)
        for kind, *facts in row.expressions:
            if kind in _OF_EXPRESSIONS:
                has_sorry.append(any(has_sorry[number] for number in facts))
            elif kind == wire.PROJ:
                has_sorry.append(has_sorry[facts[2]])
            else:
                has_sorry.append(kind == wire.CONST and facts[0] in sorries)
        for constant in row.constants:
            terms = [constant.type, *(rule.value for rule in constant.rules)]
            if constant.value is not None:
                terms.append(constant.value)
            if any(has_sorry[number] for number in terms):
                found.append(constant.name)
    return sorted(_shown(names, number) for number in found)


def _shown(names: Sequence[tuple[int, str | int]], number: int) -> str:
    """A name as its author knows it, and not longer than anybody reads."""
    parts: list[str | int] = []
    while number and len(parts) < _MOST_NAME_PARTS:
        number, part = names[number]
        parts.insert(0, part)
    if parts[:1] == ["_private"] and 0 in parts:  # the module's name follows, and 0
        parts = parts[parts.index(0) + 1 :]
    if "_@" in parts[1:]:  # a macro's mark follows
        parts = parts[: parts.index("_@", 1)]
    return ".".join(map(str, parts))[:_MOST_NAME_LETTERS]
