"""The typed commands as type checkers see them. Never run: `ci/lint` has mypy and pyright read it."""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

import dataclasses
from typing import Any

from typing_extensions import assert_type

import lean_worker as lw
from lean_worker.sinks import JsonLinesSink


@dataclasses.dataclass
class Ask:
    module: str


@dataclasses.dataclass
class Declaration:
    name: str


@dataclasses.dataclass
class Totals:
    count: int


VERSION: lw.JsonCommand[Ask, Totals] = lw.JsonCommand("version", request=Ask, response=Totals)
DECLARATIONS: lw.StreamingCommand[Ask, Declaration, Totals] = lw.StreamingCommand(
    "declarations", request=Ask, row=Declaration, summary=Totals
)
CAPABILITY = lw.PythonCapability("functions:COMMANDS")


def one_request(lease: lw.Lease) -> None:
    assert_type(lease.call(VERSION, Ask("M")), Totals)
    with lease.stream(DECLARATIONS, Ask("M")) as rows:
        assert_type(next(rows), Declaration)
        for row in rows:
            assert_type(row, Declaration)
    assert_type(rows.summary, lw.StreamSummary[Totals])
    assert_type(rows.summary.metadata, Totals | None)
    done = lease.collect(DECLARATIONS, Ask("M"))
    assert_type(done, lw.Collected[Declaration, Totals])
    assert_type(done.rows, list[Declaration])
    assert_type(lease.run(DECLARATIONS, Ask("M"), on_row=take_declaration), lw.StreamSummary[Totals])
    assert_type(lease.run(DECLARATIONS, Ask("M"), sink=JsonLinesSink("rows")), lw.StreamSummary[Totals])


def many_requests(pool: lw.Pool) -> None:
    asks = [Ask("M"), Ask("N")]
    for answer in pool.map(VERSION, asks, capability=CAPABILITY):
        assert_type(answer, lw.Outcome[Ask, Totals])
        assert_type(answer.request, Ask)
        assert_type(answer.raise_for_error(), Totals)
    for collected in pool.map(DECLARATIONS, iter(asks), capability=CAPABILITY, timeout=seconds_for):
        assert_type(collected.raise_for_error().rows, list[Declaration])
    with pool.stream_many(DECLARATIONS, asks, capability=CAPABILITY, on_row=take_indexed) as outcomes:
        assert_type(outcomes, lw.Outcomes[Ask, lw.StreamSummary[Totals]])
        assert_type(outcomes.total, int | None)


def take_declaration(row: Declaration) -> None: ...


def take_indexed(index: int, row: Declaration) -> None: ...


def seconds_for(request: Ask) -> float:
    return 1.0


def wrong(lease: lw.Lease, pool: lw.Pool) -> None:
    """Each line has to be refused: both checkers report an ignore that nothing needs."""
    lease.call(VERSION, "M")  # type: ignore[misc]
    lease.run(DECLARATIONS, Ask("M"), on_row=take_indexed)  # type: ignore[arg-type]
    pool.map(VERSION, ["M"], capability=CAPABILITY)  # type: ignore[misc]
    pool.stream_many(DECLARATIONS, [Ask("M")], capability=CAPABILITY, on_row=take_declaration)  # type: ignore[arg-type]


def facts(error: lw.ChildExited) -> Any:
    return error.facts["exit_code"]
