"""What asyncio costs: the same work through `Pool` and through `AsyncPool`, on the same warm workers, in turn.

calls   1000 calls of a Python function that answers at once
rows    100,000 typed rows from real Lean

Prints ratios, asyncio to blocking, of this process's CPU time and of wall time. Each checks its own result.

python benches/on_loop.py [rounds]
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import compare
import msgspec

import lean_worker as lw

CALLS, ROWS = 1000, 100_000
HOSTS = Path(__file__).parent.parent / "tests" / "hosts"
FUNCTIONS = lw.PythonCapability("functions:COMMANDS", path=[HOSTS])
DEMO = lw.LeanCapability(Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean", toolchain="embedded")


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


ECHO = lw.JsonCommand("echo")
DECLARATIONS = lw.StreamingCommand("declarations", row=Declaration)


def blocking_calls(pool: lw.Pool) -> None:
    with pool.lease(FUNCTIONS) as lease:
        assert [lease.call(ECHO, i) for i in range(CALLS)] == list(range(CALLS))


async def awaited_calls(pool: lw.Pool) -> None:
    async with lw.AsyncPool.sharing(pool).lease(FUNCTIONS) as lease:
        assert [await lease.call(ECHO, i) for i in range(CALLS)] == list(range(CALLS))


def blocking_rows(pool: lw.Pool) -> None:
    total = 0
    with pool.lease(DEMO) as lease, lease.stream(DECLARATIONS, ROWS) as rows:
        for row in rows:
            total += row.index
    assert total == ROWS * (ROWS - 1) // 2


async def awaited_rows(pool: lw.Pool) -> None:
    total = 0
    async with lw.AsyncPool.sharing(pool).lease(DEMO) as lease, lease.stream(DECLARATIONS, ROWS) as rows:
        async for row in rows:
            total += row.index
    assert total == ROWS * (ROWS - 1) // 2


def timed(work: object) -> dict[str, float]:
    assert callable(work)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"CPU": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with lw.Pool(2) as pool:
        measured = compare.rounds_of(
            {
                "blocking calls": lambda: timed(lambda: blocking_calls(pool)),
                "awaited calls": lambda: timed(lambda: asyncio.run(awaited_calls(pool))),
                "blocking rows": lambda: timed(lambda: blocking_rows(pool)),
                "awaited rows": lambda: timed(lambda: asyncio.run(awaited_rows(pool))),
            },
            rounds,
        )
    for work in ("calls", "rows"):
        for measure in ("CPU", "wall"):
            spread = compare.ratio(measured[f"awaited {work}"][measure], measured[f"blocking {work}"][measure])
            print(f"{work}, {measure}: {spread.text(2)} times that of blocking")


if __name__ == "__main__":
    main()
