"""A user's program, with each shape of command. Never run: tests/system/test_user_types.py has four type checkers read it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import msgspec
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
# Two of the checkers take a union or a Literal for a value: they are told at the name.
UNION: lw.StreamingCommand[Any, Square | Pair, Any] = lw.StreamingCommand("a", row=Square | Pair)
LITERAL: lw.JsonCommand[None, Kind] = lw.JsonCommand("a", response=Kind)

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
    assert_type(lease.collect(UNTYPED).rows, list[lw.DataRow])
    assert_type(lease.collect(UNION).rows, list[Square | Pair])
    assert_type(lease.collect(UNION).by_stream["squares"], list[Square | Pair])
    assert_type(lease.collect(ALL, Ask("M")).summary.metadata, Totals | None)
    assert_type(pool.call(CAPABILITY, ANSWER_ONLY), Square)
    assert_type(pool.collect(CAPABILITY, ALL, Ask("M")), lw.Collected[Square, Totals])


async def on_a_loop(pool: lw.AsyncPool) -> None:
    async with pool.lease(CAPABILITY) as lease:
        assert_type(await lease.call(ANSWER_ONLY), Square)
        async with lease.stream(ALL, Ask("M")) as rows:
            async for row in rows:
                assert_type(row, Square)
    assert_type(await pool.call(CAPABILITY, ANSWER_ONLY), Square)
    assert_type(await pool.collect(CAPABILITY, PAIRS), lw.Collected[Pair, Any])
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


def wrong(lease: lw.Lease, error: lw.ChildExited, pool: lw.AsyncPool) -> None:
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
