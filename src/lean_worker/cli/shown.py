"""Output conventions of all commands: common options, consoles, and Ctrl-C.

The result of a command goes to standard output; with `--json` it is one JSON object. Everything else goes to standard
error; with `--quiet` only errors do. Colours and bars appear on a terminal only, and NO_COLOR is respected. Exit codes
are in `exit_codes`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from .. import progress
from ..base import threads
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..errors import UsageError
from ..progress import Bar


class _Plain(Console):
    """A console that leaves line breaks to whoever shows the text, and reports a closed pipe as what it is."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; without a place for remarks, such as on a full disk, there are none, and the result counts."""
        try:
            super().print(*objects, **options)
        except BrokenPipeError:
            raise
        except OSError:
            if not self.stderr:
                raise
            with open(os.devnull, "wb") as nowhere:
                # What is buffered would fail once more at the end of the process.
                os.dup2(nowhere.fileno(), sys.stderr.fileno())

    def on_broken_pipe(self) -> None:
        """Called by rich, which by itself ends the process with exit code 1."""
        raise BrokenPipeError


errors = _Plain(stderr=True)
"""For everything that is not a command's result."""

# Neither hosted code nor the name of a file may move the cursor, or rename the window, of whoever runs a command.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Return a text with escapes instead of the characters that control a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """Return a name with escapes instead of characters that control a terminal or end the line."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result and errors.")]


def note(text: str, *, quiet: bool = False) -> None:
    """A remark for people, as plain text, unless it should be quiet."""
    if not quiet:
        errors.print(escape(harmless(text)))


def print_json(value: Any) -> None:
    """Print a command's result as one JSON object on one line; a value without a JSON form becomes text."""
    print_json_text(json.dumps(value, default=str, ensure_ascii=False))


def print_json_text(text: str) -> None:
    """Print JSON text that is one line. Characters that the output's encoding may lack are escaped as JSON has it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "") != "utf8":
        text = "".join(each if each.isascii() else json.dumps(each)[1:-1] for each in text)
    print(text, flush=True)


def print_table(table: Table) -> None:
    """Print a table to standard output: as wide as the terminal, or as wide as its texts where there is none."""
    console = _Plain(stderr=False)
    if not console.is_terminal:
        console.width = Measurement.get(console, console.options.update(max_width=1 << 20), table).maximum
    console.print(table, soft_wrap=False)


def existing(name: str, path: str | None) -> str | None:
    """`path`, the directory that the option `name` gives; a `UsageError` if there is none."""
    if path is None or Path(path).expanduser().is_dir():
        return path
    if Path(path).expanduser().exists():
        raise UsageError(
            f"reading {name}: expected a directory, got the file {path}", hint="Give the directory it is in."
        )
    raise UsageError(f"reading {name}: there is no directory {path}", hint=f"Give {name} a directory that exists.")


def bar(title: str, pool: Pool, show: bool) -> Bar:
    """Return a progress bar on standard error that disappears at its end; drawn on a terminal only, if `show`."""
    return progress.bar(title, pool=pool, console=errors, show=show, transient=True)


@contextlib.contextmanager
def keeping(results: list[Any]) -> Iterator[None]:
    """Let a command that has its result end as usual if Ctrl-C comes while its workers end."""
    try:
        yield
    except KeyboardInterrupt:
        if not results:
            raise


@contextlib.contextmanager
def interruptible() -> Iterator[CancelToken]:
    """Provide a token for the requests of the block. The first Ctrl-C cancels it: they stop at their next row.

    The second Ctrl-C kills every worker at once and raises `KeyboardInterrupt`. Both end a command with exit code 130.
    Use it only around requests: other work, such as the start of a worker, does not check the token. Only the main
    thread can use it.
    """
    token = CancelToken()
    presses = 0
    # A signal's handler may interrupt code that holds the very lock that `cancel` needs: another thread has to call it.
    asked_fd, ask_fd = os.pipe()

    def cancel_when_asked() -> None:
        with os.fdopen(asked_fd, "rb", 0) as asked:
            if asked.read(1):
                token.cancel()

    def on_interrupt(number: int, frame: object) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            _kill_children()
            raise KeyboardInterrupt
        os.write(ask_fd, b".")
        os.write(2, b"\nlean-worker: stopping at the next row; Ctrl-C again kills the workers at once\n")

    thread = threads.start(cancel_when_asked, "lean-worker-interrupt")
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(ask_fd)
        thread.join()


def _kill_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
