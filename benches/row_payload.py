"""How a row could travel: one row at a time through memory, as text, tree, batch or binary. No pipe, no process.

The groups and names are those of lean-rs's benchmark `worker::row_payload`, so that figures can be laid side by side.
Every variant starts from the row's JSON text, makes frames, reads them, and ends with typed rows, whose sum is checked.

    python benches/row_payload.py [rounds]
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import compare
import msgspec
import orjson
import workloads
from workloads import Workload

from lean_worker.wire import frames
from lean_worker.wire.row_decoders import RowDecoder

Rows = list[tuple[str, int, bytes]]
BINARY_HEAD, BINARY_MIDDLE = struct.Struct(">I"), struct.Struct(">QI")


class Quoted(msgspec.Struct):
    stream: str
    sequence: int
    payload: str


class Numbers(msgspec.Struct):
    stream: str
    sequence: int
    payload: list[int]


class RawRow(msgspec.Struct):
    stream: str
    sequence: int
    payload: msgspec.Raw


class Batch(msgspec.Struct):
    rows: list[RawRow]


def typed_row(kind: type, array_like: bool) -> type:
    fields = [("stream", str), ("sequence", int), ("payload", kind)]
    return msgspec.defstruct("TypedRow", fields, array_like=array_like)


def per_row_raw_value(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    """What the package does: the payload's text verbatim in a frame of its own."""
    decoder = RowDecoder(workload.kind, "bench")

    def run(rows: Rows) -> Iterator[Any]:
        reader = frames.FrameReader()
        cursor = frames.RowCursor(reader, frames.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
        for row in rows:
            reader.feed(frames.encode_row(*row))
            cursor.fill()
            yield next(cursor)

    return run


def at_hand(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    """The same frames, as a reader sees them that finds 64 in the pipe."""
    decoder = RowDecoder(workload.kind, "bench")

    def run(rows: Rows) -> Iterator[Any]:
        reader = frames.FrameReader()
        cursor = frames.RowCursor(reader, frames.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
        for start in range(0, len(rows), 64):
            for row in rows[start : start + 64]:
                reader.feed(frames.encode_row(*row))
            cursor.fill()
            yield from cursor

    return run


def batch_raw_value(workload: Workload, size: int) -> Callable[[Rows], Iterator[Any]]:
    encode = msgspec.json.Encoder().encode
    outer = msgspec.json.Decoder(Batch).decode
    inner = msgspec.json.Decoder(workload.kind).decode

    def run(rows: Rows) -> Iterator[Any]:
        for start in range(0, len(rows), size):
            batch = Batch(
                [RawRow(name, number, msgspec.Raw(text)) for name, number, text in rows[start : start + size]]
            )
            for row in outer(encode(batch)).rows:
                yield inner(row.payload)

    return run


def value(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    """A tree of plain values on both sides."""

    def run(rows: Rows) -> Iterator[Any]:
        for name, number, text in rows:
            frame = orjson.dumps({"stream": name, "sequence": number, "payload": orjson.loads(text)})
            yield msgspec.convert(orjson.loads(frame)["payload"], workload.kind)

    return run


def raw_value(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    encode, outer = msgspec.json.Encoder().encode, msgspec.json.Decoder(RawRow).decode
    inner = msgspec.json.Decoder(workload.kind).decode
    return lambda rows: (inner(outer(encode(RawRow(n, i, msgspec.Raw(t)))).payload) for n, i, t in rows)


def raw_string_json_frame(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    encode, outer = msgspec.json.Encoder().encode, msgspec.json.Decoder(Quoted).decode
    inner = msgspec.json.Decoder(workload.kind).decode
    return lambda rows: (inner(outer(encode(Quoted(n, i, t.decode()))).payload) for n, i, t in rows)


def owned_bytes_json_frame(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    encode, outer = msgspec.json.Encoder().encode, msgspec.json.Decoder(Numbers).decode
    inner = msgspec.json.Decoder(workload.kind).decode
    return lambda rows: (inner(bytes(outer(encode(Numbers(n, i, list(t)))).payload)) for n, i, t in rows)


def binary_frame(name: str, number: int, text: bytes) -> bytes:
    stream = name.encode()
    return BINARY_HEAD.pack(len(stream)) + stream + BINARY_MIDDLE.pack(number, len(text)) + text


def binary_json_payload(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    inner = msgspec.json.Decoder(workload.kind).decode

    def run(rows: Rows) -> Iterator[Any]:
        for row in rows:
            frame = binary_frame(*row)
            (length,) = BINARY_HEAD.unpack_from(frame)
            at = 4 + length
            assert frame[4:at].decode() == row[0]
            _, size = BINARY_MIDDLE.unpack_from(frame, at)
            yield inner(frame[at + 12 : at + 12 + size])

    return run


def messagepack_typed(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    kind = typed_row(workload.kind, True)
    inner = msgspec.json.Decoder(workload.kind).decode
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(kind).decode
    return lambda rows: (decode(encode(kind(n, i, inner(t)))).payload for n, i, t in rows)


def cbor_typed(workload: Workload) -> Callable[[Rows], Iterator[Any]]:
    def run(rows: Rows) -> Iterator[Any]:
        for name, number, text in rows:
            frame = cbor2.dumps({"stream": name, "sequence": number, "payload": orjson.loads(text)})
            yield msgspec.convert(cbor2.loads(frame)["payload"], workload.kind)

    return run


def frame_sizes(workload: Workload) -> dict[str, int]:
    """Bytes of one frame in each format, without a length."""
    name, number, text = row = workload.rows[0]
    tree = {"stream": name, "sequence": number, "payload": orjson.loads(text)}
    typed = typed_row(workload.kind, True)(name, number, msgspec.json.decode(text, type=workload.kind))
    return {
        "value_json": len(orjson.dumps(tree)),
        "raw_json": len(msgspec.json.encode(RawRow(name, number, msgspec.Raw(text)))),
        "raw_string": len(msgspec.json.encode(Quoted(name, number, text.decode()))),
        "protocol 10": len(frames.encode_row(*row)) - 4,
        "binary": len(binary_frame(*row)),
        "messagepack": len(msgspec.msgpack.encode(typed)),
        "cbor": len(cbor2.dumps(tree)),
    }


def groups() -> Iterator[tuple[str, Workload, dict[str, Callable[[Rows], Iterator[Any]]]]]:
    small, large = workloads.small(), workloads.large()
    yield (
        "representation/large_rows_512",
        large,
        {
            "value": value(large),
            "raw_value": raw_value(large),
            "raw_string_json_frame": raw_string_json_frame(large),
            "owned_bytes_json_frame": owned_bytes_json_frame(large),
        },
    )
    for name, workload in (("large_rows_512", large), ("small_rows_8192", small)):
        yield (
            f"protocol_batching/{name}",
            workload,
            {
                "per_row_raw_value": per_row_raw_value(workload),
                "per_row_raw_value, 64 at hand": at_hand(workload),
                "batch_16_raw_value": batch_raw_value(workload, 16),
                "batch_64_raw_value": batch_raw_value(workload, 64),
                "per_row_raw_value, plain msgspec": raw_value(workload),
            },
        )
    for name, workload in (("small_rows_8192", small), ("large_rows_512", large)):
        yield (
            f"data_plane/{name}",
            workload,
            {
                "json_value": value(workload),
                "raw_json": per_row_raw_value(workload),
                "raw_json, plain msgspec": raw_value(workload),
                "batched_raw_json_64": batch_raw_value(workload, 64),
                "binary_json_payload": binary_json_payload(workload),
                "messagepack_typed": messagepack_typed(workload),
                "cbor_typed": cbor_typed(workload),
            },
        )


def total(row: Any) -> int:
    return sum(len(value) if isinstance(value, str) else value for value in msgspec.structs.astuple(row))


def timed(run: Callable[[Rows], Iterator[Any]], rows: Rows, expected: int) -> dict[str, float]:
    started = time.perf_counter()
    made = list(run(rows))
    ns = (time.perf_counter() - started) * 1e9 / len(rows)
    assert len(made) == len(rows) and sum(map(total, made)) == expected
    return {"ns": ns}


def main() -> None:
    rounds = compare.rounds_from_arguments(7)
    results: dict[str, Any] = {}
    for group, workload, variants in groups():
        expected = sum(total(msgspec.json.decode(text, type=workload.kind)) for _, _, text in workload.rows)
        rows = workload.rows
        measured = compare.rounds_of(
            {name: functools.partial(timed, run, rows, expected) for name, run in variants.items()}, rounds
        )
        results[group] = measured
        first = next(iter(measured))
        print(f"{group}: ns a row; time relative to {first}")
        for name, measures in measured.items():
            relative = compare.ratio(measures["ns"], measured[first]["ns"])
            print(f"  {name:34} {compare.Spread.of(measures['ns']).text():>26} {relative.text(2):>20}")
    for make in (workloads.small, workloads.large):
        sizes = results.setdefault("frame_sizes", {})[make.__name__] = frame_sizes(make())
        print(f"bytes of a frame, {make.__name__}: {sizes}")
    compare.save("row_payload", results)


if __name__ == "__main__":
    main()
