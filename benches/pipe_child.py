"""The writing end of `pipe.py`: sends the rows of a workload each time a line comes in, spelled as asked.

    python pipe_child.py SPELLING WRITES WORKLOAD COUNT

SPELLING is frames (of our protocol, with handshake and terminal), lines (of JSON), or pickles
(`multiprocessing.Connection`); WRITES is each (a write a row) or buffered (64 KiB a write). All but pickles is made
before it is asked for, so that the writer costs little more than its system calls.
"""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection

import msgspec
import workloads

from lean_worker.wire import frames

WRITE_BYTES = 1 << 16
HANDSHAKE = b'{"worker_version":"bench","protocol_version":10}'
COMMANDS: dict[str, object] = {}
"""As a Python host it offers nothing: what is timed is its start."""


def send(pieces: list[bytes], fd: int) -> None:
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(fd, rest) :]


def pieces_of(rows: list[bytes], writes: str) -> list[bytes]:
    if writes == "each":
        return rows
    data = b"".join(rows)
    return [data[at : at + WRITE_BYTES] for at in range(0, len(data), WRITE_BYTES)]


def main(spelling: str, writes: str, name: str, count: int) -> None:
    workload = getattr(workloads, name)(count)
    out, requests = os.dup(1), os.dup(0)
    if spelling == "pickles":
        connection = Connection(out, readable=False)
        rows = [(stream, number, msgspec.json.decode(text)) for stream, number, text in workload.rows]
        while os.read(requests, 1 << 16):
            for row in rows:
                connection.send(row)
        return
    if spelling == "lines":
        pieces = pieces_of([text + b"\n" for _, _, text in workload.rows], writes)
    else:
        counts: dict[str, int] = {}
        for stream, _, _ in workload.rows:
            counts[stream] = counts.get(stream, 0) + 1
        summary = {"total_rows": count, "per_stream_counts": counts, "elapsed_micros": 0, "metadata": None}
        response = msgspec.json.encode({"status": "stream_complete", "summary": summary})
        pieces = [
            *pieces_of([frames.encode_row(*row) for row in workload.rows], writes),
            frames.encode_message("response", response),
        ]
        send([frames.encode_message("handshake", HANDSHAKE)], out)
        reader = frames.FrameReader()
        while data := os.read(requests, 1 << 16):
            reader.feed(data)
            for message in reader.take():
                if b'"run_data_stream"' in message.body:
                    send(pieces, out)
                elif b'"terminate"' in message.body:
                    return
    while os.read(requests, 1 << 16):
        send(pieces, out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
