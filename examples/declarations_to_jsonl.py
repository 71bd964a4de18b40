"""The declarations of compiled modules, one JSON object a line, in a file that appears only when all are there.

For a project of your own: lw.extract("declarations", project="~/project", out="declarations.jsonl").
"""

import sys

import lean_worker as lw

target = sys.argv[1] if len(sys.argv) > 1 else "declarations.jsonl"
found = lw.extract("declarations", ["LeanWorker.Json"], toolchain="embedded", out=target)
print(f"{found.rows} declarations in {found.out}: {found.counts}")
