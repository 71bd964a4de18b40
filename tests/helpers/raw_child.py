"""A Lean worker process driven through raw frames, for tests of the child without the parent side."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from lean_worker.wire.envelope import Message
from lean_worker.wire.frames import FrameReader, Row, encode_message
from support import embedded_library

LEAN = Path(__file__).parents[1] / "lean"
LIMIT_BYTES = 1 << 20


class Child:
    """One worker process; its stderr is drained all the time, as a parent has to."""

    def __init__(self, *arguments: str, script: Path = LEAN / "Interop.lean", **env: str) -> None:
        argv = [sys.executable, "-m", "lean_worker.child", "lean", "--library", str(embedded_library())]
        self.process = subprocess.Popen(
            [*argv, "--script", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env},
        )
        self.stderr = bytearray()
        self._drain = threading.Thread(target=self._drain_stderr)
        self._drain.start()
        self._reader = FrameReader(LIMIT_BYTES)
        self._items: Iterator[Row | Message] = iter(())

    def _drain_stderr(self) -> None:
        assert self.process.stderr is not None
        while data := self.process.stderr.read1(1 << 16):
            self.stderr += data

    def receive(self) -> Row | Message | None:
        """The next frame; None at the end."""
        assert self.process.stdout is not None
        while (item := next(self._items, None)) is None:
            data = os.read(self.process.stdout.fileno(), 1 << 18)
            if not data:
                return None
            self._reader.feed(data)
            self._items = iter(self._reader.take())
        return item

    def send(self, type: str, **body: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode_message(type, json.dumps(body).encode()))
        self.process.stdin.flush()

    def greet(self) -> Child:
        handshake = self.receive()
        assert isinstance(handshake, Message) and handshake.type == "handshake", bytes(self.stderr).decode()
        self.send("configure_frame_limit", max_frame_bytes=LIMIT_BYTES)
        return self

    def begin(self, export: str, request: str = "null", op: str = "run_data_stream") -> None:
        progress = {"progress": False} if op == "run_data_stream" else {}
        self.send("request", op=op, export=export, request_json=request, **progress)

    def finish(self) -> tuple[list[Row], list[Message], dict | None]:
        """The rest of a request: rows, events, and the response (None if the process ended first)."""
        rows: list[Row] = []
        events: list[Message] = []
        while (item := self.receive()) is not None:
            if isinstance(item, Row):
                rows.append(item)
            elif item.type == "response":
                return rows, events, json.loads(item.body)
            else:
                events.append(item)
        return rows, events, None

    def run(
        self, export: str, request: str = "null", op: str = "run_data_stream"
    ) -> tuple[list[Row], list[Message], dict | None]:
        self.begin(export, request, op)
        return self.finish()

    def end(self, timeout: float = 60) -> tuple[int, str]:
        """Wait for the process: its exit code and all it said on stderr."""
        assert self.process.stdin is not None and self.process.stdout is not None
        code = self.process.wait(timeout)
        self._drain.join(timeout)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()  # type: ignore[union-attr]
        return code, bytes(self.stderr).decode("utf-8", "replace")


@contextlib.contextmanager
def starter() -> Iterator[Callable[..., Child]]:
    """Gives a function that starts children, and ends those afterwards."""
    started: list[Child] = []

    def start(*arguments: str, **options: object) -> Child:
        started.append(Child(*arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    try:
        yield start
    finally:
        for child in started:
            child.process.kill()
            child.end()
