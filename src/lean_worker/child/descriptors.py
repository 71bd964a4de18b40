"""The child's descriptors: the protocol goes to private ones, so that no print of hosted code can corrupt it.

Owns what fd 0, 1 and 2 mean in a worker process, and that the process ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

from ..protocol import RING_VARIABLE

_PR_SET_PDEATHSIG = 1


def claim_protocol_pipes() -> tuple[int, int]:
    """Move the protocol away from fd 0 and 1 and give those to the hosted code.

    Afterwards fd 0 reads as empty and fd 1 is fd 2, so that a stray print ends up in the worker's stderr. The private
    descriptors are not inherited by programs that the hosted code starts.

    Returns:
        The descriptors to read requests from and to write frames to.
    """
    requests_fd = os.dup(0)
    frames_fd = os.dup(1)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    os.dup2(2, 1)
    return requests_fd, frames_fd


def claim_ring() -> tuple[int, int, int, int] | None:
    """Descriptors and size of the ring that the parent offers, hidden from programs that the hosted code starts."""
    offer = os.environ.pop(RING_VARIABLE, "")
    if not offer:
        return None
    memory_fd, data_fd, space_fd, size_bytes = map(int, offer.split(","))
    for descriptor in (memory_fd, data_fd, space_fd):
        os.set_inheritable(descriptor, False)
    return memory_fd, size_bytes, data_fd, space_fd


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

        _lean.end_group_on_sigterm()
        number = signal.SIGTERM
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def forbid_core_dumps() -> None:
    """No core file: writing one delays the parent's view of a crash by many seconds."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_process_group(exit_code: int) -> None:
    """End this process, and with it every program it started if it leads a process group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(exit_code)
