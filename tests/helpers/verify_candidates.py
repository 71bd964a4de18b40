"""Candidates that run programs while they are elaborated, and modules that no Lean wrote."""

from __future__ import annotations

import struct
import sys

from lean_files import PROCESS_TYPES, literal
from lean_worker.child.verification import wire

HEADER = "prelude\nimport LeanWorker.Library\n"
STATEMENT = HEADER + "theorem goal : False := sorry\n"

_RUNS_PROGRAM = (
    HEADER
    + PROCESS_TYPES
    + """@[extern "lean_io_process_spawn"] axiom IO.Process.spawn (args : IO.Process.SpawnArgs) : IO (IO.Process.Child ⟨.null, .inherit, .inherit⟩)
@[extern "lean_io_process_child_wait"] axiom IO.Process.Child.wait {how : @& IO.Process.StdioConfig} (child : @& IO.Process.Child how) : IO UInt32
@[noinline] def arguments : IO.Process.SpawnArgs :=
  { toStdioConfig := ⟨.null, .inherit, .inherit⟩, cmd := COMMAND, cwd := .none, env := #[]
    args := ARGUMENTS, inheritEnv := .true, setsid := .false }
#eval do
  let child ← IO.Process.spawn arguments
  let _ ← IO.Process.Child.wait child
  AFTERWARDS
"""
)


def runs_python(code: str, *, exits: bool, rest: str = "") -> str:
    """A candidate that runs Python code while it is elaborated, and then ends Lean with exit code 0, or goes on."""
    argv = ["-S", "-c", code]
    text = _RUNS_PROGRAM.replace("COMMAND", literal(sys.executable))
    text = text.replace("ARGUMENTS", f"#[{', '.join(map(literal, argv))}]")
    afterwards = "IO.Process.exit (α := Unit) 0" if exits else "pure ()"
    return text.replace("AFTERWARDS", afterwards) + rest


class _Writer:
    """Lays out objects as Lean's compactor does."""

    base = 0x2_0000_0000

    def __init__(self) -> None:
        self._data = bytearray(b"olean\x02\x01" + bytes(73) + struct.pack("<Q", self.base) + bytes(8))
        assert len(self._data) == 96
        self._strings: dict[str, int] = {}

    def _put(self, data: bytes) -> int:
        address = self.base + len(self._data)
        self._data += data + bytes(-len(data) % 8)
        return address

    def constructor(self, tag: int, fields, numbers: bytes = b"") -> int:
        if not fields and not numbers:
            return tag << 1 | 1
        size = 8 + 8 * len(fields) + len(numbers)
        head = struct.pack("<iHBB", 0, size, len(fields), tag)
        return self._put(head + struct.pack(f"<{len(fields)}Q", *fields) + numbers)

    def string(self, text: str) -> int:
        data = text.encode() + b"\0"
        head = struct.pack("<iHBB", 0, 1, 0, 249)
        return self._put(head + struct.pack("<QQQ", len(data), len(data), len(text)) + data)

    def array(self, items) -> int:
        head = struct.pack("<iHBB", 0, 1, 0, 246)
        return self._put(head + struct.pack(f"<{len(items) + 2}Q", len(items), len(items), *items))

    def list(self, items) -> int:
        made = 1
        for item in reversed(items):
            made = self.constructor(1, (item, made))
        return made

    def finish(self, root: int) -> bytes:
        struct.pack_into("<Q", self._data, 88, root)
        return bytes(self._data)


def module_of(terms: wire.Terms) -> bytes:
    """The bytes of a compiled module with these declarations, whatever they are."""
    out = _Writer()
    names = [1]
    for prefix, part in terms.names:
        value = out.string(part) if isinstance(part, str) else part << 1 | 1
        names.append(out.constructor(1 if isinstance(part, str) else 2, (names[prefix], value), bytes(8)))
    levels = [1]
    for kind, *parts in terms.levels:
        fields = [names[parts[0]]] if kind == wire.LEVEL_PARAM else [levels[part] for part in parts]
        levels.append(out.constructor(kind, fields, bytes(8)))
    expressions: list[int] = []
    for kind, *parts in terms.expressions:
        if kind == wire.BVAR:
            made = out.constructor(kind, [parts[0] << 1 | 1], bytes(8))
        elif kind == wire.SORT:
            made = out.constructor(kind, [levels[parts[0]]], bytes(8))
        elif kind == wire.CONST:
            made = out.constructor(kind, [names[parts[0]], out.list([levels[level] for level in parts[1]])], bytes(8))
        elif kind == wire.APP:
            made = out.constructor(kind, [expressions[part] for part in parts], bytes(8))
        elif kind in (wire.LAM, wire.FORALL):
            made = out.constructor(kind, [1, *(expressions[part] for part in parts)], bytes(16))
        else:
            raise NotImplementedError(kind)
        expressions.append(made)
    constants = []
    for constant in terms.constants:
        common = out.constructor(
            0, [names[constant.name], out.list([names[one] for one in constant.levels]), expressions[constant.type]]
        )
        group = out.list([names[one] for one in constant.group])
        if constant.kind == "theorem":
            body, tag = out.constructor(0, [common, expressions[constant.value], group]), 2
        elif constant.kind == "axiom":
            body, tag = out.constructor(0, [common], bytes(8)), 0
        else:
            raise NotImplementedError(constant.kind)
        constants.append(out.constructor(tag, [body]))
    assert terms.imports is not None
    imports = [
        out.constructor(0, [names[one.module]], bytes(one.flags) + bytes(8 - len(one.flags))) for one in terms.imports
    ]
    fields = [out.array(imports), out.array([]), out.array(constants), out.array([]), out.array([])]
    return out.finish(out.constructor(0, fields, bytes(8)))
