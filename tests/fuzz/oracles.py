"""Properties of any bytes: one function a target, which takes bytes and raises AssertionError.

Every target runs the compiled framing and its pure twin on the same bytes. Both must show the same (values, error
class, error text, bytes left over) and nothing but errors of `lean_worker.errors`. `targets()` lists the functions by
name; `run.py` feeds them from a coverage-guided fuzzer, `test_fuzz_corpus.py` with the kept inputs.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from lean_worker import errors
from lean_worker.wire import protocol
from lean_worker.wire.envelope import Message

LIMIT_BYTES = 1 << 16
MAX_INPUT_BYTES = 1 << 14
SEPARATOR = b"\x1e"
_TOO_DEEP = "recursion"
_TRIES = 20


class Declaration(msgspec.Struct):
    name: str
    index: int
    safe: bool
    doc: str | None = None


class Strict(msgspec.Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    long_name: str | int
    other_field: int | bool | None


class Nested(msgspec.Struct):
    inner: Declaration
    values: list[float] = []


KINDS = (Declaration, Strict, Nested, bytes, str, int, float, list, dict, None)


class Twin:
    """One framing, and the modules of the package as they are when they use it."""

    def __init__(self, name: str) -> None:
        self.frames = importlib.import_module(f"lean_worker.{name}")
        self.row_decoders = self._module("lean_worker.wire.row_decoders")
        self.loop = self._module("lean_worker.child.loop")
        self.loop._lose_channel = _lose_channel
        self.output = self._module("lean_worker.child.output")
        self.decoders = {kind: self.row_decoders.RowDecoder(kind, "fuzz") for kind in KINDS}

    def _module(self, name: str) -> Any:
        """A second copy of a module that took its framing from `lean_worker.wire.frames`."""
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        chosen = importlib.import_module("lean_worker.wire.frames")
        stand_in = types.ModuleType("lean_worker.wire.frames")
        stand_in.__dict__.update({key: getattr(self.frames, key) for key in chosen._NAMES})
        package = sys.modules["lean_worker"]
        sys.modules["lean_worker.wire.frames"] = package.frames = stand_in  # type: ignore[attr-defined]
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        finally:
            sys.modules["lean_worker.wire.frames"] = package.frames = chosen  # type: ignore[attr-defined]
            del sys.modules[name]
        return module


def _lose_channel(why: str) -> None:
    """Ends the thread here where it ends the process outside of a fuzzer."""
    raise SystemExit


def twins() -> tuple[Twin, Twin]:
    return Twin("_frames"), Twin("wire.frames_py")


def _said(error: errors.LeanWorkerError) -> tuple[str, str]:
    # How deep a text may be nested is the interpreter's matter, and the twins use its stack differently.
    text = str(error)
    return type(error).__name__, _TOO_DEEP if _TOO_DEEP in text else text


def _same(ours: list[object], pure: list[object]) -> bool:
    """Whether two transcripts agree; of a text that one found too deep, the other may have found something else wrong."""
    return len(ours) == len(pure) and all(
        one == other
        or (
            isinstance(one, tuple) and isinstance(other, tuple) and one[:1] == other[:1] and _TOO_DEEP in (*one, *other)
        )
        for one, other in zip(ours, pure, strict=True)
    )


def framed(data: bytes) -> bytes:
    """Frames from bodies that stand one after the other: a fuzzer finds a length only by chance."""
    return b"".join(len(body).to_bytes(4, "big") + body for body in data.split(SEPARATOR))


def _shown(item: Any) -> tuple[Any, ...]:
    return ("message", *item) if isinstance(item, Message) else ("row", item.stream, item.sequence, item.payload)


# -- the frame reader, and what its messages mean --


def check_frames(ours: Twin, pure: Twin, data: bytes) -> None:
    """Input: a byte that says how it is cut and whether lengths are there; then the bytes."""
    how, data = data[:1], data[1:]
    step = (how[0] & 0x7F) + 1 if how else 1
    stream = data if how and how[0] & 0x80 else framed(data)
    step = max(step, len(stream) // 64)
    transcripts = [_read_frames(twin, stream, step) for twin in (ours, pure)]
    assert _same(*transcripts)


def _read_frames(twin: Twin, stream: bytes, step: int) -> list[object]:
    reader = twin.frames.FrameReader(LIMIT_BYTES)
    lines: list[object] = []
    fed = 0
    for at in range(0, len(stream), step):
        reader.feed(stream[at : at + step])
        fed += len(stream[at : at + step])
        try:
            for item in reader.take():
                lines.append(_shown(item))
                if isinstance(item, Message):
                    lines.append(_read_message(item))
        except errors.ProtocolError as error:
            assert isinstance(error, (errors.FrameTooLarge, errors.VersionMismatch, errors.MalformedFrame))
            assert len(str(error)) < 10_000, "an error's text is short, whatever was sent"
            lines.append(_said(error))
        assert reader.pending_bytes <= fed
        lines.append(reader.pending_bytes)
    return lines


def _read_message(message: Message) -> object:
    try:
        value = protocol.decode(message)
    except errors.UnexpectedMessage as error:
        assert len(str(error)) < 10_000, "an error's text is short, whatever was sent"
        return _said(error)
    return repr(type(value))


# -- rows: cut, checked, decoded, handed out --


def check_rows(ours: Twin, pure: Twin, data: bytes) -> None:
    """Input: a byte that chooses the declared type; then payloads of rows, or a whole body after a 0xFE."""
    kind = KINDS[data[0] % len(KINDS)] if data else None
    stream = b""
    sequence = 0
    for part in data[1:].split(SEPARATOR):
        if part[:1] == b"\xfe":
            stream += len(part[1:]).to_bytes(4, "big") + part[1:]
        else:
            stream += pure.frames.encode_row("rows", sequence, part)
            sequence += 1
    transcripts = [_read_rows(twin, kind, stream) for twin in (ours, pure)]
    assert _same(*transcripts)


def _read_rows(twin: Twin, kind: Any, stream: bytes) -> list[object]:
    decoder = twin.decoders[kind]
    reader = twin.frames.FrameReader(LIMIT_BYTES)
    cursor = twin.frames.RowCursor(reader, twin.frames.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
    reader.feed(stream)
    lines: list[object] = []
    try:
        while True:
            for _ in range(cursor.fill()):
                value = next(cursor)
                if kind is bytes:
                    assert twin.frames.is_json(value)
                lines.append((type(value).__name__, repr(value), cursor.last()))
            items = reader.take(1)
            if not items:
                break
            lines.append(_shown(items[0]))
    except (errors.DecodeError, errors.ProtocolError) as error:
        lines.append(_said(error))
        _check_blame(twin, reader, error)
    lines.append((cursor.rows_delivered, cursor.counts(), reader.pending_bytes))
    return lines


def _check_blame(twin: Twin, reader: Any, error: errors.LeanWorkerError) -> None:
    """Hosted code may send any JSON: a row that is JSON and cut out in one way is nobody's breach of the protocol."""
    if not isinstance(error, errors.MalformedFrame):
        return
    match = _next_canonical_row(twin, reader)
    assert match is None or not twin.frames.is_json(match), error


def _next_canonical_row(twin: Twin, reader: Any) -> bytes | None:
    """The payload of the frame that was refused, if it is one that only `decode` looked into."""
    try:
        items = reader.take(1)
    except errors.LeanWorkerError:
        return None
    return items[0].payload if items and not isinstance(items[0], Message) else None


# -- validation --


def check_json(ours: Twin, pure: Twin, data: bytes) -> None:
    """Input: a text. A third opinion comes from the standard library."""
    verdict = ours.frames.is_json(data)
    assert verdict is pure.frames.is_json(data)
    for kind in (Declaration, Strict):
        _check_flat(ours, kind, data)
    try:
        json.loads(data.decode(), parse_constant=_refuse, parse_int=float)
    except (ValueError, UnicodeDecodeError):
        assert not verdict
    except RecursionError:
        pass
    else:
        assert verdict or data.count(b"[") + data.count(b"{") > 1024


def _refuse(word: str) -> None:
    raise ValueError(word)


def _check_flat(twin: Twin, kind: Any, text: bytes) -> None:
    flat = twin.decoders[kind].flat
    value = None if flat is None else flat.decode(text)
    if value is not None:
        expected = msgspec.json.decode(text, type=kind)
        assert type(value) is kind and repr(value) == repr(expected)


# -- the child: whatever its parent says, and whatever its host answers --


def check_requests(ours: Twin, pure: Twin, data: bytes) -> None:
    """Input: a byte for the host's behaviour; then the bodies of the parent's frames, the first one its limit."""
    how, data = (data[0] if data else 0), data[1:]
    if how & 0x80:
        data = b'{"version":10,"message":{"type":"configure_frame_limit","body":{"max_frame_bytes":65536}}}' + (
            SEPARATOR + data
        )
    # A thread reads ahead, so that a cancel comes before or after the end of what it is for.
    transcripts: list[list[object]] = []
    for _ in range(_TRIES):
        transcripts = [_serve(twin, framed(data), how & 0x7F) for twin in (ours, pure)]
        if transcripts[0] == transcripts[1]:
            return
    raise AssertionError(transcripts)


def _serve(twin: Twin, stream: bytes, how: int) -> list[object]:
    output = os.memfd_create("fuzz")
    try:
        writer = twin.frames.RowWriter(output, LIMIT_BYTES)
        loop = _loop(twin, writer, stream)
        commands = 0
        try:
            while (command := loop.next_command()) is not None:
                commands += 1
                _answer(loop, writer, command, how)
        except SystemExit:
            pass
        loop.reading.join(10)
        assert not loop.reading.is_alive() and loop.leaked is None, loop.leaked
        size = os.lseek(output, 0, os.SEEK_END)
        return _responses(twin, os.pread(output, size, 0), commands)
    finally:
        os.close(output)


def _loop(twin: Twin, writer: Any, stream: bytes) -> Any:
    class Loop(twin.loop.RequestLoop):  # type: ignore[misc, name-defined]
        """The real loop, on bytes from memory instead of a pipe."""

        def __init__(self) -> None:
            self._stream = stream
            super().__init__(-1, writer, "0")

        def _read(self, count: int) -> bytes:
            data, self._stream = self._stream[:count], self._stream[count:]
            if not data:
                raise errors.LeanWorkerError("the end")
            return data

        def _read_requests(self) -> None:
            self.reading = threading.current_thread()
            self.leaked: BaseException | None = None
            try:
                super()._read_requests()
            except SystemExit:
                pass
            except Exception as error:
                self.leaked = error
            finally:
                self._inbox.put(errors.LeanWorkerError("the reading thread has ended"))

    return Loop()


def _answer(loop: Any, writer: Any, command: Any, how: int) -> None:
    """The request's own text is what the host emits, answers, or fails with."""
    text = command.request_json
    if command.kind == "stream" and how & 1:
        for part in text.split("\x1f"):
            if writer.row("rows" if how & 2 else part[:70], part.encode()) != 0:
                break
        writer.diagnostic("fuzz", text)
        writer.progress(text, 1, None)
    if how & 4:
        loop.reply_unknown(command, [])
    elif how & 8:
        loop.reply_failed(command, "fuzz", text)
    elif how & 16 and command.kind == "stream":
        loop.reply_status(command, 1 + how)
    else:
        loop.reply_ok(command, text)


def _responses(twin: Twin, output: bytes, commands: int) -> list[object]:
    """The frames that the parent would read: all of them must be of the protocol, with one response for each command at least."""
    reader = twin.frames.FrameReader(LIMIT_BYTES)
    reader.feed(output)
    lines: list[object] = []
    responses = 0
    for item in reader.take():
        value = protocol.decode(item) if isinstance(item, Message) else item
        if isinstance(value, protocol.Response):
            responses += 1
        if isinstance(value, protocol.StreamComplete):
            summary = value.summary
            lines.append((summary.total_rows, summary.per_stream_counts, bytes(summary.metadata)))
        else:
            lines.append(_shown(item))
    assert reader.pending_bytes == 0
    assert responses >= commands, "a command without an answer leaves its parent waiting for ever"
    return lines


# -- a program that prints lines --


def check_lines(ours: Twin, pure: Twin, data: bytes) -> None:
    """Input: a byte that says how it is cut, what other lines are, and whether the program ended well; then its output."""
    how, data = (data[0] if data else 0), data[1:]
    step = max((how & 0x1F) + 1, len(data) // 64)
    other_lines = "diagnostic" if how & 0x80 else "fail"
    cut = [_print_lines(twin, data, step, other_lines, bool(how & 0x40)) for twin in (ours, pure)]
    assert cut[0] == cut[1]
    whole = _print_lines(pure, data, max(1, len(data)), other_lines, bool(how & 0x40))
    assert cut[0] == whole, "where a read happens to end must not matter"


def _print_lines(twin: Twin, data: bytes, step: int, other_lines: str, is_whole: bool) -> tuple[object, ...]:
    output = os.memfd_create("fuzz")
    try:
        writer = twin.frames.RowWriter(output, LIMIT_BYTES)
        writer.begin(False)
        ended = twin.output.Ended()
        lines = twin.output.Lines(writer, twin.output.rows_to(writer), other_lines, ended)
        goes_on = all(lines.feed(data[at : at + step]) for at in range(0, len(data), step))
        if goes_on:
            lines.finish(is_whole=is_whole)
        total, counts, failure, status = writer.finish()
        rows = _rows_written(twin, output, total)
        failed = bool(ended.malformed or ended.too_large or status)
        expected = [line for line in _lines_of(data) if line[:1] == b"{" and twin.frames.is_json(line)]
        assert rows == expected[: len(rows)], "rows are the lines that are objects, byte for byte and in order"
        if not failed and is_whole:
            assert len(rows) == len(expected), "no such line is passed over"
        return rows, total, counts, failure, status, ended.malformed, bool(ended.too_large)
    finally:
        os.close(output)


def _lines_of(data: bytes) -> list[bytes]:
    """The rules of `child.output`, spelled out the slow way."""
    return [line.strip(b" \t\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]


def _rows_written(twin: Twin, output: int, total: int) -> list[bytes]:
    reader = twin.frames.FrameReader(LIMIT_BYTES)
    reader.feed(os.pread(output, os.lseek(output, 0, os.SEEK_END), 0))
    items = [item for item in reader.take(1 << 20) if not isinstance(item, Message)]
    assert reader.pending_bytes == 0
    assert [(item.stream, item.sequence) for item in items] == [("rows", number) for number in range(total)]
    return [item.payload for item in items]


def targets() -> dict[str, Callable[[Twin, Twin, bytes], None]]:
    """The checks by name."""
    return {
        "frames": check_frames,
        "rows": check_rows,
        "json": check_json,
        "requests": check_requests,
        "lines": check_lines,
    }


def kept_inputs(folder: Any, name: str) -> Iterator[tuple[str, bytes]]:
    """The corpus of one target and its regressions, by file."""
    for path in sorted(folder.glob(f"{name}/*")):
        yield path.name, path.read_bytes()
