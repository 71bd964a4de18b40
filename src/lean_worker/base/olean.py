"""Reader for compiled module files (`.olean` and its parts): the Lean that wrote each, and its imports.

The file format: a header, and a graph of objects. The first word after the header, or the last word of the file, names
the root. Nothing is loaded into Lean, because Lean trusts these files: a truncated file kills it, and modules that
import each other keep it busy for ever.

A module of the module system has up to five files. Lean loads every one that it finds (`PARTS`); each may refer to
objects of the files before it.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from .interrupts import Holder

PARTS = (".olean.server", ".olean.private", ".ir.sig", ".ir")
"""The files beside a module's `.olean` that Lean loads if they exist, in its order."""

_MAGIC = b"olean"
_LEAST_BYTES = 96
_HEADER_BYTES = 128
_NAME_TAG_STRING, _NAME_TAG_NUMBER = 1, 2
_CONSTRUCTOR_TAG_LIMIT, _ARRAY_TAG, _STRING_TAG = 244, 246, 249
_MAX_IMPORTS = 100_000
# The imports are the first objects of a file, its root is the last.
_BLOCK_BITS = 14
_BLOCK_BYTES = 1 << _BLOCK_BITS
_FIRST_BYTES = 4096
_ADDRESS_SPACE = 1 << 40

_WORD = struct.Struct("<Q")
_TWO_WORDS = struct.Struct("<QQ")
_OBJECT = struct.Struct("<iHBB")
_FIELD = struct.Struct("<iHBBQ")
_NAME = struct.Struct("<iHBBQQ")
_TEXT = struct.Struct("<iHBBQ")
_TEXT_BYTES = 32


class BadModuleFile(ValueError):
    """The file is not a complete `.olean`; the text names the problem."""


class UnknownFormat(BadModuleFile):
    """The module file has an unknown format, of another Lean."""


@dataclasses.dataclass(frozen=True)
class Header:
    """Header of a module file: the Lean that wrote it.

    Attributes:
        version: The version of the program that wrote the file, such as "4.35.0"; "" in files of Lean before 4.14,
            which hold the commit only. Modules that come with Lean have the version of the compiler stage that built
            them, which differs from Lean's own.
        commit: The commit that Lean was built from; "" or zeros for a build that does not record it.
        base_address: Where the file wants to be in memory.
        size_bytes: Length of the header.
        form: The form of the file: the number of the header's layout, and flags such as the kind of big numbers. Lean
            refuses a file of another form than its own.
    """

    version: str
    commit: str
    base_address: int
    size_bytes: int
    form: tuple[int, int] = (2, 1)

    @property
    def has_commit(self) -> bool:
        """Whether the commit is known."""
        return bool(self.commit.strip("0"))


@dataclasses.dataclass(frozen=True)
class Module:
    """A module's `.olean`.

    Attributes:
        header: Its header.
        imports: The modules that it imports, in order.
        size_bytes: Its length.
    """

    header: Header
    imports: tuple[str, ...]
    size_bytes: int


def read_header(file: Path) -> Header:
    """Return the header of `file`.

    Raises:
        BadModuleFile: It is not a module file.
        UnknownFormat: Its format is unknown.
        OSError: It cannot be read.
    """
    with _opened(str(file)) as opened:
        return header_of(os.pread(opened.fd, _HEADER_BYTES, 0))


def read_imports(file: Path) -> list[str]:
    """Return the modules that a module file imports, in order.

    Raises:
        BadModuleFile: It is damaged.
        OSError: It cannot be read.
    """
    return list(read_module(str(file)).imports)


def _opened(file: str) -> Holder:
    """Open a file that may be anything, such as a FIFO, which would let its reader wait."""
    opened = Holder(os.open, file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(opened.fd).st_mode):
        raise BadModuleFile("it is no regular file")
    return opened


def read_module(file: str) -> Module:
    """Read header and imports of an `.olean`, opening it once.

    Raises:
        BadModuleFile: It is damaged.
        UnknownFormat: Its format is unknown.
        OSError: It cannot be read.
    """
    with _opened(file) as opened:
        try:
            objects = _Objects(opened.fd, ())
            return Module(objects.header, tuple(objects.imports()), objects.size)
        except (struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
            raise BadModuleFile(f"it is cut short or damaged: {error}") from error


def read_part(file: str, before: Sequence[tuple[Header, int]]) -> tuple[Header, int]:
    """Read the header of another file of a module, and look whether the file is whole.

    Args:
        file: The part's path.
        before: Header and length in bytes of those files of the module that Lean loads together with this one, and
            before it.

    Returns:
        Its header and its length in bytes.

    Raises:
        BadModuleFile: It is damaged.
        UnknownFormat: Its format is unknown.
        OSError: It cannot be read.
    """
    with _opened(file) as opened:
        try:
            objects = _Objects(opened.fd, [(header.base_address, size) for header, size in before])
            objects.check_root()
            return objects.header, objects.size
        except (struct.error, IndexError) as error:
            raise BadModuleFile(f"it is cut short or damaged: {error}") from error


class Finder:
    """Module search as in Lean: a module is below the first directory that contains its first name.

    Args:
        search_path: The directories, in Lean's order.
    """

    def __init__(self, search_path: Sequence[Path]) -> None:
        self._search_path = search_path
        self._homes: dict[str, str | None] = {}

    def find(self, module: str) -> str | None:
        """The module's file, which need not exist; None if no directory has its first name."""
        first = module.partition(".")[0]
        if first not in self._homes:
            self._homes[first] = next((str(place) for place in self._search_path if _has(place, first)), None)
        home = self._homes[first]
        return None if home is None else f"{home}/{module.replace('.', '/')}.olean"


def _has(directory: Path, first: str) -> bool:
    return (directory / f"{first}.olean").is_file() or (directory / first).is_dir()


def header_of(data: bytes) -> Header:
    """Return the header in the first bytes of a module file.

    Raises:
        BadModuleFile: They are not those of a module file.
        UnknownFormat: Its format is unknown.
    """
    if data[:5] != _MAGIC:
        raise BadModuleFile(f"it is no module file: it starts with {data[:8]!r}")
    if len(data) < _LEAST_BYTES:
        raise BadModuleFile(f"it is cut short: it has {len(data)} bytes")
    layout = data[5]
    if layout == 2:
        version, commit, size_bytes, flags = data[7:40], data[40:80], 88, data[6]
    elif layout == 1:
        version, commit, size_bytes, flags = b"", data[6:48], 56, 0
    else:
        raise UnknownFormat(f"it is of the unknown format {layout}")
    (base_address,) = _WORD.unpack_from(data, size_bytes - 8)
    return Header(_text(version), _text(commit), base_address, size_bytes, (layout, flags))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


class _Objects:
    """The objects of one open file, by address. Reads the few blocks of the file that are asked for."""

    def __init__(self, descriptor: int, before: Sequence[tuple[int, int]]) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._before = before
        self._head = os.pread(descriptor, _FIRST_BYTES, 0)
        if self.size < _LEAST_BYTES and self._head[:5] == _MAGIC:
            raise BadModuleFile(f"it is cut short: it has {self.size} bytes")
        self.header = header_of(self._head)
        self._base = self.header.base_address
        self._first = self.header.size_bytes
        self._blocks: dict[int, bytes] = {}
        self._names: dict[int, str] = {}

    def imports(self) -> Iterator[str]:
        """The first field of the root is the array of imports; the first field of an import is the module's name."""
        root = self._root()
        (array,) = self._fields(root, 1)
        self._check_end(root)
        offset, tag, _ = self._object(array)
        if tag != _ARRAY_TAG:
            raise BadModuleFile(f"the list of imports is an object of kind {tag}")
        (count,) = _WORD.unpack(self._bytes(offset + 8, 8))
        if count > _MAX_IMPORTS:
            raise BadModuleFile(f"it imports {count} modules")
        head, base, first = self._head, self._base, self._first
        last = len(head) - _FIELD.size
        for entry in struct.unpack(f"<{count}Q", self._bytes(offset + 24, 8 * count)):
            at = entry - base
            if first <= at <= last and not entry & 7:
                _, _, others, tag, name = _FIELD.unpack_from(head, at)
                if others and tag <= _CONSTRUCTOR_TAG_LIMIT:
                    yield self._names.get(name) or self._name(name)
                    continue
            (name,) = self._fields(entry, 1)
            yield self._name(name)

    def check_root(self) -> None:
        """Look whether the root is whole; it is the last object of a file, or one of a file before.

        Raises:
            BadModuleFile: It is not.
        """
        root = self._root()
        if any(base < root < base + size for base, size in self._before):
            return
        self._fields(root, 1)
        self._check_end(root)

    def _check_end(self, root: int) -> None:
        """Raise if the file ends before its root does, which is its last object."""
        offset = root - self._base
        _, size, others, _ = _OBJECT.unpack(self._bytes(offset, 8))
        if offset + max(8 + 8 * others, size) > self.size:
            raise BadModuleFile(f"it is cut short: its last object ends after its {self.size} bytes")

    def _root(self) -> int:
        # Newer files name it in the first word, where older ones have an object's header, which is never an address.
        (first,) = _WORD.unpack_from(self._head, self._first)
        lowest = min([self._base, *(base for base, _ in self._before)])
        if first & 7 == 0 and lowest < first < self._base + _ADDRESS_SPACE:
            return int(first)
        (last,) = _WORD.unpack(self._bytes(self.size - 8, 8))
        return int(last)

    def _bytes(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on."""
        end = offset + count
        if end <= len(self._head):
            return self._head[offset:end]
        if end > self.size:
            raise BadModuleFile(f"it is cut short: it has {self.size} bytes, and refers to its byte {end}")
        index = offset >> _BLOCK_BITS
        if end > (index + 1) << _BLOCK_BITS:
            return os.pread(self._descriptor, count, offset)
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = os.pread(self._descriptor, _BLOCK_BYTES, index << _BLOCK_BITS)
        start = offset - (index << _BLOCK_BITS)
        return block[start : start + count]

    def _object(self, address: int) -> tuple[int, int, int]:
        offset = address - self._base
        if address & 7 or not self._first <= offset <= self.size - 16:
            raise BadModuleFile(f"it refers to {address:#x}, outside of itself")
        _, _, others, tag = _OBJECT.unpack(self._bytes(offset, 8))
        return offset, tag, others

    def _fields(self, address: int, count: int) -> tuple[int, ...]:
        offset, tag, others = self._object(address)
        if tag > _CONSTRUCTOR_TAG_LIMIT or others < count:
            raise BadModuleFile(f"an object of kind {tag} with {others} fields stands where a structure should")
        return struct.unpack(f"<{count}Q", self._bytes(offset + 8, 8 * count))

    def _name(self, address: int) -> str:
        if address & 1:
            return ""
        known = self._names.get(address)
        if known is not None:
            return known
        read = self._name_in_head(address)
        if read is None:
            read = self._name_anywhere(address)
        prefix_address, text = read
        # A name is shorter than the file; one that refers to itself would never end.
        self._names[address] = ""
        prefix = self._name(prefix_address)
        self._names[address] = f"{prefix}.{text}" if prefix else text
        return self._names[address]

    def _name_in_head(self, address: int) -> tuple[int, str] | None:
        """Prefix and last part of a name in the first bytes of the file, where nearly all are; None for any other."""
        head, base = self._head, self._base
        offset = address - base
        if not self._first <= offset <= len(head) - _NAME.size or address & 7:
            return None
        _, _, others, tag, prefix_address, part = _NAME.unpack_from(head, offset)
        at = part - base
        if tag != _NAME_TAG_STRING or others < 2 or part & 7 or not self._first <= at <= len(head) - _TEXT_BYTES:
            return None
        _, _, _, tag, size = _TEXT.unpack_from(head, at)
        end = at + _TEXT_BYTES + size - 1
        if tag != _STRING_TAG or not size or end > len(head):
            return None
        return prefix_address, head[at + _TEXT_BYTES : end].decode()

    def _name_anywhere(self, address: int) -> tuple[int, str]:
        offset, tag, others = self._object(address)
        if others < 2:
            raise BadModuleFile(f"an object of kind {tag} with {others} fields stands where a name should")
        prefix_address, part = _TWO_WORDS.unpack(self._bytes(offset + 8, 16))
        if tag == _NAME_TAG_STRING:
            return prefix_address, self._string(part)
        if tag == _NAME_TAG_NUMBER and part & 1:
            return prefix_address, str(part >> 1)
        raise BadModuleFile(f"an object of kind {tag} stands where a name should")

    def _string(self, address: int) -> str:
        offset, tag, _ = self._object(address)
        if tag != _STRING_TAG:
            raise BadModuleFile(f"an object of kind {tag} stands where a text should")
        (size,) = _WORD.unpack(self._bytes(offset + 8, 8))
        if not 0 < size <= self.size:
            raise BadModuleFile(f"a text has {size} bytes")
        return self._bytes(offset + _TEXT_BYTES, size - 1).decode()
