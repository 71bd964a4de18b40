"""What the benchmarks send: the rows of the original's benchmarks, and one more like those of an extraction.

small  8192 rows {"i", "kind", "name"} on two alternating streams
large  512 rows of a 4096-byte text
lean   8192 rows of five fields, with a type of 90 characters beyond ASCII and with escapes
"""

from __future__ import annotations

import dataclasses
import json

import msgspec

from lean_worker.wire import frames


class Small(msgspec.Struct):
    i: int
    kind: str
    name: str


class Large(msgspec.Struct):
    blob: str
    i: int


class Lean(msgspec.Struct):
    name: str
    module: str
    kind: str
    type: str
    line: int


def dataclass_of(kind: type[msgspec.Struct]) -> type:
    """The same fields as a plain dataclass."""
    fields = [(field.name, field.type) for field in msgspec.structs.fields(kind)]
    return dataclasses.make_dataclass(kind.__name__, fields, slots=True)


@dataclasses.dataclass(frozen=True)
class Workload:
    """Rows, as `(stream, sequence, payload)`, and their type."""

    name: str
    kind: type[msgspec.Struct]
    rows: list[tuple[str, int, bytes]]

    @property
    def data(self) -> bytes:
        """All its frames."""
        return b"".join(frames.encode_row(*row) for row in self.rows)

    def chunks(self, chunk_bytes: int = 1 << 16) -> list[bytes]:
        """The same in pieces, as reads would bring them."""
        data = self.data
        return [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]


def _text(value: dict[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def small(count: int = 8192) -> Workload:
    kinds = ("theorem", "definition")
    rows = [
        (f"stream{i % 2}", i // 2, _text({"i": i, "kind": kinds[i % 2], "name": f"Fixture.decl_{i}"}))
        for i in range(count)
    ]
    return Workload("small", Small, rows)


def large(count: int = 512) -> Workload:
    return Workload("large", Large, [("rows", i, _text({"blob": "x" * 4096, "i": i})) for i in range(count)])


def lean(count: int = 8192) -> Workload:
    signature = '∀ {α : Type u} (s t : Set α), s ⊆ t →\n  t ⊆ s → s = t ∧ "proved" = "proved" ∨ a \\ b ≤ c'
    rows = [
        (
            "declarations",
            i,
            _text(
                {
                    "name": f"Mathlib.Order.Fixture.le_antisymm_{i}",
                    "module": "Mathlib.Order.Fixture",
                    "kind": "theorem",
                    "type": signature,
                    "line": i % 4000,
                }
            ),
        )
        for i in range(count)
    ]
    return Workload("lean", Lean, rows)


ALL = (small, large, lean)
