"""`lean-worker extract`: rows about Lean code, in a file.

Owns the command's arguments and what it prints.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, cast

import typer

from ..base.counts import counted
from ..errors import JobIncomplete
from ..extraction.rows import DEFAULT_WIDTH, Request
from ..extraction.running import Extracted, What, pool_for
from ..extraction.running import extract as run_extraction
from ..hosting.sandbox import Sandbox
from .hosting import ToolchainOption
from .job import telling_what_is_stored
from .shown import JsonOption, QuietOption, bar, existing, interruptible, keeping, note, print_json

_WITHOUT_ITEMS = ("modules", "messages")  # and so without a ledger


def extract(
    what: Annotated[str, typer.Argument(help="declarations, dependencies, modules, messages, or goals.")],
    out: Annotated[Path, typer.Option(help="File for the rows: .jsonl, .parquet, .db, .sqlite or .sqlite3.")],
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Modules; for messages and goals, source files. None: what `lake build` builds of --project."
        ),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Lake project that was built.")] = None,
    toolchain: ToolchainOption = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Workers at once.")] = 2,
    ledger: Annotated[
        Path | None, typer.Option(help="Where the state is kept for later runs; default: beside --out while it runs.")
    ] = None,
    width: Annotated[int, typer.Option(min=1, help="Width of printed types.")] = DEFAULT_WIDTH,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-D", help="Printing option, such as pp.all; no-NAME: off.")
    ] = None,
    types: Annotated[
        bool, typer.Option("--types/--no-types", help="Print types, which takes most of the time.")
    ] = True,
    structure: Annotated[bool, typer.Option("--structure", help="Give types as nested lists too.")] = False,
    edges: Annotated[bool, typer.Option("--edges", help="Dependencies: one row for each use.")] = False,
    steps: Annotated[bool, typer.Option("--steps/--no-steps", help="Goals: a row for each tactic step too.")] = True,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="Goals: code in the files reads the project alone, and writes nothing."),
    ] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds for each try of a module or file; one that does not end is tried 3 times.")
    ] = 600.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write rows about compiled modules, or messages or goals of source files, to one file.

    It may be interrupted or killed: the same command goes on, and modules that are stored are not asked for again;
    of messages and modules nothing is stored before the end.
    Exit code 0: the file has all rows. 1: some modules were refused or ended workers, the file was not written, and the
    ledger has the reasons (`lean-worker job show`). 2: the command line is wrong. 3: workers were lost. 130: Ctrl-C.

    Example: lean-worker extract declarations --project . --out declarations.parquet --workers 4
    Example: lean-worker extract goals Proofs.lean --out goals.jsonl
    """
    existing("--project", project)
    request: Request | None = Request(
        width=width, options=tuple(option or ()) or None, with_type=types, with_expr=structure
    )
    if what in _WITHOUT_ITEMS and request == Request(width=DEFAULT_WIDTH):
        request = None  # nothing of it was asked for
    place: Path | None = out.absolute().with_name(f"{out.name}.ledger") if ledger is None else ledger
    if what in _WITHOUT_ITEMS:
        place = None  # a file of that name is another extraction's
    kind = cast(What, what)
    results: list[Extracted] = []
    with keeping(results), pool_for(kind, workers) as pool, bar(what, pool, not quiet and not as_json) as shown:
        try:
            rest = "the same command goes on from there"
            with telling_what_is_stored(place, _items_of(what), rest), interruptible() as cancel:
                found = run_extraction(
                    kind,
                    targets or None,
                    out=out,
                    project=project,
                    toolchain=toolchain,
                    pool=pool,
                    request=request,
                    edges=edges,
                    steps=steps,
                    sandbox=Sandbox() if sandbox else None,
                    ledger=ledger,
                    timeout=timeout,
                    cancel=cancel,
                    on_done=shown.on_done,
                )
                results.append(found)
        except JobIncomplete as error:
            if place is not None and place.exists():
                error.hint = f"`lean-worker job show {place}` has all reasons; the same command asks for these again."
            raise
    _tell(results[0], as_json, quiet)


def _items_of(what: str) -> str:
    return "files" if what in ("messages", "goals") else "modules"


def _tell(found: Extracted, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json({**dataclasses.asdict(found), "rows_per_second": round(found.rows_per_second)})
        return
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts.items())
    stored = found.items - found.ran
    note(
        f"{counted(found.rows, 'rows')} of {counted(found.items, _items_of(found.what))} "
        f"in {found.elapsed_us / 1e6:.2f} s ({found.rows_per_second:,.0f} a second) to {found.out}"
        + (f"; {stored:,} were stored by an earlier run" if stored else ""),
        quiet=quiet,
    )
    if counts:
        note(counts, quiet=quiet)
