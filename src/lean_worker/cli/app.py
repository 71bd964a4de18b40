"""The commands and their options; each is a thin layer over the package's public names.

Owns arguments, output and how an error is shown. Output for people goes to standard error or, as a command's result,
to standard output; `--json` makes that result one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from ..cancel import CancelToken
from ..capability import Capability, LeanCapability, PythonCapability
from ..commands import StreamingCommand
from ..errors import LeanWorkerError, UsageError
from ..events import Diagnostic
from ..pool import Pool
from . import EXIT_INTERRUPTED, EXIT_LOST, exit_code_of
from .demo import run_demo
from .doctor import examine

app = typer.Typer(
    name="lean-worker",
    help="Run Lean 4 in supervised workers and stream typed rows out of it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
_errors = Console(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


@app.command()
def demo(
    as_json: JsonOption = False,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show of the large stream.")] = 8,
) -> None:
    """The main job on the embedded Lean: two streams, 512 and 200,000 rows, through a pool of two workers."""
    run_demo(as_json=as_json, shown_rows=rows)


@app.command()
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
    with _committed_file(out) as sink, Pool() as pool, pool.lease(host) as lease:

        def on_row(text: bytes) -> None:
            # A payload keeps its own spacing; a line must not.
            sink.write((text if b"\n" not in text and b"\r" not in text else _one_line(text)) + b"\n")

        summary = lease.run(
            command, value, on_row=on_row, on_diagnostic=_show_diagnostic, timeout=timeout, cancel=CancelToken()
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
        _errors.print(f"{summary.total_rows} rows in {summary.elapsed_us / 1e6:.3f} s to {escape(out)}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """What is installed: versions, which framing, which Lean, which extras."""
    report = examine()
    if as_json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        print(f"{name:18} {shown}")


def run_app() -> int:
    """Run the command line; the return value is the exit code."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except LeanWorkerError as error:
        _errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return exit_code_of(error)
    except KeyboardInterrupt:
        _errors.print("lean-worker: interrupted; nothing was written")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; Python must not complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_LOST
    except OSError as error:
        _errors.print(f"[bold red]lean-worker:[/] {escape(str(error))}")
        return 1
    except Exception as error:
        # Command-line mistakes, which the option parser words itself.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return int(getattr(error, "exit_code", 2))


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


def _one_line(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1)


def _show_diagnostic(diagnostic: Diagnostic) -> None:
    _errors.print(f"[dim]{escape(diagnostic.code)}[/] {escape(diagnostic.message)}")


@contextlib.contextmanager
def _committed_file(name: str) -> Iterator[BinaryIO]:
    """A file that has its name only if the block ends well; until then its lines lie in one beside it."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
