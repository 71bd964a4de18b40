"""`lean-worker run`: runs one streaming command and stores its rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..errors import UsageError
from .hosting import (
    ArgumentOption,
    BuildBar,
    BuildOption,
    EnvironmentOption,
    ImportOption,
    ProjectOption,
    SandboxOption,
    ToolchainOption,
    WorkspaceOption,
    capability_of,
    request_of,
    show_diagnostic,
)
from .outputs import is_live, row_type_of, sinks_of
from .printed import Printed, harmless
from .shown import JsonOption, QuietOption, bar, interruptible, note, print_json


def run(
    capability: Annotated[str, typer.Argument(help="A .lean script, or python:MODULE:REGISTRY.")],
    export: Annotated[str, typer.Argument(help="Name of the streaming command.")],
    request: Annotated[str, typer.Option(help="The request as JSON text, or @FILE.")] = "null",
    out: Annotated[
        str,
        typer.Option(
            help="File for the rows: .parquet, .db, .sqlite, .sqlite3, or any other for one JSON value a line; "
            "- is standard output."
        ),
    ] = "-",
    stream: Annotated[
        list[str] | None,
        typer.Option(
            "--stream", help="NAME: only this stream's rows. NAME=FILE: its rows, in its own file. May be repeated."
        ),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    toolchain: ToolchainOption = "auto",
    build: BuildOption = None,
    imports: ImportOption = None,
    arguments: ArgumentOption = None,
    env: EnvironmentOption = None,
    sandbox: SandboxOption = False,
    timeout: Annotated[float, typer.Option(help="Seconds until the worker is killed.")] = 600.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run one streaming command and store its rows.

    The file appears under its name only when the stream has ended in success. Lines that the hosted code prints are
    shown on standard error.

    Ctrl-C stops the command at its next row; nothing is written then, and the exit code is 130.

    Example: lean-worker run Extract.lean declarations --request '{"limit":10}' --out rows.jsonl
    """
    building = BuildBar()
    host = capability_of(
        capability,
        project=project,
        workspace=workspace,
        toolchain=toolchain,
        build=build,
        bar=building,
        imports=imports,
        arguments=arguments,
        env=env,
        is_sandboxed=sandbox,
    )
    value = request_of(request)
    sink, places = sinks_of(out, stream or (), export)
    if as_json and is_live(places):
        raise UsageError("running a command: --json and rows both want standard output", hint="Give --out a file.")
    command: StreamingCommand[Any, Any, Any] = StreamingCommand(export, row=row_type_of(places))
    shows = not is_live(places) and not quiet and not as_json  # a bar among rows would spoil both
    printed = Printed()
    with Pool(on_stderr=None if quiet else printed.line) as pool:
        with building:
            lease = pool.lease(host)
        printed.started()
        with bar(export, pool, shows) as shown, lease, interruptible() as cancel:
            shown.follow(lease)
            summary = lease.run(
                command,
                value,
                sink=sink,
                on_diagnostic=None if quiet else show_diagnostic,
                on_progress=shown.on_progress,
                timeout=timeout,
                cancel=cancel,
            )
    if as_json:
        facts = {
            "rows": summary.total_rows,
            "streams": summary.per_stream_counts,
            "elapsed_us": summary.elapsed_us,
            "metadata": summary.metadata,
            "out": places[0] if len(places) == 1 else places,
        }
        print_json(facts)
    else:
        counts = summary.per_stream_counts
        wanted = [name.partition("=")[0] for name in stream or counts]
        stored = sum(counts.get(name, 0) for name in wanted)
        rows = f"{stored} of {summary.total_rows} rows" if stored < summary.total_rows else f"{stored} rows"
        streams = f" on {len(counts)} streams" if len(counts) > 1 else ""
        note(f"{rows}{streams} in {summary.elapsed_us / 1e6:.3f} s to {', '.join(places)}", quiet=quiet)
        for name in wanted:
            if name not in counts:
                note(
                    f"no row came on the stream {harmless(name)}; streams with rows: {harmless(', '.join(counts))}",
                    quiet=quiet,
                )
