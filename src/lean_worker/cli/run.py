"""`lean-worker run`: runs one streaming command and stores its rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..base.counts import counted
from ..commands import StreamingCommand
from ..errors import UsageError
from ..results import StreamSummary
from .hosting import (
    CapabilityArgument,
    HostOptions,
    RequestOption,
    TimeoutOption,
    leased,
    request_of,
    show_diagnostic,
)
from .option_groups import grouped
from .outputs import HINT_FOR_STREAMS, is_live, keeps_no_streams, refuse_inputs, row_type_of, sinks_of
from .shown import JsonOption, QuietOption, bar, harmless, interruptible, keeping, note, print_json


@grouped
def run(
    capability: CapabilityArgument,
    export: Annotated[str, typer.Argument(help="Name of the streaming command.")],
    request: RequestOption = "null",
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
    with_stream: Annotated[bool, typer.Option("--with-stream", help='Each line is {"stream":NAME,"row":ROW}.')] = False,
    *,
    host: HostOptions,
    timeout: TimeoutOption = 600.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run one streaming command and store its rows.

    The file appears under its name only when the stream has ended in success. Lines that the hosted code prints are
    shown on standard error.

    Ctrl-C stops the command at its next row; nothing is written then, and the exit code is 130.

    Example: lean-worker run Extract.lean declarations --request '{"limit":10}' --out rows.jsonl
    """
    value = request_of(request)
    sink, places = sinks_of(out, stream or (), export, with_stream=with_stream)
    if as_json and is_live(places):
        raise UsageError("running a command: --json and rows both want standard output", hint="Give --out a file.")
    refuse_inputs("running a command", places, [capability, request.removeprefix("@")])
    command: StreamingCommand[Any, Any, Any] = StreamingCommand(export, row=row_type_of(places))
    shows = not is_live(places) and not quiet and not as_json  # a bar among rows would spoil both
    results: list[StreamSummary[Any]] = []
    with (
        keeping(results),
        leased(capability, host, quiet=quiet) as (pool, lease),
        bar(export, pool, shows) as shown,
        interruptible() as cancel,
    ):
        shown.follow(lease)
        try:
            results.append(
                lease.run(
                    command,
                    value,
                    sink=sink,
                    on_diagnostic=None if quiet else show_diagnostic,
                    on_progress=shown.on_progress,
                    timeout=timeout,
                    cancel=cancel,
                )
            )
        except UsageError as error:
            if error.streams:
                error.hint = HINT_FOR_STREAMS
            raise
    (summary,) = results
    counts = summary.per_stream_counts
    wanted = [name.partition("=")[0] for name in stream or counts]
    stored = sum(counts.get(name, 0) for name in wanted)
    own = any("=" in name for name in stream or ())
    if len(counts.keys() & set(wanted)) > 1 and not with_stream and not own and keeps_no_streams(out):
        note("the rows came without the names of their streams; --with-stream adds them")  # also with --quiet
    if as_json:
        facts = {
            "rows": stored,
            "streams": summary.per_stream_counts,
            "elapsed_us": summary.elapsed_us,
            "metadata": summary.metadata,
            "out": places[0] if len(places) == 1 else places,
        }
        print_json(facts)
    else:
        of_all = f"{stored:,} of " if stored < summary.total_rows else ""
        rows = f"{of_all}{counted(summary.total_rows, 'rows')}"
        streams = f" on {len(counts)} streams" if len(counts) > 1 else ""
        to = ", ".join("standard output" if place == "-" else place for place in places)
        note(f"{rows}{streams} in {summary.elapsed_us / 1e6:.3f} s to {to}", quiet=quiet)
        for name in wanted:
            if name not in counts:
                others = f"streams with rows: {harmless(', '.join(counts))}" if counts else "none came at all"
                note(f"no row came on the stream {harmless(name)}; {others}", quiet=quiet)
