"""Children that lie, die early or say nothing: each a typed error, and the pool serves the next request."""

from __future__ import annotations

import sys

import msgspec
import pytest

import lean_worker as lw
from support import FUNCTIONS, liar

ROWS = lw.StreamingCommand("rows")
QUICK = lw.Timeouts(startup=10, shutdown=0.2, cancel_grace=0.2, write=0.5)


@pytest.fixture
def pool():
    with lw.Pool(max_workers=2, timeouts=QUICK) as pool:
        yield pool
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(lw.JsonCommand("echo"), 1) == 1


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("print_garbage", lw.errors.FrameTooLarge, "1214606444"),  # "Hell" read as a length
        ("exit_at_once", lw.ChildExited, "cannot go on like this"),
        ("wrong_protocol_version", lw.errors.VersionMismatch, "11"),
        ("wrong_frame_version", lw.errors.VersionMismatch, "9"),
        ("row_first", lw.errors.UnexpectedMessage, "expected its handshake, got a data row"),
    ],
)
def test_no_handshake(pool, how, kind, text):
    with pytest.raises(kind, match=text):
        pool.lease(liar(how))


def test_a_silent_start_ends_at_its_deadline():
    with lw.Pool(timeouts=lw.Timeouts(startup=0.3)) as pool:
        with pytest.raises(lw.RequestTimeout, match="start-up") as caught:
            pool.lease(liar("silent"))
    assert caught.value.entered_worker is False


def test_a_payload_that_is_not_json_is_no_row_of_text(pool):
    seen = []
    with pool.lease(liar("malformed_payload")) as lease, pytest.raises(lw.errors.MalformedFrame, match="malformed"):
        lease.run(lw.StreamingCommand("rows", row=bytes), on_row=seen.append)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("how", "kind", "text", "delivered"),
    [
        ("garbage", lw.errors.FrameTooLarge, "4294967295", 1),
        ("malformed_payload", lw.errors.MalformedFrame, "malformed", 1),
        ("oversized", lw.errors.FrameTooLarge, "209715200", 1),
        ("sequence_gap", lw.errors.SequenceGap, "should go on with sequence 1, got 2", 1),
        ("sequence_repeat", lw.errors.SequenceGap, "should go on with sequence 1, got 0", 1),
        ("wrong_total", lw.errors.SummaryMismatch, "counts 3 rows", 2),
        ("wrong_stream_counts", lw.errors.SummaryMismatch, "other", 2),
        ("unknown_message", lw.errors.UnexpectedMessage, "surprise", 1),
        ("wrong_response", lw.errors.UnexpectedMessage, "health_ok", 1),
        ("second_handshake", lw.errors.UnexpectedMessage, "handshake", 1),
        ("frames_after_response", lw.errors.UnexpectedMessage, "after the response", 1),
        ("cut_frame", lw.ChildExited, "middle of a frame", 1),
        ("closed_pipe", lw.errors.MalformedFrame, "closed its frame pipe but did not end", 1),
    ],
)
def test_lies_within_a_stream(pool, how, kind, text, delivered):
    seen = []
    with pool.lease(liar(how)) as lease:
        with pytest.raises(kind, match=text) as caught:
            lease.run(ROWS, on_row=seen.append)
        assert len(seen) == caught.value.rows_delivered == delivered
        assert lease.is_stale
        with pytest.raises(lw.errors.StaleLease):
            lease.run(ROWS, on_row=seen.append)
    with pool.lease(liar("good")) as lease:
        assert lease.run(ROWS, on_row=seen.append).total_rows == 2


def test_a_worker_that_reads_no_requests(pool):
    with pool.lease(liar("no_requests_read")) as lease, pytest.raises(lw.RequestTimeout) as caught:
        lease.run(ROWS, "x" * 900_000, on_row=lambda row: None)
    assert caught.value.entered_worker is False


def test_a_foreign_worker_without_cancel_is_killed(pool):
    with pool.lease(liar("row_then_hang")) as lease:
        with lease.stream(ROWS) as rows:
            next(rows)
        assert lease.is_stale


def test_a_foreign_worker_that_has_answered_already_stays(pool):
    with pool.lease(liar("good")) as lease:
        with lease.stream(ROWS) as rows:
            next(rows)
        assert not lease.is_stale


class Row(msgspec.Struct):
    i: int


@pytest.mark.parametrize("how", ["other_spelling", "early_close"])
@pytest.mark.parametrize("kind", [Row, None])
def test_a_frame_spelled_another_way_has_the_same_row(pool, how, kind):
    with pool.lease(liar(how)) as lease:
        (row,) = lease.collect(lw.StreamingCommand("rows", row=kind)).rows
    assert (row if kind else row.payload) == (Row(0) if kind else {"i": 0})


def test_a_program_that_is_not_there(pool):
    with pytest.raises(lw.CapabilityError, match="no-such-program"):
        pool.lease(lw.ProcessCapability(["no-such-program"]))


def test_a_registry_that_is_not_there(pool):
    with pytest.raises(lw.CapabilityError, match="No module named 'no_such_module'"):
        pool.lease(lw.PythonCapability("no_such_module:COMMANDS"))
    for wrong in (
        "functions",
        "functions:",
        ":COMMANDS",
        ".functions:COMMANDS",
        "a..b:COMMANDS",
        "a:b:c",
        "a:b.c",
        "a:b c",
    ):
        with pytest.raises(lw.UsageError, match="expected registry as module:attribute"):
            lw.PythonCapability(wrong)


def test_a_child_command_line_that_is_wrong(pool):
    with pytest.raises(
        lw.ChildExited, match="expected one of python, lean, lines, check, compile, judge, got 'nothing'"
    ):
        pool.lease(lw.ProcessCapability([sys.executable, "-m", "lean_worker.child", "nothing"]))


def test_a_json_command_that_is_answered_with_another_kind(pool):
    with pool.lease(liar("good")) as lease:
        with pytest.raises(lw.errors.UnexpectedMessage, match="a row came for a command without rows"):
            lease.call(lw.JsonCommand("rows"))
        assert lease.is_stale
    with pool.lease(liar("answers_health")) as lease:
        with pytest.raises(lw.errors.UnexpectedMessage, match="health_ok"):
            lease.call(lw.JsonCommand("rows"))
        assert lease.is_stale
