"""Places of rows: a file of their own, a range of a part file that many small items share, or a range of the output.

A ledger names a place in one text: `NAME.jsonl`, `NAME.stream.jsonl` or `NAME.parquet` for a whole file,
`NAME.jsonl:NUMBER:OFFSET` for a range of a shared part file, and `NAME.out:NUMBER:OFFSET` for a range of an output.
NAME has 24 hexadecimal digits. The item's size is the length of the range. NUMBER counts the items of a file, so that
no two items have the same place and places of one file sort in the order of their ranges.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..base.forks import Descriptor
from ..base.process_lock import is_named
from ..sinks.parts import Directory, refusal, storing

SMALL_BYTES = 1 << 16
"""Most bytes of an item whose rows go to a shared part file."""
PACK_BYTES = 1 << 26
"""Bytes after which a shared part file is full and another one begins."""

_NAME = "[0-9a-f]" * 24
_RANGE = ":" + "[0-9]" * 9 + ":" + "[0-9]" * 15
PLACE_GLOBS = (
    f"{_NAME}.jsonl{_RANGE}",
    f"{_NAME}.out{_RANGE}",
    f"{_NAME}.jsonl",
    f"{_NAME}.stream.jsonl",
    f"{_NAME}.parquet",
)
"""Patterns of all places, as SQLite's GLOB reads them; those that large jobs have first."""
RANGE_END = ";"
"""The character after the colon: `name + RANGE_END` sorts behind all ranges of a file."""


class Place(NamedTuple):
    """A place of rows.

    Attributes:
        file: Name of the file.
        offset: Where the range begins; None for the whole file.
    """

    file: str
    offset: int | None

    @property
    def is_output(self) -> bool:
        """Whether it is a range of an output."""
        return self.file.endswith(".out")


def place_of(part: str) -> Place:
    """Read the text of a place."""
    file, _, rest = part.partition(":")
    return Place(file, int(rest.rpartition(":")[2]) if rest else None)


def text_of(file: str, number: int, offset: int) -> str:
    """Return the text of a range."""
    return f"{file}:{number:09}:{offset:015}"


def new_name(ending: str) -> str:
    """Return a new name for a file of rows."""
    return f"{secrets.token_hex(12)}.{ending}"


class OpenPack:
    """The shared part file to which a ledger adds rows at the moment. One thread uses it.

    Args:
        folder: Where it is made, once there are rows for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Descriptor | None = None
        self._name = ""
        self._number = 0
        self._size_bytes = 0

    def add(self, contents: Sequence[bytes]) -> list[str]:
        """Write the rows of some items, sync them to the disk, and return their places.

        Nothing that was written before changes. After a failure the file is not used again.

        Raises:
            SinkError: They cannot be written, or somebody else changed the file.
        """
        try:
            with storing("writing", self._folder / self._name):
                return self._add(contents)
        except BaseException:
            self.close()
            raise

    def _add(self, contents: Sequence[bytes]) -> list[str]:
        with Directory(self._folder) as directory:
            is_new = self._file is None or self._size_bytes >= PACK_BYTES
            if is_new:
                self._begin(directory)
            file = self._file
            assert file is not None
            places = []
            offset = self._size_bytes
            for content in contents:
                places.append(text_of(self._name, self._number, offset))
                self._number += 1
                offset += len(content)
            self._check(file, directory)
            block = memoryview(b"".join(contents))
            while block:
                block = block[os.write(file.fd, block) :]
            os.fsync(file.fd)
            self._size_bytes = offset
            self._check(file, directory)
            if is_new:
                directory.sync()
        return places

    def _begin(self, directory: Directory) -> None:
        self.close()
        name = new_name("jsonl")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = Descriptor(os.open, name, flags, 0o666, dir_fd=directory.fd)
        self._name, self._number, self._size_bytes = name, 0, 0

    def _check(self, file: Descriptor, directory: Directory) -> None:
        found = os.fstat(file.fd).st_size
        if found != self._size_bytes or not is_named(file.fd, self._name, directory.fd):
            why = (
                f"it has {found} bytes and not the {self._size_bytes} that were written, or another name: somebody "
                "else changed it meanwhile"
            )
            hint = "Find out which program changes files there, and run the job again."
            raise refusal("writing", self._folder / self._name, why, hint)

    def close(self) -> None:
        """Close the file; legal twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
