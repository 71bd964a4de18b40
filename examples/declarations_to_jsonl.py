"""Declarations of the demonstration script, typed, into a file that appears only when the stream has succeeded."""

import os
import sys
from pathlib import Path

import msgspec

import lean_worker as lw


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


def main(target: str) -> None:
    script = Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean"
    declarations = lw.StreamingCommand("declarations", request=int, row=Declaration)
    part = Path(target + ".part")
    with lw.Pool() as pool, pool.lease(lw.LeanCapability(script)) as lease, part.open("wb") as sink:
        summary = lease.run(declarations, 1000, on_row=lambda row: sink.write(msgspec.json.encode(row) + b"\n"))
    os.replace(part, target)
    print(f"{summary.total_rows} declarations in {target}")


main(sys.argv[1] if len(sys.argv) > 1 else "declarations.jsonl")
