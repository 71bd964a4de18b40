"""Descriptors of a process that becomes hosted code: the standard three and no others."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Set


def leave_descriptors(opened: Iterable[int], ours: Set[int], *, kept: int) -> None:
    """In a fork that is about to run hosted code: give up every descriptor above 2.

    A library that was initialised before the fork has descriptors of its own, which lead to objects that the fork
    shares with its parent. In their place come new ones that lead nowhere, so that a call that uses one waits, as it
    does without the thread that would answer, instead of failing on a closed descriptor.

    Args:
        opened: All that are open, as `open_descriptors` listed them before the fork: a fork of a process that is locked
            in cannot list its own.
        ours: Those of this package; they are closed.
        kept: One that stays, and is closed when another program is executed.
    """
    for descriptor in opened:
        if descriptor <= 2 or descriptor == kept:
            continue
        if descriptor in ours or not sys.platform.startswith("linux"):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        else:
            _replace(descriptor)


def _replace(descriptor: int) -> None:
    new = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    if new != descriptor:
        os.dup2(new, descriptor, inheritable=False)
        os.close(new)


def open_descriptors() -> list[int]:
    """Return the numbers of this process's descriptors, and perhaps one that is closed by now."""
    for place in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(name) for name in os.listdir(place)]
    return list(range(os.sysconf("SC_OPEN_MAX")))
