"""Nothing is freed twice and nothing kept: objects, memory, descriptors, threads and processes, over many repetitions.

    python tests/wire/test_memory_safety.py      the full counts: 10^6 rows, 10^4 requests, 500 workers; takes minutes

Under a sanitizer (`ci/asan` sets LEAN_WORKER_SANITIZED) memory is held back on purpose, so that only references count.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import lean_worker as lw
from lean_worker.wire import frames, row_decoders
from support import FUNCTIONS, INTEROP, SANITIZED


class Declaration(msgspec.Struct):
    name: str
    index: int
    safe: bool
    doc: str | None = None


class Chained(msgspec.Struct, weakref=True):
    values: list[int]


def resident_kib() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss >> 10


def held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(psutil.Process().children())


# Payloads of rows, and the type they are declared to be: the fast decoder, msgspec, text, no type; and ones that fail.
PAYLOADS = [
    (Declaration, b'{"name":"Nat.add_%d","index":%d,"safe":true,"doc":null}'),
    (Declaration, b'{"name":"N\\u00e9_%d","index":%d,"safe":false,"doc":"\xc3\xa9"}'),
    (Declaration, b'{"index":%d,"name":"spelled %d another way" , "safe":true}'),
    (Chained, b'{"values":[%d,%d]}'),
    (bytes, b"[%d,%d]"),
    (None, b'{"a":[%d,%d]}'),
    (Declaration, b'{"name":%d,"index":"%d"}'),
    (bytes, b"%d %d"),
]


def read_rows(framing: object, kind: object, payload: bytes, count: int) -> int:
    """Rows through reader, cursor and decoder; how many were handed out before one was refused."""
    decoder = row_decoders.RowDecoder(kind, "rows")
    encode, reader = framing.encode_row, framing.FrameReader()
    cursor = framing.RowCursor(reader, framing.Flag(), decoder.decode_text, decoder.decode, decoder.flat)
    sequence = 0
    while sequence < count:
        reader.feed(b"".join(encode(f"rows {i % 3}", sequence + i // 3, payload % (i, i)) for i in range(300)))
        try:
            for _ in range(cursor.fill()):
                next(cursor)
        except lw.LeanWorkerError:
            break
        sequence += 100
    return cursor.rows_delivered


def check_rows(rows: int) -> None:
    def all_kinds(count: int) -> None:
        for kind, payload in PAYLOADS:
            for _ in range(count // 3000 if payload in (PAYLOADS[-1][1], PAYLOADS[-2][1]) else 1):
                read_rows(frames, kind, payload, count // 3)

    all_kinds(9000)
    objects, memory = sys.getallocatedblocks(), resident_kib()
    all_kinds(rows)
    # The smallest object that could be lost with each row is one block: it would be as many as there were rows.
    gc.collect()
    assert sys.getallocatedblocks() - objects < rows // 50 + 2000
    assert SANITIZED or resident_kib() - memory < 8 << 10


def check_requests(requests: int, pool: lw.Pool) -> None:
    stream, echo = lw.StreamingCommand("rows", row=dict), lw.JsonCommand("echo")

    def some(count: int) -> None:
        with pool.lease(FUNCTIONS) as lease:
            for number in range(count):
                if number % 4 == 0:
                    lease.collect(stream, {"count": 5})
                elif number % 4 == 1:
                    with pytest.raises(lw.CommandFailed):
                        lease.call(lw.JsonCommand("fail"))
                else:
                    lease.call(echo, number)

    some(200)
    before, memory = held(), resident_kib()
    some(requests)
    assert held() == before
    assert SANITIZED or resident_kib() - memory < 8 << 10


def check_workers(workers: int) -> None:
    def cycle(count: int) -> None:
        with lw.Pool(max_workers=1, memory=lw.MemoryPolicy(max_requests=1)) as pool, pool.lease(FUNCTIONS) as lease:
            for number in range(count):
                assert lease.call(lw.JsonCommand("echo"), number) == number
            started = pool.snapshot().started
        assert started == count

    cycle(5)
    before, memory = held(), resident_kib()
    cycle(workers)
    end = time.monotonic() + 10
    while held() != before:
        assert time.monotonic() < end, (held(), before)
    assert SANITIZED or resident_kib() - memory < 8 << 10


@pytest.mark.parametrize(("kind", "payload"), PAYLOADS, ids=lambda value: getattr(value, "__name__", None))
def test_a_reader_and_a_cursor_leave_no_reference(frames_impl, kind, payload):
    for _ in range(3):
        read_rows(frames_impl, kind, payload, 30)
    shared = [frames_impl.FrameReader, frames_impl.Row, frames_impl.RowCursor, Declaration, Chained, None, True, 7]
    gc.collect()
    before = [sys.getrefcount(each) for each in shared]
    for _ in range(30):
        read_rows(frames_impl, kind, payload, 300)
    gc.collect()
    after = [sys.getrefcount(each) for each in shared]
    # None and True come and go with whatever else runs; a reference lost with each row would be thousands.
    assert all(abs(now - then) < 100 for now, then in zip(after, before)), (before, after)


def test_a_declared_length_allocates_nothing(frames_impl):
    before = resident_kib()
    readers = [frames_impl.FrameReader(1 << 28) for _ in range(50)]
    for reader in readers:
        reader.feed((1 << 28).to_bytes(4, "big") + b"{")
        assert reader.take() == []
    assert SANITIZED or resident_kib() - before < 50 * 128 + 4096  # not 50 times 256 MiB
    for reader in readers:
        assert reader.pending_bytes == 5


def test_a_reader_grows_with_what_it_was_fed(frames_impl):
    before = resident_kib()
    reader = frames_impl.FrameReader(1 << 28)
    chunk = frames_impl.encode_row("rows", 0, b'"%b"' % (b"x" * 1000)) * 100
    for _ in range(300):
        reader.feed(chunk)
        assert len(reader.take()) == 100 and reader.pending_bytes == 0
    assert SANITIZED or resident_kib() - before < 8 << 10  # 30 MiB went through


@pytest.mark.once
def test_many_rows_leave_nothing():
    check_rows(60_000)


@pytest.mark.once
def test_many_requests_leave_nothing():
    with lw.Pool(max_workers=1) as a_pool:
        check_requests(400, a_pool)


@pytest.mark.once
def test_many_workers_leave_nothing():
    check_workers(15)


def check_lean_texts(texts: int) -> None:
    """Texts through the bridge, each way, in the same worker."""
    with lw.Pool(max_workers=1) as pool, pool.lease(INTEROP) as lease:
        (pid,) = [child.pid for child in psutil.Process().children()]
        for number in range(texts):
            lease.call(lw.JsonCommand("echo"), "x" * 100 + str(number))
            if number == texts // 10:
                before = psutil.Process(pid).memory_info().rss >> 10
        grown = (psutil.Process(pid).memory_info().rss >> 10) - before
        assert grown < 4 << 10, grown


def main() -> None:
    for name, check in (
        ("10^6 rows", lambda: check_rows(10**6)),
        ("10^4 requests", _ten_thousand_requests),
        ("500 workers", lambda: check_workers(500)),
        ("10^5 texts through real Lean", lambda: check_lean_texts(10**5)),
    ):
        began, memory = time.monotonic(), resident_kib()
        check()
        print(f"{name:32}{time.monotonic() - began:8.1f} s{resident_kib() - memory:10} KiB more", flush=True)


def _ten_thousand_requests() -> None:
    with lw.Pool(max_workers=1) as pool:
        check_requests(10_000, pool)


if __name__ == "__main__":
    main()
