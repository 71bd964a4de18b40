"""The module `signal` without its enums, which take most of a millisecond of a worker's start: signals are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["signal"]
