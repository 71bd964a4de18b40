"""Puts the table and the plot of the kept results of `growth.py` into docs/growth.md. It measures nothing.

python benches/growth_report.py
"""

from __future__ import annotations

import math
from pathlib import Path

import compare
import matplotlib
from compare import Spread, load, table

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"
UNITS = {
    "rows": "row",
    "bytes of a row": "row",
    "streams": "row",
    "workers": "worker",
    "waiting leases": "lease",
    "items of a job": "item",
    "modules of a plan": "module",
    "headers that are held": "file",
    "modules of a held header": "file",
}
# Sweeps whose size is no number of units: the exponent is that of one unit's cost.
OF_A_UNIT = ("bytes of a row", "streams", "headers that are held", "modules of a held header")
Sweep = dict[int, Spread]


def sweeps() -> dict[str, Sweep]:
    found: dict[str, Sweep] = {}
    for name, measures in load("growth")["measured"].items():
        what, _, size = name.partition(": ")
        found.setdefault(what, {})[int(size)] = Spread.of(measures["cpu_us"])
    return {what: dict(sorted(found[what].items())) for what in UNITS if what in found}


def exponent(sweep: Sweep) -> float:
    """The slope of the total cost over the two largest sizes, both on a logarithmic scale: 1 is linear."""
    (small, before), (large, behind) = list(sweep.items())[-2:]
    return 1 + math.log(behind.median / before.median) / math.log(large / small)


def text_of(found: dict[str, Sweep]) -> str:
    parts = []
    for what, sweep in found.items():
        header = [what, *(f"{size:,}" for size in sweep), "exponent"]
        digits = 1 if max(spread.median for spread in sweep.values()) > 100 else 2
        cells = [spread.text(digits) for spread in sweep.values()]
        slope = exponent(sweep) - (1 if what in OF_A_UNIT else 0)
        parts.append(table(header, [[f"CPU, µs a {UNITS[what]}", *cells, f"{slope:.2f}"]]))
    return "\n\n".join(parts)


def plot(found: dict[str, Sweep]) -> None:
    plt.rcParams["svg.hashsalt"] = "lean-worker"
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    for what, sweep in found.items():
        sizes, medians = list(sweep), [spread.median for spread in sweep.values()]
        axes.plot(sizes, medians, marker="o", markersize=3, linewidth=1, label=f"{what}: a {UNITS[what]}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("number of rows, bytes, streams, workers, leases, items, modules, headers", fontsize=9)
    axes.set_ylabel("CPU, µs", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(DOCS / "plots" / "growth.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    page = DOCS / "growth.md"
    found = sweeps()
    before, mark, rest = page.read_text().partition("<!-- growth -->\n")
    _, end, behind = rest.partition("<!-- end -->")
    assert mark and end, f"{page} has no place for the results"
    facts = load("growth")["machine"]
    about = f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, CPython {facts['python']}"
    page.write_text(f"{before}{mark}{about}; commit {facts['commit']}.\n\n{text_of(found)}\n{end}{behind}")
    plot(found)
    print(f"wrote {page}; results of commit {compare.load('growth')['machine']['commit']}")


if __name__ == "__main__":
    main()
