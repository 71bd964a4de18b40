"""Start of programs with default signal handling and an empty signal mask, whatever this process has.

Programs inherit ignored and blocked signals. This process cannot reset either: no Python code may run between fork and
exec in a process with threads, and no thread may unblock a signal that its owner blocked. So a program starts directly
if there is nothing to reset. Otherwise it starts through an interpreter that resets both first.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence

# Of Python: subprocess gives them their defaults back.
_RESTORED = (signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE))
_CLEAN = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
try:
    os.execv(sys.argv[1], sys.argv[2:])
except OSError as error:
    print(f"{sys.argv[1]} cannot be run: {error}", file=sys.stderr)
    os._exit(127)
"""


def command(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return the command that runs `argv` with a clean start; for a process started from this thread.

    Args:
        argv: Program and arguments.
        env: Its environment, whose PATH says where the program is.

    Raises:
        FileNotFoundError: There is no such program.
    """
    if _is_clean():
        return list(argv)
    import shutil

    program = shutil.which(argv[0], path=env.get("PATH"))
    if program is None:
        raise FileNotFoundError(f"no such program: {argv[0]}")
    return [sys.executable, "-I", "-S", "-c", _CLEAN, program, *argv]


def _is_clean() -> bool:
    if signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return False
    ignored = _ignored()
    if ignored is None:
        return not any(signal.getsignal(number) is signal.SIG_IGN for number in signal.valid_signals() - {*_RESTORED})
    for number in _RESTORED:
        ignored &= ~(1 << (number - 1))
    return not ignored


def _ignored() -> int | None:
    """The signals that the process ignores, as bits; None if the system does not say."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("SigIgn:"):
                    return int(line.split()[1], 16)
    except OSError:
        pass
    return None
