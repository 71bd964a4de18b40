"""The end of a request that has no rows: its events, its response, and every way in which it can fail."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import TypeVar

from ..base.memory_room import check_room_for_values
from ..base.system_errors import no_memory
from ..errors import LeanWorkerError, UnexpectedMessage
from ..steps.waiting import Steps
from ..wire import protocol
from ..wire.envelope import Message
from ..wire.frames import Row
from ..wire.responses import failure_of, unexpected
from .exchange import Exchange
from .options import RequestOptions

_MOST_ITEMS = 4096
_T = TypeVar("_T")
_R = TypeVar("_R", bound=protocol.Response)


def awaiting_response(
    exchange: Exchange,
    command: str,
    generation: int,
    options: RequestOptions,
    kind: type[_R],
    decode: Callable[[_R], _T],
) -> Steps[_T]:
    """The end of a request that has no rows.

    Args:
        exchange: The request.
        command: Its name, for errors.
        generation: The worker's, for errors.
        options: The request's; its callbacks take the events.
        kind: The response that means success.
        decode: Turns that into the caller's value.

    Raises:
        LeanWorkerError: As the response, the worker's end, or the interruption says.
        Exception: Whatever a callback raises; the worker is stopped or replaced.
    """
    undelivered: collections.deque[Row | Message] = collections.deque()
    try:
        try:
            return (yield from _awaiting(exchange, undelivered, command, options, kind, decode))
        except MemoryError as error:
            raise no_memory(f"running {command}") from error
    except BaseException as error:
        if isinstance(error, LeanWorkerError):
            error.add_facts(command=command, generation=generation, entered_worker=True)
        if isinstance(error, LeanWorkerError) and error.by_protocol and not exchange.is_over:
            yield from exchange.failing(error)
        else:
            yield from exchange.abandoning(error, undelivered)
        raise


def _awaiting(
    exchange: Exchange,
    undelivered: collections.deque[Row | Message],
    command: str,
    options: RequestOptions,
    kind: type[_R],
    decode: Callable[[_R], _T],
) -> Steps[_T]:
    since: float | None = None
    while True:
        exchange.check()
        check_room_for_values(exchange.reader.pending_bytes)
        undelivered.extend(exchange.reader.take(_MOST_ITEMS))
        since = None if undelivered else (yield from exchange.reading_more(since))
        while undelivered:
            item = undelivered.popleft()
            if isinstance(item, Row):
                raise UnexpectedMessage(f"running {command}: a row came for a command without rows", side="remote")
            response = options.take(item)
            if response is None:
                continue
            if undelivered:
                raise UnexpectedMessage(f"running {command}: frames came after the response", side="remote")
            failure = failure_of(response, command)
            if failure is None and not isinstance(response, kind):
                raise unexpected(response, command)
            yield from exchange.finishing()
            if failure is not None:
                try:
                    raise failure
                finally:
                    del failure  # no cycle of an error, its traceback, and this frame
            assert isinstance(response, kind)
            return decode(response)
