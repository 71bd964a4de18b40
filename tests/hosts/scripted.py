"""A child that follows the protocol up to one point and does one thing there; it uses no part of lean_worker.

    scripted.py WHEN HOW

WHEN is a key of `POINTS`, HOW one of `DEEDS`. A stream has four rows. After the deed the child goes on as if nothing had
happened if it can, so that what is no failure is seen to be none.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

ROWS = 4
WHEN = HOW = ""


def framed(body):
    return len(body).to_bytes(4, "big") + body


def frame(message, version=10):
    return framed(json.dumps({"version": version, "message": message}, separators=(",", ":")).encode())


def row(sequence):
    return frame({"type": "data_row", "body": {"stream": "rows", "sequence": sequence, "payload": {"i": sequence}}})


def complete(total):
    summary = {"total_rows": total, "per_stream_counts": {"rows": total}, "elapsed_micros": 1, "metadata": None}
    return frame({"type": "response", "body": {"status": "stream_complete", "summary": summary}})


HANDSHAKE = frame({"type": "handshake", "body": {"worker_version": "0.0.1", "protocol_version": 10}})


def send(data):
    while data:
        data = data[os.write(1, data) :]


def hang():
    while True:
        time.sleep(60)


def die(number):
    os.kill(os.getpid(), number)
    hang()


def send_and_hang(data):
    send(data)
    hang()


def flood():
    for _ in range(2048):
        os.write(2, b"e" * 511 + b"\n")


def close(descriptor):
    os.close(descriptor)
    hang()


DEEDS = {
    "exit0": lambda: os._exit(0),
    "exit1": lambda: os._exit(1),
    "sigkill": lambda: die(signal.SIGKILL),
    "sigsegv": lambda: die(signal.SIGSEGV),
    "abort": lambda: die(signal.SIGABRT),
    "hang": hang,
    "garbage": lambda: send_and_hang(b"\xff" * 256),
    "oversized": lambda: send_and_hang((200 << 20).to_bytes(4, "big") + b"{" * 252),
    "wrong_version": lambda: send_and_hang(frame({"type": "handshake", "body": {}}, version=9) * 4),
    "sequence_gap": lambda: send_and_hang(row(17) * 4),
    "wrong_count": lambda: send_and_hang(complete(17) * 2),
    "stderr_flood": flood,
    "stray_print": lambda: send(b"hello from a stray print\n" * 10),
    "closes_stdout": lambda: close(1),
    "closes_stdin": lambda: os.close(0),
}


def at(point, data=b""):
    """Do the deed in front of `data`, or in the middle of it, if this is the point for it; and send `data`."""
    if point != WHEN:
        send(data)
        return
    cut = {"handshake": 10, "mid_header": 2, "mid_body": 4 + 40}.get(point, 0)
    send(data[:cut])
    DEEDS[HOW]()
    send(data[cut:])


def read_frame():
    try:
        prefix = os.read(0, 4)
        if len(prefix) == 4:
            return json.loads(os.read(0, int.from_bytes(prefix, "big")))["message"]
    except OSError:
        hang()  # its own deed closed the descriptor
    os._exit(0)


def main():
    at("spawn")
    at("handshake", HANDSHAKE)
    read_frame()
    while True:
        message = read_frame()
        if message["body"].get("op") == "terminate":
            send(frame({"type": "response", "body": {"status": "terminating"}}))
            return
        at("before_first_row", row(0))
        at("mid_header", row(1))
        at("mid_body", row(2))
        at("between_rows", row(3))
        at("before_terminal")
        late = {"sequence_gap": row(ROWS), "wrong_count": complete(17)}.get(HOW, b"")
        if WHEN == "after_terminal" and late:
            # In one write with what it follows, so that nobody can see the one without the other.
            send_and_hang(complete(ROWS) + late)
        send(complete(ROWS))
        at("after_terminal")


WHEN, HOW = sys.argv[1:]
main()
