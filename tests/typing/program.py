"""A user's program, with each shape of command. Never run: tests/system/test_user_types.py has four type checkers read it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import msgspec
import polars
import pyarrow  # type: ignore[import-untyped]
from typing_extensions import TypedDict, assert_type

import lean_worker as lw


@dataclasses.dataclass
class Square:
    n: int
    square: int


class Ask(msgspec.Struct):
    module: str


class Pair(NamedTuple):
    left: int
    right: int


class Totals(TypedDict):
    largest: int


Kind = Literal["a", "b"]

ROW_ONLY = lw.StreamingCommand("a", row=Square)
UNTYPED = lw.StreamingCommand("a")
ALL = lw.StreamingCommand("a", request=Ask, row=Square, summary=Totals)
IN_ORDER = lw.StreamingCommand("a", Ask, Square, Totals)
REQUEST_ONLY = lw.StreamingCommand("a", request=Ask)
SUMMARY_ONLY = lw.StreamingCommand("a", summary=Totals)
REQUEST_AND_SUMMARY = lw.StreamingCommand("a", request=Ask, summary=Totals)
RAW = lw.StreamingCommand("a", row=bytes)
PAIRS = lw.StreamingCommand("a", row=Pair)
LISTS = lw.JsonCommand("a", request=list[int], response=dict[str, Square])
ANSWER_ONLY = lw.JsonCommand("a", response=Square)
ASK_ONLY = lw.JsonCommand("a", request=Ask)
PLAIN = lw.JsonCommand("a")
NONE_FIRST = lw.JsonCommand("a", None, Square)
NONE_THEN_ROW = lw.StreamingCommand("a", None, Square)
NONE_THEN_BOTH = lw.StreamingCommand("a", None, Square, Totals)
NONE_FOR_ROW = lw.StreamingCommand("a", Ask, None, Totals)
NONE_FOR_BOTH = lw.StreamingCommand("a", None, None, Totals)
NONE_FOR_ALL = lw.StreamingCommand("a", None, None, None)
NONE_BY_NAME = lw.StreamingCommand("a", request=None, row=None, summary=Totals)
BY_STREAM = lw.StreamingCommand("a", None, {"left": Square}, Totals)
# Two of the checkers take a union or a Literal for a value: they are told at the name.
UNION: lw.StreamingCommand[Any, Square | Pair, Any] = lw.StreamingCommand("a", row=Square | Pair)
LITERAL: lw.JsonCommand[None, Kind] = lw.JsonCommand("a", response=Kind)

OPTIONAL: lw.JsonCommand[Ask | None, int] = lw.JsonCommand("a", request=Ask | None, response=int)

CAPABILITY = lw.LeanCapability("squares.lean")


def commands() -> None:
    assert_type(ROW_ONLY, lw.StreamingCommand[Any, Square, Any])
    assert_type(UNTYPED, lw.StreamingCommand[Any, lw.DataRow, Any])
    assert_type(ALL, lw.StreamingCommand[Ask, Square, Totals])
    assert_type(IN_ORDER, lw.StreamingCommand[Ask, Square, Totals])
    assert_type(REQUEST_ONLY, lw.StreamingCommand[Ask, lw.DataRow, Any])
    assert_type(SUMMARY_ONLY, lw.StreamingCommand[Any, lw.DataRow, Totals])
    assert_type(REQUEST_AND_SUMMARY, lw.StreamingCommand[Ask, lw.DataRow, Totals])
    assert_type(RAW, lw.StreamingCommand[Any, bytes, Any])
    assert_type(PAIRS, lw.StreamingCommand[Any, Pair, Any])
    assert_type(LISTS, lw.JsonCommand[list[int], dict[str, Square]])
    assert_type(ANSWER_ONLY, lw.JsonCommand[Any, Square])
    assert_type(ASK_ONLY, lw.JsonCommand[Ask, Any])
    assert_type(PLAIN, lw.JsonCommand[Any, Any])
    assert_type(NONE_FIRST, lw.JsonCommand[Any, Square])
    assert_type(NONE_THEN_ROW, lw.StreamingCommand[Any, Square, Any])
    assert_type(NONE_THEN_BOTH, lw.StreamingCommand[Any, Square, Totals])
    assert_type(NONE_FOR_ROW, lw.StreamingCommand[Ask, lw.DataRow, Totals])
    assert_type(NONE_FOR_BOTH, lw.StreamingCommand[Any, lw.DataRow, Totals])
    assert_type(NONE_FOR_ALL, lw.StreamingCommand[Any, lw.DataRow, Any])
    assert_type(NONE_BY_NAME, lw.StreamingCommand[Any, lw.DataRow, Totals])
    assert_type(BY_STREAM, lw.StreamingCommand[Any, Any, Totals])


def readme() -> None:
    squares = lw.StreamingCommand("squares", row=Square)
    with lw.Pool(max_workers=2) as pool, pool.lease(CAPABILITY) as lease, lease.stream(squares, timeout=60) as rows:
        for row in rows:
            assert_type(row, Square)
            print(row.n, row.square)
        assert_type(rows.summary, lw.StreamSummary[Any])


def one_request(lease: lw.Lease, pool: lw.Pool) -> None:
    assert_type(lease.call(LITERAL), Kind)
    assert_type(lease.call(LISTS, [1]), dict[str, Square])
    assert_type(lease.call(LISTS, request=[], timeout=1.5, cancel=lw.CancelToken()), dict[str, Square])
    assert_type(lease.call(PLAIN, {"any": "value"}), Any)
    assert_type(lease.call(ANSWER_ONLY, 5, on_progress=print), Square)
    assert_type(lease.call(OPTIONAL), int)
    assert_type(lease.call(OPTIONAL, None), int)
    assert_type(lease.call(OPTIONAL, Ask("M")), int)
    assert_type(lease.run(ALL, Ask("M"), on_row=take_square), lw.StreamSummary[Totals])
    assert_type(lease.run(ROW_ONLY, sink=take_square, timeout=None), lw.StreamSummary[Any])
    assert_type(lease.run(ROW_ONLY, sink={"a": take_square, "b": None}), lw.StreamSummary[Any])
    assert_type(lease.collect(UNTYPED).rows, list[lw.DataRow])
    assert_type(lease.collect(UNION).rows, list[Square | Pair])
    assert_type(lease.collect(UNION).by_stream["squares"], list[Square | Pair])
    assert_type(lease.collect(ALL, Ask("M")).summary.metadata, Totals | None)
    assert_type(pool.call(CAPABILITY, ANSWER_ONLY), Square)
    assert_type(pool.collect(CAPABILITY, ALL, Ask("M")), lw.Collected[Square, Totals])


def take_square(row: Square) -> None: ...


def tables(done: lw.Collected[Square, Any], answer: lw.Collected[Any, Any]) -> None:
    assert_type(done.to_polars(), polars.DataFrame)
    assert_type(answer.to_polars("edges").columns, list[str])
    assert_type(done.to_arrow(), pyarrow.Table)
    assert_type(lw.tables.to_table(done.rows, "polars"), polars.DataFrame)


def one_job(pool: lw.Pool) -> None:
    job = lw.Job("a.ledger", ALL, CAPABILITY)
    assert_type(job, lw.Job[Ask, Square, Totals])
    assert_type(job.command, lw.StreamingCommand[Ask, Square, Totals])
    assert_type(job.run(pool, [Ask("M")], on_done=print).done, int)
    lw.Job("a.ledger", ROW_ONLY, CAPABILITY).run(pool, [1, "2", None])


async def on_a_loop(pool: lw.AsyncPool) -> None:
    async with pool.lease(CAPABILITY) as lease:
        assert_type(await lease.call(ANSWER_ONLY), Square)
        async with lease.stream(ALL, Ask("M")) as rows:
            async for row in rows:
                assert_type(row, Square)
    assert_type(await pool.call(CAPABILITY, ANSWER_ONLY), Square)
    assert_type(await pool.collect(CAPABILITY, PAIRS), lw.Collected[Pair, Any])
    assert_type(await lease.run(ALL, Ask("M"), on_row=take_square), lw.StreamSummary[Totals])
    assert_type(await lease.run(ROW_ONLY, sink={"a": take_square}), lw.StreamSummary[Any])
    async for checked in lw.checking.check_async(["A.lean"]):
        assert_type(checked, lw.CheckResult)
    async for verified in lw.verification.verify_async(["A.lean"], statement="S.lean"):
        assert_type(verified, lw.verification.VerifyResult)


def many_requests(pool: lw.Pool) -> None:
    for outcome in pool.map(ALL, [Ask("M")], capability=CAPABILITY):
        assert_type(outcome.request, Ask)
        if outcome.error is None:
            assert_type(outcome.value.rows, list[Square])
        else:
            assert_type(outcome.error, BaseException)
        if outcome.ok is True:
            assert_type(outcome.value, lw.Collected[Square, Totals])
        assert_type(outcome.raise_for_error(), lw.Collected[Square, Totals])


def failures(error: lw.ChildExited, refused: lw.AdmissionError, other: lw.LeanWorkerError) -> None:
    assert_type(error.signal, str | None)
    assert_type(error.exit_code, int | None)
    assert_type(error.rows_delivered, int)
    assert_type(other.entered_worker, bool | None)
    assert_type(refused.retry, Literal["safe", "if idempotent", "no"])


async def wrong(
    lease: lw.Lease,
    error: lw.ChildExited,
    pool: lw.AsyncPool,
    threads: lw.Pool,
    cluster: lw.RayPool,
    awaited: lw.aio.AsyncLease,
) -> None:
    """Each line here is a mistake, and every checker says so."""
    for row in lease.collect(ROW_ONLY).rows:
        print(row.sqare)
    print(lease.call(ANSWER_ONLY).sqare)
    print(error.sginal)
    lease.call(ROW_ONLY)
    lease.collect(ANSWER_ONLY)
    lease.collect(ALL, 5)
    pool.lease(CAPABILITY).collect(ALL)
    lw.tables.to_table([], "excel")
    lease.call(LISTS)
    lease.call(LISTS, None)
    lease.call(LISTS, timeout=5)
    lease.call(LISTS, ["a"])
    lease.call(LISTS, [1], timeot=5)
    lease.call(LISTS, [1], timeout="5")
    lease.call(LITERAL, 5)
    lease.call(OPTIONAL, 5)
    lease.collect(ALL)
    lease.collect(ALL, None)
    lease.stream(ALL)
    lease.stream(ALL, request=None)
    lease.run(ALL, on_row=print)
    lease.run(ALL, None, sink=print)
    lease.run(ALL, Ask("M"), on_row=len)
    lease.run(ALL, Ask("M"), sink=len)
    lease.run(ALL, Ask("M"))
    lease.run(ALL, Ask("M"), on_row=print, sink=print)
    lease.run(ROW_ONLY)
    lease.run(ROW_ONLY, on_row=print, sink=print)
    threads.call(CAPABILITY, LISTS)
    threads.call(CAPABILITY, LISTS, None)
    threads.collect(CAPABILITY, ALL)
    threads.collect(CAPABILITY, ALL, None, lease_timeout=3)
    threads.map(ALL, [None], capability=CAPABILITY)
    threads.stream_many(ALL, [None], on_row=print, capability=CAPABILITY)
    cluster.map(LISTS, ["a"], capability=CAPABILITY)
    lw.Job("a.ledger", ALL, CAPABILITY).run(threads, [None])
    print(lease.collect(ROW_ONLY).to_polars().colums)
    lw.Poool()
    lw.sinks.CsvSink("a")
    await pool.call(CAPABILITY, LISTS)
    await pool.call(CAPABILITY, LISTS, None)
    await pool.collect(CAPABILITY, ALL)
    await awaited.call(LISTS)
    await awaited.call(LISTS, None)
    await awaited.collect(ALL)
    awaited.stream(ALL)
    await awaited.run(ALL, on_row=print)
    await awaited.run(ALL, Ask("M"), on_row=len)
    await awaited.run(ALL, Ask("M"))
    await awaited.run(ROW_ONLY, on_row=print, sink=print)
