"""Exit statuses of child processes, even if another part of this process collects children.

If a process ignores SIGCHLD, the system collects its children itself; other code may call wait(2) for any child. This
module waits for the one child, and asks its pidfd, which newer kernels answer after the child has ended.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import struct

from . import linux_calls

_GET_INFO = 0xC040FF0B  # PIDFD_GET_INFO with the first version of its structure
_INFO_BYTES = 64
_INFO_EXIT = 1 << 3
_EXIT_AT = 60


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor of the child, or None where there is none: not Linux, an old one, or no descriptor left."""
    try:
        return linux_calls.open_pidfd(pid)
    except OSError:
        return None


def has_ended(pid: int, pidfd: int | None) -> bool:
    """Return True if the child has ended, whoever has collected it."""
    if pidfd is not None:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return bool(poller.poll(0))
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def is_collected(pid: int, pidfd: int | None) -> bool:
    """Return True if somebody else has collected the child, so that its number may belong to another process."""
    try:
        if pidfd is not None:
            os.waitid(linux_calls.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        else:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    except OSError:
        return False
    return False


def collect(pid: int, pidfd: int | None) -> int | None:
    """Collect a child that has ended.

    Returns:
        Its exit code, or minus the signal that ended it, or None if nobody knows any more.
    """
    try:
        if pidfd is not None:
            result = os.waitid(linux_calls.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        else:
            result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        result = None
    except OSError:  # a kernel before 5.4, which has pidfds for signals only
        result = None
        with contextlib.suppress(ChildProcessError):
            result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    if result is None:
        return None if pidfd is None else _ask(pidfd)
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _ask(pidfd: int) -> int | None:
    info = array.array("B", bytes(_INFO_BYTES))
    struct.pack_into("=Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:
        return None
    (answered,) = struct.unpack_from("=Q", info, 0)
    if not answered & _INFO_EXIT:
        return None
    (status,) = struct.unpack_from("=i", info, _EXIT_AT)
    return os.waitstatus_to_exitcode(status)
