"""A small child that does what each request says, and heeds `cancel`; it uses no part of lean_worker.

A request is {"rows": N, "then": HOW}: N rows, then "ok", "fail", "exit", "hang", "gap", "endless" (rows until it is
cancelled), or "late_exit": success, and its end right after that.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time


def frame(message):
    body = json.dumps({"version": 10, "message": message}, separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


def send(message):
    data = frame(message)
    while data:
        data = data[os.write(1, data) :]


def row(sequence):
    send({"type": "data_row", "body": {"stream": "rows", "sequence": sequence, "payload": sequence}})


def respond(**body):
    send({"type": "response", "body": body})


def complete(total):
    summary = {"total_rows": total, "per_stream_counts": {"rows": total}, "elapsed_micros": 1, "metadata": None}
    respond(status="stream_complete", summary=summary)


def receive():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        os._exit(0)
    return json.loads(sys.stdin.buffer.read(int.from_bytes(prefix, "big")))["message"]


def cancelled():
    if not select.select([0], [], [], 0)[0]:
        return False
    assert receive()["type"] == "cancel"
    respond(status="error", code="lean_worker.cancelled", message="cancelled")
    return True


def obey(rows, then):
    for sequence in range(rows):
        row(sequence)
    if then == "exit":
        os._exit(3)
    elif then == "hang":
        time.sleep(600)
    elif then == "gap":
        row(rows + 1)
        complete(rows + 1)
    elif then == "fail":
        respond(status="error", code="test.fail", message="as asked")
    elif then == "endless":
        while not cancelled():
            row(rows)
            rows += 1
    else:
        complete(rows)
        if then == "late_exit":
            os._exit(0)


def main():
    send({"type": "handshake", "body": {"worker_version": "0", "protocol_version": 10, "features": ["cancel"]}})
    receive()
    while True:
        message = receive()
        if message["type"] == "cancel":
            continue  # it came after the response that it meant to stop
        body = message["body"]
        if body["op"] == "terminate":
            respond(status="terminating")
            return
        request = json.loads(body["request_json"])
        obey(request["rows"], request["then"])


main()
