"""Two versions of the package on the same machine, in turn: what each stage cost before, costs now, and was to cost.

    python before.py COMMIT CHECKOUT PYTHON [rounds]

CHECKOUT holds the earlier version, COMMIT names it, PYTHON is an interpreter that has it installed; `ci/bench` makes
them. Each probe is a process of its own (`before_probe.py`), started once a round for each version, in random order. A
ratio is taken between the two of one round.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import compare

HERE = Path(__file__).parent
PROBES = ("codec", "live", "generator", "starts", "job")
AIMS = {
    "encode, small": "≤ 0.25",
    "encode, large": "≤ 0.33",
    "encode checked, small": "≤ 0.40",
    "encode checked, large": "≤ 0.50",
    "decode raw, small": "≤ 0.77",
    "decode raw, large": "≤ 0.67",
    "decode typed, small": "≤ 0.83",
    "decode typed, large": "≤ 0.77",
    "reader on the ring, small": "≤ 0.80",
    "reader on the ring, large": "≤ 0.80",
    "reader on the pipe, small": "≤ 0.80",
    "reader on the pipe, large": "≤ 0.80",
    "two workers / one, 0.08 ms, ring": "1.80 now",
    "two workers / one, 0.08 ms, pipe": "1.80 now",
    "rows a second of a generator, small": "≥ 2.00",
    "rows a second of a generator, large": "≥ 2.00",
    "import lean_worker; Pool, ms": "70 now",
    "lean-worker --help, ms": "150 now",
    "a Python worker, ms": "≤ 0.60",
    "a Lean worker, ms": "≤ 0.70",
    "a later Lean worker, ms": "≤ 0.70",
    "an idle Python worker, MB": "≤ 0.70",
    "an idle Lean worker, MB": "≤ 0.70",
    "an idle later Lean worker, MB": "≤ 0.70",
    "a job's item, ms": "0.60 now",
    "files of a job": "2000 now",
}
"""Aims of the campaign that began at the earlier version: a share of it, or a figure of today's."""


def figures(python: str, benches: Path, probe: str) -> dict[str, float]:
    command = [python, str(HERE / "before_probe.py"), str(benches), probe]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main(commit: str, checkout: str, python: str, rounds: int) -> None:
    versions = {"before": (python, Path(checkout) / "benches"), "now": (sys.executable, HERE)}
    measured: dict[str, dict[str, list[float]]] = {version: {} for version in versions}
    turns = [(version, probe) for version in versions for probe in PROBES]
    # The first round warms the disk and compiles what a version keeps; it does not count.
    for number in range(rounds + 1):
        random.shuffle(turns)
        for version, probe in turns:
            for title, value in figures(*versions[version], probe).items():
                if number:
                    measured[version].setdefault(title, []).append(value)
    for title in measured["before"]:
        before, now = measured["before"][title], measured["now"][title]
        figures_of_both = f"{compare.Spread.of(before).text(2):>32} {compare.Spread.of(now).text(2):>32}"
        print(f"{title:42} {figures_of_both} {compare.ratio(now, before).text(2)}")
    compare.save("before", {"commit": commit, **measured})


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) > 4 else 7)
