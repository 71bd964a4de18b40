"""Frames: the original's vectors, every way of cutting the bytes, every kind of bad frame; both twins."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from lean_worker.errors import FrameTooLarge, LeanWorkerError, MalformedFrame, UsageError, VersionMismatch
from lean_worker.wire.envelope import Message

VECTORS = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "frames.jsonl").read_text().splitlines()]
ids = [vector["name"] for vector in VECTORS]


def frame_of(vector):
    body = vector["body"].encode()
    assert len(body) == vector["length"]
    return len(body).to_bytes(4, "big") + body


def frame(body):
    return len(body).to_bytes(4, "big") + body


def expected_of(vector, frames):
    message = json.loads(vector["body"])["message"]
    if message["type"] != "data_row":
        return message["type"], message["body"]
    body = message["body"]
    return body["stream"], body["sequence"]


def what(item):
    if isinstance(item, Message):
        return item.type, json.loads(item.body)
    return item.stream, item.sequence


def read(frames, *chunks, limit_bytes=1 << 20):
    reader = frames.FrameReader(limit_bytes)
    items = []
    for chunk in chunks:
        reader.feed(chunk)
        items += reader.take()
    return items, reader.pending_bytes


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_vectors_are_read_whole_byte_by_byte_and_with_bytes_after_them(frames_impl, vector):
    data = frame_of(vector)
    items, pending = read(frames_impl, data)
    assert pending == 0
    assert [what(item) for item in items] == [expected_of(vector, frames_impl)]
    assert read(frames_impl, *(data[i : i + 1] for i in range(len(data)))) == (items, 0)
    assert read(frames_impl, data + b"\0\0\0") == (items, 3)


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_our_encoder_writes_the_same_bytes(frames_impl, vector):
    (item,), _ = read(frames_impl, frame_of(vector))
    if isinstance(item, Message):
        assert frames_impl.encode_message(item.type, item.body) == frame_of(vector)
    else:
        assert frames_impl.encode_row(item.stream, item.sequence, item.payload) == frame_of(vector)


def test_payloads_are_verbatim(frames_impl):
    by_name = {vector["name"]: vector for vector in VECTORS}
    for name in ("data_row_verbatim_spacing", "data_row_verbatim_numbers", "data_row_unicode_escaped"):
        (row,), _ = read(frames_impl, frame_of(by_name[name]))
        assert f'"payload":{row.payload.decode()}}}}}}}' in by_name[name]["body"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":{"body":{"payload":[1],"sequence":3,"stream":"s"},"type":"data_row"},"version":10}',
        b' { "version" : 10 , "message" : { "type" : "data_row" , "body" : { "stream" : "s" , "sequence" : 3 , "payload" : [1] } } } ',
        b'{"version":10,"later":null,"message":{"type":"data_row","body":{"stream":"s","sequence":3,"payload":[1],"x":[{}]}}}',
        b'{"version":10,"message":{"type":"data_row","body":{"stream":"\\u0073","sequence":3,"payload":[1]}}}',
        b'{"version":10,"message":{"type":"data_row","body":{"stream":"s","sequence":3,"payload": [1] }}}',
    ],
)
def test_other_spellings_are_the_same_row(frames_impl, body):
    (row,), _ = read(frames_impl, frame(body))
    assert (row.stream, row.sequence, row.payload) == ("s", 3, b"[1]")


def test_a_payload_that_closes_the_envelope_early_has_another_reading(frames_impl):
    body = (
        b'{"version":10,"message":{"type":"data_row","body":{"stream":"s","sequence":0,"payload":{"i":0}},"x":{"y":1}}}'
    )
    (row,), _ = read(frames_impl, frame(body))
    assert frames_impl.resolve_row(row) == frames_impl.Row("s", 0, b'{"i":0}')
    (row,), _ = read(frames_impl, frame(body.replace(b'"x":', b'"x"')))
    with pytest.raises(MalformedFrame):
        frames_impl.resolve_row(row)


ROW = b'{"version":10,"message":{"type":"data_row","body":{"stream":"s","sequence":0,"payload":1}}}'
BAD = {
    "empty": (b"", MalformedFrame),
    "no_json": (b"oops", MalformedFrame),
    "no_object": (b"[]", MalformedFrame),
    "trailing_comma": (ROW[:-1] + b",}", MalformedFrame),
    "bytes_after": (ROW + b" x", MalformedFrame),
    "invalid_utf8": (ROW.replace(b'"s"', b'"\xff"'), MalformedFrame),
    "invalid_utf8_elsewhere": (b'{"x":"\xc3("' + b"," + ROW[1:], MalformedFrame),
    "byte_order_mark": (b"\xef\xbb\xbf" + ROW, MalformedFrame),
    "version_missing": (ROW.replace(b'"version":10,', b""), MalformedFrame),
    "version_text": (ROW.replace(b"10", b'"10"'), MalformedFrame),
    "version_9": (ROW.replace(b"10", b"9"), VersionMismatch),
    "version_11_of_another_shape": (b'{"version":11,"packet":[]}', VersionMismatch),
    "message_missing": (b'{"version":10}', MalformedFrame),
    "type_missing": (b'{"version":10,"message":{"body":{}}}', MalformedFrame),
    "body_missing": (b'{"version":10,"message":{"type":"x"}}', MalformedFrame),
    "stream_missing": (ROW.replace(b'"stream":"s",', b""), MalformedFrame),
    "stream_number": (ROW.replace(b'"s"', b"5"), MalformedFrame),
    "sequence_missing": (ROW.replace(b'"sequence":0,', b""), MalformedFrame),
    "sequence_negative": (ROW.replace(b":0,", b":-1,"), MalformedFrame),
    "sequence_fraction": (ROW.replace(b":0,", b":0.5,"), MalformedFrame),
    "sequence_over_u64": (ROW.replace(b":0,", b":18446744073709551616,"), MalformedFrame),
    "sequence_leading_zero": (ROW.replace(b":0,", b":00,"), MalformedFrame),
    "payload_missing": (ROW.replace(b',"payload":1', b""), MalformedFrame),
    "payload_empty": (ROW.replace(b":1}", b":}"), MalformedFrame),
    "deeply_nested": (b'{"version":10,"message":' + b"[" * 50_000, MalformedFrame),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames_come_after_the_good_ones_and_stay(frames_impl, name):
    body, kind = BAD[name]
    reader = frames_impl.FrameReader()
    reader.feed(frame(ROW) + frame(ROW) + frame(body) + frame(ROW))
    assert len(reader.take()) == 2
    with pytest.raises(kind) as first:
        reader.take()
    with pytest.raises(kind) as second:
        reader.take()
    assert first.value is second.value
    assert first.value.side == "remote"


@pytest.mark.compiled
@pytest.mark.parametrize("name", BAD)
def test_bad_frames_have_the_same_words_in_both_twins(name):
    from lean_worker import _frames
    from lean_worker.wire import frames_py as _frames_py

    said = []
    for frames in (_frames, _frames_py):
        with pytest.raises(LeanWorkerError) as caught:
            read(frames, frame(BAD[name][0]))
        said.append((type(caught.value), str(caught.value), dict(caught.value.facts)))
    assert said[0] == said[1]


def test_a_length_over_the_limit_is_refused_before_the_body(frames_impl):
    reader = frames_impl.FrameReader(65_536)
    reader.feed((65_537).to_bytes(4, "big"))
    with pytest.raises(FrameTooLarge) as caught:
        reader.take()
    assert (caught.value.length_bytes, caught.value.limit_bytes) == (65_537, 65_536)
    assert frames_impl.FrameReader(65_536).take() == []


def test_a_frame_of_exactly_the_limit(frames_impl):
    row = frames_impl.encode_row("s", 0, b'"' + b"x" * (65_536 - len(ROW) - 1) + b'"', 65_536)
    assert len(row) == 65_540
    assert len(read(frames_impl, row, limit_bytes=65_536)[0]) == 1
    with pytest.raises(FrameTooLarge) as caught:
        frames_impl.encode_row("s", 0, b"1" * 65_536, 65_536)
    assert caught.value.side == "local"


def test_a_large_length_takes_no_memory_before_its_bytes_come(frames_impl):
    reader = frames_impl.FrameReader(1 << 28)
    tracemalloc.start()
    try:
        reader.feed((200 << 20).to_bytes(4, "big") + b"{")
        assert reader.take() == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert reader.pending_bytes == 5


def test_a_large_frame_in_small_pieces(frames_impl):
    data = frames_impl.encode_row("s", 0, b'"' + b"x" * (24 << 20) + b'"', 1 << 28)
    chunks = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    (row,), pending = read(frames_impl, *chunks, limit_bytes=1 << 28)
    assert (len(row.payload), pending) == ((24 << 20) + 2, 0)


def test_take_at_most(frames_impl):
    reader = frames_impl.FrameReader()
    reader.feed(frame(ROW) * 5)
    assert [len(reader.take(2)) for _ in range(4)] == [2, 2, 1, 0]


def test_rows_are_values(frames_impl):
    import copy
    import pickle

    row = frames_impl.Row("s", 7, b"{}")
    assert row == frames_impl.Row("s", 7, b"{}") and hash(row) == hash(frames_impl.Row("s", 7, b"{}"))
    assert row != frames_impl.Row("s", 8, b"{}") and row != ("s", 7, b"{}")
    assert repr(row) == "Row(stream='s', sequence=7, payload=b'{}')"
    assert pickle.loads(pickle.dumps(row)) == copy.copy(row) == row
    with pytest.raises(AttributeError):
        row.sequence = 8


JSON_TEXTS = [
    "null", "true", " false ", "0", "-0", "1.5e+10", "1e999", "9" * 5000, '""', '"\\u00e9\\ud800\\n"', "[]", "[ ]", "{}", "[1,[2,{}],3]",
    '{"a":1,"a":2}', '{"a" : [ true , null ] }', '"∀🎲"', "[" * 1024 + "]" * 1024,
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-", "01", "1.", ".5", "+1", "1e", "0x1", '"', '"\\x"', '"\\u12g4"', '"\n"', "[1,]",
    "[,1]", "[1 2]", "{,}", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "]", "[}", "[1]]", '{"a":1}}', "1 2", "'a'", "[" * 1025 + "]" * 1025, "\ufeff1",
]  # fmt: skip


def json_says(text):
    def refuse(constant):
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return not text.startswith("\ufeff")


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_is_json_agrees_with_the_standard_library(frames_impl, text):
    # The standard library's own nesting limit is lower than ours, and that of no standard.
    expected = text.count("[") == 1024 if text.startswith("[[[[") else json_says(text)
    assert frames_impl.is_json(text.encode("utf-8")) is expected


@pytest.mark.parametrize(
    "data", [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x88"', b"\xff"]
)
def test_is_json_refuses_what_is_no_utf8(frames_impl, data):
    assert frames_impl.is_json(data) is False


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f.FrameReader("1"),
        lambda f: f.FrameReader(0),
        lambda f: f.FrameReader(True),
        lambda f: f.FrameReader(1 << 32),
        lambda f: f.FrameReader(2.0),
        lambda f: f.FrameReader().feed("text"),
        lambda f: f.FrameReader().feed(None),
        lambda f: f.FrameReader().feed(memoryview(b"x")),
        lambda f: f.FrameReader().take(-1),
        lambda f: f.FrameReader().take(1.5),
        lambda f: f.FrameReader().take(None),
        lambda f: f.encode_frame("text"),
        lambda f: f.encode_frame(b"x", -5),
        lambda f: f.encode_message(b"x", b"{}"),
        lambda f: f.encode_message("x", "{}"),
        lambda f: f.encode_row("\ud800", 0, b"1"),
        lambda f: f.encode_row("s", -1, b"1"),
        lambda f: f.encode_row("s", 1 << 64, b"1"),
        lambda f: f.encode_row("s", True, b"1"),
        lambda f: f.encode_row("s", 0, bytearray(b"1")),
        lambda f: f.resolve_row(("s", 0, b"1")),
        lambda f: f.is_json("1"),
        lambda f: f.RowWriter(-1, 65536),
        lambda f: f.RowWriter("1", 65536),
        lambda f: f.RowWriter(1, 0),
    ],
)
@pytest.mark.compiled
def test_wrong_arguments_have_the_same_words_in_both_twins(call):
    from lean_worker import _frames
    from lean_worker.wire import frames_py as _frames_py

    said = []
    for frames in (_frames, _frames_py):
        with pytest.raises(UsageError) as caught:
            call(frames)
        said.append(str(caught.value))
    assert said[0] == said[1]
