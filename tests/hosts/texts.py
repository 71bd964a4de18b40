"""A child whose rows are the texts that its request lists, as they stand; it uses no part of lean_worker."""

from __future__ import annotations

import json
import os
import sys

HEAD = b'{"version":10,"message":'


def send(text):
    body = HEAD + text + b"}"
    sys.stdout.buffer.write(len(body).to_bytes(4, "big") + body)
    sys.stdout.buffer.flush()


def read_frame():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        os._exit(0)
    return json.loads(sys.stdin.buffer.read(int.from_bytes(prefix, "big")))["message"]


send(b'{"type":"handshake","body":{"worker_version":"0.0.1","protocol_version":10,"features":["cancel"]}}')
read_frame()
while True:
    body = read_frame()["body"]
    if body.get("op") != "run_data_stream":
        if body.get("op") == "terminate":
            send(b'{"type":"response","body":{"status":"terminating"}}')
        continue
    texts = json.loads(body["request_json"])
    for number, text in enumerate(texts):
        payload = text.encode()
        send(b'{"type":"data_row","body":{"stream":"rows","sequence":%d,"payload":%b}}' % (number, payload))
    summary = b'{"total_rows":%d,"per_stream_counts":{"rows":%d},"elapsed_micros":1,"metadata":null}' % (
        len(texts),
        len(texts),
    )
    send(b'{"type":"response","body":{"status":"stream_complete","summary":%b}}' % summary)
