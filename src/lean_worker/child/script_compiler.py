"""Compiles a file in a process of its own, which ends with this one and after some seconds.

Whatever goes wrong there, the caller only has no module. `main` runs in that process, with nothing but Python's own
modules and Lean's driver.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..base.deferred import Deferred

if TYPE_CHECKING:
    import ctypes
    import select
    import signal
    import subprocess
else:
    ctypes, select, signal = Deferred("ctypes"), Deferred("select"), Deferred("signal")
    subprocess = Deferred("subprocess")

_START = "import sys; sys.path.append(sys.argv.pop(1)); from lean_worker.child.script_compiler import main; main()"
_PACKAGES = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


def compile_silently(library: Path, arguments: Sequence[str], seconds: float) -> bool:
    """Run Lean's command line; return whether it succeeded in time, without a word.

    Args:
        library: Path of `libleanshared`.
        arguments: Lean's arguments.
        seconds: The time that it may take.

    Raises:
        OSError: The process cannot be started.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        return False  # nobody would tell how it ended
    if not sys.executable:
        raise FileNotFoundError(errno.ENOENT, "this Python does not know its own program")
    # It leaves no byte code, which the settings that are ignored here may forbid.
    program = [sys.executable, "-W", "ignore", "-B", "-I", "-S", "-c", _START, str(_PACKAGES), str(os.getpid())]
    end = time.monotonic() + seconds
    words, words_end = os.pipe()
    try:
        try:
            process = subprocess.Popen(
                [*program, str(library), *arguments], stdin=subprocess.DEVNULL, stdout=words_end, stderr=words_end
            )
        finally:
            os.close(words_end)
        with process:
            try:
                poller = select.poll()
                poller.register(words, select.POLLIN)
                # A first word is enough. The end comes when the process is about to be gone.
                if not poller.poll(max(0.0, end - time.monotonic()) * 1000) or os.read(words, 1):
                    return False
                return process.wait(max(0.0, end - time.monotonic())) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                process.kill()
    finally:
        os.close(words)


def main() -> NoReturn:
    """Run Lean in the process of `compile_silently`, and end it."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    from . import lean_driver

    lean_driver.run()
