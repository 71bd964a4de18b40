"""Lines that hosted code prints, with a label, on standard error."""

from __future__ import annotations

import re
import threading

from .shown import errors

_MOST_HELD = 1000
# Hosted code must not move the cursor, or rename the window, of whoever runs it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Return a text with escapes instead of the characters that control a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """Return a name with escapes instead of characters that control a terminal or end the line."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


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
    errors.print("[dim]printed:[/] ", end="")
    errors.print(harmless(text), markup=False)
