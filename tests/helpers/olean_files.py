"""Module files made of bytes, in the form that Lean writes: for many at once, or with a header that says something else."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

COMMIT = "eb6cafb7290e8bd5f2937522d8d804f58f02bafc"
"""The embedded Lean's."""

_BASE = 0x10_0000_0000
_ARRAY, _STRING = 246, 249


class _Graph:
    """Objects behind each other; a name's parts are shared."""

    def __init__(self, first: int) -> None:
        self.data = bytearray(first)
        self._names: dict[str, int] = {"": 1}

    def add(self, other: int, tag: int, body: bytes) -> int:
        address = _BASE + len(self.data)
        self.data += struct.pack("<iHBB", 0, 8 + len(body), other, tag) + body
        self.data += bytes(-len(self.data) % 8)
        return address

    def constructor(self, *fields: int, tag: int = 0) -> int:
        return self.add(len(fields), tag, struct.pack(f"<{len(fields)}Q", *fields))

    def array(self, elements: Sequence[int]) -> int:
        return self.add(0, _ARRAY, struct.pack(f"<QQ{len(elements)}Q", len(elements), len(elements), *elements))

    def name(self, text: str) -> int:
        if text not in self._names:
            prefix, _, last = text.rpartition(".")
            parent = self.name(prefix)
            data = last.encode()
            string = self.add(0, _STRING, struct.pack("<QQQ", len(data) + 1, len(data) + 1, len(last)) + data + b"\0")
            self._names[text] = self.constructor(parent, string, tag=1)
        return self._names[text]


def header(version: str, commit: str, base: int = _BASE, layout: int = 2, flags: int = 1) -> bytes:
    """A header as of Lean 4.14 and newer (2), or as of older ones (1)."""
    if layout == 1:
        return b"olean\x01" + commit.encode().ljust(42, b"\0") + struct.pack("<Q", base)
    text = version.encode().ljust(33, b"\0") + commit.encode().ljust(40, b"\0")
    return b"olean" + bytes([layout, flags]) + text + struct.pack("<Q", base)


def write_olean(
    file: Path,
    imports: Sequence[str] = (),
    *,
    version: str = "4.35.0",
    commit: str = COMMIT,
    layout: int = 2,
    flags: int = 1,
    size_bytes: int = 0,
    root_last: bool = False,
) -> Path:
    """Write a module file.

    Args:
        file: Its path.
        imports: What it imports.
        version: Whose version it says.
        commit: Whose commit it says.
        layout: Layout of the header.
        flags: Flags of the header.
        size_bytes: Length of the file, which is filled up with a hole before its last object.
        root_last: Whether the last word names the root, as in older files, instead of the first.
    """
    start = header(version, commit, layout=layout, flags=flags)
    graph = _Graph(len(start) + (0 if root_last else 8))
    entries = [graph.constructor(graph.name(module)) for module in imports]
    array = graph.array(entries)
    root_bytes = 8 + 5 * 8 + (8 if root_last else 0)
    whole = bytes(graph.data)
    at = max(len(whole), size_bytes - root_bytes & ~7)
    root = struct.pack("<iHBB5Q", 0, 48, 5, 0, array, array, array, array, array)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(
            start
            + (b"" if root_last else struct.pack("<Q", _BASE + at))
            + whole[len(start) + (0 if root_last else 8) :]
        )
        stream.seek(at)
        stream.write(root + (struct.pack("<Q", _BASE + at) if root_last else b""))
    return file


def write_graph(root: Path, count: int, size_bytes: int, imports: int = 6, *, package: str = "Synthetic") -> list[str]:
    """Write `count` modules below `root`, each of which imports a few of those before it, and one that imports all."""
    names = [f"{package}.Area{i % 60}.Topic{i % 7}.Module{i}" for i in range(count)]
    for i, name in enumerate(names):
        chosen = sorted({i - 1, *(i * (j + 2) % (i + 1) for j in range(imports - 1))} - {i, -1})
        write_olean(root / (name.replace(".", os.sep) + ".olean"), [names[j] for j in chosen], size_bytes=size_bytes)
    write_olean(root / f"{package}.olean", names, size_bytes=size_bytes)
    return [package]
