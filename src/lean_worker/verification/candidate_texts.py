"""The texts of a statement and of its candidates, from what the caller gave: paths, texts, proofs."""

from __future__ import annotations

import os
import stat

from ..base.arguments import check_path, check_unicode, shown
from ..base.call_places import CallPlaces
from ..checking.sources import told_name
from ..errors import UsageError
from .proof import Proof
from .readings import readings

MAX_REQUEST_BYTES = 1 << 27

Candidate = str | os.PathLike[str] | tuple[str, str] | Proof
"""A path, a pair of a name and the text of a whole file, or a `Proof`."""


def statement_text(statement: object, places: CallPlaces) -> str:
    """Return the text of the statement of `verify`: it has several lines, or is the path of a file.

    Raises:
        UsageError: It is neither, cannot be read, is not UTF-8, or is a file of more than `MAX_REQUEST_BYTES`.
    """
    if isinstance(statement, str) and "\n" in statement:
        check_unicode("verifying", "the statement", statement)
        return str.__str__(statement)
    if not isinstance(statement, (str, os.PathLike)):
        raise UsageError(
            f"verifying: expected the statement as a path or a text, got {shown(statement)}",
            hint="Give a pathlib.Path or a str with the path, or the text of the file.",
        )
    if isinstance(statement, str) and ":=" in statement:
        raise UsageError(
            f"verifying: expected the statement as a path, or as a text of several lines, got {shown(statement)}",
            hint="Begin the text with its header, or end it with a line break.",
        )
    check_path("verifying", "the statement", statement)
    name = os.fspath(statement)
    data, size_bytes = _read(name, "the statement", places)
    if len(data) > MAX_REQUEST_BYTES:
        raise UsageError(
            f"verifying: the statement {name} has {size_bytes} bytes; at most {MAX_REQUEST_BYTES} are read",
            hint="Put what it defines into modules, and import them.",
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"verifying: the statement {name} cannot be read: {error}", hint="Give a file that is encoded as UTF-8."
        ) from error


def _read(given: str, what: str, places: CallPlaces) -> tuple[bytes, int]:
    """The bytes of a file, up to one more than `MAX_REQUEST_BYTES`, and how many it has."""
    path = places.of(given)
    try:
        # A stranger's directory may hold a pipe or a device under any name: nothing is waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"verifying: {what} {given} is no file", hint="Give the path of a text file.")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_REQUEST_BYTES + 1)
            return data, max(found.st_size, len(data))  # it may grow meanwhile
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        name = shown(given) if "\n" in given else given
        hint = "A text is given as a Proof, or as a pair of its name and itself."
        if "\n" not in name and os.path.lexists(path):
            hint = "Look at the path and its permissions."
        raise UsageError(f"verifying: {what} {name} cannot be read: {error}", hint=hint) from error


def check_candidate(candidate: object) -> None:
    """Check the kind of one candidate, before any file is read.

    Raises:
        UsageError: It is no path, no `Proof`, and no pair of texts.
    """
    is_pair = isinstance(candidate, tuple)
    is_of_texts = is_pair and [isinstance(part, str) for part in candidate] == [True, True]  # type: ignore[attr-defined]
    if candidate is None or isinstance(candidate, list) or (is_pair and not is_of_texts):
        raise UsageError(
            f"verifying a candidate: expected a path, a Proof, or a name and a text, got {shown(candidate)}",
            hint="Give a path, or a pair of name and text, as a tuple.",
        )
    if not is_pair and not isinstance(candidate, Proof):
        check_path("verifying a candidate", "the candidate", candidate)


def texts_of(candidate: Candidate, statement: str, places: CallPlaces) -> tuple[str, list[str], str | None]:
    """The name of a candidate, the texts that it may have, and why its text is none that Lean can read.

    Raises:
        UsageError: It is no candidate, or its path is no file that can be read.
    """
    check_candidate(candidate)
    if isinstance(candidate, Proof):
        name, texts = candidate.name, readings(statement, candidate.text)
    elif isinstance(candidate, tuple):
        name, texts = str.__str__(candidate[0]), [str.__str__(candidate[1])]
    else:
        path = os.fspath(candidate)
        name = told_name(path)
        data, _ = _read(path, "the candidate", places)
        if len(data) > MAX_REQUEST_BYTES:
            return name, [""], f"its text has more than {MAX_REQUEST_BYTES} bytes"
        try:
            texts = [data.decode()]
        except UnicodeDecodeError as error:
            return name, [""], f"its text is not UTF-8: {error.reason} at byte {error.start}"
    try:
        texts[0].encode()
    except UnicodeEncodeError as error:
        return name, [""], f"its text is not Unicode: {error.reason} at character {error.start}"
    return name, texts, None
