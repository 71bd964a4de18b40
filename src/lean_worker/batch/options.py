"""Options of many requests, made where a caller gives them and passed down unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from ..cancel import CancelToken
from ..events import Diagnostic, Progress
from ..hosting.launch import Capability
from ..policy import DEFAULT, Timeout
from .outcome import OnDone

RequestT = TypeVar("RequestT")
Seconds = Timeout | Callable[[RequestT], float | None]
OnItemDiagnostic = Callable[[int, Diagnostic], object]
OnItemProgress = Callable[[int, Progress], object]


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """The options of `Pool.map` and `Pool.stream_many`, which explain them."""

    capability: Capability | None = None
    ordered: bool | None = None
    in_flight: int | None = None
    timeout: Seconds[Any] = DEFAULT
    retries: int = 0
    cancel: CancelToken | None = None
    on_diagnostic: OnItemDiagnostic | None = None
    on_progress: OnItemProgress | None = None
    on_done: OnDone | None = None
