"""End of a worker process: it follows the parent's end, and nothing that the worker started survives it.

It waits for nothing: a dead parent, an unread stderr, and a thread that holds the interpreter's lock cannot keep the
process alive.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import NoReturn

from ..base import process_tree
from ..base.bare_signal import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PIPE_BUF = 4096
_END_SECONDS = 5.0
_KEPT_ZOMBIES = 256


def adopt_orphans() -> None:
    """Make what this process starts stay below it on Linux, also a daemon in a session of its own."""
    if sys.platform == "linux":
        _set_option(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Ask Linux to end this process, and what it started, when its parent ends.

    The signal is tied to the parent's thread that started this process; the parent side starts workers from a thread
    that lives as long as it does. Without the compiled modules the process ends alone and what it started lives on: a
    handler in Python does not run while hosted code keeps the interpreter busy. On other systems the end of the
    request pipe has to do, which needs the interpreter to be free for a moment.
    """
    if sys.platform != "linux":
        return
    number = signal.SIGKILL
    with contextlib.suppress(ImportError):
        from .. import _lean

        _lean.end_tree_on_sigterm()
        number = signal.SIGTERM
    _set_option(_PR_SET_PDEATHSIG, number)


def _set_option(option: int, value: int) -> None:
    """Set an option of this process with prctl(2). An idle worker has a quarter of a megabyte less without ctypes."""
    try:
        from .. import _lean
    except ImportError:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    else:
        _lean.set_process_option(option, value)


def say(words: str) -> None:
    """Write a line to stderr if that neither fails nor waits; long ones are cut."""
    line = f"lean-worker child: {words}\n".encode("utf-8", "backslashreplace")
    # Not through sys.stderr: another thread may wait there with its lock. SIGPIPE may have its default action back.
    with contextlib.suppress(OSError, ValueError):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        poller = select.poll()
        poller.register(2, select.POLLOUT)
        if poller.poll(0):
            os.write(2, line if len(line) <= _PIPE_BUF else line[: _PIPE_BUF - 1] + b"\n")


def end(exit_code: int) -> NoReturn:
    """End everything that this process started, and then the process itself; in bounded time, from any thread."""
    try:
        is_alone = process_tree.end_own_descendants(_END_SECONDS)
        if not is_alone and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(exit_code)


def collect_orphans() -> None:
    """Collect the dead among the adopted, when they have become many.

    Nothing tells an adopted child from one that hosted code started and may still want to wait for. So the process
    keeps a number of dead children, far more than code leaves that waits for its own.
    """
    if sys.platform != "linux":
        return
    try:
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return
    except ChildProcessError:
        return
    dead = [pid for pid in process_tree.children(os.getpid()) if process_tree.state(pid) == "Z"]
    for pid in dead[:-_KEPT_ZOMBIES]:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
