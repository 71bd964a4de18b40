"""An application that brings its own Lean script: its users know neither Lean nor workers.

    lean-squares COUNT FILE

Owns the commands of `Squares.lean`, which is installed beside this file, and their types.
"""

import contextlib
import dataclasses
import sys
from importlib import resources

import lean_worker as lw


@dataclasses.dataclass
class Square:
    number: int
    square: int


SQUARES = lw.StreamingCommand("squares", request=int, row=Square)
EXPECTED = lw.hosting.MetadataExpectation("metadata", commands={"squares": "1"})


def store(count: int, target: str) -> int:
    """Store the first `count` squares in `target`, all or none, and say how many there are."""
    with contextlib.ExitStack() as stack:
        script = stack.enter_context(resources.as_file(resources.files(__name__) / "Squares.lean"))
        capability = lw.LeanCapability(script, toolchain="embedded", metadata=EXPECTED)
        pool = stack.enter_context(lw.Pool())
        lease = stack.enter_context(pool.lease(capability))
        return lease.run(SQUARES, count, sink=lw.sinks.JsonLinesSink(target)).total_rows


def main() -> None:
    try:
        count, target = int(sys.argv[1]), sys.argv[2]
    except (IndexError, ValueError):
        sys.exit("usage: lean-squares COUNT FILE")
    try:
        print(f"{store(count, target)} squares in {target}")
    except lw.LeanWorkerError as error:
        sys.exit(f"lean-squares: {error}")
