"""Scripted workers that several test files share: children that fail at a point of the protocol, and children that lie.

They live until the tests are over; each has a key of its own, and with it failures that are counted apart.
"""

from __future__ import annotations

import contextlib
import functools

from lean_worker.testing import (
    CloseInput,
    CloseOutput,
    Crash,
    Cut,
    Exit,
    FakeWorker,
    Gate,
    Handshake,
    Hang,
    MalformedRow,
    Print,
    RawBytes,
    RawMessage,
    Receive,
    Row,
    StderrFlood,
    Summary,
    fake_worker,
)

_fakes = contextlib.ExitStack()


def close_fakes() -> None:
    """Remove their files; `conftest` does so at the end."""
    _fakes.close()


def fake(commands, startup=()) -> FakeWorker:
    """A scripted worker that lives until the tests are over."""
    return _fakes.enter_context(fake_worker(commands, startup=startup))


# -- one deed at one point --

DEEDS = {
    "exit0": [Exit(0)],
    "exit1": [Exit(1)],
    "sigkill": [Crash("SIGKILL")],
    "sigsegv": [Crash("SIGSEGV")],
    "abort": [Crash("SIGABRT")],
    "hang": [Hang()],
    "garbage": [RawBytes(b"\xff" * 256), Hang()],
    "oversized": [RawBytes((200 << 20).to_bytes(4, "big") + b"{" * 252), Hang()],
    "wrong_version": [*[RawMessage("handshake", {}, version=9)] * 4, Hang()],
    "sequence_gap": [*[Row({"i": 17}, sequence=17)] * 4, Hang()],
    "wrong_count": [*[Summary(total_rows=17, per_stream_counts={"rows": 17})] * 2, Hang()],
    "stderr_flood": [StderrFlood(1 << 20)],
    "stray_print": [RawBytes(b"hello from a stray print\n" * 10)],
    "closes_stdout": [CloseOutput(), Hang()],
    "closes_stdin": [CloseInput()],
}


def scripted(when: str, how: str) -> FakeWorker:
    """A child that follows the protocol up to `when`, does there what `how` names, and goes on if it can.

    A stream has four rows. The deed "after_terminal" comes when the gate is open, if it is not one that has to come
    together with the terminal, so that nobody can see the one without the other.
    """
    deed = DEEDS[how]

    def at(point, *steps):
        return [*deed, *steps] if point == when else steps

    def within(point, step, at_bytes):
        return Cut(step, at_bytes, deed) if point == when else step

    late = {"sequence_gap": [Row({"i": 4}), Hang()], "wrong_count": [*DEEDS["wrong_count"]]}.get(how, [Gate(), *deed])
    stream = [
        *at("before_first_row", Row({"i": 0})),
        within("mid_header", Row({"i": 1}), 2),
        within("mid_body", Row({"i": 2}), 4 + 40),
        *at("between_rows", Row({"i": 3})),
        *at("before_terminal", Summary()),
        *(late if when == "after_terminal" else ()),
    ]
    return fake({"rows": stream}, startup=at("spawn", within("handshake", Handshake(features=[]), 10)))


# -- children that lie --


def _framed(body: bytes) -> RawBytes:
    return RawBytes(len(body).to_bytes(4, "big") + body)


def _row(i: int, **options) -> Row:
    return Row({"i": i}, **options)


_ONE_ROW = Summary(total_rows=1, per_stream_counts={"rows": 1})
_STREAMS = {
    "garbage": [_row(0), RawBytes(b"\xff" * 64)],
    "malformed_payload": [_row(0), MalformedRow("{not-json}")],
    "oversized": [_row(0), RawBytes((200 << 20).to_bytes(4, "big") + b"{"), Hang()],
    "sequence_gap": [_row(0), _row(2, sequence=2)],
    "sequence_repeat": [_row(0), _row(0, sequence=0)],
    "wrong_total": [_row(0), _row(1), Summary(total_rows=3)],
    "wrong_stream_counts": [_row(0), _row(1), Summary(per_stream_counts={"rows": 1, "other": 1})],
    "unknown_message": [_row(0), RawMessage("surprise", {}), Hang()],
    "wrong_response": [_row(0), RawMessage("response", {"status": "health_ok"}), Hang()],
    "answers_health": [RawMessage("response", {"status": "health_ok"}), Hang()],
    "second_handshake": [_row(0), Handshake()],
    "frames_after_response": [_row(0), Summary(), _row(1)],
    "cut_frame": [_row(0), Cut(_row(1), 40, [Exit(0)])],
    "closed_pipe": [_row(0), CloseOutput(), Hang()],
    "row_then_hang": [_row(0), Hang()],
    "good": [_row(0), _row(1)],
    "other_spelling": [
        _framed(
            b'{ "message" : {"type":"data_row","body":{"payload": {"i": 0 },"sequence":0,"stream":"rows","extra":1}},"version":10}'
        ),
        _ONE_ROW,
    ],
    "early_close": [
        _framed(
            b'{"version":10,"message":{"type":"data_row","body":{"stream":"rows","sequence":0,"payload":{"i":0}},"x":{"y":1}}}'
        ),
        _ONE_ROW,
    ],
}
_STARTS = {
    "print_garbage": [RawBytes(b"Hello, I am no worker at all.\n" * 20), Hang()],
    "silent": [Hang()],
    "exit_at_once": [Print("cannot go on like this\n"), Exit(3)],
    "wrong_protocol_version": [Handshake(protocol_version=11), Hang()],
    "wrong_frame_version": [
        RawMessage("handshake", {"worker_version": "0", "protocol_version": 10}, version=9),
        Hang(),
    ],
    "row_first": [_row(0), Hang()],
    "unasked": [Handshake(features=[]), Receive(), _row(0), Hang()],
    "no_requests_read": [Handshake(features=[]), Hang()],
}


@functools.cache
def liar(how: str) -> FakeWorker:
    """A child that breaks the protocol in the named way, and cannot be cancelled."""
    if how in _STARTS:
        return fake({}, startup=_STARTS[how])
    return fake({"rows": _STREAMS[how]}, startup=[Handshake(features=[])])
