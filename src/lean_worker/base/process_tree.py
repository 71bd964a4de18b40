"""Every process below another one, in any process group or session: found and killed through /proc.

On Linux a subreaper keeps its descendants: those that lose their parent become its own children. A process that escaped
because the subreaper died first is found by a mark in its environment. On other systems nothing is found.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

_IS_LINUX = sys.platform == "linux"
# Not in every kernel.
_HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_KILL_SECONDS = 0.5
_SWEEP_SECONDS = 1.5
_DYING_MILLISECONDS = 100
_PAUSE_SECONDS = 0.0005


def descendants(root: int) -> list[int]:
    """Return every process below `root` that is no zombie."""
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
        for pid in found:
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
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)


def kill_marked(mark: bytes) -> None:
    """Kill every process of this user that started with `mark`, a NAME=value, in its environment; in a few seconds."""
    end = time.monotonic() + _SWEEP_SECONDS
    while (found := _marked(mark)) and time.monotonic() < end:
        for pid in found:
            _kill_if_marked(pid, mark)
        time.sleep(_PAUSE_SECONDS)


def _marked(mark: bytes) -> list[int]:
    if not _IS_LINUX:
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and _is_marked(name, mark)]


def _kill_if_marked(pid: int, mark: bytes) -> None:
    with contextlib.suppress(OSError, AttributeError):
        pidfd = os.pidfd_open(pid)
        try:
            # Looked at again: the number may have gone to another process in between.
            if _is_marked(pid, mark):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                poller = select.poll()
                poller.register(pidfd, select.POLLIN)
                poller.poll(_DYING_MILLISECONDS)
        finally:
            os.close(pidfd)


def _is_marked(pid: int | str, mark: bytes) -> bool:
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # of another user
    try:
        text = b""
        # As long as the arguments and environment of a process can be.
        while len(text) < 8 << 20 and (more := os.read(descriptor, 1 << 16)):
            text += more
        return mark in text.split(b"\0")
    except OSError:
        return False
    finally:
        os.close(descriptor)
