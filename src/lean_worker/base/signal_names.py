"""Names of signals, as in "SIGKILL"."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return the signal's name, or "signal 42" for one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
