"""Options of one request: its time limit, its cancel token, and the receivers of its events."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypedDict

from ..base.callbacks import check_callable, result_of
from ..cancel import CancelToken
from ..errors import UnexpectedMessage
from ..events import Diagnostic, Progress
from ..policy import DEFAULT, Timeout
from ..wire import protocol
from ..wire.envelope import Message

OnDiagnostic = Callable[[Diagnostic], object]
OnProgress = Callable[[Progress], object]


class RequestKeywords(TypedDict, total=False):
    """The keyword arguments of a method that runs one request; for type checkers.

    Each such method has two overloads, so that a command with a type of requests needs a request of that type, and any
    other command needs none.
    """

    timeout: Timeout
    cancel: CancelToken | None
    on_diagnostic: OnDiagnostic | None
    on_progress: OnProgress | None


class PoolKeywords(RequestKeywords, total=False):
    """The keyword arguments of a method that also lends a worker for its request."""

    lease_timeout: Timeout


@dataclasses.dataclass(frozen=True)
class RequestOptions:
    """The options of one request, made where a caller gives them and passed down unchanged.

    Attributes:
        timeout: Seconds until the worker is killed; None for no limit, `DEFAULT` for that of the pool.
        cancel: Stops the request when it is cancelled.
        on_diagnostic: Called with each `Diagnostic`; without it they are dropped.
        on_progress: Called with each `Progress`; without it they are dropped.

    Raises:
        UsageError: A callback cannot be called.
    """

    timeout: Timeout = DEFAULT
    cancel: CancelToken | None = None
    on_diagnostic: OnDiagnostic | None = None
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        check_callable("running a command", "diagnostic", on_diagnostic=self.on_diagnostic)
        check_callable("running a command", "progress", on_progress=self.on_progress)

    def take(self, message: Message) -> protocol.Response | None:
        """Pass an event to its callback, or return the response that ends the request.

        Raises:
            UnexpectedMessage: The message has no place within a request.
            Exception: Whatever a callback raises.
        """
        body = protocol.decode(message)
        if isinstance(body, protocol.Response):
            return body
        if isinstance(body, protocol.DiagnosticBody):
            if self.on_diagnostic is not None:
                result_of("on_diagnostic", self.on_diagnostic(Diagnostic(body.code, body.message)))
        elif isinstance(body, protocol.ProgressBody):
            if self.on_progress is not None:
                result_of("on_progress", self.on_progress(Progress(body.phase, body.current, body.total)))
        else:
            raise UnexpectedMessage(f"within a request: a {message.type!r} message has no place here", side="remote")
        return None
