"""`lean-worker run`: one streaming command, its rows as JSON lines.

Owns the command's arguments and what it prints.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from ..cancel import CancelToken
from ..capability import Capability, LeanCapability, PythonCapability
from ..commands import StreamingCommand
from ..errors import UsageError
from ..events import Diagnostic
from ..pool import Pool
from ..sinks import CallableSink, JsonLinesSink
from ..sinks.json_lines import one_line
from .shown import JsonOption, errors


def run(
    capability: Annotated[str, typer.Argument(help="A .lean script, or python:MODULE:REGISTRY.")],
    export: Annotated[str, typer.Argument(help="Name of the streaming command.")],
    request: Annotated[str, typer.Option(help="The request as JSON text, or @FILE.")] = "null",
    out: Annotated[str, typer.Option(help="Where the rows go, one JSON value a line; - is standard output.")] = "-",
    project: Annotated[str | None, typer.Option(help="Lake project whose modules the script imports.")] = None,
    toolchain: Annotated[str, typer.Option(help="auto, embedded, or a toolchain's directory.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds until the worker is killed.")] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Run one streaming command and write its rows as JSON lines.

    The file appears under its name only when the stream has ended in success.

    Example: lean-worker run Extract.lean declarations --request '{"limit":10}' --out rows.jsonl
    """
    if out == "-" and as_json:
        raise UsageError("running a command: --json and rows both want standard output", hint="Give --out a file.")
    host = _capability_of(capability, project, toolchain)
    command: StreamingCommand[Any, bytes, Any] = StreamingCommand(export, row=bytes)
    value = _request_of(request)
    sink = _StandardOutput() if out == "-" else JsonLinesSink(out)
    with Pool() as pool, pool.lease(host) as lease:
        summary = lease.run(
            command, value, sink=sink, on_diagnostic=_show_diagnostic, timeout=timeout, cancel=CancelToken()
        )
    facts = {
        "rows": summary.total_rows,
        "streams": summary.per_stream_counts,
        "elapsed_us": summary.elapsed_us,
        "metadata": summary.metadata,
        "out": out,
    }
    if as_json:
        print(json.dumps(facts, default=str))
    else:
        errors.print(f"{summary.total_rows} rows in {summary.elapsed_us / 1e6:.3f} s to {escape(out)}")


def _capability_of(text: str, project: str | None, toolchain: str) -> Capability:
    if text.startswith("python:"):
        return PythonCapability(text.removeprefix("python:"))
    if not text.endswith(".lean"):
        raise UsageError(f"choosing what to host: expected a .lean file or python:MODULE:REGISTRY, got {text!r}")
    return LeanCapability(text, project=project, toolchain=toolchain)


def _request_of(text: str) -> Any:
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"reading --request: it is not JSON: {error}") from error
    except OSError as error:
        raise UsageError(f"reading --request: {error}") from error


def _show_diagnostic(diagnostic: Diagnostic) -> None:
    errors.print(f"[dim]{escape(diagnostic.code)}[/] {escape(diagnostic.message)}")


class _StandardOutput(CallableSink):
    """Lines as they come; what was printed cannot be taken back."""

    def __init__(self) -> None:
        super().__init__(
            lambda text: sys.stdout.buffer.write(one_line(text) + b"\n"), lambda summary: sys.stdout.buffer.flush()
        )
