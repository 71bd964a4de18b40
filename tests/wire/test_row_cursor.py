"""The path of a row: both twins hand out the same values and errors, and the fast decoder never disagrees with msgspec."""

from __future__ import annotations

import gc
import json
import random
from typing import Annotated

import msgspec
import pytest

from lean_worker.errors import LeanWorkerError, SequenceGap, UsageError
from lean_worker.wire import frames, row_decoders
from lean_worker.wire import frames_py as _frames_py
from test_frames_parity import random_frame

needs_flat_structs = pytest.mark.skipif(frames.IMPLEMENTATION == "py", reason="the pure twin leaves all to msgspec")


class Declaration(msgspec.Struct):
    name: str
    index: int
    safe: bool
    doc: str | None = None


class Renamed(msgspec.Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    long_name: str | int
    other_field: int | None


class Weak(msgspec.Struct, weakref=True, dict=True, kw_only=True):
    flag: bool | None
    text: str = "left out"


class Child(Declaration, gc=False):
    more: int = 3


FLAT = [Declaration, Renamed, Weak, Child]


class Tagged(msgspec.Struct, tag=True):
    name: str


class Row(msgspec.Struct, array_like=True):
    name: str


class Checked(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=3)]


class PostInit(msgspec.Struct):
    name: str

    def __post_init__(self):
        self.name += "!"


class Nested(msgspec.Struct):
    inner: Declaration


class Fraction(msgspec.Struct):
    value: float


@pytest.mark.parametrize("kind", [Tagged, Row, Checked, PostInit, Nested, Fraction, dict, int, None, list[int]])
def test_types_that_are_left_to_msgspec(kind):
    assert row_decoders.flat_struct(kind) is None


@needs_flat_structs
@pytest.mark.parametrize("kind", FLAT)
def test_plain_rows_are_decoded_fast(kind):
    flat = row_decoders.flat_struct(kind)
    for text in texts(kind, random.Random(1), 200, mutate=False):
        assert flat.decode(text) is not None, text


@needs_flat_structs
@pytest.mark.parametrize("kind", FLAT)
def test_the_fast_decoder_agrees_with_msgspec(kind, rand):
    flat = row_decoders.flat_struct(kind)
    accepted = refused = 0
    for text in texts(kind, rand, 20_000, mutate=True):
        value = flat.decode(text)
        try:
            expected = msgspec.json.decode(text, type=kind)
        except (ValueError, RecursionError):
            assert value is None, text
            refused += 1
            continue
        if value is not None:
            accepted += 1
            assert type(value) is kind
            for name in kind.__struct_fields__:
                ours, theirs = getattr(value, name), getattr(expected, name)
                assert type(ours) is type(theirs) and ours == theirs, text
            assert gc.is_tracked(value) == gc.is_tracked(expected)
    assert accepted > 1000 and refused > 1000


def texts(kind, rand, count, *, mutate):
    for _ in range(count):
        value = {field.encode_name: random_field(rand, field) for field in msgspec.structs.fields(kind)}
        items = list(value.items())
        if mutate:
            for what in range(5):
                if rand.random() < 0.1:
                    change(rand, items, what)
        if rand.random() < 0.3:
            rand.shuffle(items)
        text = (
            "{"
            + ",".join(f"{json.dumps(key)}:{json.dumps(item, ensure_ascii=rand.random() < 0.3)}" for key, item in items)
            + "}"
        )
        data = text.encode("utf-8", "surrogatepass")
        if mutate and rand.random() < 0.3:
            broken = bytearray(data)
            at = rand.randrange(len(broken))
            if rand.random() < 0.5:
                broken[at] = rand.choice(b'"\\{}[],: 0e.-\x00\x1f\xc3\xed\xff')
            else:
                del broken[at : at + rand.randrange(1, 5)]
            data = bytes(broken)
        yield data


def random_field(rand, field):
    names = {part.__name__ for part in row_decoders.union_members(field.type)}
    name = rand.choice(sorted(names))
    if name == "str":
        return "".join(rand.choice('ab"\\/}{:,\n\té∀ ') for _ in range(rand.choice([0, 3, 15, 16, 17, 60])))
    if name == "int":
        return rand.choice([0, 1, -1, 10**17, -(10**17), rand.randrange(10**9)])
    return rand.random() < 0.5 if name == "bool" else None


def change(rand, items, what):
    at = rand.randrange(len(items))
    if what == 0:
        items.append(("another", [1, {"x": 2}]))
    elif what == 1:
        items.insert(rand.randrange(len(items) + 1), items[at])
    elif what == 2 and len(items) > 1:
        del items[at]
    elif what == 3:
        values = [None, 1.5, 1e400, 10**18, 2**64, -(2**63), -(2**80), "\ud800", "🎲", "\0", [], {}, True]
        items[at] = (items[at][0], rand.choice(values))
    elif what == 4:
        items[at] = (items[at][0] + rand.choice(["", "x", '"']), items[at][1])


class Decoder:
    """What a stream's decoder does: a value, or an error that names the row."""

    @staticmethod
    def text(payload):
        value = json.loads(payload)
        if isinstance(value, list):
            raise ValueError("no lists")
        return ("text", payload)

    @staticmethod
    def row(row):
        if row.sequence % 2:
            raise LeanWorkerError(f"refused: {row.stream} {row.sequence}")
        return ("row", row.stream, row.sequence, row.payload)


def transcript(frames, chunks, whole_rows):
    """All that a caller of the cursor can see."""
    reader = frames.FrameReader(1 << 20)
    cursor = frames.RowCursor(reader, frames.Flag(), None if whole_rows else Decoder.text, Decoder.row)
    lines = []
    for chunk in chunks:
        reader.feed(chunk)
        for _ in range(30):
            try:
                count = cursor.fill()
                lines.append(count)
                for _ in range(count):
                    lines.append((next(cursor), cursor.last(), cursor.rows_delivered))
                if not count:
                    (item,) = reader.take(1) or [None]
                    if item is None:
                        break
                    lines.append((item.type, item.body))
            except LeanWorkerError as error:
                lines.append((type(error).__name__, str(error), cursor.last(), cursor.counts()))
                break
        lines.append(reader.pending_bytes)
    return lines


@pytest.mark.compiled
@pytest.mark.parametrize("whole_rows", [False, True])
def test_five_hundred_random_streams(rand, whole_rows):
    from lean_worker import _frames

    seen = set()
    for _ in range(500):
        streams = {"rows": 0, "déclarations": 0, 'with"quote': 0}
        pieces = []
        for _ in range(rand.randrange(1, 30)):
            if rand.random() < 0.05:
                pieces.append(random_frame(rand))
                continue
            stream = rand.choice(list(streams))
            payload = rand.choice([b"1", b'{"a":[1,2]}', b"[]", b"nope", b'"\xc3\xa9"', b"1,2", b'1},"x":{'])
            if payload not in (b"1", b'{"a":[1,2]}', b'"\xc3\xa9"') and rand.random() < 0.8:
                payload = b"2"
            pieces.append(_frames_py.encode_row(stream, streams[stream], payload))
            streams[stream] += rand.random() < 0.98
        data = b"".join(pieces)
        cuts = sorted(rand.randrange(len(data) + 1) for _ in range(rand.randrange(4)))
        chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        ours = transcript(_frames, chunks, whole_rows)
        assert ours == transcript(_frames_py, chunks, whole_rows), rand
        seen |= {line[0] for line in ours if isinstance(line, tuple)}
    assert {"SequenceGap", "LeanWorkerError"} <= seen


def cursor_of(frames, count, decode_text=json.loads, decode_row=None):
    reader = frames.FrameReader(1 << 20)
    reader.feed(b"".join(frames.encode_row("rows", i, b"%d" % i) for i in range(count)))
    flag = frames.Flag()
    return reader, flag, frames.RowCursor(reader, flag, decode_text, decode_row or (lambda row: row.sequence))


def test_no_row_after_the_flag(frames_impl):
    _, flag, cursor = cursor_of(frames_impl, 10)
    assert (cursor.fill(), next(cursor), next(cursor)) == (10, 0, 1)
    flag.set()
    assert flag.is_set
    with pytest.raises(StopIteration):
        next(cursor)
    assert (cursor.rows_delivered, cursor.last()) == (2, ("rows", 1))
    cursor.drop()
    assert (cursor.rows_delivered, cursor.last(), cursor.counts()) == (2, ("rows", 1), {"rows": 10})


def test_rows_before_a_bad_one_come_first(frames_impl):
    reader, _, cursor = cursor_of(frames_impl, 3)
    reader.feed(frames_impl.encode_row("rows", 5, b"5"))
    assert cursor.fill() == 3 and list(cursor) == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(SequenceGap, match="stream 'rows' should go on with sequence 3, got 5"):
            cursor.fill()
    assert cursor.rows_delivered == 3


def test_a_decoder_that_asks_for_the_next_row_is_refused(frames_impl):
    asked = []

    def ask(payload):
        asked.append(payload)
        with pytest.raises(UsageError, match="a decoder of the row asked for the next row"):
            cursor.fill()
        return json.loads(payload)

    _, _, cursor = cursor_of(frames_impl, 2, ask)
    assert cursor.fill() == 2 and list(cursor) == [0, 1] and asked == [b"0", b"1"]


def test_many_streams_and_rows(frames_impl):
    reader = frames_impl.FrameReader(1 << 20)
    cursor = frames_impl.RowCursor(reader, frames_impl.Flag(), json.loads, None)
    names = [f"stream{number}" for number in range(100)]
    for sequence in range(20):
        reader.feed(b"".join(frames_impl.encode_row(name, sequence, b"1") for name in names))
    assert cursor.fill() == 2000 and list(cursor) == [1] * 2000
    assert cursor.last() == ("stream99", 19)
    assert cursor.counts() == dict.fromkeys(names, 20)


def test_all_rows_at_hand_at_once(frames_impl):
    reader, flag, cursor = cursor_of(frames_impl, 5)
    assert cursor.fill() == 5 and next(cursor) == 0
    assert cursor.take_rows() == [1, 2, 3, 4]
    assert (cursor.take_rows(), cursor.rows_delivered, cursor.last()) == ([], 5, ("rows", 4))
    reader.feed(frames_impl.encode_row("rows", 5, b"5") + frames_impl.encode_row("rows", 6, b"6"))
    assert cursor.fill() == 2
    flag.set()
    assert (cursor.take_rows(), cursor.take_by_stream(), cursor.rows_delivered) == ([], {}, 5)


def test_all_rows_at_hand_by_stream(frames_impl):
    reader = frames_impl.FrameReader(1 << 20)
    cursor = frames_impl.RowCursor(reader, frames_impl.Flag(), json.loads, None)
    assert cursor.take_by_stream() == {}
    names = ["a", "b", "a", "a", "c"]
    sequences = dict.fromkeys(names, 0)
    for number, name in enumerate(names):
        reader.feed(frames_impl.encode_row(name, sequences[name], b"%d" % number))
        sequences[name] += 1
    assert cursor.fill() == 5 and next(cursor) == 0
    found = cursor.take_by_stream()
    assert (found, list(found)) == ({"b": [1], "a": [2, 3], "c": [4]}, ["b", "a", "c"])
    assert (cursor.rows_delivered, cursor.last()) == (5, ("c", 0))
    reader.feed(frames_impl.encode_row("b", 1, b"9"))
    assert cursor.fill() == 1 and cursor.take_by_stream() == {"b": [9]}
    assert cursor.counts() == {"a": 3, "b": 2, "c": 1}


# -- what a decoder raises once, as a signal handler does that runs within it --


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TimeoutError, LeanWorkerError, KeyboardInterrupt])
def test_what_is_raised_once_comes_out_at_once(frames_impl, error):
    def decode(row):
        nonlocal count
        count += 1
        if count == 3:
            raise error("once")
        return row.payload

    count = 0
    reader = frames_impl.FrameReader()
    reader.feed(b"".join(frames_impl.encode_row("s", n, b"1") for n in range(5)))
    cursor = frames_impl.RowCursor(reader, frames_impl.Flag(), None, decode)
    with pytest.raises(error, match="once"):
        cursor.fill()


@pytest.mark.parametrize("error", [ZeroDivisionError, ValueError, LeanWorkerError])
def test_a_row_that_is_always_refused_comes_after_those_before(frames_impl, error):
    def decode(row):
        if row.sequence == 3:
            raise error("always")
        return row.payload

    reader = frames_impl.FrameReader()
    reader.feed(b"".join(frames_impl.encode_row("s", n, b"1") for n in range(5)))
    cursor = frames_impl.RowCursor(reader, frames_impl.Flag(), None, decode)
    assert cursor.fill() == 3
    for _ in range(2):
        with pytest.raises(error, match="always"):
            cursor.fill()
