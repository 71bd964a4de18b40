"""An exporter that prints JSON lines, wrapped: typed rows, with its log lines and failures told apart."""

import sys

import msgspec

import lean_worker as lw


class Declaration(msgspec.Struct):
    name: str
    kind: str


# Stands for ["lake", "exe", "export"]: prints rows, logs to both outputs, and fails for a module that it does not know.
EXPORTER = """
import json, sys
request = json.loads(sys.stdin.readline())
print("exporting", request["module"])
print("this goes to stderr", file=sys.stderr)
if request["module"] != "Nat.Basic":
    sys.exit("no module " + request["module"])
for name in ("Nat.add_comm", "Nat.mul_comm"):
    print(json.dumps({"name": name, "kind": "theorem"}))
"""


def main() -> None:
    exporter = lw.LinesCapability({"export": [sys.executable, "-c", EXPORTER]}, other_lines="diagnostic")
    export = lw.StreamingCommand("export", row=Declaration)
    with lw.Pool() as pool, pool.lease(exporter) as lease:
        for module in ("Nat.Basic", "Nat.Missing"):
            try:
                done = lease.collect(
                    export,
                    {"module": module},
                    timeout=60,
                    on_diagnostic=lambda said: print(f"{said.code}: {said.message}", file=sys.stderr),
                )
            except lw.CommandFailed as error:
                print(f"{module}: failed with exit code {error.exit_code}")
            else:
                print(f"{module}: {', '.join(row.name for row in done.rows)}")


main()
