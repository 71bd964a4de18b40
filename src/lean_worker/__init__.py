"""Runs Lean 4 in supervised child processes and streams typed rows out of it, live.

Names are loaded when they are first used: a worker process, which imports this package too, then never loads the side
that supervises workers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import errors, toolchain
    from .cancel import CancelToken
    from .capability import Capability, LeanCapability, ProcessCapability, PythonCapability
    from .commands import JsonCommand, StreamingCommand
    from .errors import (
        AdmissionError,
        CapabilityError,
        Cancelled,
        ChildExited,
        CommandFailed,
        DecodeError,
        FrameTooLarge,
        LeanWorkerError,
        MalformedFrame,
        MemoryBudgetExceeded,
        MissingExtra,
        PoolFull,
        ProtocolError,
        QueueTimeout,
        RequestLost,
        RequestTimeout,
        RestartLimitExceeded,
        RowMalformed,
        SequenceGap,
        StaleLease,
        SummaryMismatch,
        UnexpectedMessage,
        UnknownCommand,
        UsageError,
        VersionMismatch,
    )
    from .events import DataRow, Diagnostic, Progress, StreamRow
    from .lease import Lease
    from .policy import Limits, Timeouts
    from .pool import Pool, PoolSnapshot
    from .stream import Collected, RowStream, StreamSummary
    from .toolchain import Toolchain

_HOMES = {
    "cancel": ("CancelToken",),
    "capability": ("Capability", "LeanCapability", "ProcessCapability", "PythonCapability"),
    "commands": ("JsonCommand", "StreamingCommand"),
    "errors": (
        "AdmissionError",
        "CapabilityError",
        "Cancelled",
        "ChildExited",
        "CommandFailed",
        "DecodeError",
        "FrameTooLarge",
        "LeanWorkerError",
        "MalformedFrame",
        "MemoryBudgetExceeded",
        "MissingExtra",
        "PoolFull",
        "ProtocolError",
        "QueueTimeout",
        "RequestLost",
        "RequestTimeout",
        "RestartLimitExceeded",
        "RowMalformed",
        "SequenceGap",
        "StaleLease",
        "SummaryMismatch",
        "UnexpectedMessage",
        "UnknownCommand",
        "UsageError",
        "VersionMismatch",
    ),
    "events": ("DataRow", "Diagnostic", "Progress", "StreamRow"),
    "lease": ("Lease",),
    "policy": ("Limits", "Timeouts"),
    "pool": ("Pool", "PoolSnapshot"),
    "stream": ("Collected", "RowStream", "StreamSummary"),
    "toolchain": ("Toolchain",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("errors", "toolchain")

__all__ = ["__version__", *_MODULES, *_HOME_OF]  # noqa: PLE0604  (names come from the table above)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
