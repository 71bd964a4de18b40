"""Reading compiled modules: whatever their bytes are, the reader ends with declarations or `BadModule`, and soon."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.child.olean_cache import prepare
from lean_worker.child.verification.export import export
from lean_worker.child.verification.objects import BadModule
from verify_candidates import module_of
from verify_rows import open_statement

pytestmark = pytest.mark.lean
HEADER_BYTES = 96


def crafted():
    return module_of(open_statement("False").terms())


@pytest.fixture(scope="module")
def real():
    """The parts of a module that Lean compiled, the smallest of those that are at hand."""
    cache = prepare(lw.toolchains.resolve("embedded").library)
    smallest = min(cache.rglob("*.olean"), key=lambda path: path.stat().st_size)
    return [
        Path(f"{smallest}{end}").read_bytes()
        for end in ("", ".server", ".private")
        if Path(f"{smallest}{end}").is_file()
    ]


def read(parts):
    return list(export(parts, time.monotonic() + 20))


def test_what_was_written_is_read():
    (row,) = read([crafted()])
    assert [row.names[constant.name - 1] for constant in row.constants] == [(0, "goal")]
    assert row.names[row.imports[0].module - 1][1] == "Library"


def test_random_changes_end_in_declarations_or_a_bad_module(real):
    chosen = random.Random(35)
    counts = {"read": 0, "bad": 0}
    for i in range(300):
        parts = [bytearray(part) for part in ([crafted()] if i % 3 else real)]
        part = chosen.choice(parts)
        for _ in range(chosen.randint(1, 8)):
            mutate(chosen, part)
        try:
            read([bytes(part) for part in parts])
            counts["read"] += 1
        except BadModule:
            counts["bad"] += 1
    assert min(counts.values()) > 20  # else the changes are too small or too large to show anything


def mutate(chosen, part):
    kind = chosen.randrange(4)
    if kind == 0:
        part[chosen.randrange(len(part))] = chosen.randrange(256)
    elif kind == 1 and len(part) > HEADER_BYTES + 16:
        place = chosen.randrange(HEADER_BYTES, len(part) - 8) & ~7
        other = chosen.randrange(HEADER_BYTES, len(part) - 8) & ~7
        part[place : place + 8] = part[other : other + 8]
    elif kind == 2 and len(part) > HEADER_BYTES + 16:
        place = chosen.randrange(HEADER_BYTES - 8, len(part) - 8) & ~7
        part[place : place + 8] = struct.pack(
            "<Q", chosen.choice([0, 1, 3, (1 << 64) - 1, 1 << 63, 2 << 32, len(part)])
        )
    elif kind == 3 and chosen.random() < 0.3:
        del part[chosen.randrange(len(part)) :]


@pytest.mark.parametrize("size", [0, 5, 40, 95, 96, 103])
def test_a_module_that_was_cut_off_is_told(size):
    with pytest.raises(BadModule):
        read([crafted()[:size]])


def test_a_thing_that_contains_itself_is_told():
    data = bytearray(crafted())
    base = struct.unpack_from("<Q", data, 80)[0]
    # The first application (tag 5, two fields) becomes its own argument.
    place = data.index(struct.pack("<iHBB", 0, 32, 2, 5)) if struct.pack("<iHBB", 0, 32, 2, 5) in data else -1
    if place < 0:
        place = data.index(struct.pack("<HBB", 32, 2, 5)) - 4
    struct.pack_into("<Q", data, place + 8, base + place)
    with pytest.raises(BadModule, match="contains itself"):
        read([bytes(data)])


def test_parts_that_lie_far_apart_take_no_memory():
    first, second = bytearray(crafted()), bytearray(crafted())
    struct.pack_into("<Q", second, 80, 1 << 60)
    with pytest.raises(BadModule, match="span"):
        read([bytes(first), bytes(second)])


def test_a_declaration_that_comes_twice_is_told_at_once():
    """Else one object, named a million times, would take minutes."""
    statement = open_statement("False")
    statement.constants *= 2
    with pytest.raises(BadModule, match="twice"):
        read([module_of(statement.terms())])


def test_a_small_module_cannot_stand_for_endless_rows():
    """Ten thousand names that share one long text: gigabytes as rows."""
    statement = open_statement("False")
    text = "x" * 200_000
    number = 0
    for _ in range(10_000):
        number = statement._number(statement.names, 1, (number, text))
    statement.constants[0] = type(statement.constants[0])("axiom", number, (), statement.constants[0].type)
    data = shared(statement.terms())
    assert len(data) < 4_000_000
    with pytest.raises(BadModule, match="far larger"):
        read([data])


def shared(terms):
    """As `module_of`, with equal texts written once."""
    import verify_candidates

    class Sharing(verify_candidates._Writer):
        def string(self, text):
            if text not in self._strings:
                self._strings[text] = super().string(text)
            return self._strings[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_candidates, "_Writer", Sharing)
        return module_of(terms)
