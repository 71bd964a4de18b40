"""Every process below another one, in any process group or session: found and killed through /proc.

On Linux a subreaper keeps its descendants: those that lose their parent become its own children. A process that escaped
because the subreaper died first is found by a mark in its environment. On other systems nothing is found.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import time
from collections.abc import Iterator

from . import linux_calls
from .bare_signal import signal

_IS_LINUX = sys.platform == "linux"
# Not in every kernel.
_HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_KILL_SECONDS = 0.5
_DYING_MILLISECONDS = 100
_PAUSE_SECONDS = 0.0005
_NO_DESCRIPTOR_SECONDS = 0.05
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def descendants(root: int) -> list[int]:
    """Return every process below `root` that is no zombie, each after the one that started it."""
    if not _IS_LINUX:
        return []
    found: list[int] = []
    frontier = [root]
    while frontier:
        for pid in children(frontier.pop()):
            frontier.append(pid)
            if state(pid) not in ("Z", "X", ""):
                found.append(pid)
    return found


def children(pid: int) -> list[int]:
    """Return the children of `pid`, zombies among them."""
    if not _HAS_CHILDREN_FILES:
        return [int(other) for other in os.listdir("/proc") if other.isdecimal() and parent(other) == str(pid)]
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    return found


def state(pid: int | str) -> str:
    """Return the letter of a process's state, "?" if that is hidden, "" if it is gone."""
    return _stat(pid, 0)


def parent(pid: int | str) -> str:
    """Return the number of a process's parent, "" if it is gone."""
    return _stat(pid, 1)


def started(pid: int) -> float:
    """Return when a process started, in seconds since the epoch and to some hundredths; 0.0 if it is gone."""
    ticks = _stat(pid, 19)
    if not ticks.isdecimal():
        return 0.0
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def _stat(pid: int | str, field: int) -> str:
    """Return a field behind the process's name, which may hold anything."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[field]
    except PermissionError:
        return "?"  # in a sandbox only this process's own entries can be read
    except (OSError, IndexError):
        return ""


def kill_descendants(root: int) -> None:
    """Kill what is below `root`: this process, or a child of it that is not reaped yet. Takes half a second at most.

    While `root` lives and is a subreaper, a process below it can hide in no other place.
    """
    end = time.monotonic() + _KILL_SECONDS
    while (found := descendants(root)) and time.monotonic() < end:
        for pid in reversed(found):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)  # for the orphans to find their new parent


def end_own_descendants(timeout: float) -> bool:
    """Kill and collect what is below this process, which is about to end; False if something is left.

    Args:
        timeout: In seconds. Only a process that the kernel holds in a device wait, or one of another user, needs long.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        if not _IS_LINUX or time.monotonic() >= end:
            return False
        # The kernel may kill this process in the middle: a keeper that is still there then kills what is below itself.
        for pid in reversed(descendants(os.getpid())):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)


def kill_marked(mark: bytes, timeout: float) -> bool:
    """Kill every process of this user that started with `mark`, a NAME=value, in its environment.

    Args:
        timeout: Seconds to try; it takes long only if a process does not end, or if no descriptor or memory is left.

    Returns:
        Whether none is left.
    """
    end = time.monotonic() + timeout
    while True:
        pause = _PAUSE_SECONDS
        try:
            found = _marked(mark)
            if not found:
                return True
            for pid in reversed(found):  # the later ones first, as they were started by the others
                _kill_if_marked(pid, mark)
        except (OSError, MemoryError):
            pause = _NO_DESCRIPTOR_SECONDS
        if time.monotonic() >= end:
            return False
        time.sleep(pause)


def _marked(mark: bytes) -> list[int]:
    if not _IS_LINUX:
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and is_marked(name, mark)]


def _kill_if_marked(pid: int, mark: bytes) -> None:
    with _unless_exhausted():
        pidfd = linux_calls.open_pidfd(pid)
        try:
            # Looked at again: the number may have gone to another process in between.
            if is_marked(pid, mark):
                linux_calls.send_signal(pidfd, signal.SIGKILL)
                poller = select.poll()
                poller.register(pidfd, select.POLLIN)
                poller.poll(_DYING_MILLISECONDS)
        finally:
            os.close(pidfd)


def is_marked(pid: int | str, mark: bytes) -> bool:
    """Return whether a process of this user has `mark`, a NAME=value, in the environment that it started with.

    Raises:
        OSError: This process can open nothing at all.
    """
    # It may be of another user, or gone.
    with _unless_exhausted(), open(f"/proc/{pid}/environ", "rb") as file:
        # As long as the arguments and environment of a process can be.
        return mark in file.read(8 << 20).split(b"\0")
    return False


@contextlib.contextmanager
def _unless_exhausted() -> Iterator[None]:
    """Suppress what the system says of a process that is none of ours; raise if it can open nothing at all."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_DESCRIPTOR:
            raise
