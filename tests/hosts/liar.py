"""A child that speaks the protocol wrongly, in the way that its argument names. It uses no part of lean_worker."""

from __future__ import annotations

import json
import os
import sys
import time


def frame(message, version=10):
    body = json.dumps({"version": version, "message": message}, separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


def handshake(protocol_version=10, version=10):
    body = {"worker_version": "0.0.1", "protocol_version": protocol_version}
    return frame({"type": "handshake", "body": body}, version)


def row(sequence, payload=None, stream="rows"):
    body = {"stream": stream, "sequence": sequence, "payload": {"i": sequence} if payload is None else payload}
    return frame({"type": "data_row", "body": body})


def complete(total, counts=None):
    counts = {"rows": total} if counts is None else counts
    summary = {"total_rows": total, "per_stream_counts": counts, "elapsed_micros": 1, "metadata": None}
    return frame({"type": "response", "body": {"status": "stream_complete", "summary": summary}})


def send(data):
    while data:
        data = data[os.write(1, data) :]


def read_frame():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        os._exit(0)
    return json.loads(sys.stdin.buffer.read(int.from_bytes(prefix, "big")))["message"]


def hang():
    while True:
        time.sleep(60)


def before_requests(how):
    if how == "print_garbage":
        send(b"Hello, I am no worker at all.\n" * 20)
    elif how == "silent":
        hang()
    elif how == "exit_at_once":
        sys.stderr.write("cannot go on like this\n")
        sys.stderr.flush()
        os._exit(3)
    elif how == "wrong_protocol_version":
        send(handshake(protocol_version=11))
    elif how == "wrong_frame_version":
        send(handshake(version=9))
    elif how == "row_first":
        send(row(0))
    else:
        return
    hang()


ANSWERS = {
    "garbage": lambda: send(row(0) + b"\xff" * 64),
    "malformed_payload": lambda: send(
        row(0)
        + (lambda body: len(body).to_bytes(4, "big") + body)(
            b'{"version":10,"message":{"type":"data_row","body":{"stream":"rows","sequence":1,"payload":{not-json}}}'
        )
    ),
    "oversized": lambda: send(row(0) + (200 << 20).to_bytes(4, "big") + b"{"),
    "sequence_gap": lambda: send(row(0) + row(2) + complete(2)),
    "sequence_repeat": lambda: send(row(0) + row(0) + complete(2)),
    "wrong_total": lambda: send(row(0) + row(1) + complete(3)),
    "wrong_stream_counts": lambda: send(row(0) + row(1) + complete(2, {"rows": 1, "other": 1})),
    "unknown_message": lambda: send(row(0) + frame({"type": "surprise", "body": {}})),
    "wrong_response": lambda: send(row(0) + frame({"type": "response", "body": {"status": "health_ok"}})),
    "answers_health": lambda: send(frame({"type": "response", "body": {"status": "health_ok"}})),
    "second_handshake": lambda: send(row(0) + handshake()),
    "frames_after_response": lambda: send(row(0) + complete(1) + row(1)),
    "cut_frame": lambda: (send(row(0) + row(1)[:40]), os._exit(0)),
    "closed_pipe": lambda: (send(row(0)), os.close(1), hang()),
    "no_requests_read": hang,
    "row_then_hang": lambda: (send(row(0)), hang()),
    "good": lambda: send(row(0) + row(1) + complete(2)),
    "other_spelling": lambda: send(
        (lambda body: len(body).to_bytes(4, "big") + body)(
            b'{ "message" : {"type":"data_row","body":{"payload": {"i": 0 },"sequence":0,"stream":"rows","extra":1}},"version":10}'
        )
        + complete(1)
    ),
    "early_close": lambda: send(
        (lambda body: len(body).to_bytes(4, "big") + body)(
            b'{"version":10,"message":{"type":"data_row","body":{"stream":"rows","sequence":0,"payload":{"i":0}},"x":{"y":1}}}'
        )
        + complete(1)
    ),
}


def main(how):
    before_requests(how)
    send(handshake())
    read_frame()
    if how == "unasked":
        send(row(0))
    if how in ("no_requests_read", "unasked"):
        hang()
    while True:
        message = read_frame()
        body = message["body"]
        if body.get("op") == "terminate":
            send(frame({"type": "response", "body": {"status": "terminating"}}))
            return
        ANSWERS[how]()


main(sys.argv[1])
