"""Compiled modules that hold no value of Lean's own language that Lean could have run while it made them.

Lean runs syntax that a file has computed where a constant has exactly the type `Lean.Syntax`, as the default of an
argument. However a text has come by such a constant, the module has it.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..base.patterns import compiled
from .verification.objects import BadModule, Image

MOST_CONSTANTS = 50_000
"""A module with more is not looked at, and counts as harmful."""
_AXIOM = 0
_KINDS = 8
_CONST, _APP = 4, 5
# Expressions that stand before what is meant, with the number of their fields and the place of that.
_AROUND = {7: (3, 2), 8: (4, 3), 10: (2, 1)}
_MOST_STEPS = 1000
_LEAN = "Lean"
_FOR_JSON = ("Json", "JsonNumber", "ToJson", "FromJson", "Name")
# What Lean makes of `:= by …`. No text that is compiled for this has such a name.
_DEFAULT = r"_auto(?:_[0-9]+|Param)"


def is_harmless(module: Path) -> bool:
    """Whether nothing in a module is a value of Lean's own language, or stands in Lean's own namespace.

    Args:
        module: The file that Lean has written.

    Raises:
        OSError: It cannot be read.
    """
    try:
        image = Image([module.read_bytes()])
        count = image.field_count(image.root)
        constants = image.array(image.fields(image.root, 0, count)[2])
        return len(constants) <= MOST_CONSTANTS and all(_is_harmless(image, each) for each in constants)
    except (BadModule, IndexError, struct.error):
        return False


def _is_harmless(image: Image, constant: int) -> bool:
    kind = image.tag(constant)
    if kind == _AXIOM or kind >= _KINDS:
        return False
    (body,) = image.fields(constant, kind, 1)
    common = image.fields(body, 0, image.field_count(body))[0]
    name_at, _, type_ = image.fields(common, 0, 3)
    name = _name(image, name_at)
    if name[:1] == [_LEAN]:
        return False
    result = _result(image, type_)
    if result[:1] != [_LEAN] or (result[1:2] and result[1] in _FOR_JSON):
        return True
    return result == [_LEAN, "Syntax"] and compiled(_DEFAULT).fullmatch(name[-1]) is not None


def _result(image: Image, expression: int) -> list[str]:
    """The constant at the head of what a type returns; [] if there is none."""
    for _ in range(_MOST_STEPS):
        kind = image.tag(expression)
        if kind in _AROUND:
            count, at = _AROUND[kind]
            expression = image.fields(expression, kind, count)[at]
        elif kind == _APP:
            expression = image.fields(expression, kind, 2)[0]
        elif kind == _CONST:
            return _name(image, image.fields(expression, kind, 2)[0])
        else:
            return []
    raise BadModule("a type with too many arguments")


def _name(image: Image, address: int) -> list[str]:
    """The parts of a name, without what Lean puts before a private one."""
    parts: list[str] = []
    for _ in range(_MOST_STEPS):
        if address == 1:
            parts.reverse()
            # `_private`, the parts of the module's name, 0.
            return parts[parts.index("0") + 1 :] if parts[:1] == ["_private"] and "0" in parts else parts
        kind = image.tag(address)
        address, part = image.fields(address, kind, 2)
        parts.append(image.string(part) if kind == 1 else str(image.natural(part)))
    raise BadModule("a name with too many parts")
