"""The commands of the command line, and the exit codes of errors.

Each command is a module, a thin layer over the package's public names; `lazy_commands` names them and imports one when
it is called. `shown` decides which output goes where.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from ..base.counts import counted
from ..errors import Cancelled, LeanWorkerError
from ..version import __version__
from .exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, EXIT_USAGE, exit_code_of
from .lazy_commands import COMMANDS, LazyGroup, placeholder


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lean-worker {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _typer(group: type[typer.core.TyperGroup]) -> typer.Typer:
    # Plain help: rich's panels would import Markdown and syntax highlighting, half of the time of `--help`.
    made = typer.Typer(
        name="lean-worker",
        cls=group,
        help="Run Lean 4 in supervised workers and stream typed rows out of it.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_options)
    return made


def _lazy_app() -> typer.Typer:
    made = _typer(LazyGroup)
    for name, line in COMMANDS.items():
        made.command(name, help=line.help, short_help=line.help)(placeholder)
    return made


def _whole_app() -> typer.Typer:
    made = _typer(typer.core.TyperGroup)
    for name, line in COMMANDS.items():
        found = line.load()
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        else:
            made.command(name)(found)
    return made


def __getattr__(name: str) -> Any:
    """Return `app`, the command line with all commands imported, for tools that describe or extend it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault("app", _whole_app())


def run_app() -> int:
    """Run the command line; the return value is the exit code."""
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _open_streams()
        _make_texts_printable()
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        return _end_of_output(error)
    except SystemExit as end:
        # The option parser and rich end the process themselves when they find the pipe closed.
        if isinstance(end.__context__, OSError):
            return _end_of_output(end.__context__)
        raise


def _run() -> int:
    try:
        code = _lazy_app()(standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt  # which typer, depending on its version, swallows or turns into Abort
        return code if isinstance(code, int) else 0
    except Cancelled as error:
        rows = "" if error.rows_delivered is None else f" after {counted(error.rows_delivered, 'rows')}"
        _say(f"lean-worker: interrupted{rows}")
        return EXIT_INTERRUPTED
    except LeanWorkerError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise error.__cause__ from None
        from .option_groups import in_options  # with `inspect`, which few runs need

        error.hint = None if error.hint is None else in_options(error.hint)
        _say(str(error), is_error=True)
        return exit_code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        _say("lean-worker: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            _say(f"reading the command line: the path is longer than a path can be: {error.filename}", is_error=True)
            return EXIT_USAGE
        doing = "writing the output: " if error.filename is None else ""
        _say(f"{doing}{error}", is_error=True)
        return EXIT_FAILED
    except Exception as error:
        # Command-line mistakes. The option parser's own form draws a frame and breaks lines, also for programs.
        words = getattr(error, "format_message", None)
        if words is None:
            raise
        words_before = sys.argv[1:2] if sys.argv[1:2] and sys.argv[1] in COMMANDS else []
        path = getattr(getattr(error, "ctx", None), "command_path", " ".join(["lean-worker", *words_before]))
        text = words()
        if not text or text.startswith("Usage: "):  # no arguments, which is how to ask for help
            error.show()  # type: ignore[attr-defined]
        else:
            _say(f"{text}\nhint: {path} --help", is_error=True)
        return int(getattr(error, "exit_code", EXIT_USAGE))


def _say(text: str, *, is_error: bool = False) -> None:
    from rich.markup import escape

    from .shown import errors, harmless

    text = harmless(text)
    errors.print(f"[bold red]lean-worker:[/] {escape(text)}" if is_error else escape(text))


class _ClosedOutput(io.TextIOBase):
    """Stands for a standard output that was closed before the program began: a result for it is not lost silently."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def _open_streams() -> None:
    """Let no file of ours get the number of a standard stream that is closed, and have words for it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end of the process


def _make_texts_printable() -> None:
    """A text that the terminal's encoding lacks is shown with escapes, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end_of_output(error: OSError) -> int:
    """The exit code after a failure of standard output or standard error."""
    if not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
            os.write(2, f"lean-worker: writing the output: {error}\n".encode(errors="backslashreplace"))
    # Python would complain about what its buffers still hold once more at its end.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return EXIT_PIPE_CLOSED if isinstance(error, BrokenPipeError) else EXIT_FAILED
