"""What the commands share of talking to people: the common options, the consoles, and Ctrl-C.

The conventions, for every command: its result goes to standard output, and with `--json` is one JSON object there;
everything else goes to standard error, and with `--quiet` only errors do. Colours and bars come on a terminal only;
NO_COLOR is heeded. Exit codes are in `cli.__init__`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.markup import escape

from .. import progress
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..progress import Bar

errors = Console(stderr=True, highlight=False)
"""For everything that is not a command's result."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result and errors.")]


def note(text: str, *, quiet: bool = False) -> None:
    """A remark for people, as plain text, unless it should be quiet."""
    if not quiet:
        errors.print(escape(text))


def print_json(value: Any) -> None:
    """A command's result for programs: one JSON object on one line; what has no JSON form is given as text."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)


def bar(title: str, pool: Pool, show: bool) -> Bar:
    """A progress bar on standard error that is gone when it ends; drawn on a terminal only, and only if `show`."""
    return progress.bar(title, pool=pool, console=errors, show=show, transient=True)


@contextlib.contextmanager
def interruptible() -> Iterator[CancelToken]:
    """A token for the requests of the block, which the first Ctrl-C cancels: they stop at a row's boundary.

    The second Ctrl-C kills every worker at once and raises `KeyboardInterrupt`. Both end a command with exit code 130.
    Use it around requests only; what does not look at the token, such as the start of a worker, is better interrupted
    as usual. Only the main thread can use it.
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

    thread = threading.Thread(target=cancel_when_asked, name="lean-worker-interrupt", daemon=True)
    thread.start()
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
