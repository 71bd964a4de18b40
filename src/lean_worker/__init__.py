"""Runs Lean 4 in supervised child processes and streams typed rows out of it, live.

Names are loaded when they are first used: a worker process, which imports this package too, then never loads the side
that supervises workers. Here is what a first program needs; the rest is in the modules that are named in `_MODULES`.
"""

from __future__ import annotations

import importlib
import warnings

from .version import __version__

# As `typing` has it. Importing that takes longer than all else here, and Ctrl-C meanwhile would show a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import aio as aio
    from . import batch as batch
    from . import checking as checking
    from . import distributed as distributed
    from . import errors as errors
    from . import events as events
    from . import extraction as extraction
    from . import hosting as hosting
    from . import lake as lake
    from . import metrics as metrics
    from . import progress as progress
    from . import projects as projects
    from . import sinks as sinks
    from . import tables as tables
    from . import testing as testing
    from . import toolchains as toolchains
    from . import verification as verification
    from .aio.pool import AsyncPool as AsyncPool
    from .batch.job import Job as Job
    from .batch.outcome import Outcome as Outcome
    from .blocking.lease import Lease as Lease
    from .blocking.many import Outcomes as Outcomes
    from .blocking.pool import Pool as Pool
    from .blocking.stream import RowStream as RowStream
    from .cancel import CancelToken as CancelToken
    from .checking.files import check as check
    from .checking.results import CheckResult as CheckResult
    from .checking.results import Verdict as Verdict
    from .commands import JsonCommand as JsonCommand
    from .commands import StreamingCommand as StreamingCommand
    from .distributed.pool import RayPool as RayPool
    from .errors import AdmissionError as AdmissionError
    from .errors import Cancelled as Cancelled
    from .errors import CapabilityError as CapabilityError
    from .errors import ChildExited as ChildExited
    from .errors import CommandFailed as CommandFailed
    from .errors import DecodeError as DecodeError
    from .errors import LeanWorkerError as LeanWorkerError
    from .errors import ProtocolError as ProtocolError
    from .errors import RequestLost as RequestLost
    from .errors import RequestTimeout as RequestTimeout
    from .errors import SinkError as SinkError
    from .errors import UsageError as UsageError
    from .events import DataRow as DataRow
    from .extraction.running import extract as extract
    from .hosting.capability import LeanCapability as LeanCapability
    from .hosting.capability import ProcessCapability as ProcessCapability
    from .hosting.capability import PythonCapability as PythonCapability
    from .hosting.launch import Capability as Capability
    from .hosting.lines import LinesCapability as LinesCapability
    from .hosting.sandbox import Sandbox as Sandbox
    from .policy import Limits as Limits
    from .policy import MemoryPolicy as MemoryPolicy
    from .policy import RestartPolicy as RestartPolicy
    from .policy import Timeouts as Timeouts
    from .results import Collected as Collected
    from .results import StreamSummary as StreamSummary
    from .verification.candidates import verify as verify
    from .verification.proof import Proof as Proof

_HOMES = {
    "aio.pool": ("AsyncPool",),
    "batch.job": ("Job",),
    "batch.outcome": ("Outcome",),
    "blocking.lease": ("Lease",),
    "blocking.many": ("Outcomes",),
    "blocking.pool": ("Pool",),
    "blocking.stream": ("RowStream",),
    "cancel": ("CancelToken",),
    "checking.files": ("check",),
    "checking.results": ("CheckResult", "Verdict"),
    "commands": (
        "JsonCommand",
        "StreamingCommand",
    ),
    "distributed.pool": ("RayPool",),
    "errors": (
        "AdmissionError",
        "Cancelled",
        "CapabilityError",
        "ChildExited",
        "CommandFailed",
        "DecodeError",
        "LeanWorkerError",
        "ProtocolError",
        "RequestLost",
        "RequestTimeout",
        "SinkError",
        "UsageError",
    ),
    "events": ("DataRow",),
    "hosting.launch": ("Capability",),
    "hosting.capability": (
        "LeanCapability",
        "ProcessCapability",
        "PythonCapability",
    ),
    "extraction.running": ("extract",),
    "hosting.lines": ("LinesCapability",),
    "hosting.sandbox": ("Sandbox",),
    "policy": (
        "Limits",
        "MemoryPolicy",
        "RestartPolicy",
        "Timeouts",
    ),
    "results": (
        "Collected",
        "StreamSummary",
    ),
    "verification.proof": ("Proof",),
    "verification.candidates": ("verify",),
}
_MOVED: dict[str, str] = {}
"""Modules of the names that stood here before, as they are found."""
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = (
    "aio",
    "batch",
    "checking",
    "distributed",
    "errors",
    "events",
    "extraction",
    "hosting",
    "lake",
    "metrics",
    "progress",
    "projects",
    "sinks",
    "tables",
    "testing",
    "toolchains",
    "verification",
)

__all__ = ["__version__", *_MODULES, *_HOME_OF]  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # with it, checkers would take every name

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        home = _HOME_OF.get(name)
        if home is None:
            return _moved(name)
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def _moved(name: str) -> Any:
    """Return a name that stood here before it got a module of its own, with a warning that says where it is."""
    for module in () if name.startswith("_") else [_MOVED[name]] if name in _MOVED else _MODULES:
        found = importlib.import_module(f"{__name__}.{module}")
        if name in getattr(found, "__all__", ()):
            _MOVED[name] = module
            warnings.warn(f"lean_worker.{name} is lean_worker.{module}.{name} now", DeprecationWarning, stacklevel=3)
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
