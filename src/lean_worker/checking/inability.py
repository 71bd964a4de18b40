"""Reasons why a Lean cannot check a file, which say nothing of the file.

Lean reports them as errors of the file: a module that it does not find, a module file of another Lean, an option that
does not exist. Nothing here can tell a module that is not built, or is in a project that was not given, from a name
with an error in it; so a file with such an import is not called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..hosting.start_failure import explain
from .results import CheckMessage, CheckPosition

# Roots of the library of a full Lean, of which the embedded Lean has a part at most.
_LIBRARY = ("Init", "Std", "Lean", "Lake")
# Each is the beginning of Lean's text, so that no message of a file's own that quotes it is taken for it.
_BEGINNINGS = ("unknown module prefix ", "object file ", "failed to read file ", "failed to open file ")
_BAD_OPTION = re.compile(r"(?:error: )?invalid -D parameter, (.*)")
_UNKNOWN_OPTION = re.compile(r"unknown configuration option '([^']*)'")


class Inability(NamedTuple):
    """Facts about a header that failed.

    Attributes:
        cause: Why this Lean cannot check the file.
        hint: An action that can help.
        is_about_option: Whether an option is wrong, which the caller has given, or the project.
    """

    cause: str
    hint: str
    is_about_option: bool = False


def inability_of(text: str, *, is_embedded: bool) -> Inability | None:
    """Return the meaning of a text with which Lean ended before the first command of a file; None for any other text.

    Args:
        text: Lean's only error, or what it wrote instead of one.
        is_embedded: Whether the Lean is the embedded one.
    """
    option = _BAD_OPTION.match(text)
    if option is not None:
        return _inability_of_option(option.group(1))
    found = explain(text) if text.startswith(_BEGINNINGS) else None
    if found is None:
        return None
    module = found.facts.get("module", "")
    if found.reason == "missing" and is_embedded and module.split(".")[0] in _LIBRARY:
        return Inability(
            f"this Lean cannot check it: written for a full Lean; the embedded one has no module {module}",
            "Choose a toolchain with toolchain=, or start the file with `prelude` and `import LeanWorker`.",
        )
    return Inability(f"this Lean cannot check it: {found.text}", found.hint)


def inability_of_file(messages: Sequence[CheckMessage], output: str, *, is_embedded: bool) -> Inability | None:
    """Return why this Lean could not read the header of a file; None if it could, or said something else.

    Args:
        messages: All that Lean reported of the file.
        output: What it wrote otherwise.
        is_embedded: As of `inability_of`.
    """
    if not messages:
        return inability_of(output, is_embedded=is_embedded)
    if len(messages) > 1 or messages[0].severity != "error" or not _is_of_header(messages[0]):
        return None  # Lean elaborated the file; a command's own error can have the same words
    return inability_of(messages[0].data, is_embedded=is_embedded)


def _is_of_header(message: CheckMessage) -> bool:
    """Whether Lean reported it before the first command: what it says of imports has no end, of options no place."""
    return message.end is None or (message.position == CheckPosition(1, 0) and message.data.startswith("invalid -D "))


def _inability_of_option(words: str) -> Inability:
    unknown = _UNKNOWN_OPTION.search(words)
    if unknown is None:
        return Inability(f"this Lean cannot check it: {words}", "Correct the option's value.", True)
    name = unknown.group(1)
    return Inability(
        f"this Lean cannot check it: with the imports of this file, there is no option {name}",
        f"Correct the option's name, import the module that declares it, or call it weak.{name}, which files without "
        "it ignore.",
        True,
    )
