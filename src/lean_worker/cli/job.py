"""`lean-worker job`: many requests, each stored exactly once, over many runs.

The ledger stores the arguments, so `resume` needs only its path.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from ..base.counts import counted
from ..batch.job import Job, JobReport
from ..batch.job_output import check_place
from ..batch.ledger import DONE, JobItem, Ledger
from ..batch.ledger_checks import refuse_untrusted
from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..distributed.pool import RayPool
from ..errors import Cancelled, JobIncomplete, RecoveryError, UsageError
from ..hosting.launch import callers_directory
from ..policy import check_timeout
from ..sinks.file_names import DATABASES, NOT_WRITTEN
from .hosting import CapabilityArgument, HostOptions
from .job_parquet import write_parquet
from .option_groups import grouped
from .outputs import is_standard_output, refuse_inputs
from .printed import show_printed
from .shown import JsonOption, QuietOption, interruptible, note, print_json, print_table

jobs = typer.Typer(
    help="Many requests with a ledger: run, show, resume, retry.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

LedgerArgument = Annotated[Path, typer.Argument(help="The ledger: an SQLite file; its parts lie beside it.")]
WorkersOption = Annotated[int, typer.Option(min=1, max=4096, help="Workers at once.")]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", help="Address of a Ray cluster, or auto; then --workers are those of each node."),
]
_FACT = "command line"
_SHOWN_REQUEST_CHARACTERS = 60


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of `run`, stored for `resume`; paths are absolute.

    Attributes:
        directory: The working directory of `run`, in which `resume` goes on; "" if it had none, or does not say.
        python_path: Its PYTHONPATH, in which a registry may have been found; "" for a script.
    """

    capability: str
    export: str
    out: str
    host: HostOptions
    version: str
    max_deaths: int
    timeout: float
    allow_incomplete: bool
    with_stream: bool
    keep_parts: bool = False
    directory: str = ""
    python_path: str = ""

    @property
    def is_parquet(self) -> bool:
        return self.out.lower().endswith(".parquet")

    def job(self, ledger: Path) -> Job[Any, Any, Any]:
        host = self.host.capability(self.capability)
        is_parquet = self.is_parquet
        command: StreamingCommand[Any, Any, Any] = StreamingCommand(self.export, row=None if is_parquet else bytes)
        return Job(
            ledger,
            command,
            host,
            out=None if is_parquet else self.out,
            parts_as="parquet" if is_parquet else "jsonl",
            with_stream=self.with_stream,
            version=self.version,
            max_deaths=self.max_deaths,
            allow_incomplete=self.allow_incomplete,
            keep_parts=self.keep_parts,
        )


@jobs.command(short_help="Run a command for each request of a file; store all rows in one file.")
@grouped
def run(
    ledger: LedgerArgument,
    capability: CapabilityArgument,
    export: Annotated[str, typer.Argument(help="Name of the streaming command.")],
    requests: Annotated[Path, typer.Option(help="File with one request a line, each a JSON value.")],
    out: Annotated[
        Path,
        typer.Option(
            help="File for all rows, in the order of the requests, when all items have run: .parquet, or any other for "
            "JSON lines."
        ),
    ],
    workers: WorkersOption = 1,
    *,
    host: HostOptions,
    version: Annotated[str, typer.Option(help="Any text; another one makes all items due again.")] = "",
    max_deaths: Annotated[int, typer.Option(help="How many workers an item may end before it is left out.")] = 3,
    timeout: Annotated[float, typer.Option(help="Seconds for each item.")] = 600.0,
    allow_incomplete: Annotated[
        bool,
        typer.Option(
            "--allow-incomplete", help="Replace --out also if items are in quarantine, so that rows are missing."
        ),
    ] = False,
    with_stream: Annotated[bool, typer.Option("--with-stream", help='Each line is {"stream":NAME,"row":ROW}.')] = False,
    keep_parts: Annotated[
        bool, typer.Option("--keep-parts", help="Keep the parts beside the ledger when --out has all rows.")
    ] = False,
    ray: RayOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a command for each request of a file, and store the rows of all in one file.

    It may be killed at any time: run it again, or resume it. Exits with 1 if items are in quarantine.

    Example: lean-worker job run run.ledger Extract.lean declarations --requests modules.jsonl --out rows.jsonl
    """
    if is_standard_output(str(out)):
        raise UsageError(
            f"making a job: expected --out as a file, got {out}",
            hint="Give it a name, as in rows.jsonl: a job's rows are there when it ends.",
        )
    refuse_inputs("making a job", [str(out)], [requests, capability])
    if out.suffix.lower() in (*DATABASES, *NOT_WRITTEN):
        raise UsageError(
            f"making a job: its output is JSON lines or Parquet, and {out} names another format",
            hint="Give --out a name that ends in .jsonl or .parquet.",
        )
    is_script = not capability.startswith("python:")
    settings = _Settings(
        str(Path(capability).resolve()) if is_script else capability,
        export,
        str(out.resolve()),
        host.absolute(),
        version,
        max_deaths,
        timeout,
        allow_incomplete,
        with_stream,
        keep_parts,
        callers_directory() or "",
        "" if is_script else os.environ.get("PYTHONPATH", ""),
    )
    check_timeout("timeout", timeout)
    settings.job(ledger)  # a wrong argument is found out before there is a ledger
    check_place(Path(settings.out))
    asked: Iterable[Any] = _requests_in(requests)
    if requests.is_file():
        for _ in asked:  # a request that is no JSON is found out before there is a ledger
            pass
        asked = _requests_in(requests)
    else:
        asked = list(asked)
    # In ASCII, so that paths of any bytes have a form.
    fact = json.dumps(msgspec.to_builtins(settings))
    with Ledger(ledger, for_work=True, facts={_FACT: fact}) as opened:
        opened.keep(_FACT, fact)  # one that was there before may have others
    _work(ledger, settings, asked, workers, ray, as_json, quiet)


@jobs.command()
def resume(
    ledger: LedgerArgument,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a job that `run` began, with the same arguments.

    Example: lean-worker job resume run.ledger --workers 4
    """
    with Ledger(ledger, for_work=False) as opened:
        refuse_untrusted(opened.path)  # it says what code is run
        fact, has_requests = opened.fact(_FACT), opened.has_requests()
    if not has_requests:
        raise UsageError(
            f"resuming {ledger}: the run that made it was interrupted before its requests were stored",
            hint="Run it again as before, with all arguments.",
        )
    if fact is None:
        raise UsageError(
            f"resuming {ledger}: it was not made by `lean-worker job run`",
            hint="Resume it with the program that made it.",
        )
    settings = _settings_of(ledger, fact)
    place = ledger.absolute()
    _go_back(ledger, settings)
    _work(place, settings, None, workers, ray, as_json, quiet)


@jobs.command()
def show(
    ledger: LedgerArgument,
    all_items: Annotated[bool, typer.Option("--all", help="Every item, not only those that are not done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how far a job has come, and why items are in quarantine.

    Example: lean-worker job show run.ledger
    """
    with Ledger(ledger, for_work=False) as opened:
        items = opened.items()
    listed = [item for item in items if all_items or item.state != "done"]
    counts = {state: sum(item.state == state for item in items) for state in ("done", "due", "quarantined")}
    rows = sum(item.rows or 0 for item in items)
    if as_json:
        print_json(
            {"total": len(items), **counts, "rows": rows, "items": [dataclasses.asdict(item) for item in listed]}
        )
        return
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"{counted(len(items), 'items')}: {states}; {counted(rows, 'rows')}")
    if listed:
        print_table(_table(listed))


@jobs.command()
def retry(
    ledger: LedgerArgument,
    items: Annotated[
        list[int] | None, typer.Argument(help="Numbers of items as `show` gives them; none for all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make items in quarantine due again; `resume` sends them. Exit code 2, and no change, if one does not exist.

    Example: lean-worker job retry run.ledger 17
    """
    with Ledger(ledger, for_work=False) as opened:
        try:
            changed = opened.retry(items or None)
        except UsageError as error:
            error.hint = "`lean-worker job show --all` has the numbers."
            raise
    if as_json:
        print_json({"due_again": changed})
    else:
        print(f"{counted(changed, 'items are')} due again")


def _work(
    ledger: Path,
    settings: _Settings,
    requests: Iterable[Any] | None,
    workers: int,
    ray: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    check_place(Path(settings.out))
    rest = f"`lean-worker job resume {ledger}` does the rest"
    with (
        _pool(workers, ray, quiet) as pool,
        telling_what_is_stored(ledger, "items", rest),
        interruptible() as cancel,
    ):
        try:
            report = settings.job(ledger).run(pool, requests, timeout=settings.timeout, cancel=cancel)
        except UsageError as error:
            if error.streams:
                error.hint = "--with-stream names the stream in each line; .parquet has a column for it."
            raise
        if settings.is_parquet and write_parquet(
            ledger, Path(settings.out), allow_incomplete=settings.allow_incomplete
        ):
            report = dataclasses.replace(report, out=settings.out)
        if isinstance(pool, RayPool):
            for node, figures in pool.snapshot().items():
                note(
                    f"node {node[:12]}: {counted(figures.requests, 'requests')}, "
                    f"{counted(figures.rows_delivered, 'rows')}, "
                    f"{counted(figures.started, 'workers')} started, {figures.failures} failed",
                    quiet=quiet or as_json,
                )
    _tell(report, settings.out, as_json, quiet)


@contextlib.contextmanager
def telling_what_is_stored(ledger: Path | None, items: str, rest: str) -> Iterator[None]:
    """After Ctrl-C, say how far the job of a ledger, if there is one, has come, if it has begun, and `rest`."""
    try:
        yield
    except (Cancelled, KeyboardInterrupt):
        if ledger is not None and ledger.exists():
            # Nothing is told of a ledger that was not whole yet.
            with contextlib.suppress(UsageError), Ledger(ledger, for_work=False) as opened:
                if opened.has_requests():
                    all_items, rows = counted(opened.count(), f"{items} are"), counted(opened.rows(), "rows")
                    note(f"{opened.count(DONE)} of {all_items} stored, with {rows}; {rest}")
                else:
                    note("no requests are stored yet: run it again as before")
        raise KeyboardInterrupt from None  # a `Cancelled` has the rows of one request


def _go_back(ledger: Path, settings: _Settings) -> None:
    """Go to where `run` was: a module of the same name in the present directory is another one.

    Raises:
        UsageError: The directory is gone, and a registry may have been in it.
    """
    if not settings.directory:
        return  # made by a release that did not note it
    present = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    try:
        os.chdir(settings.directory)
    except OSError as error:
        if not settings.capability.startswith("python:"):
            return  # a script has a path of its own
        raise UsageError(
            f"resuming {ledger}: the directory in which it was run, where {settings.capability} may be, cannot be "
            f"entered: {error}",
            hint="Use `lean-worker job run` with all arguments in another one; finished items stay done.",
        ) from error
    if settings.python_path:
        os.environ["PYTHONPATH"] = os.pathsep.join([settings.python_path, *present])


def _settings_of(ledger: Path, fact: str) -> _Settings:
    try:
        return msgspec.convert(json.loads(fact), _Settings)
    except (ValueError, RecursionError) as error:
        raise RecoveryError(
            f"resuming {ledger}: the stored settings of `run` are damaged: {error}",
            hint="Use `lean-worker job run` with all arguments; finished items stay done.",
            path=str(ledger),
            doing="opening",
            reason="damaged",
            errno=None,
            is_decided=False,
        ) from error


def _pool(workers: int, ray: str | None, quiet: bool) -> Pool | RayPool:
    if ray is not None:
        return RayPool(workers_per_node=workers, address=ray)
    return Pool(max_workers=workers, on_stderr=None if quiet else show_printed)


def _tell(report: JobReport, out: str, as_json: bool, quiet: bool) -> None:
    is_kept = os.path.lexists(out)
    left = "not replaced by one" if is_kept else "not written"
    if as_json:
        told = dataclasses.asdict(report)
        print_json({**told, "quarantined": len(report.quarantined), "items": told["quarantined"]})
    note(
        f"{report.done} of {counted(report.total, 'items')} done, {report.ran:,} tried by this run; "
        f"{counted(report.rows, 'rows')} "
        + (f"to {report.out}" if report.out else f"stored, and the output was {left} without all rows"),
        quiet=quiet or as_json,
    )
    if not report.is_complete:
        try:
            report.raise_for_error()
        except JobIncomplete as error:
            error.hint = "See `lean-worker job show`; `job retry` makes them due again."
            if report.out is None:
                kept = "The output has the rows of an earlier run; " if is_kept else ""
                done = "replaces it" if is_kept else "writes the output without them"
                error.hint += f" {kept}`job run --allow-incomplete` {done}."
            raise


def _requests_in(path: Path) -> Iterator[Any]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"reading the requests: {error}", hint="Give --requests a file with one JSON value a line."
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UsageError(
                f"reading the requests: line {number} of {path} is no JSON: {error}",
                hint="Each line is one JSON value; texts need double quotes.",
            ) from error
        yield msgspec.Raw(line.strip())


def _table(items: list[JobItem]) -> Table:
    table = Table("item", "state", "rows", "deaths", "request", "reason")
    for item in items:
        shown = item.request[:_SHOWN_REQUEST_CHARACTERS] + (
            "…" if len(item.request) > _SHOWN_REQUEST_CHARACTERS else ""
        )
        rows = "" if item.rows is None else str(item.rows)
        table.add_row(str(item.position), item.state, rows, str(item.deaths), escape(shown), escape(item.reason or ""))
    return table
