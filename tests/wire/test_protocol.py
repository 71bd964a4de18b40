"""Message shapes: canonical bytes, unknown keys, and conversations with the child as a foreign parent has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from lean_worker.errors import FrameTooLarge, UnexpectedMessage
from lean_worker.wire import protocol
from lean_worker.wire.envelope import Message
from lean_worker.wire.frames import FrameReader, Row
from support import HOSTS

VECTORS = {
    vector["name"]: vector["body"]
    for vector in map(json.loads, (Path(__file__).parents[1] / "data" / "frames.jsonl").read_text().splitlines())
}

MESSAGES = {
    "configure_frame_limit_65536": protocol.ConfigureFrameLimit(65536),
    "request_health": protocol.Health(),
    "request_terminate": protocol.Terminate(),
    "request_run_data_stream_progress": protocol.RunDataStream("x", "null", True),
    "request_json_command": protocol.RunJsonCommand("Café.cmd", '{"q":1}'),
    "request_capability_metadata": protocol.CapabilityMetadata("m", "{}"),
    "request_capability_doctor": protocol.CapabilityDoctor("d", "{}"),
    "response_health_ok": protocol.HealthOk(),
    "response_terminating": protocol.Terminating(),
    "response_json_command": protocol.JsonResult('{"accepted":true,"kind":"fixture"}'),
    "response_stream_complete": protocol.StreamComplete(
        protocol.WireSummary(3, {"rows": 2, "α-warnings": 1}, 812, msgspec.Raw(b'{"fixture":"demo","ok":true}'))
    ),
    "response_stream_complete_no_metadata": protocol.StreamComplete(protocol.WireSummary(0, {}, 0)),
    "response_stream_export_failed": protocol.StreamExportFailed(7),
    "response_stream_callback_failed": protocol.StreamCallbackFailed(3, 'wrong "payload"'),
    "response_stream_row_malformed": protocol.StreamRowMalformed("expected value at line 1 column 2"),
    "response_error": protocol.ErrorResponse("lean_rs.worker.session_missing", "open a session first\n"),
    "diagnostic": protocol.DiagnosticBody("scan.started", "scan started — 100 %"),
    "progress_tick_unknown_total": protocol.ProgressBody("data_stream", 3),
    "progress_tick_total": protocol.ProgressBody("scale.index", 4, 4),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_spelled_as_the_original_spells_them(name):
    assert protocol.encode(MESSAGES[name])[4:].decode() == VECTORS[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_read_back(name):
    reader = FrameReader()
    reader.feed(protocol.encode(MESSAGES[name]))
    (message,) = reader.take()
    assert protocol.decode(message) == MESSAGES[name]


def test_a_handshake_with_unknown_keys():
    message = Message("handshake", b'{"worker_version":"9","protocol_version":10,"features":["cancel"],"later":{}}')
    assert protocol.decode(message).features == ["cancel"]


def test_unknown_messages_name_what_is_known_of_them():
    with pytest.raises(UnexpectedMessage, match="surprise"):
        protocol.decode(Message("surprise", b"{}"))
    with pytest.raises(UnexpectedMessage) as caught:
        protocol.decode(Message("request", b'{"op":"elaborate","source":"x"}'))
    assert caught.value.op == "elaborate"


def test_a_message_over_the_limit():
    with pytest.raises(FrameTooLarge):
        protocol.encode(protocol.RunJsonCommand("c", "x" * 100_000), 65_536)


class RawParent:
    """The pipe to a real child, with nothing of the supervising side in between."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lean_worker.child", "python", "functions:COMMANDS"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=HOSTS,
        )
        self.reader = FrameReader()
        self.items = []
        self.ended = None

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def next(self):
        while not self.items:
            data = self.process.stdout.read1(65536)
            if not data:
                return None
            self.reader.feed(data)
            self.items = self.reader.take()
        return self.items.pop(0)

    def next_message(self):
        item = self.next()
        return item if item is None or isinstance(item, Row) else protocol.decode(item)

    def open(self):
        handshake = self.next_message()
        self.send(protocol.encode(protocol.ConfigureFrameLimit(65_536)))
        return handshake

    def end(self):
        if self.ended is None:
            self.process.stdin.close()
            code = self.process.wait(20)
            self.ended = code, self.process.stderr.read().decode()
            self.process.stdout.close()
            self.process.stderr.close()
        return self.ended


@pytest.fixture
def parent():
    parent = RawParent()
    yield parent
    parent.end()


def test_a_whole_conversation(parent):
    handshake = parent.open()
    assert handshake.protocol_version == 10
    parent.send(protocol.encode(protocol.Health()))
    assert parent.next_message() == protocol.HealthOk()
    parent.send(protocol.encode(protocol.RunDataStream("two_streams", "null")))
    assert [(row.stream, row.sequence) for row in (parent.next(), parent.next(), parent.next())] == [
        ("left", 0),
        ("right", 0),
        ("left", 1),
    ]
    summary = parent.next_message().summary
    assert (summary.total_rows, summary.per_stream_counts) == (3, {"left": 2, "right": 1})
    parent.send(protocol.encode(protocol.Terminate()))
    assert parent.next_message() == protocol.Terminating()
    assert parent.next() is None
    assert parent.end()[0] == 0


def test_progress_ticks_when_asked_for(parent):
    parent.open()
    parent.send(protocol.encode(protocol.RunDataStream("two_streams", "null", True)))
    ticks = []
    while True:
        message = parent.next_message()
        if isinstance(message, protocol.ProgressBody):
            ticks.append((message.phase, message.current, message.total))
        elif isinstance(message, protocol.StreamComplete):
            break
    assert ticks == [("data_stream", n, None) for n in (0, 1, 2, 3)]


@pytest.mark.parametrize("op", ["elaborate", "open_the_pod_bay_doors"])
def test_an_unknown_request_is_answered_and_the_child_lives(parent, op):
    parent.open()
    body = b'{"version":10,"message":{"type":"request","body":{"op":"%s","source":"x"}}}' % op.encode()
    parent.send(len(body).to_bytes(4, "big") + body)
    answer = parent.next_message()
    assert answer.code == protocol.CODE_UNSUPPORTED and op in answer.message
    parent.send(protocol.encode(protocol.Health()))
    assert parent.next_message() == protocol.HealthOk()


def test_a_message_that_is_no_request_is_answered_and_the_child_lives(parent):
    parent.open()
    parent.send(protocol.encode(protocol.HealthOk()))
    assert parent.next_message().code == protocol.CODE_UNEXPECTED_FRAME
    parent.send(protocol.encode(protocol.Health()))
    assert parent.next_message() == protocol.HealthOk()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "closed the request pipe"),
        (b"\xff\xff\xff\xff", "4294967295"),
        (b"\x00\x00\x00\x04oops", "lean-worker child"),
        (protocol.encode(protocol.Health()), "expected configure_frame_limit"),
    ],
)
def test_a_broken_request_pipe_ends_the_child(parent, data, words):
    parent.next_message()
    parent.send(data)
    code, stderr = parent.end()
    assert code == protocol.EXIT_CHANNEL_LOST
    assert words in stderr
