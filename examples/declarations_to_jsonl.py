"""Declarations of the demonstration script, one JSON object a line, in a file that appears only when all are there.

For a project of your own: a script that imports its modules, and `lw.LeanCapability(script, project="~/project")`.
"""

import sys
from pathlib import Path

import lean_worker as lw


def main(target: str) -> None:
    script = Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean"
    declarations = lw.StreamingCommand("declarations", request=int)
    with lw.Pool() as pool, pool.lease(lw.LeanCapability(script)) as lease:
        summary = lease.run(declarations, 1000, sink=lw.sinks.JsonLinesSink(target))
    print(f"{summary.total_rows} declarations in {target}")


main(sys.argv[1] if len(sys.argv) > 1 else "declarations.jsonl")
