"""Reads Lean objects out of the bytes of a compiled module, without loading Lean.

The bytes come from strangers: each reference, size and tag is checked before it is used, and words that Lean only
caches in objects (hashes, flags, numbers of loose variables) are never looked at. Being plain Python, a mistake here
raises an exception and cannot touch memory that is not its own. Layouts are those of Lean 4's runtime (`lean.h`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAX_IMAGE_BYTES = 1 << 28
_HEADER_BYTES = 88
_BASE_AT = 80
_FORMAT = 2
_ARRAY, _STRING, _BIG_NATURAL = 246, 249, 250
_OBJECT = struct.Struct("<iHBB")
_WORD = struct.Struct("<Q")
_BIG = struct.Struct("<iiQ")


class BadModule(ValueError):
    """The bytes are not those of a compiled module that can be read."""


class Image:
    """The objects of one compiled module.

    Args:
        parts: The contents of its files: `X.olean`, then, for a file of the module system, `X.olean.server` and
            `X.olean.private`. Later parts refer to objects of earlier ones.

    Raises:
        BadModule: A part has no header of this format, or the parts lie too far apart.
    """

    def __init__(self, parts: Sequence[bytes]) -> None:
        bases = []
        for part in parts:
            if len(part) < _HEADER_BYTES + 8 or part[:5] != b"olean" or part[5] != _FORMAT:
                raise BadModule("not a compiled module of format 2")
            bases.append(_WORD.unpack_from(part, _BASE_AT)[0])
        self.base = min(bases, default=0)
        span = max((base + len(part) for base, part in zip(bases, parts, strict=True)), default=0) - self.base
        if not parts or span > MAX_IMAGE_BYTES:
            raise BadModule(f"its parts span {span} bytes; at most {MAX_IMAGE_BYTES} are read")
        if len(parts) == 1:
            self.data: bytes | bytearray = parts[0]
        else:
            self.data = bytearray(span)
            for base, part in zip(bases, parts, strict=True):
                self.data[base - self.base : base - self.base + len(part)] = part
        self.size = len(self.data)
        (self.root,) = _WORD.unpack_from(parts[-1], _HEADER_BYTES)

    def _at(self, address: int) -> tuple[int, int, int]:
        """Offset, tag and number of fields of the object at an address."""
        at = address - self.base
        if address & 7 or not 0 <= at <= self.size - 8:
            raise BadModule(f"a reference to {address:#x}, where there is no object")
        _, _, fields, tag = _OBJECT.unpack_from(self.data, at)
        return at, tag, fields

    def tag(self, address: int) -> int:
        """Number of the constructor; the value itself for one without fields."""
        return address >> 1 if address & 1 else self._at(address)[1]

    def fields(self, address: int, tag: int, count: int) -> tuple[int, ...]:
        """The fields of a constructor that has to be number `tag` with `count` fields."""
        at, found, fields = self._at(address)
        if found != tag or fields != count or at + 8 + 8 * count > self.size:
            raise BadModule(f"constructor {found} with {fields} fields where {tag} with {count} belongs")
        return struct.unpack_from(f"<{count}Q", self.data, at + 8)

    def field_count(self, address: int) -> int:
        """The number of fields of a constructor."""
        return self._at(address)[2]

    def byte(self, address: int, offset: int) -> int:
        """One byte of a constructor's numbers; `offset` counts from its first field."""
        at = self._at(address)[0] + 8 + offset
        if at >= self.size:
            raise BadModule("an object reaches past the end")
        return self.data[at]

    def word32(self, address: int, offset: int) -> int:
        """Four bytes of a constructor's numbers."""
        return sum(self.byte(address, offset + i) << (8 * i) for i in range(4))

    def array(self, address: int) -> tuple[int, ...]:
        """The elements of an array."""
        at, tag, _ = self._at(address)
        if tag != _ARRAY or at + 24 > self.size:
            raise BadModule("no array where one belongs")
        (count,) = _WORD.unpack_from(self.data, at + 8)
        if count > (self.size - at - 24) // 8:
            raise BadModule("an array reaches past the end")
        return struct.unpack_from(f"<{count}Q", self.data, at + 24)

    def list(self, address: int) -> list[int]:
        """The elements of a list."""
        items: list[int] = []
        while address != 1:
            item, address = self.fields(address, 1, 2)
            items.append(item)
            if len(items) > self.size // 24:
                raise BadModule("a list without an end")
        return items

    def string(self, address: int) -> str:
        """A string."""
        at, tag, _ = self._at(address)
        if tag != _STRING or at + 32 > self.size:
            raise BadModule("no string where one belongs")
        (size,) = _WORD.unpack_from(self.data, at + 8)
        if not 1 <= size <= self.size - at - 32:
            raise BadModule("a string reaches past the end")
        try:
            return bytes(self.data[at + 32 : at + 31 + size]).decode()
        except UnicodeDecodeError as error:
            raise BadModule("a string that is not UTF-8") from error

    def natural(self, address: int) -> int:
        """A natural number of any size."""
        if address & 1:
            return address >> 1
        at, tag, _ = self._at(address)
        if tag != _BIG_NATURAL or at + 24 > self.size:
            raise BadModule("no natural number where one belongs")
        _, size, limbs = _BIG.unpack_from(self.data, at + 8)
        limbs -= self.base
        if size <= 0 or not 0 <= limbs <= self.size - 8 * size:
            raise BadModule("a natural number reaches past the end")
        return int.from_bytes(self.data[limbs : limbs + 8 * size], "little")
