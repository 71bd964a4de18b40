"""The child's writer, over a real pipe; both twins."""

from __future__ import annotations

import json
import os
import threading

import pytest

from lean_worker.wire.envelope import Message


class Pipe:
    def __init__(self, frames, limit_bytes=1 << 20):
        self.frames = frames
        self.read_fd, write_fd = os.pipe()
        self.write_fd = write_fd
        self.writer = frames.RowWriter(write_fd, limit_bytes)

    def bytes(self):
        os.set_blocking(self.read_fd, False)
        data = b""
        try:
            while chunk := os.read(self.read_fd, 1 << 20):
                data += chunk
        except BlockingIOError:
            pass
        return data

    def items(self):
        reader = self.frames.FrameReader(1 << 24)
        reader.feed(self.bytes())
        items = reader.take()
        assert reader.pending_bytes == 0
        return items

    def close(self):
        for descriptor in (self.read_fd, self.write_fd):
            try:
                os.close(descriptor)
            except OSError:
                pass


@pytest.fixture
def pipe(frames_impl):
    pipe = Pipe(frames_impl)
    yield pipe
    pipe.close()


def use_everything(writer):
    writer.message("handshake", b'{"worker_version":"1","protocol_version":10}')
    writer.begin(True)
    writer.row("rows", b'{"i":0}')
    writer.row('ü"\\\n\x01/\x7f', b" [1, 2] ")
    writer.row("rows", b"null")
    writer.diagnostic("a.b", 'said "x"\n')
    writer.progress("scan", 1, None)
    writer.progress("scan", 2**64 - 1, 5)
    writer.row("rows", b"{not-json")
    result = writer.finish()
    writer.message("response", b"{}")
    return result


@pytest.mark.compiled
def test_both_twins_write_the_same_bytes():
    from lean_worker import _frames
    from lean_worker.wire import frames_py as _frames_py

    pipes = [Pipe(_frames), Pipe(_frames_py)]
    results = [use_everything(pipe.writer) for pipe in pipes]
    written = [pipe.bytes() for pipe in pipes]
    for pipe in pipes:
        pipe.close()
    assert results[0] == results[1]
    assert written[0] == written[1]
    total, counts, failure, status = results[0]
    assert (total, counts, status) == (3, {"rows": 2, 'ü"\\\n\x01/\x7f': 1}, _frames.STATUS_MALFORMED)
    assert failure == "row payload is not valid JSON: stream 'rows', sequence 2, starts with '{not-json'"


def test_sequences_count_up_in_each_stream(pipe):
    pipe.writer.begin(False)
    for stream in ["left", "right", "left"] + [f"s{n}" for n in range(40)] * 2:
        assert pipe.writer.row(stream, b"1") == 0
    rows = pipe.items()
    assert [(row.stream, row.sequence) for row in rows[:3]] == [("left", 0), ("right", 0), ("left", 1)]
    assert [row.sequence for row in rows[3:]] == [0] * 40 + [1] * 40
    total, counts, failure, status = pipe.writer.finish()
    assert (total, counts["left"], counts["s39"], failure, status) == (83, 2, 2, None, 0)
    pipe.writer.begin(False)
    pipe.writer.row("left", b"1")
    assert pipe.items()[0].sequence == 0


def test_the_first_failure_stays(pipe):
    frames = pipe.frames
    pipe.writer.begin(False)
    assert pipe.writer.row("", b"1") == frames.STATUS_MALFORMED
    assert pipe.writer.row("rows", b"1") == frames.STATUS_MALFORMED
    assert pipe.writer.finish() == (0, {}, "row stream name is empty", frames.STATUS_MALFORMED)
    assert pipe.items() == []


def test_rows_need_a_stream(pipe):
    assert pipe.writer.row("rows", b"1") == pipe.frames.STATUS_NO_STREAM
    pipe.writer.begin(False)
    pipe.writer.finish()
    assert pipe.writer.row("rows", b"1") == pipe.frames.STATUS_NO_STREAM
    assert pipe.writer.diagnostic("still", "allowed") == 0
    assert pipe.items() == [Message("diagnostic", b'{"code":"still","message":"allowed"}')]


def test_a_row_over_the_limit(pipe):
    pipe.writer.limit_bytes = 65_536
    assert pipe.writer.limit_bytes == 65_536
    pipe.writer.begin(False)
    assert pipe.writer.row("rows", b'"' + b"x" * 65_536 + b'"') == pipe.frames.STATUS_TOO_LARGE
    _, counts, failure, _ = pipe.writer.finish()
    assert counts == {}
    assert failure == "row frame too large: 65631 bytes exceeds 65536"
    assert pipe.items() == []


def test_cancel_refuses_rows_and_events_until_the_next_request(pipe):
    pipe.writer.begin(False)
    pipe.writer.row("rows", b"1")
    pipe.writer.cancel()
    assert pipe.writer.row("rows", b"1") == pipe.frames.STATUS_CANCELLED
    assert pipe.writer.diagnostic("x", "") == pipe.frames.STATUS_CANCELLED
    assert pipe.writer.progress("x", 1, None) == pipe.frames.STATUS_CANCELLED
    assert pipe.writer.message("response", b"{}") == 0
    assert len(pipe.items()) == 2
    pipe.writer.begin(False)
    assert pipe.writer.row("rows", b"1") == 0


def test_a_parent_that_is_gone(pipe):
    pipe.writer.begin(False)
    os.close(pipe.read_fd)
    assert pipe.writer.row("rows", b"1") == pipe.frames.STATUS_CLOSED
    assert pipe.writer.finish()[2:] == ("the parent closed the frame pipe", pipe.frames.STATUS_CLOSED)


def test_frames_of_many_threads_are_whole(pipe):
    rows = 500
    reader = pipe.frames.FrameReader(1 << 24)
    items = []

    def read():
        while len(items) < 4 * rows:
            reader.feed(os.read(pipe.read_fd, 1 << 16))
            items.extend(reader.take())

    def write(stream):
        for i in range(rows):
            assert pipe.writer.row(stream, json.dumps({"i": i, "pad": "x" * 300}).encode()) == 0

    pipe.writer.begin(False)
    threads = [threading.Thread(target=write, args=(f"t{n % 2}",)) for n in range(4)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in ("t0", "t1"):
        assert [row.sequence for row in items if row.stream == stream] == list(range(2 * rows))


def test_events_without_a_name_are_refused(pipe):
    assert pipe.writer.diagnostic("", "x") == pipe.frames.STATUS_MALFORMED
    assert pipe.writer.progress("", 1, 2) == pipe.frames.STATUS_MALFORMED
    assert pipe.items() == []
