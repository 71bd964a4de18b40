"""Things that an interrupt must not cut in two: an open descriptor, a finalizer, both ends of a `with` block.

An interrupt (Ctrl-C) is raised between two instructions of a function written in Python: between the call that opens a
descriptor and the assignment of its number, at the first instruction of a finalizer, which swallows it, or at the first
instruction of `__exit__`, before any of its lines can handle it. The compiled twin of what is here, `_interrupts`, has
no such instructions. The pure one does its best.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Holder:
    """A descriptor that is closed at the latest when nobody holds the holder any more.

    Args:
        opener: A function written in C that returns a descriptor, such as `os.open`; called with all other arguments.
    """

    def __init__(self, opener: Callable[..., int], *arguments: Any, **keywords: Any) -> None:
        self._fd = -1
        self._fd = opener(*arguments, **keywords)

    @property
    def fd(self) -> int:
        """Its number; -1 once it is closed."""
        return self._fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; legal twice.

        Raises:
            OSError: The system says so; it is closed.
        """
        # In this order: an interrupt or a fork in between leaves a descriptor open, and never closes another's.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.close()


class Droppable:
    """Base of what has to be cleaned up when nobody holds it any more."""

    def _dropped(self) -> None:
        """Nobody holds it any more; never waits, and may be called again."""

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():  # modules are being taken apart, and the process's end ends everything that it holds
            self._dropped()


class Leaving(Droppable):
    """Base of what is used in a `with` block and must not be left open by an interrupt."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._leave(kind, error, trace)
        except BaseException:
            self._left()
            raise

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do what leaving the block means; may wait and may be interrupted."""
        raise NotImplementedError

    def _left(self) -> None:
        """See that what `_leave` should have done is done on another thread; never waits, and may be called again."""
        raise NotImplementedError


if not TYPE_CHECKING and os.environ.get("LEAN_WORKER_NO_EXTENSIONS", "") in ("", "0"):
    # Not there is a choice of the installation; `wire.frames` says what else is wrong with it.
    with contextlib.suppress(ImportError):
        _compiled = importlib.import_module("lean_worker._interrupts")
        Holder, Droppable, Leaving = _compiled.Holder, _compiled.Droppable, _compiled.Leaving
