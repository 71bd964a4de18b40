"""Prints which calls wait for Python's import lock when they are made again: `python import_lock.py DIRECTORY`.

An interrupt of the main thread in an import, or in `importlib.util.find_spec`, can leave the lock held for ever (CPython
3.11). What takes it each time then hangs in all other threads.
"""

from __future__ import annotations

import _imp
import sys
import threading
from pathlib import Path

import lean_worker as lw
from support import FUNCTIONS, HELD_INTEROP, INTEROP

ECHO, ROWS = lw.JsonCommand("echo"), lw.StreamingCommand("rows")
HEADER = "prelude\nimport LeanWorker.Library\n"
STATEMENT = HEADER + "theorem goal (p : Prop) (h : p) : p := sorry\n"


def lease(capability):
    """Start a worker of its own, and end it."""
    with lw.Pool() as pool, pool.lease(capability) as found:
        assert not found.is_stale


def rows(directory):
    with lw.Pool(2) as pool, pool.lease(FUNCTIONS) as found:
        assert found.call(ECHO, 1) == 1
        assert len(found.collect(ROWS, {"count": 3}).rows) == 3
        found.run(ROWS, {"count": 3}, sink=lw.sinks.JsonLinesSink(directory / "rows.jsonl"))
        found.run(ROWS, {"count": 3}, sink=lw.sinks.SqliteSink(directory / "rows.db"))
        assert all(outcome.ok for outcome in pool.map(ECHO, [1, 2], capability=FUNCTIONS))


def job(directory):
    with lw.Pool() as pool:
        lw.Job(directory / "ledger", ROWS, FUNCTIONS, out=directory / "job.jsonl").run(pool, [{"count": 1}])


def works(directory):
    return {
        "a Python worker": lambda: lease(FUNCTIONS),
        "a Lean worker": lambda: lease(INTEROP),
        "a forked Lean worker": lambda: lease(HELD_INTEROP),
        "rows": lambda: rows(directory),
        "job": lambda: job(directory),
        "check": lambda: list(lw.check([("a", HEADER)], toolchain="embedded")),
        "verify": lambda: list(lw.verify([lw.Proof("a", "h")], statement=STATEMENT, toolchain="embedded")),
    }


def main(directory):
    hanging = []
    for name, work in works(directory).items():
        for _ in range(2):
            work()
        again = threading.Thread(target=work, daemon=True)
        _imp.acquire_lock()
        try:
            again.start()
            again.join(20)
            if again.is_alive():
                hanging.append(name)
                import faulthandler

                faulthandler.dump_traceback()
        finally:
            _imp.release_lock()
        again.join()
    print(*hanging, sep="\n", end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
