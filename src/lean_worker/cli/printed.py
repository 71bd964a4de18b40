"""Lines that hosted code prints, with a label, on standard error."""

from __future__ import annotations

import threading

from rich.text import Text

from .shown import errors, harmless

_MOST_HELD = 1000


class Printed:
    """Shows printed lines. Pass `line` as a pool's `on_stderr`.

    Lines from before `started` are kept until then: when a worker cannot start, its error has them already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[str] | None = []

    def line(self, text: str) -> None:
        """Take a line that a worker wrote."""
        with self._lock:
            if self._held is None:
                show_printed(text)
            elif len(self._held) < _MOST_HELD:
                self._held.append(text)

    def started(self) -> None:
        """Show the lines so far, and later ones as they come."""
        with self._lock:
            held, self._held = self._held or [], None
            for text in held:
                show_printed(text)


def show_printed(text: str) -> None:
    """Print one line of hosted code, with its label."""
    # At once: another thread may write a row to the same place. As it is: brackets and colons are no markup here.
    errors.print(Text.assemble(("printed:", "dim"), " ", harmless(text)))
