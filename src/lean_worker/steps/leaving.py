"""End of a `with` block that an interrupt cannot skip.

An interrupt (Ctrl-C) in the last moment of a `with` block is raised at the first instruction of `__exit__`, before any
of its lines can handle it. The compiled `__exit__` has no such instruction.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from ..wire import frames


class _Leaving:
    """The pure twin: an interrupt at the first instruction of `__exit__` is not noticed."""

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

    def _dropped(self) -> None:
        """Nobody holds it any more: as `_left`, if it was not left before."""

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():  # modules are being taken apart, and the process's end ends everything that it holds
            self._dropped()


if TYPE_CHECKING or frames.IMPLEMENTATION != "c":
    Leaving = _Leaving
else:
    from .. import _frames

    Leaving = _frames.Leaving
