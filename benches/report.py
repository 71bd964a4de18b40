"""Puts the tables and plots of the kept results into docs/performance.md.

The page's words are written by people; between a pair of lines `<!-- NAME -->` and `<!-- end -->` stands what this
program writes. It measures nothing.

    python benches/report.py
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare
import matplotlib
from before import AIMS
from compare import Spread, load, ratio, table

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"
PLOTS = DOCS / "plots"
BASE = "struct + orjson"
OURS = "#1f5f99"
OTHERS = "#9aa5b1"


def measured(name: str) -> dict[str, Any]:
    values: dict[str, Any] = load(name)["measured"]
    return values


def the_machine() -> str:
    facts = load("codec")["machine"]
    words = [facts["cpu"], f"{facts['cores']} cores", facts["system"], f"CPython {facts['python']}"]
    return f"{', '.join(words)}; commit {facts['commit']}."


def before() -> str:
    values = measured("before")
    earlier, now = values["before"], values["now"]
    rows = [
        [title, Spread.of(earlier[title]).text(2), Spread.of(now[title]).text(2), share.text(2), aim]
        for title, aim in AIMS.items()
        for share in [ratio(now[title], earlier[title])]
    ]
    return table(["", f"at {values['commit']}", "now", "now / then", "aim"], rows)


def codec() -> str:
    parts = []
    for stage, by_workload in measured("codec").items():
        names = list(by_workload)
        rows = []
        for variant in by_workload[names[0]]:
            cells = []
            for name in names:
                ns, base = by_workload[name][variant]["ns"], by_workload[name][BASE]["ns"]
                cells += [Spread.of(ns).text(), "" if variant == BASE else ratio(base, ns).text(1)]
            rows.append([variant, *cells])
        header = [stage]
        for name in names:
            header += [f"{name}, ns a row", "times as fast"]
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def row_payload() -> str:
    parts = []
    for group, variants in measured("row_payload").items():
        if group == "frame_sizes":
            continue
        first = next(iter(variants.values()))["ns"]
        rows = [[name, Spread.of(v["ns"]).text(), ratio(v["ns"], first).text(2)] for name, v in variants.items()]
        parts.append(table([f"`{group}`", "ns a row", "relative time"], rows))
    sizes = measured("row_payload")["frame_sizes"]
    formats = list(next(iter(sizes.values())))
    rows = [[name, *[f"{found[kind]:,}" for kind in formats]] for name, found in sizes.items()]
    parts.append(table(["bytes of a frame", *formats], rows))
    return "\n\n".join(parts)


def pipe() -> str:
    results = measured("pipe")
    parts = []
    for name, variants in results.items():
        rows = [
            [title, Spread.of(v["rows_per_second"]).text(0, 1e-3), Spread.of(v["cpu_ns"]).text()]
            for title, v in variants.items()
        ]
        parts.append(table([f"{name} rows", "thousand rows/s", "reader's CPU, ns a row"], rows))
    rows = []
    for name, variants in results.items():
        each, buffered = variants["lean-worker, each"], variants["lean-worker, buffered"]
        rate = "rows_per_second"
        rows.append(
            [
                name,
                ratio(each["cpu_ns"], variants["plain msgspec, each"]["cpu_ns"]).text(2),
                ratio(buffered[rate], variants["plain msgspec, buffered"][rate]).text(2),
                ratio(buffered[rate], variants["JSON lines msgspec, buffered"][rate]).text(2),
                ratio(buffered[rate], variants["Connection"][rate]).text(1),
                ratio(buffered[rate], variants["raw pipe, buffered"][rate]).text(2),
            ]
        )
    header = [
        "lean-worker against",
        "CPU of plain msgspec, a write a row",
        "rate of plain msgspec, buffered",
        "of JSON lines with msgspec",
        "of Connection",
        "of the raw pipe",
    ]
    parts.append(table(header, rows))
    return "\n\n".join(parts)


def figures(name: str, measures: dict[str, tuple[str, int]]) -> str:
    """A table of one benchmark's variants and some of their measures."""
    rows = []
    for variant, values in measured(name).items():
        if not isinstance(values, dict) or not set(measures) & set(values):
            continue
        rows.append(
            [
                variant,
                *[
                    Spread.of(values[key]).text(digits) if key in values else ""
                    for key, (_, digits) in measures.items()
                ],
            ]
        )
    return table(["", *[title for title, _ in measures.values()]], rows)


def batching() -> str:
    return figures(
        "batching",
        {
            "rows_per_second": ("rows/s", 0),
            "reader_cpu_ns": ("reader's CPU, ns a row", 0),
            "writer_system_ns": ("writer's system time, ns a row", 0),
            "first_row_ms": ("age of the first row, ms", 2),
            "median_row_ms": ("of the median row, ms", 2),
            "rows_lost": ("of 1000 rows lost", 0),
        },
    )


def ring() -> str:
    rows = []
    for name, ways in measured("ring").items():
        if name == "rows_lost":
            continue
        for measure, title in (
            ("rows_per_second", "rows/s"),
            ("reader_cpu_ns", "reader's CPU, ns a row"),
            ("writer_cpu_ns", "writer's CPU, ns a row"),
        ):
            below = ways["pipe"][measure]
            relative = ratio(ways["ring"][measure], below).text(2) if min(below) > 0 else ""
            pipe_text, ring_text = (Spread.of(ways[way][measure]).text() for way in ("pipe", "ring"))
            rows.append([f"{name}, {title}", pipe_text, ring_text, relative])
    return table(["", "pipe", "ring", "ring / pipe"], rows)


def end_to_end() -> str:
    results = measured("end_to_end")
    readers, shares = results["readers"], results["shares"]
    drain = readers["drain"]["rows_per_second"]
    names = {
        "drain": "take the bytes, look at none",
        "frames": "cut into rows, decode nothing",
        "typed": "typed rows (msgspec Struct)",
        "plain": "`DataRow`",
        "pipe": "typed rows, by pipe: a write a row",
    }
    rows = [
        [
            title,
            Spread.of(readers[name]["rows_per_second"]).text(),
            ratio(readers[name]["rows_per_second"], drain).text(2),
            Spread.of(readers[name]["reader_cpu_ns"]).text(),
        ]
        for name, title in names.items()
    ]
    parts = [
        table(["reader", "rows/s", "of the first", "CPU, ns a row"], rows),
        table(["share of a row", "ns"], [[title, Spread.of(values).text()] for title, values in shares.items()]),
    ]
    return "\n\n".join(parts)


def large_stream() -> str:
    results = measured("large_stream")
    speedup = ratio(results["two workers"]["rows_per_second"], results["one worker"]["rows_per_second"])
    return "\n\n".join(
        [
            figures("large_stream", {"ms": ("ms", 2)}),
            figures(
                "large_stream",
                {
                    "rows_per_second": ("rows/s", 0),
                    "first_row_ms": ("first row after the request, ms", 2),
                    "parent_before_mib": ("parent before, MiB", 1),
                    "parent_growth_mib": ("its growth", 1),
                    "child_before_mib": ("child before, MiB", 1),
                    "child_growth_mib": ("its growth", 1),
                },
            ),
            f"Two workers against one, on rows that cost Lean a millisecond each: {speedup.text(2)}.",
        ]
    )


def live() -> str:
    results = measured("live")
    measures = {
        "rows_per_second": ("rows/s", 0),
        "reader_cpu_ns": ("reader's CPU, ns a row", 0),
        "worker_cpu_ns": ("worker's CPU, ns a row", 0),
    }
    parts = [figures("live", measures)]
    rows = []
    for name in ("small", "large", "brief"):
        cells = []
        for way in ("ring", "pipe"):
            one, two = (results[f"{name}, {way}, {end}"]["rows_per_second"] for end in ("1 worker", "2 workers"))
            cells.append(ratio(two, one).text(2))
        rows.append([name, *cells])
    return "\n\n".join([*parts, table(["two workers / one", "ring", "pipe"], rows)])


def starts() -> str:
    return figures("starts", {"cpu_ms": ("CPU, ms", 1), "private_mb": ("private memory, MB", 1)})


def large_job() -> str:
    measures = {
        "cpu_ms_per_item": ("CPU, ms an item", 2),
        "most_files": ("most files", 0),
        "parent_peak_mb": ("parent's memory at most, MB", 0),
        "first_item_cpu_s": ("first item after the kill, s of CPU", 1),
        "first_item_s": ("s of wall time", 1),
    }
    rows = [
        [items, *(f"{found[key][0]:,.{digits}f}" for key, (_, digits) in measures.items())]
        for items, found in measured("large_job").items()
    ]
    return table(["", *[title for title, _ in measures.values()]], rows)


def latencies() -> str:
    names = {
        "row": "a row, from Lean's emitting it to the caller",
        "brief row": "the same, of rows 0.08 ms apart",
        "first row asked for": "first row of a stream, from the request",
        "command": "a warm command, there and back",
        "open": "a lease with a new Lean worker",
        "python": "a lease with a new Python worker",
        "cancel": "cancel in mid-stream, to `Cancelled`; the worker stays warm",
        "crash": "SIGKILL in mid-stream, to `ChildExited`",
        "respawn": "that SIGKILL, to the answer of the next worker",
    }
    rows = []
    for name, title in names.items():
        values = [value * 1e3 for value in measured("latencies")[name]]
        p99 = statistics.quantiles(values, n=100, method="inclusive")[98]
        rows.append([title, f"{statistics.median(values):.3f}", f"{p99:.3f}", f"{max(values):.3f}"])
    return table(["milliseconds", "median", "p99", "max"], rows)


# -- plots --


def bars(name: str, title: str, unit: str, values: dict[str, Spread]) -> None:
    """Horizontal bars, ours in colour, with the spread as a line."""
    figure, axes = plt.subplots(figsize=(7.5, 0.34 * len(values) + 1.0))
    names = list(reversed(values))
    medians = [values[key].median for key in names]
    around = [
        [values[key].median - values[key].low for key in names],
        [values[key].high - values[key].median for key in names],
    ]
    colours = [OURS if key.startswith(("lean-worker", "compiled", "typed")) else OTHERS for key in names]
    axes.barh(names, medians, xerr=around, color=colours, ecolor="#444444", capsize=2)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def plots() -> None:
    plt.rcParams["svg.hashsalt"] = "lean-worker"
    small = measured("pipe")["small"]
    rates = {name: Spread.of([v * 1e-6 for v in measures["rows_per_second"]]) for name, measures in small.items()}
    rates.pop("raw pipe, buffered")
    bars("pipe", "Live pipe, 200,000 small rows, to typed values", "million rows/s", rates)
    cpu = {name: Spread.of(measures["cpu_ns"]) for name, measures in small.items() if "raw" not in name}
    bars("pipe_cpu", "The reader's CPU, small rows", "ns a row", cpu)
    typed = measured("codec")["decode typed"]["small"]
    bars(
        "decode_typed",
        "Frames in memory to typed rows, small",
        "ns a row",
        {name: Spread.of(v["ns"]) for name, v in typed.items()},
    )


def planning() -> str:
    results = measured("planning")
    base = results["planned"]["seconds"]
    names = {
        "planned": "the plan, with `Pool.map`",
        "one by one": "by name, one pool of one worker",
        "per module": "a session for each module",
    }
    rows = []
    for name, words in names.items():
        seconds, sessions = results[name]["seconds"], results[name]["sessions"]
        rows.append([words, Spread.of(sessions).text(), Spread.of(seconds).text(2), ratio(seconds, base).text(1)])
    parts = [table(["24 modules, 3 sets of imports", "sessions opened", "seconds", "of the first"], rows)]
    rows = []
    for name in ("planning 24 modules", "planning 1,000 modules"):
        discover, plan = results[name]["discover_seconds"], results[name]["plan_seconds"]
        rows.append([name, Spread.of(discover).text(3), Spread.of(plan).text(2)])
    parts.append(table(["making the plan", "discover, s", "plan, s"], rows))
    return "\n\n".join(parts)


SECTIONS: dict[str, Callable[[], str]] = {
    "machine": the_machine,
    "before": before,
    "codec": codec,
    "row_payload": row_payload,
    "pipe": pipe,
    "batching": batching,
    "ring": ring,
    "end_to_end": end_to_end,
    "large_stream": large_stream,
    "live": live,
    "starts": starts,
    "large_job": large_job,
    "latencies": latencies,
    "planning": planning,
}


def main() -> None:
    page = DOCS / "performance.md"
    text = page.read_text()
    for name, write in SECTIONS.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        assert mark and end, f"{page} has no place for {name}"
        text = f"{before}{mark}{write()}\n{end}{after}"
    page.write_text(text)
    plots()
    print(f"wrote {page}; results of commit {compare.load('codec')['machine']['commit']}")


if __name__ == "__main__":
    main()
