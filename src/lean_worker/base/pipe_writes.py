"""Writes to a pipe whose reader may have closed it, under any disposition of SIGPIPE."""

from __future__ import annotations

import os
import signal

_SIGPIPE = {signal.SIGPIPE}


def write_without_signal(descriptor: int, data: bytes | memoryview) -> int:
    """Write to `descriptor` as `os.write` does; a pipe that nobody reads raises `BrokenPipeError` and sends no signal.

    The signal would end a process that gave SIGPIPE its default action back, as many command-line programs do.

    Raises:
        OSError: As of `os.write`.
    """
    if signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN:
        return os.write(descriptor, data)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGPIPE)
    try:
        return os.write(descriptor, data)
    except BrokenPipeError:
        # It is sent to the thread that wrote, and waits there now.
        if signal.SIGPIPE not in before and signal.SIGPIPE in signal.sigpending():
            signal.sigwait(_SIGPIPE)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
