"""The process that an object belongs to, and the one home of fork and exit hooks.

Every object that owns a descriptor, shared memory or a process remembers the process that made it: its `Owner`. Hooks
run right after a fork in the child, while the descriptors are certainly still ours, and at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from .interrupts import Holder
from .log import log

_process = object()


class Owner:
    """The process that made an object. A forked child is another process, also where it got the same process id."""

    __slots__ = ("_pid", "_process")

    def __init__(self) -> None:
        self._process = _process
        self._pid = os.getpid()  # for a fork by C code, which runs no Python hooks

    @property
    def is_here(self) -> bool:
        """Whether this is that process, and no fork of it."""
        return self._process is _process and self._pid == os.getpid()

    def check(self, doing: str, what: str) -> None:
        """Refuse to use the object in a forked child.

        Raises:
            UsageError: The object belongs to another process.
        """
        if not self.is_here:
            raise foreign(doing, what)


def foreign(doing: str, what: str) -> UsageError:
    """Return the error for the use of an object of the parent process."""
    return UsageError(
        f"{doing}: the {what} belongs to the process that this one was forked from",
        hint="Make a new pool in the forked child.",
    )


class Descriptor(Holder):
    """A descriptor that forked children close at once, so that the locks on it end with its own process.

    It is closed at the latest when nobody holds it any more, whatever interrupts whom.

    Args:
        opener: A function written in C that returns a descriptor, such as `os.open`; called with all other arguments.
    """

    def __init__(self, opener: Callable[..., int], *arguments: Any, **keywords: Any) -> None:
        _descriptors.add(self)
        super().__init__(opener, *arguments, **keywords)

    def unlock(self) -> None:
        """Give back the lock on it at once, also if a child that was forked a moment ago has not closed it yet."""
        if self.fd >= 0:
            fcntl.flock(self.fd, fcntl.LOCK_UN)


def keep_for_ever(value: Any) -> None:
    """Keep `value` also after all its holders: its finalizer would touch what is another's, such as the parent's."""
    import ctypes  # in no worker, and in few programs

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


_descriptors: weakref.WeakSet[Descriptor] = weakref.WeakSet()
_in_child: list[Callable[[], None]] = []


def after_fork_in_child(function: Callable[[], None]) -> None:
    """Call `function` in every forked child, before anything else runs there; in the order of registration."""
    _in_child.append(function)


def _close_descriptors() -> None:
    for descriptor in list(_descriptors):
        with contextlib.suppress(OSError):
            descriptor.close()


def _run_in_child() -> None:
    global _process
    _process = object()
    for function in _in_child:
        try:
            function()
        except Exception:
            log.exception("lean-worker: a hook failed in a forked child")


def at_exit(function: Callable[[], object]) -> None:
    """Call `function` when the interpreter ends; the last one that was registered comes first."""
    atexit.register(function)


os.register_at_fork(after_in_child=_run_in_child)
after_fork_in_child(_close_descriptors)
