"""Rows and messages one after the other, for the parts of a conversation that have no rows to speak of."""

from __future__ import annotations

from ..steps.waiting import Steps
from ..wire.envelope import Message
from ..wire.frames import Row
from .channel import Channel, Interruption

_MOST_ITEMS = 4096


def awaiting_frames(channel: Channel, interruption: Interruption) -> Steps[list[Row | Message]]:
    """Wait for at least one frame; all that are at hand, in order.

    Raises:
        LeanWorkerError: The interruption's reason.
        ProtocolError: The next frame is none.
        EndOfFrames: The child will send no more.
    """
    while True:
        interruption.check()
        items: list[Row | Message] = channel.reader.take(_MOST_ITEMS)
        if items:
            return items
        yield from channel.reading_more(interruption)
