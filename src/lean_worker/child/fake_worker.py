"""A worker that plays a script: `fake_worker.py DIRECTORY` (see `lean_worker.testing`).

It runs as a file and imports only small parts of the standard library, so it starts at once. It writes its own frames,
because it must be able to write wrong ones. All workers of one fake share DIRECTORY. It holds the script, the requests
that arrived, the counts of attempts, and the gates that the test opens.

Frames of steps that only send are written together, before any other step is played.
"""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would take longer to load than all the rest
    from collections.abc import Callable
    from typing import Any

_BUFFERED_BYTES = 65_536
_GATE_SECONDS = 0.002
_LINE_BYTES = 1024
_NAMES_TOLD = 50
_EXIT_CHANNEL_LOST = 1
_PR_SET_PDEATHSIG = 1


class _Cancelled(Exception):
    """The caller wants the request to stop."""


class FakeWorker:
    """One process that plays a script until `terminate`.

    Args:
        directory: Where the script and the shared counts are.
        requests_fd: Where the parent's frames come from.
        frames_fd: Where frames go.
    """

    def __init__(self, directory: str, requests_fd: int, frames_fd: int) -> None:
        self._directory = directory
        self._requests_fd = requests_fd
        self._frames_fd = frames_fd
        with open(os.path.join(directory, "script.json"), "rb") as file:
            self._script = json.load(file)
        self._buffer = bytearray()
        self._sequences: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._kind = ""
        self._is_answered = True
        self._has_greeted = False

    def run(self) -> None:
        """Start up as scripted, then answer requests until `terminate`."""
        self._play(self._script["startup"], None)
        if not self._has_greeted:
            self._emit(self.handshake(10, ["cancel"]))
        self._flush()
        while True:
            message = self._receive()
            if message["type"] != "request":
                continue  # the frame limit, or a cancel that came after the response it meant to stop
            body = message["body"]
            if body["op"] == "terminate":
                self._respond(status="terminating")
                self._flush()
                return
            if body["op"] == "health":
                self._respond(status="health_ok")
            else:
                self._serve(body)
            self._flush()

    def _serve(self, body: dict[str, Any]) -> None:
        self._kind, name = body["op"], body["export"]
        self._sequences.clear()
        self._sent.clear()
        self._is_answered = False
        request = json.loads(body["request_json"])
        self._note("requests.jsonl", _json({"command": name, "request": request}) + b"\n")
        script = self._script["commands"].get(name)
        if script is None:
            names = ", ".join(self._script["commands"])
            text = f"no command {name!r} is hosted here; there are{f': {names}' if names else ' none'}"
            known = list(self._script["commands"])[:_NAMES_TOLD]
            self._respond(status="error", code="lean_rs.worker.checked_binding", message=text, commands=known)
            return
        try:
            self._play(script, request)
            if not self._is_answered:
                is_stream = self._kind == "run_data_stream"
                self._emit(self.summary(None, None, None, 1000) if is_stream else self.answer(None))
        except _Cancelled:
            self._respond(status="error", code="lean_rs.cancelled", message="cancelled by the caller")

    # -- scripts --

    def _play(self, script: dict[str, Any], request: object) -> None:
        while "steps" not in script:
            if "attempts" in script:
                attempt = self._note(f"attempts-{script['number']}", b".")
                script = script["attempts"][min(attempt, len(script["attempts"])) - 1]
            else:
                cases = (case for value, case in script["cases"] if _is_same(value, request))
                script = next(cases, script["otherwise"])
        self._play_steps(script["steps"])

    def _play_steps(self, script: list[Any]) -> None:
        for name, fields in script:
            if name in _SENDING:
                self._heed_cancel()
                self._emit(_SENDING[name](self, **fields))
            else:
                self._flush()
                _DOING[name](self, **fields)

    def _note(self, name: str, data: bytes) -> int:
        """Append to a file that all workers share; returns its length afterwards."""
        with open(os.path.join(self._directory, name), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(data)
            file.flush()
            return file.seek(0, os.SEEK_END)

    # -- steps that send: the frame of each --

    def row(self, payload: object, stream: str, sequence: int | None) -> bytes:
        return self.malformed_row(_json(payload).decode(), stream, sequence)

    def malformed_row(self, text: str, stream: str, sequence: int | None = None) -> bytes:
        due = self._sequences.get(stream, 0) if sequence is None else sequence
        self._sequences[stream] = due + 1
        self._sent[stream] = self._sent.get(stream, 0) + 1
        body = '{"version":10,"message":{"type":"data_row","body":{"stream":%s,"sequence":%d,"payload":%s}}}'
        return _framed((body % (json.dumps(stream), due, text)).encode())

    def diagnostic(self, code: str, message: str) -> bytes:
        return _frame("diagnostic", {"code": code, "message": message})

    def progress(self, phase: str, current: int, total: int | None) -> bytes:
        return _frame("progress_tick", {"phase": phase, "current": current, "total": total})

    def message(self, type: str, body: object, version: int) -> bytes:
        return _frame(type, body, version)

    def handshake(self, protocol_version: int, features: list[str]) -> bytes:
        self._has_greeted = True
        body = {"worker_version": "fake", "protocol_version": protocol_version, "features": features}
        return _frame("handshake", body)

    def raw_bytes(self, data: str) -> bytes:
        return binascii.a2b_base64(data)

    def summary(
        self, metadata: object, total_rows: int | None, per_stream_counts: dict[str, int] | None, elapsed_us: int
    ) -> bytes:
        summary = {
            "total_rows": sum(self._sent.values()) if total_rows is None else total_rows,
            "per_stream_counts": self._sent if per_stream_counts is None else per_stream_counts,
            "elapsed_micros": elapsed_us,
            "metadata": metadata,
        }
        return self._response(status="stream_complete", summary=summary)

    def answer(self, value: object) -> bytes:
        if self._kind == "capability_metadata":
            return self._response(status="capability_metadata", metadata=value)
        if self._kind == "capability_doctor":
            return self._response(status="capability_doctor", report=value)
        return self._response(status="json_command", response_json=_json(value).decode())

    def fail(self, code: str, message: str, status: int | None) -> bytes:
        if status is not None:
            return self._response(status="stream_export_failed", status_byte=status)
        return self._response(status="error", code=code, message=message)

    def _response(self, **body: object) -> bytes:
        self._is_answered = True
        return _frame("response", body)

    def _respond(self, **body: object) -> None:
        self._emit(self._response(**body))

    # -- steps that do something else --

    def rows(self, count: int | None, size_bytes: int, stream: str) -> None:
        blob = "x" * size_bytes
        i = 0
        while count is None or i < count:
            self._heed_cancel()
            self._emit(self.row({"i": i, "blob": blob} if blob else {"i": i}, stream, None))
            i += 1

    def cut(self, step: list[Any], at_bytes: int, between: list[Any]) -> None:
        name, fields = step
        data = _SENDING[name](self, **fields)
        self._emit(data[:at_bytes])
        self._flush()
        self._play_steps(between)
        self._flush()
        self._emit(data[at_bytes:])

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def gate(self, name: str) -> None:
        path = os.path.join(self._directory, f"gate-{name}")
        while not os.path.exists(path):
            time.sleep(_GATE_SECONDS)

    def receive(self) -> None:
        self._receive()

    def hang(self) -> None:
        while True:
            time.sleep(60)

    def crash(self, signal: str) -> None:
        _die(signal)
        self.hang()

    def exit(self, code: int) -> None:
        os._exit(code)

    def stderr_flood(self, size_bytes: int) -> None:
        line = b"e" * (_LINE_BYTES - 1) + b"\n"
        while size_bytes > 0:
            size_bytes -= os.write(2, line[-size_bytes:])

    def print(self, text: str) -> None:
        os.write(1, text.encode())

    def close_output(self) -> None:
        os.close(self._frames_fd)

    def close_input(self) -> None:
        os.close(self._requests_fd)

    # -- bytes --

    def _emit(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= _BUFFERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        try:
            while data:
                data = data[os.write(self._frames_fd, data) :]
        except BrokenPipeError:
            os._exit(_EXIT_CHANNEL_LOST)
        except OSError:
            self.hang()  # a step closed the descriptor

    def _heed_cancel(self) -> None:
        if self._is_answered:
            return
        try:
            if not select.select([self._requests_fd], [], [], 0)[0]:
                return
        except OSError:
            return  # a step closed the descriptor
        if self._receive()["type"] == "cancel":
            raise _Cancelled

    def _receive(self) -> dict[str, Any]:
        length = int.from_bytes(self._read(4), "big")
        message: dict[str, Any] = json.loads(self._read(length))["message"]
        return message

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                more = os.read(self._requests_fd, count - len(data))
            except OSError:
                self.hang()  # a step closed the descriptor
                raise
            if not more:
                os._exit(_EXIT_CHANNEL_LOST)
            data += more
        return bytes(data)


_SENDING: dict[str, Callable[..., bytes]] = {
    "Row": FakeWorker.row,
    "MalformedRow": FakeWorker.malformed_row,
    "Diagnostic": FakeWorker.diagnostic,
    "Progress": FakeWorker.progress,
    "RawMessage": FakeWorker.message,
    "Handshake": FakeWorker.handshake,
    "RawBytes": FakeWorker.raw_bytes,
    "Summary": FakeWorker.summary,
    "Answer": FakeWorker.answer,
    "Fail": FakeWorker.fail,
}
_DOING: dict[str, Callable[..., None]] = {
    "Rows": FakeWorker.rows,
    "Cut": FakeWorker.cut,
    "Sleep": FakeWorker.sleep,
    "Gate": FakeWorker.gate,
    "Receive": FakeWorker.receive,
    "Hang": FakeWorker.hang,
    "Crash": FakeWorker.crash,
    "Exit": FakeWorker.exit,
    "StderrFlood": FakeWorker.stderr_flood,
    "Print": FakeWorker.print,
    "CloseOutput": FakeWorker.close_output,
    "CloseInput": FakeWorker.close_input,
}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _is_same(left: object, right: object) -> bool:
    """Whether two JSON values are equal. Python takes `true` for 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_same, left, right))
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _frame(type: str, body: object, version: int = 10) -> bytes:
    return _framed(_json({"version": version, "message": {"type": type, "body": body}}))


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _die(name: str) -> None:
    """Send this process a signal that nobody handles."""
    number = getattr(signal, name)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _claim_pipes() -> tuple[int, int]:
    """As every worker does it: the protocol on private descriptors, no core dumps, an end together with the parent."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    requests_fd, frames_fd = os.dup(0), os.dup(1)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    os.dup2(2, 1)
    return requests_fd, frames_fd


if __name__ == "__main__":
    FakeWorker(sys.argv[1], *_claim_pipes()).run()
    os._exit(0)
