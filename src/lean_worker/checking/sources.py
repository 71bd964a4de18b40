"""The files that `check` is given: paths and texts, and how a request and a verdict name them.

Owns what a path means to another process, and what is no file. `files` decides which are checked, and when.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ..base.arguments import check_path, check_unicode, shown
from ..base.call_places import CallPlaces
from ..errors import UsageError
from ..wire.file_messages import FileToCheck

HINT_SNIPPETS = "A text is a pair of a name and itself; give a list of pairs, even of one: [(name, text)]."

# Names there, such as /dev/stdin, mean other files in other processes.
_OF_THIS_PROCESS = ("/dev/", "/proc/")
_MOST_LINKS = 40

Source = str | os.PathLike[str] | tuple[str, str]
"""A path, or a pair of a name and a text."""


def check_source(source: object) -> None:
    """Check the kind of one of the files, before any is read.

    Raises:
        UsageError: It is no path, and no pair of Unicode texts.
    """
    if isinstance(source, tuple):
        if len(source) != 2 or not all(isinstance(part, str) for part in source):
            raise UsageError(
                f"checking a snippet: expected a name and a text, got {shown(source)}",
                hint="Give a path, or a pair of name and text, as a tuple.",
            )
        check_unicode("checking a snippet", "its name", source[0])
        check_unicode(f"checking {shown(source[0])}", "its text", source[1])
        return
    if source is None or isinstance(source, list):
        raise UsageError(
            f"checking files: expected a path, or a name and a text, got {shown(source)}",
            hint="Give a path, or a pair of name and text, as a tuple.",
        )
    check_path("checking files", "a file", source)


def request_of(source: Source, places: CallPlaces, template: FileToCheck) -> FileToCheck:
    """Return the request for one of the files: of a path if Lean can read the file by itself, else of its text.

    Args:
        source: The file.
        places: What its path meant when the caller named it.
        template: What all requests have in common.

    Raises:
        UsageError: It is none, there is no such file, or it cannot be looked at.
    """
    check_source(source)
    if isinstance(source, tuple):
        name, text = map(str.__str__, source)
        return msgspec.structs.replace(template, name=name, arguments=["--stdin"], text=text)
    name = str.__str__(os.fspath(source))
    path = Path(places.of(name))
    try:
        is_file = path.is_file()
    except PermissionError as error:
        hint = "Look at the permissions of the directories above it."
        raise UsageError(f"checking {name}: it cannot be looked at: {error.strerror}", hint=hint) from error
    except OSError:  # too long for a name, such as a text would be
        is_file = False
    if not is_file:
        if os.path.isdir(path):
            hint = f"Give the files in it, as in Path({name!r}).rglob('*.lean')."
            raise UsageError(f"checking {name}: expected a file, got a directory", hint=hint)
        raise UsageError(f"checking {name}: there is no such file", hint=HINT_SNIPPETS)
    place = os.path.abspath(path)
    if not _has_utf8(place) or _is_of_this_process(place):
        # Requests are JSON, and Lean takes no other names: the text is sent instead of the path.
        told = told_name(name)
        return msgspec.structs.replace(template, name=told, arguments=["--stdin"], text=_text_of(path, told))
    return msgspec.structs.replace(template, name=name, arguments=[str(path)])


def told_name(name: str) -> str:
    """Return how a verdict tells the name of a file, which may be no Unicode."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_of_this_process(place: str) -> bool:
    """Whether a path, or a link that it follows, has another meaning in another process."""
    for _ in range(_MOST_LINKS):
        place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        if place.startswith(_OF_THIS_PROCESS):
            return True
        if not os.path.islink(place):
            return False
        place = os.path.join(os.path.dirname(place), os.readlink(place))
    return False


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_of(path: Path, told: str) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"checking {told}: it cannot be read as UTF-8 text: {error}", hint="Look at the file and its permissions."
        ) from error
