"""The hosted program of `batching.py`: emits rows live, each in a write of its own, or 64 in one private batch frame.

    python batching_child.py row|batch COUNT

The request `null` sends COUNT rows as fast as it can, "paced" sends 256 rows with a millisecond between them (and says
in each when that was), "die" emits 1000 rows and is then killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import msgspec
import workloads
from pipe_child import HANDSHAKE, send

from lean_worker.wire import frames

BATCH_ROWS = 64


class Writer:
    """Puts rows on the pipe, one by one or by 64."""

    def __init__(self, fd: int, batched: bool) -> None:
        self._fd = fd
        self._size = BATCH_ROWS if batched else 1
        self._waiting: list[bytes] = []
        self._rows: dict[str, int] = {}

    def row(self, stream: str, text: bytes) -> None:
        number = self._rows.get(stream, 0)
        self._rows[stream] = number + 1
        frame = frames.encode_row(stream, number, text)
        if self._size == 1:
            os.write(self._fd, frame)
            return
        self._waiting.append(b'{"stream":"%b","sequence":%d,"payload":%b}' % (stream.encode(), number, text))
        if len(self._waiting) == self._size:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            send([frames.encode_message("data_rows", b"[" + b",".join(self._waiting) + b"]")], self._fd)
            self._waiting.clear()

    def finish(self) -> None:
        self.flush()
        summary = {"total_rows": sum(self._rows.values()), "per_stream_counts": self._rows, "elapsed_micros": 0}
        response = {"status": "stream_complete", "summary": {**summary, "metadata": None}}
        send([frames.encode_message("response", msgspec.json.encode(response))], self._fd)


def main(batched: bool, count: int) -> None:
    out, requests = os.dup(1), os.dup(0)
    rows = [(stream, text) for stream, _, text in workloads.small(count).rows]
    send([frames.encode_message("handshake", HANDSHAKE)], out)
    reader = frames.FrameReader()
    while data := os.read(requests, 1 << 16):
        reader.feed(data)
        for message in reader.take():
            if b'"terminate"' in message.body:
                return
            if b'"run_data_stream"' not in message.body:
                continue
            writer = Writer(out, batched)
            if b"paced" in message.body:
                for _ in range(256):
                    time.sleep(0.001)
                    writer.row("rows", b"%d" % time.monotonic_ns())
            elif b"die" in message.body:
                for i in range(1000):
                    writer.row("rows", b"%d" % i)
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                for stream, text in rows:
                    writer.row(stream, text)
            writer.finish()


if __name__ == "__main__":
    main(sys.argv[1] == "batch", int(sys.argv[2]))
