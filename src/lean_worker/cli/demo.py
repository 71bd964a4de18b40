"""The main job in small: declarations of compiled modules, over two workers, into files; then some proofs to verify.

Owns the demonstration and what is measured in it. Everything goes through the public names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..base.counts import counted
from ..blocking.pool import Pool
from ..checking.files import check
from ..checking.results import Verdict
from ..errors import UsageError
from ..extraction.rows import DECLARATIONS, MODULES, Declaration, Request
from ..extraction.running import Extracted, extract
from ..extraction.sessions import EVERYTHING, extractor, lean_path_of
from ..hosting.temporary import TemporaryDirectory
from ..toolchains import toolchain as toolchains
from ..verification.candidates import verify
from . import demo_library
from .shown import JsonOption, bar, errors, existing, interruptible, note, print_json

_WORKERS = 2
_MODULES, _THEOREMS = 8, 375
_HEADER = "prelude\nimport LeanWorker\n"
_GOAL = "theorem goal (a b : Nat) (h : a = b) : b + 0 = a"
# Name, text after the header, whether Lean accepts the file, and whether it proves the statement.
_PROOFS = (
    ("honest", f"{_GOAL} := h.symm", True, True),
    ("honest, by tactics", f"{_GOAL} := by rw [h]; rfl", True, True),
    ("wrong", f"{_GOAL} := h", False, False),
    ("with a gap", f"{_GOAL} := sorry", True, False),
    ("cheat: an axiom", f"axiom trust (p : Prop) : p\n{_GOAL} := trust _", True, False),
    ("cheat: another statement", "theorem goal (a b : Nat) (h : a = b) : a = b := h", True, False),
)


@dataclasses.dataclass
class _Figures:
    """The measured figures."""

    lean: str
    lean_version: str | None
    lean_commit: str | None
    modules: int = 0
    compile_seconds: float | None = None
    first_row_us: int = 0
    extraction: Extracted | None = None
    parquet: Extracted | None = None
    proofs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    parent_rss_kib: int = 0
    workers_private_kib: int | None = None


def demo(
    as_json: JsonOption = False,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 8,
    project: Annotated[str | None, typer.Option(help="Your Lake project, instead of a generated library.")] = None,
    toolchain: Annotated[str, typer.Option(help="For --project; as of `extract`.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Directory for the files; default: a temporary one.")] = None,
) -> None:
    """The main job: real declarations of compiled modules, through two workers, into JSON lines and Parquet.

    Without a project it compiles a library of 3,000 generated theorems first, and extracts that and the library of the
    embedded Lean. Then it checks six candidate proofs, and verifies them against a statement.

    Example: lean-worker demo --rows 20
    """
    run_demo(as_json=as_json, shown_rows=rows, project=project, toolchain=toolchain, out=out)


def run_demo(
    *,
    as_json: bool,
    shown_rows: int,
    project: str | None = None,
    toolchain: str = "embedded",
    out: Path | None = None,
) -> None:
    """Run everything and print the figures.

    Raises:
        LeanWorkerError: As Lean's start, the extraction, the check or the verification say.
    """
    existing("--project", project)
    where = None if project is None else Path(project).expanduser().absolute()
    chosen = "embedded" if where is None else toolchain
    lean = toolchains.resolve(chosen, where)
    figures = _Figures(lean.banner, lean.version, lean.commit)
    note(lean.banner, quiet=as_json)
    with contextlib.ExitStack() as stack:
        temporary = TemporaryDirectory("lean-worker-demo")
        stack.callback(temporary.remove)
        if out is not None and out.exists() and not out.is_dir():
            raise UsageError(f"running the demo: {out} is no directory", hint="Give --out a directory.")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        folder = temporary.path if out is None else out.absolute()
        pool = stack.enter_context(Pool(max_workers=_WORKERS))
        targets: list[str] | None = None
        if where is None:
            where, targets = _library(pool, lean, temporary.path / "library", figures, quiet=as_json)
        lines = folder / "declarations.jsonl"
        with bar("declarations", pool, not as_json) as shown, interruptible() as cancel:
            figures.extraction = extract(
                "declarations",
                targets,
                out=lines,
                project=where,
                toolchain=chosen,
                pool=pool,
                ledger=temporary.path / "ledger",
                cancel=cancel,
                on_done=shown.on_done,
            )
            figures.workers_private_kib = pool.snapshot().memory_kib
            if importlib.util.find_spec("pyarrow") is not None:
                # The ledger has all rows: Lean is not asked again.
                figures.parquet = extract(
                    "declarations",
                    targets,
                    out=folder / "declarations.parquet",
                    project=where,
                    toolchain=chosen,
                    pool=pool,
                    ledger=temporary.path / "ledger",
                )
        figures.modules = figures.extraction.items
        sample = _sample(lines, shown_rows)
        if lean.modules is None:
            _judge_proofs(pool, figures)
    figures.parent_rss_kib = psutil.Process().memory_info().rss // 1024
    if as_json:
        print_json(dataclasses.asdict(figures) | {"rows_per_second": round(figures.extraction.rows_per_second)})
    else:
        _print(sample, figures, kept=out is not None)


def _library(pool: Pool, lean: Any, directory: Path, figures: _Figures, *, quiet: bool) -> tuple[Path, list[str]]:
    """Compile the generated library; the project, and all modules to extract from."""
    with pool.lease(extractor([EVERYTHING], toolchain="embedded")) as lease:
        found = lease.collect(MODULES, Request())
        started = time.perf_counter_ns()
        with lease.stream(DECLARATIONS, Request()) as rows:
            next(iter(rows))
            figures.first_row_us = (time.perf_counter_ns() - started) // 1000
    note(f"compiling {_MODULES * _THEOREMS:,} generated theorems in {_MODULES} modules", quiet=quiet)
    began = time.monotonic()
    path = lean_path_of(found.summary)
    demo_library.build(directory, lean, path, modules=_MODULES, theorems=_THEOREMS, jobs=_WORKERS)
    figures.compile_seconds = round(time.monotonic() - began, 3)
    own = [f"{demo_library.NAME}.Part{number}" for number in range(_MODULES)]
    return directory, [*(row.name for row in found.rows), *own]


def _sample(lines: Path, count: int) -> list[Declaration]:
    """Rows that people wrote, of as many kinds and modules as there are."""
    command_rows = _decoded(lines)
    found: dict[tuple[str, str], Declaration] = {}
    for row in command_rows:
        if not row.is_generated and not row.is_private:
            found.setdefault((row.kind, row.module), row)
    chosen: list[Declaration] = []
    kinds: set[str] = set()
    for row in sorted(found.values(), key=lambda row: (row.doc is None, row.module)):
        if row.kind not in kinds:
            kinds.add(row.kind)
            chosen.append(row)
    rest = [row for row in found.values() if row not in chosen]
    return [*chosen, *rest][:count]


def _decoded(lines: Path) -> Any:
    import msgspec

    decode = msgspec.json.Decoder(Declaration).decode
    with lines.open("rb") as file:
        for line in file:
            yield decode(line)


def _judge_proofs(pool: Pool, figures: _Figures) -> None:
    files = [(name, f"{_HEADER}{text}\n") for name, text, _, _ in _PROOFS]
    checked = check(files, pool=pool, toolchain="embedded", in_order=True)
    statement = f"{_HEADER}{_GOAL} := sorry\n"
    # The candidates are ours: no sandbox, which not every system has.
    verified = verify(files, statement=statement, pool=pool, toolchain="embedded", sandbox=None, in_order=True)
    for proof, file, judged in zip(_PROOFS, list(checked), list(verified), strict=True):
        name, text, is_accepted, is_proof = proof
        figures.proofs.append(
            {
                "name": name,
                "text": text,
                "check": file.verdict.value,
                "verify": judged.verdict.value,
                "is_expected": (file.verdict is Verdict.ACCEPTED, judged.is_proved) == (is_accepted, is_proof),
                "reason": judged.axiom or judged.aspect or (judged.messages[0].data if judged.messages else ""),
                "seconds": judged.seconds,
            }
        )


def _print(sample: list[Declaration], figures: _Figures, *, kept: bool) -> None:
    console = Console()
    table = Table("kind", "name", "type", "module", title="some of the rows")
    for row in sample:
        table.add_row(row.kind, escape(row.name), escape(_short(row.type or "")), escape(row.module))
    console.print(table)
    found = figures.extraction
    assert found is not None
    kinds = Table("kind", "rows", title=f"{counted(found.rows, 'declarations')} of {counted(found.items, 'modules')}")
    for kind, count in found.counts.items():
        kinds.add_row(kind, f"{count:,}")
    console.print(kinds)
    if figures.proofs:
        proofs = Table("candidate proof", "check", "verify", "reason", title="proofs")
        for proof in figures.proofs:
            proofs.add_row(proof["name"], proof["check"], proof["verify"], escape(_short(proof["reason"])))
        console.print(proofs)
    if figures.compile_seconds is not None:
        print(f"compiling the library  {figures.compile_seconds:.1f} s")
        print(f"time to the first row  {figures.first_row_us / 1000:.1f} ms, from an open worker")
    speed = f"{found.rows_per_second:,.0f} rows/s"
    print(f"extraction             {found.elapsed_us / 1e6:.2f} s, {speed}, {_WORKERS} workers")
    print(f"memory of this process {figures.parent_rss_kib // 1024} MiB")
    if figures.workers_private_kib is not None:
        print(f"memory of both workers {figures.workers_private_kib // 1024} MiB (private)")
    if kept:
        print(f"JSON lines             {found.out}")
    if figures.parquet is None:
        errors.print("no Parquet file: pyarrow is not installed (pip install 'lean-worker\\[arrow]')")
    elif kept:
        print(f"Parquet                {figures.parquet.out}")
    else:
        print(f"also as Parquet        {figures.parquet.elapsed_us / 1e6:.2f} s; --out DIR keeps the files")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 80 else words[:79] + "…"
