"""Texts that JSON readers disagree on: what each means for us, in rows, requests, answers and metadata; both twins."""

from __future__ import annotations

import json

import msgspec
import pydantic
import pytest

import lean_worker as lw
from fuzz import oracles
from hostile import Client, _python_argv
from lean_worker.wire import protocol
from lean_worker.wire.envelope import Message
from support import FUNCTIONS, INTEROP


class Record(msgspec.Struct):
    a: int


class Anything(pydantic.RootModel[object]):
    pass


DECODE, MALFORMED = lw.DecodeError, lw.errors.MalformedFrame

# text; whether it is JSON; then as a row of: bytes, no declared type, a Struct, a pydantic model.
# A class is the error; "text" means that the row is the text; anything else is the value.
TABLE = {
    "nested 512": (b"[" * 512 + b"]" * 512, True, "text", None, DECODE, DECODE),
    "nested 1024": (b"[" * 1024 + b"]" * 1024, True, "text", DECODE, DECODE, DECODE),
    "nested 1025": (b"[" * 1025 + b"]" * 1025, False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "never closed": (b"[" * 100_000, False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "a million digits": (b"7" * 1_000_000, True, "text", DECODE, DECODE, DECODE),
    "a million decimals": (b"0." + b"7" * 1_000_000, True, "text", 0.7777777777777778, DECODE, 0.7777777777777778),
    "no float": (b"1e400", True, "text", DECODE, DECODE, DECODE),
    "minus zero": (b"-0", True, "text", 0, DECODE, 0),
    "NaN": (b"NaN", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "an infinity within": (b"[1,-Infinity]", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "lone surrogate": (b'"\\ud800"', True, "text", DECODE, DECODE, DECODE),
    "surrogate pair": (b'"\\ud83c\\udfb2"', True, "text", "🎲", DECODE, "🎲"),
    "surrogate in UTF-8": (b'"\xed\xa0\x80"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "overlong UTF-8": (b'"\xc0\x80"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "past U+10FFFF": (b'"\xf4\x90\x80\x80"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "invalid UTF-8": (b'"\xff"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "invalid UTF-8 that nobody asked for": (b'{"a":1,"x":"\xff"}', False, MALFORMED, MALFORMED, Record(1), MALFORMED),
    "byte order mark": (b"\xef\xbb\xbf1", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "NUL": (b'"\0"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "NUL after it": (b"1\0", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "escaped NUL": (b'"\\u0000"', True, "text", "\0", DECODE, "\0"),
    "control character": (b'"\x1f"', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "a key twice": (b'{"a":1,"a":2}', True, "text", {"a": 2}, Record(2), {"a": 2}),
    "closes its envelope": (b'{"a":1}},"x":{"y":1', False, b'{"a":1}', {"a": 1}, Record(1), {"a": 1}),
    "closes its frame": (b'1}}}{"x":{"y":{"z":1', False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "two values": (b"1 2", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "nothing": (b"", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "leading zero": (b"01", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "trailing comma": (b"[1,]", False, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
}
TEXTS = [pytest.param(text, *expected, id=name) for name, (text, *expected) in TABLE.items()]


@pytest.fixture(scope="module", params=[pytest.param("_frames", marks=pytest.mark.compiled), "wire.frames_py"])
def twin(request):
    return oracles.Twin(request.param)


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(max_workers=2) as pool:
        yield pool


@pytest.mark.parametrize(("text", "is_json", "as_text", "as_data", "as_struct", "as_model"), TEXTS)
def test_what_a_text_is_as_a_row(twin, text, is_json, as_text, as_data, as_struct, as_model):
    assert twin.frames.is_json(text) is is_json
    for kind, expected in ((bytes, as_text), (None, as_data), (Record, as_struct), (Anything, as_model)):
        ended, value = outcome(twin, kind, text)
        if isinstance(expected, type):
            assert ended is expected, (kind, value)
        else:
            assert ended is None, (kind, value)
            shown = {None: lambda row: row.payload, Anything: lambda model: model.root}.get(kind, lambda row: row)(
                value
            )
            if text.startswith(b"["):
                assert type(shown) is (bytes if kind is bytes else list)
            else:
                assert shown == (text if expected == "text" else expected)


def outcome(twin, kind, text):
    """Through the reader, the cursor and the decoder of a stream."""
    decoder = twin.row_decoders.RowDecoder(kind, "rows")
    reader = twin.frames.FrameReader(1 << 21)
    reader.feed(twin.frames.encode_row("rows", 0, text, 1 << 21))
    cursor = twin.frames.RowCursor(reader, twin.frames.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
    try:
        if not cursor.fill():
            reader.take()
        return None, next(cursor)
    except lw.LeanWorkerError as error:
        assert len(str(error)) < 2000
        return type(error), error


@pytest.mark.parametrize("text", [text for text, is_json, *_ in TABLE.values() if not is_json])
def test_a_child_lets_no_such_row_out(frames_impl, text, tmp_path):
    with open(tmp_path / "frames", "wb") as file:
        writer = frames_impl.RowWriter(file.fileno(), 1 << 21)
        writer.begin(False)
        assert writer.row("rows", text) == frames_impl.STATUS_MALFORMED
        assert "not valid JSON" in writer.finish()[2]
    assert (tmp_path / "frames").read_bytes() == b""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"7" * 1_000_000, None),
        (b"[" * 512 + b"]" * 512, None),
        (b"[" * 100_000, lw.errors.MalformedFrame),
        (b'"\\ud800"', lw.errors.MalformedFrame),
        (b'"\xed\xa0\x80"', lw.errors.MalformedFrame),
        (b"NaN", lw.errors.MalformedFrame),
        (b"\xef\xbb\xbf1", lw.errors.MalformedFrame),
        (b'1},"x":{"y":1', None),
        (b'{"a":1,"a":2}', None),
    ],
    ids=lambda value: None if isinstance(value, bytes) else getattr(value, "__name__", "read"),
)
def test_messages_are_read_in_full(frames_impl, body, kind):
    reader = frames_impl.FrameReader(1 << 21)
    reader.feed(frames_impl.encode_message("surprise", body, 1 << 21))
    if kind is None:
        (message,) = reader.take()
        assert message.type == "surprise" and body.startswith(message.body)
        with pytest.raises(lw.errors.UnexpectedMessage):
            protocol.decode(message)
    else:
        with pytest.raises(kind) as caught:
            reader.take()
        assert len(str(caught.value)) < 1000


def test_in_an_envelope_the_last_of_two_keys_counts(frames_impl):
    body = b'{"version":9,"version":10,"message":{"type":"x","type":"data_row","body":{"stream":"s","sequence":0,"payload":1}}}'
    reader = frames_impl.FrameReader()
    reader.feed(frames_impl.encode_frame(body))
    assert reader.take() == [frames_impl.Row("s", 0, b"1")]


@pytest.mark.parametrize(
    "sequence", [b"-1", b"1.0", b"1e0", b"18446744073709551616", b"9" * 5000, b"01", b'"1"', b"null"]
)
def test_a_sequence_is_an_unsigned_integer_of_64_bits(frames_impl, sequence):
    body = frames_impl.encode_row("rows", 7, b"1")[4:].replace(b'"sequence":7', b'"sequence":' + sequence)
    reader = frames_impl.FrameReader()
    reader.feed(frames_impl.encode_frame(body))
    with pytest.raises(lw.errors.MalformedFrame):
        reader.take()


def test_an_error_is_short_whatever_was_sent():
    for message in (Message("x" * 100_000, b"{}"), Message("response", b'{"status":"%b"}' % (b"x" * 100_000))):
        with pytest.raises(lw.errors.UnexpectedMessage) as caught:
            protocol.decode(message)
        assert len(str(caught.value)) < 1000


def test_no_stack_is_too_deep_for_a_typed_error():
    def below(levels):
        return below(levels - 1) if levels else protocol.decode(message)

    message = Message("request", b'{"op":"x","y":' + b"[" * 900 + b"]" * 900 + b"}")
    with pytest.raises(lw.errors.UnexpectedMessage):
        below(400)


# -- hosted code that emits such texts, in a real worker --


@pytest.mark.parametrize("text", ['"\\ud800"', "7" * 100_000, "[" * 1000 + "]" * 1000])
@pytest.mark.parametrize("kind", [None, Record])
def test_json_without_a_python_value_is_no_breach_of_the_protocol(pool, text, kind):
    command = lw.StreamingCommand("raw_rows", row=kind)
    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.DecodeError) as caught:
            lease.collect(command, {"rows": ['{"a":1}', text], "summary": "null"})
        assert (caught.value.rows_delivered, caught.value.sequence) == (1, 1)
        assert not lease.is_stale
        assert lease.collect(lw.StreamingCommand("raw_rows", row=bytes), {"rows": [text], "summary": "null"}).rows == [
            text.encode()
        ]


@pytest.mark.parametrize("text", ['"\\ud800"', "[" * 513 + "]" * 513, "NaN", "1 2"])
def test_a_summary_that_cannot_travel_is_refused_by_the_child(pool, text):
    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.errors.RowMalformed, match="summary metadata"):
            lease.collect(lw.StreamingCommand("raw_rows"), {"rows": [], "summary": text})
        with pytest.raises(lw.CommandFailed):
            lease.metadata("raw_answer", text)
        assert not lease.is_stale
        summary = lease.collect(lw.StreamingCommand("raw_rows"), {"rows": [], "summary": "[" * 512 + "]" * 512}).summary
        assert summary.total_rows == 0


@pytest.mark.parametrize("text", ["NaN", '"\\ud800"', "[" * 1100 + "]" * 1100, "", "1 2", "\0"])
def test_an_answer_that_is_no_value_is_the_hosted_codes(pool, text):
    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.DecodeError):
            lease.call(lw.JsonCommand("raw_answer"), text)
        assert not lease.is_stale


def test_a_failure_that_has_no_utf8_form(pool):
    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.CommandFailed, match=r"no UTF-8 form: \\ud800"):
            lease.call(lw.JsonCommand("fail_unspeakably"))
        assert not lease.is_stale and lease.call(lw.JsonCommand("echo"), 1) == 1


REQUESTS = ["NaN", '"\\ud800"', "[" * 5000, "7" * 100_000, "", "\0", "\ufeff1", '{"a":1,"a":2}', "1},"]


@pytest.fixture
def client():
    client = Client(_python_argv())
    assert client.hear() is not None
    yield client
    client.close()


def answers(client, count):
    found = []
    while len(found) < count:
        for item in client.hear():
            body = protocol.decode(item)
            if isinstance(body, protocol.Response):
                found.append(body)
    return found


def test_requests_whose_text_is_no_json(client):
    client.say(protocol.encode(protocol.ConfigureFrameLimit(1 << 20)))
    for text in REQUESTS:
        client.say(protocol.encode(protocol.RunJsonCommand("echo", text)))
        (answer,) = answers(client, 1)
        assert isinstance(answer, protocol.JsonResult if text == '{"a":1,"a":2}' else protocol.ErrorResponse), text


@pytest.mark.parametrize("field", ["op", "export", "type"])
def test_a_refusal_fits_the_frame_whatever_is_refused(client, field):
    """It quoted what it refused: a name that grew over the limit by its escapes was never answered."""
    client.say(protocol.encode(protocol.ConfigureFrameLimit(1 << 16)))
    name = "\x01" * 10_000
    body = {"op": "json_command", "export": "echo", "request_json": "1"} | ({} if field == "type" else {field: name})
    if field == "type":
        client.say(protocol.encode_message("'" * 60_000, b"{}"))
    else:
        client.say(protocol.encode_message("request", json.dumps(body).encode(), 1 << 20))
    (answer,) = answers(client, 1)
    assert isinstance(answer, protocol.ErrorResponse)
    client.say(protocol.encode(protocol.Health()))
    assert answers(client, 1) == [protocol.HealthOk()]


@pytest.mark.parametrize("limit", [0, 1, 65_535, (1 << 28) + 1, 10**30, -1])
def test_a_frame_limit_out_of_range_ends_the_child(client, limit):
    """A child took over any limit, and could then answer nothing."""
    client.say(protocol.encode_message("configure_frame_limit", b'{"max_frame_bytes":%d}' % limit))
    assert client.hear() is None
    assert client.close() == protocol.EXIT_CHANNEL_LOST


@pytest.mark.lean
def test_real_lean_takes_any_text(pool):
    with pool.lease(INTEROP) as lease:
        for text in ("\0", "\ufeff", "\U0010ffff", "a" * 100_000, '"\\', "\x1f", "é∀🎲"):
            assert lease.call(lw.JsonCommand("echo"), text) == text
        assert not lease.is_stale
