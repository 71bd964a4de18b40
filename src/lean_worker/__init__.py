"""Runs Lean 4 in supervised child processes and streams typed rows out of it, live.

Names are loaded when they are first used: a worker process, which imports this package too, then never loads the side
that supervises workers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import errors as errors
    from . import metrics as metrics
    from . import progress as progress
    from . import sinks as sinks
    from . import testing as testing
    from . import toolchains as toolchains
    from .aio.lease import AsyncLease as AsyncLease
    from .aio.many import AsyncOutcomes as AsyncOutcomes
    from .aio.pool import AsyncPool as AsyncPool
    from .aio.stream import AsyncRowStream as AsyncRowStream
    from .batch.job import Job as Job
    from .batch.job import JobReport as JobReport
    from .batch.ledger import JobItem as JobItem
    from .batch.outcomes import Done as Done
    from .batch.outcomes import Outcome as Outcome
    from .batch.outcomes import Outcomes as Outcomes
    from .blocking.pool import Pool as Pool
    from .cancel import CancelToken as CancelToken
    from .checking.async_files import check_async as check_async
    from .checking.capability_report import CheckReport as CheckReport
    from .checking.capability_report import Finding as Finding
    from .checking.files import Checked as Checked
    from .checking.files import Message as Message
    from .checking.files import Position as Position
    from .checking.files import Verdict as Verdict
    from .checking.files import check as check
    from .commands import JsonCommand as JsonCommand
    from .commands import StreamingCommand as StreamingCommand
    from .distributed.node import NodeToolchain as NodeToolchain
    from .distributed.pool import RayPool as RayPool
    from .errors import AdmissionError as AdmissionError
    from .errors import BuildFailed as BuildFailed
    from .errors import Cancelled as Cancelled
    from .errors import CapabilityError as CapabilityError
    from .errors import ChildExited as ChildExited
    from .errors import ClusterTooSmall as ClusterTooSmall
    from .errors import CommandFailed as CommandFailed
    from .errors import DecodeError as DecodeError
    from .errors import FrameTooLarge as FrameTooLarge
    from .errors import HeaderError as HeaderError
    from .errors import ImportCycle as ImportCycle
    from .errors import InvalidModuleName as InvalidModuleName
    from .errors import JobIncomplete as JobIncomplete
    from .errors import LakefileError as LakefileError
    from .errors import LeanWorkerError as LeanWorkerError
    from .errors import MalformedFrame as MalformedFrame
    from .errors import MemoryBudgetExceeded as MemoryBudgetExceeded
    from .errors import MemoryLimitExceeded as MemoryLimitExceeded
    from .errors import MetadataMismatch as MetadataMismatch
    from .errors import MissingExtra as MissingExtra
    from .errors import ModuleMissing as ModuleMissing
    from .errors import ModuleRefused as ModuleRefused
    from .errors import NodeLost as NodeLost
    from .errors import NodeMismatch as NodeMismatch
    from .errors import PlanningError as PlanningError
    from .errors import PoisonRequest as PoisonRequest
    from .errors import PoolFull as PoolFull
    from .errors import ProtocolError as ProtocolError
    from .errors import QueueTimeout as QueueTimeout
    from .errors import RecoveryError as RecoveryError
    from .errors import RequestLost as RequestLost
    from .errors import RequestTimeout as RequestTimeout
    from .errors import ResourceExhausted as ResourceExhausted
    from .errors import RestartLimitExceeded as RestartLimitExceeded
    from .errors import RowMalformed as RowMalformed
    from .errors import SequenceGap as SequenceGap
    from .errors import SinkError as SinkError
    from .errors import StaleLease as StaleLease
    from .errors import SummaryMismatch as SummaryMismatch
    from .errors import ToolchainMissing as ToolchainMissing
    from .errors import UnexpectedMessage as UnexpectedMessage
    from .errors import UnknownCommand as UnknownCommand
    from .errors import UsageError as UsageError
    from .errors import VersionMismatch as VersionMismatch
    from .events import DataRow as DataRow
    from .events import Diagnostic as Diagnostic
    from .events import Progress as Progress
    from .events import StreamRow as StreamRow
    from .hosting.capability import Capability as Capability
    from .hosting.capability import LeanCapability as LeanCapability
    from .hosting.capability import ProcessCapability as ProcessCapability
    from .hosting.capability import PythonCapability as PythonCapability
    from .hosting.host_session import HostSession as HostSession
    from .hosting.host_session import MetadataExpectation as MetadataExpectation
    from .hosting.host_session import Opened as Opened
    from .hosting.lines import LinesCapability as LinesCapability
    from .hosting.sandbox import Sandbox as Sandbox
    from .lake.file_settings import FileSettings as FileSettings
    from .lake.library import LakeGlob as LakeGlob
    from .lake.library import LakeLibrary as LakeLibrary
    from .lake.project import LakeModule as LakeModule
    from .lake.project import LakeProject as LakeProject
    from .policy import Limits as Limits
    from .policy import MemoryPolicy as MemoryPolicy
    from .policy import RestartPolicy as RestartPolicy
    from .policy import Timeouts as Timeouts
    from .pool.lease import Lease as Lease
    from .pool.observer import PoolEvent as PoolEvent
    from .pool.observer import PoolSnapshot as PoolSnapshot
    from .pool.snapshot_server import serve_snapshot as serve_snapshot
    from .projects.planning import Batch as Batch
    from .projects.planning import Plan as Plan
    from .projects.planning import plan as plan
    from .projects.planning import plan_items as plan_items
    from .sinks import CallableSink as CallableSink
    from .sinks import JsonLinesSink as JsonLinesSink
    from .sinks import ParquetSink as ParquetSink
    from .sinks import Sink as Sink
    from .sinks import SqliteSink as SqliteSink
    from .tables import to_table as to_table
    from .toolchains.toolchain import Toolchain as Toolchain
    from .worker.row_stream import Collected as Collected
    from .worker.row_stream import RowStream as RowStream
    from .worker.row_stream import StreamSummary as StreamSummary

_HOMES = {
    "aio.pool": ("AsyncPool",),
    "aio.lease": ("AsyncLease",),
    "aio.many": ("AsyncOutcomes",),
    "aio.stream": ("AsyncRowStream",),
    "cancel": ("CancelToken",),
    "hosting.capability": ("Capability", "LeanCapability", "ProcessCapability", "PythonCapability"),
    "checking.files": ("Checked", "Message", "Position", "Verdict", "check"),
    "lake.file_settings": ("FileSettings",),
    "checking.async_files": ("check_async",),
    "checking.capability_report": ("CheckReport", "Finding"),
    "commands": ("JsonCommand", "StreamingCommand"),
    "errors": (
        "AdmissionError",
        "BuildFailed",
        "CapabilityError",
        "Cancelled",
        "ChildExited",
        "ClusterTooSmall",
        "CommandFailed",
        "DecodeError",
        "FrameTooLarge",
        "JobIncomplete",
        "HeaderError",
        "ImportCycle",
        "InvalidModuleName",
        "LakefileError",
        "LeanWorkerError",
        "MalformedFrame",
        "MemoryBudgetExceeded",
        "MemoryLimitExceeded",
        "MetadataMismatch",
        "MissingExtra",
        "ModuleMissing",
        "NodeLost",
        "NodeMismatch",
        "PlanningError",
        "ModuleRefused",
        "PoisonRequest",
        "PoolFull",
        "ProtocolError",
        "QueueTimeout",
        "RecoveryError",
        "RequestLost",
        "RequestTimeout",
        "ResourceExhausted",
        "RestartLimitExceeded",
        "RowMalformed",
        "SequenceGap",
        "SinkError",
        "StaleLease",
        "SummaryMismatch",
        "ToolchainMissing",
        "UnexpectedMessage",
        "UnknownCommand",
        "UsageError",
        "VersionMismatch",
    ),
    "distributed.pool": ("RayPool",),
    "events": ("DataRow", "Diagnostic", "Progress", "StreamRow"),
    "batch.job": ("Job", "JobReport"),
    "lake.library": ("LakeGlob", "LakeLibrary"),
    "lake.project": ("LakeModule", "LakeProject"),
    "pool.lease": ("Lease",),
    "batch.ledger": ("JobItem",),
    "pool.snapshot_server": ("serve_snapshot",),
    "pool.observer": ("PoolEvent", "PoolSnapshot"),
    "batch.outcomes": ("Done", "Outcome", "Outcomes"),
    "projects.planning": ("Batch", "Plan", "plan", "plan_items"),
    "hosting.lines": ("LinesCapability",),
    "hosting.host_session": ("HostSession", "MetadataExpectation", "Opened"),
    "policy": ("Limits", "MemoryPolicy", "RestartPolicy", "Timeouts"),
    "blocking.pool": ("Pool",),
    "distributed.node": ("NodeToolchain",),
    "hosting.sandbox": ("Sandbox",),
    "sinks": ("CallableSink", "JsonLinesSink", "ParquetSink", "Sink", "SqliteSink"),
    "worker.row_stream": ("Collected", "RowStream", "StreamSummary"),
    "tables": ("to_table",),
    "toolchains.toolchain": ("Toolchain",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("errors", "metrics", "progress", "sinks", "testing", "toolchains")

__all__ = ["__version__", *_MODULES, *_HOME_OF]  # pyright: ignore[reportUnsupportedDunderAll]


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
