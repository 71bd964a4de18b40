"""Journals: the files that decide a commit of several parts.

Each directory of a commit has its own journal, which names only files of that directory. The journal of one directory,
the commit's home, decides. The others point to it, and it points back to them.

    lean-worker commit 2 DIGEST
    {"group":…,"directory":…,"home":…,"others":[…],"actions":[…]}

DIGEST is the SHA-256 of the second line. Names of files are percent-encoded, so that any name can be written.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from ..base.forks import Descriptor
from ..base.trusted_files import why_untrusted
from ..errors import RecoveryError
from .parts import PART_NAME, Directory, PartFile, journal_name, storing

JOURNAL_NAME = re.compile(r"\.lw(?P<group>[0-9a-f]{16})\.commit")
_MAGIC = b"lean-worker commit 2 "
_LARGEST_BYTES = 1 << 26


class RenameRecord(msgspec.Struct, frozen=True, tag="rename", forbid_unknown_fields=True):
    """The file `part` gets the name `target`, both encoded; size and time of change are those of the part."""

    part: str
    target: str
    size_bytes: int
    mtime_ns: int


class TableRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `name` of the database `part`; `replace` says what becomes of rows that are there."""

    part: str
    name: str
    replace: bool
    rows: int
    size_bytes: int
    mtime_ns: int


class MergeRecord(msgspec.Struct, frozen=True, tag="merge", forbid_unknown_fields=True):
    """Tables are copied into the database `target` in one transaction."""

    target: str
    tables: list[TableRecord]


Record = RenameRecord | MergeRecord


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory's share in a commit.

    Attributes:
        group: The commit's name.
        directory: Path of the journal's own directory, encoded like the others.
        home: Path of the directory whose journal decides.
        others: Paths of the other directories with a journal; only in the journal that decides.
        actions: The commit's actions in this directory.
    """

    group: str
    directory: str
    home: str
    others: list[str] = []
    actions: list[Record] = []


def encoded(name: str | Path) -> str:
    """A file's name, or a path, as a journal has it."""
    return quote_from_bytes(os.fsencode(name))


def decoded(text: str) -> str:
    """The name, or the path, that `encoded` encoded."""
    return os.fsdecode(unquote_to_bytes(text))


def write_journal(path: Path, journal: Journal) -> PartFile:
    """Write a journal durably under the name `path`; its lock is held until the part that is returned is closed.

    Raises:
        OSError, SinkError: It is not there.
    """
    text = msgspec.json.encode(journal)
    part = PartFile(path, journal.group, 0, mode=0o600)
    try:
        part.write(_MAGIC + hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        part.finish(part.size_bytes)
        os.rename(part.name, path.name, src_dir_fd=part.directory.fd, dst_dir_fd=part.directory.fd)
        part.check_arrived()
        part.directory.sync()
    except BaseException:
        part.discard()
        raise
    return part


def read_journal(directory: Directory, group: str) -> Journal | None:
    """The journal of a commit in a directory; None if it has none.

    Raises:
        RecoveryError: It is damaged, or somebody else could have written it.
        SinkError: It cannot be read.
    """
    path = directory.path / journal_name(group)
    with storing("recovering", path):
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened = Descriptor(os.open, path.name, flags, dir_fd=directory.fd)
        except FileNotFoundError:
            return None
        except OSError:
            found = directory.look(path.name)
            why = None if found is None else why_untrusted(found)  # such as a link, or a file of another user
            if why is None:
                raise
            raise untrusted(path, why) from None
        with opened:
            why = why_untrusted(os.fstat(opened.fd))
            if why is not None:
                raise untrusted(path, why)
            with open(opened.fd, "rb", closefd=False) as file:
                text = file.read(_LARGEST_BYTES)
    journal = _decode(text, path)
    why = _why_wrong(journal, group)
    if why is not None:
        raise damaged(directory, group, why)
    return journal


def _decode(text: bytes, path: Path) -> Journal:
    head, _, body = text.partition(b"\n")
    if not head.startswith(_MAGIC):
        raise damaged_at(path, "it does not begin as a journal of this release")
    if head[len(_MAGIC) :] != hashlib.sha256(body).hexdigest().encode():
        raise damaged_at(path, f"its {len(body)} bytes do not have its digest; it was cut or changed")
    try:
        return msgspec.json.decode(body, type=Journal)
    except (msgspec.DecodeError, RecursionError) as error:
        raise damaged_at(path, str(error)) from error


def _why_wrong(journal: Journal, group: str) -> str | None:
    """Tell why a journal names what it must not name; None if it does not."""
    if journal.group != group:
        return f"it is of the commit {journal.group!r}"
    for path in (journal.directory, journal.home, *journal.others):
        text = decoded(path)
        if "\0" in text or not os.path.isabs(text) or os.path.normpath(text) != text:
            return f"{text!r} is no absolute path of a directory"
    if journal.others and journal.home != journal.directory:
        return "it points to other directories, and is not the one that decides"
    for action in journal.actions:
        if not _is_bare(decoded(action.target)):
            return f"the target {decoded(action.target)!r} is no name in its own directory"
        parts = action.tables if isinstance(action, MergeRecord) else [action]
        for part in parts:
            match = PART_NAME.fullmatch(decoded(part.part))
            if match is None or match["group"] != group:
                return f"{decoded(part.part)!r} is no part of its commit"
    return None


def _is_bare(name: str) -> bool:
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")


# -- errors --


def _removal(path: Path) -> str:
    return f"rm {shlex.quote(str(path))}"


def untrusted(path: Path, why: str) -> RecoveryError:
    """The error for a journal that somebody else could have written."""
    return _error(path, "untrusted", f"somebody else could have written it: {why}", "Remove it if it is not yours.", ())


def damaged_at(path: Path, why: str) -> RecoveryError:
    """The error for a journal that is damaged."""
    hint = (
        f"The files that it should finish have their old or their new rows, each wholly. Accept that: {_removal(path)}"
    )
    return _error(path, "damaged", why, hint, ())


def damaged(directory: Directory, group: str, why: str) -> RecoveryError:
    """The error for a journal that cannot be what we wrote."""
    return damaged_at(directory.path / journal_name(group), why)


def incomplete(path: Path, why: str, targets: tuple[str, ...]) -> RecoveryError:
    """The error for a commit of which all is done that can be done."""
    hint = (
        f"Each sink that is opened there tries again. If this keeps failing, accept the present files: {_removal(path)}"
    )
    return _error(path, "incomplete", why, hint, targets)


def _error(path: Path, reason: str, why: str, hint: str, targets: tuple[str, ...]) -> RecoveryError:
    return RecoveryError(
        f"recovering by {path}: {why}",
        hint=hint,
        path=str(path),
        doing="recovering",
        reason=reason,
        targets=targets,
        errno=None,
        is_decided=reason != "untrusted",
    )
