"""The one home of fork and exit hooks.

Every object that owns a descriptor, shared memory or a process remembers the process that made it. `Home` is that
memory: it compares process ids, so that it also notices a fork made by C code, which runs no hook. The hooks themselves
run right after a fork in the child, while the descriptors are certainly still ours, and at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable

from ..errors import UsageError

_log = logging.getLogger("lean_worker")


class Home:
    """The process that made an object."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process, and no fork of it."""
        return os.getpid() == self._pid

    def check(self, doing: str, what: str) -> None:
        """Refuse to use the object in a forked child.

        Raises:
            UsageError: The object belongs to another process.
        """
        if os.getpid() != self._pid:
            raise foreign(doing, what)


def foreign(doing: str, what: str) -> UsageError:
    """Return the error for the use of an object of the parent process."""
    return UsageError(
        f"{doing}: the {what} belongs to the process that this one was forked from",
        hint="Make a new pool in the forked child.",
    )


_in_child: list[Callable[[], None]] = []


def after_fork_in_child(function: Callable[[], None]) -> None:
    """Call `function` in every forked child, before anything else runs there; in the order of registration."""
    _in_child.append(function)


def _run_in_child() -> None:
    for function in _in_child:
        try:
            function()
        except Exception:
            _log.exception("lean-worker: a hook failed in a forked child")


def at_exit(function: Callable[[], object]) -> None:
    """Call `function` when the interpreter ends; the last one that was registered comes first."""
    atexit.register(function)


os.register_at_fork(after_in_child=_run_in_child)
