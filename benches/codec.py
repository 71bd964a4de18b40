"""The codec alone, in memory: frames encoded, decoded to raw text, decoded to typed rows; and all three in a row.

Encoded are texts, texts that are looked through first, and Python values.

Compares the compiled path, its pure twin, and what one would write without this package: `struct` with orjson into
dataclasses, and msgspec on the whole frame.

    python benches/codec.py [rounds]
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from typing import Any

import compare
import msgspec
import orjson
import workloads
from workloads import Workload, dataclass_of

from lean_worker import _frames
from lean_worker.events import StreamRow
from lean_worker.wire import frames_py as _frames_py
from lean_worker.wire.json_types import encode_value
from lean_worker.wire.row_decoders import RowDecoder, flat_struct

HEADER = struct.Struct(">I")
RING_BYTES = 1 << 22
COUNTS_BYTES = 256
"""The ring's own counts, before its bytes."""


class Body(msgspec.Struct):
    stream: str
    sequence: int
    payload: msgspec.Raw


class RawMessage(msgspec.Struct):
    type: str
    body: Body


class RawFrame(msgspec.Struct):
    version: int
    message: RawMessage


def typed_frame(kind: type) -> type:
    body = msgspec.defstruct("TypedBody", [("stream", str), ("sequence", int), ("payload", kind)])
    message = msgspec.defstruct("TypedMessage", [("type", str), ("body", body)])
    return msgspec.defstruct("TypedFrame", [("version", int), ("message", message)])


def bodies(chunks: list[bytes]) -> Any:
    """The bodies of all frames, cut in plain Python."""
    buffer = b""
    unpack, size = HEADER.unpack_from, HEADER.size
    for chunk in chunks:
        buffer += chunk
        at, end = 0, len(buffer)
        while end - at >= size:
            (length,) = unpack(buffer, at)
            if end - at - size < length:
                break
            yield buffer[at + size : at + size + length]
            at += size + length
        buffer = buffer[at:]


def rows_of(frames: Any, decoder: RowDecoder, flat: Any) -> Callable[[list[bytes]], list[Any]]:
    def decode(chunks: list[bytes]) -> list[Any]:
        reader = frames.FrameReader()
        text = frames.json_text if decoder.decode_text is _frames.json_text else decoder.decode_text
        cursor = frames.RowCursor(reader, frames.Flag(), text, decoder.decode, flat)
        rows: list[Any] = []
        for chunk in chunks:
            reader.feed(chunk)
            if cursor.fill():
                rows.extend(cursor)
        return rows

    return decode


def decode_raw(workload: Workload) -> dict[str, Callable[[list[bytes]], list[Any]]]:
    """Each row's payload, known to be JSON, as text; the plain ways keep what their libraries give."""
    text = RowDecoder(bytes, "bench")
    frame = msgspec.json.Decoder(RawFrame).decode

    def plain(chunks: list[bytes]) -> list[Any]:
        rows = []
        for body in bodies(chunks):
            value = orjson.loads(body)
            assert value["version"] == 10
            inner = value["message"]["body"]
            rows.append((inner["stream"], inner["sequence"], inner["payload"]))
        return rows

    return {
        "compiled": rows_of(_frames, text, None),
        "pure": rows_of(_frames_py, text, None),
        "struct + orjson": plain,
        "msgspec whole frame": lambda chunks: [frame(body).message.body for body in bodies(chunks)],
    }


def decode_typed(workload: Workload) -> dict[str, Callable[[list[bytes]], list[Any]]]:
    """Each row as a typed value."""
    decoder = RowDecoder(workload.kind, "bench")
    plain_kind = dataclass_of(workload.kind)
    whole = msgspec.json.Decoder(typed_frame(workload.kind)).decode

    def plain(chunks: list[bytes]) -> list[Any]:
        rows = []
        for body in bodies(chunks):
            value = orjson.loads(body)
            assert value["version"] == 10
            rows.append(plain_kind(**value["message"]["body"]["payload"]))
        return rows

    return {
        "compiled": rows_of(_frames, decoder, flat_struct(workload.kind)),
        "compiled, msgspec a row": rows_of(_frames, decoder, None),
        "pure": rows_of(_frames_py, decoder, None),
        "struct + orjson": plain,
        "msgspec whole frame": lambda chunks: [frame.message.body.payload for frame in map(whole, bodies(chunks))],
    }


def encode(workload: Workload, *, check: bool = False) -> dict[str, Callable[[list[Any]], bytes]]:
    """Frames from payload texts; with `check` each text is looked through, as one from hosted code has to be."""

    def at_once(frames: Any) -> Callable[[list[Any]], bytes]:
        return lambda rows: frames.encode_rows(rows, frames.DEFAULT_FRAME_BYTES, check)

    def a_call_a_row(rows: list[Any]) -> bytes:
        encode_row, is_json = _frames.encode_row, _frames.is_json
        if check:
            assert all(is_json(payload) for _, _, payload in rows)
        return b"".join([encode_row(*row) for row in rows])

    def plain(rows: list[Any]) -> bytes:
        parts = []
        for stream, sequence, payload in rows:
            if check:
                orjson.loads(payload)
            body = {"stream": stream, "sequence": sequence, "payload": orjson.Fragment(payload)}
            text = orjson.dumps({"version": 10, "message": {"type": "data_row", "body": body}})
            parts += [HEADER.pack(len(text)), text]
        return b"".join(parts)

    def whole(rows: list[Any]) -> bytes:
        encoder = msgspec.json.Encoder().encode
        parts = []
        for stream, sequence, payload in rows:
            if check:
                msgspec.json.decode(payload)
            text = encoder(RawFrame(10, RawMessage("data_row", Body(stream, sequence, msgspec.Raw(payload)))))
            parts += [HEADER.pack(len(text)), text]
        return b"".join(parts)

    return {
        "compiled": at_once(_frames),
        "compiled, a call a row": a_call_a_row,
        "pure": at_once(_frames_py),
        "struct + orjson": plain,
        "msgspec whole frame": whole,
    }


def encode_values(workload: Workload) -> dict[str, Callable[[list[Any]], bytes]]:
    """Frames from Python values, as the host of Python functions puts them into its ring; that has room for all."""
    memory = os.memfd_create("bench")
    os.ftruncate(memory, COUNTS_BYTES + RING_BYTES)

    def host(is_plain: bool) -> Callable[[list[Any]], bytes]:
        def write(rows: list[Any]) -> bytes:
            writer = _frames.RowWriter(1, _frames.DEFAULT_FRAME_BYTES)
            assert writer.attach_ring(memory, RING_BYTES, 1, 0)
            writer.begin(False)
            values = (StreamRow(stream, value) for stream, value in rows)
            try:
                while is_plain:
                    status, row = writer.plain_rows("rows", values)
                    assert status == _frames.STATUS_OK
                    assert writer.row(row.stream, encode_value(row.payload)) == _frames.STATUS_OK
            except StopIteration:
                pass
            for row in values:
                assert writer.row(row.stream, encode_value(row.payload)) == _frames.STATUS_OK
            return os.pread(memory, len(data), COUNTS_BYTES)

        return write

    def plain(rows: list[Any]) -> bytes:
        counts = dict.fromkeys([stream for stream, _ in rows], 0)
        parts = []
        for stream, value in rows:
            body = {"stream": stream, "sequence": counts[stream], "payload": value}
            text = orjson.dumps({"version": 10, "message": {"type": "data_row", "body": body}})
            parts += [HEADER.pack(len(text)), text]
            counts[stream] += 1
        return b"".join(parts)

    data = workload.data
    return {"compiled": host(True), "compiled, a text a row": host(False), "struct + orjson": plain}


def timed(work: Callable[[Any], Any], given: Any, check: Callable[[Any], bool], count: int) -> dict[str, float]:
    started = time.perf_counter()
    result = work(given)
    ns = (time.perf_counter() - started) * 1e9 / count
    assert check(result)
    return {"ns": ns}


def stages(workload: Workload) -> dict[str, dict[str, Callable[[], dict[str, float]]]]:
    """For each stage the variants, each of them one measured and checked pass over the workload."""
    count = len(workload.rows)
    chunks, data = workload.chunks(), workload.data
    last_text = workload.rows[-1][2]
    last = msgspec.to_builtins(msgspec.json.decode(last_text, type=workload.kind))

    def is_raw(rows: list[Any]) -> bool:
        row = rows[-1]
        payload = row if isinstance(row, bytes) else row[2] if isinstance(row, tuple) else bytes(row.payload)
        return len(rows) == count and (payload if isinstance(payload, dict) else orjson.loads(payload)) == last

    def is_typed(rows: list[Any]) -> bool:
        return len(rows) == count and msgspec.to_builtins(rows[-1]) == last

    def bound(work: Callable[[Any], Any], given: Any, check: Callable[[Any], bool]) -> Callable[[], dict[str, float]]:
        return lambda: timed(work, given, check, count)

    encoders, typed = encode(workload), decode_typed(workload)
    checked = encode(workload, check=True)
    values = [(stream, orjson.loads(text)) for stream, _, text in workload.rows]

    def all_three(name: str) -> Callable[[Any], Any]:
        encoder, decoder = encoders[name], typed[name]
        return lambda rows: decoder([encoder(rows)])

    found = {
        "encode": {name: bound(work, workload.rows, data.__eq__) for name, work in encoders.items()},
        "encode checked": {name: bound(work, workload.rows, data.__eq__) for name, work in checked.items()},
        "encode values": {name: bound(work, values, data.__eq__) for name, work in encode_values(workload).items()},
        "decode raw": {name: bound(work, chunks, is_raw) for name, work in decode_raw(workload).items()},
        "decode typed": {name: bound(work, chunks, is_typed) for name, work in typed.items()},
        "all three": {name: bound(all_three(name), workload.rows, is_typed) for name in encoders if name in typed},
    }
    return found


def main() -> None:
    rounds = compare.rounds_from_arguments(9)
    results: dict[str, Any] = {}
    held = compare.held_arenas()
    for make in workloads.ALL:
        workload = make()
        for stage, variants in stages(workload).items():
            measured = compare.rounds_of(variants, rounds)
            results.setdefault(stage, {})[workload.name] = measured
            base = measured["struct + orjson"]["ns"]
            print(f"{stage}, {workload.name}: ns a row; times as fast as struct + orjson")
            for name, measures in measured.items():
                faster = compare.ratio(base, measures["ns"])
                print(f"  {name:26} {compare.Spread.of(measures['ns']).text():>26} {faster.text(1):>20}")
    del held
    compare.save("codec", results)


if __name__ == "__main__":
    main()
