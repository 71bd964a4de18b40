"""Rows from Python values without a text of their own: the same bytes as the long way, and never what is no JSON."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import sys
import threading

import msgspec
import orjson
import pytest

import lean_worker as lw
from lean_worker.events import Diagnostic, Progress, StreamRow
from lean_worker.wire import frames, frames_py
from lean_worker.wire.json_types import encode_value
from support import FUNCTIONS

RING_BYTES = 1 << 16


class Renamed(msgspec.Struct, rename="camel", frozen=True):
    long_name: object
    other: object = 1


class Tagged(msgspec.Struct, tag=True):
    a: object


class Sparse(msgspec.Struct, omit_defaults=True):
    a: object = None


class Text(str):
    pass


class OwnRow(StreamRow):
    more: int = 0


def random_text(rand):
    letters = rand.choice(["abcdefghij", '"\\/\b\f\n\r\t\x00\x0b\x1f\x7f', "aé∀🎲\u2028"])
    return "".join(rand.choices(letters + "abc", k=rand.choice([0, 1, 14, 15, 16, 17, 31, 33, 127, 129, 400])))


def random_number(rand):
    edges = [0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 0.0, -0.0, 1e-4, 9.9e-5, 1e16, 9999999999999998.0]
    wild = [rand.randrange(10 ** rand.randrange(1, 25)), rand.random() * 10.0 ** rand.randrange(-20, 30)]
    return rand.choice([rand.choice(edges), *wild])


def random_value(rand, depth=0):
    kind = rand.randrange(12 if depth < 4 else 8)
    if kind < 2:
        return rand.choice([None, True, False])
    if kind < 5:
        return random_number(rand)
    if kind < 8:
        return random_text(rand)
    inside = [random_value(rand, depth + 1) for _ in range(rand.randrange(4))]
    if kind == 8:
        return inside
    if kind == 9:
        return tuple(inside)
    if kind == 10:
        return rand.choice([Renamed, Tagged, Sparse])(inside)
    return {random_text(rand): value for value in inside}


class Pipe:
    """A writer and what it has written."""

    def __init__(self, implementation):
        self._read_fd, self._write_fd = os.pipe()
        self.writer = implementation.RowWriter(self._write_fd, 1 << 20)
        self._reader = implementation.FrameReader(1 << 24)
        self.writer.begin(False)

    def rows(self):
        os.set_blocking(self._read_fd, False)
        try:
            while self._reader.read(self._read_fd, 1 << 20):
                pass
        except BlockingIOError:
            pass
        return self._reader.take()

    def close(self):
        os.close(self._read_fd)
        os.close(self._write_fd)


@pytest.fixture
def pipe(frames_impl):
    pipe = Pipe(frames_impl)
    yield pipe
    pipe.close()


def put(pipe, *values):
    """What was not taken for plain."""
    source = iter(values)
    left = []
    while True:
        try:
            status, value = pipe.writer.plain_rows("rows", source)
        except StopIteration:
            return left
        assert status == frames.STATUS_OK
        left.append(value)


def test_what_is_written_is_what_the_encoder_writes(pipe, rand):
    for _ in range(4000):
        value = random_value(rand)
        if put(pipe, value):
            continue
        (row,) = pipe.rows()
        assert row.payload == encode_value(value)
    assert pipe.rows() == []


@pytest.mark.compiled
def test_plain_values_are_taken(compiled_pipe):
    plain = [{"i": 1, "name": "é\n", "ok": True, "none": None, "x": 0.5}, [1, (2, "x" * 5000)], Renamed(1), "a", -7]
    assert put(compiled_pipe, *plain) == []
    assert [row.payload for row in compiled_pipe.rows()] == [encode_value(value) for value in plain]


@pytest.fixture
def compiled_pipe():
    from lean_worker import _frames

    pipe = Pipe(_frames)
    yield pipe
    pipe.close()


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


DECLINED = [
    {"a": orjson.Fragment(b"{broken")},
    {"a": msgspec.Raw(b"}}}")},
    Renamed(msgspec.Raw(b"]")),
    {1: 2},
    {Text("a"): 1},
    Text("a"),
    float("nan"),
    [float("inf")],
    2**64,
    "\ud800",
    {"\udfff": 1},
    datetime.date(2020, 1, 1),
    {1, 2},
    b"{}",
    Tagged(1),
    Sparse(),
    msgspec.UNSET,
    deep(200),
    object(),
    Diagnostic("a.b", "c"),
    Progress("a", 1),
    OwnRow("a", 1),
    StreamRow("rows", Diagnostic("a.b", "c")),
    StreamRow("", 1),
    StreamRow("\ud800", 1),
]


@pytest.mark.parametrize("value", DECLINED, ids=[repr(value)[:40] for value in DECLINED])
def test_everything_else_is_left_to_the_full_encoder(pipe, value):
    assert put(pipe, value) == [value]
    assert pipe.rows() == []


def test_types_whose_own_types_run_code_are_left_alone(pipe):
    class Meta(type(msgspec.Struct)):
        def __hash__(cls):
            raise AssertionError("asked")

        def __eq__(cls, other):
            raise AssertionError("asked")

    class Odd(msgspec.Struct, metaclass=Meta):
        a: int

    assert len(put(pipe, {"x": Odd(1)})) == 1


def test_the_iterators_end_and_its_errors_come_through(pipe):
    def rows():
        yield object()
        raise LookupError("from within")

    def ends():
        return 7
        yield

    source = rows()
    assert pipe.writer.plain_rows("rows", source)[0] == frames.STATUS_OK
    with pytest.raises(LookupError, match="from within"):
        pipe.writer.plain_rows("rows", source)
    with pytest.raises(StopIteration) as caught:
        pipe.writer.plain_rows("rows", ends())
    assert caught.value.value == 7
    with pytest.raises(lw.errors.UsageError, match="writing a row's stream: expected a string, got int"):
        pipe.writer.plain_rows(1, iter(()))
    with pytest.raises(lw.errors.UsageError, match="writing a row's stream: the string has no UTF-8 form"):
        pipe.writer.plain_rows("\ud800", iter(()))


@pytest.mark.compiled
def test_refusals_of_the_writer(compiled_pipe):
    writer = compiled_pipe.writer
    asked = []
    numbers = map(asked.append, itertools.count())  # None for each
    writer.cancel()
    assert writer.plain_rows("rows", numbers) == (frames.STATUS_CANCELLED, None)
    assert len(asked) == 1
    writer.begin(False)
    writer.limit_bytes = 1000
    long = "x" * 1000
    assert put(compiled_pipe, "a", long) == [long]  # for `row` to refuse, with its words
    assert len(compiled_pipe.rows()) == 1
    writer.finish()
    assert writer.plain_rows("rows", iter([1])) == (frames.STATUS_NO_STREAM, None)


@pytest.mark.compiled
def test_streams_of_their_own(compiled_pipe):
    assert put(compiled_pipe, 0, StreamRow('ü"', {"a": 1}), StreamRow("rows", 2), StreamRow('ü"', 3)) == []
    found = [(row.stream, row.sequence, row.payload) for row in compiled_pipe.rows()]
    assert found == [("rows", 0, b"0"), ('ü"', 0, b'{"a":1}'), ("rows", 1, b"2"), ('ü"', 1, b"3")]
    assert compiled_pipe.writer.finish() == (4, {"rows": 2, 'ü"': 2}, None, frames.STATUS_OK)


# -- through a ring --


class RingPair:
    """Both ends of a ring in one process."""

    def __init__(self):
        from lean_worker import _frames

        memory = os.memfd_create("test")
        os.ftruncate(memory, 4096 + RING_BYTES)
        data, space = os.pipe(), os.pipe()
        life = os.pipe()
        for descriptor in (*data, *space):
            os.set_blocking(descriptor, False)
        self._descriptors = [memory, *data, *space, *life]
        self.writer = _frames.RowWriter(life[1], 1 << 20)
        assert self.writer.attach_ring(memory, RING_BYTES, data[1], space[0])
        self.ring = _frames.RingReader(memory, RING_BYTES, space[1])
        self.reader = _frames.FrameReader(1 << 20)
        self.writer.begin(False)

    def take(self):
        self.ring.read(self.reader, RING_BYTES)
        return self.reader.take()

    def close(self):
        for descriptor in self._descriptors:
            os.close(descriptor)


needs_ring = pytest.mark.skipif(
    frames.IMPLEMENTATION != "c" or sys.platform != "linux", reason="there is only the pipe"
)


@pytest.fixture
def ring():
    pair = RingPair()
    yield pair
    pair.close()


@pytest.mark.compiled
@needs_ring
def test_each_row_is_in_the_ring_before_the_next_is_asked_for(ring, rand):
    """Round the ring many times, at every place in it, by all ways in turn."""
    sizes = [rand.choice([1, 20, 300, 5000, 20_000]) for _ in range(400)]

    def rows():
        for number, size in enumerate(sizes):
            yield {"i": number, "pad": "x" * size}
            (row,) = ring.take()
            assert json.loads(row.payload) == {"i": number, "pad": "x" * size}
            assert (row.stream, row.sequence) == ("rows", 2 * number)
            assert ring.writer.row("rows", b'{"i":%d}' % number) == frames.STATUS_OK
            (row,) = ring.take()
            assert (row.payload, row.sequence) == (b'{"i":%d}' % number, 2 * number + 1)

    with pytest.raises(StopIteration):
        ring.writer.plain_rows("rows", rows())
    assert ring.writer.finish()[:2] == (800, {"rows": 800})


@pytest.mark.compiled
@needs_ring
def test_a_bad_row_leaves_no_trace_in_the_ring(ring):
    assert ring.writer.row("rows", b"1") == frames.STATUS_OK
    assert ring.writer.row("rows", b"{broken") == frames.STATUS_MALFORMED
    assert ring.writer.row("rows", b"2") == frames.STATUS_MALFORMED
    ring.writer.begin(False)
    assert ring.writer.row("rows", b'"' + b"x" * (1 << 20) + b'"') == frames.STATUS_TOO_LARGE
    assert ring.writer.finish()[2] == "row frame too large: 1048671 bytes exceeds 1048576"
    ring.writer.begin(False)
    assert ring.writer.row("rows", b"3") == frames.STATUS_OK
    assert [row.payload for row in ring.take()] == [b"1", b"3"]


@pytest.mark.compiled
@needs_ring
def test_threads_share_a_full_ring(ring):
    """Writers by both ways wait for room while others hold the lock; no row is lost, double or cut."""
    rows = 300
    values = [{"i": i, "pad": "x" * (i * 37 % 3000)} for i in range(rows)]

    def write_plain(stream):
        source = iter(values)
        while True:
            try:
                status, left = ring.writer.plain_rows(stream, source)
            except StopIteration:
                return
            assert status == frames.STATUS_OK
            assert ring.writer.row(stream, encode_value(left)) == frames.STATUS_OK

    def write_text(stream):
        for value in values:
            assert ring.writer.row(stream, encode_value(value)) == frames.STATUS_OK

    threads = [threading.Thread(target=write, args=(write.__name__,)) for write in (write_plain, write_text) * 2]
    for thread in threads:
        thread.start()
    found = {"write_plain": [], "write_text": []}
    while sum(map(len, found.values())) < 4 * rows:
        for row in ring.take():
            assert row.sequence == len(found[row.stream])
            found[row.stream].append(row.payload)
    for thread in threads:
        thread.join()
    expected = sorted([encode_value(value) for value in values] * 2)
    assert sorted(found["write_plain"]) == sorted(found["write_text"]) == expected


# -- from hosted functions --


def test_values_of_all_kinds_arrive_in_order():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        rows = lease.collect(lw.StreamingCommand("mixed"), {"count": 200}).rows
    expected = [[{"i": i}, i, f"é{i}", [i, None], {"i": i, "at": "2020-01-01"}][i % 5] for i in range(200)]
    assert [row.payload for row in rows] == expected
    assert [row.sequence for row in rows] == list(range(200))


def test_a_text_that_is_no_json_is_the_hosted_codes_failure():
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.errors.RowMalformed, match="row payload is not valid JSON: stream 'rows', sequence 1"):
            lease.collect(lw.StreamingCommand("raw_rows"), {"rows": ["1", "}}}"], "summary": "null"})
        assert len(lease.collect(lw.StreamingCommand("rows"), {"count": 3}).rows) == 3


# -- many rows at once --


def random_rows(rand, count):
    streams = ["rows", "déclarations", 'with"quote', "", "a" * 300]
    return [
        (
            rand.choice(streams),
            rand.choice([0, 9, 10, 2**64 - 1, rand.randrange(10**12)]),
            encode_value(random_text(rand)),
        )
        for _ in range(count)
    ]


def test_frames_of_many_rows_are_those_of_each(frames_impl, rand):
    for _ in range(50):
        rows = random_rows(rand, rand.randrange(40))
        expected = b"".join(frames_py.encode_row(*row) for row in rows)
        assert frames_impl.encode_rows(rows, 1 << 20, rand.random() < 0.5) == expected


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (((),), "encoding rows: expected a list, got tuple"),
        (([1],), "encoding rows: expected (stream, sequence, payload), got 1"),
        (([("a", 0)],), "encoding rows: expected (stream, sequence, payload), got ('a', 0)"),
        (([(1, 0, b"1")],), "encoding a row's stream: expected a string, got int"),
        (([("\ud800", 0, b"1")],), "encoding a row's stream: the string has no UTF-8 form: surrogates not allowed"),
        (([("a", -1, b"1")],), "encoding a row's sequence: expected 0 to 18446744073709551615, got -1"),
        (([("a", True, b"1")],), "encoding a row's sequence: expected 0 to 18446744073709551615, got True"),
        (([("a", 0, "1")],), "encoding a row's payload: expected bytes, got str"),
        (([("a", 0, b"1")], 0), "setting a frame limit: expected 1 to 4294967295 bytes, got 0"),
        (([("a", 0, b"1")], 50), "writing a frame: its length of 91 bytes exceeds the limit of 50"),
        (([("a", 0, b"1"), ("a", 1, b"x")], 99, True), "encoding a row's payload: expected JSON, got b'x'"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_alike(frames_impl, arguments, error):
    with pytest.raises(lw.errors.LeanWorkerError) as caught:
        frames_impl.encode_rows(*arguments)
    assert caught.value.text == error


# -- how rows are read where they were fed --


@pytest.mark.compiled
def test_chunks_of_any_size_read_alike(rand):
    """Large chunks are read where they are, and only the frame that a cut goes through is put together."""
    from lean_worker import _frames

    for _ in range(60):
        rows = random_rows(rand, rand.randrange(1, 60))
        parts = [frames_py.encode_row(*row) for row in rows]
        if rand.random() < 0.3:
            parts.insert(rand.randrange(len(parts)), frames_py.encode_message("response", b"{}"))
        if rand.random() < 0.2:
            parts.append(rand.choice([b"\0\0\0\x05{brok", b"\xff\xff\xff\xff", b"\0\0", b"\0\0\0\0"]))
        data = b"".join(parts * rand.choice([1, 1, 4]))
        chunks = list(cut(rand, data))
        most = rand.choice([0, 1, 7])
        transcripts = [transcript(each, chunks, most) for each in (_frames, frames_py)]
        assert transcripts[0] == transcripts[1]


def cut(rand, data):
    while data:
        size = rand.choice([1, 3, 100, 4095, 4096, 5000, 20_000])
        yield data[:size]
        data = data[size:]


def transcript(implementation, chunks, most):
    reader = implementation.FrameReader(1 << 20)
    lines = []
    for number, chunk in enumerate(chunks):
        reader.feed(chunk)
        lines.append(reader.pending_bytes)
        if number % 3 == 2:
            continue  # several chunks wait
        try:
            lines += [
                (item.stream, item.sequence, item.payload) if hasattr(item, "stream") else tuple(item)
                for item in reader.take(most)
            ]
        except lw.errors.LeanWorkerError as error:
            lines.append(str(error))
        lines.append(reader.pending_bytes)
    return lines


# -- wide scans --


@pytest.fixture(params=[0, 1], ids=["baseline", "widest"])
def scan(request):
    from lean_worker import _frames

    yield _frames._scan_code(request.param)
    _frames._scan_code(1)


@pytest.mark.compiled
def test_long_texts_end_where_they_end(scan, rand):
    from lean_worker import _frames

    for _ in range(1500):
        length = rand.choice([rand.randrange(40), rand.randrange(500)])
        text = bytearray(rand.choices(b"abc \x7f", k=length))
        for _ in range(rand.randrange(3)):
            if text:
                text[rand.randrange(length)] = rand.choice(b'"\\\x00\x1f\x80\xc3')
        quoted = b'"%b"' % bytes(text)
        assert _frames.is_json(quoted) is frames_py.is_json(quoted), scan


@pytest.mark.compiled
def test_long_payloads_are_copied_whole(scan, rand):
    """Copies by vectors have edges at the sizes where they begin and end, and where the last vector is a part."""
    from lean_worker import _frames

    sizes = [*range(1020, 1160), 4095, 4096, 4127, *range((1 << 18) - 2, (1 << 18) + 3)]
    payloads = [rand.randbytes(size) for size in rand.sample(sizes, len(sizes))]
    rows = [("rows" + "x" * rand.randrange(40), number, payload) for number, payload in enumerate(payloads)]
    assert _frames.encode_rows(rows) == frames_py.encode_rows(rows), scan
