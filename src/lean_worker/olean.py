"""What a compiled module file (`.olean`) says of itself: which Lean wrote it, and which modules it imports.

Owns the few facts of the file format that this needs: a header, and a graph of objects whose root is named by the first
word after it, or by the last word of the file. Nothing is loaded into Lean, which trusts such a file blindly: a
file that is cut short kills it, and modules that import each other keep it busy for ever.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

_MAGIC = b"olean"
_NAME_TAG_STRING, _NAME_TAG_NUMBER = 1, 2
_CONSTRUCTOR_TAG_LIMIT, _ARRAY_TAG, _STRING_TAG = 244, 246, 249
_MAX_IMPORTS = 100_000


class BadModuleFile(ValueError):
    """The file is no whole `.olean`; the text says what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Header:
    """Who wrote a module file.

    Attributes:
        version: Lean's version, such as "4.35.0"; "" in files of Lean before 4.13, which hold the commit only.
        commit: The commit that Lean was built from.
        base_address: Where the file wants to be in memory.
        size_bytes: Length of the header.
    """

    version: str
    commit: str
    base_address: int
    size_bytes: int


def read_header(file: Path) -> Header:
    """Who wrote `file`.

    Raises:
        BadModuleFile: It is no module file, or of an unknown format.
        OSError: It cannot be read.
    """
    with file.open("rb") as stream:
        return _header_of(stream.read(128))


def read_imports(file: Path) -> list[str]:
    """The modules that a module file imports, in order.

    Raises:
        BadModuleFile: It is damaged.
        OSError: It cannot be read.
    """
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size < 96:
            raise BadModuleFile(f"{file} is cut short: it has {size} bytes")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return list(_Objects(data, _header_of(data[:128])).imports())
            except (struct.error, IndexError, UnicodeDecodeError) as error:
                raise BadModuleFile(f"{file} is cut short or damaged: {error}") from error


def find(module: str, search_path: Sequence[Path]) -> Path | None:
    """Where Lean looks for a module: below the first directory that has its first name; None if none has."""
    first, *rest = module.split(".")
    for directory in search_path:
        if (directory / f"{first}.olean").is_file() or (directory / first).is_dir():
            return directory.joinpath(first, *rest).with_name((rest or [first])[-1] + ".olean")
    return None


def _header_of(data: bytes) -> Header:
    if data[:5] != _MAGIC:
        raise BadModuleFile(f"it is no module file: it starts with {data[:8]!r}")
    if len(data) < 96:
        raise BadModuleFile(f"it is cut short: it has {len(data)} bytes")
    if data[5] == 2:
        version, commit, size_bytes = data[7:40], data[40:80], 88
    elif data[5] == 1:
        version, commit, size_bytes = b"", data[6:48], 56
    else:
        raise BadModuleFile(f"it is of the unknown format {data[5]}")
    base_address: int = struct.unpack_from("<Q", data, size_bytes - 8)[0]
    return Header(_text(version), _text(commit), base_address, size_bytes)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


class _Objects:
    """The objects of one file, by address."""

    def __init__(self, data: mmap.mmap, header: Header) -> None:
        self._data = data
        self._base = header.base_address
        self._first = header.size_bytes
        self._names: dict[int, str] = {}

    def imports(self) -> Iterator[str]:
        """The first field of the root is the array of imports; the first field of an import is the module's name."""
        (array,) = self._fields(self._root(), 1)
        offset, tag, _ = self._object(array)
        if tag != _ARRAY_TAG:
            raise BadModuleFile(f"the list of imports is an object of kind {tag}")
        (count,) = struct.unpack_from("<Q", self._data, offset + 8)
        if count > _MAX_IMPORTS:
            raise BadModuleFile(f"it imports {count} modules")
        for entry in struct.unpack_from(f"<{count}Q", self._data, offset + 24):
            (name,) = self._fields(entry, 1)
            yield self._name(name)

    def _root(self) -> int:
        # Newer files name it in the first word, where older ones have an object's header, which is never an address.
        (first,) = struct.unpack_from("<Q", self._data, self._first)
        if first & 7 == 0 and self._base < first < self._base + (1 << 40):
            return int(first)
        (last,) = struct.unpack_from("<Q", self._data, len(self._data) - 8)
        return int(last)

    def _object(self, address: int) -> tuple[int, int, int]:
        offset = address - self._base
        if address & 7 or not self._first <= offset <= len(self._data) - 16:
            raise BadModuleFile(f"it refers to {address:#x}, outside of itself")
        _, _, others, tag = struct.unpack_from("<iHBB", self._data, offset)
        return offset, tag, others

    def _fields(self, address: int, count: int) -> tuple[int, ...]:
        offset, tag, others = self._object(address)
        if tag > _CONSTRUCTOR_TAG_LIMIT or others < count:
            raise BadModuleFile(f"an object of kind {tag} with {others} fields stands where a structure should")
        return struct.unpack_from(f"<{count}Q", self._data, offset + 8)

    def _name(self, address: int) -> str:
        if address & 1:
            return ""
        known = self._names.get(address)
        if known is not None:
            return known
        _, tag, _ = self._object(address)
        prefix_address, part = self._fields(address, 2)
        # A name is shorter than the file; one that refers to itself would never end.
        self._names[address] = ""
        prefix = self._name(prefix_address)
        if tag == _NAME_TAG_STRING:
            text = self._string(part)
        elif tag == _NAME_TAG_NUMBER and part & 1:
            text = str(part >> 1)
        else:
            raise BadModuleFile(f"an object of kind {tag} stands where a name should")
        self._names[address] = f"{prefix}.{text}" if prefix else text
        return self._names[address]

    def _string(self, address: int) -> str:
        offset, tag, _ = self._object(address)
        if tag != _STRING_TAG:
            raise BadModuleFile(f"an object of kind {tag} stands where a text should")
        (size,) = struct.unpack_from("<Q", self._data, offset + 8)
        return bytes(self._data[offset + 32 : offset + 32 + size - 1]).decode()
