"""Rows through pool, lease and typed command, from hosted Python functions in real processes."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from typing import NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest

import lean_worker as lw
from support import FUNCTIONS, is_running, wait_until


class Row(msgspec.Struct):
    i: int
    name: str


@dataclasses.dataclass
class RowDataclass:
    i: int
    name: str


class RowTuple(TypedDict):
    i: int
    name: str


class RowNamed(NamedTuple):
    i: int
    name: str


@attrs.define
class RowAttrs:
    i: int
    name: str


class RowModel(pydantic.BaseModel):
    i: int
    name: str


class Emitted(msgspec.Struct):
    emitted: int


class Count(msgspec.Struct):
    count: int


ROWS = lw.StreamingCommand("rows", request=Count, row=Row, summary=Emitted)
PLAIN_ROWS = lw.StreamingCommand("rows")
ENDLESS = lw.StreamingCommand("endless")


@pytest.fixture(scope="module")
def pool():
    # More workers die here within a minute than a pool allows by itself.
    with lw.Pool(max_workers=2, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        yield pool


@pytest.fixture
def lease(pool):
    with pool.lease(FUNCTIONS) as lease:
        yield lease


def test_typed_rows_and_summary(lease):
    rows = []
    summary = lease.run(ROWS, Count(3), on_row=rows.append)
    assert rows == [Row(i, f"Fixture.decl_{i}") for i in range(3)]
    assert summary.total_rows == 3
    assert summary.per_stream_counts == {"rows": 3}
    assert summary.metadata == Emitted(3)
    assert summary.elapsed_us > 0


@pytest.mark.parametrize("kind", [RowDataclass, RowTuple, RowNamed, RowAttrs, RowModel, Row])
def test_every_kind_of_row_type(lease, kind):
    values = {"i": 1, "name": "Fixture.decl_1"}
    done = lease.collect(lw.StreamingCommand("one_row", row=kind), values) if kind is RowNamed else None
    if done is None:
        done = lease.collect(lw.StreamingCommand("rows", row=kind), {"count": 2})
        assert done.rows[1] == kind(**values)
    else:
        assert done.rows == [RowNamed(**values)]


def test_rows_without_a_type_keep_their_text(lease):
    done = lease.collect(PLAIN_ROWS, {"count": 1})
    (row,) = done.rows
    assert row == lw.DataRow("rows", 0, {"i": 0, "name": "Fixture.decl_0"}, b'{"i":0,"name":"Fixture.decl_0"}')
    assert done.summary.metadata == {"emitted": 1}


def test_streams_have_sequences_of_their_own(lease):
    done = lease.collect(lw.StreamingCommand("two_streams"))
    assert [(row.stream, row.sequence) for row in done.rows] == [("left", 0), ("right", 0), ("left", 1)]
    assert done.summary.per_stream_counts == {"left": 2, "right": 1}
    assert done.summary.metadata is None


def test_events_come_in_wire_order(lease):
    seen = []
    lease.run(lw.StreamingCommand("events"), on_row=seen.append, on_diagnostic=seen.append, on_progress=seen.append)
    assert seen == [
        lw.events.Diagnostic("scan.started", "started"),
        lw.events.Progress("scan", 1, 2),
        lw.DataRow("rows", 0, {"i": 0}, b'{"i":0}'),
        lw.events.Progress("scan", 2, None),
        lw.events.Diagnostic("scan.finished", ""),
    ]


def test_json_command(lease):
    assert lease.call(lw.JsonCommand("echo"), {"a": [1, 2.5, None, "ü"]}) == {"a": [1, 2.5, None, "ü"]}
    assert lease.call(lw.JsonCommand("echo", request=Row, response=RowDataclass), Row(1, "x")) == RowDataclass(1, "x")


def test_large_integers_survive(lease):
    assert lease.call(lw.JsonCommand("echo"), 10**60) == 10**60


def test_metadata_and_doctor(lease):
    assert lease.metadata("metadata").commands[0].name == "rows"
    assert lease.doctor("doctor").diagnostics[0].severity == "pass"
    with pytest.raises(lw.CommandFailed, match="bogus"):
        lease.doctor("doctor_malformed")
    for ask in (lease.metadata, lease.doctor):
        with pytest.raises(lw.CommandFailed, match="its answer has not the form") as raised:
            ask("echo")
        assert "`call`" in raised.value.hint


# -- live --


def test_a_row_is_there_before_the_command_goes_on(lease, tmp_path):
    gate = tmp_path / "gate"
    seen = []

    def on_row(row):
        seen.append(row.payload["i"])
        gate.touch()  # the command waits for this file, so it cannot have gone on

    lease.run(lw.StreamingCommand("row_then_gate"), {"gate": str(gate)}, on_row=on_row, timeout=30)
    assert seen == [0, 1]


def test_iterating_a_stream(lease):
    with lease.stream(ROWS, Count(5)) as rows:
        with pytest.raises(lw.UsageError, match="has not ended in success"):
            _ = rows.summary
        assert [row.i for row in rows] == [0, 1, 2, 3, 4]
        assert rows.rows_delivered == 5
    assert rows.summary.total_rows == 5
    assert list(rows) == []


# -- leaving early --


def test_what_was_stopped_does_not_look_complete(lease):
    with lease.stream(ROWS, Count(5)) as rows:
        pass
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(rows)
    with lease.stream(ROWS, Count(5)) as rows:
        for _ in rows:
            rows.close()  # the loop just ends
    assert rows.rows_delivered == 1
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(rows)
    with pytest.raises(lw.CommandFailed), lease.stream(lw.StreamingCommand("fail_after_rows")) as rows:
        list(rows)
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(rows)


LAZY = {
    "generator": lambda rows: (row for row in rows),
    "map": lambda rows: map(id, rows),
    "enumerate": enumerate,
    "chain": lambda rows: itertools.chain([next(rows)], rows),
    "itself": iter,
    "begun": lambda rows: (next(rows), rows)[1],
}
"""Ways to take from an iterator later than where they were made."""


@pytest.mark.parametrize("lazily", LAZY.values(), ids=LAZY)
def test_what_takes_rows_after_the_block_is_told(lease, pool, lazily):
    with lease.stream(ROWS, Count(50)) as rows:
        later = lazily(rows)
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(later)
    with lease.stream(ROWS, Count(3)) as rows:
        whole = lazily(rows)
        list(whole)
    assert list(rows) == [] and rows.summary.total_rows == 3
    lease.release()
    with pool.map(lw.JsonCommand("echo"), range(50), capability=FUNCTIONS, in_flight=1) as outcomes:
        later = lazily(outcomes)
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(later)
    with pool.map(lw.JsonCommand("echo"), range(3), capability=FUNCTIONS) as outcomes:
        taken = [next(outcomes) for _ in range(3)]
        later = lazily(outcomes) if lazily not in (LAZY["chain"], LAZY["begun"]) else outcomes
    assert len(taken) == 3 and list(later) == []  # all there are


@pytest.mark.parametrize("how", ["failure", "close in the block", "close twice"])
@pytest.mark.parametrize("adapt", [enumerate, lambda rows: map(id, rows), lambda rows: zip(rows, itertools.count())])
def test_an_adapter_says_once_more_that_there_was_no_end(lease, pool, adapt, how):
    with contextlib.suppress(lw.CommandFailed), lease.stream(lw.StreamingCommand("fail_after_rows")) as rows:
        later, begun = adapt(rows), adapt(rows)
        next(begun)
        if how == "failure":
            list(begun)
        rows.close()
        if how == "close twice":
            list(begun)  # the loop that was in progress just ends, once
            rows.close()
    for each in (begun, later):
        with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
            list(each)
    lease.release()

    def requests():
        yield 1
        yield 2
        if how == "failure":
            raise ValueError
        yield from range(50)

    outcomes = pool.map(lw.JsonCommand("echo"), requests(), capability=FUNCTIONS)
    with contextlib.suppress(ValueError), outcomes:
        later, begun = adapt(outcomes), adapt(outcomes)
        next(begun)
        if how == "failure":
            list(begun)
        outcomes.close()
        if how == "close twice":
            list(begun)
            outcomes.close()
    for each in (begun, later):
        with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
            list(each)


@pytest.mark.parametrize("lazily", [LAZY[name] for name in ("generator", "map", "enumerate", "itself")])
def test_what_was_closed_before_its_first_row_does_not_look_empty(lease, pool, lazily):
    rows = lease.stream(ROWS, Count(50))
    later = lazily(rows)
    rows.close()
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(later)
    lease.release()
    outcomes = pool.map(lw.JsonCommand("echo"), range(3), capability=FUNCTIONS)
    later = lazily(outcomes)
    outcomes.close()
    with pytest.raises(lw.UsageError, match="was closed, or failed, before its end"):
        list(later)
    none = pool.map(lw.JsonCommand("echo"), [], capability=FUNCTIONS)
    later = lazily(none)
    none.close()
    assert list(later) == []  # all there are


def test_break_stops_the_command_and_keeps_the_worker(lease):
    before = lease.call(lw.JsonCommand("about_me"))["pid"]
    with lease.stream(ENDLESS) as rows:
        for row in rows:
            if row.sequence == 10:
                break
    with pytest.raises(lw.UsageError):
        _ = rows.summary
    assert lease.call(lw.JsonCommand("about_me"))["pid"] == before


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), SystemExit(4)])
def test_a_sink_error_comes_out_unchanged_and_the_worker_stays(lease, error):
    before = lease.call(lw.JsonCommand("about_me"))["pid"]

    def on_row(row):
        if row.sequence == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        lease.run(ENDLESS, on_row=on_row)
    assert caught.value is error
    assert lease.call(lw.JsonCommand("about_me"))["pid"] == before


@pytest.mark.parametrize("sink", ["on_diagnostic", "on_progress"])
def test_an_event_sink_error_comes_out_unchanged(lease, sink):
    error = RuntimeError("mine")

    def raises(event):
        raise error

    with pytest.raises(RuntimeError) as caught:
        lease.run(lw.StreamingCommand("events"), on_row=lambda row: None, **{sink: raises})
    assert caught.value is error
    assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_an_abandoned_iterator_is_stopped_by_release(pool):
    lease = pool.lease(FUNCTIONS)
    rows = lease.stream(ENDLESS)
    next(rows)
    with pytest.raises(lw.UsageError, match="another request"):
        lease.call(lw.JsonCommand("echo"))
    lease.release()
    for _ in range(2):
        with pytest.raises(lw.Cancelled, match="closed before its end"):
            next(rows)
    with pytest.raises(lw.UsageError, match="was released"):
        lease.call(lw.JsonCommand("echo"))


def test_a_worker_that_does_not_stop_is_replaced():
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.05)) as pool:
        with pool.lease(FUNCTIONS) as lease:
            with lease.stream(lw.StreamingCommand("row_then_hang")) as rows:
                next(rows)
            with pytest.raises(lw.errors.StaleLease, match="closed before its end"):
                lease.call(lw.JsonCommand("echo"))
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(lw.JsonCommand("echo"), 7) == 7


# -- cancelling --


def test_cancel_from_the_sink_delivers_no_further_row(lease):
    token = lw.CancelToken()
    seen = []

    def on_row(row):
        seen.append(row.sequence)
        if row.sequence == 4:
            token.cancel()

    with pytest.raises(lw.Cancelled) as caught:
        lease.run(ENDLESS, on_row=on_row, cancel=token)
    assert seen == [0, 1, 2, 3, 4]
    assert caught.value.rows_delivered == 5
    assert caught.value.sequence == 4
    assert not lease.is_stale


def test_cancel_wakes_a_silent_request(lease):
    token = lw.CancelToken()
    started = threading.Event()

    def cancel_when_started():
        started.wait()
        token.cancel()

    canceller = threading.Thread(target=cancel_when_started)
    canceller.start()
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.05)) as pool, pool.lease(FUNCTIONS) as other:
        with pytest.raises(lw.Cancelled) as caught:
            other.run(lw.StreamingCommand("row_then_hang"), on_row=lambda row: started.set(), cancel=token)
    canceller.join()
    assert caught.value.rows_delivered == 1
    assert caught.value.entered_worker is True


def test_a_cancelled_token_sends_nothing(lease):
    token = lw.CancelToken()
    token.cancel()
    with pytest.raises(lw.Cancelled) as caught:
        lease.call(lw.JsonCommand("echo"), 1, cancel=token)
    assert caught.value.entered_worker is False
    assert lease.call(lw.JsonCommand("echo"), 1) == 1


# -- deadlines --


def test_timeout_kills_the_worker_and_says_what_was_delivered(pool):
    lease = pool.lease(FUNCTIONS)
    pid = lease.call(lw.JsonCommand("about_me"))["pid"]
    with pytest.raises(lw.RequestTimeout) as caught:
        lease.run(lw.StreamingCommand("row_then_hang"), on_row=lambda row: None, timeout=0.8)
    assert caught.value.rows_delivered == 1
    assert caught.value.timeout == 0.8
    assert caught.value.command == "row_then_hang"
    assert not is_running(pid)
    with pytest.raises(lw.errors.StaleLease, match="no end within 0.8 seconds"):
        lease.call(lw.JsonCommand("echo"))
    lease.release()


def test_a_deadline_holds_while_the_sink_runs(pool):
    with pool.lease(FUNCTIONS) as lease:
        pid = lease.call(lw.JsonCommand("about_me"))["pid"]

        def on_row(row):
            wait_until(lambda: not is_running(pid))  # comes true only if somebody else enforces the deadline

        with pytest.raises(lw.RequestTimeout) as caught:
            lease.run(ENDLESS, on_row=on_row, timeout=0.5)
        assert caught.value.rows_delivered == 1


# -- what hosted code does wrong --


def test_a_failing_function_is_a_verdict(lease):
    with pytest.raises(lw.CommandFailed, match="the function says no") as caught:
        lease.call(lw.JsonCommand("fail"))
    assert caught.value.code == "lean_worker.command_failed"
    with pytest.raises(lw.CommandFailed, match="half way") as caught:
        lease.run(lw.StreamingCommand("fail_after_rows"), on_row=lambda row: None)
    assert caught.value.rows_delivered == 1
    assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_an_unknown_command(lease):
    with pytest.raises(lw.errors.UnknownCommand, match="no_such"):
        lease.call(lw.JsonCommand("no_such"))
    with pytest.raises(lw.errors.UnknownCommand, match="no_such"):
        lease.run(lw.StreamingCommand("no_such"), on_row=lambda row: None)


def test_a_command_of_the_other_kind(lease):
    with pytest.raises(lw.CommandFailed, match="run it as a streaming command"):
        lease.call(lw.JsonCommand("rows"), {"count": 1})
    with pytest.raises(lw.CommandFailed, match="run it as a JSON command"):
        lease.run(lw.StreamingCommand("echo"), on_row=lambda row: None)


def test_a_function_that_returns_an_iterator_serves_a_stream(lease):
    assert lease.collect(lw.StreamingCommand("mapped", row=dict[str, int]), {"count": 2}).rows == [{"i": 0}, {"i": 1}]
    with pytest.raises(lw.CommandFailed, match="run it as a streaming command"):
        lease.call(lw.JsonCommand("mapped"), {"count": 1})


def test_a_row_of_the_wrong_type_names_its_place(lease):
    with pytest.raises(lw.DecodeError) as caught:
        lease.run(lw.StreamingCommand("wrong_type", row=Row), on_row=lambda row: None)
    error = caught.value
    assert (error.command, error.stream, error.sequence, error.path) == ("wrong_type", "rows", 1, "$.i")
    assert error.rows_delivered == 1
    assert not lease.is_stale
    assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_a_pydantic_row_of_the_wrong_type_names_its_place(lease):
    with pytest.raises(lw.DecodeError) as caught:
        lease.run(lw.StreamingCommand("wrong_type", row=RowModel), on_row=lambda row: None)
    assert (caught.value.sequence, caught.value.path) == (1, "$.i")


def test_a_summary_of_the_wrong_type(lease):
    with pytest.raises(lw.DecodeError, match="summary") as caught:
        lease.run(lw.StreamingCommand("wrong_summary", summary=Emitted), on_row=lambda row: None)
    assert (caught.value.path, caught.value.stream, caught.value.sequence) == ("$.emitted", None, None)  # of no row
    assert "sequence" not in str(caught.value) and not lease.is_stale


def test_a_response_of_the_wrong_type(lease):
    with pytest.raises(lw.DecodeError, match="response") as caught:
        lease.call(lw.JsonCommand("echo", response=Row), {"i": 1})
    assert "name" in str(caught.value)


def test_a_request_of_the_wrong_type_is_not_sent(lease):
    with pytest.raises(lw.DecodeError, match="request"):
        lease.run(ROWS, {"count": "three"}, on_row=lambda row: None)
    with pytest.raises(lw.UsageError, match="no JSON form"):
        lease.call(lw.JsonCommand("echo"), object())


def test_stray_prints_do_no_harm(lease):
    done = lease.collect(lw.StreamingCommand("stray_print"))
    assert done.rows[0].payload == {"i": 0, "stdin": ""}


def test_a_flood_on_stderr_blocks_nobody(lease):
    done = lease.collect(lw.StreamingCommand("flood_stderr"), {"kib": 4096}, timeout=60)
    assert done.summary.total_rows == 2


# -- sizes --


def test_a_row_over_the_frame_limit_is_typed_and_the_worker_lives(lease):
    size_bytes = 2 << 20
    for send, side in {
        lambda: lease.collect(lw.StreamingCommand("large_row"), {"size_bytes": size_bytes}): "remote",
        lambda: lease.call(lw.JsonCommand("large_answer"), {"size_bytes": size_bytes}): "remote",
        lambda: lease.call(lw.JsonCommand("echo"), "x" * size_bytes): "local",
    }.items():
        with pytest.raises(lw.errors.FrameTooLarge, match="exceeds") as caught:
            send()
        # What a program needs that asks again with a higher limit.
        assert caught.value.side == side
        assert caught.value.limit_bytes == 1 << 20
        assert size_bytes < caught.value.length_bytes < size_bytes + 256
    assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_a_larger_frame_limit():
    limits = lw.Limits(max_frame_bytes=8 << 20)
    with lw.Pool(limits=limits) as pool, pool.lease(FUNCTIONS) as lease:
        done = lease.collect(lw.StreamingCommand("large_row"), {"size_bytes": 6 << 20})
        assert len(done.rows[0].payload["blob"]) == 6 << 20
        assert len(lease.call(lw.JsonCommand("echo"), "x" * (6 << 20))) == 6 << 20


# -- deaths --


@pytest.mark.parametrize(
    ("request_value", "exit_code", "signal", "cause"),
    [
        ({"how": "exit", "code": 0}, 0, None, "ended by itself"),
        ({"how": "exit", "code": 42}, 42, None, "failed"),
        ({"how": "SIGKILL"}, None, "SIGKILL", "killed from outside"),
        ({"how": "SIGABRT"}, None, "SIGABRT", "abort"),
        ({"how": "SIGSEGV"}, None, "SIGSEGV", "memory fault"),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 128])
def test_every_row_before_a_death_is_delivered(pool, request_value, exit_code, signal, cause, rows):
    seen = []
    with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.ChildExited) as caught:
        lease.run(lw.StreamingCommand("die"), {**request_value, "rows": rows}, on_row=seen.append)
    error = caught.value
    assert len(seen) == error.rows_delivered == rows
    assert (error.exit_code, error.signal) == (exit_code, signal)
    assert cause in error.cause
    assert error.entered_worker is True
    with pool.lease(FUNCTIONS) as lease:
        assert lease.call(lw.JsonCommand("echo"), 1) == 1


def test_programs_that_a_worker_started_end_with_it(pool):
    with pool.lease(FUNCTIONS) as lease:
        grandchild = lease.call(lw.JsonCommand("grandchild"))
        assert is_running(grandchild)
        with pytest.raises(lw.RequestTimeout):
            lease.run(lw.StreamingCommand("row_then_hang"), on_row=lambda row: None, timeout=0.2)
    wait_until(lambda: not is_running(grandchild))


def test_the_worker_does_not_load_the_supervising_side(lease):
    modules = lease.call(lw.JsonCommand("about_me"))["modules"]
    parent_side = {"pool", "lease", "supervisor", "monitor", "process", "stream", "capability", "toolchain"}
    assert not {f"lean_worker.{name}" for name in parent_side} & set(modules)


def test_rows_as_their_json_text(lease):
    collected = lease.collect(lw.StreamingCommand("rows", row=bytes), {"count": 3})
    assert collected.rows == [b'{"i":%d,"name":"Fixture.decl_%d"}' % (i, i) for i in range(3)]
