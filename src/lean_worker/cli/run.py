"""`lean-worker run`: runs one streaming command and writes its rows as JSON Lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..errors import UsageError
from ..events import Diagnostic
from ..sinks import CallableSink, JsonLinesSink
from ..sinks.json_lines import one_line
from .hosting import BuildBar, BuildOption, ProjectOption, ToolchainOption, WorkspaceOption, capability_of
from .shown import JsonOption, QuietOption, bar, errors, interruptible, note, print_json


def run(
    capability: Annotated[str, typer.Argument(help="A .lean script, or python:MODULE:REGISTRY.")],
    export: Annotated[str, typer.Argument(help="Name of the streaming command.")],
    request: Annotated[str, typer.Option(help="The request as JSON text, or @FILE.")] = "null",
    out: Annotated[str, typer.Option(help="Where the rows go, one JSON value a line; - is standard output.")] = "-",
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    toolchain: ToolchainOption = "auto",
    build: BuildOption = None,
    timeout: Annotated[float, typer.Option(help="Seconds until the worker is killed.")] = 600.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run one streaming command and write its rows as JSON lines.

    The file appears under its name only when the stream has ended in success.

    Ctrl-C stops the command at its next row; nothing is written then, and the exit code is 130.

    Example: lean-worker run Extract.lean declarations --request '{"limit":10}' --out rows.jsonl
    """
    if out == "-" and as_json:
        raise UsageError("running a command: --json and rows both want standard output", hint="Give --out a file.")
    building = BuildBar()
    host = capability_of(
        capability, project=project, workspace=workspace, toolchain=toolchain, build=build, bar=building
    )
    command: StreamingCommand[Any, bytes, Any] = StreamingCommand(export, row=bytes)
    value = _request_of(request)
    sink = _StandardOutput() if out == "-" else JsonLinesSink(out)
    shows = out != "-" and not quiet and not as_json  # a bar among rows would spoil both
    with Pool() as pool:
        with building:
            lease = pool.lease(host)
        with bar(export, pool, shows) as shown, lease, interruptible() as cancel:
            shown.follow(lease)
            summary = lease.run(
                command,
                value,
                sink=sink,
                on_diagnostic=lambda diagnostic: _show_diagnostic(diagnostic, quiet),
                on_progress=shown.on_progress,
                timeout=timeout,
                cancel=cancel,
            )
    facts = {
        "rows": summary.total_rows,
        "streams": summary.per_stream_counts,
        "elapsed_us": summary.elapsed_us,
        "metadata": summary.metadata,
        "out": out,
    }
    if as_json:
        print_json(facts)
    else:
        note(f"{summary.total_rows} rows in {summary.elapsed_us / 1e6:.3f} s to {out}", quiet=quiet)


def _request_of(text: str) -> Any:
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"reading --request: it is not JSON: {error}") from error
    except OSError as error:
        raise UsageError(f"reading --request: {error}") from error


def _show_diagnostic(diagnostic: Diagnostic, quiet: bool) -> None:
    if not quiet:
        errors.print(f"[dim]{escape(diagnostic.code)}[/] {escape(diagnostic.message)}")


class _StandardOutput(CallableSink):
    """Lines as they come; what was printed cannot be taken back."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise UsageError("writing rows: standard output is closed", hint="Give --out a file.")
        output = sys.stdout.buffer
        super().__init__(lambda text: output.write(one_line(text) + b"\n"), lambda summary: output.flush())
