"""Rows of a compilation: messages, declarations, other output. A stranger's file writes them, within bounds."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import msgspec

from ..checking.results import CheckMessage
from ..wire.file_messages import MAX_TEXTS, messages_stream
from .candidate_texts import MAX_REQUEST_BYTES

_MAX_MESSAGE_BYTES = 1 << 22
_SHOWN_OUTPUT_CHARACTERS = 500


@dataclasses.dataclass
class Messages:
    """Lean's messages about one text."""

    kept: list[CheckMessage] = dataclasses.field(default_factory=list)
    has_errors: bool = False
    size_bytes: int = 0

    def take(self, row: bytes) -> None:
        # Another line is of the candidate's own making.
        with contextlib.suppress(ValueError, RecursionError):
            message = msgspec.json.decode(row, type=CheckMessage)
            self.has_errors = self.has_errors or message.severity == "error"
            self.size_bytes += len(row)
            if self.size_bytes <= _MAX_MESSAGE_BYTES:
                self.kept.append(message)


@dataclasses.dataclass
class Collected:
    """The rows of one compilation. A stranger's file writes them: what is kept of them is bounded."""

    of_texts: list[Messages] = dataclasses.field(default_factory=lambda: [Messages() for _ in range(MAX_TEXTS)])
    terms: list[bytes] = dataclasses.field(default_factory=list)
    terms_bytes: int = 0
    wrote: str = ""

    def sinks(self) -> dict[str, Callable[[bytes], None]]:
        """The sinks for all streams."""
        takers = {messages_stream(number): messages.take for number, messages in enumerate(self.of_texts)}
        return {**takers, "terms": self.take_terms}

    def take_output(self, text: str) -> None:
        """Keep the first line that is no message: of a panic, or of a full disk, it is the only word."""
        self.wrote = self.wrote or text[:_SHOWN_OUTPUT_CHARACTERS]

    def take_terms(self, row: bytes) -> None:
        self.terms_bytes += len(row)
        if self.terms_bytes <= MAX_REQUEST_BYTES:
            self.terms.append(row)
